"""
Operations on the token ledger: reports of used tokens, and their sums by model, agent, task, session and time.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from io import StringIO
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from uuid import UUID

from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.key_scopes import SELF
from mission_core.accounts.model import Principal
from mission_core.agents.model import AgentNotFound
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.errors import InvalidField, KeyReused
from mission_core.ids import BoardNumber, TaskNumber, UsageId
from mission_core.ports import Ports
from mission_core.usage.amounts import LONGEST_MODEL, LONGEST_PROVIDER, MAX_DOLLARS, MAX_TOKENS, NANOS_PER_DOLLAR
from mission_core.usage.model import (
    LONGEST_DURATION,
    LONGEST_OPERATION,
    LONGEST_REPORT_ID,
    LONGEST_SESSION,
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
from mission_core.usage.queries import (
    MOST_SESSIONS,
    MOST_TASKS,
    UsageFilter,
    UsageSum,
    UsageTask,
    UsageTotals,
    UsageWindow,
    sum_of,
    sums_by,
    totals_by,
    window_of_last,
)
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
from mission_core.values import ABSENT, Absent, PageRequest
from mission_http.fleet.access import ADMIN, OPERATOR, VIEWER
from mission_http.fleet.errors import InvalidAction, InvalidRequest
from mission_http.fleet.token_payloads import (
    NOBODY,
    AgentModelTokensPayload,
    AgentTokensPayload,
    AgentTotalsPayload,
    AgentTotalsSummaryPayload,
    TaskGroupTokensPayload,
    TaskTokensPayload,
    TokenAgentCostsPayload,
    TokenBatchPayload,
    TokenDayPayload,
    TokenExportPayload,
    TokenHourPayload,
    TokenListPayload,
    TokenProjectPayload,
    TokenRecordedPayload,
    TokenRecordPayload,
    TokenResultPayload,
    TokensByAgentPayload,
    TokenStatsPayload,
    TokenSumsPayload,
    TokenTaskCostsPayload,
    TokenTrendsPayload,
    dollars,
    iso_day,
    iso_hour,
    record_payload,
    sums_payload,
)
from mission_http.fleet.wire import command_arguments, iso_of
from mission_http.platform.bodies import body_of
from mission_http.platform.csv_texts import is_formula
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.errors import FieldsInvalid
from mission_http.platform.exchange import dialect_of, ports_of, principal_of
from mission_http.platform.field_annotations import Body, CustomCheck, Length, NumberRange, Query
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of
from mission_http.platform.value_parsers import UUID_TEXT

if TYPE_CHECKING:
    from mission_core.agents.model import Agent

INVALID_RECORD: Final = "Invalid token usage record"
MOST_LISTED: Final = 100
MOST_EXPORTED: Final = 10_000
LONGEST_TASK_ID: Final = 32
LARGEST_NUMBER: Final = 2**63 - 1
SPANS: Final = {
    "hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30),
}  # fmt: skip
CSV_COLUMNS: Final = (
    "timestamp", "agentName", "model", "sessionId", "operation", "inputTokens", "outputTokens", "totalTokens", "cost",
    "duration", "costNano", "unpricedTokens",
)  # fmt: skip
Sums = dict[str, TokenSumsPayload]


def stripped(value: str) -> str:
    """
    Strip white space around a text.
    """
    return value.strip()


Count = Annotated[int, NumberRange(0, MAX_TOKENS)]
Stripped = CustomCheck(stripped)
TaskReference = int | Annotated[str, Length(0, LONGEST_TASK_ID)]


class TokenRecordBody(Body):
    model: Annotated[str, Stripped, Length(1, LONGEST_MODEL)]
    sessionId: Annotated[str, Stripped, Length(1, LONGEST_SESSION)]
    inputTokens: Count
    outputTokens: Count
    operation: Annotated[str, Length(1, LONGEST_OPERATION)] = "chat_completion"
    duration: Annotated[int, NumberRange(0, LONGEST_DURATION)] | None = None
    taskId: TaskReference | None = None
    cacheReadTokens: Count = 0
    cacheWriteTokens: Count = 0
    reasoningTokens: Count = 0
    inputAudioTokens: Count = 0
    outputAudioTokens: Count = 0
    provider: Annotated[str, Length(1, LONGEST_PROVIDER)] | None = None
    agentName: Annotated[str, Length(1, 100)] | None = None
    projectId: Annotated[int, NumberRange(1)] | None = None
    reportId: Annotated[str, Length(1, LONGEST_REPORT_ID)] | None = None
    reportedCost: Annotated[float, NumberRange(0, MAX_DOLLARS)] | None = None
    subscription: bool = False
    batch: bool = False

    def report(self) -> UsageReport:
        """
        The report. What stands before a colon in the session names the agent, unless `agentName` does.
        """
        return UsageReport(
            model=self.model, input_tokens=self.inputTokens, output_tokens=self.outputTokens,
            cache_read_tokens=self.cacheReadTokens, cache_write_tokens=self.cacheWriteTokens,
            reasoning_tokens=self.reasoningTokens, input_audio_tokens=self.inputAudioTokens,
            output_audio_tokens=self.outputAudioTokens, provider=self.provider, report_id=self.reportId,
            agent=self.agentName, label=self.sessionId.partition(":")[0].strip() or None,
            task=task_number_of(self.taskId), drops_unknown_task=True, session=self.sessionId,
            board=None if self.projectId is None else BoardNumber(self.projectId), operation=self.operation,
            duration_ms=self.duration,
            reported_cost=None if self.reportedCost is None else round(self.reportedCost * NANOS_PER_DOLLAR),
            subscription=self.subscription, batch=self.batch,
        )  # fmt: skip


def task_number_of(told: Any) -> TaskNumber | None:
    """
    Parse the number of a task; None if it is none.
    """
    number = int(told) if isinstance(told, str) and told.isascii() and told.isdigit() else told
    is_number = isinstance(number, int) and not isinstance(number, bool) and number > 0
    return TaskNumber(number) if is_number and number <= LARGEST_NUMBER else None


class TokenBatchBody(Body):
    records: Annotated[list[TokenRecordBody], Length(1, MOST_REPORTS)]


class CorrectTokensBody(Body):
    reason: Annotated[str, Length(1, LONGEST_REASON)]
    void: bool = False
    model: Annotated[str, Stripped, Length(1, LONGEST_MODEL)] | Absent = ABSENT
    provider: Annotated[str, Length(1, LONGEST_PROVIDER)] | Absent | None = ABSENT
    inputTokens: Count | Absent = ABSENT
    outputTokens: Count | Absent = ABSENT
    cacheReadTokens: Count | Absent = ABSENT
    cacheWriteTokens: Count | Absent = ABSENT
    reasoningTokens: Count | Absent = ABSENT
    inputAudioTokens: Count | Absent = ABSENT
    outputAudioTokens: Count | Absent = ABSENT
    subscription: bool | Absent = ABSENT
    batch: bool | Absent = ABSENT


CORE_NAMES: Final = {
    "inputTokens": "input_tokens", "outputTokens": "output_tokens", "cacheReadTokens": "cache_read_tokens",
    "cacheWriteTokens": "cache_write_tokens", "reasoningTokens": "reasoning_tokens",
    "inputAudioTokens": "input_audio_tokens", "outputAudioTokens": "output_audio_tokens",
}  # fmt: skip
"""The core's names of the counts."""


