"""
The activities of the Fleet API: the entries of the log as a feed, and their numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import SystemPrincipal
from mission_core.events.readers import position_before
from mission_core.ids import AgentId
from mission_core.reports.activity_feed import FeedFilter, FeedRow
from mission_core.reports.hourly_counters import HOUR
from mission_core.values import PageRequest, moment
from mission_http.fleet.access import VIEWER
from mission_http.fleet.activities import ACTIVITY_WORDINGS, description_of, wording_of
from mission_http.fleet.agent_activity import activity_type, entity_type
from mission_http.fleet.diagnostics import TypeCountPayload
from mission_http.fleet.wire import MAX_UNIX_SECONDS, FleetPayload, UnixSeconds, moment_of, seconds_of, shown_status
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import NumberRange, Query
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Computed, Of, Payload

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ports import Ports

MOST_ACTIVITIES: Final = 500
MOST_ACTORS: Final = 10
LONGEST_SPAN_HOURS: Final = 24 * 366


async def positions_between(
    ports: Ports, principal: Principal, since: int | None, until: int | None
) -> tuple[int | None, int | None]:
    """
    Return the position before the first entry at or after *since*, and that of the last entry at or before *until*,
    which are Unix seconds. None stands for no limit.
    """
    limits = (since, None if until is None else until + 1)
    first, last = [
        None if each is None
        else await position_before(ports.log, principal.organization, moment_of(min(each, MAX_UNIX_SECONDS)))
        for each in limits
    ]  # fmt: skip
    return first, last


def entity_number(row: FeedRow) -> int | None:
    """
    The number of what the activity is about.
    """
    told: dict[str, Any] = {} if row.payload is None else msgspec.json.decode(row.payload)
    number = row.task_number or row.agent_number or told.get("number")
    return number if isinstance(number, int) else None


async def agent_statuses_of(ports: Ports, principal: Principal, rows: Sequence[FeedRow]) -> Mapping[bytes, str]:
    """
    Read the statuses of the agents that activities are about, by the agents' ids.
    """
    ids = {AgentId(UUID(bytes=row.subject)) for row in rows if row.agent_number is not None}
    everyone, now = SystemPrincipal(organization=principal.organization), ports.clock.now()
    agents = await ports.reads.agents.several(everyone, ids) if ids else ()
    return {agent.id: shown_status(agent, at=now) for agent in agents}


def entity_of(row: FeedRow, agent_statuses: Mapping[bytes, str]) -> dict[str, Any] | None:
    """
    Show the task or the agent that the activity is about, if it still exists.
    """
    if row.task_number is not None:
        return {"type": "task", "id": row.task_number, "title": row.task_title, "status": row.task_status}
    if row.agent_number is not None:
        return {
            "type": "agent", "id": row.agent_number, "name": row.agent_name, "role": row.agent_role,
            "status": agent_statuses.get(row.subject),
        }  # fmt: skip
    return None


def feed_description(row: FeedRow) -> str:
    """
    Describe the activity.
    """
    return description_of(row.kind, row.payload, title=row.task_title)


class FeedEventPayload(FleetPayload[FeedRow]):
    id: Annotated[int, Of("position")]
    type: Annotated[str, Of("kind", activity_type)]
    entity_type: Annotated[str, Of("kind", entity_type)]
    entity_id: Annotated[int | None, Computed(entity_number)]
    actor: Annotated[str, Of("actor_name")]
    description: Annotated[str, Computed(feed_description)]
    data: Annotated[dict[str, Any] | None, Of("payload")]
    created_at: Annotated[UnixSeconds, Of("at")]


class FeedItemPayload(FeedEventPayload):
    entity: Annotated[dict[str, Any] | None, Computed(entity_of)]


class ActivityListPayload(Payload):
    activities: list[FeedItemPayload]
    total: int
    hasMore: bool


class ActorCountPayload(Payload):
    actor: str
    activity_count: int


class HourCountPayload(Payload):
    timestamp: int
    count: int
    hour: str


class ActivityStatsPayload(Payload):
    timeframe: str
    activityByType: list[TypeCountPayload]
    topActors: list[ActorCountPayload]
    timeline: list[HourCountPayload]


class ActivityListQuery(Query):
    type: str | None = None
    actor: str | None = None
    entity_type: str | None = None
    since: Annotated[int | None, NumberRange(0, MAX_UNIX_SECONDS)] = None
    limit: Annotated[int, NumberRange(0)] = 50
    offset: Annotated[int, NumberRange(0)] = 0
    after: Annotated[int | None, NumberRange(0)] = None
    stats: str | None = None
    hours: Annotated[int, NumberRange(1, LONGEST_SPAN_HOURS)] = 24


async def list_activities(request: Request) -> Response:
    """
    List the activities, newest first, or with `stats` their numbers in the last `hours`.

    `type` takes several types, separated by commas. Admins of all boards see everything, an agent its own activities,
    and others what concerns the boards that they may see.
    """
    query = query_of(request, ActivityListQuery)
    if query.stats is not None:
        return json_response(await _stats(request, query.hours))
    ports, principal = ports_of(request), principal_of(request)
    since = None if query.since is None else query.since + 1
    beyond, _ = await positions_between(ports, principal, since, None)
    limit = min(query.limit, MOST_ACTIVITIES)
    page = PageRequest(limit=limit + 1, offset=query.offset, after=query.after)  # one more tells whether there are more
    wanted = FeedFilter(kinds=_kinds_of(query), actor=query.actor or None, beyond=beyond)
    found = await ports.reads.activity_feed.page(principal, wanted, page)
    rows = found.rows[:limit]
    statuses = await agent_statuses_of(ports, principal, rows)
    return json_response(
        ActivityListPayload(
            activities=[FeedItemPayload.of(row, agent_statuses=statuses) for row in rows],
            total=found.total,
            hasMore=len(found.rows) > limit,
        )
    )


def _kinds_of(query: ActivityListQuery) -> tuple[str, ...] | None:
    """
    The kinds of events that have the named types and are about the named entity; None for all.
    """
    types = {each.strip() for each in (query.type or "").split(",")} - {""}
    if not types and not query.entity_type:
        return None
    return tuple(
        kind
        for kind, wording in ACTIVITY_WORDINGS.items()
        if (not types or wording.type in types) and query.entity_type in (None, "", wording.entity)
    )


async def _stats(request: Request, hours: int) -> ActivityStatsPayload:
    ports, principal = ports_of(request), principal_of(request)
    since = ports.clock.now() - timedelta(hours=hours)
    beyond = await position_before(ports.log, principal.organization, since)
    types, actors, by_hour = Counter[str](), Counter[str](), Counter[int]()
    for each in await ports.reads.activity_feed.counts(principal, FeedFilter(beyond=beyond)):
        types[wording_of(each.kind).type] += each.amount
        actors[each.actor] += each.amount
        by_hour[each.hour] += each.amount
    return ActivityStatsPayload(
        timeframe=f"{hours} hours",
        activityByType=[TypeCountPayload(type=type, count=count) for type, count in _most_first(types)],
        topActors=[
            ActorCountPayload(actor=name, activity_count=count) for name, count in _most_first(actors)[:MOST_ACTORS]
        ],
        timeline=[
            HourCountPayload(timestamp=seconds_of(at := moment(hour * HOUR)), count=count, hour=at.isoformat())
            for hour, count in sorted(by_hour.items())
        ],
    )


def _most_first(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))


ENDPOINTS = [
    Endpoint(
        "GET", "/activities", list_activities, query=ActivityListQuery,
        gives=ActivityListPayload | ActivityStatsPayload, who=VIEWER, tags=("Activities",),
        operation_id="fleet_listActivities",
    ),
]  # fmt: skip
