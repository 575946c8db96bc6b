"""
The claim of a candidate as a combined flush on PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from attrs import evolve
from sqlalchemy import Executable, literal_column, select

from mission_adapters.decision_operations import ClaimNextOperation, ExpireLeasesOperation
from mission_adapters.sql.combined_flush import Term, combined_flush
from mission_adapters.sql.database_session import Steps
from mission_adapters.sql.queue_candidates import QueueCandidate
from mission_adapters.sql.statements import parameter
from mission_adapters.sql.tables import boards
from mission_adapters.sql.task_decisions import FlushResults
from mission_adapters.write_buffer import RowWrite, WriteBuffer
from mission_core.accounts.model import Principal
from mission_core.boards.model import Board
from mission_core.ids import BoardId
from mission_core.ports import RowPart, Versioned
from mission_core.tasks.ports import TaskChange


def next_claim_of(buffer: WriteBuffer) -> ClaimNextOperation | None:
    """
    Return the claim of a unit that does nothing else but expire leases before it, or None if the unit is another one.
    """
    if buffer.writes or buffer.events or buffer.read_dependencies or buffer.presence or buffer.used_keys:
        return None
    if not all(isinstance(row, Board) for row in buffer.remembered.values()):
        return None
    match buffer.operations:
        case [ExpireLeasesOperation(), ClaimNextOperation() as operation]:
            return operation
    return None


def needs_candidate_only(candidate: QueueCandidate, boards: frozenset[BoardId] | None) -> bool:
    """
    Whether the claim of a candidate on these boards can be decided without reading anything else but the budgets.
    """
    task = candidate.task
    if task is None or candidate.has_rules or task.depends_on or task.run is not None:
        return False
    # The locked task may have moved to another board since the queue was read.
    return boards is None or task.board in boards


def gates_unchanged(candidate: QueueCandidate) -> Term:
    """
    Return the guard of the claim of a locked candidate: the gates of its board are unchanged.
    """
    assert candidate.task is not None
    return Term(_lock_gates, (), {"gated": candidate.task.board.bytes, "gates_known": candidate.gates_version})


def _lock_gates() -> Executable:
    unchanged = boards.c.id == parameter("gated"), boards.c.gates_version == parameter("gates_known", int)
    # It does not wait for a change of the board: the deletion of a board locks its tasks after it.
    return select(literal_column("1")).where(*unchanged).with_for_update(read=True, skip_locked=True)


def combined_claim(
    principal: Principal,
    candidate: QueueCandidate,
    change: TaskChange,
    *,
    at: datetime,
    relied: Iterable[Versioned | RowPart] = (),
    guards: Sequence[Term] = (),
    postings: Sequence[tuple[Any, ...]] | None = None,
) -> Callable[[], Steps[FlushResults]] | None:
    """
    Return the steps that claim a candidate in one statement (`combined_flush`), or None if the change is another one.

    Args:
        relied: The rows that must be unchanged.
        guards: More terms of the statement.
        postings: The rows that the claim adds to the amounts of budgets, if they were read under the locked head row.
    """
    before, run = candidate.task, change.new_run
    if before is None or change.task is None or run is None or change.run or change.heartbeat or change.late_result:
        return None
    after = evolve(change.task, version=before.version + 1)
    claim = WriteBuffer(principal, events=list(change.events), boards_of_tasks={before.id: before.board})
    claim.writes = {before.id: RowWrite(before=before, after=after), run.id: RowWrite(before=None, after=run)}
    for each in relied:
        claim.add_read_dependency(type(each), each, bump=False)
    flush = combined_flush(claim, at=at, guards=guards, postings=postings)
    if flush is None:
        return None

    def steps() -> Steps[FlushResults]:
        results = yield from flush()
        results.answer, results.result = evolve(change, task=after), change.result
        return results

    return steps