class TokensQuery(Query):
    action: str = "list"
    timeframe: str = "all"
    format: Literal["json", "csv"] = "json"


class TokensByAgentQuery(Query):
    days: int = 30


async def record_tokens(request: Request) -> Response:
    """
    Record the tokens that a request to a model used.

    Cached tokens are part of the input, and reasoning is part of the output. An agent reports for itself, on tasks that
    it holds or held; an admin's key for any agent. A report with the same `reportId`, or `Idempotency-Key`, is counted
    once. An unknown task is left out. If the price of the model is unknown, the cost is null.
    """
    try:
        body = await body_of(request, TokenRecordBody)
        report = body.report()
        if report.report_id is None:
            report = evolve(report, report_id=request.headers.get("idempotency-key", "").strip() or None)
        entry = await perform_once(request, record_usage, RecordUsage(report=report), repeat_usage)
    except FieldsInvalid as refusal:
        if any(error.loc[:1] == ("header",) for error in refusal.errors):
            raise
        raise InvalidRequest(INVALID_RECORD, tuple(f"{e.dotted}: {e.message}" for e in refusal.errors)) from None
    except InvalidField as refusal:
        raise InvalidRequest(INVALID_RECORD, (str(refusal),)) from None
    return json_response(TokenRecordedPayload(success=True, record=record_payload(entry)))


