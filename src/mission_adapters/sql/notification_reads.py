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
from mission_core.lazy_attrs import frozen

if TYPE_CHECKING:
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
