"""
The read models of boards in SQL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from attrs import frozen
from sqlalchemy import ColumnElement, Executable, Table, and_, cast, exists, func, or_, select

from mission_adapters.sql.columns import INTEGER
from mission_adapters.sql.grants import WITHIN, border_of, granted
from mission_adapters.sql.session import Session, Steps
from mission_adapters.sql.statements import shaped, value
from mission_adapters.sql.tables import agents, boards, numbers, tallies, tasks
from mission_core.boards.model import GENERAL, BoardNotFound, BoardStatus
from mission_core.boards.queries import BoardRow
from mission_core.ids import BoardId
from mission_core.values import Listed

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.boards.queries import BoardFilter
    from mission_core.ids import BoardNumber
    from mission_core.values import Page

Given = dict[str, Any]
_own: Final = boards.c.organization == value("organization")
_drawn: Final = and_(numbers.c.scope == boards.c.id, numbers.c.kind == "ticket")
_elsewhere: Final[dict[str, ColumnElement[Any]]] = {
    "ticket_counter": func.coalesce(numbers.c.value, 0),
    "task_count": cast(
        select(func.coalesce(func.sum(tallies.c.amount), 0))
        .where(tallies.c.organization == boards.c.organization, tallies.c.board == boards.c.id)
        .scalar_subquery(),
        INTEGER,
    ),
}
ROWS: Final = (
    select(*(_elsewhere[name] if name in _elsewhere else boards.c[name] for name in BoardRow._fields))
    .select_from(boards.outerjoin(numbers, _drawn))
    .where(_own)
)
FILTERS: Final[dict[str, Callable[[], ColumnElement[bool]]]] = {
    "id": lambda: boards.c.id == value("id"),
    "number": lambda: boards.c.number == value("number", int),
    "after": lambda: boards.c.number < value("after", int),
    "own_board": lambda: WITHIN["own_board"](boards.c.id),
    "own_boards": lambda: WITHIN["own_boards"](boards.c.id),
    "status": lambda: boards.c.status == value("status", str),
    "gateway": lambda: boards.c.gateway == value("gateway"),
    "group": lambda: boards.c.group == value("group"),
    "general": lambda: or_(boards.c.handle != value("general", str), _used(tasks), _used(agents)),
}
"""The SQL condition of each filter, by the name of its parameter."""


def _used(table: Table) -> ColumnElement[bool]:
    return exists().where(table.c.board == boards.c.id).correlate(boards)


@shaped
def one_board(*filters: str) -> Executable:
    """
    Select the board rows that match these filters.
    """
    return ROWS.where(*(FILTERS[name]() for name in filters))


@shaped
def _place(*filters: str) -> Executable:
    return select(boards.c.id).where(_own, *(FILTERS[name]() for name in filters))


@shaped
def _all(by_name: bool, *filters: str) -> Executable:
    found = ROWS.where(*(FILTERS[name]() for name in filters))
    newest = boards.c.number.desc()
    return found.order_by(boards.c.name_key, newest) if by_name else found.order_by(newest)


@shaped
def _page(by_name: bool, *filters: str) -> Executable:
    found: Any = _all(by_name, *filters).core
    paged: Executable = found.limit(value("limit", int)).offset(value("offset", int))
    return paged


@shaped
def _count(*filters: str) -> Executable:
    found = select(func.count()).select_from(boards).where(_own)
    return found.where(*(FILTERS[name]() for name in filters if name != "after"))


@frozen
class SqlBoardReads:
    """
    Reads the boards that a principal may see.
    """

    session: Session

    async def get(self, principal: Principal, board: BoardId | BoardNumber) -> BoardRow:
        """
        Return the board with this id or number.
        """
        given = _key(board)
        rows = await self._first(one_board, principal, given)
        row = BoardRow._make(rows[0]) if rows else None
        return granted(principal, row, BoardId(UUID(bytes=row.id)) if row else None, BoardNotFound)

    async def check(self, principal: Principal, board: BoardId | BoardNumber) -> BoardId:
        """
        Return the id of a board that the principal may see.
        """
        rows = await self._first(_place, principal, _key(board))
        id = BoardId(UUID(bytes=rows[0][0])) if rows else None
        return granted(principal, id, id, BoardNotFound)

    async def page(self, principal: Principal, wanted: BoardFilter, page: Page | None = None) -> Listed:
        """
        Return a page of boards, or all boards without *page*, with the total count.
        """
        given, dialect = _asked(principal, wanted), self.session.dialect
        shape = paged = tuple(given)
        given["organization"] = principal.organization.bytes
        limits: Given = {"limit": page.limit, "offset": page.offset} if page else {}
        if page is not None and page.after is not None:
            paged, limits["after"] = (*shape, "after"), page.after

        def steps() -> Steps[Listed]:
            rows = yield (_page if page else _all)(wanted.by_name, *paged)(dialect, **given, **limits)
            total = len(rows)
            if page is not None:
                ((total,),) = yield _count(*shape)(dialect, **given)
            return Listed([BoardRow._make(row) for row in rows], total)

        return await self.session.read(steps)

    async def _first(self, family: Callable[..., Any], principal: Principal, given: Given) -> list[Any]:
        def steps() -> Steps[list[Any]]:
            ask = family(*given)(self.session.dialect, organization=principal.organization.bytes, **given)
            rows: list[Any] = yield ask
            return rows

        return await self.session.read(steps)


def _key(board: BoardId | BoardNumber) -> Given:
    return {"id": board.bytes} if isinstance(board, UUID) else {"number": board}


def _asked(principal: Principal, wanted: BoardFilter) -> Given:
    """
    Return the parameters of the filters that apply, by their names in `FILTERS`.
    """
    given = border_of(principal)
    if not wanted.archived:
        given["status"] = BoardStatus.ACTIVE.value
    if wanted.gateway is not None:
        given["gateway"] = wanted.gateway.bytes
    if wanted.group is not None:
        given["group"] = wanted.group.bytes
    if not wanted.empty_general:
        given["general"] = GENERAL
    return given
