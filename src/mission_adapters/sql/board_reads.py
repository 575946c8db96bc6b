"""
The read models of boards in SQL.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from attrs import field
from sqlalchemy import ColumnElement, Executable, Table, and_, exists, func, or_, select

from mission_adapters.sql.board_visibility import BOARD_FILTERS, board_filter_of, require_visible
from mission_adapters.sql.counters import sum_where
from mission_adapters.sql.database_session import DatabaseSession, Steps
from mission_adapters.sql.read_cache import CachedReads, cached_reads, columns_read
from mission_adapters.sql.statements import cached_statement, parameter
from mission_adapters.sql.tables import agents, boards, numbers, tallies, tasks
from mission_core.boards.model import GENERAL_HANDLE, BoardNotFound, BoardStatus
from mission_core.boards.queries import BoardRow
from mission_core.ids import BoardId
from mission_core.lazy_attrs import frozen
from mission_core.values import PageOfRows

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.boards.queries import BoardFilter
    from mission_core.ids import BoardNumber
    from mission_core.values import PageRequest

Parameters = dict[str, Any]
_in_organization: Final = boards.c.organization == parameter("organization")
_ticket_numbers: Final = and_(numbers.c.scope == boards.c.id, numbers.c.kind == "ticket")
_joined_columns: Final[dict[str, ColumnElement[Any]]] = {
    "ticket_counter": func.coalesce(numbers.c.value, 0),
    "task_count": sum_where(
        tallies, tallies.c.organization == boards.c.organization, tallies.c.board == boards.c.id
    ).scalar_subquery(),
}
ROWS: Final = (
    select(*(_joined_columns[name] if name in _joined_columns else boards.c[name] for name in BoardRow._fields))
    .select_from(boards.outerjoin(numbers, _ticket_numbers))
    .where(_in_organization)
)
FILTERS: Final[dict[str, Callable[[], ColumnElement[bool]]]] = {
    "id": lambda: boards.c.id == parameter("id"),
    "number": lambda: boards.c.number == parameter("number", int),
    "after": lambda: boards.c.number < parameter("after", int),
    "own_board": lambda: BOARD_FILTERS["own_board"](boards.c.id),
    "own_boards": lambda: BOARD_FILTERS["own_boards"](boards.c.id),
    "status": lambda: boards.c.status == parameter("status", str),
    "general": lambda: or_(boards.c.handle != parameter("general", str), _has_rows_in(tasks), _has_rows_in(agents)),
}
"""The SQL condition of a filter by the name of its parameter. Other names are those of columns."""


def _condition(name: str) -> ColumnElement[bool]:
    if name in FILTERS:
        return FILTERS[name]()
    return boards.c[name] == parameter(name, boards.c[name].type.python_type)


def _has_rows_in(table: Table) -> ColumnElement[bool]:
    return exists().where(table.c.board == boards.c.id).correlate(boards)


@cached_statement
def select_board(*filters: str) -> Executable:
    """
    Select the board rows that match these filters.
    """
    return ROWS.where(*map(_condition, filters))


@cached_statement
def select_id(*filters: str) -> Executable:
    """
    Select the ids of the boards that match these filters.
    """
    return select(boards.c.id).where(_in_organization, *map(_condition, filters))


@cached_statement
def _select_all(by_name: bool, *filters: str) -> Executable:
    found = ROWS.where(*map(_condition, filters))
    newest = boards.c.number.desc()
    return found.order_by(boards.c.name_key, newest) if by_name else found.order_by(newest)


@cached_statement
def _select_page(by_name: bool, *filters: str) -> Executable:
    found: Any = _select_all(by_name, *filters).core
    paged: Executable = found.limit(parameter("limit", int)).offset(parameter("offset", int))
    return paged


@cached_statement
def _select_count(*filters: str) -> Executable:
    found = select(func.count()).select_from(boards).where(_in_organization)
    return found.where(*(_condition(name) for name in filters if name != "after"))


@cache
def id_columns() -> frozenset[str]:
    """
    Return the columns from which the id of a board is read.
    """
    return columns_read([select_id("id"), select_id("number")])


@frozen(eq=False, repr=False)
class SqlBoardReads:
    """
    Reads the boards that a principal may see.
    """

    session: DatabaseSession
    _ids: CachedReads[BoardId] = field(init=False, default=cached_reads(id_columns))

    async def get(self, principal: Principal, board: BoardId | BoardNumber) -> BoardRow:
        """
        Return the board with this id or number.
        """
        given = _key_parameters(board)
        rows = await self._select_by_key(select_board, principal, given)
        row = BoardRow._make(rows[0]) if rows else None
        return require_visible(principal, row, BoardId(UUID(bytes=row.id)) if row else None, BoardNotFound)

    async def check(self, principal: Principal, board: BoardId | BoardNumber) -> BoardId:
        """
        Return the id of a board that the principal may see.
        """
        key = principal.organization, board
        id = self._ids.find(key) or await self._ids.read(key, partial(self._read_id, principal, board))
        return require_visible(principal, id, id, BoardNotFound)

    async def _read_id(self, principal: Principal, board: BoardId | BoardNumber) -> BoardId | None:
        rows = await self._select_by_key(select_id, principal, _key_parameters(board))
        return BoardId(UUID(bytes=rows[0][0])) if rows else None

    async def page(self, principal: Principal, wanted: BoardFilter, page: PageRequest | None = None) -> PageOfRows:
        """
        Return a page of boards, or all boards without *page*, with the total count.
        """
        given, dialect = _filter_parameters(principal, wanted), self.session.dialect
        shape = paged = tuple(given)
        given["organization"] = principal.organization.bytes
        limits: Parameters = {"limit": page.limit, "offset": page.offset} if page else {}
        if page is not None and page.after is not None:
            paged, limits["after"] = (*shape, "after"), page.after

        def steps() -> Steps[PageOfRows]:
            rows = yield (_select_page if page else _select_all)(wanted.by_name, *paged)(dialect, **given, **limits)
            total = len(rows)
            if page is not None:
                ((total,),) = yield _select_count(*shape)(dialect, **given)
            return PageOfRows([BoardRow._make(row) for row in rows], total)

        return await self.session.read(steps)

    async def _select_by_key(self, factory: Callable[..., Any], principal: Principal, given: Parameters) -> list[Any]:
        def steps() -> Steps[list[Any]]:
            ask = factory(*given)(self.session.dialect, organization=principal.organization.bytes, **given)
            rows: list[Any] = yield ask
            return rows

        return await self.session.read(steps)


def _key_parameters(board: BoardId | BoardNumber) -> Parameters:
    return {"id": board.bytes} if isinstance(board, UUID) else {"number": board}


def _filter_parameters(principal: Principal, wanted: BoardFilter) -> Parameters:
    """
    Return the parameters of the filters that apply, by name.
    """
    given = board_filter_of(principal)
    if not wanted.archived:
        given["status"] = BoardStatus.ACTIVE.value
    for name, value in wanted.values.items():
        given[name] = value.bytes if isinstance(value, UUID) else value
    if not wanted.empty_general:
        given["general"] = GENERAL_HANDLE
    return given
