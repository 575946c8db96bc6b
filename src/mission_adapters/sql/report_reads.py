"""
The read models of reports in SQL: task counts, hourly counters, workloads, durations, pending approvals and search.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Executable,
    Select,
    and_,
    case,
    cast,
    func,
    literal_column,
    null,
    or_,
    select,
    union_all,
)

from mission_adapters.sql.agent_row_query import STATUS_AS_MADE, silent_since
from mission_adapters.sql.board_visibility import BOARD_FILTERS, board_filter_of
from mission_adapters.sql.columns import INTEGER, TEXT
from mission_adapters.sql.counters import totals
from mission_adapters.sql.database_session import DatabaseSession, Steps
from mission_adapters.sql.kind_tables import MAPPINGS
from mission_adapters.sql.statements import Statement, cached_statement, parameter
from mission_adapters.sql.tables import agents, boards, pulses, tallies, tasks, workloads
from mission_adapters.sql.text_search import AGENT_FIELDS, TASK_FIELDS, matching_rows
from mission_core.agents.model import OFFLINE
from mission_core.approvals.model import APPROVAL_LINKS, APPROVALS, ApprovalStatus
from mission_core.lazy_attrs import frozen
from mission_core.reports.hourly_counters import RING_MINUTES, hour_of, minute_of
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
    StatusCount,
)
from mission_core.tasks.model import Status
from mission_core.tasks.runs import TaskResult
from mission_core.values import micros, name_key

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.accounts.model import Principal
    from mission_core.reports.queries import HourRange, MinuteRange, ReportScope

Parameters = dict[str, Any]
approvals: Final = MAPPINGS[APPROVALS].table
_organization: Final = parameter("organization")
_zero: Final[ColumnElement[Any]] = literal_column("0")
_nothing: Final = literal_column("''", TEXT)
FILTERS: Final = {
    **{name: condition(boards.c.id) for name, condition in BOARD_FILTERS.items()},
    "board": boards.c.id == parameter("board"),
    "group": boards.c.group == parameter("group"),
}
"""The conditions that narrow a report's scope, by the names of their parameters."""
STANDING, HAPPENED, RECENT, OLDEST, STAFF, ACTIVE, CYCLE, SIZE = range(8)
"""The first column of a row of a report's statement: the part of the figures that the row belongs to."""
ONE_BUCKET: Final = 1 << 40
"""A bucket size in hours that puts everything into one bucket."""


def _boards(*board_filters: str) -> Select[Any]:
    return select(boards.c.id).where(boards.c.organization == _organization, *(FILTERS[name] for name in board_filters))


def _counter_places(*board_filters: str) -> Select[Any] | CompoundSelect[Any]:
    """
    Select the ids under which counters of the scope are kept: boards, and without a filter also the organization, which
    has the counters of events that concern no board.
    """
    return _boards(*board_filters) if board_filters else union_all(_boards(), select(_organization))


def _total(amount: Any) -> Any:
    return cast(func.coalesce(func.sum(amount), 0), INTEGER)


# All parts of a report's figures are one list of rows, whose first column names the part: a statement for each costs
# more than most of the parts.


@cached_statement
def _select_counts(minutes: bool, *board_filters: str) -> Executable:
    return union_all(*_counts(*board_filters), *(_recent_counts(*board_filters) if minutes else ()))


@cached_statement
def _select_overview(dialect: str, *board_filters: str) -> Executable:
    return union_all(*_counts(*board_filters), _staff_counts(*board_filters), _database_size(dialect))


@cached_statement
def _select_metrics(*board_filters: str) -> Executable:
    return union_all(*_counts(*board_filters), _active_agents(*board_filters), _median_cycle(*board_filters))


def _counts(*board_filters: str) -> tuple[Select[Any], ...]:
    return _status_counts(*board_filters), _bucket_counts(*board_filters)


def _recent_counts(*board_filters: str) -> tuple[Select[Any], ...]:
    return _minute_counts(*board_filters), _oldest_waiting(*board_filters)


def _labelled_rows(part: int, *columns: Any) -> Select[Any]:
    return select(literal_column(str(part)), *columns)


