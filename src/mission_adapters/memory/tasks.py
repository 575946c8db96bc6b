"""
Tasks in memory: the dependency index, and the queue of claimable tasks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_adapters.memory.tables import (
    GroupIndex,
    SortedIndex,
    SortEntry,
    Table,
    UndoLog,
    UniqueConstraint,
    number_key,
    require_visible,
)
from mission_core.entity_changes import evolve
from mission_core.errors import Conflict
from mission_core.tasks.model import IDLE_STATUSES, Status, Task, TaskNotFound
from mission_core.tasks.ports import DependencyNode
from mission_core.values import MAX_INTEGER, micros

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from mission_adapters.memory.agents import AgentTable
    from mission_core.accounts.model import Principal
    from mission_core.ids import OrganizationId, TaskId, TaskNumber


class TaskTable(Table[Task]):
    """
    The tasks of all organizations.

    *queue* orders the idle tasks that are neither blocked nor delayed by `not_before`. It has a partition for each
    assignee's name key (None for unassigned tasks), both for all boards and for each board. *delayed* orders the
    delayed tasks until `queue_due` moves them to the queue. *changed* has the tasks changed by the running flush, each
    as it was before.
    """

    def __init__(self, journal: UndoLog, agents: AgentTable) -> None:
        self.agents = agents
        self.woken_at: dict[OrganizationId, datetime] = {}
        self.changed: dict[UUID, Task | None] = {}
        self.by_number = UniqueConstraint[Task](number_key, Conflict)
        self.dependents = GroupIndex[Task](lambda task: set(task.depends_on))
        self.with_tag_or_field = GroupIndex[Task](lambda task: task.tag_and_field_ids)
        self.on_board = GroupIndex[Task](lambda task: (task.board,))
        self.of_assignee = GroupIndex[Task](_assignee_keys_of)
        self.in_order = SortedIndex[Task](lambda task: [(task.organization, (task.number, task.id))])
        self.queue = SortedIndex[Task](self._places)
        self.delayed = SortedIndex[Task](self._rest_of)
        indexes = (
            self.dependents,
            self.with_tag_or_field,
            self.on_board,
            self.of_assignee,
            self.in_order,
            self.queue,
            self.delayed,
        )
        super().__init__("task", journal, (self.by_number,), indexes)

    def find(self, principal: Principal, task: TaskId | TaskNumber) -> Task:
        """
        A task that the principal may see, by id or number.

        Raises:
            TaskNotFound: If the principal's organization has none.
            BoardDenied: If its board is not granted to the principal.
        """
        id = self.by_number.ids.get((principal.organization, task)) if isinstance(task, int) else task
        found = self.rows.get(id) if id else None
        return self.with_assignee_agent(require_visible(principal, found, found.board if found else None, TaskNotFound))

    def with_assignee_agent(self, task: Task) -> Task:
        """
        The task with the agent that has its assignee's name now.
        """
        assignee = task.assignee
        if assignee is None:
            return task
        agent = self.agents.named(task.organization, assignee.key)
        found = agent.id if agent else None
        return task if assignee.agent == found else evolve(task, assignee=evolve(assignee, agent=found))

    def dependency_closure(self, principal: Principal, tasks: Iterable[TaskId]) -> list[DependencyNode]:
        """
        These tasks and all their direct and indirect dependencies.
        """
        found: dict[TaskId, DependencyNode] = {}
        ahead = list(tasks)
        while ahead:
            task = self.rows.get(ahead.pop())
            if task is None or task.organization != principal.organization or task.id in found:
                continue
            found[task.id] = DependencyNode(
                id=task.id, board=task.board, status=task.status, depends_on=task.depends_on, version=task.version,
                edits=task.edits,
            )  # fmt: skip
            ahead.extend(task.depends_on)
        return list(found.values())

    def dependents_of(self, principal: Principal, task: TaskId) -> list[Task]:
        """
        The tasks that depend directly on this one, by number.
        """
        tasks = (each for each in self.each(self.dependents.of(task)) if each.organization == principal.organization)
        return sorted(map(self.with_assignee_agent, tasks), key=lambda each: each.number)

    def open_dependencies(self, task: Task) -> list[Task]:
        """
        The task's dependencies that are not done.
        """
        named = (self.rows.get(each) for each in task.depends_on)
        return [each for each in named if each is not None and _is_open_dependency(each)]

    def queue_due(self, organization: OrganizationId, *, at: datetime) -> None:
        """
        Move the tasks whose `not_before` is at or before *at* into the queue.
        """
        self.woken_at[organization] = at = max(at, self.woken_at.get(organization, at))
        line = self.delayed.of(organization)
        while line and line[0][0] <= at:
            task = self.rows[line[0][1]]
            self.delayed.add(task)
            self.queue.add(task)

    def _places(self, task: Task) -> list[SortEntry]:
        if task.status not in IDLE_STATUSES or self._rests(task) or self.open_dependencies(task):
            return []
        place = (task.priority_rank, micros(task.due_at) if task.due_at else MAX_INTEGER, task.number, task.id)
        name = task.assignee.key if task.assignee else None
        return [((task.organization, None, name), place), ((task.organization, task.board, name), place)]

    def _rest_of(self, task: Task) -> list[SortEntry]:
        resting = task.status in IDLE_STATUSES and self._rests(task)
        return [(task.organization, (task.not_before, task.id))] if resting else []

    def _rests(self, task: Task) -> bool:
        woken = self.woken_at.get(task.organization)
        return task.not_before is not None and (woken is None or woken < task.not_before)

    def _set(self, id: UUID, row: Task | None) -> None:
        before = self.rows.get(id)
        self.changed.setdefault(id, before)
        super()._set(id, row)
        if _is_open_dependency(before) != _is_open_dependency(row):
            for each in self.each(self.dependents.of(id)):
                self.queue.add(each)


def _is_open_dependency(task: Task | None) -> bool:
    return task is not None and task.status is not Status.DONE


def _assignee_keys_of(task: Task) -> Iterable[object]:
    return ((task.organization, task.assignee.key),) if task.assignee else ()
