"""
The read models of agents and their API keys in SQL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from attrs import frozen
from sqlalchemy import ColumnElement, Executable, case, exists, func, literal, select

from mission_adapters.sql.connection_reads import read_connections
from mission_adapters.sql.grants import WITHIN, border_of, border_of_boards, granted, within
from mission_adapters.sql.mapping import maybe_id
from mission_adapters.sql.session import Session, Steps
from mission_adapters.sql.statements import shaped, value
from mission_adapters.sql.tables import agents, api_keys
from mission_core.agents.model import LIFECYCLE, OFFLINE, PROVISIONING, SILENCE, AgentNotFound
from mission_core.agents.queries import AgentRow, KeyRow, NameRow, boards_named
from mission_core.ids import BoardId
from mission_core.values import Listed, micros, name_key

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.agents.queries import AgentFilter
    from mission_core.ids import AgentId, AgentNumber
    from mission_core.values import Page

Given = dict[str, Any]
_own: Final = agents.c.organization == value("organization")
BOARD: Final = AgentRow._fields.index("board")
ROWS: Final = select(*(agents.c[name] for name in AgentRow._fields)).where(_own)
KEY: Final = tuple(api_keys.c[name] for name in KeyRow._fields)


def _status(unseen: Any) -> ColumnElement[bool]:
    derived = case(  # the same rule as Presence.status
        (agents.c.reported.in_(sorted(LIFECYCLE)), agents.c.reported),
        (agents.c.last_seen_at.is_(None), unseen),
        (agents.c.last_seen_at < value("silent_since", int), OFFLINE),
        else_=agents.c.reported,
    )
    return derived == value("status", str)


AS_MADE: Final = case((agents.c.reported == PROVISIONING, OFFLINE), else_=agents.c.reported)
FILTERS: Final[dict[str, Callable[[], ColumnElement[bool]]]] = {
    "id": lambda: agents.c.id == value("id"),
    "number": lambda: agents.c.number == value("number", int),
    "name": lambda: agents.c.name_key == value("name", str),
    "after": lambda: agents.c.number < value("after", int),
    "own_board": lambda: WITHIN["own_board"](agents.c.board),
    "own_boards": lambda: WITHIN["own_boards"](agents.c.board),
    "board": lambda: agents.c.board == value("board"),
    "role": lambda: agents.c.role == value("role", str),
    "hidden": lambda: agents.c.hidden == value("hidden", int),
    "status": lambda: _status(literal(PROVISIONING)),
    "as_made": lambda: _status(AS_MADE),
}
"""The SQL condition of each filter, by the name of its parameter."""


@shaped
def _one(*filters: str) -> Executable:
    return ROWS.where(*(FILTERS[name]() for name in filters))


@shaped
def _page(*filters: str) -> Executable:
    found = ROWS.where(*(FILTERS[name]() for name in filters)).order_by(agents.c.number.desc())
    return found.limit(value("limit", int)).offset(value("offset", int))


@shaped
def _count(*filters: str) -> Executable:
    found = select(func.count()).select_from(agents).where(_own)
    return found.where(*(FILTERS[name]() for name in filters if name != "after"))


@shaped
def _names(*filters: str) -> Executable:
    found = select(*(agents.c[name] for name in NameRow._fields)).where(_own, *(FILTERS[name]() for name in filters))
    return found.order_by(agents.c.number)


@shaped
def keys_of(columns: tuple[ColumnElement[Any], ...], *board_filters: str) -> Executable:
    """
    Select the keys of an agent, newest first, if the agent's board passes these board filters.
    """
    found = select(*columns).where(api_keys.c.organization == value("organization"), api_keys.c.agent == value("agent"))
    if board_filters:
        found = found.where(exists().where(agents.c.id == api_keys.c.agent, *within(agents.c.board, board_filters)))
    return found.order_by(api_keys.c.number.desc())


@frozen
class SqlAgentReads:
    """
    Reads the agents that a principal may see.
    """

    session: Session

    async def get(self, principal: Principal, agent: AgentId | AgentNumber | str) -> AgentRow:
        """
        Return the agent with this id, number or name.
        """
        given: Given
        if isinstance(agent, UUID):
            given = {"id": agent.bytes}
        else:
            given = {"name": name_key(agent)} if isinstance(agent, str) else {"number": agent}
        dialect, own = self.session.dialect, principal.organization.bytes

        def steps() -> Steps[list[Any]]:
            rows: list[Any] = yield _one(*given)(dialect, organization=own, **given)
            return rows

        found = await self.session.read(steps)
        row = AgentRow._make(found[0]) if found else None
        board = BoardId(UUID(bytes=row.board)) if row and row.board else None
        return granted(principal, row, board, AgentNotFound)

    async def page(self, principal: Principal, wanted: AgentFilter, page: Page) -> Listed:
        """
        Return a page of agents, newest first, with the total count.
        """
        given = _asked(principal, wanted)
        shape = tuple(given)
        given["organization"] = principal.organization.bytes
        if wanted.status is not None:
            given |= {"status": wanted.status, "silent_since": micros(wanted.at - SILENCE)}
        dialect, paged = self.session.dialect, shape
        limits: Given = {"limit": page.limit, "offset": page.offset}
        if page.after is not None:
            paged, limits["after"] = (*shape, "after"), page.after

        def steps() -> Steps[Listed]:
            rows = yield _page(*paged)(dialect, **given, **limits)
            ((total,),) = yield _count(*shape)(dialect, **given)
            return Listed([AgentRow._make(row) for row in rows], total)

        return await self.session.read(steps)

    async def names(self, principal: Principal, *, board: BoardId | None = None) -> list[NameRow]:
        """
        Return the names of the agents whose names the principal may know, on all boards or on one, by agent number.
        """
        given = border_of_boards(boards_named(principal))
        if board is not None:
            given["board"] = board.bytes
        dialect, own = self.session.dialect, principal.organization.bytes

        def steps() -> Steps[list[NameRow]]:
            rows = yield _names(*given)(dialect, organization=own, **given)
            return [NameRow._make((*row[:4], maybe_id(row[4]))) for row in rows]

        return await self.session.read(steps)

    async def keys(self, principal: Principal, agent: AgentId) -> list[KeyRow]:
        """
        Return the agent's API keys, newest first.
        """
        dialect, given = self.session.dialect, border_of(principal)

        def steps() -> Steps[list[KeyRow]]:
            rows = yield keys_of(KEY, *given)(
                dialect, organization=principal.organization.bytes, agent=agent.bytes, **given
            )
            return [KeyRow._make(row) for row in rows]

        return await self.session.read(steps)

    async def connections(self, principal: Principal, page: Page) -> Listed:
        """
        Return a page of tool connections with their agents, newest first.
        """
        dialect = self.session.dialect
        return await self.session.read(lambda: read_connections(dialect, principal, page))


def _asked(principal: Principal, wanted: AgentFilter) -> Given:
    """
    Return the parameters of the filters that apply, by their names in `FILTERS`.
    """
    given = border_of(principal)
    if wanted.board is not None:
        given["board"] = wanted.board.bytes
    if wanted.role is not None:
        given["role"] = wanted.role
    if not wanted.hidden:
        given["hidden"] = 0
    if wanted.status is not None:
        given["as_made" if wanted.as_made else "status"] = wanted.status
    return given
