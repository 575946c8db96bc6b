"""
The read model of tool connections in SQL, each joined with its agent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Executable, case, func, select

from mission_adapters.sql.grants import border_of, within
from mission_adapters.sql.session import Steps
from mission_adapters.sql.statements import shaped, value
from mission_adapters.sql.tables import SHELVES, agents
from mission_core.agents.connections import CONNECTIONS
from mission_core.agents.queries import ConnectionRow
from mission_core.values import Listed

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.values import Page

connections: Final = SHELVES[CONNECTIONS].table
_agent: Final = {name: agents.c[name] for name in ("reported", "last_seen_at")} | {
    f"agent_{name}": agents.c[name] for name in ("number", "name", "role")
}
_elsewhere: Final[dict[str, ColumnElement[Any]]] = {
    "live": case((connections.c.live_for.is_(None), 0), else_=1),
    **_agent,
}


def _of(found: Any, board_filters: Iterable[str]) -> Any:
    found = found.select_from(connections.join(agents, agents.c.id == connections.c.agent))
    return found.where(connections.c.organization == value("organization"), *within(agents.c.board, board_filters))


@shaped
def _page(after: bool, *board_filters: str) -> Executable:
    columns = (_elsewhere[name] if name in _elsewhere else connections.c[name] for name in ConnectionRow._fields)
    found = _of(select(*columns), board_filters)
    if after:
        found = found.where(connections.c.number < value("after", int))
    page = found.order_by(connections.c.number.desc()).limit(value("limit", int)).offset(value("offset", int))
    shown: Executable = page
    return shown


@shaped
def _count(*board_filters: str) -> Executable:
    counted: Executable = _of(select(func.count()), board_filters)
    return counted


def read_connections(dialect: str, principal: Principal, page: Page) -> Steps[Listed]:
    """
    Return a page of connections, newest first, with the total count.
    """
    board_filters = border_of(principal)
    given: dict[str, Any] = {"organization": principal.organization.bytes, **board_filters}
    limits: dict[str, Any] = {"limit": page.limit, "offset": page.offset}
    if page.after is not None:
        limits["after"] = page.after
    rows = yield _page(page.after is not None, *board_filters)(dialect, **given, **limits)
    ((total,),) = yield _count(*board_filters)(dialect, **given)
    return Listed([ConnectionRow._make(row) for row in rows], total)
