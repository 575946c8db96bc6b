"""
Operations that run inside a flush in SQL: claims, heartbeats, lease expiry, reassignment and deletion.

Most call a decision function of the core with locked rows, and write the changes that it returns. A task is locked
before its runs. On PostgreSQL a locking statement sees the newest version of the locked row only, so other rows that a
decision needs are read by further statements.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

from sqlalchemy import ColumnElement, Executable, Select, and_, func, select, union_all

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
from mission_adapters.sql.approval_holds import HAS_CLAIM_RULES, is_lead_only, pending_hold
from mission_adapters.sql.board_visibility import BOARD_FILTERS, board_filter_for
from mission_adapters.sql.database_session import Steps
from mission_adapters.sql.entity_queries import TASK_COLUMNS, select_entity
from mission_adapters.sql.row_writes import lock_row
from mission_adapters.sql.statements import IdArray, Statement, cached_statement, in_array, parameter
from mission_adapters.sql.tables import alive, lock_order, queue, runs, tasks, unblocked, unfinished
from mission_adapters.sql.task_decisions import SELECT_RUN_FOR_UPDATE, FlushResults, apply_decision, decide_task
from mission_adapters.sql.task_queue import UNASSIGNED
from mission_adapters.sql.tasks_in_progress import read_tasks_in_progress
from mission_core.accounts.model import Principal, writable_boards
from mission_core.agents.model import Agent
from mission_core.boards.model import require_grant
from mission_core.errors import StaleWrite
from mission_core.ids import BoardId
from mission_core.tasks.model import IDLE_STATUSES, Task, TaskNotFound
from mission_core.tasks.ports import CapacityCheck, TaskChange, TooManyUnfinishedTasks
from mission_core.tasks.rows import RUN_ROWS, TASK_ROWS
from mission_core.tasks.runs import RunNotFound
from mission_core.values import micros

FIRST_BATCH: Final = 8
"""The number of queued tasks that a claim looks at first. If all are locked by others, it looks at eight times more."""
LARGEST_BATCH: Final = 4096
QUEUE_FILTERS: Final[dict[str, ColumnElement[bool]]] = {
    "": queue.c.organization == parameter("organization"),
    "own_board": BOARD_FILTERS["own_board"](queue.c.board),
    "own_boards": and_(queue.c.organization == parameter("organization"), BOARD_FILTERS["own_boards"](queue.c.board)),
}
"""The conditions that limit the queue to the boards of a claim, by the name of their board filter."""


def _ready_of_name(name: str, again: bool, board_filter: str, worker: bool) -> Select[Any]:
    """
    Select the first ready tasks of one assignee name in queue order, on the boards of a board filter. For a worker,
    tasks of boards that reserve moves for their lead are left out.
    """
    ready = select(queue.c.task, queue.c.rank, queue.c.due, queue.c.number).where(
        QUEUE_FILTERS[board_filter],
        queue.c.assignee_key == parameter(name, str),
        unblocked,
        queue.c.not_before <= parameter("at", int),
        pending_hold(queue.c.organization, queue.c.board, queue.c.task).is_(None),
    )
    if worker:
        ready = ready.where(is_lead_only(queue.c.board) == 0)
    if again:
        ready = ready.where(~in_array(queue.c.task, "tried", IdArray()))
    ready = ready.order_by(queue.c.rank, queue.c.due, queue.c.number).limit(parameter("first", int))
    return select(ready.subquery())


@cached_statement
def _select_first_ready(again: bool, board_filter: str, worker: bool) -> Executable:
    lines = union_all(*(_ready_of_name(name, again, board_filter, worker) for name in ("nobody", "mine"))).subquery(
        "ready"
    )
    found = select(*TASK_COLUMNS, HAS_CLAIM_RULES).select_from(tasks.join(lines, lines.c.task == tasks.c.id))
    found = found.order_by(lines.c.rank, lines.c.due, lines.c.number).limit(1)
    return found.with_for_update(of=tasks, skip_locked=True)


@cached_statement
def _count_ready(again: bool, board_filter: str, worker: bool) -> Executable:
    lines = union_all(*(_ready_of_name(name, again, board_filter, worker) for name in ("nobody", "mine"))).subquery(
        "ready"
    )
    return select(func.count()).select_from(lines)


EXPIRED_LEASES: Final = Statement(
    select(*TASK_COLUMNS)
    .select_from(tasks.join(runs, and_(runs.c.task == tasks.c.id, runs.c.id == tasks.c.run)))
    .where(runs.c.organization == parameter("organization"), alive, runs.c.expires_at <= parameter("at", int))
    .order_by(runs.c.expires_at, runs.c.id)
    .limit(parameter("most", int))
    .with_for_update(of=tasks, skip_locked=True)
)
TASK_OF_RUN: Final = Statement(
    select(*TASK_COLUMNS)
    .select_from(tasks.join(runs, runs.c.task == tasks.c.id))
    .where(runs.c.id == parameter("run"), runs.c.organization == parameter("organization"))
    .with_for_update(of=tasks)
)
UNFINISHED_OF_NAME: Final = Statement(
    select(*TASK_COLUMNS)
    .where(
        tasks.c.organization == parameter("organization"), tasks.c.assignee_key == parameter("name", str), unfinished
    )
    .order_by(lock_order)
    .limit(parameter("most", int))
    .with_for_update(of=tasks)
)
LOCK_NAME: Final = Statement(select(func.pg_advisory_xact_lock(parameter("key", int))))


def run_operation(dialect: str, principal: Principal, operation: Operation, results: FlushResults) -> Steps[None]:
    """
    Run one operation inside the flush. Its events, task changes and answer are added to *results*.

    Raises:
        TaskNotFound: If the organization does not have the task.
        RunNotFound: If the organization does not have the run.
        BoardDenied: If the principal may not write on the task's board.
        TooManyUnfinishedTasks: If an agent to be deleted has more unfinished tasks than one unit reassigns.
        StaleWrite: If the version of a row has changed.
    """
    match operation:
        case ClaimNextOperation():
            results.answer = yield from _claim_next(dialect, principal, operation, results)
        case ClaimOperation():
            results.answer = yield from _claim(dialect, principal, operation, results)
        case LeaseHeartbeatOperation():
            results.answer = yield from _heartbeat(dialect, principal, operation, results)
        case ExpireLeasesOperation():
            results.answer = yield from _expire_due(dialect, principal, operation, results)
        case FreeAssignedOperation():
            yield from _free_assigned(dialect, operation, results)
        case DeleteBoardOperation():
            from mission_adapters.sql.board_deletion import delete_board  # deletions are rare, and have many statements

            yield from delete_board(dialect, operation, results)
        case DeleteOrganizationOperation():
            from mission_adapters.sql.organization_deletion import delete_organization

            yield from delete_organization(dialect, operation)


def _claim_next(
    dialect: str, principal: Principal, operation: ClaimNextOperation, results: FlushResults
) -> Steps[TaskChange | None]:
    wanted = operation.wanted
    boards = writable_boards(principal) if wanted.board is None else frozenset((wanted.board,))
    if wanted.board is not None:
        require_grant(principal, wanted.board)
    if operation.capacity_check is not None:
        yield from _require_agreement(dialect, principal, wanted.name_key, operation.capacity_check)
    board_filter, first = board_filter_for(boards), FIRST_BATCH
    where = next(iter(board_filter), "")
    given: dict[str, Any] = {
        **board_filter,
        "organization": principal.organization.bytes,
        "nobody": UNASSIGNED,
        "mine": wanted.name_key,
        "at": micros(operation.at),
    }
    tried: list[bytes] = []
    requeued = _requeued_in_flush(operation, boards, results)
    while True:
        again = bool(tried)
        shown = {**given, "tried": tried} if tried else given
        found = yield _select_first_ready(again, where, wanted.worker)(dialect, first=first, **shown)
        task = TASK_ROWS.entity_from(found[0]) if found else None
        if requeued and (task is None or _queue_order(requeued[0]) < _queue_order(task)):
            change = yield from decide_task(dialect, requeued.pop(0), operation.decide, results, ruled=True)
            if change is not None:
                return change
            continue
        if task is not None:
            # The locked task may have moved to another board, or be held, since the queue was read.
            elsewhere, ruled = boards is not None and task.board not in boards, bool(found[0][-1])
            change = (
                None if elsewhere else (yield from decide_task(dialect, task, operation.decide, results, ruled=ruled))
            )
            if change is not None:
                return change
            tried.append(task.id.bytes)
            continue
        # Either no task is ready, or other flushes have locked all the tasks in this batch.
        (ready,) = (yield _count_ready(again, where, wanted.worker)(dialect, first=first, **shown))[0]
        if ready < first or first >= LARGEST_BATCH:
            return None
        first *= 8


def _require_agreement(dialect: str, principal: Principal, name_key: str, agrees: CapacityCheck) -> Steps[None]:
    """
    Check that the name may claim another task. On PostgreSQL an advisory lock makes the claims of one name wait for
    each other.

    Raises:
        StaleWrite: If the name may not claim more.
    """
    if dialect == "postgresql":
        name = principal.organization.bytes + name_key.encode()
        key = int.from_bytes(blake2b(name, digest_size=8).digest(), signed=True)
        yield LOCK_NAME(dialect, key=key)
    in_hand = yield from read_tasks_in_progress(dialect, principal, name_key)
    if not agrees(in_hand):
        raise StaleWrite("task", in_hand[0].task)


def _requeued_in_flush(
    operation: ClaimNextOperation, boards: frozenset[BoardId] | None, results: FlushResults
) -> list[Task]:
    """
    Return the tasks that this flush has requeued and that fit the claim, in queue order. They are not in the queue
    table yet, which is written at the end of the flush.
    """
    fitting = [
        task
        for task in {write.after.id: write.after for write in results.writes}.values()
        if task.status in IDLE_STATUSES
        and (boards is None or task.board in boards)
        and (task.assignee is None or task.assignee.key == operation.wanted.name_key)
        and (task.not_before is None or task.not_before <= operation.at)
    ]
    return sorted(fitting, key=_queue_order)


def _queue_order(task: Task) -> tuple[int, bool, datetime, int]:
    """
    Return the sort key of a task in the queue.
    """
    return task.priority_rank, task.due_at is None, task.due_at or task.created_at, task.number


def _claim(
    dialect: str, principal: Principal, operation: ClaimOperation, results: FlushResults
) -> Steps[TaskChange | None]:
    found = yield select_entity(Task, dialect, principal.organization, operation.task, locked=True)
    if not found:
        raise TaskNotFound
    task = TASK_ROWS.entity_from(found[0])
    require_grant(principal, task.board)
    change = yield from decide_task(dialect, task, operation.decide, results, ruled=True)
    return change


def _heartbeat(
    dialect: str, principal: Principal, operation: LeaseHeartbeatOperation, results: FlushResults
) -> Steps[TaskChange | None]:
    given = {"run": operation.run.bytes, "organization": principal.organization.bytes}
    found = yield TASK_OF_RUN(dialect, **given)
    if not found:
        raise RunNotFound
    task = TASK_ROWS.entity_from(found[0])
    require_grant(principal, task.board)
    run = RUN_ROWS.entity_from((yield SELECT_RUN_FOR_UPDATE(dialect, run=operation.run.bytes))[0])
    change = yield from apply_decision(dialect, task, run, operation.decide, results)
    return change


def _expire_due(
    dialect: str, principal: Principal, operation: ExpireLeasesOperation, results: FlushResults
) -> Steps[int]:
    given = {"organization": principal.organization.bytes, "at": micros(operation.at), "most": operation.limit}
    changed = 0
    for row in (yield EXPIRED_LEASES(dialect, **given)):
        change = yield from decide_task(dialect, TASK_ROWS.entity_from(row), operation.decide, results)
        changed += change is not None
    return changed


def _free_assigned(dialect: str, operation: FreeAssignedOperation, results: FlushResults) -> Steps[None]:
    agent = operation.agent
    yield from lock_row(dialect, Agent, agent.id, agent.version, exclusive=True)
    given = {"organization": agent.organization.bytes, "name": agent.name_key, "most": operation.limit + 1}
    rows = yield UNFINISHED_OF_NAME(dialect, **given)
    if operation.last and len(rows) > operation.limit:
        raise TooManyUnfinishedTasks
    for row in rows[: operation.limit]:
        yield from decide_task(dialect, TASK_ROWS.entity_from(row), operation.decide, results)
