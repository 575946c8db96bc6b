"""
The Fleet API: all its operations, error formats, headers and document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mission_http.fleet.access import SECURITY_SCHEMES, agent_name_header_of, authenticator, credential_precheck
from mission_http.fleet.error_payloads import ErrorPayload
from mission_http.fleet.errors import FIXED_CODES, RUN_PATHS, STATUSES, OriginMismatch, render_error
from mission_http.fleet.field_descriptions import FIELDS
from mission_http.fleet.wire import CONVERTER, QUERY_CONVERTER
from mission_http.platform.endpoints import Dialect, EndpointGroup, HttpOptions, OpenApiMetadata
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
    "Tasks", "Projects", "Workspaces", "Agents", "Tokens", "Runs", "Chat", "Notifications", "Events", "Connections",
    "Auth", "Users", "Settings", "Activities", "Search", "System", "Docs", "Discovery",
)  # fmt: skip


def fleet_dialect(settings: Settings) -> Dialect:
    """
    Build the Fleet dialect, which is mounted at `/api`.
    """
    cookies = SessionCookies.signed_with(settings.key_for("sessions"), settings.network)
    endpoints = [
        _group("sign_in:sign_in_endpoints", "/auth/login", "/auth/logout", "/auth/me", tag="Auth", given=(cookies,)),
        _group("google_sign_in:google_endpoints", "/auth/google", tag="Auth", given=(settings, cookies)),
        _group("access_requests:ENDPOINTS", "/auth/access-requests", tag="Users"),
        _group("users:ENDPOINTS", "/auth/users", tag="Users"),
        _group("initial_setup:setup_endpoints", "/setup", tag="Auth", given=(settings, cookies)),
        _group("agents:ENDPOINTS", "/agents", tag="Agents"),
        _group("agent_heartbeats:ENDPOINTS", "/agents/{id}/heartbeat", tag="Agents"),
        _group("tool_connections:ENDPOINTS", "/connect", tag="Connections"),
        _group("agent_keys:ENDPOINTS", "/agents/{id}/keys", tag="Agents"),
        _group("server_keys:server_key_endpoints", "/tokens/rotate", tag="Tokens", given=(settings,)),
        _group("token_usage:ENDPOINTS", "/tokens", tag="Tokens"),
        _group("budgets:ENDPOINTS", "/budgets", tag="Tokens"),
        _group("prices:ENDPOINTS", "/prices", tag="Tokens"),
        _group("event_stream:event_stream_endpoints", "/events", "/v1/runs/stream", given=(settings,)),
        _group("reported_runs:ENDPOINTS", "/v1/runs", "/v1/evals", tag="Runs"),
        _group("agent_edits:ENDPOINTS", "/agents", tag="Agents"),
        _group("souls:soul_endpoints", "/agents/{id}/soul", tag="Agents", given=(settings,)),
        _group("working_memory:ENDPOINTS", "/agents/{id}/memory", tag="Agents"),
        _group(
            "host_operations:ENDPOINTS", "/agents/message", "/agents/{id}/files", "/agents/{id}/wake", tag="Agents"
        ),
        _group(
            "chat:ENDPOINTS", "/agents/comms", "/chat/conversations", "/chat/messages", "/chat/messages/{id}",
            "/chat/session-prefs", tag="Chat",
        ),
        _group("notifications:ENDPOINTS", "/notifications", "/notifications/deliver", tag="Notifications"),
        _group("attribution:ENDPOINTS", "/agents/{id}/attribution", tag="Agents"),
        _group("diagnostics:ENDPOINTS", "/agents/{id}/diagnostics", tag="Agents"),
        _group("tasks:task_endpoints", "/tasks", tag="Tasks", given=(settings,)),
        _group("comments:ENDPOINTS", "/mentions", "/tasks/{id}/broadcast", "/tasks/{id}/comments", tag="Tasks"),
        _group("github_branches:ENDPOINTS", "/tasks/{id}/branch", tag="Tasks"),
        _group(
            "leases:ENDPOINTS", "/tasks/claim",
            *(f"/tasks/{{id}}/{each}" for each in (
                "adopt", "claim", "complete", "explain", "fail", "lease", "orders", "release", "runs",
            )),
            tag="Tasks",
        ),
        _group("task_queue:ENDPOINTS", "/tasks/queue", tag="Tasks"),
        _group("projects:ENDPOINTS", "/projects", tag="Projects"),
        _group("project_assignments:ENDPOINTS", "/projects/{id}", tag="Projects"),
        _group("workspaces:ENDPOINTS", "/workspaces", tag="Workspaces"),
        _group("organization_settings:ENDPOINTS", "/settings", tag="Settings"),
        _group(
            "reports:report_endpoints", "/tasks/outcomes", "/tasks/regression", "/workload", given=(settings,)
        ),
        _group("activity_list:ENDPOINTS", "/activities"),
        _group("audit_log:ENDPOINTS", "/audit"),
        _group("data_export:ENDPOINTS", "/export"),
        _group("search:ENDPOINTS", "/search", tag="Search"),
        _group("api_index:index_endpoints", "/index", tag="Discovery"),
        _group("knowledge_files:ENDPOINTS", "/docs/tree", "/docs/search", "/docs/content"),
        _group("system_status:status_endpoints", "/health", "/status", "/docs", given=(settings,)),
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
        also=RUN_PATHS,
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
                **dict.fromkeys(
                    ("tasks/id", "projects/id", "workspaces/id", "budgets/id", "prices/id", "messages/id"), NUMBER
                ),
                "agents/id": NUMBER_OR_NAME,
            },
            field_descriptions=FIELDS,
            examples=examples_in("mission_http.fleet"),
            security_schemes=SECURITY_SCHEMES,
            error=ErrorPayload,
            codes=tuple(FIXED_CODES.values()),
        ),
    )


def _group(source: str, *paths: str, tag: str | None = None, given: tuple[Any, ...] = ()) -> EndpointGroup:
    return EndpointGroup(f"mission_http.fleet.{source}", paths, given, tag)


def _component_name(kind: Any) -> str:
    return f"Fleet{kind.__name__.removesuffix('Payload')}"
