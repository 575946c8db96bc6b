"""
Operations that run inside a flush of the memory store: claims, lease expiry, heartbeats, reassignment and deletion.

Most call a decision function of the core with the current rows, and apply the changes that it returns.
"""

from __future__ import annotations

from heapq import merge
from typing import TYPE_CHECKING

from attrs import evolve, field

from mission_adapters.decision_operations import (
    ClaimNextOperation,
    ClaimOperation,
    DeleteBoardOperation,
    DeleteOrganizationOperation,
    ExpireLeasesOperation,
    FreeAssignedOperation,
    LeaseHeartbeatOperation,
    Operation,
)
from mission_adapters.memory.approval_holds import is_held_by_approval
from mission_adapters.memory.board_deletion import delete_board
from mission_adapters.memory.organization_deletion import delete_organization
from mission_core.accounts.model import Principal, SystemPrincipal, may_read_board, writable_boards
from mission_core.boards.model import require_grant
from mission_core.errors import StaleWrite
from mission_core.lazy_attrs import frozen
from mission_core.tasks.late_results import LATE_RESULTS
from mission_core.tasks.model import Status, Task
from mission_core.tasks.ports import (
    Candidate,
    CapacityCheck,
    ClaimFilter,
    Decide,
    TaskChange,
    TaskInProgress,
    TooManyUnfinishedTasks,
)
from mission_core.tasks.runs import Run, RunNotFound
from mission_core.usage.counters import BUDGETS_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mission_adapters.memory.agents import AgentTable
    from mission_adapters.memory.runs import RunTable
    from mission_adapters.memory.store import MemoryStore
    from mission_adapters.memory.tasks import TaskTable
    from mission_core.ids import TaskId, TaskNumber
    from mission_core.usage.budget_accounts import BudgetBook


