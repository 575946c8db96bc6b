"""
Search for a text in tasks, agents and activities.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Final, Literal

from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import Principal, readable_boards
from mission_core.ports import Ports
from mission_core.reports.queries import FoundAgent, FoundTask
from mission_core.reports.text_search import ELSEWHERE, ascii_lowercased, excerpt
from mission_http.fleet.access import VIEWER, is_restricted_agent
from mission_http.fleet.activities import description_of
from mission_http.fleet.errors import InvalidRequest
from mission_http.fleet.wire import MICROSECONDS_PER_SECOND, seconds_of, unset_if_none
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Length, NumberRange, Query
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Payload

ResultType = Literal[
    "task", "agent", "activity", "audit", "message", "webhook", "pipeline", "tasks", "agents", "activities", "all"
]
ALIASES: Final = {"tasks": "task", "agents": "agent", "activities": "activity", "all": None}
MIN_QUERY_LENGTH: Final = 2
MAX_RESULTS: Final = 100
MAX_SEARCHED_ENTRIES: Final = 1000
"""Number of the newest log entries that are searched as activities."""


class SearchQuery(Query):
    q: Annotated[str, Length(0, 500)] = ""
    type: ResultType | None = None
    limit: Annotated[int, NumberRange(0)] = 30


class FindPayload(Payload):
    type: str
    id: int
    title: str
    subtitle: str | UnsetType = UNSET
    created_at: int
    relevance: int
    excerpt: str | UnsetType = UNSET


class SearchPayload(Payload):
    query: str
    count: int
    results: list[FindPayload]


SearchResults = tuple[list[FindPayload], int]
"""The best matches, the best first, and the number of all matches."""


async def search(request: Request) -> Response:
    """
    Search for a text, ignoring the case of A to Z and without wildcards.

    Tasks are searched by title, description and assignee, agents by name, role and last activity, and the newest 1000
    activities by description and actor. An agent's own key finds only tasks that are assigned to it. Matches in a title
    or name come first, then the newest. `count` is the number of all matches.
    """
    query = query_of(request, SearchQuery)
    text = query.q.strip()
    if len(text) < MIN_QUERY_LENGTH:
        raise InvalidRequest(f"Query must be at least {MIN_QUERY_LENGTH} characters")
    wanted = ALIASES.get(query.type, query.type) if query.type else None
    found: list[FindPayload] = []
    limit, count = min(query.limit, MAX_RESULTS), 0
    for kind, find in SEARCH_FUNCTIONS.items():
        if wanted in (None, kind):
            rows, total = await find(ports_of(request), principal_of(request), text, max(limit, 1))
            found += rows
            count += total
    found.sort(key=lambda each: (-each.relevance, -each.created_at))
    return json_response(SearchPayload(query=text, count=count, results=found[:limit]))


async def find_tasks(ports: Ports, principal: Principal, text: str, limit: int) -> SearchResults:
    """
    Search tasks. An agent's key below admin finds only tasks that are assigned to it.
    """
    own = principal.name if is_restricted_agent(principal) else None
    found = await ports.reads.reports.find_tasks(principal, text, limit=limit, assignee=own)
    return [
        _result("task", row, row.title, " · ".join(filter(None, (row.status, row.assignee))), row.description, text)
        for row in found.rows
    ], found.total


async def find_agents(ports: Ports, principal: Principal, text: str, limit: int) -> SearchResults:
    """
    Search agents.
    """
    found = await ports.reads.reports.find_agents(principal, text, limit=limit)
    return [_result("agent", row, row.name, row.role, row.activity, text) for row in found.rows], found.total


def _result(
    type: str, row: FoundTask | FoundAgent, title: str, subtitle: str, searched: str | None, text: str
) -> FindPayload:
    return FindPayload(
        type=type, id=row.number, title=title, subtitle=subtitle, created_at=row.created_at // MICROSECONDS_PER_SECOND,
        relevance=row.relevance, excerpt=unset_if_none(excerpt(searched, text)),
    )  # fmt: skip


async def find_activities(ports: Ports, principal: Principal, text: str, limit: int) -> SearchResults:
    """
    Search activities in the newest log entries. They cover all boards, so callers with access to some boards only, and
    agents' keys below admin, find none.
    """
    if readable_boards(principal) is not None or is_restricted_agent(principal):
        return [], 0
    organization, wanted = principal.organization, ascii_lowercased(text)
    head = await ports.log.head(organization)
    entries = await ports.log.read(
        organization, after=max(head.position - MAX_SEARCHED_ENTRIES, 0), limit=MAX_SEARCHED_ENTRIES
    )
    found = []
    for entry in reversed(entries):
        description = description_of(entry.kind, entry.payload)
        if wanted in ascii_lowercased(description) or wanted in ascii_lowercased(entry.actor.name):
            found.append((entry, description))
    return [
        FindPayload(
            type="activity",
            id=entry.position,
            title=description,
            subtitle=entry.actor.name,
            created_at=seconds_of(entry.at),
            relevance=ELSEWHERE,
        )
        for entry, description in found[:limit]
    ], len(found)


SEARCH_FUNCTIONS: Final[Mapping[str, Callable[[Ports, Principal, str, int], Awaitable[SearchResults]]]] = {
    "task": find_tasks,
    "agent": find_agents,
    "activity": find_activities,
}
"""Search function of each type. Other types are not stored, so searching them finds nothing."""

ENDPOINTS = [
    Endpoint(
        "GET", "/search", search, query=SearchQuery, gives=SearchPayload, who=VIEWER, limits=("heavy",),
        operation_id="fleet_search",
    ),
]  # fmt: skip
