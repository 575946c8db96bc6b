"""
The declaration of the Boards dialect for the platform.
"""

from __future__ import annotations

from typing import Any, Final, get_args, get_origin

from mission_core.accounts.identity_claims import SigningKeysUnavailable
from mission_core.accounts.user_provisioning import ClientCredentialsRefused
from mission_core.agents.member_provisioning import UserNotApproved
from mission_http.boards import health
from mission_http.boards.access import authenticate
from mission_http.boards.card_cache import CardCache
from mission_http.boards.error_payloads import BlockedTaskError, HTTPValidationError, LLMErrorResponse
from mission_http.boards.errors import STATUSES, render
from mission_http.boards.field_descriptions import FIELDS
from mission_http.boards.wire import CONVERTER, JsonObject
from mission_http.platform.endpoints import Dialect, Endpoint, EndpointGroup, HttpOptions, OpenApiMetadata
from mission_http.platform.examples import examples_in
from mission_http.settings import Settings

TAGS: Final = (
    "auth", "health", "agents", "activity", "gateways", "metrics", "organizations", "souls-directory", "skills",
    "board-groups", "board-group-memory", "boards", "board-memory", "board-webhooks", "board-onboarding", "approvals",
    "tasks", "custom-fields", "tags", "users", "agent", "agent-lead", "agent-worker", "agent-main",
    "usage",
)  # fmt: skip
UUIDS: Final = (
    "task_id", "tag_id", "group_id", "webhook_id", "payload_id", "member_id", "invite_id", "gateway_id", "usage_id",
    "budget_id", "price_id", "task_custom_field_definition_id",
)  # fmt: skip
"""The path parameters that the document declares as UUIDs; all others are strings."""
RESERVED: Final = ("/gateways/commands", "/gateways/sessions")
LEASE_OPERATIONS: Final = ("adopt", "claim", "complete", "explain", "fail", "lease", "orders", "release", "runs")
UUID_SCHEMA: Final = {"type": "string", "format": "uuid"}


def boards_dialect(settings: Settings) -> Dialect:
    """
    The Boards dialect with all its operations.
    """
    approval_cards = CardCache()
    endpoints: list[Endpoint | EndpointGroup] = [
        *health.ENDPOINTS,
        _group("own_profile:ENDPOINTS", "/auth/bootstrap", "/users/me"),
        _group("organizations:ENDPOINTS", "/organizations"),
        _group("members:ENDPOINTS", "/organizations/me/member", "/organizations/me/members"),
        _group("invites:ENDPOINTS", "/organizations/invites", "/organizations/me/invites"),
        _group("boards:ENDPOINTS", "/boards"),
        _group("groups:ENDPOINTS", "/board-groups"),
        _group(
            "snapshots:snapshot_endpoints", "/boards/{board_id}/snapshot", "/boards/{board_id}/group-snapshot",
            "/board-groups/{group_id}/snapshot", given=(approval_cards,),
        ),
        _group("activity:ENDPOINTS", "/activity"),
        _group(
            "streams:stream_endpoints", "/activity/task-comments/stream", "/agents/stream",
            "/board-groups/{group_id}/memory/stream",
            *(f"/boards/{{board_id}}/{each}/stream" for each in ("approvals", "group-memory", "memory", "tasks")),
            given=(settings,),
        ),
        _group("tasks:ENDPOINTS", "/boards/{board_id}/tasks"),
        _group("comments:ENDPOINTS", "/boards/{board_id}/tasks/{task_id}/comments"),
        _group(
            "board_memory:ENDPOINTS", "/boards/{board_id}/memory", "/boards/{board_id}/group-memory",
            "/board-groups/{group_id}/memory",
        ),
        _group(
            "webhooks:webhook_endpoints", "/boards/{board_id}/webhooks", "/agent/boards/{board_id}/webhooks",
            given=(settings,),
        ),
        _group(
            "leases:ENDPOINTS", "/boards/{board_id}/tasks/claim",
            *(f"/boards/{{board_id}}/tasks/{{task_id}}/{each}" for each in LEASE_OPERATIONS),
        ),
        _group("tags:ENDPOINTS", "/tags", "/agent/boards/{board_id}/tags"),
        _group("custom_fields:ENDPOINTS", "/organizations/me/custom-fields"),
        _group("gateways:ENDPOINTS", "/gateways"),
        _group("agents:ENDPOINTS", "/agents"),
        _group("agent_lifecycle:ENDPOINTS", "/agents", "/agent/agents", "/agent/boards/{board_id}/agents"),
        _group("agent_endpoints:ENDPOINTS", "/agent/boards", "/agent/healthz", "/agent/heartbeat"),
        _group(
            "approvals:approval_agent_endpoints", "/agent/boards/{board_id}/approvals", given=(approval_cards,)
        ),
        _group(
            "gateway_messages:ENDPOINTS", "/agent/boards/{board_id}/agents/{agent_id}",
            "/agent/boards/{board_id}/gateway", "/agent/gateway",
        ),
        _group("onboarding:ENDPOINTS", "/boards/{board_id}/onboarding", "/agent/boards/{board_id}/onboarding"),
        _group("approvals:approval_endpoints", "/boards/{board_id}/approvals", given=(approval_cards,)),
        _group("metrics:ENDPOINTS", "/metrics"),
        _group("usage:ENDPOINTS", "/usage"),
        _group("budgets:ENDPOINTS", "/budgets"),
        _group("prices:ENDPOINTS", "/prices"),
    ]  # fmt: skip
    return Dialect(
        name="Boards API",
        prefix="/api/v1",
        endpoints=endpoints,
        converter=CONVERTER,
        query_converter=CONVERTER,
        authenticate=authenticate,
        render=render,
        reserved=RESERVED,
        statuses=STATUSES,
        refuses_callers=()
        if settings.identity_providers.issuer is None
        else (ClientCredentialsRefused, SigningKeysUnavailable, UserNotApproved),
        http_options=HttpOptions(syntax_first=True, any_content_type=False),
        openapi_metadata=OpenApiMetadata(
            title="Mission Control API",
            version="0.1.0",
            description="Boards, tasks and agents. Ids are UUIDs, times are ISO 8601 in UTC.",
            tags=TAGS,
            schema_name=component_of,
            schemas={JsonObject: {"type": "object", "additionalProperties": True}},
            path_schemas=dict.fromkeys(UUIDS, UUID_SCHEMA),
            field_descriptions=FIELDS,
            examples=examples_in("mission_http.boards"),
            security_schemes={"HTTPBearer": {"type": "http", "scheme": "bearer"}},
            errors={409: BlockedTaskError, 422: HTTPValidationError},
            error=LLMErrorResponse,
        ),
    )


def _group(source: str, *paths: str, given: tuple[Any, ...] = ()) -> EndpointGroup:
    return EndpointGroup(f"mission_http.boards.{source}", paths, given)


def component_of(kind: Any) -> str:
    """
    The name of a class as a component of the OpenAPI document. A page's name contains the name of its items.
    """
    if get_origin(kind) is None:
        return str(kind.__name__).removesuffix("Payload")
    return f"{get_origin(kind).__name__}_TypeVar_Customized_{get_args(kind)[0].__name__}_"
