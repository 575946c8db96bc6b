"""
Operations on the token ledger: reports of used tokens, their sums, and corrections.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.key_scopes import SELF
from mission_core.agents.model import AgentNotFound
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.errors import KeyReused, RoleTooLow
from mission_core.ids import AgentId, BoardId, TaskId, UsageId
from mission_core.tasks.model import TaskNotFound
from mission_core.usage.amounts import LONGEST_MODEL, LONGEST_PROVIDER, MAX_DOLLARS, MAX_TOKENS, NANOS_PER_DOLLAR
from mission_core.usage.counters import HOUR_MICROS
from mission_core.usage.model import (
    LONGEST_DURATION,
    LONGEST_OPERATION,
    LONGEST_REPORT_ID,
    LONGEST_SESSION,
    USAGE,
    ReportIdReused,
    UsageEntry,
    UsageIsCarryOver,
    UsageIsReversal,
    UsageNotFound,
    UsageOfAnotherAgent,
    UsageOfAnotherBoard,
    UsageOfAnotherTask,
    UsageVoided,
)
from mission_core.usage.queries import UsageFilter, UsageSum, UsageTotals, UsageWindow, sum_of, sums_by
from mission_core.usage.use_cases import (
    LONGEST_REASON,
    MOST_REPORTS,
    CorrectUsage,
    RecordUsage,
    RecordUsageBatch,
    UsageOutcome,
    UsageReport,
    correct_usage,
    record_usage,
    record_usage_batch,
    repeat_usage,
)
from mission_core.values import ABSENT, EPOCH, Absent, micros
from mission_http.boards.access import MIXED, USER, path_id, require_admin, row_not_found_first
from mission_http.boards.payloads import LimitOffsetPage, PageQuery, sent_fields
from mission_http.boards.responses import listed_response, wanted_page
from mission_http.boards.usage_payloads import UsageTotalsRead, dollars
from mission_http.boards.wire import BoardsPayload, naive
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body, Length, NumberRange, Query
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Of, Payload

MAX_GROUPS: Final = 10_000
LAST: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""The latest time that a window begins or ends at. All entries are earlier."""
Count = Annotated[int, NumberRange(0, MAX_TOKENS)]
MaybeDollars = Annotated[float, NumberRange(0, MAX_DOLLARS)] | None
GroupKey = Literal["model", "agent", "board", "task", "session", "hour", "day"]
COLUMNS: Final = {"agent": ("agent", "agent_name"), "hour": ("slot",), "day": ("slot",)}
"""The values that each key of groups needs, if they are not of the same name."""
MANY: Final = frozenset({"task", "session"})
"""The keys with many groups. Those that are not listed are not read."""


def nano_dollars(told: float | None) -> int | None:
    """
    Dollars as nano-dollars.
    """
    return None if told is None else round(told * NANOS_PER_DOLLAR)


class UsageCreate(Body):
    model: Annotated[str, Length(1, LONGEST_MODEL)]
    input_tokens: Count
    output_tokens: Count
    cache_read_tokens: Count = 0
    cache_write_tokens: Count = 0
    reasoning_tokens: Count = 0
    input_audio_tokens: Count = 0
    output_audio_tokens: Count = 0
    provider: Annotated[str | None, Length(1, LONGEST_PROVIDER)] = None
    report_id: Annotated[str | None, Length(1, LONGEST_REPORT_ID)] = None
    used_at: datetime | None = None
    agent_id: UUID | None = None
    task_id: UUID | None = None
    board_id: UUID | None = None
    fence: Annotated[int | None, NumberRange(1)] = None
    session: Annotated[str, Length(0, LONGEST_SESSION)] = ""
    operation: Annotated[str, Length(1, LONGEST_OPERATION)] = "chat_completion"
    duration_ms: Annotated[int | None, NumberRange(0, LONGEST_DURATION)] = None
    reported_cost_usd: MaybeDollars = None
    subscription: bool = False
    batch: bool = False

    def report(self) -> UsageReport:
        """
        The report.
        """
        return UsageReport(
            model=self.model, input_tokens=self.input_tokens, output_tokens=self.output_tokens,
            cache_read_tokens=self.cache_read_tokens, cache_write_tokens=self.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens, input_audio_tokens=self.input_audio_tokens,
            output_audio_tokens=self.output_audio_tokens, provider=self.provider, report_id=self.report_id,
            used_at=self.used_at, agent=None if self.agent_id is None else AgentId(self.agent_id),
            task=None if self.task_id is None else TaskId(self.task_id),
            board=None if self.board_id is None else BoardId(self.board_id), fence=self.fence, session=self.session,
            operation=self.operation, duration_ms=self.duration_ms,
            reported_cost=nano_dollars(self.reported_cost_usd), subscription=self.subscription, batch=self.batch,
        )  # fmt: skip


