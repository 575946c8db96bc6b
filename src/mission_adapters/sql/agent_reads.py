"""
The read models of agents and their API keys in SQL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from attrs import frozen
from sqlalchemy import ColumnElement, Executable, case, exists, func, literal, select

from mission_adapters.sql.board_visibility import (
    BOARD_FILTERS,
    board_filter_for,
    board_filter_of,
    on_boards,
    require_visible,
)
from mission_adapters.sql.conversions import optional_uuid
from mission_adapters.sql.database_session import DatabaseSession, Steps
from mission_adapters.sql.statements import cached_statement, parameter
from mission_adapters.sql.tables import agents, api_keys
from mission_adapters.sql.tool_connection_reads import read_connections
from mission_core.agents.model import LIFECYCLE_STATUSES, OFFLINE, OFFLINE_AFTER, PROVISIONING, AgentNotFound
from mission_core.agents.queries import AgentNameRow, AgentRow, ApiKeyRow, boards_of_nameable_agents
from mission_core.ids import BoardId
from mission_core.values import PageOfRows, micros, name_key

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.accounts.model import Principal
    from mission_core.agents.queries import AgentFilter
    from mission_core.ids import AgentId, AgentNumber
    from mission_core.values import PageRequest

Parameters = dict[str, Any]
_in_organization: Final = agents.c.organization == parameter("organization")
BOARD: Final = AgentRow._fields.index("board")
ROWS: Final = select(*(agents.c[name] for name in AgentRow._fields)).where(_in_organization)
KEY_COLUMNS: Final = tuple(api_keys.c[name] for name in ApiKeyRow._fields)


def _derived_status(unseen: Any) -> ColumnElement[Any]:
    return case(  # the same rule as Presence.status
        (agents.c.reported.in_(sorted(LIFECYCLE_STATUSES)), agents.c.reported),
        (agents.c.last_seen_at.is_(None), unseen),
        (agents.c.last_seen_at < parameter("silent_since", int), OFFLINE),
        else_=agents.c.reported,
    )


STATUS: Final = _derived_status(literal(PROVISIONING))
"""The status derived from an agent's presence. It has the parameter `silent_since`, from `silent_since`."""
STATUS_AS_MADE: Final = _derived_status(case((agents.c.reported == PROVISIONING, OFFLINE), else_=agents.c.reported))
"""The status, where an agent that was never seen has the one it was created with."""


def silent_since(at: datetime) -> int:
    """
    Return the time before which the last heartbeat of an agent that is offline at the time *at* was.
    """
    return micros(at - OFFLINE_AFTER)


FILTERS: Final[dict[str, Callable[[], ColumnElement[bool]]]] = {
    "id": lambda: agents.c.id == parameter("id"),
    "number": lambda: agents.c.number == parameter("number", int),
    "name": lambda: agents.c.name_key == parameter("name", str),
    "after": lambda: agents.c.number < parameter("after", int),
    "own_board": lambda: BOARD_FILTERS["own_board"](agents.c.board),
    "own_boards": lambda: BOARD_FILTERS["own_boards"](agents.c.board),
    "board": lambda: agents.c.board == parameter("board"),
    "role": lambda: agents.c.role == parameter("role", str),
    "hidden": lambda: agents.c.hidden == parameter("hidden", int),
    "status": lambda: STATUS == parameter("status", str),
    "as_made": lambda: STATUS_AS_MADE == parameter("status", str),
}
"""The SQL condition of each filter, by the name of its parameter."""


@cached_statement
def _select_one(*filters: str) -> Executable:
    return ROWS.where(*(FILTERS[name]() for name in filters))


@cached_statement
def _select_page(*filters: str) -> Executable:
    found = ROWS.where(*(FILTERS[name]() for name in filters)).order_by(agents.c.number.desc())
    return found.limit(parameter("limit", int)).offset(parameter("offset", int))


@cached_statement
def _select_count(*filters: str) -> Executable:
    found = select(func.count()).select_from(agents).where(_in_organization)
    return found.where(*(FILTERS[name]() for name in filters if name != "after"))


@cached_statement
def _select_names(*filters: str) -> Executable:
    found = select(*(agents.c[name] for name in AgentNameRow._fields)).where(
        _in_organization, *(FILTERS[name]() for name in filters)
    )
    return found.order_by(agents.c.number)


