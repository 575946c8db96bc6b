"""
The events of tasks and their runs.
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
    A task was created. *recorded* says that its work was done elsewhere. *mentions* are the names that its description
    mentions.
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
    Fields of a task changed. *mentions* are the names that its description newly mentions.
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
    The status of a task changed. *reopened* is the title of the reopened dependency that sent it back to the inbox, if
    one did.
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
    An owner closed the review of their own work, because no other member may review it.
    """

    kind = "task.self_reviewed"
    about = "task"

    task: TaskId
    board: BoardId
    title: str


@frozen(kw_only=True)
class DependencyToggled(Fact):
    """
    A dependency of a task was done or reopened. *title* is the title of the dependency.
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
    A comment was added to a task.
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
    A message was sent to the followers of a task. *sent* are the agents that it reached, *skipped* those it did not
    reach.
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
    The assignee of a task changed.
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
    A task was claimed under a lease.
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
    A task was deleted.
    """

    kind = "task.deleted"
    about = "task"

    task: TaskId
    number: int
    title: str


@frozen(kw_only=True)
class RunCompleted(Fact):
    """
    The result of a run was accepted.
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
    A run reported that it failed.
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
    A run released its task unfinished.
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
    The lease of a run expired.
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
    The lease of a run was revoked.
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
    A run sent a result or a failure after its lease was lost. It was stored with the run and changed nothing else.
    *size* is its length in bytes of text.
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
    A run was suspended to wait for a person.
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
    A suspended run was resumed, and its lease started again.
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
    A worker acknowledged an order.
    """

    kind = "run.acknowledged"
    about = "task"

    task: TaskId
    run: RunId
    order: OrderId
    order_kind: OrderKind
