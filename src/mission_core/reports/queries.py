"""
Reading what reports are made of: grouped counts and narrow ranges, never whole rows.

Ids are 16 bytes, moments microseconds since 1970.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol
from uuid import UUID

from attrs import frozen

from mission_core.agents.model import Presence
from mission_core.ids import BoardId
from mission_core.values import moment

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal


@frozen(kw_only=True)
class Scope:
    """
    Which boards a report is about: one, those of a group, or all that the principal may see.
    """

    board: BoardId | None = None
    group: UUID | None = None

    @property
    def whole(self) -> bool:
        """
        Whether it leaves nothing out.
        """
        return self.board is None and self.group is None


@frozen
class Hours:
    """
    Which hours are read: from the one in which *since* lies, in buckets of so many hours, and those before the hour of
    *split* apart from the later ones. Without *each* there are no buckets.
    """

    since: datetime
    split: datetime
    each: int | None = None


@frozen
class Minutes:
    """
    Which minutes are read: from the one in which *since* lies, an hour ago at the most, and those from that of *near*
    on counted apart too.
    """

    since: datetime
    near: datetime


class Standing(NamedTuple):
    """
    How many tasks have this status and priority.
    """

    status: str
    priority: str
    amount: int


class Recent(NamedTuple):
    """
    How often something was counted in the minutes asked for, and in the near ones of them.
    """

    what: str
    amount: int
    near: int


class Happened(NamedTuple):
    """
    How often something was counted in a bucket, named by its number since 1970, before or after the split. *placed* is
    what concerned a board.
    """

    late: bool
    bucket: int
    what: str
    amount: int
    placed: int


class Counts(NamedTuple):
    """
    What was counted in a scope. *oldest* is when the oldest task was made that waits to be taken.
    """

    standing: list[Standing]
    happened: list[Happened]
    recent: list[Recent]
    oldest: int | None


class Staff(NamedTuple):
    """
    An agent, its presence as stored, and how many tasks wait for it or are under way.
    """

    name: str
    board: bytes | None
    reported: str
    last_seen_at: int | None
    assigned: int
    in_progress: int

    def status(self, *, at: datetime) -> str:
        """
        The status it shows at that moment; offline if it was never seen.
        """
        seen = None if self.last_seen_at is None else moment(self.last_seen_at)
        return Presence(reported=self.reported, last_seen_at=seen).status(at=at, as_made=True)


class Finished(NamedTuple):
    """
    Done tasks of one assignee, priority and result: how many, how often they were tried again, and how many seconds
    those took, from their making, that were not done before it.
    """

    assignee: str | None
    priority: str
    result: str | None
    amount: int
    retries: int
    timed: int
    seconds: int


class FinishedTasks(NamedTuple):
    """
    Done tasks, and error messages with how many of them tell each, the most common first.
    """

    groups: list[Finished]
    errors: list[tuple[str, int]]


class Took(NamedTuple):
    """
    How many done tasks took so many whole seconds, before or after the split; *needed* of them needed an intervention:
    they were tried again, tell of an error, or were no success.
    """

    late: bool
    seconds: int
    amount: int
    needed: int


class PendingApproval(NamedTuple):
    """
    An approval that waits for a decision, on a board, and the title of the first task that it is about.
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
    The newest approvals that wait, and how many do.
    """

    rows: list[PendingApproval]
    total: int


class FoundTask(NamedTuple):
    """
    A task in which a text was found; *relevance* is 2 if it is in the title.
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
    An agent in which a text was found; *relevance* is 2 if it is in the name.
    """

    number: int
    name: str
    role: str
    activity: str | None
    created_at: int
    relevance: int


class Found(NamedTuple):
    """
    The most relevant rows, and how many there are.
    """

    rows: list[FoundTask] | list[FoundAgent]
    total: int


class ReportReads(Protocol):
    """
    Reads for reports, as far as a principal may see: its organization's, those of the boards that are granted to it.
    """

    async def counts(
        self, principal: Principal, scope: Scope, hours: Hours, minutes: Minutes | None = None
    ) -> Counts:
        """
        How tasks stand, and what happened when; with *minutes* also in these, and the oldest task in inbox or assigned.
        It reads cells, however many tasks there are.
        """

    async def staff(self, principal: Principal, scope: Scope) -> list[Staff]:
        """
        The agents that are not built in, by name.
        """

    async def finished(self, principal: Principal, *, since: datetime, errors: int) -> FinishedTasks:
        """
        The tasks done since then, and their most common error messages, so many at the most. Linear in those tasks.
        """

    async def took(self, principal: Principal, *, since: datetime, split: datetime, until: datetime) -> list[Took]:
        """
        How long the tasks took, from their making, that were done from *since* up to but not at *until*. Linear in
        those.
        """

    async def pending(self, principal: Principal, scope: Scope, *, limit: int) -> PendingApprovals:
        """
        The approvals that wait for a decision, so many of them at the most.
        """

    async def cycles(self, principal: Principal, scope: Scope, *, since: datetime) -> list[tuple[int, int]]:
        """
        How many of the tasks that were done since then took how many whole seconds from when work on them first began,
        where that is known. Linear in those.
        """

    async def find_tasks(self, principal: Principal, text: str, *, limit: int, assignee: str | None = None) -> Found:
        """
        The tasks (of that assignee, if one is named) whose title, description or assignee holds the text, whatever the
        case of A to Z; by relevance, then newest first. Linear in all tasks.
        """

    async def find_agents(self, principal: Principal, text: str, *, limit: int) -> Found:
        """
        The agents whose name, role or last activity holds the text, whatever the case of A to Z; by relevance, then
        newest first. Linear in all agents.
        """

    async def size(self) -> int:
        """
        How many bytes the store takes, or 0 if it takes none.
        """