@cached_statement
def select_keys(columns: tuple[ColumnElement[Any], ...], *board_filters: str) -> Executable:
    """
    Select the keys of an agent, newest first, if the agent's board passes these board filters.
    """
    found = select(*columns).where(
        api_keys.c.organization == parameter("organization"), api_keys.c.agent == parameter("agent")
    )
    if board_filters:
        found = found.where(exists().where(agents.c.id == api_keys.c.agent, *on_boards(agents.c.board, board_filters)))
    return found.order_by(api_keys.c.number.desc())


@frozen
class SqlAgentReads:
    """
    Reads the agents that a principal may see.
    """

    session: DatabaseSession

    async def get(self, principal: Principal, agent: AgentId | AgentNumber | str) -> AgentRow:
        """
        Return the agent with this id, number or name.
        """
        given: Parameters
        if isinstance(agent, UUID):
            given = {"id": agent.bytes}
        else:
            given = {"name": name_key(agent)} if isinstance(agent, str) else {"number": agent}
        dialect, own = self.session.dialect, principal.organization.bytes

        def steps() -> Steps[list[Any]]:
            rows: list[Any] = yield _select_one(*given)(dialect, organization=own, **given)
            return rows

        found = await self.session.read(steps)
        row = AgentRow._make(found[0]) if found else None
        board = BoardId(UUID(bytes=row.board)) if row and row.board else None
        return require_visible(principal, row, board, AgentNotFound)

    async def page(self, principal: Principal, wanted: AgentFilter, page: PageRequest) -> PageOfRows:
        """
        Return a page of agents, newest first, with the total count.
        """
        given = _filter_parameters(principal, wanted)
        shape = tuple(given)
        given["organization"] = principal.organization.bytes
        if wanted.status is not None:
            given |= {"status": wanted.status, "silent_since": silent_since(wanted.at)}
        dialect, paged = self.session.dialect, shape
        limits: Parameters = {"limit": page.limit, "offset": page.offset}
        if page.after is not None:
            paged, limits["after"] = (*shape, "after"), page.after

        def steps() -> Steps[PageOfRows]:
            rows = yield _select_page(*paged)(dialect, **given, **limits)
            ((total,),) = yield _select_count(*shape)(dialect, **given)
            return PageOfRows([AgentRow._make(row) for row in rows], total)

        return await self.session.read(steps)

    async def names(self, principal: Principal, *, board: BoardId | None = None) -> list[AgentNameRow]:
        """
        Return the names of the agents whose names the principal may know, on all boards or on one, by agent number.
        """
        given = board_filter_for(boards_of_nameable_agents(principal))
        if board is not None:
            given["board"] = board.bytes
        dialect, own = self.session.dialect, principal.organization.bytes

        def steps() -> Steps[list[AgentNameRow]]:
            rows = yield _select_names(*given)(dialect, organization=own, **given)
            return [AgentNameRow._make((*row[:4], optional_uuid(row[4]))) for row in rows]

        return await self.session.read(steps)

    async def keys(self, principal: Principal, agent: AgentId) -> list[ApiKeyRow]:
        """
        Return the agent's API keys, newest first.
        """
        dialect, given = self.session.dialect, board_filter_of(principal)

        def steps() -> Steps[list[ApiKeyRow]]:
            rows = yield select_keys(KEY_COLUMNS, *given)(
                dialect, organization=principal.organization.bytes, agent=agent.bytes, **given
            )
            return [ApiKeyRow._make(row) for row in rows]

        return await self.session.read(steps)

    async def connections(self, principal: Principal, page: PageRequest) -> PageOfRows:
        """
        Return a page of tool connections with their agents, newest first.
        """
        dialect = self.session.dialect
        return await self.session.read(lambda: read_connections(dialect, principal, page))


def _filter_parameters(principal: Principal, wanted: AgentFilter) -> Parameters:
    """
    Return the parameters of the filters that apply, by their names in `FILTERS`.
    """
    given = board_filter_of(principal)
    if wanted.board is not None:
        given["board"] = wanted.board.bytes
    if wanted.role is not None:
        given["role"] = wanted.role
    if not wanted.hidden:
        given["hidden"] = 0
    if wanted.status is not None:
        given["as_made" if wanted.as_made else "status"] = wanted.status
    return given
