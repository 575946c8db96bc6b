"""
Reading tasks and runs: plain rows, without building entities.

Ids are 16 bytes, moments microseconds since 1970, JSON columns their text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from attrs import frozen

from mission_core.boards.custom_fields import CustomField
from mission_core.boards.tags import Tag
from mission_core.ids import AgentId, BoardId, BoardNumber, TagId, TaskId, TaskNumber
from mission_core.tasks.model import Status
from mission_core.values import JsonText

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.tasks.model import Task
    from mission_core.tasks.ports import InHand
    from mission_core.tasks.runs import Run
    from mission_core.values import Listed, Page


class Dependency(NamedTuple):
    """
    A task that another one waits for.
    """

    id: bytes
    number: int
    done: bool


class TaskRow(NamedTuple):
    """
    A task with what lists show of its board and assignee, how many comments and which tags it has, and the custom
    fields of its board.
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


class RunRow(NamedTuple):
    """
    A run as its history shows it.
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
    Which tasks are wanted; every filter that is given must hold.
    """

    statuses: tuple[Status, ...] | None = None
    board: BoardId | BoardNumber | None = None
    assignee: str | None = None
    assignee_agent: AgentId | None = None
    unassigned: bool = False
    priority: str | None = None


class Reading(NamedTuple):
    """
    What explaining a task needs: it, its live run, the dependencies that are not done, whether an approval that is
    pending holds it, the board to which its assignee's agent is confined, and whether its board leaves moving tasks to
    its lead, which that agent is not.
    """

    task: Task
    run: Run | None
    blocked_by: tuple[Task, ...]
    held: bool
    confined_to: BoardId | None
    left_to_lead: bool = False


class TaskReads(Protocol):
    """
    Reads tasks as far as a principal may see them: its organization's, those of the boards that are granted to it.
    What such a task waits for is told by id and number wherever that is, for it is the task that waits.
    """

    async def get(self, principal: Principal, task: TaskId | TaskNumber) -> TaskRow:
        """
        Raises:
            TaskNotFound: If this organization has none.
            BoardDenied: If its board is not granted to the principal.
        """

    async def page(self, principal: Principal, wanted: TaskFilter, page: Page) -> Listed:
        """
        Task rows, newest first (by number, falling).
        """

    async def runs(self, principal: Principal, task: TaskId | TaskNumber) -> list[RunRow]:
        """
        The runs of a task, latest first.

        Raises:
            TaskNotFound: If this organization has none.
            BoardDenied: If its board is not granted to the principal.
        """

    async def reading(self, principal: Principal, task: TaskId | TaskNumber) -> Reading:
        """
        What `explain` needs, as of one moment.

        Raises:
            TaskNotFound: If this organization has none.
            BoardDenied: If its board is not granted to the principal.
        """

    async def in_hand(self, principal: Principal, name: str) -> list[InHand]:
        """
        What is in progress under that name, whatever its case, the one changed last first.
        """

    async def waiting_for(self, principal: Principal, assignee: str, *, limit: int) -> list[TaskRow]:
        """
        Tasks in assigned or in_progress of that name, whatever its case: by priority (critical first), oldest first.
        """

    async def count_by_tag(self, principal: Principal, tags: Sequence[TagId]) -> dict[TagId, int]:
        """
        How many of the tasks that the principal may see have each of these tags; none is told of a tag that none has.
        """

    async def count_by_status(self, principal: Principal, assignees: tuple[str, ...]) -> dict[tuple[str, str], int]:
        """
        How many tasks each of these names (by name key) has in each status.
        """
