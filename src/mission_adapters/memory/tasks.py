"""
Tasks in memory: the dependency index, and the queue of claimable tasks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_adapters.memory.tables import Groups, Journal, Lines, Place, Table, Unique, numbered, scoped
from mission_core.changes import evolve
from mission_core.errors import Conflict
from mission_core.tasks.model import IDLE, Status, Task, TaskNotFound
from mission_core.tasks.ports import Link
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
    assignee's name key (None for unassigned tasks), both for all boards and for each board. *resting* orders the
    delayed tasks until `wake` moves them to the queue. *touched* has the tasks changed by the running flush, each as it
    was before.
    """

    def __init__(self, journal: Journal, agents: AgentTable) -> None:
        self.agents = agents
        self.woken: dict[OrganizationId, datetime] = {}
        self.touched: dict[UUID, Task | None] = {}
        self.by_number = Unique[Task](numbered, Conflict)
        self.dependents = Groups[Task](lambda task: set(task.depends_on))
        self.carrying = Groups[Task](lambda task: task.carries)
        self.on_board = Groups[Task](lambda task: (task.board,))
        self.of_name = Groups[Task](_name_of)
        self.in_order = Lines[Task](lambda task: [(task.organization, (task.number, task.id))])
        self.queue = Lines[Task](self._places)
        self.resting = Lines[Task](self._rest_of)
        indexes = (self.dependents, self.carrying, self.on_board, self.of_name, self.in_order, self.queue, self.resting)
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
        return self.resolved(scoped(principal, found, found.board if found else None, TaskNotFound))

    def resolved(self, task: Task) -> Task:
        """
        The task with the agent that has its assignee's name now.
        """
        assignee = task.assignee
        if assignee is None:
            return task
        agent = self.agents.named(task.organization, assignee.key)
        found = agent.id if agent else None
        return task if assignee.agent == found else evolve(task, assignee=evolve(assignee, agent=found))

    def upstream(self, principal: Principal, tasks: Iterable[TaskId]) -> list[Link]:
        """
        These tasks and all their direct and indirect dependencies.
        """
        found: dict[TaskId, Link] = {}
        ahead = list(tasks)
        while ahead:
            task = self.rows.get(ahead.pop())
            if task is None or task.organization != principal.organization or task.id in found:
                continue
            found[task.id] = Link(
                id=task.id, board=task.board, status=task.status, depends_on=task.depends_on, version=task.version
            )
            ahead.extend(task.depends_on)
        return list(found.values())

    def dependents_of(self, principal: Principal, task: TaskId) -> list[Task]:
        """
        The tasks that depend directly on this one, by number.
        """
        tasks = (each for each in self.each(self.dependents.of(task)) if each.organization == principal.organization)
        return sorted(map(self.resolved, tasks), key=lambda each: each.number)

    def blocking(self, task: Task) -> list[Task]:
        """
        The task's dependencies that are not done.
        """
        named = (self.rows.get(each) for each in task.depends_on)
        return [each for each in named if each is not None and _blocks(each)]

    def wake(self, organization: OrganizationId, *, at: datetime) -> None:
        """
        Move the tasks whose `not_before` is at or before *at* into the queue.
        """
        self.woken[organization] = at = max(at, self.woken.get(organization, at))
        line = self.resting.of(organization)
        while line and line[0][0] <= at:
            task = self.rows[line[0][1]]
            self.resting.enter(task)
            self.queue.enter(task)

    def _places(self, task: Task) -> list[Place]:
        if task.status not in IDLE or self._rests(task) or self.blocking(task):
            return []
        place = (task.rank, micros(task.due_at) if task.due_at else MAX_INTEGER, task.number, task.id)
        name = task.assignee.key if task.assignee else None
        return [((task.organization, None, name), place), ((task.organization, task.board, name), place)]

    def _rest_of(self, task: Task) -> list[Place]:
        resting = task.status in IDLE and self._rests(task)
        return [(task.organization, (task.not_before, task.id))] if resting else []

    def _rests(self, task: Task) -> bool:
        woken = self.woken.get(task.organization)
        return task.not_before is not None and (woken is None or woken < task.not_before)

    def _set(self, id: UUID, row: Task | None) -> None:
        before = self.rows.get(id)
        self.touched.setdefault(id, before)
        super()._set(id, row)
        if _blocks(before) != _blocks(row):
            for each in self.each(self.dependents.of(id)):
                self.queue.enter(each)


def _blocks(task: Task | None) -> bool:
    return task is not None and task.status is not Status.DONE


def _name_of(task: Task) -> Iterable[object]:
    return ((task.organization, task.assignee.key),) if task.assignee else ()
