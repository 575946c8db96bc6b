"""
The events of tasks and their runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_core.events.model import Event
from mission_core.lazy_attrs import frozen

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.ids import AgentId, BoardId, CommentId, OrderId, RunId, TaskId
    from mission_core.tasks.model import Status
    from mission_core.tasks.runs import OrderKind, Outcome, TaskResult


@frozen(kw_only=True, eq=False, repr=False)
class TaskCreated(Event):
    """
    A task was created. *recorded* says that its work was done elsewhere. *mentions* are the names that its description
    mentions.
    """

    kind = "task.created"

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


@frozen(kw_only=True, eq=False, repr=False)
class TaskUpdated(Event):
    """
    Fields of a task changed. *mentions* are the names that its description newly mentions.
    """

    kind = "task.updated"

    task: TaskId
    board: BoardId
    title: str
    changed: tuple[str, ...]
    mentions: tuple[str, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class TaskMoved(Event):
    """
    The status of a task changed. *reopened* is the title of the reopened dependency that sent it back to the inbox, if
    one did.
    """

    kind = "task.moved"

    task: TaskId
    board: BoardId
    title: str
    was: Status
    status: Status
    reopened: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class TaskSelfReviewed(Event):
    """
    An owner closed the review of their own work, because no other member may review it.
    """

    kind = "task.self_reviewed"

    task: TaskId
    board: BoardId
    title: str


@frozen(kw_only=True, eq=False, repr=False)
class DependencyToggled(Event):
    """
    A dependency of a task was done or reopened. *title* is the title of the dependency.
    """

    kind = "task.dependency_toggled"

    task: TaskId
    board: BoardId
    dependency: TaskId
    title: str
    done: bool


@frozen(kw_only=True, eq=False, repr=False)
class TaskCommented(Event):
    """
    A comment was added to a task.
    """

    kind = "task.commented"

    task: TaskId
    comment: CommentId
    author: str
    message: str
    parent: CommentId | None
    mentions: tuple[str, ...]


@frozen(kw_only=True, eq=False, repr=False)
class TaskBroadcast(Event):
    """
    A message was sent to the followers of a task. *sent* are the agents that it reached, *skipped* those it did not
    reach.
    """

    kind = "task.broadcast"

    task: TaskId
    author: str
    message: str
    sent: tuple[str, ...]
    skipped: tuple[str, ...]


@frozen(kw_only=True, eq=False, repr=False)
class TaskAssigned(Event):
    """
    The assignee of a task changed.
    """

    kind = "task.assigned"

    task: TaskId
    was: str | None
    was_agent: AgentId | None
    assignee: str | None
    agent: AgentId | None


@frozen(kw_only=True, eq=False, repr=False)
class TaskClaimed(Event):
    """
    A task was claimed under a lease.
    """

    kind = "task.claimed"

    task: TaskId
    board: BoardId
    title: str
    was: Status
    run: RunId
    fence: int
    attempt: int
    by: str


@frozen(kw_only=True, eq=False, repr=False)
class TaskDeleted(Event):
    """
    A task was deleted.
    """

    kind = "task.deleted"

    task: TaskId
    number: int
    title: str
    board: BoardId | None = None
    """None in entries that were written before this field."""


@frozen(kw_only=True, eq=False, repr=False)
class RunCompleted(Event):
    """
    The result of a run was accepted.
    """

    kind = "run.completed"

    task: TaskId
    run: RunId
    fence: int
    outcome: Outcome


@frozen(kw_only=True, eq=False, repr=False)
class RunFailed(Event):
    """
    A run reported that it failed.
    """

    kind = "run.failed"

    task: TaskId
    run: RunId
    fence: int
    reason: str
    message: str | None


@frozen(kw_only=True, eq=False, repr=False)
class RunReleased(Event):
    """
    A run released its task unfinished.
    """

    kind = "run.released"

    task: TaskId
    run: RunId
    fence: int
    note: str | None


@frozen(kw_only=True, eq=False, repr=False)
class RunExpired(Event):
    """
    The lease of a run expired.
    """

    kind = "run.expired"

    task: TaskId
    run: RunId
    fence: int
    ran_out_at: datetime


@frozen(kw_only=True, eq=False, repr=False)
class RunRevoked(Event):
    """
    The lease of a run was revoked.
    """

    kind = "run.revoked"

    task: TaskId
    run: RunId
    fence: int
    why: str


@frozen(kw_only=True, eq=False, repr=False)
class RunResultLate(Event):
    """
    A run sent a result or a failure after its lease was lost. It was stored with the run and changed nothing else.
    *size* is its length in bytes of text.
    """

    kind = "run.result_late"

    task: TaskId
    run: RunId
    fence: int
    by: str
    result: TaskResult | None
    reason: str | None
    size: int


@frozen(kw_only=True, eq=False, repr=False)
class RunResultAdopted(Event):
    """
    The late result of a run completed its task.
    """

    kind = "run.result_adopted"

    task: TaskId
    run: RunId
    fence: int
    by: str


@frozen(kw_only=True, eq=False, repr=False)
class RunSuspended(Event):
    """
    A run was suspended to wait for a person.
    """

    kind = "run.suspended"

    task: TaskId
    run: RunId
    waiting_for: str
    until: datetime


@frozen(kw_only=True, eq=False, repr=False)
class RunResumed(Event):
    """
    A suspended run was resumed, and its lease started again.
    """

    kind = "run.resumed"

    task: TaskId
    run: RunId


@frozen(kw_only=True, eq=False, repr=False)
class OrderGiven(Event):
    """
    An operator gave a run an order.
    """

    kind = "run.ordered"

    task: TaskId
    run: RunId
    order: OrderId
    order_kind: OrderKind
    message: str | None


@frozen(kw_only=True, eq=False, repr=False)
class OrderAcknowledged(Event):
    """
    A worker acknowledged an order.
    """

    kind = "run.acknowledged"

    task: TaskId
    run: RunId
    order: OrderId
    order_kind: OrderKind
