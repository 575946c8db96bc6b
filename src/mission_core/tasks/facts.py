"""
Facts about tasks and their runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from mission_core.events.model import Fact

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.ids import AgentId, BoardId, CommentId, OrderId, RunId, TaskId
    from mission_core.tasks.model import Status
    from mission_core.tasks.runs import OrderKind, Outcome, Result


@frozen(kw_only=True)
class TaskCreated(Fact):
    """
    A task was made. *recorded* says that its work was finished elsewhere; *mentions* are whom its description calls.
    """

    kind = "task.created"
    about = "task"

    task: TaskId
    number: int
    board: BoardId
    title: str
    status: Status
    priority: str
    assignee: str | None
    agent: AgentId | None = None
    recorded: bool
    mentions: tuple[str, ...] = ()


@frozen(kw_only=True)
class TaskUpdated(Fact):
    """
    Fields of a task changed. *mentions* are whom its description calls now and did not before.
    """

    kind = "task.updated"
    about = "task"

    task: TaskId
    board: BoardId
    title: str
    changed: tuple[str, ...]
    mentions: tuple[str, ...] = ()


@frozen(kw_only=True)
class TaskMoved(Fact):
    """
    A task came to another status. *reopened* is the title of what it waits for, where that was taken up again and sent
    it back.
    """

    kind = "task.moved"
    about = "task"

    task: TaskId
    board: BoardId
    title: str
    was: Status
    status: Status
    reopened: str | None = None


@frozen(kw_only=True)
class TaskSelfReviewed(Fact):
    """
    An owner closed the review of work that they did or handed in, for nobody else may review it.
    """

    kind = "task.self_reviewed"
    about = "task"

    task: TaskId
    board: BoardId
    title: str


@frozen(kw_only=True)
class DependencyToggled(Fact):
    """
    What a task waits for was done, or taken up again; *title* is the title of that.
    """

    kind = "task.dependency_toggled"
    about = "task"

    task: TaskId
    board: BoardId
    dependency: TaskId
    title: str
    done: bool


@frozen(kw_only=True)
class TaskCommented(Fact):
    """
    Somebody said something about a task.
    """

    kind = "task.commented"
    about = "task"

    task: TaskId
    comment: CommentId
    author: str
    message: str
    parent: CommentId | None
    mentions: tuple[str, ...]


@frozen(kw_only=True)
class TaskBroadcast(Fact):
    """
    Somebody had a message for all who follow a task. It reached *sent* of the agents among them, and not *skipped*.
    """

    kind = "task.broadcast"
    about = "task"

    task: TaskId
    author: str
    message: str
    sent: tuple[str, ...]
    skipped: tuple[str, ...]


@frozen(kw_only=True)
class TaskAssigned(Fact):
    """
    A task changed hands.
    """

    kind = "task.assigned"
    about = "task"

    task: TaskId
    was: str | None
    was_agent: AgentId | None
    assignee: str | None
    agent: AgentId | None


@frozen(kw_only=True)
class TaskClaimed(Fact):
    """
    Somebody took a task under a lease.
    """

    kind = "task.claimed"
    about = "task"

    task: TaskId
    board: BoardId
    title: str
    was: Status
    run: RunId
    fence: int
    attempt: int
    by: str


@frozen(kw_only=True)
class TaskDeleted(Fact):
    """
    A task was removed.
    """

    kind = "task.deleted"
    about = "task"

    task: TaskId
    number: int
    title: str


@frozen(kw_only=True)
class RunCompleted(Fact):
    """
    A run's result was accepted.
    """

    kind = "run.completed"
    about = "task"

    task: TaskId
    run: RunId
    fence: int
    outcome: Outcome


@frozen(kw_only=True)
class RunFailed(Fact):
    """
    A run said that it failed.
    """

    kind = "run.failed"
    about = "task"

    task: TaskId
    run: RunId
    fence: int
    reason: str
    message: str | None


@frozen(kw_only=True)
class RunReleased(Fact):
    """
    A run gave its work back.
    """

    kind = "run.released"
    about = "task"

    task: TaskId
    run: RunId
    fence: int
    note: str | None


@frozen(kw_only=True)
class RunExpired(Fact):
    """
    A run's lease ran out.
    """

    kind = "run.expired"
    about = "task"

    task: TaskId
    run: RunId
    fence: int
    ran_out_at: datetime


@frozen(kw_only=True)
class RunRevoked(Fact):
    """
    A run's work was taken from it.
    """

    kind = "run.revoked"
    about = "task"

    task: TaskId
    run: RunId
    fence: int
    why: str


@frozen(kw_only=True)
class RunResultLate(Fact):
    """
    A run whose lease was lost handed in a result, or a failure with its reason. It is kept beside the run, *size* bytes
    of text, and changed nothing.
    """

    kind = "run.result_late"
    about = "task"

    task: TaskId
    run: RunId
    fence: int
    by: str
    result: Result | None
    reason: str | None
    size: int


@frozen(kw_only=True)
class RunResultAdopted(Fact):
    """
    The late result of a run completed its task.
    """

    kind = "run.result_adopted"
    about = "task"

    task: TaskId
    run: RunId
    fence: int
    by: str


@frozen(kw_only=True)
class RunSuspended(Fact):
    """
    A run began to wait for a person.
    """

    kind = "run.suspended"
    about = "task"

    task: TaskId
    run: RunId
    waiting_for: str
    until: datetime


@frozen(kw_only=True)
class RunResumed(Fact):
    """
    A run's wait ended and its lease started again.
    """

    kind = "run.resumed"
    about = "task"

    task: TaskId
    run: RunId


@frozen(kw_only=True)
class OrderGiven(Fact):
    """
    An operator gave a run an order.
    """

    kind = "run.ordered"
    about = "task"

    task: TaskId
    run: RunId
    order: OrderId
    order_kind: OrderKind
    message: str | None


@frozen(kw_only=True)
class OrderAcknowledged(Fact):
    """
    A worker took note of an order.
    """

    kind = "run.acknowledged"
    about = "task"

    task: TaskId
    run: RunId
    order: OrderId
    order_kind: OrderKind