@frozen
class OperationRunner:
    """
    Runs the operations of one flush. *changes* collects the changes that they make, *deleted_runs* the runs that were
    alive when they were deleted, as ended.
    """

    principal: Principal
    store: MemoryStore
    at: datetime
    changes: list[TaskChange] = field(factory=list)
    deleted_runs: list[Run] = field(factory=list)

    @property
    def agents(self) -> AgentTable:
        """
        The table of agents.
        """
        return self.store.agents

    @property
    def tasks(self) -> TaskTable:
        """
        The table of tasks.
        """
        return self.store.tasks

    @property
    def runs(self) -> RunTable:
        """
        The table of runs.
        """
        return self.store.runs

    @property
    def budgets(self) -> BudgetBook | None:
        """
        The accounts of the organization's budgets, or None if it has none.
        """
        own = self.principal.organization
        if not self.store.kind_tables.has_rows(BUDGETS_NAME, own):
            return None
        from mission_adapters.memory.budget_book import read_book  # few organizations have budgets

        return read_book(self.store, SystemPrincipal(organization=own), at=self.at)

    def run(self, operation: Operation) -> TaskChange | int | None:
        """
        Run an operation: load the current rows, call its decision function, and apply the change.
        """
        match operation:
            case ClaimNextOperation():
                return self._claim_next(operation)
            case ClaimOperation():
                return self.decide_task(self._writable_task(operation.task), operation.decide, budgets=self.budgets)
            case ExpireLeasesOperation():
                return self._expire_due(operation)
            case LeaseHeartbeatOperation():
                return self._heartbeat(operation)
            case FreeAssignedOperation():
                self._free_assigned(operation)
                return None
            case DeleteBoardOperation():
                delete_board(self, operation)
                return None
            case DeleteOrganizationOperation():
                delete_organization(self.store, operation)
                return None

    def _heartbeat(self, operation: LeaseHeartbeatOperation) -> TaskChange | None:
        run = self.runs.rows.get(operation.run)
        if run is None or run.organization != self.principal.organization or run.task not in self.tasks.rows:
            raise RunNotFound
        return self.decide_task(self._writable_task(run.task), operation.decide, run, budgets=self.budgets)

    def _writable_task(self, key: TaskId | TaskNumber) -> Task:
        task = self.tasks.find(self.principal, key)
        require_grant(self.principal, task.board)
        return task

    def _claim_next(self, operation: ClaimNextOperation) -> TaskChange | None:
        if operation.wanted.board is not None:
            require_grant(self.principal, operation.wanted.board)
        if operation.capacity_check is not None:
            self._require_agreement(operation.wanted.name_key, operation.capacity_check)
        budgets = self.budgets
        if budgets is not None and budgets.refuses_all(operation.wanted.name_key):
            return None
        self.tasks.queue_due(self.principal.organization, at=operation.at)
        for task in self._queue(operation.wanted):
            if task.not_before is not None and operation.at < task.not_before:
                continue
            if is_held_by_approval(self.store.boards, self.store.kind_tables, task):
                continue
            if operation.wanted.worker and self._lead_only(task):
                continue
            change = self.decide_task(task, operation.decide, budgets=budgets)
            if change is not None:
                return change
        return None

    def _require_agreement(self, name_key: str, agrees: CapacityCheck) -> None:
        found = tasks_in_progress_of(self.principal, name_key, self.tasks, self.runs)
        if not agrees(found):
            raise StaleWrite("task", found[0].task)

    def _queue(self, wanted: ClaimFilter) -> Iterator[Task]:
        queue, organization = self.tasks.queue, self.principal.organization
        boards = writable_boards(self.principal) if wanted.board is None else (wanted.board,)
        borders = (None,) if boards is None else boards
        lines = (queue.of((organization, border, name)) for border in borders for name in (None, wanted.name_key))
        return (self.tasks.with_assignee_agent(self.tasks.rows[place[-1]]) for place in merge(*lines))

    def _expire_due(self, operation: ExpireLeasesOperation) -> int:
        due: list[Run] = []
        for ends_at, id in self.runs.lease_ends(self.principal.organization):
            if ends_at > operation.at or len(due) == operation.limit:
                break
            due.append(self.runs.rows[id])
        offered = (
            self.decide_task(self.tasks.with_assignee_agent(self.tasks.rows[run.task]), operation.decide, run)
            for run in due
        )
        return sum(change is not None for change in offered)

    def _free_assigned(self, operation: FreeAssignedOperation) -> None:
        agent = operation.agent
        self.agents.expect(agent.id, agent.version)
        named = self.tasks.each(self.tasks.of_assignee.of((agent.organization, agent.name_key)))
        unfinished = [task for task in named if not task.finished]
        if operation.last and len(unfinished) > operation.limit:
            raise TooManyUnfinishedTasks
        for task in unfinished[: operation.limit]:
            self.decide_task(self.tasks.with_assignee_agent(task), operation.decide)

    def decide_task(
        self, task: Task, decide: Decide, run: Run | None = None, *, budgets: BudgetBook | None = None
    ) -> TaskChange | None:
        """
        Call a decision function with the current state of a task, and apply the change if it returns one.
        """
        if run is None and task.run is not None:
            run = self.runs.rows[task.run]
        waits_for, held = (
            len(self.tasks.open_dependencies(task)),
            is_held_by_approval(self.store.boards, self.store.kind_tables, task),
        )
        lead_only = self._lead_only(task)
        candidate = Candidate(
            task=task, run=run, open_dependencies=waits_for, held=held, lead_only=lead_only, budgets=budgets
        )
        change = decide(candidate)
        if change is not None:
            change = self._store_change(change)
            self.changes.append(change)
        return change

    def _lead_only(self, task: Task) -> bool:
        return self.store.boards.rows[task.board].gates.only_lead_can_change_status

    def _store_change(self, change: TaskChange) -> TaskChange:
        """
        Store the changed rows, and return the change with their new versions.
        """
        task = change.task and self.tasks.put(evolve(change.task, version=change.task.version + 1))
        run = change.run and self.runs.put(evolve(change.run, version=change.run.version + 1))
        beat = change.heartbeat and self.runs.put(change.heartbeat)
        new_run = change.new_run and self.runs.put(change.new_run)
        if change.late_result is not None:
            late = self.store.kind_tables[LATE_RESULTS].add(change.late_result)
            counted = self.tasks.rows[late.task]
            self.tasks.put(evolve(counted, late_results=counted.late_results + 1))
        return evolve(change, task=task, run=run, heartbeat=beat, new_run=new_run)


def tasks_in_progress_of(principal: Principal, name_key: str, tasks: TaskTable, runs: RunTable) -> list[TaskInProgress]:
    """
    The tasks in progress with this assignee that the principal may see, the latest changed first.
    """
    found = [
        task
        for task in tasks.each(tasks.of_assignee.of((principal.organization, name_key)))
        if task.status is Status.IN_PROGRESS and may_read_board(principal, task.board)
    ]
    found.sort(key=lambda task: (task.updated_at, task.number), reverse=True)
    return [TaskInProgress(task.id, task.updated_at, runs.rows[task.run] if task.run else None) for task in found]
