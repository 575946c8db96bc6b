"""
The candidate of a claim: the first ready task of the queue, read by one statement with all else that the claim needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Executable,
    Select,
    and_,
    case,
    exists,
    func,
    literal_column,
    select,
    true,
    union_all,
)

from mission_adapters.sql.approval_holds import HAS_CLAIM_RULES, is_lead_only, pending_hold
from mission_adapters.sql.board_visibility import BOARD_FILTERS, board_filter_for
from mission_adapters.sql.database_session import Steps
from mission_adapters.sql.entity_queries import TASK_COLUMNS
from mission_adapters.sql.event_log import HAS_BUDGETS
from mission_adapters.sql.statements import IdArray, cached_statement, in_array, parameter
from mission_adapters.sql.tables import alive, boards, numbers, queue, runs, tasks, unblocked, workloads
from mission_adapters.sql.task_queue import UNASSIGNED
from mission_core.tasks.model import Status, Task
from mission_core.tasks.rows import TASK_ROWS
from mission_core.values import micros

if TYPE_CHECKING:
    from collections.abc import Collection

    from mission_adapters.decision_operations import ClaimNextOperation
    from mission_core.accounts.model import Principal
    from mission_core.ids import BoardId

FIRST_BATCH: Final = 8
"""The number of queued tasks that a claim looks at first. If all are locked by others, it looks at eight times more."""
QUEUE_FILTERS: Final[dict[str, ColumnElement[bool]]] = {
    "": queue.c.organization == parameter("organization"),
    "own_board": BOARD_FILTERS["own_board"](queue.c.board),
    "own_boards": and_(queue.c.organization == parameter("organization"), BOARD_FILTERS["own_boards"](queue.c.board)),
}
"""The conditions that limit the queue to the boards of a claim, by the name of their board filter."""
_organization: Final = parameter("organization")
HAS_EXPIRED_LEASES: Final = exists(
    select(literal_column("1")).where(
        runs.c.organization == _organization, alive, runs.c.expires_at <= parameter("at", int)
    )
)
# The counters tell it, because SQLite would look for the name among all tasks in progress.
HAS_TASKS_IN_PROGRESS: Final = exists(
    select(literal_column("1")).where(
        workloads.c.organization == _organization,
        workloads.c.assignee_key == parameter("mine", str),
        workloads.c.status == literal_column(f"'{Status.IN_PROGRESS.value}'"),
        workloads.c.amount > 0,
    )
)
CLAIM_COUNT: Final = select(numbers.c.value).where(
    numbers.c.scope == _organization, numbers.c.kind == parameter("claims", str)
)
GATES_VERSION: Final = select(boards.c.gates_version).where(boards.c.id == tasks.c.board)


class QueueCandidate(NamedTuple):
    """
    The first ready task of the queue that nobody else has locked, or None.

    Args:
        has_expired: Whether a lease of the organization has expired.
        has_work: Whether the claimant's name has tasks in progress, on any board.
        claims: The number of claims under the name that had a capacity check, or None if there was none.
        has_budgets: Whether the organization has budgets.
        ready: The number of ready tasks that were looked at, if all of them are locked.
        has_rules: Whether the task's board has rules for claims.
        gates_version: The version of the gates of the task's board.
    """

    has_expired: bool
    has_work: bool
    claims: int | None
    has_budgets: bool
    ready: int
    has_rules: bool
    gates_version: int
    task: Task | None


def claim_sequence(name_key: str) -> str:
    """
    Return the kind of the number sequence that counts the claims under a name that had a capacity check.
    """
    return f"claims of {name_key}"


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
        ready = ready.where(~in_array(queue.c.board, "closed", IdArray()))
    ready = ready.order_by(queue.c.rank, queue.c.due, queue.c.number).limit(parameter("first", int))
    return select(ready.subquery())


@cached_statement
def select_candidate(again: bool, board_filter: str, worker: bool) -> Executable:
    """
    Select one row, also if there is no ready task.
    """
    names = ("nobody", "mine")
    ready = union_all(*(_ready_of_name(name, again, board_filter, worker) for name in names)).cte("ready")
    first = select(*TASK_COLUMNS, HAS_CLAIM_RULES, GATES_VERSION.scalar_subquery().label("gates_version"))
    first = first.select_from(tasks.join(ready, ready.c.task == tasks.c.id))
    first = first.order_by(ready.c.rank, ready.c.due, ready.c.number).limit(1)
    candidate = first.with_for_update(of=tasks, skip_locked=True).cte("candidate")
    counted = select(func.count()).select_from(ready).scalar_subquery()
    always = select(literal_column("1")).subquery("always")
    return select(
        HAS_EXPIRED_LEASES,
        HAS_TASKS_IN_PROGRESS,
        CLAIM_COUNT.scalar_subquery(),
        HAS_BUDGETS,
        case((candidate.c.id.is_(None), counted)),
        candidate.c.ruled,
        candidate.c.gates_version,
        *(each for each in candidate.c if each.name not in ("ruled", "gates_version")),
    ).select_from(always.outerjoin(candidate, true()))


def read_candidate(
    dialect: str,
    principal: Principal,
    operation: ClaimNextOperation,
    boards: frozenset[BoardId] | None,
    *,
    tried: Collection[bytes] = (),
    closed: Collection[BoardId] = (),
    first: int = FIRST_BATCH,
    single: bool = False,
) -> Steps[QueueCandidate]:
    """
    Read the candidate of a claim on these boards, and lock its task.

    Args:
        tried: The ids of tasks that are left out.
        closed: The boards whose tasks are left out.
        first: The number of tasks at the head of the queue that are looked at.
        single: Whether the statement is the only one of its write.
    """
    board_filter, name_key = board_filter_for(boards), operation.wanted.name_key
    given: dict[str, Any] = {
        **board_filter,
        "organization": principal.organization.bytes,
        "nobody": UNASSIGNED,
        "mine": name_key,
        "claims": claim_sequence(name_key),
        "at": micros(operation.at),
        "first": first,
    }
    if tried:
        given |= {"tried": list(tried), "closed": [each.bytes for each in closed]}
    statement = select_candidate(bool(tried), next(iter(board_filter), ""), operation.wanted.worker)
    ((has_expired, has_work, claims, has_budgets, ready, has_rules, gates_version, *row),) = yield statement(
        dialect, **given
    )._replace(single=single)
    task = None if row[0] is None else TASK_ROWS.entity_from(row)
    return QueueCandidate(
        bool(has_expired), bool(has_work), claims, bool(has_budgets), ready or 0, bool(has_rules), gates_version or 0,
        task,
    )  # fmt: skip
