"""
Operations that decide inside the flush, on locked rows: claim, heartbeat, lease expiry, reassignment and deletion.

A task is locked before its runs. On PostgreSQL a locking statement sees the newest version of the locked row only, so
other rows that a decision needs are read by further statements.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

from sqlalchemy import ColumnElement, Executable, Select, and_, func, select, union_all

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
from mission_adapters.sql.deciding import LOCKED_RUN, Done, decided, offer
from mission_adapters.sql.dissolving import dissolve
from mission_adapters.sql.ending import end
from mission_adapters.sql.grants import WITHIN, border_of_boards
from mission_adapters.sql.held import RULED, holding, lead_only
from mission_adapters.sql.in_hand import read_in_hand
from mission_adapters.sql.loads import TASK, a_run, a_task, one
from mission_adapters.sql.queue import NOBODY
from mission_adapters.sql.rows import lock_row
from mission_adapters.sql.session import Steps
from mission_adapters.sql.statements import Ids, Statement, among, shaped, value
from mission_adapters.sql.tables import alive, queue, runs, tasks, unblocked, unfinished
from mission_core.accounts.model import Principal, boards_written
from mission_core.agents.model import Agent
from mission_core.boards.model import require_grant
from mission_core.errors import StaleWrite
from mission_core.ids import BoardId
from mission_core.tasks.model import IDLE, Task, TaskNotFound
from mission_core.tasks.ports import Agrees, Change, MoreInHand
from mission_core.tasks.runs import RunNotFound
from mission_core.values import micros

FIRST: Final = 8
"""The number of queued tasks that a claim looks at first. If all are locked by others, it looks at eight times more."""
MOST: Final = 4096
QUEUES: Final[dict[str, ColumnElement[bool]]] = {
    "": queue.c.organization == value("organization"),
    "own_board": WITHIN["own_board"](queue.c.board),
    "own_boards": and_(queue.c.organization == value("organization"), WITHIN["own_boards"](queue.c.board)),
}
"""The conditions that limit the queue to the boards of a claim, by the name of their board filter."""


def _line(name: str, again: bool, board_filter: str, worker: bool) -> Select[Any]:
    """
    Select the first ready tasks of one assignee name in queue order, on the boards of a board filter. For a worker,
    tasks of boards that reserve moves for their lead are left out.
    """
    ready = select(queue.c.task, queue.c.rank, queue.c.due, queue.c.number).where(
        QUEUES[board_filter],
        queue.c.assignee_key == value(name, str),
        unblocked,
        queue.c.not_before <= value("at", int),
        holding(queue.c.organization, queue.c.board, queue.c.task).is_(None),
    )
    if worker:
        ready = ready.where(lead_only(queue.c.board) == 0)
    if again:
        ready = ready.where(~among(queue.c.task, "tried", Ids()))
    ready = ready.order_by(queue.c.rank, queue.c.due, queue.c.number).limit(value("first", int))
    return select(ready.subquery())


@shaped
def _first_ready(again: bool, board_filter: str, worker: bool) -> Executable:
    lines = union_all(*(_line(name, again, board_filter, worker) for name in ("nobody", "mine"))).subquery("ready")
    found = select(*TASK, RULED).select_from(tasks.join(lines, lines.c.task == tasks.c.id))
    found = found.order_by(lines.c.rank, lines.c.due, lines.c.number).limit(1)
    return found.with_for_update(of=tasks, skip_locked=True)


@shaped
def _count_ready(again: bool, board_filter: str, worker: bool) -> Executable:
    lines = union_all(*(_line(name, again, board_filter, worker) for name in ("nobody", "mine"))).subquery("ready")
    return select(func.count()).select_from(lines)


LAPSED: Final = Statement(
    select(*TASK)
    .select_from(tasks.join(runs, and_(runs.c.task == tasks.c.id, runs.c.id == tasks.c.run)))
    .where(runs.c.organization == value("organization"), alive, runs.c.expires_at <= value("at", int))
    .order_by(runs.c.expires_at, runs.c.id)
    .limit(value("most", int))
    .with_for_update(of=tasks, skip_locked=True)
)
TASK_OF_RUN: Final = Statement(
    select(*TASK)
    .select_from(tasks.join(runs, runs.c.task == tasks.c.id))
    .where(runs.c.id == value("run"), runs.c.organization == value("organization"))
    .with_for_update(of=tasks)
)
UNFINISHED: Final = Statement(
    select(*TASK)
    .where(tasks.c.organization == value("organization"), tasks.c.assignee_key == value("name", str), unfinished)
    .order_by(tasks.c.id)
    .limit(value("most", int))
    .with_for_update(of=tasks)
)
IN_TURN: Final = Statement(select(func.pg_advisory_xact_lock(value("key", int))))


def operate(dialect: str, principal: Principal, operation: Operation, results: Done) -> Steps[None]:
    """
    Run one operation of a unit.

    Raises:
        TaskNotFound: If the organization does not have the task.
        RunNotFound: If the organization does not have the run.
        BoardDenied: If the principal may not write on the task's board.
        MoreInHand: If an agent to be deleted has more unfinished tasks than one unit reassigns.
        StaleWrite: If the version of a row has changed.
    """
    match operation:
        case ClaimNextOf():
            results.answer = yield from _claim_next(dialect, principal, operation, results)
        case ClaimOf():
            results.answer = yield from _claim(dialect, principal, operation, results)
        case HeartbeatOf():
            results.answer = yield from _heartbeat(dialect, principal, operation, results)
        case ExpireDueOf():
            results.answer = yield from _expire_due(dialect, principal, operation, results)
        case TakeBackOf():
            yield from _take_back(dialect, operation, results)
        case DissolveOf():
            yield from dissolve(dialect, operation, results)
        case EndOf():
            yield from end(dialect, operation)


def _claim_next(dialect: str, principal: Principal, operation: ClaimNextOf, results: Done) -> Steps[Change | None]:
    wanted = operation.wanted
    boards = boards_written(principal) if wanted.board is None else frozenset((wanted.board,))
    if wanted.board is not None:
        require_grant(principal, wanted.board)
    if operation.agrees is not None:
        yield from _agreed(dialect, principal, wanted.name_key, operation.agrees)
    board_filter, first = border_of_boards(boards), FIRST
    where = next(iter(board_filter), "")
    given: dict[str, Any] = {
        **board_filter,
        "organization": principal.organization.bytes,
        "nobody": NOBODY,
        "mine": wanted.name_key,
        "at": micros(operation.at),
    }
    tried: list[bytes] = []
    requeued = _freed(operation, boards, results)
    while True:
        again = bool(tried)
        shown = {**given, "tried": tried} if tried else given
        found = yield _first_ready(again, where, wanted.worker)(dialect, first=first, **shown)
        task = a_task(found[0]) if found else None
        if requeued and (task is None or _turn(requeued[0]) < _turn(task)):
            change = yield from offer(dialect, requeued.pop(0), operation.decide, results, ruled=True)
            if change is not None:
                return change
            continue
        if task is not None:
            # The locked task may have moved to another board, or be held, since the queue was read.
            elsewhere, ruled = boards is not None and task.board not in boards, bool(found[0][-1])
            change = None if elsewhere else (yield from offer(dialect, task, operation.decide, results, ruled=ruled))
            if change is not None:
                return change
            tried.append(task.id.bytes)
            continue
        # Either no task is ready, or other flushes have locked all the tasks in this batch.
        (ready,) = (yield _count_ready(again, where, wanted.worker)(dialect, first=first, **shown))[0]
        if ready < first or first >= MOST:
            return None
        first *= 8


def _agreed(dialect: str, principal: Principal, name_key: str, agrees: Agrees) -> Steps[None]:
    """
    Check that the name may claim another task. On PostgreSQL an advisory lock makes the claims of one name wait for
    each other.

    Raises:
        StaleWrite: If the name may not claim more.
    """
    if dialect == "postgresql":
        name = principal.organization.bytes + name_key.encode()
        key = int.from_bytes(blake2b(name, digest_size=8).digest(), signed=True)
        yield IN_TURN(dialect, key=key)
    in_hand = yield from read_in_hand(dialect, principal, name_key)
    if not agrees(in_hand):
        raise StaleWrite("task", in_hand[0].task)


def _freed(operation: ClaimNextOf, boards: frozenset[BoardId] | None, results: Done) -> list[Task]:
    """
    Return the tasks that this flush has requeued and that fit the claim, in queue order. They are not in the queue
    table yet, which is written at the end of the flush.
    """
    fitting = [
        task
        for task in {write.after.id: write.after for write in results.writes}.values()
        if task.status in IDLE
        and (boards is None or task.board in boards)
        and (task.assignee is None or task.assignee.key == operation.wanted.name_key)
        and (task.not_before is None or task.not_before <= operation.at)
    ]
    return sorted(fitting, key=_turn)


def _turn(task: Task) -> tuple[int, bool, datetime, int]:
    """
    Return the sort key of a task in the queue.
    """
    return task.rank, task.due_at is None, task.due_at or task.created_at, task.number


def _claim(dialect: str, principal: Principal, operation: ClaimOf, results: Done) -> Steps[Change | None]:
    found = yield one(Task, dialect, principal.organization, operation.task, locked=True)
    if not found:
        raise TaskNotFound
    task = a_task(found[0])
    require_grant(principal, task.board)
    change = yield from offer(dialect, task, operation.decide, results, ruled=True)
    return change


def _heartbeat(dialect: str, principal: Principal, operation: HeartbeatOf, results: Done) -> Steps[Change | None]:
    given = {"run": operation.run.bytes, "organization": principal.organization.bytes}
    found = yield TASK_OF_RUN(dialect, **given)
    if not found:
        raise RunNotFound
    task = a_task(found[0])
    require_grant(principal, task.board)
    run = a_run((yield LOCKED_RUN(dialect, run=operation.run.bytes))[0])
    change = yield from decided(dialect, task, run, operation.decide, results)
    return change


def _expire_due(dialect: str, principal: Principal, operation: ExpireDueOf, results: Done) -> Steps[int]:
    given = {"organization": principal.organization.bytes, "at": micros(operation.at), "most": operation.limit}
    changed = 0
    for row in (yield LAPSED(dialect, **given)):
        change = yield from offer(dialect, a_task(row), operation.decide, results)
        changed += change is not None
    return changed


def _take_back(dialect: str, operation: TakeBackOf, results: Done) -> Steps[None]:
    agent = operation.agent
    yield from lock_row(dialect, Agent, agent.id, agent.version, exclusive=True)
    given = {"organization": agent.organization.bytes, "name": agent.name_key, "most": operation.limit + 1}
    rows = yield UNFINISHED(dialect, **given)
    if operation.last and len(rows) > operation.limit:
        raise MoreInHand
    for row in rows[: operation.limit]:
        yield from offer(dialect, a_task(row), operation.decide, results)
