"""
The read model of tasks and runs in memory.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from mission_adapters.memory.approval_holds import is_held_by_approval
from mission_adapters.memory.decision_operations import tasks_in_progress_of
from mission_core.accounts.model import Principal, may_read_board, readable_boards
from mission_core.boards.custom_fields import CUSTOM_FIELDS, CustomField, fields_by_board
from mission_core.boards.tags import TAGS, Tag
from mission_core.lazy_attrs import frozen
from mission_core.projections import WHOLE_ROWS, Projection
from mission_core.tasks.comments import COMMENTS, Comment
from mission_core.tasks.counters import WORKLOADS
from mission_core.tasks.model import Status, Task
from mission_core.tasks.queries import Dependency, ExplanationInput, RunRow, TaskFilter, TaskRow
from mission_core.tasks.rows import run_row, task_row
from mission_core.usage.counters import BUDGETS_NAME
from mission_core.values import PageOfRows, name_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from uuid import UUID

    from mission_adapters.memory.agents import AgentTable
    from mission_adapters.memory.boards import BoardTable
    from mission_adapters.memory.counters import MemoryCounters
    from mission_adapters.memory.kind_tables import KindTable, KindTables
    from mission_adapters.memory.runs import RunTable
    from mission_adapters.memory.tasks import TaskTable
    from mission_core.ids import TagId, TaskId, TaskNumber
    from mission_core.tasks.ports import TaskInProgress
    from mission_core.values import PageRequest

OPEN_STATUSES = frozenset({Status.ASSIGNED, Status.IN_PROGRESS})
NO_FILTER = TaskFilter()


@frozen
class MemoryTaskReads:
    """
    Reads the tasks that a principal may see, and their runs.
    """

    boards: BoardTable
    agents: AgentTable
    tasks: TaskTable
    run_table: RunTable
    kind_tables: KindTables
    counters: MemoryCounters

    async def get(self, principal: Principal, task: TaskId | TaskNumber, shown: Projection = WHOLE_ROWS) -> Any:
        """
        A task, found by id or number.
        """
        return shown.render(self.rows_of(principal, [self.tasks.find(principal, task)])[0])

    async def several(self, principal: Principal, tasks: Collection[TaskId], shown: Projection) -> list[Any]:
        """
        The tasks with these ids that the principal may see.
        """
        known = [self.tasks.rows[id] for id in tasks if id in self.tasks.rows]
        own = [task for task in known if task.organization == principal.organization]
        seen = [task for task in own if may_read_board(principal, task.board)]
        return list(map(shown.render, self.rows_of(principal, map(self.tasks.with_assignee_agent, seen))))

    async def committed(self, principal: Principal, task: Task, shown: Projection) -> Any:
        """
        A task that was just written. Reading it costs nothing.
        """
        return await self.get(principal, task.id, shown)

    async def page(
        self, principal: Principal, wanted: TaskFilter, page: PageRequest, shown: Projection = WHOLE_ROWS
    ) -> PageOfRows:
        """
        A page of tasks, newest first.
        """
        rows, total = self._page(principal, wanted, page)
        return PageOfRows(list(map(shown.render, rows)), total)

    def _page(self, principal: Principal, wanted: TaskFilter, page: PageRequest) -> PageOfRows:
        if wanted == NO_FILTER and readable_boards(principal) is None:
            return self._page_of_all(principal, page)
        found = [task for task in self._visible(principal) if self._fits(task, wanted)]
        rest = found if page.after is None else [task for task in found if task.number < page.after]
        shown = rest[page.offset : page.offset + page.limit]
        return PageOfRows(self.rows_of(principal, map(self.tasks.with_assignee_agent, shown)), len(found))

    def _page_of_all(self, principal: Principal, page: PageRequest) -> PageOfRows:
        places = self.tasks.in_order.of(principal.organization)
        below = len(places) if page.after is None else bisect_left(places, (page.after,))
        end = max(below - page.offset, 0)
        shown = self.tasks.each(id for _, id in reversed(places[max(end - page.limit, 0) : end]))
        return PageOfRows(self.rows_of(principal, map(self.tasks.with_assignee_agent, shown)), len(places))

    async def runs(self, principal: Principal, task: TaskId | TaskNumber) -> list[RunRow]:
        """
        The runs of a task, latest first.
        """
        return [run_row(run) for run in self.run_table.history(self.tasks.find(principal, task).id)]

    async def explanation_input(self, principal: Principal, task: TaskId | TaskNumber) -> ExplanationInput:
        """
        The state that explains why a task can or cannot be claimed.
        """
        found = self.tasks.find(principal, task)
        run = self.run_table.rows[found.run] if found.run else None
        waits_for = tuple(map(self.tasks.with_assignee_agent, self.tasks.open_dependencies(found)))
        assignee = found.assignee
        agent = self.agents.rows[assignee.agent] if assignee and assignee.agent else None
        held = is_held_by_approval(self.boards, self.kind_tables, found)
        leads = agent is not None and agent.lead and agent.board is not None
        rules = self.boards.rows[found.board].gates
        left_to_lead = rules.only_lead_can_change_status and agent is not None and not leads
        has_budgets = self.kind_tables.has_rows(BUDGETS_NAME, principal.organization)
        return ExplanationInput(found, run, waits_for, held, agent.board if agent else None, left_to_lead, has_budgets)

    async def in_progress(self, principal: Principal, name: str) -> list[TaskInProgress]:
        """
        The tasks in progress that are assigned to this name, the latest changed first.
        """
        return tasks_in_progress_of(principal, name_key(name), self.tasks, self.run_table)

    async def open_of_assignee(
        self, principal: Principal, assignee: str, *, limit: int, shown: Projection = WHOLE_ROWS
    ) -> list[Any]:
        """
        The assigned and in-progress tasks of this assignee, by priority and number.
        """
        tasks = self._assigned(principal, name_key(assignee))
        found = sorted(
            (task for task in tasks if task.status in OPEN_STATUSES), key=lambda task: (task.priority_rank, task.number)
        )
        return list(map(shown.render, self.rows_of(principal, map(self.tasks.with_assignee_agent, found[:limit]))))

    async def count_by_tag(self, principal: Principal, tags: Sequence[TagId]) -> dict[TagId, int]:
        """
        The number of tasks with each of these tags.
        """
        known = self.kind_tables[TAGS].rows
        own = (each for each in tags if each in known and known[each].organization == principal.organization)
        counted = {each: self._count_carrying(principal, each) for each in own}
        return {each: count for each, count in counted.items() if count}

    async def count_by_status(self, principal: Principal, assignees: tuple[str, ...]) -> dict[tuple[str, str], int]:
        """
        The number of tasks by assignee and status, for these assignees.
        """
        keys = set(map(name_key, assignees))
        return dict(self.counters.totals(WORKLOADS, principal, "assignee_key", "status", assignee_key=keys))

    def _count_carrying(self, principal: Principal, tag: TagId) -> int:
        if readable_boards(principal) is None:
            return self.tasks.with_tag_or_field.count(tag)
        return sum(
            may_read_board(principal, task.board) for task in self.tasks.each(self.tasks.with_tag_or_field.of(tag))
        )

    def _visible(self, principal: Principal) -> Iterator[Task]:
        places = reversed(self.tasks.in_order.of(principal.organization))
        return (task for task in self.tasks.each(id for _, id in places) if may_read_board(principal, task.board))

    def _assigned(self, principal: Principal, name_key: str) -> Iterator[Task]:
        tasks = self.tasks.each(self.tasks.of_assignee.of((principal.organization, name_key)))
        return (task for task in tasks if may_read_board(principal, task.board))

    def _fits(self, task: Task, wanted: TaskFilter) -> bool:
        name = task.assignee.key if task.assignee else None
        return (
            (wanted.statuses is None or task.status in wanted.statuses)
            and (wanted.board is None or wanted.board in (task.board, self.boards.rows[task.board].number))
            and (wanted.assignee is None or name == name_key(wanted.assignee))
            and (wanted.assignee_agent is None or (name is not None and self._agent(task) == wanted.assignee_agent))
            and not (wanted.unassigned and name is not None)
            and wanted.priority in (None, task.priority)
        )

    def _agent(self, task: Task) -> object:
        assignee = self.tasks.with_assignee_agent(task).assignee
        return assignee.agent if assignee else None

    def rows_of(self, principal: Principal, tasks: Iterable[Task]) -> list[TaskRow]:
        """
        The rows of these tasks. The agents of their assignees must be resolved already.
        """
        asked = fields_by_board(self.kind_tables[CUSTOM_FIELDS].matching(principal, {}))
        known, comments = self.kind_tables[TAGS].rows, self.kind_tables[COMMENTS]
        return [self._row(task, known, asked.get(task.board.bytes, ()), comments) for task in tasks]

    def _row(
        self, task: Task, tags: dict[UUID, Tag], fields: tuple[CustomField, ...], comments: KindTable[Comment]
    ) -> TaskRow:
        board = self.boards.rows[task.board]
        depends_on = [self.tasks.rows[each] for each in task.depends_on if each in self.tasks.rows]
        return task_row(
            task,
            board_number=board.number,
            board_name=board.name,
            ticket_prefix=board.ticket_prefix,
            comment_count=comments.count(task.organization, task=task.id),
            dependencies=tuple(
                Dependency(each.id.bytes, each.number, each.status is Status.DONE) for each in depends_on
            ),
            tagged=tuple(tags[each] for each in task.tag_ids if each in tags),
            fields=fields,
        )
