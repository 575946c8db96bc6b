"""
The read model of notifications in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_core.conversations.notification_queries import PendingNotifications
from mission_core.lazy_attrs import frozen

if TYPE_CHECKING:
    from datetime import datetime

    from mission_adapters.memory.kind_tables import KindTable
    from mission_core.accounts.model import Principal
    from mission_core.conversations.notifications import Notification
    from mission_core.ids import NotificationNumber


@frozen
class MemoryNotificationReads:
    """
    Reads notifications.
    """

    table: KindTable[Notification]

    async def pending(self, principal: Principal, recipient_key: str | None = None) -> list[PendingNotifications]:
        """
        The counts of undelivered notifications by recipient.
        """
        groups: dict[str, list[str]] = {}
        for each in self.table.matching(principal, {} if recipient_key is None else {"recipient_key": recipient_key}):
            if each.delivered_at is None:
                groups.setdefault(each.recipient_key, []).append(each.recipient)
        return [PendingNotifications(min(groups[key]), len(groups[key])) for key in sorted(groups)]

    async def numbers(
        self,
        principal: Principal,
        recipient_key: str,
        *,
        before: datetime | None = None,
        unread: bool = False,
        limit: int,
    ) -> list[NotificationNumber]:
        """
        The first numbers of a recipient's notifications.
        """
        equal: dict[str, object] = {"recipient_key": recipient_key} | ({"read_at": None} if unread else {})
        found = self.table.matching(principal, equal)
        return [each.number for each in found if before is None or each.created_at < before][:limit]