async def record_token_batch(request: Request) -> Response:
    """
    Record several reports of tokens in one transaction.

    A report that is refused, such as one for another agent's task, is left out, and its result says why; all others are
    recorded. A report with a value of the wrong type or range refuses the whole call, and nothing is recorded.
    """
    body = await body_of(request, TokenBatchBody)
    command = RecordUsageBatch(reports=tuple(each.report() for each in body.records))
    outcomes = await record_usage_batch(ports_of(request), principal_of(request), command)
    results = [_result_payload(each) for each in outcomes]
    counts = {name: sum(each.status == name for each in results) for name in ("recorded", "repeated", "refused")}
    return json_response(TokenBatchPayload(results=results, **counts))


def _result_payload(outcome: UsageOutcome) -> TokenResultPayload:
    record = None if outcome.entry is None else record_payload(outcome.entry)
    if outcome.refusal is None:
        return TokenResultPayload(status=outcome.status, record=record)
    code = outcome.refusal.code
    return TokenResultPayload(status=outcome.status, record=None, code=code, error=str(outcome.refusal) or code)


async def correct_tokens(request: Request) -> Response:
    """
    Correct a record of tokens, or void it.

    Two records are added: one that reverses the wrong one, and one with the named values that replaces it, which is
    returned. With `void` only the first is added. The cost is computed again, as of the time of use.
    """
    body, id = await body_of(request, CorrectTokensBody), request.path_params["id"]
    if not UUID_TEXT.fullmatch(id):
        raise UsageNotFound
    command = CorrectUsage(usage=UsageId(UUID(id)), **command_arguments(body, CORE_NAMES, frozenset()))
    entry = await perform_once(request, correct_usage, command, repeat_usage)
    return json_response(TokenRecordedPayload(success=True, record=record_payload(entry)))


async def record_usage_of_heartbeat(request: Request, agent: Agent, usage: Mapping[str, Any]) -> None:
    """
    Record the usage that an agent's heartbeat carries.

    Raises:
        FieldsInvalid: With every wrong field.
        Refusal: As `record_usage` does.
    """
    told = {**usage, "sessionId": f"{agent.name}:cli", "operation": "heartbeat", "agentName": None}
    report = evolve(dialect_of(request).converter.structure(told, TokenRecordBody).report(), agent=agent.id)
    if report.report_id is None:
        report = evolve(report, report_id=request.headers.get("idempotency-key", "").strip() or None)
    await record_usage(ports_of(request), principal_of(request), RecordUsage(report=report))


async def read_tokens(request: Request) -> Response:
    """
    Read the token ledger: its entries, or their sums.

    `list` has the newest 100 entries, and `export` at most 10,000 of them, also as CSV. The sums begin at a whole hour
    for `hour` and `day`, and at a whole day for `week` and `month`, in UTC. A cost is null if no price of it is known,
    and otherwise without the unpriced tokens, which stand beside it. A member with grants sees the tokens of those
    projects.
    """
    query, ports, principal = query_of(request, TokensQuery), ports_of(request), principal_of(request)
    action = query.action.lower()
    if action not in ACTIONS:
        raise InvalidAction(query.action, tuple(ACTIONS))
    window = window_of_last(SPANS.get(query.timeframe), now=ports.clock.now())
    return await ACTIONS[action](ports, principal, window, query)


async def _list(ports: Ports, principal: Principal, window: UsageWindow, query: TokensQuery) -> Response:
    found = await ports.reads.usage.entries(principal, window, PageRequest(limit=MOST_LISTED))
    usage = [record_payload(each) for each in found.rows]
    return json_response(TokenListPayload(usage=usage, total=found.total, timeframe=query.timeframe))


async def _stats(ports: Ports, principal: Principal, window: UsageWindow, query: TokensQuery) -> Response:
    sums = await ports.reads.usage.sums(principal, window, ("agent_name", "model"))
    total = sum_of(sums)
    return json_response(
        TokenStatsPayload(
            summary=sums_payload(total), models=_payloads(sums_by(sums, 1)),
            sessions=await _sessions(ports, principal, window), agents=_payloads(sums_by(sums, 0)),
            timeframe=query.timeframe, recordCount=total.requests,
        )
    )  # fmt: skip


