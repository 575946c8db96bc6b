"""
The reads of reports: grouped counts and narrow ranges, never whole rows.

In the rows, ids are 16 bytes and times are microseconds since 1970.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID

from mission_core.ids import BoardId
from mission_core.lazy_attrs import frozen

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal

FoundT = TypeVar("FoundT")


@frozen(kw_only=True)
class ReportScope:
    """
    The boards of a report: one board, the boards of a group, or all boards that the principal may see.
    """

    board: BoardId | None = None
    group: UUID | None = None

    @property
    def whole(self) -> bool:
        """
        Whether the report is about all boards that the principal may see.
        """
        return self.board is None and self.group is None


@frozen
class HourRange:
    """
    The hours to read: all from the hour of *since*, in buckets of *bucket_hours* hours. Buckets before the hour of
    *split* are separate from later ones. Without *bucket_hours* there is one bucket on each side.
    """

    since: datetime
    split: datetime
    bucket_hours: int | None = None


@frozen
class MinuteRange:
    """
    The minutes to read: all from the minute of *since*, at most an hour ago. Those from the minute of *near* on are
    also counted separately.
    """

    since: datetime
    near: datetime


class StatusCount(NamedTuple):
    """
    The number of tasks with a status and priority.
    """

    status: str
    priority: str
    amount: int


class MinuteCount(NamedTuple):
    """
    The value of a counter in the requested minutes, and in the *near* ones.
    """

    what: str
    amount: int
    near: int


class BucketCount(NamedTuple):
    """
    The value of a counter in one bucket, numbered since 1970; *late* tells whether it is after the split. *placed* is
    the part that concerns boards.
    """

    late: bool
    bucket: int
    what: str
    amount: int
    placed: int


class ReportCounts(NamedTuple):
    """
    The counters of a scope. *oldest* is the creation time of the oldest task that waits for a claim.
    """

    status_counts: list[StatusCount]
    bucket_counts: list[BucketCount]
    minute_counts: list[MinuteCount]
    oldest: int | None


class AgentWorkload(NamedTuple):
    """
    The workload of an agent: its status, and the number of tasks assigned to it and in progress.
    """

    name: str
    status: str
    assigned: int
    in_progress: int


class AgentWorkloads(NamedTuple):
    """
    The workloads of the agents that are not offline, in any order, and the number of all agents.
    """

    rows: list[AgentWorkload]
    total: int


class OverviewFigures(NamedTuple):
    """
    The counters of an organization, the number of its agents by status, and the size of the store in bytes.
    """

    counts: ReportCounts
    agents: dict[str, int]
    size: int


class DoneTaskGroup(NamedTuple):
    """
    A group of completed tasks with the same assignee, priority and result: their number and retries. *timed* tasks have
    a known duration, whose sum is *seconds*.
    """

    assignee: str | None
    priority: str
    result: str | None
    amount: int
    retries: int
    timed: int
    seconds: int


class DoneTaskGroups(NamedTuple):
    """
    Groups of completed tasks, and the most common error messages with their frequencies.
    """

    groups: list[DoneTaskGroup]
    errors: list[tuple[str, int]]


class DurationCount(NamedTuple):
    """
    The number of completed tasks with the same duration in whole seconds; *late* tells whether they were completed
    after the split. *needed* of them needed an intervention: they were retried, reported an error, or did not succeed.
    """

    late: bool
    seconds: int
    amount: int
    needed: int


class PendingApproval(NamedTuple):
    """
    A pending approval with its board and the title of its first task.
    """

    id: bytes
    board: bytes
    board_name: str
    action: str
    confidence: float
    created_at: int
    task_title: str | None


class PendingApprovals(NamedTuple):
    """
    The newest pending approvals, and the number of all.
    """

    rows: list[PendingApproval]
    total: int


class MetricsFigures(NamedTuple):
    """
    The counters of boards, the number of their agents seen since the split, the median cycle time in seconds of the
    tasks completed since then (None if no start is known), and the pending approvals.
    """

    counts: ReportCounts
    active_agents: int
    median_cycle: float | None
    pending: PendingApprovals


class FoundTask(NamedTuple):
    """
    A task that matches a text search; *relevance* is 2 for a match in the title.
    """

    number: int
    title: str
    description: str | None
    status: str
    assignee: str | None
    created_at: int
    relevance: int


class FoundAgent(NamedTuple):
    """
    An agent that matches a text search; *relevance* is 2 for a match in the name.
    """

    number: int
    name: str
    role: str
    activity: str | None
    created_at: int
    relevance: int


class FoundRows(NamedTuple, Generic[FoundT]):
    """
    The most relevant rows, and the number of all matches.
    """

    rows: list[FoundT]
    total: int


class ReportReads(Protocol):
    """
    The reads of reports, limited to what a principal may see.
    """

    async def counts(
        self, principal: Principal, scope: ReportScope, hours: HourRange, minutes: MinuteRange | None = None
    ) -> ReportCounts:
        """
        The tasks by status and the counters of these hours. With *minutes*, also the counters of these minutes and the
        oldest task in inbox or assigned. It reads counters, not tasks.
        """

    async def overview(self, principal: Principal, hours: HourRange, *, at: datetime) -> OverviewFigures:
        """
        The counters of these hours, the number of agents that are not built in by their status at the time *at*, where
        an agent that was never seen is as it was made, and the size of the store; 0 for a store in memory. The cost is
        linear in the agents.
        """

    async def board_metrics(
        self, principal: Principal, scope: ReportScope, hours: HourRange, *, limit: int
    ) -> MetricsFigures:
        """
        The counters of these hours, the activity since their split, and at most *limit* pending approvals, the newest
        first. The cost is linear in the agents and in the tasks completed since the split.
        """

    async def agent_workloads(self, principal: Principal, *, at: datetime) -> AgentWorkloads:
        """
        The workloads of the agents that are neither built in nor offline at the time *at*, where an agent that was
        never seen is as it was made.
        """

    async def done_task_groups(self, principal: Principal, *, since: datetime, errors: int) -> DoneTaskGroups:
        """
        The tasks completed since *since*, and their most common error messages, at most *errors*. The cost is linear in
        these tasks.
        """

    async def durations(
        self, principal: Principal, *, since: datetime, split: datetime, until: datetime
    ) -> list[DurationCount]:
        """
        The durations, from creation to completion, of the tasks completed from *since* to before *until*. The cost is
        linear in these tasks.
        """

    async def find_tasks(
        self, principal: Principal, text: str, *, limit: int, assignee: str | None = None
    ) -> FoundRows[FoundTask]:
        """
        The tasks (of this assignee, if one is given) whose title, description or assignee contains the text, ignoring
        the case of A to Z; by relevance, then newest first. The cost is linear in all tasks.
        """

    async def find_agents(self, principal: Principal, text: str, *, limit: int) -> FoundRows[FoundAgent]:
        """
        The agents whose name, role or last activity contains the text, ignoring the case of A to Z; by relevance, then
        newest first. The cost is linear in all agents.
        """
