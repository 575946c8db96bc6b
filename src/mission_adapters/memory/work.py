"""
The named operations in memory: what is decided on fresh rows, inside a flush.
"""

from __future__ import annotations

from heapq import merge
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from mission_adapters.unit import ClaimNextOf, ClaimOf, ExpireDueOf, HeartbeatOf, Operation
from mission_core.accounts.model import Principal, board_of
from mission_core.tasks.model import Task
from mission_core.tasks.ports import Candidate, Change, Decide
from mission_core.tasks.runs import Run, RunNotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mission_adapters.memory.runs import RunTable
    from mission_adapters.memory.tasks import TaskTable


@frozen
class Desk:
    """
    Where work is handed out and taken back.
    """

    tasks: TaskTable
    runs: RunTable

    def perform(self, principal: Principal, operation: Operation) -> Change | int | None:
        """
        Offer the rows an operation is about to its decision, and make the change.
        """
        match operation:
            case ClaimNextOf():
                return self._claim_next(principal, operation)
            case ClaimOf():
                return self._offer(self.tasks.find(principal, operation.task), operation.decide)
            case ExpireDueOf():
                return self._expire_due(principal, operation)
            case HeartbeatOf():
                return self._heartbeat(principal, operation)

    def _heartbeat(self, principal: Principal, operation: HeartbeatOf) -> Change | None:
        run = self.runs.rows.get(operation.run)
        if run is None or run.organization != principal.organization or run.task not in self.tasks.rows:
            raise RunNotFound
        return self._offer(self.tasks.find(principal, run.task), operation.decide, run)

    def _claim_next(self, principal: Principal, operation: ClaimNextOf) -> Change | None:
        self.tasks.wake(principal.organization, at=operation.at)
        for task in self._queue(principal, operation):
            if task.not_before is not None and operation.at < task.not_before:
                continue
            change = self._offer(task, operation.decide)
            if change is not None:
                return change
        return None

    def _queue(self, principal: Principal, operation: ClaimNextOf) -> Iterator[Task]:
        wanted, queue, own = operation.wanted, self.tasks.queue, board_of(principal)
        if own is not None and wanted.board not in (None, own):
            return iter(())
        lines = (queue.of((principal.organization, wanted.board or own, name)) for name in (None, wanted.name_key))
        return (self.tasks.resolved(self.tasks.rows[place[-1]]) for place in merge(*lines))

    def _expire_due(self, principal: Principal, operation: ExpireDueOf) -> int:
        due: list[Run] = []
        for ends_at, id in self.runs.due(principal.organization):
            if ends_at > operation.at or len(due) == operation.limit:
                break
            due.append(self.runs.rows[id])
        offered = (self._offer(self.tasks.resolved(self.tasks.rows[run.task]), operation.decide, run) for run in due)
        return sum(change is not None for change in offered)

    def _offer(self, task: Task, decide: Decide, run: Run | None = None) -> Change | None:
        if run is None and task.run is not None:
            run = self.runs.rows[task.run]
        change = decide(Candidate(task=task, run=run, open_dependencies=len(self.tasks.blocking(task))))
        return None if change is None else self._made(change)

    def _made(self, change: Change) -> Change:
        """
        Keep what was decided; the answer carries the versions that were kept.
        """
        task = change.task and self.tasks.put(evolve(change.task, version=change.task.version + 1))
        run = change.run and self.runs.put(evolve(change.run, version=change.run.version + 1))
        beat = change.beat and self.runs.put(change.beat)
        new_run = change.new_run and self.runs.put(change.new_run)
        return evolve(change, task=task, run=run, beat=beat, new_run=new_run)
