"""
The read model of notifications in SQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Executable, func, select

from mission_adapters.sql.board_visibility import board_filter_of, on_boards
from mission_adapters.sql.kind_tables import MAPPINGS
from mission_adapters.sql.statements import cached_statement, parameter
from mission_core.conversations.notification_queries import PendingNotifications
from mission_core.conversations.notifications import NOTIFICATIONS
from mission_core.ids import NotificationNumber
from mission_core.lazy_attrs import frozen
from mission_core.values import UNSTORABLE, micros

if TYPE_CHECKING:
    from datetime import datetime

    from mission_adapters.sql.database_session import DatabaseSession, Steps
    from mission_core.accounts.model import Principal

notifications: Final = MAPPINGS[NOTIFICATIONS].table


@cached_statement
def _select_pending(of_one: bool, board_filters: tuple[str, ...]) -> Executable:
    found = select(func.min(notifications.c.recipient), func.count()).where(
        notifications.c.organization == parameter("organization"),
        notifications.c.delivered_at.is_(None),
        *on_boards(notifications.c.board, board_filters),
    )
    if of_one:
        found = found.where(notifications.c.recipient_key == parameter("recipient_key", str))
    return found.group_by(notifications.c.recipient_key).order_by(notifications.c.recipient_key)


@cached_statement
def _select_numbers(before: bool, unread: bool, board_filters: tuple[str, ...]) -> Executable:
    found = select(notifications.c.number).where(
        notifications.c.organization == parameter("organization"),
        notifications.c.recipient_key == parameter("recipient_key", str),
        *on_boards(notifications.c.board, board_filters),
    )
    if before:
        found = found.where(notifications.c.created_at < parameter("before", int))
    if unread:
        found = found.where(notifications.c.read_at.is_(None))
    return found.order_by(notifications.c.number).limit(parameter("limit", int))


@frozen
class SqlNotificationReads:
    """
    Reads notifications.
    """

    session: DatabaseSession

    async def pending(self, principal: Principal, recipient_key: str | None = None) -> list[PendingNotifications]:
        """
        Return the counts of undelivered notifications by recipient.
        """
        given: dict[str, Any] = board_filter_of(principal)
        asked = _select_pending(recipient_key is not None, tuple(sorted(given)))
        given |= {} if recipient_key is None else {"recipient_key": recipient_key}
        statement = asked(self.session.dialect, organization=principal.organization.bytes, **given)

        def steps() -> Steps[list[PendingNotifications]]:
            return [PendingNotifications._make(row) for row in (yield statement)]

        return await self.session.read(steps)

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
        Return the first numbers of a recipient's notifications.
        """
        if UNSTORABLE.search(recipient_key):
            return []
        given: dict[str, Any] = board_filter_of(principal)
        asked = _select_numbers(before is not None, unread, tuple(sorted(given)))
        given |= {"recipient_key": recipient_key, "limit": limit}
        given |= {} if before is None else {"before": micros(before)}
        statement = asked(self.session.dialect, organization=principal.organization.bytes, **given)

        def steps() -> Steps[list[NotificationNumber]]:
            return [NotificationNumber(number) for (number,) in (yield statement)]

        return await self.session.read(steps)
