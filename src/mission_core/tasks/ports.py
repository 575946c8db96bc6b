"""
What tasks ask of a store, and of the areas that come later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol
from uuid import UUID

from attrs import frozen

from mission_core.boards.model import GateSet
from mission_core.errors import Conflict
from mission_core.ids import BoardId, RunId, TaskId, TaskNumber
from mission_core.tasks.model import Status, Task
from mission_core.tasks.runs import Pair, Run

if TYPE_CHECKING:
    from mission_core.agents.model import Agent
    from mission_core.events.model import Fact
    from mission_core.tasks.late_results import LateResult


@frozen(kw_only=True)
class Passage:
    """
    The gates of a board, and what happened there of all that they may ask for: whether an approval stands or is
    pending, whether the move comes with a comment, or the work has one already, whether whoever moves it is an owner
    and nobody else may review it, and whether they are an agent with a key that an author of the work made.
    """

    rules: GateSet
    approved: bool = False
    pending: bool = False
    commented: bool = False
    alone: bool = False
    keyed: bool = False


class Gates(Protocol):
    """
    What the approvals area answers for a task.
    """

    async def of(self, task: Task, to: Status | None = None) -> Passage:
        """
        What the gates of the task's board say to it when it moves to that status; without one, only the rules. The
        unit relies on them.
        """

    def passed(self, task: Task, *, at: datetime) -> None:
        """
        Remember that the task, asked about before, comes to done on its board. An approval that this needed is used
        up.
        """

    async def left(self, task: Task) -> None:
        """
        Remember that the task is removed: what was asked for it alone goes with it.
        """


class MoreInHand(Conflict):
    """
    An agent that is to go has more unfinished tasks than one unit takes back.
    """


@frozen(kw_only=True)
class Link:
    """
    A task as far as dependencies care. Can be relied on.
    """

    id: TaskId
    board: BoardId
    status: Status
    depends_on: tuple[TaskId, ...]
    version: int


@frozen(kw_only=True)
class Candidate:
    """
    A task on fresh rows, with its live run if it has one, and how many of its dependencies are not done. A claim is
    told too whether an approval *holds* it, and whether its board leaves moving tasks to its lead.
    """

    task: Task
    run: Run | None
    open_dependencies: int = 0
    held: bool = False
    lead_only: bool = False


@frozen(kw_only=True)
class Change:
    """
    What a decision on fresh rows changes: the task, its run (new, saved, or only its lease record), and the facts; and
    the late result of a run, which is counted on the task without a version of it. *result* is what an idempotency key
    keeps. `commit` returns the change with the versions that were kept.
    """

    task: Task | None = None
    new_run: Run | None = None
    run: Run | None = None
    beat: Run | None = None
    late_result: LateResult | None = None
    facts: tuple[Fact, ...] = ()
    result: UUID | None = None


Decide = Callable[[Candidate], Change | None]
"""Pure and synchronous. What it raises undoes its unit alone; None passes the candidate over."""


@frozen(kw_only=True)
class Bereft:
    """
    A task of another board that loses by a board's end, on fresh rows: tasks it depends on, and with *unmanned* its
    assignee.
    """

    candidate: Candidate
    depends_on: frozenset[TaskId] = frozenset()
    unmanned: bool = False


class Ending(Protocol):
    """
    What follows from a board's end. Its methods are pure and synchronous; what they raise undoes their unit alone.
    """

    def bereave(self, bereft: Bereft) -> Change | None:
        """
        What becomes of a task that loses by it.
        """

    def told(self, *, tasks: int, agents: int) -> tuple[Fact, ...]:
        """
        The facts, when so many tasks and agents hung on the board.
        """


@frozen(kw_only=True)
class Wanted:
    """
    Which work a claim looks for: open to everyone or assigned to this name, on one board or on all. A *worker* is not
    offered work of boards that leave moving tasks to their lead.
    """

    name_key: str
    board: BoardId | None = None
    worker: bool = False


class InHand(NamedTuple):
    """
    A task in progress, when it was last changed, and the live run that it is under; without one it is held.
    """

    task: TaskId
    updated_at: datetime
    run: Run | None

    def counts(self, *, at: datetime) -> bool:
        """
        Whether somebody still works on it: a lease that ran out is nobody's.
        """
        return self.run is None or self.run.lives(at=at)


Agrees = Callable[[Sequence[InHand]], bool]
"""Whether a name may be handed more than what it has in hand. Pure and synchronous."""


class Tasks(Protocol):
    """
    Keeps the tasks of the unit's organization, as far as its principal may see them.

    The store keeps readiness (idle status, open dependencies, not-before, assignee, rank) by arithmetic in the flush:
    a task that becomes done, or stops being done, counts down or up the open dependencies of those that name it.
    """

    async def get(self, task: TaskId | TaskNumber) -> Task:
        """
        The task as last committed, or as this unit wrote it.

        Raises:
            TaskNotFound: If this organization has none.
            BoardDenied: If its board is not granted to the principal.
        """

    async def several(self, tasks: tuple[TaskNumber, ...]) -> list[Task]:
        """
        These tasks by number, as last committed; what does not exist is left out.

        Raises:
            BoardDenied: If the board of one is not granted to the principal.
        """

    async def upstream(self, tasks: tuple[TaskId, ...]) -> list[Link]:
        """
        These tasks and all that they depend on, directly or through others; what does not exist is left out.
        """

    async def dependents(self, task: TaskId) -> list[Task]:
        """
        The tasks that name this one as a dependency, by number; each as last committed, or as this unit wrote it.
        """

    def add(self, task: Task) -> Task:
        """
        Remember a new task for the commit.
        """

    def save(self, task: Task, *, onto_edits: bool = False) -> Task:
        """
        Remember the change for the commit; the answer carries its next version.

        With *onto_edits* the commit does not refuse it because somebody else has edited other details meanwhile: it
        locks the row and makes the change of what it is by then (`Task.onto`). `get` answers with that afterwards.
        """

    def remove(self, task: Task) -> None:
        """
        Remember to remove the task with its runs, at the version it has here.
        """

    def claim_next(self, wanted: Wanted, decide: Decide, *, at: datetime, agrees: Agrees | None = None) -> None:
        """
        In the flush, first of all: offer idle, unblocked, rested work that nothing holds and that fits *wanted* to
        *decide*, one by one in
        the queue's order (priority, due date with none last, age), on fresh rows that nobody else is deciding about,
        until it makes a change. `commit` returns that change, or None. Only work on boards that the principal may
        write on is offered.

        *agrees* is asked first, about all that this name has in hand on the boards that the principal may see. Of
        several who ask so for one name each sees what those before it were handed.

        Raises (from `commit`):
            BoardDenied: If the principal may not write on the board that is wanted.
            StaleWrite: If it does not agree.
        """

    def claim(self, task: TaskId | TaskNumber, decide: Decide) -> None:
        """
        In the flush: offer this very task to *decide* on fresh rows. `commit` returns the change, or None.

        Raises (from `commit`):
            TaskNotFound: If this organization has none.
            BoardDenied: If the principal may not write on its board.
        """

    def expire_due(self, decide: Decide, *, at: datetime, limit: int = 16) -> None:
        """
        In the flush: offer up to *limit* tasks of the organization whose live run's lease ended by *at* to *decide*,
        oldest end first, whatever their board; rows that somebody else is deciding about are passed over. `commit`
        returns how many changed, unless a claim follows.
        """

    def take_back(self, agent: Agent, decide: Decide, *, limit: int, last: bool = False) -> None:
        """
        In the flush: offer up to *limit* unfinished tasks that are assigned to the agent's name to *decide*, whatever
        their board, while the agent is held at the version it has here. With *last* there may not be more.

        Raises (from `commit`):
            StaleWrite: If the agent has another version by now.
            MoreInHand: If with *last* there are more.
        """


class Runs(Protocol):
    """
    Keeps the runs of the unit's organization.
    """

    async def get(self, run: RunId) -> Run:
        """
        The run as last committed, or as this unit wrote it.

        Raises:
            RunNotFound: If this organization has none.
            BoardDenied: If its board is not granted to the principal.
        """

    async def last_of(self, task: TaskId, holder: Pair) -> Run | None:
        """
        The last run of the task that was an implicit lease of this very pair, if it ever had one.
        """

    def add(self, run: Run) -> Run:
        """
        Remember a new run for the commit, beside the task that it was begun on.
        """

    def save(self, run: Run) -> Run:
        """
        Remember the change for the commit, all but the lease record of a run that goes on (its end, last heartbeat
        and progress); the answer carries its next version.
        """

    def heartbeat(self, run: RunId, decide: Decide) -> None:
        """
        In the flush: offer the run and its task to *decide* on fresh rows. `commit` returns the change, or None.

        Raises (from `commit`):
            RunNotFound: If this organization has none.
            BoardDenied: If the principal may not write on its board.
        """
