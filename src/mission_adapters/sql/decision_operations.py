"""
Operations that run inside a flush in SQL: claims, heartbeats, lease expiry, reassignment and deletion.

Most call a decision function of the core with locked rows, and write the changes that it returns. A task is locked
before its runs. On PostgreSQL a locking statement sees the newest version of the locked row only, so other rows that a
decision needs are read by further statements.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from attrs import evolve
from sqlalchemy import and_, select

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
from mission_adapters.sql.budget_postings import postings_of_claim
from mission_adapters.sql.combined_claims import combined_claim, gates_unchanged, needs_candidate_only
from mission_adapters.sql.combined_flush import NotCombined
from mission_adapters.sql.database_session import Steps
from mission_adapters.sql.entity_queries import TASK_COLUMNS, select_entity
from mission_adapters.sql.event_log import HAS_BUDGETS
from mission_adapters.sql.number_sequences import draw_numbers
from mission_adapters.sql.queue_candidates import FIRST_BATCH, QueueCandidate, claim_sequence, read_candidate
from mission_adapters.sql.row_writes import lock_row
from mission_adapters.sql.statements import Statement, parameter
from mission_adapters.sql.tables import alive, lock_order, runs, tasks, unfinished
from mission_adapters.sql.task_decisions import (
    SELECT_RUN_FOR_UPDATE,
    FlushResults,
    apply_decision,
    decide_task,
    read_book_for_claim,
)
from mission_adapters.sql.tasks_in_progress import read_tasks_in_progress
from mission_core.accounts.model import Principal, writable_boards
from mission_core.agents.model import Agent
from mission_core.boards.model import require_grant
from mission_core.errors import StaleWrite
from mission_core.ids import BoardId
from mission_core.tasks.model import IDLE_STATUSES, Task, TaskNotFound
from mission_core.tasks.ports import Candidate, ClaimFilter, Decide, TaskChange, TaskInProgress, TooManyUnfinishedTasks
from mission_core.tasks.rows import RUN_ROWS, TASK_ROWS
from mission_core.tasks.runs import RunNotFound
from mission_core.values import micros

LARGEST_BATCH: Final = 4096
EXPIRED_LEASES: Final = Statement(
    select(*TASK_COLUMNS)
    .select_from(tasks.join(runs, and_(runs.c.task == tasks.c.id, runs.c.id == tasks.c.run)))
    .where(runs.c.organization == parameter("organization"), alive, runs.c.expires_at <= parameter("at", int))
    .order_by(runs.c.expires_at, runs.c.id)
    .limit(parameter("most", int))
    .with_for_update(of=tasks, skip_locked=True)
)
TASK_OF_RUN: Final = Statement(
    select(*TASK_COLUMNS, HAS_BUDGETS)
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


def run_operations(
    dialect: str,
    principal: Principal,
    operations: Sequence[Operation],
    results: FlushResults,
    *,
    combined_at: datetime | None = None,
) -> Steps[None]:
    """
    Run the operations of a unit inside the flush, in their order. Their events, task changes and answer are added to
    *results*.

    Args:
        combined_at: The time of the flush, if a claim may lock the head row, because the unit does nothing after it.

    Raises:
        TaskNotFound: If the organization does not have the task.
        RunNotFound: If the organization does not have the run.
        BoardDenied: If the principal may not write on the task's board.
        TooManyUnfinishedTasks: If an agent to be deleted has more unfinished tasks than one unit reassigns.
        StaleWrite: If the version of a row has changed.
    """
    match operations:
        case [ExpireLeasesOperation() as expiry, ClaimNextOperation() as claim]:
            results.answer = yield from _claim_next(dialect, principal, claim, results, expiry, combined_at)
        case _:
            for operation in operations:
                yield from _run_operation(dialect, principal, operation, results)


def _run_operation(dialect: str, principal: Principal, operation: Operation, results: FlushResults) -> Steps[None]:
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
    dialect: str,
    principal: Principal,
    operation: ClaimNextOperation,
    results: FlushResults,
    expiry: ExpireLeasesOperation | None = None,
    combined_at: datetime | None = None,
) -> Steps[TaskChange | None]:
    """
    Claim the next task, after *expiry*.
    """
    boards, check = claimed_boards(principal, operation.wanted), operation.capacity_check
    if check is not None and dialect == "postgresql":
        yield from _count_claim(principal, operation.wanted.name_key)
    tried: list[bytes] = []
    closed: frozenset[BoardId] = frozenset()
    requeued, first = _requeued_in_flush(operation, boards, results), FIRST_BATCH
    while True:
        candidate = yield from read_candidate(
            dialect, principal, operation, boards, tried=tried, closed=closed, first=first
        )
        if check is not None:
            name_key = operation.wanted.name_key
            in_hand = (yield from read_tasks_in_progress(dialect, principal, name_key)) if candidate.has_work else []
            require_capacity(operation, in_hand)
            check = None
        if expiry is not None and candidate.has_expired:
            yield from _expire_due(dialect, principal, expiry, results)
            expiry, requeued = None, _requeued_in_flush(operation, boards, results)
            continue
        if candidate.has_budgets and (candidate.task is not None or requeued):
            book = yield from read_book_for_claim(dialect, principal.organization, results)
            if book.refuses_all(operation.wanted.name_key):
                return None
            closed = book.closed_boards()
        task = candidate.task
        if requeued and (task is None or _queue_order(requeued[0]) < _queue_order(task)):
            change = yield from decide_task(dialect, requeued.pop(0), operation.decide, results, ruled=True)
            if change is not None:
                return change
            continue
        if task is not None:
            at = combined_at if not results.writes and needs_candidate_only(candidate, boards) else None
            change = yield from _claim_candidate(dialect, principal, candidate, operation.decide, boards, results, at)
            if change is not None:
                return change
            tried.append(task.id.bytes)
            continue
        # Either no task is ready, or other flushes have locked all the tasks in this batch.
        if candidate.ready < first or first >= LARGEST_BATCH:
            return None
        first *= 8


def _claim_candidate(
    dialect: str,
    principal: Principal,
    candidate: QueueCandidate,
    decide: Decide,
    boards: frozenset[BoardId] | None,
    results: FlushResults,
    combined_at: datetime | None,
) -> Steps[TaskChange | None]:
    """
    Claim the task of a candidate, in one statement if *combined_at* is given. Return None if it cannot be claimed.
    """
    task = candidate.task
    assert task is not None
    if combined_at is not None:
        return (yield from _claim_combined(principal, candidate, decide, results, at=combined_at))
    # The locked task may have moved to another board, or be held, since the queue was read. On PostgreSQL its board may
    # also have got rules.
    if boards is not None and task.board not in boards:
        return None
    ruled = candidate.has_rules or dialect == "postgresql"
    return (yield from decide_task(dialect, task, decide, results, ruled=ruled))


def _claim_combined(
    principal: Principal, candidate: QueueCandidate, decide: Decide, results: FlushResults, *, at: datetime
) -> Steps[TaskChange | None]:
    """
    Offer a candidate to *decide*, and write its change, in one statement if that can be.
    """
    task = candidate.task
    assert task is not None
    change = decide(Candidate(task=task, run=None, budgets=results.book))
    if change is None:
        return None
    guards, postings, decided = [gates_unchanged(candidate)], None, change
    if results.book is not None and change.new_run is not None:
        events, postings = postings_of_claim(results.book, change.new_run, at=results.at)
        decided = evolve(change, events=(*change.events, *events))
    claim = combined_claim(principal, candidate, decided, at=at, guards=guards, postings=postings)
    if claim is None:
        return (yield from decide_task("postgresql", task, decide, results, ruled=True))
    try:
        claimed = yield from claim()
    except NotCombined as changed:
        raise StaleWrite("task", task.id) from changed
    results.contexts += claimed.contexts
    results.result = claimed.result
    answer: TaskChange = claimed.answer
    return answer


def claimed_boards(principal: Principal, wanted: ClaimFilter) -> frozenset[BoardId] | None:
    """
    Return the boards whose tasks a claim may take, or None for all.

    Raises:
        BoardDenied: If the principal may not write to the wanted board.
    """
    if wanted.board is None:
        return writable_boards(principal)
    require_grant(principal, wanted.board)
    return frozenset((wanted.board,))


def _count_claim(principal: Principal, name_key: str) -> Steps[None]:
    """
    Count a claim under a name. The lock of the row makes the claims of one name wait for each other on PostgreSQL.
    """
    given = {"scope0": principal.organization.bytes, "kind0": claim_sequence(name_key), "value0": 1}
    yield draw_numbers("postgresql", 1)("postgresql", **given)


def require_capacity(operation: ClaimNextOperation, in_hand: Sequence[TaskInProgress]) -> None:
    """
    Check that the name may claim another task, if the claim has a check of that.

    Raises:
        StaleWrite: If the name may not claim more.
    """
    if operation.capacity_check is not None and not operation.capacity_check(in_hand):
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
    book = None
    if found[0][-1]:
        from mission_adapters.sql.budget_book import read_book  # few organizations have budgets

        book = yield from read_book(dialect, principal.organization, at=results.at, own=(run.id,))
        results.has_budgets = True
    change = yield from apply_decision(dialect, task, run, operation.decide, results, budgets=book)
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