class UsageBatchCreate(Body):
    entries: Annotated[list[UsageCreate], Length(1, MOST_REPORTS)]


class UsageCorrect(Body):
    reason: Annotated[str, Length(1, LONGEST_REASON)]
    void: bool = False
    model: Annotated[str, Length(1, LONGEST_MODEL)] | Absent = ABSENT
    provider: Annotated[str | None, Length(1, LONGEST_PROVIDER)] | Absent = ABSENT
    input_tokens: Count | Absent = ABSENT
    output_tokens: Count | Absent = ABSENT
    cache_read_tokens: Count | Absent = ABSENT
    cache_write_tokens: Count | Absent = ABSENT
    reasoning_tokens: Count | Absent = ABSENT
    input_audio_tokens: Count | Absent = ABSENT
    output_audio_tokens: Count | Absent = ABSENT
    subscription: bool | Absent = ABSENT
    batch: bool | Absent = ABSENT


class UsageRead(BoardsPayload[UsageEntry]):
    id: UUID
    organization_id: Annotated[UUID, Of("organization")]
    used_at: Annotated[datetime, Of("at")]
    recorded_at: datetime
    board_id: Annotated[UUID | None, Of("board")]
    task_id: Annotated[UUID | None, Of("task")]
    run_id: Annotated[UUID | None, Of("run")]
    late: bool
    agent_id: Annotated[UUID | None, Of("agent")]
    agent_name: str
    session: str
    operation: str
    duration_ms: int | None
    provider: str | None
    model: str
    requests: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    input_audio_tokens: int
    output_audio_tokens: int
    unpriced_tokens: int
    cost_usd: Annotated[float | None, Of("cost", dollars)]
    cost_nano: Annotated[int | None, Of("cost")]
    list_cost_usd: Annotated[float | None, Of("list_cost", dollars)]
    reported_cost_usd: Annotated[float | None, Of("reported_cost", dollars)]
    subscription: bool
    batch: bool
    price_basis: Annotated[Literal["exact", "estimate", "unknown"], Of("basis")]
    price_source: str | None
    price_version: str | None
    report_id: str | None
    corrects: UUID | None
    reverses: UUID | None


class UsageOutcomeRead(Payload):
    status: Literal["recorded", "repeated", "refused"]
    entry: UsageRead | None
    code: str | None
    detail: str | None


class UsageBatchRead(Payload):
    results: list[UsageOutcomeRead]
    recorded: int
    repeated: int
    refused: int


class UsageGroupRead(Payload):
    key: str | None
    name: str | None
    totals: UsageTotalsRead


class UsageSummaryRead(Payload):
    total: UsageTotalsRead
    group_by: GroupKey
    groups: list[UsageGroupRead]
    since: datetime | None
    until: datetime | None


class UsageFilterQuery(Query):
    board_id: UUID | None = None
    task_id: UUID | None = None
    agent_id: UUID | None = None
    model: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class UsageListQuery(PageQuery):
    board_id: UUID | None = None
    task_id: UUID | None = None
    agent_id: UUID | None = None
    model: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class UsageSummaryQuery(UsageFilterQuery):
    group_by: GroupKey = "model"


