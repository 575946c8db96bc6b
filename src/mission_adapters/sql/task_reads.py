"""
The read models of tasks in SQL: single tasks, pages, run history, tasks in progress and counts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from attrs import field
from sqlalchemy import ColumnElement, Executable, FromClause, Select, Table, func, literal_column, select, true

from mission_adapters.sql.board_visibility import BOARD_FILTERS, board_filter_of, on_boards
from mission_adapters.sql.counters import sum_where, totals
from mission_adapters.sql.database_session import DatabaseSession, Steps
from mission_adapters.sql.json_objects import makes_json
from mission_adapters.sql.kind_tables import MAPPINGS
from mission_adapters.sql.run_reads import read_history, read_situation
from mission_adapters.sql.statements import (
    IdArray,
    IntegerArray,
    TextArray,
    cached_statement,
    in_array,
    parameter,
    without_index,
)
from mission_adapters.sql.tables import agents, boards, marks, tallies, tasks, under_way, workloads
from mission_adapters.sql.task_contexts import TaskContexts
from mission_adapters.sql.task_row_query import (
    BOARD,
    row_of_committed,
    select_task_json,
    select_task_rows,
    task_rows_of,
)
from mission_adapters.sql.tasks_in_progress import read_tasks_in_progress
from mission_core.accounts.model import may_read_board
from mission_core.boards.model import BoardDenied
from mission_core.boards.tags import TAGS
from mission_core.ids import BoardId
from mission_core.lazy_attrs import frozen
from mission_core.projections import WHOLE_ROWS, Projection
from mission_core.row_mapping import uuid_of_bytes
from mission_core.tasks.model import TaskNotFound
from mission_core.tasks.queries import TaskRow
from mission_core.values import PageOfRows, name_key

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ids import OrganizationId, TagId, TaskId, TaskNumber
    from mission_core.tasks.model import Task
    from mission_core.tasks.ports import TaskInProgress
    from mission_core.tasks.queries import ExplanationInput, RunRow, TaskFilter
    from mission_core.values import PageRequest

Parameters = dict[str, Any]
tags: Final = MAPPINGS[TAGS].table
_organization: Final = parameter("organization")
DEEP_OFFSET: Final = 1000
"""The offset from which a page is read by `_select_deep_page`."""
PLANNED_LIMITS: Final = frozenset({20, 50, 100, 200})
"""The limits of first pages that have a statement of their own on PostgreSQL, which plans it once. With a parameter it
does not know how few rows are read, and plans at each execution, which costs as much as reading 50 tasks."""
NAME_FILTERS: Final = frozenset({"name", "agent"})
"""The filters that are more selective than a board."""
SelectTasks = Callable[[Projection], Select[Any]]
Filter = Callable[[Table], ColumnElement[bool]]
COMMON_FILTERS: Final[dict[str, Filter]] = {
    "status": lambda table: table.c.status == parameter("status", str),
    "statuses": lambda table: in_array(table.c.status, "statuses", TextArray()),
    "board": lambda table: table.c.board == parameter("board"),
    "board_number": lambda table: table.c.board == _board_numbered(),
    "priority": lambda table: table.c.priority == parameter("priority", str),
    "own_board": lambda table: BOARD_FILTERS["own_board"](table.c.board),
    "own_boards": lambda table: BOARD_FILTERS["own_boards"](table.c.board),
}
"""The filters that apply to tasks and to task counters alike, by the names of their parameters."""
TASK_FILTERS: Final[dict[str, Filter]] = COMMON_FILTERS | {
    "id": lambda _: tasks.c.id == parameter("id"),
    "ids": lambda _: in_array(tasks.c.id, "ids", IdArray()),
    "number": lambda _: tasks.c.number == parameter("number", int),
    "after": lambda _: tasks.c.number < parameter("after", int),
    "name": lambda _: tasks.c.assignee_key == parameter("name", str),
    "agent": lambda _: tasks.c.assignee_key == _name_of_agent(),
    "nobody": lambda _: tasks.c.assignee_key.is_(None),
}
TASK_COUNT_FILTERS: Final[dict[str, Filter]] = COMMON_FILTERS | {"nobody": lambda _: tallies.c.assigned == 0}
WORKLOAD_FILTERS: Final[dict[str, Filter]] = COMMON_FILTERS | {
    "name": lambda _: workloads.c.assignee_key == parameter("name", str),
    "agent": lambda _: workloads.c.assignee_key == _name_of_agent(),
}


def _board_numbered() -> Any:
    found = select(boards.c.id).where(
        boards.c.organization == _organization, boards.c.number == parameter("board_number", int)
    )
    return found.scalar_subquery()


def _name_of_agent() -> Any:
    found = select(agents.c.name_key).where(agents.c.organization == _organization, agents.c.id == parameter("agent"))
    return found.scalar_subquery()


def _conditions(filters: Iterable[str]) -> Iterable[ColumnElement[bool]]:
    return (TASK_FILTERS[name](tasks) for name in filters)


@cached_statement
def _select_one(shown: Projection, *filters: str) -> Executable:
    return _select_own(shown).where(*_conditions(filters))


@cached_statement
def _select_several(shown: Projection, *filters: str) -> Executable:
    own = without_index(tasks.c.organization) == _organization
    return select_task_rows(shown).where(own, *_conditions(filters))


def _select_own(shown: Projection) -> Select[Any]:
    return select_task_rows(shown).where(tasks.c.organization == _organization)


@cached_statement
def select_page(dialect: str, selected: SelectTasks, shown: Projection, first: int | None, *filters: str) -> Executable:
    """
    Select a page of the tasks that match the filters, newest first. With *first*, these are the first ones, and the
    last column is the total count.
    """
    if _goes_by_board(filters):
        return _rows_numbered(selected(shown), _newest_of_each(dialect, *filters))
    # Filtered by the task's organization, a planner without statistics could choose the organization's index on status
    # instead of the board's.
    on_board = NAME_FILTERS.isdisjoint(filters) and not {"own_board", "board"}.isdisjoint(filters)
    own = (boards if on_board else tasks).c.organization == _organization
    found = selected(shown).where(own, *_conditions(filters)).order_by(tasks.c.number.desc())
    if first is not None:
        counted = _select_total(*filters).correlate(None).scalar_subquery()
        return found.add_columns(counted).limit(literal_column(str(first)))
    return found.limit(parameter("limit", int)).offset(parameter("offset", int))


@cached_statement
def _select_deep_page(dialect: str, selected: SelectTasks, shown: Projection, _: None, *filters: str) -> Executable:
    """
    Select a page at a large offset. The skipped tasks are skipped in an index, without reading their rows.
    """
    if _goes_by_board(filters):
        return _rows_numbered(selected(shown), _newest_of_each(dialect, *filters))
    skipping = select(tasks.c.number).where(tasks.c.organization == _organization, *_conditions(filters))
    skipping = skipping.order_by(tasks.c.number.desc()).limit(parameter("limit", int)).offset(parameter("offset", int))
    return _rows_numbered(selected(shown), skipping)


@cached_statement
def _select_numbered(shown: Projection) -> Executable:
    numbered = in_array(tasks.c.number, "numbers", IntegerArray())
    return select_task_rows(shown).where(tasks.c.organization == _organization, numbered)


def _rows_numbered(rows: Select[Any], numbers: Select[Any]) -> Executable:
    page = numbers.subquery("page")
    rows = rows.where(tasks.c.organization == _organization)
    return rows.join(page, page.c.number == tasks.c.number).order_by(tasks.c.number.desc())


def _is_planned(page: PageRequest) -> bool:
    return page.limit in PLANNED_LIMITS and page.offset == 0 and page.after is None


def _goes_by_board(filters: Iterable[str]) -> bool:
    """
    Whether tasks of several boards should be read board by board, because no other filter is more selective.
    """
    return "own_boards" in filters and (NAME_FILTERS | {"board", "board_number"}).isdisjoint(filters)


def _newest_of_each(dialect: str, *filters: str) -> Select[Any]:
    """
    Select the task numbers of a page over several boards, by merging the newest tasks of each board.
    """
    # The index over all tasks would be scanned far for boards with few new tasks; the index by board is not.
    fits = _conditions(name for name in filters if name != "own_boards")
    first = select(tasks.c.number).where(tasks.c.board == boards.c.id, *fits).order_by(tasks.c.number.desc())
    first = first.limit(parameter("reach", int)).correlate(boards)
    of_each: FromClause
    if dialect == "postgresql":
        of_each = first.lateral("of_each")
        number = of_each.c.number
    else:  # SQLite has no LATERAL, but a table-valued function may refer to the tables before it
        together = select(func.json_group_array(first.subquery("first").c.number)).scalar_subquery()
        of_each = func.json_each(together).table_valued("value", name="of_each")
        number = of_each.c.value
    found = select(number.label("number")).select_from(boards.join(of_each, true()))
    found = found.where(boards.c.organization == _organization, BOARD_FILTERS["own_boards"](boards.c.id)).order_by(
        number.desc()
    )
    return found.limit(parameter("limit", int)).offset(parameter("offset", int))


def _select_total(*filters: str) -> Select[Any]:
    for table, known in ((tallies, TASK_COUNT_FILTERS), (workloads, WORKLOAD_FILTERS)):
        if known.keys() >= set(filters):
            return sum_where(table, table.c.organization == _organization, *(known[name](table) for name in filters))
    found = select(func.count()).select_from(tasks).where(tasks.c.organization == _organization)
    return found.where(*_conditions(filters))


_select_total_alone = cached_statement(_select_total)


@cached_statement
def _select_open_tasks(limit: int, shown: Projection, *filters: str) -> Executable:
    found = _select_own(shown).where(under_way, *_conditions(filters))
    # Written into the statement, as with `PLANNED_LIMITS`: the program asks with few limits.
    return found.order_by(tasks.c.rank, tasks.c.number).limit(literal_column(str(limit)))


@cached_statement
def _select_tag_counts(*board_filters: str) -> Executable:
    carrying = marks.join(tags, tags.c.id == marks.c.mark)
    if board_filters:
        carrying = carrying.join(tasks, tasks.c.id == marks.c.task)
    found = select(marks.c.mark, func.count()).select_from(carrying)
    found = found.where(tags.c.organization == _organization, in_array(marks.c.mark, "tags", IdArray()))
    return found.where(*on_boards(tasks.c.board, board_filters)).group_by(marks.c.mark)


@cached_statement
def _select_status_counts(*filters: str) -> Executable:
    conditions = (WORKLOAD_FILTERS[name](workloads) for name in filters)
    named = in_array(workloads.c.assignee_key, "names", TextArray())
    return totals(workloads, ("assignee_key", "status"), named, *conditions)


@frozen(eq=False, repr=False)
class SqlTaskReads:
    """
    Reads the tasks that a principal may see.
    """

    session: DatabaseSession
    contexts: TaskContexts = field(factory=TaskContexts)

    async def get(self, principal: Principal, task: TaskId | TaskNumber, shown: Projection = WHOLE_ROWS) -> Any:
        """
        Return the task with this id or number.
        """
        given: Parameters = {"id": task.bytes} if isinstance(task, UUID) else {"number": task}
        dialect, own = self.session.dialect, principal.organization.bytes

        def steps() -> Steps[TaskRow]:
            found = yield _select_one(shown, *given)(dialect, organization=own, **given)
            if not found:
                raise TaskNotFound
            if not may_read_board(principal, BoardId(uuid_of_bytes(found[0][BOARD]))):
                raise BoardDenied
            rows = yield from task_rows_of(dialect, principal.organization, found, shown)
            return rows[0]

        return shown.render(await self.session.read(steps))

    async def several(self, principal: Principal, tasks: Collection[TaskId], shown: Projection) -> list[Any]:
        """
        Return those of these tasks that the principal may see.
        """
        given: Parameters = {"ids": [each.bytes for each in tasks], **board_filter_of(principal)}
        dialect, own = self.session.dialect, principal.organization.bytes

        def steps() -> Steps[list[TaskRow]]:
            found = yield _select_several(shown, *given)(dialect, organization=own, **given)
            rows = yield from task_rows_of(dialect, principal.organization, found, shown)
            return rows

        return list(map(shown.render, await self.session.read(steps)))

    async def committed(self, principal: Principal, task: Task, shown: Projection) -> Any:
        """
        Return a task that was just written. Nothing is read unless dependencies, tags or custom fields are shown and
        there are any.
        """
        context = self.contexts.take(task)
        if context is None or shown.shows("comment_count") or not may_read_board(principal, task.board):
            return await self.get(principal, task.id, shown)
        steps = partial(row_of_committed, self.session.dialect, principal.organization, task, context, shown)
        try:
            next(steps())
        except StopIteration as complete:  # it needs no statement
            return shown.render(complete.value)
        return shown.render(await self.session.read(steps))

    async def page(
        self, principal: Principal, wanted: TaskFilter, page: PageRequest, shown: Projection = WHOLE_ROWS
    ) -> PageOfRows:
        """
        Return a page of tasks, newest first, with the total count.
        """
        given = _filter_parameters(principal, wanted)
        shape = tuple(given)
        given["organization"] = principal.organization.bytes
        dialect, paged = self.session.dialect, shape
        family = select_page if page.offset < DEEP_OFFSET else _select_deep_page
        first = page.limit if dialect == "postgresql" and _is_planned(page) and not _goes_by_board(shape) else None
        limits: Parameters = {"limit": page.limit, "offset": page.offset, "reach": page.limit + page.offset}
        if page.after is not None:
            paged, limits["after"] = (*shape, "after"), page.after

        def steps() -> Steps[PageOfRows]:
            found: list[Any] = []
            rows: list[Any] = []
            if makes_json(dialect, shown):
                found = yield family(dialect, select_task_json, shown, first, *paged)(dialect, **given, **limits)
                rows = yield from _with_rendered_rows(dialect, principal.organization, shown, found)
            if not found:
                found = yield family(dialect, select_task_rows, shown, first, *paged)(dialect, **given, **limits)
                complete = yield from task_rows_of(dialect, principal.organization, found, shown)
                rows = list(map(shown.render, complete))
            if page.after is None and 0 < len(rows) < page.limit:
                return PageOfRows(rows, page.offset + len(rows))  # on the last page the total is known
            if first is not None and found:
                return PageOfRows(rows, found[0][-1])
            ((total,),) = yield _select_total_alone(*shape)(dialect, **given)
            return PageOfRows(rows, total)

        return await self.session.read(steps)

    async def runs(self, principal: Principal, task: TaskId | TaskNumber) -> list[RunRow]:
        """
        Return the runs of a task, latest first.
        """
        dialect = self.session.dialect
        return await self.session.read(lambda: read_history(dialect, principal, task))

    async def explanation_input(self, principal: Principal, task: TaskId | TaskNumber) -> ExplanationInput:
        """
        Return a consistent snapshot of a task and its dependencies, from which the task's status can be explained.
        """
        dialect = self.session.dialect
        return await self.session.read(lambda: read_situation(dialect, principal, task))

    async def in_progress(self, principal: Principal, name: str) -> list[TaskInProgress]:
        """
        Return the tasks in progress of an assignee name, last changed first.
        """
        dialect = self.session.dialect
        return await self.session.read(lambda: read_tasks_in_progress(dialect, principal, name_key(name)))

    async def open_of_assignee(
        self, principal: Principal, assignee: str, *, limit: int, shown: Projection = WHOLE_ROWS
    ) -> list[Any]:
        """
        Return the assigned and in-progress tasks of an assignee name, by priority, oldest first.
        """
        given: Parameters = {"name": name_key(assignee), **board_filter_of(principal)}
        dialect, own = self.session.dialect, principal.organization.bytes

        def steps() -> Steps[list[TaskRow]]:
            found = yield _select_open_tasks(limit, shown, *given)(dialect, organization=own, **given)
            rows = yield from task_rows_of(dialect, principal.organization, found, shown)
            return rows

        return list(map(shown.render, await self.session.read(steps)))

    async def count_by_tag(self, principal: Principal, tags: Sequence[TagId]) -> dict[TagId, int]:
        """
        Count the tasks of each of these tags.
        """
        dialect, own = self.session.dialect, principal.organization.bytes
        ids, given = sorted(each.bytes for each in tags), board_filter_of(principal)

        def steps() -> Steps[dict[TagId, int]]:
            found = yield _select_tag_counts(*given)(dialect, organization=own, tags=ids, **given)
            return {uuid_of_bytes(tag): count for tag, count in found}

        return await self.session.read(steps)

    async def count_by_status(self, principal: Principal, assignees: tuple[str, ...]) -> dict[tuple[str, str], int]:
        """
        Count the tasks of each of these assignee names in each status.
        """
        given, dialect = board_filter_of(principal), self.session.dialect
        names = list({name_key(each) for each in assignees})

        def steps() -> Steps[dict[tuple[str, str], int]]:
            found = yield _select_status_counts(*given)(
                dialect, organization=principal.organization.bytes, names=names, **given
            )
            return {(name, status): count for name, status, count in found}

        return await self.session.read(steps)


def _with_rendered_rows(
    dialect: str, organization: OrganizationId, shown: Projection, found: list[Any]
) -> Steps[list[Any]]:
    """
    Return the JSON objects of tasks. Those that the database could not make are rendered.
    """
    rendered: dict[int, Any] = {}
    missing = [number for number, text in found if text is None]
    if missing:
        rows = yield _select_numbered(shown)(dialect, organization=organization.bytes, numbers=missing)
        complete = yield from task_rows_of(dialect, organization, rows, shown)
        rendered = {row.number: shown.render(row) for row in complete}
    return [rendered[number] if text is None else shown.of_json(text) for number, text in found]


def _filter_parameters(principal: Principal, wanted: TaskFilter) -> Parameters:
    """
    Return the parameters of the filters that apply, by their names in `TASK_FILTERS`.
    """
    given = board_filter_of(principal)
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
