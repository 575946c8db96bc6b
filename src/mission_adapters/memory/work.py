"""
The named operations of a unit in memory. They call their decision functions inside the flush, with current rows.
"""

from __future__ import annotations

from heapq import merge
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from mission_adapters.memory.dissolving import dissolve
from mission_adapters.memory.ending import end
from mission_adapters.operations import (
    ClaimNextOf,
    ClaimOf,
    DissolveOf,
    EndOf,
    ExpireDueOf,
    HeartbeatOf,
    Operation,
    TakeBackOf,
)
from mission_core.accounts.model import Principal, boards_written, sees
from mission_core.approvals.model import APPROVAL_LINKS
from mission_core.boards.model import require_grant
from mission_core.errors import StaleWrite
from mission_core.tasks.late_results import LATE_RESULTS
from mission_core.tasks.model import Status, Task
from mission_core.tasks.ports import Agrees, Candidate, Change, Decide, InHand, MoreInHand, Wanted
from mission_core.tasks.runs import Run, RunNotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from mission_adapters.memory.agents import AgentTable
    from mission_adapters.memory.boards import BoardTable
    from mission_adapters.memory.plain import PlainTable
    from mission_adapters.memory.runs import RunTable
    from mission_adapters.memory.store import MemoryStore
    from mission_adapters.memory.tasks import TaskTable
    from mission_core.ids import TaskId, TaskNumber
    from mission_core.kinds import Kind


@frozen
class Desk:
    """
    Runs the named operations of one flush. *made* collects the changes that they decided.
    """

    principal: Principal
    store: MemoryStore
    made: list[Change] = field(factory=list)

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

    def perform(self, operation: Operation) -> Change | int | None:
        """
        Run an operation: load the current rows, call its decision function, and apply the change.
        """
        match operation:
            case ClaimNextOf():
                return self._claim_next(operation)
            case ClaimOf():
                return self.offer(self._written(operation.task), operation.decide)
            case ExpireDueOf():
                return self._expire_due(operation)
            case HeartbeatOf():
                return self._heartbeat(operation)
            case TakeBackOf():
                self._take_back(operation)
                return None
            case DissolveOf():
                dissolve(self, operation)
                return None
            case EndOf():
                end(self.store, operation)
                return None

    def _heartbeat(self, operation: HeartbeatOf) -> Change | None:
        run = self.runs.rows.get(operation.run)
        if run is None or run.organization != self.principal.organization or run.task not in self.tasks.rows:
            raise RunNotFound
        return self.offer(self._written(run.task), operation.decide, run)

    def _written(self, key: TaskId | TaskNumber) -> Task:
        task = self.tasks.find(self.principal, key)
        require_grant(self.principal, task.board)
        return task

    def _claim_next(self, operation: ClaimNextOf) -> Change | None:
        if operation.wanted.board is not None:
            require_grant(self.principal, operation.wanted.board)
        if operation.agrees is not None:
            self._agreed(operation.wanted.name_key, operation.agrees)
        self.tasks.wake(self.principal.organization, at=operation.at)
        for task in self._queue(operation.wanted):
            if task.not_before is not None and operation.at < task.not_before:
                continue
            if holds(self.store.boards, self.store.plain, task):
                continue
            if operation.wanted.worker and self._lead_only(task):
                continue
            change = self.offer(task, operation.decide)
            if change is not None:
                return change
        return None

    def _agreed(self, name_key: str, agrees: Agrees) -> None:
        found = in_hand(self.principal, name_key, self.tasks, self.runs)
        if not agrees(found):
            raise StaleWrite("task", found[0].task)

    def _queue(self, wanted: Wanted) -> Iterator[Task]:
        queue, organization = self.tasks.queue, self.principal.organization
        boards = boards_written(self.principal) if wanted.board is None else (wanted.board,)
        borders = (None,) if boards is None else boards
        lines = (queue.of((organization, border, name)) for border in borders for name in (None, wanted.name_key))
        return (self.tasks.resolved(self.tasks.rows[place[-1]]) for place in merge(*lines))

    def _expire_due(self, operation: ExpireDueOf) -> int:
        due: list[Run] = []
        for ends_at, id in self.runs.due(self.principal.organization):
            if ends_at > operation.at or len(due) == operation.limit:
                break
            due.append(self.runs.rows[id])
        offered = (self.offer(self.tasks.resolved(self.tasks.rows[run.task]), operation.decide, run) for run in due)
        return sum(change is not None for change in offered)

    def _take_back(self, operation: TakeBackOf) -> None:
        agent = operation.agent
        self.agents.expect(agent.id, agent.version)
        named = self.tasks.each(self.tasks.of_name.of((agent.organization, agent.name_key)))
        unfinished = [task for task in named if not task.finished]
        if operation.last and len(unfinished) > operation.limit:
            raise MoreInHand
        for task in unfinished[: operation.limit]:
            self.offer(self.tasks.resolved(task), operation.decide)

    def offer(self, task: Task, decide: Decide, run: Run | None = None) -> Change | None:
        """
        Call a decision function with the current state of a task, and apply the change if it returns one.
        """
        if run is None and task.run is not None:
            run = self.runs.rows[task.run]
        waits_for, held = len(self.tasks.blocking(task)), holds(self.store.boards, self.store.plain, task)
        lead_only = self._lead_only(task)
        change = decide(Candidate(task=task, run=run, open_dependencies=waits_for, held=held, lead_only=lead_only))
        if change is not None:
            change = self._keep(change)
            self.made.append(change)
        return change

    def _lead_only(self, task: Task) -> bool:
        return self.store.boards.rows[task.board].gates.only_lead_can_change_status

    def _keep(self, change: Change) -> Change:
        """
        Store the changed rows, and return the change with their new versions.
        """
        task = change.task and self.tasks.put(evolve(change.task, version=change.task.version + 1))
        run = change.run and self.runs.put(evolve(change.run, version=change.run.version + 1))
        beat = change.beat and self.runs.put(change.beat)
        new_run = change.new_run and self.runs.put(change.new_run)
        if change.late_result is not None:
            late = self.store.plain[LATE_RESULTS].add(change.late_result)
            counted = self.tasks.rows[late.task]
            self.tasks.put(evolve(counted, late_results=counted.late_results + 1))
        return evolve(change, task=task, run=run, beat=beat, new_run=new_run)


def holds(boards: BoardTable, plain: Mapping[Kind[Any], PlainTable[Any]], task: Task) -> bool:
    """
    Whether a pending approval holds the task: its board blocks status changes while an approval is pending.
    """
    pending = plain[APPROVAL_LINKS].count(task.organization, board=task.board, pending_for=task.id)
    return bool(pending) and boards.rows[task.board].gates.block_status_changes_with_pending_approval


def in_hand(principal: Principal, name_key: str, tasks: TaskTable, runs: RunTable) -> list[InHand]:
    """
    The tasks in progress with this assignee that the principal may see, the latest changed first.
    """
    found = [
        task
        for task in tasks.each(tasks.of_name.of((principal.organization, name_key)))
        if task.status is Status.IN_PROGRESS and sees(principal, task.board)
    ]
    found.sort(key=lambda task: (task.updated_at, task.number), reverse=True)
    return [InHand(task.id, task.updated_at, runs.rows[task.run] if task.run else None) for task in found]
