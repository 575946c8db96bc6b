"""
Read queries for notifications.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.accounts.model import Principal
    from mission_core.ids import NotificationNumber


class PendingNotifications(NamedTuple):
    """
    The notifications of a recipient that were not delivered.
    """

    recipient: str
    pending: int


class NotificationReads(Protocol):
    """
    Reads notifications, limited to the boards that a principal may see.
    """

    async def pending(self, principal: Principal, recipient_key: str | None = None) -> list[PendingNotifications]:
        """
        The counts of undelivered notifications by recipient, or those of one recipient, ordered by name.
        """

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
        The first numbers of a recipient's notifications: of those made *before* a time, and of the *unread* ones.
        """
