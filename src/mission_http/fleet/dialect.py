"""
The Fleet API: all its operations, error formats, headers and document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mission_http.fleet import (
    access_requests,
    agent_edits,
    agent_heartbeats,
    agent_keys,
    agents,
    attribution,
    comments,
    diagnostics,
    github_branches,
    host_operations,
    leases,
    organization_settings,
    project_assignments,
    projects,
    search,
    task_queue,
    tool_connections,
    users,
    working_memory,
    workspaces,
)
from mission_http.fleet.access import SECURITY_SCHEMES, agent_name_header_of, authenticator, credential_precheck
from mission_http.fleet.api_index import index_endpoint
from mission_http.fleet.errors import FIXED_CODES, STATUSES, OriginMismatch, render_error
from mission_http.fleet.field_descriptions import FIELDS
from mission_http.fleet.google_sign_in import google_endpoints
from mission_http.fleet.initial_setup import setup_endpoints
from mission_http.fleet.payloads import ErrorPayload
from mission_http.fleet.reports import report_endpoints
from mission_http.fleet.server_keys import server_key_endpoints
from mission_http.fleet.sign_in import sign_in_endpoints
from mission_http.fleet.souls import soul_endpoints
from mission_http.fleet.system_status import status_endpoints
from mission_http.fleet.tasks import task_endpoints
from mission_http.fleet.wire import CONVERTER, QUERY_CONVERTER
from mission_http.platform.endpoints import Dialect, HttpOptions, OpenApiMetadata, tagged
from mission_http.platform.examples import examples_in
from mission_http.platform.session_cookies import SessionCookies

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
    cookies = SessionCookies.signed_with(settings.key_for("sessions"), settings.network)
    endpoints = [
        *tagged("Auth", sign_in_endpoints(cookies), google_endpoints(settings, cookies)),
        *tagged("Users", access_requests.ENDPOINTS, users.ENDPOINTS),
        *tagged("Auth", setup_endpoints(settings, cookies)),
        *tagged("Agents", agents.ENDPOINTS, agent_heartbeats.ENDPOINTS),
        *tagged("Connections", tool_connections.ENDPOINTS),
        *tagged("Agents", agent_keys.ENDPOINTS),
        *tagged("Tokens", server_key_endpoints(settings)),
        *tagged(
            "Agents", agent_edits.ENDPOINTS, soul_endpoints(settings), working_memory.ENDPOINTS,
            host_operations.ENDPOINTS, attribution.ENDPOINTS, diagnostics.ENDPOINTS,
        ),
        *tagged("Tasks", task_endpoints(settings), comments.ENDPOINTS, github_branches.ENDPOINTS, leases.ENDPOINTS),
        *tagged("Tasks", task_queue.ENDPOINTS),
        *tagged("Projects", projects.ENDPOINTS, project_assignments.ENDPOINTS),
        *tagged("Workspaces", workspaces.ENDPOINTS),
        *tagged("Settings", organization_settings.ENDPOINTS),
        *report_endpoints(settings),
        *tagged("Search", search.ENDPOINTS),
        *tagged("Discovery", [index_endpoint()]),
        *status_endpoints(settings),
    ]  # fmt: skip
    return Dialect(
        name="Fleet",
        prefix="/api",
        endpoints=endpoints,
        converter=CONVERTER,
        query_converter=QUERY_CONVERTER,
        authenticate=authenticator(cookies, settings.identity_providers.proxy),
        render=render_error,
        reserved=tuple(f"/agents/{name}" for name in ("evals", "optimize", "sync")),
        statuses=STATUSES,
        precheck=credential_precheck(settings),
        refuses_changes=(OriginMismatch,),
        limit="general",
        agent_of=agent_name_header_of,
        http_options=HttpOptions(answers_options=True),
        headers=HEADERS,
        openapi_metadata=OpenApiMetadata(
            title="Mission Control API",
            version=VERSION,
            description="Agents, tasks and projects, with integers as ids and Unix seconds as times.",
            tags=TAGS,
            schema_name=_component_name,
            path_schemas={
                **dict.fromkeys(("tasks/id", "projects/id", "workspaces/id"), NUMBER), "agents/id": NUMBER_OR_NAME,
            },
            field_descriptions=FIELDS,
            examples=examples_in("mission_http.fleet"),
            security_schemes=SECURITY_SCHEMES,
            error=ErrorPayload,
            codes=tuple(FIXED_CODES.values()),
        ),
    )


def _component_name(kind: Any) -> str:
    return f"Fleet{kind.__name__.removesuffix('Payload')}"
