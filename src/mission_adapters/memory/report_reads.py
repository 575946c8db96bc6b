"""
The read model of reports in memory.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from mission_adapters.memory.counters import as_columns
from mission_core.accounts.model import may_read_board, readable_boards
from mission_core.agents.model import OFFLINE
from mission_core.approvals.model import APPROVAL_LINKS, APPROVALS, Approval, ApprovalStatus
from mission_core.lazy_attrs import frozen
from mission_core.reports.board_metrics import median
from mission_core.reports.hourly_counters import HOURLY_COUNTS, RING_MINUTES, cycle_time_of, hour_of, minute_of
from mission_core.reports.queries import (
    AgentWorkload,
    AgentWorkloads,
    BucketCount,
    DoneTaskGroup,
    DoneTaskGroups,
    DurationCount,
    FoundAgent,
    FoundRows,
    FoundTask,
    MetricsFigures,
    MinuteCount,
    OverviewFigures,
    PendingApproval,
    PendingApprovals,
    ReportCounts,
    ReportScope,
    StatusCount,
)
from mission_core.reports.text_search import ascii_lowercased, relevance
from mission_core.tasks.counters import TASK_COUNTS, WORKLOADS
from mission_core.tasks.model import IDLE_STATUSES, Status, Task
from mission_core.tasks.runs import TaskResult
from mission_core.values import MAX_INTEGER, micros, name_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from uuid import UUID

    from mission_adapters.memory.agents import AgentTable
    from mission_adapters.memory.boards import BoardTable
    from mission_adapters.memory.counters import MemoryCounters
    from mission_adapters.memory.kind_tables import KindTables
    from mission_adapters.memory.tasks import TaskTable
    from mission_core.accounts.model import Principal
    from mission_core.agents.model import Agent
    from mission_core.reports.queries import HourRange, MinuteRange

SECOND: Final = timedelta(seconds=1)


@frozen
class MemoryReportReads:
    """
    Reads the numbers that reports are computed from, limited to what a principal may see.
    """

    boards: BoardTable
    agents: AgentTable
    tasks: TaskTable
    counters: MemoryCounters
    kind_tables: KindTables

    async def counts(
        self, principal: Principal, scope: ReportScope, hours: HourRange, minutes: MinuteRange | None = None
    ) -> ReportCounts:
        """
        The tasks by status and priority, and the activity counters of these hours and minutes.
        """
        boards, own = self._boards(principal, scope), principal.organization
        whole = scope.whole and readable_boards(principal) is None
        standing = self.counters.totals(TASK_COUNTS, principal, "status", "priority", board=as_columns(boards))
        places = as_columns({*boards, own} if whole else boards)
        waiting = (task.created_at for task in self._tasks(principal, boards) if task.status in IDLE_STATUSES)
        oldest = min(waiting, default=None) if minutes is not None else None
        return ReportCounts(
            [StatusCount(status, priority, amount) for (status, priority), amount in standing.items()],
            self._bucket_counts(principal, places, hours),
            [] if minutes is None else self._minute_counts(principal, places, minutes),
            None if oldest is None else micros(oldest),
        )

    def _bucket_counts(self, principal: Principal, places: set[bytes], hours: HourRange) -> list[BucketCount]:
        since, split, own = hour_of(hours.since), hour_of(hours.split), principal.organization
        by, hours_since = ("place", "slot", "what"), range(since, MAX_INTEGER)
        found = self.counters.totals(HOURLY_COUNTS, principal, *by, place=places, slot=hours_since)
        amounts: Counter[tuple[bool, int, str]] = Counter()
        placed: Counter[tuple[bool, int, str]] = Counter()
        for (place, slot, what), amount in found.items():
            group = slot >= split, slot // hours.bucket_hours if hours.bucket_hours else 0, what
            amounts[group] += amount
            placed[group] += amount if place != own.bytes else 0
        return [BucketCount(*group, amount, placed[group]) for group, amount in amounts.items()]

    def _minute_counts(self, principal: Principal, places: set[bytes], minutes: MinuteRange) -> list[MinuteCount]:
        near = minute_of(minutes.near)
        found = self.counters.totals(
            HOURLY_COUNTS, principal, "what", "minute",
            place=places, slot=range(-RING_MINUTES, 0), minute=range(minute_of(minutes.since), MAX_INTEGER),
        )  # fmt: skip
        amounts: Counter[str] = Counter()
        of_near: Counter[str] = Counter()
        for (what, minute), amount in found.items():
            amounts[what] += amount
            of_near[what] += amount if minute >= near else 0
        return [MinuteCount(what, amount, of_near[what]) for what, amount in amounts.items()]

    async def overview(self, principal: Principal, hours: HourRange, *, at: datetime) -> OverviewFigures:
        """
        The activity counters of these hours, and the agents by status. Memory has no size.
        """
        agents = Counter(agent.status(at=at, as_made=True) for agent in self._agents(principal) if not agent.main)
        return OverviewFigures(await self.counts(principal, ReportScope(), hours), dict(agents), 0)

    async def board_metrics(
        self, principal: Principal, scope: ReportScope, hours: HourRange, *, limit: int
    ) -> MetricsFigures:
        """
        The activity counters of these hours, the activity since their split, and the newest pending approvals.
        """
        boards = self._boards(principal, scope)
        seen = (agent.presence.last_seen_at for agent in self._agents(principal) if agent.board in boards)
        active = sum(at is not None and at >= hours.split for at in seen)
        done = (cycle_time_of(task) for task in self._done(principal, hours.split) if task.board in boards)
        cycles = Counter(cycle // SECOND for cycle in done if cycle is not None)
        counts = await self.counts(principal, scope, hours)
        return MetricsFigures(counts, active, median(cycles.items()), self._pending_approvals(principal, boards, limit))

    async def agent_workloads(self, principal: Principal, *, at: datetime) -> AgentWorkloads:
        """
        The workload of each agent that is neither built in nor offline.
        """
        boards = self._boards(principal)
        agents = [agent for agent in self._agents(principal) if not agent.main]
        waiting = self.counters.totals(WORKLOADS, principal, "assignee_key", "status", board=as_columns(boards))
        rows = [
            AgentWorkload(
                agent.name,
                status,
                waiting[agent.name_key, Status.ASSIGNED.value],
                waiting[agent.name_key, Status.IN_PROGRESS.value],
            )
            for agent in agents
            if (status := agent.status(at=at, as_made=True)) != OFFLINE
        ]
        return AgentWorkloads(rows, len(agents))

    async def done_task_groups(self, principal: Principal, *, since: datetime, errors: int) -> DoneTaskGroups:
        """
        The tasks done since *since*, grouped by assignee, priority and result, and their most common error messages.
        """
        done = list(self._done(principal, since))
        groups: dict[tuple[str | None, str, str | None], list[Task]] = defaultdict(list)
        for task in done:
            assignee, result = task.assignee, task.result
            groups[assignee.name if assignee else None, task.priority, result.value if result else None].append(task)
        told = Counter(task.error_message for task in done if task.error_message)
        common = sorted(told.items(), key=lambda each: (-each[1], each[0]))[:errors]
        return DoneTaskGroups([_done_task_group(names, tasks) for names, tasks in groups.items()], common)

    async def durations(
        self, principal: Principal, *, since: datetime, split: datetime, until: datetime
    ) -> list[DurationCount]:
        """
        The time from creation to completion, in seconds, of the tasks done from *since* up to *until* (exclusive).
        """
        amounts: Counter[tuple[bool, int]] = Counter()
        needed: Counter[tuple[bool, int]] = Counter()
        for task in self._done(principal, since):
            if task.done_at is not None and task.done_at < until:
                group = task.done_at >= split, _duration_seconds(task)
                amounts[group] += 1
                needed[group] += _had_trouble(task)
        return [DurationCount(*group, amount, needed[group]) for group, amount in amounts.items()]

    def _pending_approvals(self, principal: Principal, boards: set[UUID], limit: int) -> PendingApprovals:
        waiting = self.kind_tables[APPROVALS].matching(principal, {"status": ApprovalStatus.PENDING})
        found = [each for each in reversed(waiting) if each.board in boards]
        return PendingApprovals([self._pending(each) for each in found[:limit]], len(found))

    def _pending(self, approval: Approval) -> PendingApproval:
        links = sorted(self.kind_tables[APPROVAL_LINKS].referring_to("approval", approval), key=lambda link: link.place)
        tasks = [self.tasks.rows[link.task] for link in links if link.task in self.tasks.rows]
        titles = (task.title for task in tasks if task.board == approval.board)
        return PendingApproval(
            approval.id.bytes,
            approval.board.bytes,
            self.boards.rows[approval.board].name,
            approval.action,
            approval.confidence,
            micros(approval.created_at),
            next(titles, None),
        )

    async def find_tasks(
        self, principal: Principal, text: str, *, limit: int, assignee: str | None = None
    ) -> FoundRows[FoundTask]:
        """
        The tasks whose title, description or assignee contains the text, the most relevant first.
        """
        wanted, hits = ascii_lowercased(text), []
        for task in self._tasks(principal, self._boards(principal)):
            name = task.assignee
            if assignee is not None and (name is None or name.key != name_key(assignee)):
                continue
            found = relevance(wanted, task.title, task.description, name.name if name else None)
            if found:
                hits.append((found, task))
        hits.sort(key=lambda hit: (-hit[0], -hit[1].number))
        return FoundRows([_found_task(task, found) for found, task in hits[:limit]], len(hits))

    async def find_agents(self, principal: Principal, text: str, *, limit: int) -> FoundRows[FoundAgent]:
        """
        The agents whose name, role or last activity contains the text, the most relevant first.
        """
        wanted, hits = ascii_lowercased(text), []
        for agent in self._agents(principal):
            found = relevance(wanted, agent.name, agent.role, agent.presence.activity)
            if found:
                hits.append((found, agent))
        hits.sort(key=lambda hit: (-hit[0], -hit[1].number))
        return FoundRows([_found_agent(agent, found) for found, agent in hits[:limit]], len(hits))

    def _boards(self, principal: Principal, scope: ReportScope | None = None) -> set[UUID]:
        return {
            board.id
            for board in self.boards.visible(principal)
            if scope is None or (scope.board in (None, board.id) and scope.group in (None, board.group))
        }

    def _tasks(self, principal: Principal, boards: set[UUID]) -> Iterator[Task]:
        places = self.tasks.in_order.of(principal.organization)
        return (task for task in self.tasks.each(id for _, id in places) if task.board in boards)

    def _agents(self, principal: Principal) -> Iterator[Agent]:
        places = self.agents.in_order.of(principal.organization)
        agents = self.agents.each(id for _, id in places)
        return (agent for agent in agents if may_read_board(principal, agent.board))

    def _done(self, principal: Principal, since: datetime) -> Iterator[Task]:
        tasks = self._tasks(principal, self._boards(principal))
        return (task for task in tasks if task.done_at is not None and task.done_at >= since)


def _retries(task: Task) -> int:
    return max(task.retry_count, task.attempts - 1)


def _duration_seconds(task: Task) -> int:
    return max((task.done_at or task.created_at) - task.created_at, timedelta(0)) // SECOND


def _had_trouble(task: Task) -> bool:
    return _retries(task) > 0 or bool(task.error_message) or task.result not in (None, TaskResult.SUCCESS)


def _done_task_group(names: tuple[str | None, str, str | None], tasks: list[Task]) -> DoneTaskGroup:
    timed = [task for task in tasks if task.done_at is not None and task.done_at >= task.created_at]
    return DoneTaskGroup(*names, len(tasks), sum(map(_retries, tasks)), len(timed), sum(map(_duration_seconds, timed)))


def _found_task(task: Task, relevance: int) -> FoundTask:
    return FoundTask(
        task.number,
        task.title,
        task.description,
        task.status.value,
        task.assignee.name if task.assignee else None,
        micros(task.created_at),
        relevance,
    )


def _found_agent(agent: Agent, relevance: int) -> FoundAgent:
    return FoundAgent(
        agent.number, agent.name, agent.role, agent.presence.activity, micros(agent.created_at), relevance
    )