def _status_counts(*board_filters: str) -> Select[Any]:
    on_boards = [tallies.c.board.in_(_boards(*board_filters))] if board_filters else []
    found = totals(tallies, ("status", "priority"), *on_boards).subquery()
    return _labelled_rows(STANDING, found.c.status, found.c.priority, _zero, _zero, found.c.amount, _zero)


def _bucket_counts(*board_filters: str) -> Select[Any]:
    late = case((pulses.c.slot >= parameter("split", int), 1), else_=0).label("late")
    bucket: Any = (pulses.c.slot // parameter("each", int)).label("bucket")
    placed = _total(case((pulses.c.place == _organization, 0), else_=pulses.c.amount))
    found = _labelled_rows(HAPPENED, pulses.c.what, _nothing, late, bucket, _total(pulses.c.amount), placed)
    found = found.where(
        pulses.c.organization == _organization,
        pulses.c.place.in_(_counter_places(*board_filters)),
        pulses.c.slot >= parameter("since", int),
    )
    return found.group_by(pulses.c.what, late, bucket)


def _minute_counts(*board_filters: str) -> Select[Any]:
    near = _total(case((pulses.c.minute >= parameter("near", int), pulses.c.amount), else_=0))
    found = _labelled_rows(RECENT, pulses.c.what, _nothing, _zero, _zero, _total(pulses.c.amount), near)
    found = found.where(
        pulses.c.organization == _organization,
        pulses.c.place.in_(_counter_places(*board_filters)),
        pulses.c.slot >= -RING_MINUTES,
        pulses.c.slot < 0,
        pulses.c.minute >= parameter("minute", int),
    )
    return found.group_by(pulses.c.what)


def _oldest_waiting(*board_filters: str) -> Select[Any]:
    """
    Select the creation times of the oldest tasks in inbox and assigned. The oldest task has the lowest number.
    """

    def first(status: Status) -> Any:
        found = select(tasks.c.created_at).where(tasks.c.organization == _organization, tasks.c.status == status.value)
        if board_filters:
            found = found.where(tasks.c.board.in_(_boards(*board_filters)))
        return found.order_by(tasks.c.number).limit(1).scalar_subquery()

    return _labelled_rows(OLDEST, _nothing, _nothing, _zero, _zero, first(Status.INBOX), first(Status.ASSIGNED))


def _staff_counts(*board_filters: str) -> Select[Any]:
    status = STATUS_AS_MADE.label("status")
    found = _labelled_rows(STAFF, status, _nothing, _zero, _zero, func.count(), _zero)
    return _staff(found, *board_filters).group_by(status)


def _active_agents(*board_filters: str) -> Select[Any]:
    found = _labelled_rows(ACTIVE, _nothing, _nothing, _zero, _zero, func.count(), _zero)
    seen = agents.c.last_seen_at >= parameter("active_since", int)
    return found.where(agents.c.board.in_(_boards(*board_filters)), agents.c.main == 0, seen)


def _staff(found: Select[Any], *board_filters: str) -> Select[Any]:
    """
    Limit a select of agents to those that are not built in.
    """
    found = found.select_from(agents).where(agents.c.organization == _organization, agents.c.main == 0)
    return found.where(agents.c.board.in_(_boards(*board_filters))) if board_filters else found


def _database_size(dialect: str) -> Select[Any]:
    if dialect == "postgresql":
        size: Any = func.pg_database_size(func.current_database())
        return _labelled_rows(SIZE, _nothing, _nothing, _zero, _zero, size, _zero)
    size = literal_column("page_count * page_size")
    found = _labelled_rows(SIZE, _nothing, _nothing, _zero, _zero, size, _zero)
    return found.select_from(func.pragma_page_count(), func.pragma_page_size())


@cached_statement
def _select_workloads(*board_filters: str) -> Executable:
    """
    Select the number of all agents, and the workloads of those that are not offline.
    """
    # A seek for each agent: PostgreSQL may not hash here, and would read all workloads again for each.
    amounts = (_tasks_of_agent(status, *board_filters) for status in (Status.ASSIGNED, Status.IN_PROGRESS))
    total = select(_zero, _nothing, _nothing, func.count(), _zero)
    there = select(literal_column("1"), agents.c.name, STATUS_AS_MADE, *amounts).where(STATUS_AS_MADE != OFFLINE)
    return union_all(_staff(total, *board_filters), _staff(there, *board_filters))


def _tasks_of_agent(status: Status, *board_filters: str) -> Any:
    found = select(_total(workloads.c.amount)).where(
        workloads.c.organization == _organization,
        workloads.c.assignee_key == agents.c.name_key,
        workloads.c.status == status.value,
    )
    if board_filters:
        found = found.where(workloads.c.board.in_(_boards(*board_filters)))
    return found.correlate(agents).scalar_subquery()


_retries: Final = case((tasks.c.attempts > tasks.c.retry_count + 1, tasks.c.attempts - 1), else_=tasks.c.retry_count)
_message: Final = func.coalesce(tasks.c.error_message, _nothing)
_has_message: Final = case((_message != _nothing, 1), else_=0)
_has_duration: Final = tasks.c.done_at >= tasks.c.created_at
_seconds: Final = case((_has_duration, (tasks.c.done_at - tasks.c.created_at) // 1_000_000), else_=0)


def _done_tasks(found: Select[Any], *board_filters: str) -> Select[Any]:
    found = found.where(tasks.c.organization == _organization, tasks.c.done_at >= parameter("done_since", int))
    return found.where(tasks.c.board.in_(_boards(*board_filters))) if board_filters else found


@cached_statement
def _select_done_groups(*board_filters: str) -> Executable:
    groups = (tasks.c.assignee, tasks.c.priority, tasks.c.result)
    sums = (_total(each) for each in (_retries, case((_has_duration, 1), else_=0), _seconds, _has_message))
    return _done_tasks(select(*groups, func.count(), *sums), *board_filters).group_by(*groups)


@cached_statement
def _select_errors(*board_filters: str) -> Executable:
    amount = func.count()
    found = _done_tasks(select(tasks.c.error_message, amount), *board_filters).where(_message != _nothing)
    found = found.group_by(tasks.c.error_message).order_by(amount.desc(), tasks.c.error_message)
    return found.limit(parameter("most", int))


@cached_statement
def _select_durations(*board_filters: str) -> Executable:
    late = case((tasks.c.done_at >= parameter("split", int), 1), else_=0).label("late")
    unlucky = tasks.c.result.in_([each.value for each in TaskResult if each is not TaskResult.SUCCESS])
    needed = or_(_retries > 0, _message != _nothing, and_(tasks.c.result.is_not(null()), unlucky))
    seconds = _seconds.label("seconds")
    found = _done_tasks(select(late, seconds, func.count(), _total(case((needed, 1), else_=0))), *board_filters)
    return found.where(tasks.c.done_at < parameter("until", int)).group_by(late, seconds)


def _median_cycle(*board_filters: str) -> Select[Any]:
    """
    Select the sum and the number of the cycle times in the middle, of which there is one or two, or none at all.
    """
    seconds: Any = ((tasks.c.done_at - tasks.c.begun_at) // 1_000_000).label("seconds")
    found = _done_tasks(select(seconds), *board_filters).where(tasks.c.begun_at <= tasks.c.done_at)
    cycles = found.cte("cycles")
    amount: Any = select(func.count()).select_from(cycles).scalar_subquery()
    middle = select(cycles.c.seconds).order_by(cycles.c.seconds).limit(2 - amount % 2).offset((amount - 1) // 2)
    medians = middle.subquery("middle")
    return _labelled_rows(
        CYCLE, _nothing, _nothing, _zero, _zero, _total(medians.c.seconds), func.count(medians.c.seconds)
    )


@cached_statement
def _select_pending_approvals(*board_filters: str) -> Executable:
    links, first = MAPPINGS[APPROVAL_LINKS].table, tasks.alias("first")
    title = (
        select(first.c.title)
        .select_from(links.join(first, and_(first.c.id == links.c.task, first.c.board == links.c.board)))
        .where(links.c.organization == approvals.c.organization, links.c.approval == approvals.c.id)
        .order_by(links.c.place)
        .limit(1)
        .scalar_subquery()
    )
    found = select(
        approvals.c.id, boards.c.id, boards.c.name, approvals.c.action, approvals.c.confidence,
        approvals.c.created_at, title,
    ).join(boards, boards.c.id == approvals.c.board)  # fmt: skip
    return _pending_approvals(found, *board_filters).order_by(approvals.c.number.desc()).limit(parameter("most", int))


@cached_statement
def _count_pending(*board_filters: str) -> Executable:
    return _pending_approvals(select(func.count()).select_from(approvals), *board_filters)


def _pending_approvals(found: Select[Any], *board_filters: str) -> Select[Any]:
    waiting = found.where(approvals.c.organization == _organization, approvals.c.status == ApprovalStatus.PENDING.value)
    return waiting.where(approvals.c.board.in_(_boards(*board_filters))) if board_filters else waiting


@frozen(eq=False, repr=False)
class SqlReportReads:
    """
    Reads the figures of reports as far as a principal may see them.
    """

    session: DatabaseSession

    async def counts(
        self, principal: Principal, scope: ReportScope, hours: HourRange, minutes: MinuteRange | None = None
    ) -> ReportCounts:
        """
        Return task counts by status and priority, and event counts by bucket and, with *minutes*, of the last minutes.
        """
        given = _scope_parameters(principal, scope)
        shape = (minutes is not None, *given)
        given |= _hour_parameters(hours)
        if minutes is not None:
            given |= {"minute": minute_of(minutes.since), "near": minute_of(minutes.near)}
        found = await self._rows(_select_counts(*shape), principal, given)
        return _figures_of_rows(found).counts

    async def overview(self, principal: Principal, hours: HourRange, *, at: datetime) -> OverviewFigures:
        """
        Return event counts by bucket, task and agent counts by status, and the size of the database.
        """
        given = board_filter_of(principal)
        statement = _select_overview(self.session.dialect, *given)
        given |= {**_hour_parameters(hours), "silent_since": silent_since(at)}
        found = _figures_of_rows(await self._rows(statement, principal, given))
        return OverviewFigures(found.counts, found.staff, found.size)

    async def board_metrics(
        self, principal: Principal, scope: ReportScope, hours: HourRange, *, limit: int
    ) -> MetricsFigures:
        """
        Return event counts by bucket, task counts by status, the activity since the split, and pending approvals.
        """
        given, dialect = _scope_parameters(principal, scope), self.session.dialect
        shape, since = tuple(given), micros(hours.split)
        given["organization"] = principal.organization.bytes
        times = {**_hour_parameters(hours), "active_since": since, "done_since": since}

        def steps() -> Steps[MetricsFigures]:
            figures = _figures_of_rows((yield _select_metrics(*shape)(dialect, **given, **times)))
            pending = [
                PendingApproval._make(row)
                for row in (yield _select_pending_approvals(*shape)(dialect, most=limit, **given))
            ]
            total = len(pending)
            if total == limit:
                ((total,),) = yield _count_pending(*shape)(dialect, **given)
            approvals = PendingApprovals(pending, total)
            return MetricsFigures(figures.counts, figures.active_agents, figures.median_cycle, approvals)

        return await self.session.read(steps)

    async def agent_workloads(self, principal: Principal, *, at: datetime) -> AgentWorkloads:
        """
        Return the agents that are neither built in nor offline, each with its numbers of assigned and in-progress
        tasks, and the number of all that are not built in.
        """
        given = board_filter_of(principal)
        statement = _select_workloads(*given)
        total, rows = 0, []
        for there, name, status, amount, in_progress in await self._rows(
            statement, principal, {**given, "silent_since": silent_since(at)}
        ):
            if there:
                rows.append(AgentWorkload(name, status, amount, in_progress))
            else:
                total = amount
        return AgentWorkloads(rows, total)

    async def done_task_groups(self, principal: Principal, *, since: datetime, errors: int) -> DoneTaskGroups:
        """
        Return the tasks done since *since*, grouped, and their most common error messages.
        """
        given, dialect = board_filter_of(principal), self.session.dialect
        asked = {**given, "organization": principal.organization.bytes, "done_since": micros(since)}

        def steps() -> Steps[DoneTaskGroups]:
            groups = yield _select_done_groups(*given)(dialect, **asked)
            messages: list[tuple[str, int]] = []
            if any(errors_told for *_, errors_told in groups):
                messages = [tuple(row) for row in (yield _select_errors(*given)(dialect, most=errors, **asked))]
            return DoneTaskGroups([DoneTaskGroup._make(row[:-1]) for row in groups], messages)

        return await self.session.read(steps)

    async def durations(
        self, principal: Principal, *, since: datetime, split: datetime, until: datetime
    ) -> list[DurationCount]:
        """
        Return the durations of the tasks that were done from *since* until before *until*.
        """
        given = board_filter_of(principal)
        shape = tuple(given)
        given |= {"done_since": micros(since), "split": micros(split), "until": micros(until)}
        found = await self._rows(_select_durations(*shape), principal, given)
        return [DurationCount(bool(late), *rest) for late, *rest in found]

    async def find_tasks(
        self, principal: Principal, text: str, *, limit: int, assignee: str | None = None
    ) -> FoundRows[FoundTask]:
        """
        Return the tasks whose title, description or assignee contains the text.
        """
        given = board_filter_of(principal)
        if assignee is not None:
            given["name"] = name_key(assignee)
        found = await self._matching_rows("tasks", principal, text, given, limit=limit)
        return FoundRows([FoundTask._make(row[: len(TASK_FIELDS)]) for row in found], found[0][-1] if found else 0)

    async def find_agents(self, principal: Principal, text: str, *, limit: int) -> FoundRows[FoundAgent]:
        """
        Return the agents whose name, role or last activity contains the text.
        """
        found = await self._matching_rows("agents", principal, text, board_filter_of(principal), limit=limit)
        return FoundRows([FoundAgent._make(row[: len(AGENT_FIELDS)]) for row in found], found[0][-1] if found else 0)

    async def _matching_rows(
        self, name: str, principal: Principal, text: str, given: Parameters, *, limit: int
    ) -> list[Any]:
        dialect, organization = self.session.dialect, principal.organization
        return await self.session.read(lambda: matching_rows(dialect, name, organization, text, given, limit=limit))

    async def _rows(self, statement: Statement, principal: Principal, given: Parameters) -> list[Any]:
        dialect, own = self.session.dialect, principal.organization.bytes

        def steps() -> Steps[list[Any]]:
            rows: list[Any] = yield statement(dialect, organization=own, **given)
            return rows

        return await self.session.read(steps)


def _scope_parameters(principal: Principal, scope: ReportScope) -> Parameters:
    """
    Return the parameters that narrow the scope, by their names in `FILTERS`.
    """
    given = board_filter_of(principal)
    if scope.board is not None:
        given["board"] = scope.board.bytes
    if scope.group is not None:
        given["group"] = scope.group.bytes
    return given


def _hour_parameters(hours: HourRange) -> Parameters:
    return {
        "since": hour_of(hours.since),
        "split": hour_of(hours.split),
        "each": hours.bucket_hours or ONE_BUCKET,
    }


class Figures(NamedTuple):
    """
    The rows of a report's statement by their parts.
    """

    counts: ReportCounts
    staff: dict[str, int]
    active_agents: int
    median_cycle: float | None
    size: int


def _figures_of_rows(rows: Iterable[Any]) -> Figures:
    standing: list[StatusCount] = []
    happened: list[BucketCount] = []
    recent: list[MinuteCount] = []
    staff: dict[str, int] = {}
    oldest = median = None
    active = size = 0
    for part, name, more, late, bucket, amount, other in rows:
        if part == STANDING:
            standing.append(StatusCount(name, more, amount))
        elif part == HAPPENED:
            happened.append(BucketCount(late == 1, bucket, name, amount, other))
        elif part == RECENT:
            recent.append(MinuteCount(name, amount, other))
        elif part == OLDEST:
            oldest = min((each for each in (amount, other) if each is not None), default=None)
        elif part == STAFF:
            staff[name] = amount
        elif part == ACTIVE:
            active = amount
        elif part == CYCLE:
            median = amount / other if other else None
        else:
            size = amount
    return Figures(ReportCounts(standing, happened, recent, oldest), staff, active, median, size)
