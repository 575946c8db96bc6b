"""
The read models of agents and their API keys in SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Executable, Select, Table, exists, func, literal_column, select, text, union

from mission_adapters.sql.agent_row_query import (
    STATUS,
    STATUS_AS_MADE,
    agent_rows_of,
    select_agent_json,
    select_agent_rows,
    silent_since,
)
from mission_adapters.sql.board_visibility import (
    BOARD_FILTERS,
    board_filter_for,
    board_filter_of,
    on_boards,
    require_visible,
)
from mission_adapters.sql.conversions import optional_uuid
from mission_adapters.sql.counters import sum_where
from mission_adapters.sql.database_session import DatabaseSession, Steps
from mission_adapters.sql.json_objects import makes_json
from mission_adapters.sql.statements import (
    IdArray,
    IntegerArray,
    TextArray,
    cached_statement,
    in_array,
    parameter,
    without_index,
)
from mission_adapters.sql.tables import DASHED_NAME, OTHER_HANDLES, agent_counts, agents, api_keys
from mission_core.agents.model import AgentNotFound
from mission_core.agents.queries import (
    STORED_AGENT_FIELDS,
    STORED_AGENTS,
    AgentNameRow,
    AgentRow,
    ApiKeyRow,
    boards_of_nameable_agents,
)
from mission_core.ids import BoardId
from mission_core.lazy_attrs import frozen
from mission_core.projections import Projection
from mission_core.values import PageOfRows, name_key

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.agents.queries import AgentFilter
    from mission_core.ids import AgentId, AgentNumber
    from mission_core.values import PageRequest

Parameters = dict[str, Any]
_in_organization: Final = agents.c.organization == parameter("organization")
BOARD: Final = AgentRow._fields.index("board")
ROWS: Final = select(*(agents.c[name] for name in STORED_AGENT_FIELDS)).where(_in_organization)
KEY_COLUMNS: Final = tuple(api_keys.c[name] for name in ApiKeyRow._fields)
SelectAgents = Callable[..., Select[Any]]
COUNT_FILTERS: Final[dict[str, Callable[[Table], ColumnElement[bool]]]] = {
    "own_board": lambda table: BOARD_FILTERS["own_board"](table.c.board),
    "own_boards": lambda table: BOARD_FILTERS["own_boards"](table.c.board),
    "board": lambda table: table.c.board == parameter("board"),
    "role": lambda table: table.c.role == parameter("role", str),
    "hidden": lambda table: table.c.hidden == parameter("hidden", int),
}
"""The filters that apply to agents and to their counters alike, by the names of their parameters."""
FILTERS: Final[dict[str, Callable[[], ColumnElement[bool]]]] = {
    **{name: partial(condition, agents) for name, condition in COUNT_FILTERS.items()},
    "id": lambda: agents.c.id == parameter("id"),
    "ids": lambda: in_array(agents.c.id, "ids", IdArray()),
    "number": lambda: agents.c.number == parameter("number", int),
    "name": lambda: agents.c.name_key == parameter("name", str),
    "names": lambda: in_array(agents.c.name_key, "names", TextArray()),
    "after": lambda: agents.c.number < parameter("after", int),
    "status": lambda: STATUS == parameter("status", str),
    "as_made": lambda: STATUS_AS_MADE == parameter("status", str),
}
"""The SQL condition of each filter, by the name of its parameter."""


@cached_statement
def _select_one(*filters: str) -> Executable:
    return ROWS.where(*(FILTERS[name]() for name in filters))


@cached_statement
def _select_several(*filters: str) -> Executable:
    found = select(*(agents.c[name] for name in STORED_AGENT_FIELDS))
    own = without_index(agents.c.organization) == parameter("organization")
    return found.where(own, *(FILTERS[name]() for name in filters))


@cached_statement
def _select_session_keys(*filters: str) -> Executable:
    found = select(agents.c.name_key, agents.c.session_key)
    return found.where(_in_organization, *(FILTERS[name]() for name in filters))


@cached_statement
def select_page(
    dialect: str, selected: SelectAgents, as_made: bool, shown: Projection, after: bool, *filters: str
) -> Executable:
    """
    Select a page of the agents that match the filters, newest first. The last column is the total count.
    """
    counted = _count(*filters).correlate(None).scalar_subquery()
    on_board = (name for name in filters if name in BOARD_FILTERS)
    found = selected(dialect, as_made, shown, *on_board).add_columns(counted).where(_in_organization)
    paged = (*filters, "after") if after else filters
    found = found.where(*(FILTERS[name]() for name in paged)).order_by(agents.c.number.desc())
    return found.limit(parameter("limit", int)).offset(parameter("offset", int))


@cached_statement
def _select_numbered(dialect: str, as_made: bool, shown: Projection, *board_filters: str) -> Executable:
    numbered = in_array(agents.c.number, "numbers", IntegerArray())
    return select_agent_rows(dialect, as_made, shown, *board_filters).where(_in_organization, numbered)


def _count(*filters: str) -> Select[Any]:
    if COUNT_FILTERS.keys() >= set(filters):
        own = agent_counts.c.organization == parameter("organization")
        return sum_where(agent_counts, own, *(COUNT_FILTERS[name](agent_counts) for name in filters))
    found = select(func.count()).select_from(agents).where(_in_organization)
    return found.where(*(FILTERS[name]() for name in filters))


_select_count = cached_statement(_count)


def _names_where(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(*(agents.c[name] for name in AgentNameRow._fields)).where(*conditions).order_by(agents.c.number)


@cached_statement
def select_names(*filters: str) -> Executable:
    """
    Select the agents that match the filters.
    """
    return _names_where(_in_organization, *(FILTERS[name]() for name in filters))


@cached_statement
def select_names_of_handles(dialect: str, *filters: str) -> Executable:
    """
    Select the agents that may have one of some handles: it is their name, or their name with dashes instead of spaces,
    or they are of the few that may have other handles. All are found by indexes.
    """
    ids = select(agents.c.id).where(_in_organization).correlate(None)
    by_name = ids.where(in_array(agents.c.name_key, "handles", TextArray()))
    by_dashed_name = ids.where(in_array(literal_column(DASHED_NAME), "handles", TextArray()))
    # SQLite, which has no statistics, takes the partial index for no better than others by organization.
    indexed = "agents INDEXED BY ix_agents_other_handles" if dialect == "sqlite" else "agents"
    own = literal_column("organization") == parameter("organization")
    others: Select[Any] = select(literal_column("id")).select_from(text(indexed))
    others = others.where(own, literal_column(f"({OTHER_HANDLES[dialect]})"))
    found = agents.c.id.in_(union(by_name, by_dashed_name, others))
    return _names_where(found, *(FILTERS[name]() for name in filters))


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


@frozen(eq=False, repr=False)
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
        row = AgentRow(*found[0]) if found else None
        board = BoardId(UUID(bytes=row.board)) if row and row.board else None
        return require_visible(principal, row, board, AgentNotFound)

    async def several(self, principal: Principal, agents: Collection[AgentId]) -> list[AgentRow]:
        """
        Return those of these agents that the principal may see.
        """
        given = {"ids": [each.bytes for each in agents], **board_filter_of(principal)}
        dialect, own = self.session.dialect, principal.organization.bytes

        def steps() -> Steps[list[Any]]:
            rows: list[Any] = yield _select_several(*given)(dialect, organization=own, **given)
            return rows

        return [AgentRow(*row) for row in await self.session.read(steps)]

    async def page(
        self, principal: Principal, wanted: AgentFilter, page: PageRequest, shown: Projection = STORED_AGENTS
    ) -> PageOfRows:
        """
        Return a page of agents, newest first, with the total count.
        """
        dialect, given = self.session.dialect, _filter_parameters(principal, wanted)
        shape, after = tuple(given), page.after is not None
        given |= {"organization": principal.organization.bytes, "silent_since": silent_since(wanted.at)}
        if wanted.status is not None:
            given["status"] = wanted.status
        limits: Parameters = {"limit": page.limit, "offset": page.offset, "after": page.after}

        def steps() -> Steps[PageOfRows]:
            selected = select_agent_json if makes_json(dialect, shown) else select_agent_rows
            statement = select_page(dialect, selected, wanted.as_made, shown, after, *shape)
            found = yield statement(dialect, **given, **limits)
            if not found:
                ((total,),) = yield _select_count(*shape)(dialect, **given)
                return PageOfRows([], total)
            if selected is select_agent_json:
                rows = yield from _with_rendered_rows(dialect, shown, wanted.as_made, given, found)
            else:
                rows = list(map(shown.render, agent_rows_of(found, shown)))
            return PageOfRows(rows, found[0][-1])

        return await self.session.read(steps)

    async def names(
        self, principal: Principal, *, board: BoardId | None = None, handles: Collection[str] | None = None
    ) -> list[AgentNameRow]:
        """
        Return the names of the agents whose names the principal may know, on all boards or on one, by agent number.
        With *handles*, agents that have none of them are left out, as far as their rows tell.
        """
        given = board_filter_for(boards_of_nameable_agents(principal))
        if board is not None:
            given["board"] = board.bytes
        dialect, own = self.session.dialect, principal.organization.bytes

        def steps() -> Steps[list[AgentNameRow]]:
            if handles is None:
                rows = yield select_names(*given)(dialect, organization=own, **given)
            else:
                ask = select_names_of_handles(dialect, *given)
                rows = yield ask(dialect, organization=own, handles=sorted(handles), **given)
            return [AgentNameRow._make((*row[:4], optional_uuid(row[4]))) for row in rows]

        return await self.session.read(steps)

    async def session_keys(self, principal: Principal, names: Collection[str]) -> dict[str, str]:
        """
        Return the session keys of the agents with these names, by the keys of their names.
        """
        given = {"names": sorted(set(map(name_key, names))), **board_filter_of(principal)}
        dialect, own = self.session.dialect, principal.organization.bytes

        def steps() -> Steps[dict[str, str]]:
            rows = yield _select_session_keys(*given)(dialect, organization=own, **given)
            return {name: key for name, key in rows if key is not None}

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
        from mission_adapters.sql.tool_connection_reads import read_connections  # few organizations have any

        dialect = self.session.dialect
        return await self.session.read(lambda: read_connections(dialect, principal, page))


def _with_rendered_rows(
    dialect: str, shown: Projection, as_made: bool, given: Parameters, found: list[Any]
) -> Steps[list[Any]]:
    """
    Return the JSON objects of agents. Those that the database could not make are rendered.
    """
    rendered: dict[int, Any] = {}
    missing = [number for number, text, _ in found if text is None]
    if missing:
        on_board = (name for name in given if name in BOARD_FILTERS)
        rows = yield _select_numbered(dialect, as_made, shown, *on_board)(dialect, numbers=missing, **given)
        rendered = {row.number: shown.render(row) for row in agent_rows_of(rows, shown)}
    return [rendered[number] if text is None else shown.of_json(text) for number, text, _ in found]


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
