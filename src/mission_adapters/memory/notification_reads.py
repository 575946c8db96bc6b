"""
The read model of notifications in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_core.conversations.notification_queries import PendingNotifications
from mission_core.lazy_attrs import frozen

if TYPE_CHECKING:
    from mission_adapters.memory.kind_tables import KindTable
    from mission_core.accounts.model import Principal
    from mission_core.conversations.notifications import Notification


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
