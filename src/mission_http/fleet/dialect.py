"""
The Fleet API: all its operations, error formats, headers and document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mission_http.fleet import (
    access_requests,
    agent_edits,
    agents,
    attribution,
    branches,
    comments,
    connect,
    diagnostics,
    heartbeats,
    hosted,
    keys,
    leases,
    memories,
    organization_settings,
    projects,
    queue,
    search,
    staff,
    users,
    workspaces,
)
from mission_http.fleet.access import SECURITY_SCHEMES, authenticator, edge_of, label_of
from mission_http.fleet.errors import FIXED, STATUSES, OriginForeign, render
from mission_http.fleet.google import google_endpoints
from mission_http.fleet.index import index_endpoint
from mission_http.fleet.payloads import ErrorPayload
from mission_http.fleet.reports import report_endpoints
from mission_http.fleet.server_keys import server_key_endpoints
from mission_http.fleet.setup import setup_endpoints
from mission_http.fleet.signing_in import signing_in_endpoints
from mission_http.fleet.souls import soul_endpoints
from mission_http.fleet.status import status_endpoints
from mission_http.fleet.tasks import task_endpoints
from mission_http.fleet.wire import CONVERTER, QUERY_CONVERTER
from mission_http.platform.endpoints import Dialect, Manners, Paperwork
from mission_http.platform.sessions import SessionCookies

if TYPE_CHECKING:
    from mission_http.settings import Settings

VERSION: Final = "1.3.0"
HEADERS: Final = {
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'self'; connect-src 'self' ws: wss: http://127.0.0.1:* http://localhost:*; "
        "font-src 'self'; frame-src 'self'; img-src 'self' data: blob:; worker-src 'self' blob:; "
        "script-src 'self' 'strict-dynamic' blob:; style-src 'self' 'unsafe-inline'; object-src 'none'; "
        "frame-ancestors 'none'"
    ),
}
NUMBER: Final = {"type": "integer"}
NUMBER_OR_NAME: Final = {"anyOf": [NUMBER, {"type": "string"}]}
TAGS: Final = (
    "Tasks", "Projects", "Workspaces", "Agents", "Tokens", "Connections", "Auth", "Users", "Settings",
    "Search", "System", "Docs", "Discovery",
)  # fmt: skip


def fleet_dialect(settings: Settings) -> Dialect:
    """
    Build the Fleet dialect, which is mounted at `/api`.
    """
    cookies = SessionCookies.under(settings.key_for("sessions"), settings.fronting)
    endpoints = [
        *signing_in_endpoints(cookies),
        *google_endpoints(settings, cookies),
        *access_requests.ENDPOINTS,
        *users.ENDPOINTS,
        *setup_endpoints(settings, cookies),
        *agents.ENDPOINTS,
        *heartbeats.ENDPOINTS,
        *connect.ENDPOINTS,
        *keys.ENDPOINTS,
        *server_key_endpoints(settings),
        *agent_edits.ENDPOINTS,
        *soul_endpoints(settings),
        *memories.ENDPOINTS,
        *hosted.ENDPOINTS,
        *attribution.ENDPOINTS,
        *diagnostics.ENDPOINTS,
        *task_endpoints(settings),
        *comments.ENDPOINTS,
        *branches.ENDPOINTS,
        *leases.ENDPOINTS,
        *queue.ENDPOINTS,
        *projects.ENDPOINTS,
        *staff.ENDPOINTS,
        *workspaces.ENDPOINTS,
        *organization_settings.ENDPOINTS,
        *report_endpoints(settings),
        *search.ENDPOINTS,
        index_endpoint(),
        *status_endpoints(settings),
    ]
    return Dialect(
        name="Fleet",
        prefix="/api",
        endpoints=endpoints,
        converter=CONVERTER,
        query_converter=QUERY_CONVERTER,
        authenticate=authenticator(cookies, settings.identities.proxy),
        render=render,
        reserved=tuple(f"/agents/{name}" for name in ("evals", "optimize", "sync")),
        statuses=STATUSES,
        edge=edge_of(settings),
        refuses_changes=(OriginForeign,),
        limit="general",
        agent_of=label_of,
        manners=Manners(answers_options=True),
        headers=HEADERS,
        paperwork=Paperwork(
            title="Mission Control API",
            version=VERSION,
            description="Agents, tasks and projects, with integers as ids and Unix seconds as times.",
            tags=TAGS,
            schema_name=_component,
            path_schemas={
                **dict.fromkeys(("tasks/id", "projects/id", "workspaces/id"), NUMBER), "agents/id": NUMBER_OR_NAME,
            },
            security_schemes=SECURITY_SCHEMES,
            error=ErrorPayload,
            codes=tuple(FIXED.values()),
        ),
    )


def _component(kind: Any) -> str:
    return f"Fleet{kind.__name__.removesuffix('Payload')}"