async def _sessions(ports: Ports, principal: Principal, window: UsageWindow) -> Sums:
    sums = await ports.reads.usage.sums(principal, window, ("session",), most=MOST_SESSIONS)
    return _payloads({each.key[0]: each.totals for each in sums})


async def _agent_costs(ports: Ports, principal: Principal, window: UsageWindow, query: TokensQuery) -> Response:
    reads = ports.reads.usage
    sums = await reads.sums(principal, window, ("agent_name", "model", "slot"))
    largest = await reads.sums(principal, window, ("session",), most=MOST_SESSIONS)
    shown = UsageFilter(sessions=tuple(each.key[0] for each in largest))
    sessions: dict[str, set[str]] = {}
    for each in await reads.sums(principal, window, ("agent_name", "session"), shown):
        sessions.setdefault(each.key[0] or NOBODY, set()).add(each.key[1])
    agents = {
        name: AgentTokensPayload(
            stats=sums_payload(sum_of(own)), models=_payloads(sums_by(own, 1)),
            sessions=sorted(sessions.get(name, ())), timeline=_timeline(own, 2, window),
        )
        for name, own in _grouped(sums, 0).items()
    }  # fmt: skip
    count = sum_of(sums).requests
    return json_response(TokenAgentCostsPayload(agents=agents, timeframe=query.timeframe, recordCount=count))


async def _task_costs(ports: Ports, principal: Principal, window: UsageWindow, query: TokensQuery) -> Response:
    reads = ports.reads.usage
    sums = await reads.sums(principal, window, ("task", "agent_name", "model"))
    loose, of_tasks = [each for each in sums if each.key[0] is None], _by_task(sums)
    known = {each.id: each for each in await reads.tasks(principal, list(of_tasks))}
    attributed = [each for each in sums if each.key[0] in known]
    totals = {id: sum_of(of_tasks[id]) for id in known}
    dearest = sorted(
        known.values(), key=lambda each: (-(totals[each.id].known_cost or 0), -totals[each.id].tokens, each.number)
    )[:MOST_TASKS]  # fmt: skip
    shown = UsageFilter(tasks=tuple(each.id for each in dearest))
    by_slot = _by_task(await reads.sums(principal, window, ("task", "slot"), shown)) if dearest else {}
    tasks = [_task_payload(each, of_tasks[each.id], by_slot.get(each.id, ()), window) for each in dearest]
    numbers = {id: task.number for id, task in known.items()}
    projects: dict[str, list[UsageSum]] = {}
    for each in attributed:
        projects.setdefault(str(known[each.key[0]].board_number), []).append(each)
    return json_response(
        TokenTaskCostsPayload(
            summary=sums_payload(sum_of(attributed)), tasks=tasks,
            agents={name: _group_payload(own, numbers) for name, own in _grouped(attributed, 1).items()},
            projects={number: _group_payload(own, numbers) for number, own in projects.items()},
            unattributed=sums_payload(sum_of(loose)), timeframe=query.timeframe, recordCount=sum_of(sums).requests,
            attributedRecordCount=sum_of(attributed).requests,
        )
    )  # fmt: skip


def _by_task(sums: Iterable[UsageSum]) -> dict[Any, list[UsageSum]]:
    found: dict[Any, list[UsageSum]] = {}
    for each in sums:
        if each.key[0] is not None:
            found.setdefault(each.key[0], []).append(each)
    return found


def _task_payload(
    task: UsageTask, sums: list[UsageSum], by_slot: Sequence[UsageSum], window: UsageWindow
) -> TaskTokensPayload:
    ticket = None if task.ticket is None else f"{task.ticket_prefix}-{task.ticket:03}"
    return TaskTokensPayload(
        taskId=task.number, title=task.title, status=task.status, priority=task.priority, assignedTo=task.assignee,
        project=TokenProjectPayload(
            id=task.board_number, name=task.board_name, slug=task.board_handle, ticketRef=ticket
        ),
        stats=sums_payload(sum_of(sums)), models=_payloads(sums_by(sums, 2)), timeline=_timeline(by_slot, 1, window),
    )  # fmt: skip


