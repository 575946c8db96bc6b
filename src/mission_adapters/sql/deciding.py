"""
Decisions about a task inside the flush: the locked task and its run go to a function of the core, and the changes it
returns are written.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from attrs import define, evolve, field
from sqlalchemy import select, update

from mission_adapters.remembered import Write
from mission_adapters.sql.held import HELD
from mission_adapters.sql.loads import RUN, a_run
from mission_adapters.sql.parts import Part
from mission_adapters.sql.queue import COUNT
from mission_adapters.sql.rows import insert_row, update_row
from mission_adapters.sql.session import Steps
from mission_adapters.sql.statements import Statement, value
from mission_adapters.sql.tables import runs, tasks
from mission_core.events.model import Fact
from mission_core.tasks.model import Task
from mission_core.tasks.ports import Candidate, Change, Decide
from mission_core.tasks.runs import Run

LOCKED_RUN: Final = Statement(select(*RUN).where(runs.c.id == value("run")).with_for_update())
COUNT_LATE: Final = Statement(
    update(tasks).where(tasks.c.id == value("task")).values(late_results=tasks.c.late_results + 1)
)


@define
class Done:
    """
    The results of a unit's operations: task writes, events, and the result of the idempotency key.

    Args:
        parts: Statements that must run later, while the organization's head row is locked.
        claimed: The tasks that got a new run.
        places: The board of each task that was changed.
        answer: The value that `commit` returns.
    """

    writes: list[Write] = field(factory=list)
    parts: list[Part] = field(factory=list)
    claimed: list[Task] = field(factory=list)
    facts: list[Fact] = field(factory=list)
    places: dict[UUID, UUID] = field(factory=dict)
    result: Any = None
    answer: Any = None


def offer(dialect: str, task: Task, decide: Decide, results: Done, *, ruled: bool = False) -> Steps[Change | None]:
    """
    Let *decide* change a locked task and its run. With *ruled* the claim rules of the task's board are read first:
    pending approvals that hold the task, and whether only a lead may move tasks.
    """
    run = None
    if task.run is not None:
        found = yield LOCKED_RUN(dialect, run=task.run.bytes)
        run = a_run(found[0]) if found else None
    held = lead_only = False
    if ruled:
        where = {"organization": task.organization.bytes, "board": task.board.bytes, "task": task.id.bytes}
        holder, led = (yield HELD(dialect, **where))[0]
        held, lead_only = holder is not None, bool(led)
    change = yield from decided(dialect, task, run, decide, results, held=held, lead_only=lead_only)
    return change


def decided(
    dialect: str,
    task: Task,
    run: Run | None,
    decide: Decide,
    results: Done,
    *,
    held: bool = False,
    lead_only: bool = False,
) -> Steps[Change | None]:
    """
    Call *decide* with the task and its run, and write the changes it returns.
    """
    waits_for = (yield COUNT(dialect, task=task.id.bytes))[0][0] if task.depends_on else 0
    candidate = Candidate(task=task, run=run, open_dependencies=waits_for, held=held, lead_only=lead_only)
    change = decide(candidate)
    if change is None:
        return None
    if change.task is not None:
        after = evolve(change.task, version=task.version + 1)
        change = evolve(change, task=after)
        yield from update_row(dialect, task, after)
        results.writes.append(Write(before=task, after=after))
    if change.run is not None and run is not None:
        ended = evolve(change.run, version=run.version + 1)
        change = evolve(change, run=ended)
        yield from update_row(dialect, run, ended)
    if change.beat is not None and run is not None:
        yield from update_row(dialect, run, change.beat)
    if change.new_run is not None:
        yield from insert_row(dialect, change.new_run)
        results.claimed.append(task)
    if change.late_result is not None:
        yield from insert_row(dialect, change.late_result)
        yield COUNT_LATE.count(dialect, task=task.id.bytes)
    results.facts += change.facts
    results.places[task.id] = task.board
    results.result = results.result or change.result
    return change
