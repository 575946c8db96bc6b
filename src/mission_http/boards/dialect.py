"""
The declaration of the Boards dialect for the platform.
"""

from __future__ import annotations

from typing import Any, Final, get_args, get_origin

from mission_core.accounts.identity_claims import SigningKeysUnavailable
from mission_core.accounts.user_provisioning import ClientCredentialsRefused
from mission_core.agents.member_provisioning import UserNotApproved
from mission_http.boards import (
    agent_endpoints,
    agent_lifecycle,
    agents,
    approvals,
    board_memory,
    boards,
    comments,
    custom_fields,
    gateway_messages,
    gateways,
    groups,
    health,
    invites,
    leases,
    members,
    metrics,
    onboarding,
    organizations,
    own_profile,
    tags,
    tasks,
)
from mission_http.boards.access import authenticate
from mission_http.boards.card_cache import CardCache
from mission_http.boards.errors import STATUSES, render
from mission_http.boards.field_descriptions import FIELDS
from mission_http.boards.payloads import BlockedTaskError, HTTPValidationError, LLMErrorResponse
from mission_http.boards.snapshots import snapshot_endpoints
from mission_http.boards.webhooks import webhook_endpoints
from mission_http.boards.wire import CONVERTER, JsonObject
from mission_http.platform.endpoints import Dialect, HttpOptions, OpenApiMetadata
from mission_http.platform.examples import examples_in
from mission_http.settings import Settings

TAGS: Final = (
    "auth", "health", "agents", "activity", "gateways", "metrics", "organizations", "souls-directory", "skills",
    "board-groups", "board-group-memory", "boards", "board-memory", "board-webhooks", "board-onboarding", "approvals",
    "tasks", "custom-fields", "tags", "users", "agent", "agent-lead", "agent-worker", "agent-main",
)  # fmt: skip
UUIDS: Final = (
    "task_id", "tag_id", "group_id", "webhook_id", "payload_id", "member_id", "invite_id", "gateway_id",
    custom_fields.FIELD_RESOURCE.parameter,
)  # fmt: skip
"""The path parameters that the document declares as UUIDs; all others are strings."""
RESERVED: Final = (
    "/agents/stream", "/boards/{board_id}/approvals/stream", "/boards/{board_id}/tasks/stream", "/gateways/commands",
    "/gateways/sessions",
)  # fmt: skip
UUID_SCHEMA: Final = {"type": "string", "format": "uuid"}


def boards_dialect(settings: Settings) -> Dialect:
    """
    The Boards dialect with all its operations.
    """
    approval_cards = CardCache()
    return Dialect(
        name="Boards API",
        prefix="/api/v1",
        endpoints=(
            *health.ENDPOINTS,
            *own_profile.ENDPOINTS,
            *organizations.ENDPOINTS,
            *members.ENDPOINTS,
            *invites.ENDPOINTS,
            *boards.ENDPOINTS,
            *groups.ENDPOINTS,
            *snapshot_endpoints(approval_cards),
            *tasks.ENDPOINTS,
            *comments.ENDPOINTS,
            *board_memory.ENDPOINTS,
            *webhook_endpoints(settings),
            *leases.ENDPOINTS,
            *tags.ENDPOINTS,
            *custom_fields.ENDPOINTS,
            *gateways.ENDPOINTS,
            *agents.ENDPOINTS,
            *agent_lifecycle.ENDPOINTS,
            *agent_endpoints.ENDPOINTS,
            *approvals.approval_agent_endpoints(approval_cards),
            *gateway_messages.ENDPOINTS,
            *onboarding.ENDPOINTS,
            *approvals.approval_endpoints(approval_cards),
            *metrics.ENDPOINTS,
        ),
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


def component_of(kind: Any) -> str:
    """
    The name of a class as a component of the OpenAPI document. A page's name contains the name of its items.
    """
    if get_origin(kind) is None:
        return str(kind.__name__).removesuffix("Payload")
    return f"{get_origin(kind).__name__}_TypeVar_Customized_{get_args(kind)[0].__name__}_"
