"""
The declaration of the Boards dialect for the platform.
"""

from __future__ import annotations

from typing import Any, Final, get_args, get_origin

from mission_core.accounts.recognizing import ClientNotLetIn
from mission_core.accounts.vouching import KeysUnavailable
from mission_core.agents.welcoming import NotLetIn
from mission_http.boards import (
    agent_life,
    agent_surface,
    agents,
    approvals,
    boards,
    comments,
    coordination,
    custom_fields,
    gateways,
    groups,
    health,
    invites,
    leases,
    members,
    memory,
    metrics,
    onboarding,
    organizations,
    people,
    tags,
    tasks,
)
from mission_http.boards.access import authenticate
from mission_http.boards.errors import STATUSES, render
from mission_http.boards.payloads import BlockedTaskError, HTTPValidationError, LLMErrorResponse
from mission_http.boards.snapshots import snapshot_endpoints
from mission_http.boards.webhooks import webhook_endpoints
from mission_http.boards.wire import CONVERTER, JsonObject
from mission_http.platform.endpoints import Dialect, Manners, Paperwork
from mission_http.settings import Settings

TAGS: Final = (
    "auth", "health", "agents", "activity", "gateways", "metrics", "organizations", "souls-directory", "skills",
    "board-groups", "board-group-memory", "boards", "board-memory", "board-webhooks", "board-onboarding", "approvals",
    "tasks", "custom-fields", "tags", "users", "agent", "agent-lead", "agent-worker", "agent-main",
)  # fmt: skip
UUIDS: Final = (
    "task_id", "tag_id", "group_id", "webhook_id", "payload_id", "member_id", "invite_id", "gateway_id",
    custom_fields.KEY,
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
    return Dialect(
        name="Boards API",
        prefix="/api/v1",
        endpoints=(
            *health.ENDPOINTS,
            *people.ENDPOINTS,
            *organizations.ENDPOINTS,
            *members.ENDPOINTS,
            *invites.ENDPOINTS,
            *boards.ENDPOINTS,
            *groups.ENDPOINTS,
            *snapshot_endpoints(),
            *tasks.ENDPOINTS,
            *comments.ENDPOINTS,
            *memory.ENDPOINTS,
            *webhook_endpoints(settings),
            *leases.ENDPOINTS,
            *tags.ENDPOINTS,
            *custom_fields.ENDPOINTS,
            *gateways.ENDPOINTS,
            *agents.ENDPOINTS,
            *agent_life.ENDPOINTS,
            *agent_surface.ENDPOINTS,
            *coordination.ENDPOINTS,
            *onboarding.ENDPOINTS,
            *approvals.ENDPOINTS,
            *metrics.ENDPOINTS,
        ),
        converter=CONVERTER,
        query_converter=CONVERTER,
        authenticate=authenticate,
        render=render,
        reserved=RESERVED,
        statuses=STATUSES,
        refuses_callers=() if settings.identities.issuer is None else (ClientNotLetIn, KeysUnavailable, NotLetIn),
        manners=Manners(syntax_first=True, any_content_type=False),
        paperwork=Paperwork(
            title="Mission Control API",
            version="0.1.0",
            description="Boards, tasks and agents. Ids are UUIDs, times are ISO 8601 in UTC.",
            tags=TAGS,
            schema_name=component_of,
            schemas={JsonObject: {"type": "object", "additionalProperties": True}},
            path_schemas=dict.fromkeys(UUIDS, UUID_SCHEMA),
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
        return str(kind.__name__)
    return f"{get_origin(kind).__name__}_TypeVar_Customized_{get_args(kind)[0].__name__}_"
