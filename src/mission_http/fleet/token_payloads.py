"""
Payloads of the token ledger: its entries, and the sums over them. Costs are in dollars, and exactly in nano-dollars.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from msgspec import UNSET, UnsetType

from mission_core.usage.amounts import NANOS_PER_DOLLAR
from mission_core.values import micros
from mission_http.fleet.wire import WORKSPACE_NUMBER
from mission_http.platform.shapes import Payload

if TYPE_CHECKING:
    from mission_core.usage.model import UsageEntry
    from mission_core.usage.queries import UsageTotals

NOBODY = "unknown"
"""The name that tokens without an agent are shown under."""


def dollars(nanos: int | None) -> float | None:
    """
    Convert nano-dollars to dollars; None stays None.
    """
    return None if nanos is None else nanos / NANOS_PER_DOLLAR


class TokenRecordPayload(Payload):
    id: str
    model: str
    sessionId: str
    agentName: str
    timestamp: int
    inputTokens: int
    outputTokens: int
    totalTokens: int
    cost: float | None
    operation: str
    taskId: int | None
    workspaceId: int
    provider: str | None
    cacheReadTokens: int
    cacheWriteTokens: int
    reasoningTokens: int
    inputAudioTokens: int
    outputAudioTokens: int
    unpricedTokens: int
    costNano: int | None
    listCost: float | None
    reportedCost: float | None
    subscription: bool
    batch: bool
    priceBasis: Literal["exact", "estimate", "unknown"]
    priceSource: str | None
    priceVersion: str | None
    late: bool
    reportId: str | None
    corrects: str | None
    reverses: str | None
    duration: int | UnsetType = UNSET


def record_payload(entry: UsageEntry) -> TokenRecordPayload:
    """
    Show an entry of the ledger.
    """
    return TokenRecordPayload(
        id=str(entry.id), model=entry.model, sessionId=entry.session, agentName=entry.agent_name or NOBODY,
        timestamp=micros(entry.at) // 1000, inputTokens=entry.input_tokens, outputTokens=entry.output_tokens,
        totalTokens=entry.input_tokens + entry.output_tokens, cost=dollars(entry.cost), operation=entry.operation,
        taskId=entry.task_number, workspaceId=WORKSPACE_NUMBER, provider=entry.provider,
        cacheReadTokens=entry.cache_read_tokens, cacheWriteTokens=entry.cache_write_tokens,
        reasoningTokens=entry.reasoning_tokens, inputAudioTokens=entry.input_audio_tokens,
        outputAudioTokens=entry.output_audio_tokens, unpricedTokens=entry.unpriced_tokens, costNano=entry.cost,
        listCost=dollars(entry.list_cost), reportedCost=dollars(entry.reported_cost),
        subscription=entry.subscription, batch=entry.batch, priceBasis=entry.basis.value,
        priceSource=entry.price_source, priceVersion=entry.price_version, late=entry.late, reportId=entry.report_id,
        corrects=str(entry.corrects) if entry.corrects else None,
        reverses=str(entry.reverses) if entry.reverses else None,
        duration=UNSET if entry.duration_ms is None else entry.duration_ms,
    )  # fmt: skip


class TokenSumsPayload(Payload):
    totalTokens: int
    totalCost: float | None
    requestCount: int
    avgTokensPerRequest: int
    avgCostPerRequest: float | None
    inputTokens: int
    outputTokens: int
    cacheReadTokens: int
    cacheWriteTokens: int
    reasoningTokens: int
    unpricedTokens: int
    unpricedRequests: int
    totalCostNano: int | None
    totalListCost: float | None


def sums_payload(totals: UsageTotals) -> TokenSumsPayload:
    """
    Show the sums over some entries. The mean cost is that of the requests with a known price.
    """
    cost, priced = totals.known_cost, totals.priced_requests
    return TokenSumsPayload(
        totalTokens=totals.tokens, totalCost=dollars(cost), requestCount=totals.requests,
        avgTokensPerRequest=round(totals.tokens / totals.requests) if totals.requests else 0,
        avgCostPerRequest=None if cost is None else cost / NANOS_PER_DOLLAR / priced if priced else 0,
        inputTokens=totals.input_tokens, outputTokens=totals.output_tokens, cacheReadTokens=totals.cache_read_tokens,
        cacheWriteTokens=totals.cache_write_tokens, reasoningTokens=totals.reasoning_tokens,
        unpricedTokens=totals.unpriced_tokens, unpricedRequests=totals.unpriced_requests, totalCostNano=cost,
        totalListCost=dollars(totals.known_list_cost),
    )  # fmt: skip


class TokenDayPayload(Payload):
    date: str
    cost: float | None
    tokens: int
    unpricedTokens: int


class TokenHourPayload(Payload):
    timestamp: str
    tokens: int
    cost: float | None
    requests: int
    unpricedTokens: int


class TokenListPayload(Payload):
    usage: list[TokenRecordPayload]
    total: int
    timeframe: str


class TokenStatsPayload(Payload):
    summary: TokenSumsPayload
    models: dict[str, TokenSumsPayload]
    sessions: dict[str, TokenSumsPayload]
    agents: dict[str, TokenSumsPayload]
    timeframe: str
    recordCount: int


class AgentTokensPayload(Payload):
    stats: TokenSumsPayload
    models: dict[str, TokenSumsPayload]
    sessions: list[str]
    timeline: list[TokenDayPayload]


class TokenAgentCostsPayload(Payload):
    agents: dict[str, AgentTokensPayload]
    timeframe: str
    recordCount: int


class TokenProjectPayload(Payload):
    id: int | None
    name: str | None
    slug: str | None
    ticketRef: str | None


class TaskTokensPayload(Payload):
    taskId: int
    title: str
    status: str
    priority: str
    assignedTo: str | None
    project: TokenProjectPayload
    stats: TokenSumsPayload
    models: dict[str, TokenSumsPayload]
    timeline: list[TokenDayPayload]


class TaskGroupTokensPayload(Payload):
    stats: TokenSumsPayload
    taskCount: int
    taskIds: list[int]


class TokenTaskCostsPayload(Payload):
    summary: TokenSumsPayload
    tasks: list[TaskTokensPayload]
    agents: dict[str, TaskGroupTokensPayload]
    projects: dict[str, TaskGroupTokensPayload]
    unattributed: TokenSumsPayload
    timeframe: str
    recordCount: int
    attributedRecordCount: int


class TokenTrendsPayload(Payload):
    trends: list[TokenHourPayload]
    timeframe: str


class TokenExportPayload(Payload):
    usage: list[TokenRecordPayload]
    summary: TokenSumsPayload
    models: dict[str, TokenSumsPayload]
    sessions: dict[str, TokenSumsPayload]
    total: int


class TokenRecordedPayload(Payload):
    success: bool
    record: TokenRecordPayload


class TokenResultPayload(Payload):
    status: Literal["recorded", "repeated", "refused"]
    record: TokenRecordPayload | None
    code: str | None = None
    error: str | None = None


class TokenBatchPayload(Payload):
    results: list[TokenResultPayload]
    recorded: int
    repeated: int
    refused: int


class AgentModelTokensPayload(Payload):
    model: str
    input_tokens: int
    output_tokens: int
    request_count: int
    cost: float | None
    unpriced_tokens: int


class AgentTotalsPayload(Payload):
    agent: str
    total_input_tokens: int
    total_output_tokens: int
    total_tokens: int
    total_cost: float | None
    unpriced_tokens: int
    session_count: int
    request_count: int
    last_active: str
    models: list[AgentModelTokensPayload]


class AgentTotalsSummaryPayload(Payload):
    total_cost: float | None
    total_tokens: int
    unpriced_tokens: int
    agent_count: int
    days: int


class TokensByAgentPayload(Payload):
    agents: list[AgentTotalsPayload]
    summary: AgentTotalsSummaryPayload


def iso_hour(hour: int) -> str:
    """
    Format the beginning of an hour since 1970 as ISO 8601.
    """
    return f"{datetime.fromtimestamp(hour * 3600, UTC):%Y-%m-%dT%H:00:00.000Z}"


def iso_day(slot: int, hours: int) -> str:
    """
    Format the date of a cell of so many hours.
    """
    return f"{datetime.fromtimestamp(slot * hours * 3600, UTC):%Y-%m-%d}"
