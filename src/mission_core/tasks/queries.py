"""
Read queries for tasks and runs. They return rows and build no entities.

Ids are 16 bytes, times are microseconds since 1970, JSON columns are text.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from mission_core.boards.custom_fields import CustomField
from mission_core.boards.tags import Tag
from mission_core.ids import AgentId, BoardId, BoardNumber, TagId, TaskId, TaskNumber
from mission_core.lazy_attrs import frozen
from mission_core.projections import WHOLE_ROWS, Projection
from mission_core.tasks.model import Status
from mission_core.values import JsonText

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.tasks.model import Task
    from mission_core.tasks.ports import TaskInProgress
    from mission_core.tasks.runs import Run
    from mission_core.values import PageOfRows, PageRequest


class Dependency(NamedTuple):
    """
    A task that another task depends on.
    """

    id: bytes
    number: int
    done: bool


class TaskRow(NamedTuple):
    """
    A task as lists show it, with its board and assignee, its number of comments, its tags, and the custom fields of its
    board.
    """

    id: bytes
    number: int
    board: bytes
    board_number: int
    board_name: str
    ticket_prefix: str
    ticket: int | None
    title: str
    description: str | None
    status: str
    priority: str
    assignee: str | None
    assignee_agent: bytes | None
    creator_kind: str
    creator_id: bytes | None
    creator_name: str
    due_at: int | None
    not_before: int | None
    estimated_hours: float | None
    actual_hours: float | None
    tags: JsonText
    metadata: JsonText
    depends_on: bytes
    result: str | None
    error_message: str | None
    resolution: str | None
    output: JsonText | None
    feedback_rating: int | None
    feedback_notes: str | None
    retry_count: int
    recorded: int
    fence: int
    attempts: int
    max_attempts: int
    hand_over: str | None
    created_at: int
    updated_at: int
    moved_at: int
    started_at: int | None
    completed_at: int | None
    version: int
    github_repo: str | None
    github_issue: int | None
    github_branch: str | None
    github_pull_request: int | None
    github_pull_request_state: str | None
    github_synced_at: int | None
    comment_count: int
    field_values: JsonText
    tag_ids: bytes | None
    dependencies: tuple[Dependency, ...] = ()
    tagged: tuple[Tag, ...] = ()
    fields: tuple[CustomField, ...] = ()

    @property
    def ticket_reference(self) -> str | None:
        """
        The ticket with its board's prefix, such as `OPS-007`.
        """
        return None if self.ticket is None else f"{self.ticket_prefix}-{self.ticket:03}"


class RunRow(NamedTuple):
    """
    A run as the history of its task shows it.
    """

    id: bytes
    task: bytes
    fence: int
    attempt: int
    by: str
    state: str
    claimed_at: int
    expires_at: int
    heartbeat_at: int
    progress: JsonText | None
    paused: int
    waiting_for: str | None
    resumes_at: int | None
    ended_at: int | None
    result: str | None
    resolution: str | None
    output: JsonText | None
    failure: str | None
    message: str | None
    note: str | None


@frozen(kw_only=True)
class TaskFilter:
    """
    The filter of a task list. A task must match every filter that is set.
    """

    statuses: tuple[Status, ...] | None = None
    board: BoardId | BoardNumber | None = None
    assignee: str | None = None
    assignee_agent: AgentId | None = None
    unassigned: bool = False
    priority: str | None = None


class ExplanationInput(NamedTuple):
    """
    The data that an explanation needs: the task, its live run, its open dependencies, whether a pending approval holds
    it, the board that its assignee's agent is confined to, whether its board lets only the lead move tasks while that
    agent is not the lead, and whether the organization has budgets.
    """

    task: Task
    run: Run | None
    blocked_by: tuple[Task, ...]
    held: bool
    confined_to: BoardId | None
    left_to_lead: bool = False
    has_budgets: bool = False


class TaskReads(Protocol):
    """
    Reads the tasks that a principal may see: those of its organization, on the boards granted to it. Dependencies are
    listed by id and number even if they are on other boards.
    """

    async def get(self, principal: Principal, task: TaskId | TaskNumber, shown: Projection = WHOLE_ROWS) -> Any:
        """
        Return the row of a task, as *shown* renders it.

        Raises:
            TaskNotFound: If the organization has no such task.
            BoardDenied: If the principal has no grant for its board.
        """

    async def several(self, principal: Principal, tasks: Collection[TaskId], shown: Projection) -> list[Any]:
        """
        Return the rows of those of these tasks that the principal may see, as *shown* renders them, in any order.
        """

    async def committed(self, principal: Principal, task: Task, shown: Projection) -> Any:
        """
        Return the row of a task that a unit of work of this principal has just committed, as *shown* renders it. The
        store reads only what the entity, as the unit returned it, and the commit did not tell.

        Raises:
            TaskNotFound: If the task was deleted meanwhile.
            BoardDenied: If the principal has no grant for its board.
        """

    async def page(
        self, principal: Principal, wanted: TaskFilter, page: PageRequest, shown: Projection = WHOLE_ROWS
    ) -> PageOfRows:
        """
        Return a page of tasks, newest first (by descending number): each as *shown* renders its row.
        """

    async def runs(self, principal: Principal, task: TaskId | TaskNumber) -> list[RunRow]:
        """
        Return the runs of a task, latest first.

        Raises:
            TaskNotFound: If the organization has no such task.
            BoardDenied: If the principal has no grant for its board.
        """

    async def explanation_input(self, principal: Principal, task: TaskId | TaskNumber) -> ExplanationInput:
        """
        Return the data for `explain`, as of one moment.

        Raises:
            TaskNotFound: If the organization has no such task.
            BoardDenied: If the principal has no grant for its board.
        """

    async def in_progress(self, principal: Principal, name: str) -> list[TaskInProgress]:
        """
        Return the tasks in progress under this agent name (case-insensitive), latest change first.
        """

    async def open_of_assignee(
        self, principal: Principal, assignee: str, *, limit: int, shown: Projection = WHOLE_ROWS
    ) -> list[Any]:
        """
        Return the assigned and in_progress tasks of this name (case-insensitive), each as *shown* renders its row: by
        priority (critical first), then oldest first.
        """

    async def count_by_tag(self, principal: Principal, tags: Sequence[TagId]) -> dict[TagId, int]:
        """
        Return the number of tasks per tag, among the tasks that the principal may see. Tags without tasks are left out.
        """

    async def count_by_status(self, principal: Principal, assignees: tuple[str, ...]) -> dict[tuple[str, str], int]:
        """
        Return the number of tasks per name key and status.
        """
