"""
The read model of tool connections in SQL, each joined with its agent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Executable, case, func, select

from mission_adapters.sql.board_visibility import board_filter_of, on_boards
from mission_adapters.sql.database_session import Steps
from mission_adapters.sql.statements import cached_statement, parameter
from mission_adapters.sql.tables import MAPPINGS, agents
from mission_core.agents.queries import ToolConnectionRow
from mission_core.agents.tool_connections import CONNECTIONS
from mission_core.values import PageOfRows

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.values import PageRequest

connections: Final = MAPPINGS[CONNECTIONS].table
_agent_columns: Final = {name: agents.c[name] for name in ("reported", "last_seen_at")} | {
    f"agent_{name}": agents.c[name] for name in ("number", "name", "role")
}
_joined_columns: Final[dict[str, ColumnElement[Any]]] = {
    "live": case((connections.c.live_for.is_(None), 0), else_=1),
    **_agent_columns,
}


def _joined_with_agents(found: Any, board_filters: Iterable[str]) -> Any:
    found = found.select_from(connections.join(agents, agents.c.id == connections.c.agent))
    return found.where(
        connections.c.organization == parameter("organization"), *on_boards(agents.c.board, board_filters)
    )


@cached_statement
def _select_page(after: bool, *board_filters: str) -> Executable:
    columns = (
        _joined_columns[name] if name in _joined_columns else connections.c[name] for name in ToolConnectionRow._fields
    )
    found = _joined_with_agents(select(*columns), board_filters)
    if after:
        found = found.where(connections.c.number < parameter("after", int))
    page = found.order_by(connections.c.number.desc()).limit(parameter("limit", int)).offset(parameter("offset", int))
    shown: Executable = page
    return shown


@cached_statement
def _select_count(*board_filters: str) -> Executable:
    counted: Executable = _joined_with_agents(select(func.count()), board_filters)
    return counted


def read_connections(dialect: str, principal: Principal, page: PageRequest) -> Steps[PageOfRows]:
    """
    Return a page of connections, newest first, with the total count.
    """
    board_filters = board_filter_of(principal)
    given: dict[str, Any] = {"organization": principal.organization.bytes, **board_filters}
    limits: dict[str, Any] = {"limit": page.limit, "offset": page.offset}
    if page.after is not None:
        limits["after"] = page.after
    rows = yield _select_page(page.after is not None, *board_filters)(dialect, **given, **limits)
    ((total,),) = yield _select_count(*board_filters)(dialect, **given)
    return PageOfRows([ToolConnectionRow._make(row) for row in rows], total)
