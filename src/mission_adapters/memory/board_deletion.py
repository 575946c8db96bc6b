"""
Board deletion in memory: everything on the board is deleted with it, or moves to another board.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import evolve

from mission_adapters.memory.approval_holds import is_held_by_approval
from mission_core.agents.model import Agent
from mission_core.boards.model import Board
from mission_core.ids import TaskId
from mission_core.tasks.model import Task
from mission_core.tasks.ports import Candidate, OrphanedTask, TaskChange
from mission_core.tasks.runs import LIVE_STATES, Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mission_adapters.decision_operations import DeleteBoardOperation
    from mission_adapters.memory.decision_operations import OperationRunner
    from mission_adapters.memory.store import MemoryStore


def delete_board(runner: OperationRunner, operation: DeleteBoardOperation) -> None:
    """
    Delete a board.

    Raises:
        StaleWrite: If the board has changed since it was read.
        GateClosed: If its tasks would move while an approval of one is pending, and it keeps such tasks.
    """
    store, board = runner.store, operation.board
    store.boards.expect(board.id, board.version)
    staff = list(store.agents.each(store.agents.on_board.of(board.id)))
    work = list(store.tasks.each(store.tasks.on_board.of(board.id)))
    runs = [run for task in work for run in store.runs.history(task.id)]
    if operation.reassign_to is None:
        for task, depends_on, unmanned in _orphaned_tasks(store, staff, work):
            runner.decide_task(task, partial(_update_orphan, operation, depends_on, unmanned))
        live = (run for run in runs if run.state in LIVE_STATES)
        runner.deleted_runs.extend(evolve(run, ended_at=operation.at) for run in live)
        going: list[Any] = [*runs, *work, *staff]
        for each in going:
            store.remove(each)
    else:
        if operation.cascade.keeps_pending:
            for task in work:
                if is_held_by_approval(store.boards, store.kind_tables, task):
                    operation.cascade.refuse_departure(task.id)
        _move_to_board(store, operation, operation.reassign_to, [*staff, *work, *runs])
    store.remove(board)
    store.counters.drop_board(
        board.organization, board.id, reassign_to=operation.reassign_to.id if operation.reassign_to else None
    )
    for task in work:
        store.tasks.changed.pop(task.id, None)  # the board's counters are gone already
    runner.changes.append(TaskChange(events=operation.cascade.events(tasks=len(work), agents=len(staff))))


def _update_orphan(
    operation: DeleteBoardOperation, depends_on: frozenset[TaskId], unmanned: bool, candidate: Candidate
) -> TaskChange | None:
    return operation.cascade.update_orphan(
        OrphanedTask(candidate=candidate, depends_on=depends_on, loses_assignee=unmanned)
    )


def _orphaned_tasks(
    store: MemoryStore, staff: list[Agent], work: list[Task]
) -> Iterator[tuple[Task, frozenset[TaskId], bool]]:
    """
    The tasks of other boards that depend on a deleted task or are assigned to a deleted agent.
    """
    going = {task.id for task in work}
    waiting = {id for each in going for id in store.tasks.dependents.of(each)}
    named = (id for agent in staff for id in store.tasks.of_assignee.of((agent.organization, agent.name_key)))
    unmanned = {task.id for task in store.tasks.each(named) if not task.finished}
    for task in list(store.tasks.each(sorted((waiting | unmanned) - going))):
        yield store.tasks.with_assignee_agent(task), frozenset(going.intersection(task.depends_on)), task.id in unmanned


def _move_to_board(store: MemoryStore, operation: DeleteBoardOperation, reassign_to: Board, rows: list[Any]) -> None:
    for row in rows:
        changed: dict[str, Any] = {"board": reassign_to.id, "version": row.version + 1}
        if not isinstance(row, Run):
            changed["updated_at"] = operation.at
        if isinstance(row, Agent):
            changed["lead"] = False
        store.tables[type(row)].put(evolve(row, **changed))