async def create_usage(request: Request) -> Response:
    """
    Record the tokens that a request to a model used.

    Cached tokens are part of the input, and reasoning is part of the output. An agent reports for itself, on tasks that
    it holds or held; an admin for any agent. A report with the same `report_id`, or `Idempotency-Key`, is counted once.
    If the price of the model is unknown, the cost is null. A report after the lease was lost is accepted and marked as
    late.
    """
    report = (await body_of(request, UsageCreate)).report()
    if report.report_id is None:
        report = evolve(report, report_id=request.headers.get("idempotency-key", "").strip() or None)
    entry = await perform_once(request, record_usage, RecordUsage(report=report), repeat_usage)
    return json_response(UsageRead.of(entry))


async def create_usage_batch(request: Request) -> Response:
    """
    Record several reports in one transaction.

    A report that is refused, such as one for another agent's task, is left out, and its result says why; all others are
    recorded. A report with a value of the wrong type or range refuses the whole call, and nothing is recorded.
    """
    body = await body_of(request, UsageBatchCreate)
    command = RecordUsageBatch(reports=tuple(each.report() for each in body.entries))
    outcomes = await record_usage_batch(ports_of(request), principal_of(request), command)
    results = [_outcome_read(each) for each in outcomes]
    counts = {name: sum(each.status == name for each in results) for name in ("recorded", "repeated", "refused")}
    return json_response(UsageBatchRead(results=results, **counts))


def _outcome_read(outcome: UsageOutcome) -> UsageOutcomeRead:
    entry = UsageRead.of(outcome.entry) if outcome.entry is not None else None
    if outcome.refusal is None:
        return UsageOutcomeRead(status=outcome.status, entry=entry, code=None, detail=None)
    code = outcome.refusal.code
    return UsageOutcomeRead(status=outcome.status, entry=None, code=code, detail=str(outcome.refusal) or code)


async def list_usage(request: Request) -> Response:
    """
    List the entries of the token ledger, newest use first.

    Entries are never changed. A correction is two further entries: one reverses the wrong one, and one replaces it.
    `since` and `until` are rounded to whole hours in UTC. A member with grants sees the entries of those boards.
    """
    query = query_of(request, UsageListQuery)
    reads = ports_of(request).reads.usage
    found = await reads.entries(principal_of(request), _window(query, 1), wanted_page(query), _filter(query))
    return listed_response(found, query, UsageRead.of)


async def read_usage_summary(request: Request) -> Response:
    """
    Read the sums over the token ledger, in total and by group.

    `since` and `until` are rounded to whole hours in UTC, and with the group `day` to whole days. A cost is null if no
    price of it is known, and otherwise without the unpriced tokens, which stand beside it. A member with grants sees
    the sums of those boards. At most 10,000 groups are listed: those with the most tokens, or the latest ones.
    """
    query = query_of(request, UsageSummaryQuery)
    bounded = query.since is not None or query.until is not None
    hours = 24 if query.group_by == "day" else 1 if query.group_by == "hour" or bounded else 24
    window, by = _window(query, hours), COLUMNS.get(query.group_by, (query.group_by,))
    principal, reads, wanted = principal_of(request), ports_of(request).reads.usage, _filter(query)
    if query.group_by in MANY:
        sums = await reads.sums(principal, window, by, wanted, most=MAX_GROUPS)
        total = sum_of(await reads.sums(principal, window, (), wanted))
    else:
        sums = await reads.sums(principal, window, by, wanted)
        total = sum_of(sums)
    return json_response(
        UsageSummaryRead(
            total=UsageTotalsRead.of(total), group_by=query.group_by,
            groups=_groups(sums, query.group_by, hours)[:MAX_GROUPS], since=naive(window.begins_at),
            until=naive(window.ends_at),
        )
    )  # fmt: skip