def _group_payload(sums: list[UsageSum], numbers: Mapping[Any, int]) -> TaskGroupTokensPayload:
    ids = sorted({numbers[each.key[0]] for each in sums})
    return TaskGroupTokensPayload(stats=sums_payload(sum_of(sums)), taskCount=len(ids), taskIds=ids)


async def _trends(ports: Ports, principal: Principal, window: UsageWindow, query: TokensQuery) -> Response:
    last_day = window_of_last(timedelta(hours=23), now=ports.clock.now())
    sums = await ports.reads.usage.sums(principal, last_day, ("slot",))
    trends = [
        TokenHourPayload(
            timestamp=iso_hour(each.key[0]), tokens=each.totals.tokens, cost=dollars(each.totals.known_cost),
            requests=each.totals.requests, unpricedTokens=each.totals.unpriced_tokens,
        )
        for each in sorted(sums, key=lambda each: each.key)
    ]  # fmt: skip
    return json_response(TokenTrendsPayload(trends=trends, timeframe=query.timeframe))


async def _export(ports: Ports, principal: Principal, window: UsageWindow, query: TokensQuery) -> Response:
    found = await ports.reads.usage.entries(principal, window, PageRequest(limit=MOST_EXPORTED))
    usage = [record_payload(each) for each in found.rows]
    kind = query.timeframe if query.timeframe in SPANS else "all"
    name = f"token-usage-{kind}-{ports.clock.now():%Y-%m-%d}.{query.format}"
    headers = {"Content-Disposition": f"attachment; filename={name}"}
    if query.format == "csv":
        return Response(_csv(found.rows, usage), media_type="text/csv", headers=headers)
    sums = await ports.reads.usage.sums(principal, window, ("model",))
    payload = TokenExportPayload(
        usage=usage, summary=sums_payload(sum_of(sums)), models=_payloads(sums_by(sums, 0)),
        sessions=await _sessions(ports, principal, window), total=found.total,
    )  # fmt: skip
    return json_response(payload, headers=headers)


def _csv(entries: Sequence[UsageEntry], usage: Sequence[TokenRecordPayload]) -> str:
    """
    Write records as CSV.
    """
    written = StringIO()
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow(CSV_COLUMNS)
    for entry, record in zip(entries, usage, strict=True):
        texts = (record.agentName, record.model, record.sessionId, record.operation)
        rows.writerow(
            (
                iso_of(entry.at), *map(_plain, texts),
                record.inputTokens, record.outputTokens, record.totalTokens,
                "" if record.cost is None else f"{record.cost:.4f}", entry.duration_ms or 0,
                "" if record.costNano is None else record.costNano, record.unpricedTokens,
            )
        )  # fmt: skip
    return written.getvalue()


