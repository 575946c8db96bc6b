"""
The ports of the tasks area: repositories of tasks and runs, gates, and the cascade of a board deletion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, NoReturn, Protocol
from uuid import UUID

from mission_core.boards.model import GateSet
from mission_core.errors import Conflict, Exhausted
from mission_core.ids import BoardId, BudgetId, BudgetNumber, RunId, TaskId, TaskNumber
from mission_core.lazy_attrs import define, frozen
from mission_core.tasks.model import Status, Task, TaskWorkVersion
from mission_core.tasks.runs import Assignee, ImplicitHolder, Run

if TYPE_CHECKING:
    from mission_core.agents.model import Agent
    from mission_core.events.model import Event
    from mission_core.tasks.late_results import LateResult


@frozen(kw_only=True)
class GateContext:
    """
    The gates of a board and the conditions that they check: whether an approval is granted or pending; whether the move
    has a comment, or the assignee commented since the work started; with *sole_reviewer*, whether the mover is an owner
    and no other member may review the task; with *has_author_key*, whether the mover is an agent with a key that an
    author of the task made.
    """

    rules: GateSet
    approved: bool = False
    pending: bool = False
    has_comment: bool = False
    sole_reviewer: bool = False
    has_author_key: bool = False


class Gates(Protocol):
    """
    Looks up the gates of a board and the approvals of a task. The approvals area implements it.
    """

    async def context_of(self, task: Task, to: Status | None = None) -> GateContext:
        """
        Return the gates of the task's board, with the approvals that matter for a move to this status. Without a
        status, only the rules are read. The unit relies on the rules.
        """

    def use_approval(self, task: Task, *, at: datetime) -> None:
        """
        Use up the approval with which the task becomes done, if its board requires one. `context_of` was called for the
        task before. `commit` writes it.
        """

    async def remove_approvals(self, task: Task) -> None:
        """
        Remove the approvals that were requested for this task alone, because the task is deleted. `commit` writes it.
        """


@define(repr=False)
class BudgetReached(Exhausted):
    """
    A hard budget has no room for another run.

    Args:
        measure: The unit of the amounts, such as money in nano-dollars.
        needed: The amount that the run would reserve.
        unpriced: Whether the budget stops because the price of some tokens is unknown.
        resets_at: The time at which spending counts from 0 again; None if it never does.
    """

    budget: BudgetId
    number: BudgetNumber
    name: str
    scope: str
    measure: str
    limit: int
    spent: int
    reserved: int
    needed: int
    unpriced: bool
    resets_at: datetime | None

    @property
    def why(self) -> str:
        """
        The reason, in a clause.
        """
        amounts = f"limit {self._shown(self.limit)}, spent {self._shown(self.spent)}, reserved "
        amounts += f"{self._shown(self.reserved)}"
        if self.unpriced:
            return f"budget {self.name!r} stops because the price of some tokens is unknown ({amounts})"
        return f"budget {self.name!r} has no room for another run ({amounts}, needed {self._shown(self.needed)})"

    @property
    def remedy(self) -> str:
        """
        The way in which the budget gets room again, in a clause.
        """
        turn = f"the budget starts again at {self.resets_at.isoformat()}, " if self.resets_at else ""
        return f"{turn}another run ends below its reservation, or an admin raises the limit"

    def __str__(self) -> str:
        return f"{self.why}; it has room again when {self.remedy}"

    def _shown(self, amount: int) -> str:
        if self.measure == "money":
            dollars, nanos = divmod(amount, 1_000_000_000)
            return f"{dollars}.{nanos:09d}".rstrip("0").ljust(len(str(dollars)) + 3, "0") + " dollars"
        return f"{amount} {'seconds' if self.measure == 'time' else self.measure}"


class Budgets(Protocol):
    """
    The budgets of the organization, as they are when a task is claimed or a lease is renewed. The usage area implements
    it.
    """

    def refusal_of_claim(self, task: Task, by: Assignee | None) -> BudgetReached | None:
        """
        Return the refusal if a hard budget has no room for a run of the task by this assignee; by anybody, if it is
        None.
        """

    def after_end_of(self, run: Run) -> Budgets:
        """
        Return the budgets as they are when the run has ended, and its reservations with it.
        """

    def refusal_of_renewal(self, run: Run, *, at: datetime) -> BudgetReached | None:
        """
        Return the refusal if a hard budget has no room for the run to go on.
        """


class TooManyUnfinishedTasks(Conflict):
    """
    The agent to be deleted has more unfinished tasks than one unit can free.
    """

    code = "more_in_hand"


@frozen(kw_only=True)
class DependencyNode:
    """
    A task reduced to what the dependency check needs. `rely_on` accepts it.
    """

    id: TaskId
    board: BoardId
    status: Status
    depends_on: tuple[TaskId, ...]
    version: int
    edits: int

    @property
    def work_version(self) -> TaskWorkVersion:
        """
        The version of the task without the edits of details.
        """
        return TaskWorkVersion(self.id, self.version - self.edits)


@frozen(kw_only=True)
class Candidate:
    """
    A task that was read under a lock, with its live run, if any, and the number of its dependencies that are not done.
    For a claim, *held* says whether a pending approval blocks it, and *lead_only* whether only the board's lead may
    move tasks. *budgets* are those of the organization, for a claim or a heartbeat; None if it has none.
    """

    task: Task
    run: Run | None
    open_dependencies: int = 0
    held: bool = False
    lead_only: bool = False
    budgets: Budgets | None = None


@frozen(kw_only=True)
class TaskChange:
    """
    The outcome of a decision under a lock: the changed task, a new or changed run, a run of which only the lease record
    changed (*heartbeat*), a late result, which the task counts without a new version, and the events. *result* is the
    id to store for the idempotency key. `commit` returns the change with the versions that were saved.
    """

    task: Task | None = None
    new_run: Run | None = None
    run: Run | None = None
    heartbeat: Run | None = None
    late_result: LateResult | None = None
    events: tuple[Event, ...] = ()
    result: UUID | None = None


Decide = Callable[[Candidate], TaskChange | None]
"""A pure, synchronous decision on a locked task. An exception undoes its unit alone; None skips the candidate."""


@frozen(kw_only=True)
class OrphanedTask:
    """
    A task of another board that the deletion of a board affects, read under a lock: it loses the dependencies in
    *depends_on*, and with *loses_assignee* its assignee.
    """

    candidate: Candidate
    depends_on: frozenset[TaskId] = frozenset()
    loses_assignee: bool = False


class DeletionCascade(Protocol):
    """
    The effects of deleting a board. The methods are pure and synchronous; an exception undoes their unit alone.
    """

    @property
    def keeps_pending(self) -> bool:
        """
        Whether a task with a pending approval may not leave the board. The store looks for one then.
        """

    def refuse_departure(self, task: TaskId) -> NoReturn:
        """
        Refuse the deletion because of this task.
        """

    def update_orphan(self, orphan: OrphanedTask) -> TaskChange | None:
        """
        Return the change of an affected task, or None.
        """

    def events(self, *, tasks: int, agents: int) -> tuple[Event, ...]:
        """
        Return the events of the deletion, given the numbers of tasks and agents of the board.
        """


@frozen(kw_only=True)
class ClaimFilter:
    """
    The filter of a claim: tasks that are unassigned or assigned to this name, on one board or on all. A *worker* is not
    offered tasks of boards where only the lead may move tasks.
    """

    name_key: str
    board: BoardId | None = None
    worker: bool = False


class TaskInProgress(NamedTuple):
    """
    A task in progress, the time of its last change, and its live run; None if a person holds it without a lease.
    """

    task: TaskId
    updated_at: datetime
    run: Run | None

    def is_active(self, *, at: datetime) -> bool:
        """
        Whether the task is still being worked on. A task whose lease has expired is not.
        """
        return self.run is None or self.run.is_live(at=at)


CapacityCheck = Callable[[Sequence[TaskInProgress]], bool]
"""Whether an agent name may be given another task, given its tasks in progress. Pure and synchronous."""


class TaskRepository(Protocol):
    """
    Keeps the tasks of the unit's organization, as far as its principal may see them.

    The flush keeps the readiness of tasks (idle status, open dependencies, not-before, assignee, rank) up to date. When
    a task becomes done, or stops being done, the number of open dependencies of its dependents goes down or up.
    """

    async def get(self, task: TaskId | TaskNumber) -> Task:
        """
        Return the task as last committed, or as this unit wrote it.

        Raises:
            TaskNotFound: If the organization has no such task.
            BoardDenied: If the principal has no grant for its board.
        """

    async def get_many(self, tasks: tuple[TaskNumber, ...]) -> list[Task]:
        """
        Return the tasks with these numbers, as last committed. Unknown numbers are left out.

        Raises:
            BoardDenied: If the principal has no grant for the board of one of them.
        """

    async def dependency_closure(self, tasks: tuple[TaskId, ...]) -> list[DependencyNode]:
        """
        Return these tasks and all tasks that they depend on, directly or indirectly. Unknown ids are left out.
        """

    async def dependents(self, task: TaskId, *, assume_none: bool = False) -> list[Task]:
        """
        Return the tasks that depend on this one, by number, each as last committed, or as this unit wrote it.

        Args:
            assume_none: Whether the store may answer that there are none, because it remembers so. If there is one
                after all, the commit raises `StaleWrite`, and the use case is repeated without the assumption.
        """

    def add(self, task: Task) -> Task:
        """
        Add a new task. `commit` writes it.
        """

    def save(self, task: Task, *, onto_edits: bool = False) -> Task:
        """
        Save a changed task, and return it with its next version. `commit` writes it.

        With *onto_edits* the commit accepts that others changed other details meanwhile: it locks the row and merges
        both changes (`Task.merged_onto`). Afterwards `get` returns the merged task.
        """

    def remove(self, task: Task) -> None:
        """
        Remove the task and its runs, at the version it has here. `commit` writes it.
        """

    def claim_next(
        self, wanted: ClaimFilter, decide: Decide, *, at: datetime, agrees: CapacityCheck | None = None
    ) -> None:
        """
        First step of the flush: offer claimable tasks that fit *wanted* to *decide*, one by one, until it returns a
        change. `commit` returns that change, or None. The order is that of the queue: priority, due date (none last),
        age. Each task is locked and read afresh; tasks locked by others are skipped. Only tasks of boards that the
        principal may write to are offered.

        *agrees* is asked first, with all tasks in progress of this name on the boards that the principal may see.
        Concurrent calls for one name are serialized: each sees the tasks that the earlier ones were given.

        Raises (from `commit`):
            BoardDenied: If the principal may not write to the wanted board.
            StaleWrite: If *agrees* returns false.
        """

    def claim(self, task: TaskId | TaskNumber, decide: Decide) -> None:
        """
        In the flush: lock this task and offer it to *decide*. `commit` returns the change, or None.

        Raises (from `commit`):
            TaskNotFound: If the organization has no such task.
            BoardDenied: If the principal may not write to its board.
        """

    def expire_due(self, decide: Decide, *, at: datetime, limit: int = 16) -> None:
        """
        In the flush: offer up to *limit* tasks whose lease expired by *at* to *decide*, the earliest expiry first, on
        all boards of the organization. Tasks locked by others are skipped. `commit` returns the number of changed
        tasks, unless a claim follows.
        """

    def free_assigned(self, agent: Agent, decide: Decide, *, limit: int, last: bool = False) -> None:
        """
        In the flush: offer up to *limit* unfinished tasks assigned to the agent's name to *decide*, on all boards. The
        agent's row is locked at the version it has here. With *last* there may be no more than *limit*.

        Raises (from `commit`):
            StaleWrite: If the agent has changed.
            TooManyUnfinishedTasks: If there are more than *limit* with *last*.
        """


class RunRepository(Protocol):
    """
    Keeps the runs of the unit's organization.
    """

    async def get(self, run: RunId) -> Run:
        """
        Return the run as last committed, or as this unit wrote it.

        Raises:
            RunNotFound: If the organization has no such run.
            BoardDenied: If the principal has no grant for its board.
        """

    async def last_of(self, task: TaskId, holder: ImplicitHolder) -> Run | None:
        """
        Return the latest run of the task that was an implicit lease of exactly this holder, or None.
        """

    def add(self, run: Run) -> Run:
        """
        Add a new run of a task. `commit` writes it.
        """

    def save(self, run: Run) -> Run:
        """
        Save a changed run, and return it with its next version. `commit` writes it, except for the lease record of a
        live run (expiry, last heartbeat, progress).
        """

    def heartbeat(self, run: RunId, decide: Decide) -> None:
        """
        In the flush: lock the run and its task and offer them to *decide*. `commit` returns the change, or None.

        Raises (from `commit`):
            RunNotFound: If the organization has no such run.
            BoardDenied: If the principal may not write to its board.
        """
