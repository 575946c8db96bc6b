"""
The read models of tasks in SQL: single tasks, pages, run history, tasks in progress and counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from attrs import frozen
from sqlalchemy import ColumnElement, Executable, FromClause, Select, Table, cast, func, select, true

from mission_adapters.sql.columns import INTEGER
from mission_adapters.sql.grants import WITHIN, border_of, within
from mission_adapters.sql.in_hand import read_in_hand
from mission_adapters.sql.mapping import id_from
from mission_adapters.sql.plain import SHELVES
from mission_adapters.sql.run_reads import read_history, read_situation
from mission_adapters.sql.session import Session, Steps
from mission_adapters.sql.statements import Ids, Texts, among, shaped, value
from mission_adapters.sql.tables import agents, boards, marks, tallies, tasks, under_way, workloads
from mission_adapters.sql.task_rows import BOARD, ROWS, ROWS_OF_A_BOARD, shown
from mission_core.accounts.model import sees
from mission_core.boards.model import BoardDenied
from mission_core.boards.tags import TAGS
from mission_core.ids import BoardId
from mission_core.tasks.model import TaskNotFound
from mission_core.tasks.queries import TaskRow
from mission_core.values import Listed, name_key

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ids import TagId, TaskId, TaskNumber
    from mission_core.tasks.ports import InHand
    from mission_core.tasks.queries import Reading, RunRow, TaskFilter
    from mission_core.values import Page

Given = dict[str, Any]
tags: Final = SHELVES[TAGS].table
_own: Final = value("organization")
DEEP: Final = 1000
"""The offset from which a page is read by `_deep_page`."""
BY_NAME: Final = frozenset({"name", "agent"})
"""The filters that are more selective than a board."""
Filter = Callable[[Table], ColumnElement[bool]]
COMMON: Final[dict[str, Filter]] = {
    "status": lambda table: table.c.status == value("status", str),
    "statuses": lambda table: among(table.c.status, "statuses", Texts()),
    "board": lambda table: table.c.board == value("board"),
    "board_number": lambda table: table.c.board == _board_numbered(),
    "priority": lambda table: table.c.priority == value("priority", str),
    "own_board": lambda table: WITHIN["own_board"](table.c.board),
    "own_boards": lambda table: WITHIN["own_boards"](table.c.board),
}
"""The filters that apply to tasks and to task counters alike, by the names of their parameters."""
OF_TASKS: Final[dict[str, Filter]] = COMMON | {
    "id": lambda _: tasks.c.id == value("id"),
    "number": lambda _: tasks.c.number == value("number", int),
    "after": lambda _: tasks.c.number < value("after", int),
    "name": lambda _: tasks.c.assignee_key == value("name", str),
    "agent": lambda _: tasks.c.assignee_key == _name_of_agent(),
    "nobody": lambda _: tasks.c.assignee_key.is_(None),
}
OF_TALLIES: Final[dict[str, Filter]] = COMMON | {"nobody": lambda _: tallies.c.assigned == 0}
OF_WORKLOADS: Final[dict[str, Filter]] = COMMON | {
    "name": lambda _: workloads.c.assignee_key == value("name", str),
    "agent": lambda _: workloads.c.assignee_key == _name_of_agent(),
}


def _board_numbered() -> Any:
    found = select(boards.c.id).where(boards.c.organization == _own, boards.c.number == value("board_number", int))
    return found.scalar_subquery()


def _name_of_agent() -> Any:
    found = select(agents.c.name_key).where(agents.c.organization == _own, agents.c.id == value("agent"))
    return found.scalar_subquery()


def _fits(filters: Iterable[str]) -> Iterable[ColumnElement[bool]]:
    return (OF_TASKS[name](tasks) for name in filters)


@shaped
def _one(*filters: str) -> Executable:
    return ROWS.where(*_fits(filters))


@shaped
def page_of_tasks(dialect: str, *filters: str) -> Executable:
    """
    Select a page of the tasks that match the filters, newest first.
    """
    if _goes_by_board(filters):
        return _beside(_newest_of_each(dialect, *filters))
    on_board = BY_NAME.isdisjoint(filters) and not {"own_board", "board"}.isdisjoint(filters)
    rows = ROWS_OF_A_BOARD if on_board else ROWS
    found = rows.where(*_fits(filters)).order_by(tasks.c.number.desc())
    return found.limit(value("limit", int)).offset(value("offset", int))


@shaped
def _deep_page(dialect: str, *filters: str) -> Executable:
    """
    Select a page at a large offset. The skipped tasks are skipped in an index, without reading their rows.
    """
    if _goes_by_board(filters):
        return _beside(_newest_of_each(dialect, *filters))
    skipping = select(tasks.c.number).where(tasks.c.organization == _own, *_fits(filters))
    skipping = skipping.order_by(tasks.c.number.desc()).limit(value("limit", int)).offset(value("offset", int))
    return _beside(skipping)


def _beside(numbers: Select[Any]) -> Executable:
    page = numbers.subquery("page")
    return ROWS.join(page, page.c.number == tasks.c.number).order_by(tasks.c.number.desc())


def _goes_by_board(filters: Iterable[str]) -> bool:
    """
    Whether tasks of several boards should be read board by board, because no other filter is more selective.
    """
    return "own_boards" in filters and (BY_NAME | {"board", "board_number"}).isdisjoint(filters)


def _newest_of_each(dialect: str, *filters: str) -> Select[Any]:
    """
    Select the task numbers of a page over several boards, by merging the newest tasks of each board.
    """
    # The index over all tasks would be scanned far for boards with few new tasks; the index by board is not.
    fits = _fits(name for name in filters if name != "own_boards")
    first = select(tasks.c.number).where(tasks.c.board == boards.c.id, *fits).order_by(tasks.c.number.desc())
    first = first.limit(value("reach", int)).correlate(boards)
    of_each: FromClause
    if dialect == "postgresql":
        of_each = first.lateral("of_each")
        number = of_each.c.number
    else:  # SQLite has no LATERAL, but a table-valued function may refer to the tables before it
        together = select(func.json_group_array(first.subquery("first").c.number)).scalar_subquery()
        of_each = func.json_each(together).table_valued("value", name="of_each")
        number = of_each.c.value
    found = select(number.label("number")).select_from(boards.join(of_each, true()))
    found = found.where(boards.c.organization == _own, WITHIN["own_boards"](boards.c.id)).order_by(number.desc())
    return found.limit(value("limit", int)).offset(value("offset", int))


@shaped
def _total(*filters: str) -> Executable:
    for table, known in ((tallies, OF_TALLIES), (workloads, OF_WORKLOADS)):
        if known.keys() >= set(filters):
            total = cast(func.coalesce(func.sum(table.c.amount), 0), INTEGER)
            return select(total).where(table.c.organization == _own, *(known[name](table) for name in filters))
    found = select(func.count()).select_from(tasks).where(tasks.c.organization == _own)
    return found.where(*_fits(filters))


@shaped
def _under_way(*filters: str) -> Executable:
    found = ROWS.where(under_way, *_fits(filters))
    return found.order_by(tasks.c.rank, tasks.c.number).limit(value("limit", int))


@shaped
def _count_by_tag(*board_filters: str) -> Executable:
    carrying = marks.join(tags, tags.c.id == marks.c.mark)
    if board_filters:
        carrying = carrying.join(tasks, tasks.c.id == marks.c.task)
    found = select(marks.c.mark, func.count()).select_from(carrying)
    found = found.where(tags.c.organization == _own, among(marks.c.mark, "tags", Ids()))
    return found.where(*within(tasks.c.board, board_filters)).group_by(marks.c.mark)


@shaped
def _tally(*filters: str) -> Executable:
    amount = cast(func.sum(workloads.c.amount), INTEGER)
    found = select(workloads.c.assignee_key, workloads.c.status, amount).where(
        workloads.c.organization == _own,
        among(workloads.c.assignee_key, "names", Texts()),
        *(OF_WORKLOADS[name](workloads) for name in filters),
    )
    return found.group_by(workloads.c.assignee_key, workloads.c.status).having(func.sum(workloads.c.amount) > 0)


@frozen
class SqlTaskReads:
    """
    Reads the tasks that a principal may see.
    """

    session: Session

    async def get(self, principal: Principal, task: TaskId | TaskNumber) -> TaskRow:
        """
        Return the task with this id or number.
        """
        given: Given = {"id": task.bytes} if isinstance(task, UUID) else {"number": task}
        dialect, own = self.session.dialect, principal.organization.bytes

        def steps() -> Steps[TaskRow]:
            found = yield _one(*given)(dialect, organization=own, **given)
            if not found:
                raise TaskNotFound
            if not sees(principal, BoardId(UUID(bytes=found[0][BOARD]))):
                raise BoardDenied
            rows = yield from shown(dialect, principal.organization, found)
            return rows[0]

        return await self.session.read(steps)

    async def page(self, principal: Principal, wanted: TaskFilter, page: Page) -> Listed:
        """
        Return a page of tasks, newest first, with the total count.
        """
        given = _asked(principal, wanted)
        shape = tuple(given)
        given["organization"] = principal.organization.bytes
        dialect, paged = self.session.dialect, shape
        family = page_of_tasks if page.offset < DEEP else _deep_page
        limits: Given = {"limit": page.limit, "offset": page.offset, "reach": page.limit + page.offset}
        if page.after is not None:
            paged, limits["after"] = (*shape, "after"), page.after

        def steps() -> Steps[Listed]:
            found = yield family(dialect, *paged)(dialect, **given, **limits)
            rows = yield from shown(dialect, principal.organization, found)
            if page.after is None and 0 < len(rows) < page.limit:
                return Listed(rows, page.offset + len(rows))  # on the last page the total is known
            ((total,),) = yield _total(*shape)(dialect, **given)
            return Listed(rows, total)

        return await self.session.read(steps)

    async def runs(self, principal: Principal, task: TaskId | TaskNumber) -> list[RunRow]:
        """
        Return the runs of a task, latest first.
        """
        dialect = self.session.dialect
        return await self.session.read(lambda: read_history(dialect, principal, task))

    async def reading(self, principal: Principal, task: TaskId | TaskNumber) -> Reading:
        """
        Return a consistent snapshot of a task and its dependencies, from which the task's status can be explained.
        """
        dialect = self.session.dialect
        return await self.session.read(lambda: read_situation(dialect, principal, task))

    async def in_hand(self, principal: Principal, name: str) -> list[InHand]:
        """
        Return the tasks in progress of an assignee name, last changed first.
        """
        dialect = self.session.dialect
        return await self.session.read(lambda: read_in_hand(dialect, principal, name_key(name)))

    async def waiting_for(self, principal: Principal, assignee: str, *, limit: int) -> list[TaskRow]:
        """
        Return the assigned and in-progress tasks of an assignee name, by priority, oldest first.
        """
        given: Given = {"name": name_key(assignee), **border_of(principal)}
        dialect, own = self.session.dialect, principal.organization.bytes

        def steps() -> Steps[list[TaskRow]]:
            found = yield _under_way(*given)(dialect, organization=own, limit=limit, **given)
            rows = yield from shown(dialect, principal.organization, found)
            return rows

        return await self.session.read(steps)

    async def count_by_tag(self, principal: Principal, tags: Sequence[TagId]) -> dict[TagId, int]:
        """
        Count the tasks of each of these tags.
        """
        dialect, own = self.session.dialect, principal.organization.bytes
        ids, given = sorted(each.bytes for each in tags), border_of(principal)

        def steps() -> Steps[dict[TagId, int]]:
            found = yield _count_by_tag(*given)(dialect, organization=own, tags=ids, **given)
            return {id_from(tag): count for tag, count in found}

        return await self.session.read(steps)

    async def count_by_status(self, principal: Principal, assignees: tuple[str, ...]) -> dict[tuple[str, str], int]:
        """
        Count the tasks of each of these assignee names in each status.
        """
        given, dialect = border_of(principal), self.session.dialect
        names = list({name_key(each) for each in assignees})

        def steps() -> Steps[dict[tuple[str, str], int]]:
            found = yield _tally(*given)(dialect, organization=principal.organization.bytes, names=names, **given)
            return {(name, status): count for name, status, count in found}

        return await self.session.read(steps)


def _asked(principal: Principal, wanted: TaskFilter) -> Given:
    """
    Return the parameters of the filters that apply, by their names in `OF_TASKS`.
    """
    given = border_of(principal)
    if wanted.statuses is not None and len(wanted.statuses) == 1:
        given["status"] = wanted.statuses[0].value
    elif wanted.statuses is not None:
        given["statuses"] = [each.value for each in wanted.statuses]
    if isinstance(wanted.board, UUID):
        given["board"] = wanted.board.bytes
    elif wanted.board is not None:
        given["board_number"] = wanted.board
    if wanted.assignee is not None:
        given["name"] = name_key(wanted.assignee)
    if wanted.assignee_agent is not None:
        given["agent"] = wanted.assignee_agent.bytes
    if wanted.unassigned:
        given["nobody"] = None
    if wanted.priority is not None:
        given["priority"] = wanted.priority
    return given
