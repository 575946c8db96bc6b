"""
Decisions about a task inside the flush: the locked task and its run go to a function of the core, and the changes it
returns are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from attrs import evolve, field
from sqlalchemy import select, update

from mission_adapters.sql.approval_holds import CLAIM_RULES
from mission_adapters.sql.database_session import Steps
from mission_adapters.sql.entity_queries import RUN_COLUMNS
from mission_adapters.sql.event_log import LockedHead, lock_head
from mission_adapters.sql.row_writes import insert_row, update_row
from mission_adapters.sql.statement_batch import BatchedStatement
from mission_adapters.sql.statements import Statement, parameter
from mission_adapters.sql.tables import runs, tasks
from mission_adapters.sql.task_contexts import TaskContext
from mission_adapters.sql.task_queue import COUNT_OPEN_DEPENDENCIES
from mission_adapters.write_buffer import ReadDependency, RowWrite
from mission_core.errors import StaleWrite
from mission_core.events.model import Event
from mission_core.lazy_attrs import define
from mission_core.tasks.model import Task
from mission_core.tasks.ports import Candidate, Decide, TaskChange
from mission_core.tasks.rows import RUN_ROWS
from mission_core.tasks.runs import Run

if TYPE_CHECKING:
    from mission_core.ids import OrganizationId
    from mission_core.usage.budget_accounts import BudgetBook

SELECT_RUN_FOR_UPDATE: Final = Statement(select(*RUN_COLUMNS).where(runs.c.id == parameter("run")).with_for_update())
COUNT_LATE_RESULT: Final = Statement(
    update(tasks).where(tasks.c.id == parameter("task")).values(late_results=tasks.c.late_results + 1)
)


@define
class FlushResults:
    """
    The results of a unit's operations: task writes, events, and the result of the idempotency key.

    Args:
        changes: The changes of tasks and runs, as they were written.
        head_statements: Statements that must run later, while the organization's head row is locked.
        claimed: The tasks that got a new run.
        deleted_runs: The runs that were alive when they were deleted, as ended.
        boards_of_tasks: The board of each task that was changed.
        contexts: The tasks that were written, each with its context.
        appended: The positions of the entries that were appended to the log, on PostgreSQL.
        relied: The checks of rows that the update of the next task shall make.
        at: The time of the flush.
        head: The locked head row, if it was locked before the rows were written.
        book: The accounts of the organization's budgets, if they were read while they cannot change.
        has_budgets: Whether the flush has found that the organization has budgets.
        answer: The value that `commit` returns.
    """

    at: datetime

    writes: list[RowWrite] = field(factory=list)
    changes: list[TaskChange] = field(factory=list)
    head_statements: list[BatchedStatement] = field(factory=list)
    claimed: list[Task] = field(factory=list)
    deleted_runs: list[Run] = field(factory=list)
    facts: list[Event] = field(factory=list)
    boards_of_tasks: dict[UUID, UUID] = field(factory=dict)
    contexts: list[tuple[Task, TaskContext]] = field(factory=list)
    appended: range = range(0)
    relied: Sequence[ReadDependency] = ()
    head: LockedHead | None = None
    book: BudgetBook | None = None
    has_budgets: bool = False
    result: Any = None
    answer: Any = None

    def keep_context(self, entity: Any, returned: Any) -> None:
        """
        Keep what the statement returned that wrote this entity, if it is a task.
        """
        if isinstance(entity, Task):
            self.contexts.append((entity, TaskContext._make(returned)))


def decide_task(
    dialect: str, task: Task, decide: Decide, results: FlushResults, *, ruled: bool = False
) -> Steps[TaskChange | None]:
    """
    Let *decide* change a locked task and its run. With *ruled* the claim rules of the task's board are read first:
    pending approvals that hold the task, and whether only a lead may move tasks.

    Raises:
        StaleWrite: If the rules are being changed.
    """
    run = None
    if task.run is not None:
        found = yield SELECT_RUN_FOR_UPDATE(dialect, run=task.run.bytes)
        run = RUN_ROWS.entity_from(found[0]) if found else None
    held = lead_only = False
    if ruled:
        where = {"organization": task.organization.bytes, "board": task.board.bytes, "task": task.id.bytes}
        rules = yield CLAIM_RULES(dialect, **where)
        if not rules:
            raise StaleWrite("board", task.board)
        holder, led, has_budgets = rules[0]
        held, lead_only = holder is not None, bool(led)
        if has_budgets:
            yield from read_book_for_claim(dialect, task.organization, results, run)
    change = yield from apply_decision(
        dialect, task, run, decide, results, held=held, lead_only=lead_only, budgets=results.book
    )
    return change


def read_book_for_claim(
    dialect: str, organization: OrganizationId, results: FlushResults, ended: Run | None = None
) -> Steps[BudgetBook]:
    """
    Read the accounts of the budgets, unless they were read, and lock them until the end of the flush: all flushes that
    change them lock the head row.

    Args:
        ended: A run that may end before the claim.
    """
    if results.book is None:
        from mission_adapters.sql.budget_book import read_book  # few organizations have budgets

        if dialect == "postgresql":
            results.head = yield from lock_head(dialect, organization)
        own = () if ended is None else (ended.id,)
        results.book = yield from read_book(dialect, organization, at=results.at, own=own)
        results.has_budgets = True
    return results.book


def apply_decision(
    dialect: str,
    task: Task,
    run: Run | None,
    decide: Decide,
    results: FlushResults,
    *,
    held: bool = False,
    lead_only: bool = False,
    budgets: BudgetBook | None = None,
) -> Steps[TaskChange | None]:
    """
    Call *decide* with the task and its run, and write the changes it returns.
    """
    waits_for = (yield COUNT_OPEN_DEPENDENCIES(dialect, task=task.id.bytes))[0][0] if task.depends_on else 0
    candidate = Candidate(
        task=task, run=run, open_dependencies=waits_for, held=held, lead_only=lead_only, budgets=budgets
    )
    change = decide(candidate)
    if change is not None:
        change = yield from write_change(dialect, task, run, change, results)
    return change


def write_change(
    dialect: str, task: Task, run: Run | None, change: TaskChange, results: FlushResults
) -> Steps[TaskChange]:
    """
    Write a change of a task and its run. Return it with the versions that were written.
    """
    if change.task is not None:
        after = evolve(change.task, version=task.version + 1)
        change = evolve(change, task=after)
        relied, results.relied = results.relied, ()
        results.keep_context(after, (yield from update_row(dialect, task, after, relied)))
        results.writes.append(RowWrite(before=task, after=after))
    if change.run is not None and run is not None:
        ended = evolve(change.run, version=run.version + 1)
        change = evolve(change, run=ended)
        yield from update_row(dialect, run, ended)
    if change.heartbeat is not None and run is not None:
        yield from update_row(dialect, run, change.heartbeat)
    if change.new_run is not None:
        yield from insert_row(dialect, change.new_run)
        results.claimed.append(task)
    if change.late_result is not None:
        yield from insert_row(dialect, change.late_result)
        yield COUNT_LATE_RESULT.count(dialect, task=task.id.bytes)
    results.facts += change.events
    results.boards_of_tasks[task.id] = task.board
    results.result = results.result or change.result
    results.changes.append(change)
    return change