def _plain(text: str) -> str:
    """
    Return a text in one line. One that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    line = text.replace("\r", " ").replace("\n", " ")  # the writer leaves a carriage return unquoted
    return f"'{line}" if is_formula(text) else line


async def read_tokens_by_agent(request: Request) -> Response:
    """
    Read the tokens of each agent in the last days, most tokens first.

    They begin at a whole day in UTC; up to two days at a whole hour.
    """
    query, ports, principal = query_of(request, TokensByAgentQuery), ports_of(request), principal_of(request)
    days = min(max(query.days, 1), 365)
    window, reads = window_of_last(timedelta(days=days), now=ports.clock.now()), ports.reads.usage
    sums = await reads.sums(principal, window, ("agent_name", "model"))
    sessions: Counter[str] = Counter()
    for name, count in (await reads.session_counts(principal, window)).items():
        sessions[name or NOBODY] += count
    names = list(dict.fromkeys(each.key[0] for each in sums))
    last: dict[str, datetime] = {}
    for name, at in (await reads.last_used(principal, names) if names else {}).items():
        last[name or NOBODY] = max(at, last.get(name or NOBODY, at))
    agents = []
    for name, own in _grouped(sums, 0).items():
        total = sum_of(own)
        models = sorted(sums_by(own, 1).items(), key=lambda each: (-each[1].tokens, each[0]))
        agents.append(
            AgentTotalsPayload(
                agent=name, total_input_tokens=total.input_tokens, total_output_tokens=total.output_tokens,
                total_tokens=total.tokens, total_cost=dollars(total.known_cost), unpriced_tokens=total.unpriced_tokens,
                session_count=sessions[name], request_count=total.requests,
                last_active=iso_of(last.get(name, ports.clock.now())),
                models=[_model_payload(model, totals) for model, totals in models],
            )
        )  # fmt: skip
    agents.sort(key=lambda each: (-each.total_tokens, each.agent))
    everything = sum_of(sums)
    summary = AgentTotalsSummaryPayload(
        total_cost=dollars(everything.known_cost), total_tokens=everything.tokens,
        unpriced_tokens=everything.unpriced_tokens, agent_count=len(agents), days=days,
    )  # fmt: skip
    return json_response(TokensByAgentPayload(agents=agents, summary=summary))


def _model_payload(model: str, totals: UsageTotals) -> AgentModelTokensPayload:
    return AgentModelTokensPayload(
        model=model, input_tokens=totals.input_tokens, output_tokens=totals.output_tokens,
        request_count=totals.requests, cost=dollars(totals.known_cost), unpriced_tokens=totals.unpriced_tokens,
    )  # fmt: skip


def _payloads(sums: Mapping[str, UsageTotals]) -> Sums:
    named = totals_by((name or NOBODY, totals) for name, totals in sums.items())  # somebody may be called like nobody
    return {name: sums_payload(totals) for name, totals in named.items()}


def _grouped(sums: Iterable[UsageSum], place: int) -> dict[str, list[UsageSum]]:
    found: dict[str, list[UsageSum]] = {}
    for each in sums:
        found.setdefault(each.key[place] or NOBODY, []).append(each)
    return found


def _timeline(sums: Sequence[UsageSum], place: int, window: UsageWindow) -> list[TokenDayPayload]:
    slots = sums_by(sums, place)
    days = totals_by((iso_day(slot, window.hours), totals) for slot, totals in slots.items())
    return [
        TokenDayPayload(
            date=day, cost=dollars(totals.known_cost), tokens=totals.tokens, unpricedTokens=totals.unpriced_tokens
        )
        for day, totals in sorted(days.items())
    ]


ACTIONS: Final = {
    "list": _list, "stats": _stats, "agent-costs": _agent_costs, "task-costs": _task_costs,
    "task_costs": _task_costs, "taskcosts": _task_costs, "trends": _trends, "export": _export,
}  # fmt: skip
TokensPayload = (
    TokenListPayload
    | TokenStatsPayload
    | TokenAgentCostsPayload
    | TokenTaskCostsPayload
    | TokenTrendsPayload
    | TokenExportPayload
)

ENDPOINTS = [
    Endpoint(
        "GET", "/tokens", read_tokens, query=TokensQuery, gives=TokensPayload, media_types=("text/csv",), who=VIEWER,
        refuses=(InvalidAction,), operation_id="fleet_getTokenUsage",
    ),
    Endpoint(
        "POST", "/tokens", record_tokens, takes=TokenRecordBody, gives=TokenRecordedPayload, who=OPERATOR, scope=SELF,
        headers=(IDEMPOTENCY_KEY,),
        refuses=(
            AgentNotFound, BoardDenied, BoardNotFound, InvalidRequest, KeyReused, ReportIdReused, UsageOfAnotherAgent,
            UsageOfAnotherBoard, UsageOfAnotherTask,
        ),
        operation_id="fleet_recordTokenUsage",
    ),
    Endpoint(
        "POST", "/tokens/batch", record_token_batch, takes=TokenBatchBody, gives=TokenBatchPayload, who=OPERATOR,
        scope=SELF, operation_id="fleet_recordTokenUsageBatch",
    ),
    Endpoint(
        "POST", "/tokens/{id}/corrections", correct_tokens, takes=CorrectTokensBody, gives=TokenRecordedPayload,
        who=ADMIN, headers=(IDEMPOTENCY_KEY,),
        refuses=(BoardDenied, KeyReused, UsageIsCarryOver, UsageIsReversal, UsageNotFound, UsageVoided),
        operation_id="fleet_correctTokenUsage",
    ),
    Endpoint(
        "GET", "/tokens/by-agent", read_tokens_by_agent, query=TokensByAgentQuery, gives=TokensByAgentPayload,
        who=VIEWER, operation_id="fleet_getTokensByAgent",
    ),
]  # fmt: skip