def _groups(sums: Sequence[UsageSum], group_by: GroupKey, hours: int) -> list[UsageGroupRead]:
    """
    The groups of these sums: cells by time, and all others by their tokens. Tokens without an agent are grouped by the
    name that they were reported under.
    """
    if group_by in ("hour", "day"):
        ordered = sorted(sums, key=lambda each: each.key)[-MAX_GROUPS:]
        return [_group(_iso(each.key[0], hours), None, each.totals) for each in ordered]
    if group_by != "agent":
        groups = [_group(_key(each.key[0]), None, each.totals) for each in sums]
    else:
        named = {each.key[0]: each.key[1] for each in sums if each.key[0] is not None}
        groups = [_group(str(agent), named[agent], totals) for agent, totals in sums_by(sums, 0).items() if agent]
        groups += [_group(None, each.key[1] or None, each.totals) for each in sums if each.key[0] is None]
    tokens = {id(each): each.totals.input_tokens + each.totals.output_tokens for each in groups}
    return sorted(groups, key=lambda each: (-tokens[id(each)], each.key or "", each.name or ""))


def _group(key: str | None, name: str | None, totals: UsageTotals) -> UsageGroupRead:
    return UsageGroupRead(key=key, name=name, totals=UsageTotalsRead.of(totals))


def _key(value: UUID | str | None) -> str | None:
    return None if value is None else str(value)


def _iso(slot: int, hours: int) -> str:
    begins_at = UsageWindow(hours=hours, since=slot).begins_at
    assert begins_at is not None
    return begins_at.replace(tzinfo=None).isoformat()


def _window(query: UsageFilterQuery | UsageListQuery, hours: int) -> UsageWindow:
    """
    The window of a query: from the beginning of the cell of `since` to the end of that of `until`.
    """
    cell = HOUR_MICROS * hours
    since, until = (None if at is None else min(max(at, EPOCH), LAST) for at in (query.since, query.until))
    return UsageWindow(
        hours=hours,
        since=None if since is None else micros(since) // cell,
        until=None if until is None else -(-micros(until) // cell),
    )


def _filter(query: UsageFilterQuery | UsageListQuery) -> UsageFilter:
    return UsageFilter(
        board=None if query.board_id is None else BoardId(query.board_id),
        task=None if query.task_id is None else TaskId(query.task_id),
        agent=None if query.agent_id is None else AgentId(query.agent_id),
        model=query.model,
    )


async def correct_usage_entry(request: Request) -> Response:
    """
    Correct an entry of the token ledger, or void it.

    Two entries are added: one that reverses the wrong one, and one with the named values that replaces it, which is
    returned. With `void` only the first is added. The cost is computed again, as of the time of use.
    """
    require_admin(request)
    usage = UsageId(path_id(request, "usage_id"))
    async with row_not_found_first(request, USAGE, usage):
        command = CorrectUsage(usage=usage, **sent_fields(await body_of(request, UsageCorrect)))
        entry = await perform_once(request, correct_usage, command, repeat_usage)
    return json_response(UsageRead.of(entry))


ENDPOINTS = [
    Endpoint(
        "POST", "/usage", create_usage, takes=UsageCreate, gives=UsageRead, who=MIXED, scope=SELF,
        headers=(IDEMPOTENCY_KEY,),
        refuses=(
            AgentNotFound, BoardDenied, BoardNotFound, KeyReused, ReportIdReused, RoleTooLow, TaskNotFound,
            UsageOfAnotherAgent, UsageOfAnotherBoard, UsageOfAnotherTask,
        ),
        tags=("usage",),
    ),
    Endpoint(
        "POST", "/usage/batch", create_usage_batch, takes=UsageBatchCreate, gives=UsageBatchRead, who=MIXED,
        scope=SELF, refuses=(RoleTooLow,), tags=("usage",),
    ),
    Endpoint(
        "GET", "/usage", list_usage, query=UsageListQuery, gives=LimitOffsetPage[UsageRead], who=USER,
        tags=("usage",),
    ),
    Endpoint(
        "GET", "/usage/summary", read_usage_summary, query=UsageSummaryQuery, gives=UsageSummaryRead, who=USER,
        tags=("usage",),
    ),
    Endpoint(
        "POST", "/usage/{usage_id}/corrections", correct_usage_entry, takes=UsageCorrect, gives=UsageRead, who=USER,
        headers=(IDEMPOTENCY_KEY,),
        refuses=(
            BoardDenied, KeyReused, RoleTooLow, UsageIsCarryOver, UsageIsReversal, UsageNotFound, UsageVoided,
        ),
        tags=("usage",),
    ),
]  # fmt: skip
