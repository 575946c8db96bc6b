"""
Access rule, query parameters and payloads that the attribution and diagnostics reports of an agent share.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

from starlette.requests import Request

from mission_core.accounts.model import AgentPrincipal, Role
from mission_core.boards.model import BoardDenied
from mission_core.errors import Denied
from mission_core.ids import AgentId
from mission_core.lazy_attrs import define, frozen
from mission_core.reports.agent_activity import ActivityEntry
from mission_core.reports.hourly_counters import hour_of
from mission_core.usage.queries import UsageFilter, UsageSum, UsageTotals, UsageWindow, sums_by
from mission_core.values import name_key
from mission_http.fleet.access import agent_name_header_of
from mission_http.fleet.activities import description_of, wording_of
from mission_http.fleet.errors import InvalidRequest
from mission_http.fleet.path_parameters import strict_agent_in
from mission_http.fleet.token_payloads import dollars
from mission_http.fleet.wire import FleetPayload, UnixSeconds
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Query
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Computed, Of, Payload

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.agents.queries import AgentRow
    from mission_core.ports import Ports

MAX_HOURS: Final = 720
NUMBERED_ENTITIES: Final = ("task", "agent")
"""Entity types whose number is shown as `entity_id`."""


class AgentActivityQuery(Query):
    """
    Query of a report on one agent: the hours it covers, and its sections, separated by commas.
    """

    hours: str | None = None
    section: str | None = None
    privileged: str | None = None


@define(repr=False)
class ActivityAccessDenied(Denied):
    """
    A report on an agent is for the agent itself, and for admins with `privileged=1`.
    """

    code = "not_your_business"

    text: str

    says = "{self.text}"


@frozen
class QueryErrorTexts:
    """
    Error texts of an operation for a caller without access, and for an invalid query.
    """

    denied: str
    hours_malformed: str
    hours_out_of_range: str
    section_missing: str


@frozen(kw_only=True)
class AgentTimeframe:
    """
    An agent, and the timeframe of a report on it.
    """

    agent: AgentRow
    privileged: bool
    hours: int
    until: datetime

    @property
    def id(self) -> AgentId:
        return AgentId(UUID(bytes=self.agent.id))

    @property
    def since(self) -> datetime:
        return self.until - timedelta(hours=self.hours)


class TimeframePayload(FleetPayload[AgentTimeframe]):
    hours: int
    since: UnixSeconds
    until: UnixSeconds


async def requested_timeframe(
    request: Request, known: Sequence[str], errors: QueryErrorTexts
) -> tuple[AgentTimeframe, frozenset[str]]:
    """
    Read the agent in the path, the timeframe of the query, and its sections.

    Raises:
        AgentNotFound: If there is no such agent.
        ActivityAccessDenied: If the caller may not see the report.
        InvalidRequest: If the hours or the sections are invalid.
    """
    query = query_of(request, AgentActivityQuery)
    agent, privileged = await _agent_with_access(request, privileged=query.privileged == "1", refusal=errors.denied)
    hours, sections = _hours_of(query.hours, errors), _sections_of(query.section, known, errors)
    until = ports_of(request).clock.now()
    return AgentTimeframe(agent=agent, privileged=privileged, hours=hours, until=until), sections


async def _agent_with_access(request: Request, *, privileged: bool, refusal: str) -> tuple[AgentRow, bool]:
    """
    Read the agent in the path, and whether the caller needs the admin privilege to see its report.

    Raises:
        AgentNotFound: If there is none.
        ActivityAccessDenied: If the caller may not see the report.
    """
    principal = principal_of(request)
    try:
        row = await ports_of(request).reads.agents.get(principal, strict_agent_in(request))
    except BoardDenied:
        raise ActivityAccessDenied(refusal) from None
    if isinstance(principal, AgentPrincipal) and principal.agent.bytes == row.id:
        return row, False
    admin = principal.role is Role.ADMIN
    names = [] if isinstance(principal, AgentPrincipal) else [principal.name]
    if admin:  # the header grants nothing: an admin may see every agent
        names.append(agent_name_header_of(request) or "")
    if name_key(row.name) in map(name_key, names):
        return row, False
    if admin and privileged:
        return row, True
    raise ActivityAccessDenied(refusal)


def _hours_of(text: str | None, errors: QueryErrorTexts) -> int:
    """
    Parse the hours of a query; 24 by default.

    Raises:
        InvalidRequest: If the text is no number from 1 to 720.
    """
    if not text:
        return 24
    if not re.fullmatch(r"\d+", text, re.ASCII):
        raise InvalidRequest(errors.hours_malformed)
    hours = int(text[:9])
    if not 1 <= hours <= MAX_HOURS:
        raise InvalidRequest(errors.hours_out_of_range)
    return hours


def _sections_of(text: str | None, known: Sequence[str], errors: QueryErrorTexts) -> frozenset[str]:
    """
    Parse the sections of a query; all of them by default.

    Raises:
        InvalidRequest: If the text names an unknown section, or none.
    """
    if not text:
        return frozenset(known)
    named = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in named if name not in known]
    if unknown:
        raise InvalidRequest(f"Invalid section value(s): {', '.join(unknown)}")
    if not named:
        raise InvalidRequest(errors.section_missing)
    return frozenset(named)


def activity_type(kind: str) -> str:
    return wording_of(kind).type


def events_by_type(kinds: Counter[str]) -> Counter[str]:
    """
    Sum the number of events by activity type.
    """
    types: Counter[str] = Counter()
    for kind, amount in sorted(kinds.items()):
        types[activity_type(kind)] += amount
    return types


def entity_type(kind: str) -> str:
    return wording_of(kind).entity


def entity_number(entry: ActivityEntry) -> int | None:
    return entry.number if entity_type(entry.kind) in NUMBERED_ENTITIES else None


def entry_description(entry: ActivityEntry) -> str:
    return description_of(entry.kind, entry.payload, title=entry.title)


class EventPayload(FleetPayload[ActivityEntry]):
    id: Annotated[int, Of("position")]
    type: Annotated[str, Of("kind", activity_type)]
    description: Annotated[str, Computed(entry_description)]
    data: Annotated[dict[str, Any] | None, Of("payload")]
    created_at: Annotated[UnixSeconds, Of("at")]


class ActivityPayload(EventPayload):
    entity_type: Annotated[str, Of("kind", entity_type)]
    entity_id: Annotated[int | None, Computed(entity_number)]


class TokenTotalPayload(Payload):
    input_tokens: int
    output_tokens: int
    requests: int
    total_cost: float | None
    unpriced_tokens: int


class ModelTokensPayload(Payload):
    model: str
    input_tokens: int
    output_tokens: int
    request_count: int
    total_cost: float | None
    unpriced_tokens: int


async def token_sums(ports: Ports, principal: Principal, look: AgentTimeframe) -> list[UsageSum]:
    """
    Read the sums of the agent's tokens by model and hour, from the hour in which the time begins.
    """
    window = UsageWindow(hours=1, since=hour_of(look.since))
    return await ports.reads.usage.sums(principal, window, ("model", "slot"), UsageFilter(agent=look.id))


def token_total(totals: UsageTotals) -> TokenTotalPayload:
    """
    Show sums of tokens.
    """
    return TokenTotalPayload(
        input_tokens=totals.input_tokens, output_tokens=totals.output_tokens, requests=totals.requests,
        total_cost=dollars(totals.known_cost), unpriced_tokens=totals.unpriced_tokens,
    )  # fmt: skip


def tokens_by_model(sums: Sequence[UsageSum]) -> list[ModelTokensPayload]:
    """
    Show the sums by model, most tokens first.
    """
    found = sorted(sums_by(sums, 0).items(), key=lambda each: (-each[1].tokens, each[0]))
    return [
        ModelTokensPayload(
            model=model, input_tokens=totals.input_tokens, output_tokens=totals.output_tokens,
            request_count=totals.requests, total_cost=dollars(totals.known_cost),
            unpriced_tokens=totals.unpriced_tokens,
        )
        for model, totals in found
    ]  # fmt: skip
