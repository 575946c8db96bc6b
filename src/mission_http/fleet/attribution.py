"""
Attribution report of one agent: its identity, activities, changes and cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.key_scopes import ATTRIBUTION
from mission_core.accounts.model import Principal
from mission_core.agents.model import AgentNotFound
from mission_core.agents.queries import AgentRow
from mission_core.ports import Ports
from mission_core.reports.agent_activity import AGENT_CREATED_KIND, ActivityEntry, AgentComment, events_by_kind
from mission_core.tasks.model import Status
from mission_core.usage.queries import UsageSum, sum_of, totals_by
from mission_core.values import EPOCH, JsonText, name_key
from mission_http.fleet.access import VIEWER
from mission_http.fleet.activities import ACTIVITY_WORDINGS
from mission_http.fleet.agent_activity import (
    ActivityAccessDenied,
    ActivityPayload,
    AgentActivityQuery,
    AgentTimeframe,
    EventPayload,
    ModelTokensPayload,
    QueryErrorTexts,
    TimeframePayload,
    TokenTotalPayload,
    events_by_type,
    requested_timeframe,
    token_sums,
    token_total,
    tokens_by_model,
)
from mission_http.fleet.token_payloads import dollars
from mission_http.fleet.wire import FleetPayload, UnixSeconds, shown_status
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.json_responses import json_response
from mission_http.platform.shapes import Computed, Fixed, Given, Of, Payload

DAY: Final = timedelta(days=1)
SECTIONS: Final = ("identity", "audit", "mutations", "cost")
INVALID_HOURS: Final = "Invalid hours. Expected integer 1..720."
ERRORS: Final = QueryErrorTexts(
    denied="Forbidden: attribution is self-scope by default. Admin can use ?privileged=1 override.",
    hours_malformed=INVALID_HOURS,
    hours_out_of_range=INVALID_HOURS,
    section_missing=f"Invalid section. Expected one or more of {','.join(SECTIONS)}.",
)
MOST_ACTIVITIES, MOST_AUDITED, MOST_MUTATIONS, MOST_COMMENTS, MOST_CHANGES = 200, 100, 100, 50, 50
ACTIVE: Final = (Status.ASSIGNED, Status.IN_PROGRESS)
MUTATING: Final = tuple(
    kind
    for kind, worded in ACTIVITY_WORDINGS.items()
    if worded.type in ("task_created", "task_updated", "task_assigned")
)


class LifetimePayload(Payload):
    tasks_total: int
    tasks_completed: int
    tasks_active: int
    comments_authored: int


def masked(session_key: str | None) -> str | None:
    return "***" if session_key else None


def json_keys(config: JsonText) -> list[str]:
    return list(msgspec.json.decode(config))


class IdentityPayload(FleetPayload[AgentRow]):
    id: Annotated[int, Of("number")]
    name: str
    role: str
    status: Annotated[str, Computed(shown_status)]
    last_seen: Annotated[UnixSeconds | None, Of("last_seen_at")]
    last_activity: Annotated[str | None, Of("activity")]
    created_at: UnixSeconds
    session_key: Annotated[Literal["***"] | None, Of("session_key", masked)]
    has_soul: Annotated[bool, Of("soul", bool)]
    config_keys: Annotated[list[str], Of("config", json_keys)]
    lifetime_stats: Annotated[LifetimePayload, Given()]


class AuditEntryPayload(FleetPayload[ActivityEntry]):
    id: Annotated[int, Of("position")]
    action: Annotated[str, Fixed("agent_self_register")]
    actor: Annotated[str, Given()]
    detail: Annotated[dict[str, Any] | None, Of("payload")]
    created_at: Annotated[UnixSeconds, Of("at")]


class AuditPayload(Payload):
    total_activities: int
    by_type: dict[str, int]
    activities: list[ActivityPayload]
    audit_log_entries: list[AuditEntryPayload]


def preview(content: str) -> str:
    return content[:100]


class AuthoredCommentPayload(FleetPayload[AgentComment]):
    id: Annotated[int, Of("number")]
    task_id: Annotated[int, Of("task")]
    content: str
    created_at: UnixSeconds
    mentions: list[str]
    task_title: Annotated[str, Of("title")]
    content_preview: Annotated[str, Of("content", preview)]


class MutationSummaryPayload(Payload):
    task_mutations_count: int
    comments_count: int
    status_changes_count: int


class MutationsPayload(Payload):
    task_mutations: list[ActivityPayload]
    comments: list[AuthoredCommentPayload]
    status_changes: list[EventPayload]
    summary: MutationSummaryPayload


class DayTokensPayload(TokenTotalPayload):
    date: str
    day_bucket: int


class CostPayload(Payload):
    by_model: list[ModelTokensPayload]
    total: TokenTotalPayload
    daily_trend: list[DayTokensPayload]


class AttributionPayload(Payload):
    agent_name: str
    timeframe: TimeframePayload
    access_scope: Literal["self", "privileged"]
    identity: IdentityPayload | UnsetType = UNSET
    audit: AuditPayload | UnsetType = UNSET
    mutations: MutationsPayload | UnsetType = UNSET
    cost: CostPayload | UnsetType = UNSET


async def attribute(request: Request) -> Response:
    """
    Report what an agent did, to the agent itself and to admins with `privileged=1`.

    The cost counts the tokens that the agent reported, from the hour in which the time begins.
    """
    look, sections = await requested_timeframe(request, SECTIONS, ERRORS)
    ports, principal = ports_of(request), principal_of(request)
    told = AttributionPayload(
        agent_name=look.agent.name,
        timeframe=TimeframePayload.of(look),
        access_scope="privileged" if look.privileged else "self",
    )
    if "identity" in sections:
        told.identity = await _identity(ports, principal, look)
    if "audit" in sections:
        told.audit = await _audit(ports, principal, look)
    if "mutations" in sections:
        told.mutations = await _mutations(ports, principal, look)
    if "cost" in sections:
        told.cost = _cost(await token_sums(ports, principal, look))
    return json_response(told)


def _cost(sums: Sequence[UsageSum]) -> CostPayload:
    days = totals_by((each.key[1] // 24, each.totals) for each in sums)
    trend = [
        DayTokensPayload(
            date=f"{EPOCH + day * DAY:%Y-%m-%d}", day_bucket=day * 86_400, input_tokens=totals.input_tokens,
            output_tokens=totals.output_tokens, requests=totals.requests,
            total_cost=dollars(totals.known_cost), unpriced_tokens=totals.unpriced_tokens,
        )
        for day, totals in sorted(days.items())
    ]  # fmt: skip
    return CostPayload(by_model=tokens_by_model(sums), total=token_total(sum_of(sums)), daily_trend=trend)


async def _identity(ports: Ports, principal: Principal, look: AgentTimeframe) -> IdentityPayload:
    row, key = look.agent, name_key(look.agent.name)
    counts = await ports.reads.tasks.count_by_status(principal, (key,))
    _, comments = await ports.reads.agent_activity.said(principal, look.id, since=look.until, limit=1)
    stats = LifetimePayload(
        tasks_total=sum(counts.values()),
        tasks_completed=counts.get((key, Status.DONE.value), 0),
        tasks_active=sum(counts.get((key, status.value), 0) for status in ACTIVE),
        comments_authored=comments,
    )
    return IdentityPayload.of(row, at=look.until, lifetime_stats=stats)


async def _audit(ports: Ports, principal: Principal, look: AgentTimeframe) -> AuditPayload:
    amounts = await ports.reads.agent_activity.event_counts(principal, look.id, since=look.since, split=EPOCH)
    entries = await ports.reads.agent_activity.entries_by(principal, look.id, since=look.since, limit=MOST_ACTIVITIES)
    by_type = events_by_type(events_by_kind(amounts))
    registered = await ports.reads.agent_activity.entries_by(
        principal, look.id, since=look.since, kinds=(AGENT_CREATED_KIND,), limit=MOST_AUDITED
    )
    return AuditPayload(
        total_activities=by_type.total(),
        by_type=by_type,
        activities=[ActivityPayload.of(entry) for entry in entries],
        audit_log_entries=[AuditEntryPayload.of(entry, actor=look.agent.name) for entry in registered],
    )


async def _mutations(ports: Ports, principal: Principal, look: AgentTimeframe) -> MutationsPayload:
    reads, since = ports.reads.agent_activity, look.since
    entries = await reads.entries_by(principal, look.id, since=since, kinds=MUTATING, limit=MOST_MUTATIONS)
    said, _ = await reads.said(principal, look.id, since=since, limit=MOST_COMMENTS)
    changes = await reads.entries_about(principal, look.id, since=since, limit=MOST_CHANGES)
    return MutationsPayload(
        task_mutations=[ActivityPayload.of(entry) for entry in entries],
        comments=[AuthoredCommentPayload.of(each) for each in said],
        status_changes=[EventPayload.of(entry) for entry in changes],
        summary=MutationSummaryPayload(
            task_mutations_count=len(entries), comments_count=len(said), status_changes_count=len(changes)
        ),
    )


ENDPOINTS = [
    Endpoint(
        "GET", "/agents/{id}/attribution", attribute, query=AgentActivityQuery, gives=AttributionPayload, who=VIEWER,
        refuses=(AgentNotFound, ActivityAccessDenied), scope=ATTRIBUTION, operation_id="fleet_getAgentAttribution",
    ),
]  # fmt: skip
