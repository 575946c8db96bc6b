"""
What the document tells about the Boards API.
"""

from typing import Any

import pytest

from mission_http.boards.dialect import boards_dialect
from mission_http.platform.openapi import document_of
from tests.contract.boards_driver import boards_settings

OPERATIONS = {
    ("get", "/health"): "health_health_get",
    ("get", "/healthz"): "healthz_healthz_get",
    ("get", "/readyz"): "readyz_readyz_get",
    ("post", "/api/v1/auth/bootstrap"): "bootstrap_user_api_v1_auth_bootstrap_post",
    ("get", "/api/v1/users/me"): "get_me_api_v1_users_me_get",
    ("delete", "/api/v1/users/me"): "delete_me_api_v1_users_me_delete",
    ("delete", "/api/v1/organizations/me"): "delete_my_org_api_v1_organizations_me_delete",
    ("patch", "/api/v1/users/me"): "update_me_api_v1_users_me_patch",
    ("get", "/api/v1/organizations/me"): "get_my_org_api_v1_organizations_me_get",
    ("post", "/api/v1/organizations"): "create_organization_api_v1_organizations_post",
    ("get", "/api/v1/organizations/me/members"): "list_org_members_api_v1_organizations_me_members_get",
    ("get", "/api/v1/organizations/me/members/{member_id}"): (
        "get_org_member_api_v1_organizations_me_members__member_id__get"
    ),
    ("patch", "/api/v1/organizations/me/members/{member_id}"): (
        "update_org_member_api_v1_organizations_me_members__member_id__patch"
    ),
    ("put", "/api/v1/organizations/me/members/{member_id}/access"): (
        "update_member_access_api_v1_organizations_me_members__member_id__access_put"
    ),
    ("delete", "/api/v1/organizations/me/members/{member_id}"): (
        "remove_org_member_api_v1_organizations_me_members__member_id__delete"
    ),
    ("get", "/api/v1/organizations/me/invites"): "list_org_invites_api_v1_organizations_me_invites_get",
    ("post", "/api/v1/organizations/me/invites"): "create_org_invite_api_v1_organizations_me_invites_post",
    ("delete", "/api/v1/organizations/me/invites/{invite_id}"): (
        "revoke_org_invite_api_v1_organizations_me_invites__invite_id__delete"
    ),
    ("post", "/api/v1/organizations/invites/accept"): ("accept_org_invite_api_v1_organizations_invites_accept_post"),
    ("get", "/api/v1/organizations/me/list"): "list_my_organizations_api_v1_organizations_me_list_get",
    ("patch", "/api/v1/organizations/me/active"): "set_active_org_api_v1_organizations_me_active_patch",
    ("get", "/api/v1/organizations/me/member"): "get_my_membership_api_v1_organizations_me_member_get",
    ("get", "/api/v1/gateways"): "list_gateways_api_v1_gateways_get",
    ("get", "/api/v1/gateways/status"): "gateways_status_api_v1_gateways_status_get",
    ("get", "/api/v1/gateways/{gateway_id}"): "get_gateway_api_v1_gateways__gateway_id__get",
    ("get", "/api/v1/boards"): "list_boards_api_v1_boards_get",
    ("post", "/api/v1/boards"): "create_board_api_v1_boards_post",
    ("get", "/api/v1/boards/{board_id}"): "get_board_api_v1_boards__board_id__get",
    ("patch", "/api/v1/boards/{board_id}"): "update_board_api_v1_boards__board_id__patch",
    ("get", "/api/v1/boards/{board_id}/tasks/stream"): "stream_tasks_api_v1_boards__board_id__tasks_stream_get",
    ("get", "/api/v1/boards/{board_id}/approvals/stream"): (
        "stream_approvals_api_v1_boards__board_id__approvals_stream_get"
    ),
    ("get", "/api/v1/boards/{board_id}/memory/stream"): (
        "stream_board_memory_api_v1_boards__board_id__memory_stream_get"
    ),
    ("get", "/api/v1/boards/{board_id}/group-memory/stream"): (
        "stream_board_group_memory_for_board_api_v1_boards__board_id__group_memory_stream_get"
    ),
    ("get", "/api/v1/board-groups/{group_id}/memory/stream"): (
        "stream_board_group_memory_api_v1_board_groups__group_id__memory_stream_get"
    ),
    ("get", "/api/v1/agents/stream"): "stream_agents_api_v1_agents_stream_get",
    ("get", "/api/v1/activity"): "list_activity_api_v1_activity_get",
    ("get", "/api/v1/activity/task-comments"): "list_task_comment_feed_api_v1_activity_task_comments_get",
    ("get", "/api/v1/activity/task-comments/stream"): (
        "stream_task_comment_feed_api_v1_activity_task_comments_stream_get"
    ),
    ("get", "/api/v1/boards/{board_id}/tasks"): "list_tasks_api_v1_boards__board_id__tasks_get",
    ("post", "/api/v1/boards/{board_id}/tasks"): "create_task_api_v1_boards__board_id__tasks_post",
    ("patch", "/api/v1/boards/{board_id}/tasks/{task_id}"): (
        "update_task_api_v1_boards__board_id__tasks__task_id__patch"
    ),
    ("delete", "/api/v1/boards/{board_id}/tasks/{task_id}"): (
        "delete_task_api_v1_boards__board_id__tasks__task_id__delete"
    ),
    ("get", "/api/v1/boards/{board_id}/tasks/{task_id}/comments"): (
        "list_task_comments_api_v1_boards__board_id__tasks__task_id__comments_get"
    ),
    ("post", "/api/v1/boards/{board_id}/tasks/{task_id}/comments"): (
        "create_task_comment_api_v1_boards__board_id__tasks__task_id__comments_post"
    ),
    ("get", "/api/v1/agent/boards/{board_id}/tasks/{task_id}/comments"): (
        "list_task_comments_api_v1_agent_boards__board_id__tasks__task_id__comments_get"
    ),
    ("post", "/api/v1/agent/boards/{board_id}/tasks/{task_id}/comments"): (
        "create_task_comment_api_v1_agent_boards__board_id__tasks__task_id__comments_post"
    ),
    ("get", "/api/v1/boards/{board_id}/memory"): "list_board_memory_api_v1_boards__board_id__memory_get",
    ("post", "/api/v1/boards/{board_id}/memory"): "create_board_memory_api_v1_boards__board_id__memory_post",
    ("get", "/api/v1/agent/boards/{board_id}/memory"): "list_board_memory_api_v1_agent_boards__board_id__memory_get",
    ("post", "/api/v1/agent/boards/{board_id}/memory"): (
        "create_board_memory_api_v1_agent_boards__board_id__memory_post"
    ),
    ("get", "/api/v1/board-groups/{group_id}/memory"): (
        "list_board_group_memory_api_v1_board_groups__group_id__memory_get"
    ),
    ("post", "/api/v1/board-groups/{group_id}/memory"): (
        "create_board_group_memory_api_v1_board_groups__group_id__memory_post"
    ),
    ("get", "/api/v1/boards/{board_id}/group-memory"): (
        "list_board_group_memory_for_board_api_v1_boards__board_id__group_memory_get"
    ),
    ("post", "/api/v1/boards/{board_id}/group-memory"): (
        "create_board_group_memory_for_board_api_v1_boards__board_id__group_memory_post"
    ),
    ("get", "/api/v1/boards/{board_id}/webhooks"): "list_board_webhooks_api_v1_boards__board_id__webhooks_get",
    ("post", "/api/v1/boards/{board_id}/webhooks"): "create_board_webhook_api_v1_boards__board_id__webhooks_post",
    ("get", "/api/v1/boards/{board_id}/webhooks/{webhook_id}"): (
        "get_board_webhook_api_v1_boards__board_id__webhooks__webhook_id__get"
    ),
    ("patch", "/api/v1/boards/{board_id}/webhooks/{webhook_id}"): (
        "update_board_webhook_api_v1_boards__board_id__webhooks__webhook_id__patch"
    ),
    ("delete", "/api/v1/boards/{board_id}/webhooks/{webhook_id}"): (
        "delete_board_webhook_api_v1_boards__board_id__webhooks__webhook_id__delete"
    ),
    ("post", "/api/v1/boards/{board_id}/webhooks/{webhook_id}"): (
        "ingest_board_webhook_api_v1_boards__board_id__webhooks__webhook_id__post"
    ),
    ("get", "/api/v1/boards/{board_id}/webhooks/{webhook_id}/payloads"): (
        "list_board_webhook_payloads_api_v1_boards__board_id__webhooks__webhook_id__payloads_get"
    ),
    ("get", "/api/v1/boards/{board_id}/webhooks/{webhook_id}/payloads/{payload_id}"): (
        "get_board_webhook_payload_api_v1_boards__board_id__webhooks__webhook_id__payloads__payload_id__get"
    ),
    ("get", "/api/v1/agent/boards/{board_id}/webhooks/{webhook_id}/payloads/{payload_id}"): (
        "get_webhook_payload_api_v1_agent_boards__board_id__webhooks__webhook_id__payloads__payload_id__get"
    ),
    ("delete", "/api/v1/boards/{board_id}"): "delete_board_api_v1_boards__board_id__delete",
    ("get", "/api/v1/boards/{board_id}/snapshot"): "get_board_snapshot_api_v1_boards__board_id__snapshot_get",
    ("get", "/api/v1/boards/{board_id}/group-snapshot"): (
        "get_board_group_snapshot_api_v1_boards__board_id__group_snapshot_get"
    ),
    ("get", "/api/v1/board-groups/{group_id}/snapshot"): (
        "get_board_group_snapshot_api_v1_board_groups__group_id__snapshot_get"
    ),
    ("get", "/api/v1/board-groups"): "list_board_groups_api_v1_board_groups_get",
    ("post", "/api/v1/board-groups"): "create_board_group_api_v1_board_groups_post",
    ("get", "/api/v1/board-groups/{group_id}"): "get_board_group_api_v1_board_groups__group_id__get",
    ("patch", "/api/v1/board-groups/{group_id}"): "update_board_group_api_v1_board_groups__group_id__patch",
    ("delete", "/api/v1/board-groups/{group_id}"): "delete_board_group_api_v1_board_groups__group_id__delete",
    ("post", "/api/v1/board-groups/{group_id}/heartbeat"): (
        "apply_board_group_heartbeat_api_v1_board_groups__group_id__heartbeat_post"
    ),
    ("get", "/api/v1/metrics/dashboard"): "dashboard_metrics_api_v1_metrics_dashboard_get",
    ("post", "/api/v1/usage"): "create_usage_api_v1_usage_post",
    ("get", "/api/v1/usage"): "list_usage_api_v1_usage_get",
    ("post", "/api/v1/usage/batch"): "create_usage_batch_api_v1_usage_batch_post",
    ("get", "/api/v1/usage/summary"): "read_usage_summary_api_v1_usage_summary_get",
    (
        "post",
        "/api/v1/usage/{usage_id}/corrections",
    ): "correct_usage_entry_api_v1_usage__usage_id__corrections_post",
    ("get", "/api/v1/budgets"): "list_all_budgets_api_v1_budgets_get",
    ("post", "/api/v1/budgets"): "create_a_budget_api_v1_budgets_post",
    ("get", "/api/v1/budgets/{budget_id}"): "read_budget_api_v1_budgets__budget_id__get",
    ("patch", "/api/v1/budgets/{budget_id}"): "change_budget_api_v1_budgets__budget_id__patch",
    ("delete", "/api/v1/budgets/{budget_id}"): "delete_a_budget_api_v1_budgets__budget_id__delete",
    ("get", "/api/v1/prices"): "list_prices_api_v1_prices_get",
    ("post", "/api/v1/prices"): "create_price_api_v1_prices_post",
    ("get", "/api/v1/prices/{price_id}"): "get_price_api_v1_prices__price_id__get",
    ("patch", "/api/v1/prices/{price_id}"): "update_price_api_v1_prices__price_id__patch",
    ("delete", "/api/v1/prices/{price_id}"): "delete_price_api_v1_prices__price_id__delete",
    ("get", "/api/v1/tags"): "list_tags_api_v1_tags_get",
    ("post", "/api/v1/tags"): "create_tag_api_v1_tags_post",
    ("get", "/api/v1/tags/{tag_id}"): "get_tag_api_v1_tags__tag_id__get",
    ("patch", "/api/v1/tags/{tag_id}"): "update_tag_api_v1_tags__tag_id__patch",
    ("delete", "/api/v1/tags/{tag_id}"): "delete_tag_api_v1_tags__tag_id__delete",
    ("get", "/api/v1/agent/boards/{board_id}/tags"): "list_tags_api_v1_agent_boards__board_id__tags_get",
    ("get", "/api/v1/organizations/me/custom-fields"): (
        "list_org_custom_fields_api_v1_organizations_me_custom_fields_get"
    ),
    ("post", "/api/v1/organizations/me/custom-fields"): (
        "create_org_custom_field_api_v1_organizations_me_custom_fields_post"
    ),
    ("patch", "/api/v1/organizations/me/custom-fields/{task_custom_field_definition_id}"): (
        "update_org_custom_field_api_v1_organizations_me_custom_fields__task_custom_field_definition_id__patch"
    ),
    ("delete", "/api/v1/organizations/me/custom-fields/{task_custom_field_definition_id}"): (
        "delete_org_custom_field_api_v1_organizations_me_custom_fields__task_custom_field_definition_id__delete"
    ),
    ("get", "/api/v1/agents"): "list_agents_api_v1_agents_get",
    ("post", "/api/v1/agents"): "create_agent_api_v1_agents_post",
    ("get", "/api/v1/agent/healthz"): "agent_healthz_api_v1_agent_healthz_get",
    ("post", "/api/v1/agent/heartbeat"): "agent_heartbeat_api_v1_agent_heartbeat_post",
    ("get", "/api/v1/agent/boards"): "list_boards_api_v1_agent_boards_get",
    ("post", "/api/v1/agent/boards/{board_id}/agents/{agent_id}/nudge"): "agent_lead_nudge_agent",
    ("get", "/api/v1/agent/boards/{board_id}/agents/{agent_id}/soul"): (
        "get_agent_soul_api_v1_agent_boards__board_id__agents__agent_id__soul_get"
    ),
    ("put", "/api/v1/agent/boards/{board_id}/agents/{agent_id}/soul"): "agent_lead_update_agent_soul",
    ("post", "/api/v1/agent/boards/{board_id}/gateway/main/ask-user"): "agent_lead_ask_user_via_gateway_main",
    ("post", "/api/v1/agent/gateway/boards/{board_id}/lead/message"): "agent_main_message_board_lead",
    ("post", "/api/v1/agent/gateway/leads/broadcast"): "agent_main_broadcast_lead_message",
    ("get", "/api/v1/boards/{board_id}/onboarding"): "get_onboarding_api_v1_boards__board_id__onboarding_get",
    ("post", "/api/v1/boards/{board_id}/onboarding/start"): (
        "start_onboarding_api_v1_boards__board_id__onboarding_start_post"
    ),
    ("post", "/api/v1/boards/{board_id}/onboarding/answer"): (
        "answer_onboarding_api_v1_boards__board_id__onboarding_answer_post"
    ),
    ("post", "/api/v1/boards/{board_id}/onboarding/agent"): (
        "agent_onboarding_update_api_v1_boards__board_id__onboarding_agent_post"
    ),
    ("post", "/api/v1/boards/{board_id}/onboarding/confirm"): (
        "confirm_onboarding_api_v1_boards__board_id__onboarding_confirm_post"
    ),
    ("post", "/api/v1/agent/boards/{board_id}/onboarding"): (
        "update_onboarding_api_v1_agent_boards__board_id__onboarding_post"
    ),
    ("get", "/api/v1/boards/{board_id}/approvals"): "list_approvals_api_v1_boards__board_id__approvals_get",
    ("post", "/api/v1/boards/{board_id}/approvals"): "create_approval_api_v1_boards__board_id__approvals_post",
    ("patch", "/api/v1/boards/{board_id}/approvals/{approval_id}"): (
        "update_approval_api_v1_boards__board_id__approvals__approval_id__patch"
    ),
    ("get", "/api/v1/agent/boards/{board_id}/approvals"): (
        "list_approvals_api_v1_agent_boards__board_id__approvals_get"
    ),
    ("post", "/api/v1/agent/boards/{board_id}/approvals"): (
        "create_approval_api_v1_agent_boards__board_id__approvals_post"
    ),
    ("patch", "/api/v1/agents/{agent_id}"): "update_agent_api_v1_agents__agent_id__patch",
    ("delete", "/api/v1/agents/{agent_id}"): "delete_agent_api_v1_agents__agent_id__delete",
    ("delete", "/api/v1/agent/boards/{board_id}/agents/{agent_id}"): "agent_lead_delete_board_agent",
    ("get", "/api/v1/agents/{agent_id}"): "get_agent_api_v1_agents__agent_id__get",
    ("post", "/api/v1/agents/heartbeat"): "heartbeat_or_create_agent_api_v1_agents_heartbeat_post",
    ("post", "/api/v1/agents/{agent_id}/heartbeat"): "heartbeat_agent_api_v1_agents__agent_id__heartbeat_post",
    ("get", "/api/v1/agent/agents"): "list_agents_api_v1_agent_agents_get",
    ("post", "/api/v1/agent/agents"): "agent_lead_create_agent",
    ("get", "/api/v1/agent/boards/{board_id}"): "get_board_api_v1_agent_boards__board_id__get",
    ("get", "/api/v1/agent/boards/{board_id}/tasks"): "list_tasks_api_v1_agent_boards__board_id__tasks_get",
    ("post", "/api/v1/agent/boards/{board_id}/tasks"): "agent_lead_create_task",
    ("patch", "/api/v1/agent/boards/{board_id}/tasks/{task_id}"): (
        "update_task_api_v1_agent_boards__board_id__tasks__task_id__patch"
    ),
    ("delete", "/api/v1/agent/boards/{board_id}/tasks/{task_id}"): (
        "delete_task_api_v1_agent_boards__board_id__tasks__task_id__delete"
    ),
}
ADDED = {
    ("post", "/claim"), ("post", "/{task_id}/claim"), ("post", "/{task_id}/lease/heartbeat"),
    ("post", "/{task_id}/complete"), ("post", "/{task_id}/fail"), ("post", "/{task_id}/release"),
    ("post", "/{task_id}/adopt"),
    ("post", "/{task_id}/orders"), ("get", "/{task_id}/explain"), ("get", "/{task_id}/runs"),
}  # fmt: skip
MINTED = ("post", "/api/v1/agents/{agent_id}/token")
SHARED = (
    "/api/v1/boards/{board_id}/group-snapshot", "/api/v1/boards/{board_id}/group-memory",
    "/api/v1/boards/{board_id}/group-memory/stream",
)  # fmt: skip
"""What people and agents are both told of."""
HALVES = ("/api/v1/boards/{board_id}/tasks", "/api/v1/agent/boards/{board_id}/tasks")
LISTS = (
    "x-when-to-use", "x-when-not-to-use", "x-prerequisites", "x-side-effects", "x-negative-guidance",
    "x-routing-policy",
)  # fmt: skip
COMPONENTS = {
    "BoardSnapshot", "TaskCardRead", "BoardGroupSnapshot", "BoardGroupBoardSnapshot", "BoardGroupTaskSummary",
    "BoardGroupRead", "BoardGroupCreate", "BoardGroupUpdate", "BoardGroupHeartbeatApply",
    "BoardGroupHeartbeatApplyResult", "LimitOffsetPage_TypeVar_Customized_BoardGroupRead_",
    "GatewayRead", "GatewaysStatusResponse", "LimitOffsetPage_TypeVar_Customized_GatewayRead_",
    "BoardWebhookRead", "BoardWebhookCreate", "BoardWebhookUpdate", "BoardWebhookPayloadRead",
    "BoardWebhookIngestResponse", "LimitOffsetPage_TypeVar_Customized_BoardWebhookRead_",
    "LimitOffsetPage_TypeVar_Customized_BoardWebhookPayloadRead_",
    "BoardMemoryRead", "BoardMemoryCreate", "LimitOffsetPage_TypeVar_Customized_BoardMemoryRead_",
    "BoardGroupMemoryRead", "BoardGroupMemoryCreate", "LimitOffsetPage_TypeVar_Customized_BoardGroupMemoryRead_",
    "AgentHeartbeat", "AgentHeartbeatCreate", "AgentUpdate",
    "DashboardMetrics", "DashboardKpis", "DashboardSeriesSet", "DashboardRangeSeries", "DashboardSeriesPoint",
    "DashboardWipSeriesSet", "DashboardWipRangeSeries", "DashboardWipPoint", "DashboardPendingApprovals",
    "DashboardPendingApproval",
    "ApprovalRead", "ApprovalCreate", "ApprovalUpdate", "LimitOffsetPage_TypeVar_Customized_ApprovalRead_",
    "BoardOnboardingRead", "BoardOnboardingStart", "BoardOnboardingAnswer", "BoardOnboardingConfirm",
    "BoardOnboardingAgentComplete", "BoardOnboardingAgentQuestion", "BoardOnboardingUserProfile",
    "BoardOnboardingLeadAgentDraft", "BoardOnboardingQuestionOption",
    "AgentNudge", "SoulUpdateRequest", "GatewayMainAskUserRequest", "GatewayMainAskUserResponse",
    "GatewayLeadMessageRequest", "GatewayLeadMessageResponse", "GatewayLeadBroadcastRequest",
    "GatewayLeadBroadcastResponse", "GatewayLeadBroadcastBoardResult",
    "UserRead", "UserUpdate", "OrganizationRead", "OrganizationListItem", "OrganizationActiveUpdate",
    "OrganizationMemberRead", "OrganizationUserRead", "OrganizationBoardAccessRead",
    "BoardRead", "BoardCreate", "BoardUpdate", "TaskRead", "TaskCreate", "TaskUpdate", "TaskCommentRead",
    "TaskCommentCreate", "TagRef", "AgentRead", "AgentCreate", "AgentHealthStatusResponse", "HealthStatusResponse",
    "OkResponse", "HTTPValidationError", "ValidationError", "BlockedTaskError", "BlockedTaskDetail", "LLMErrorResponse",
    "LimitOffsetPage_TypeVar_Customized_BoardRead_", "LimitOffsetPage_TypeVar_Customized_TaskRead_",
    "LimitOffsetPage_TypeVar_Customized_TaskCommentRead_",
    "TagRead", "TagCreate", "TagUpdate", "LimitOffsetPage_TypeVar_Customized_TagRead_",
    "TaskCustomFieldDefinitionRead", "TaskCustomFieldDefinitionCreate", "TaskCustomFieldDefinitionUpdate",
    "LimitOffsetPage_TypeVar_Customized_AgentRead_", "LimitOffsetPage_TypeVar_Customized_RunRead_",
}  # fmt: skip


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return document_of([boards_dialect(boards_settings())])


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> dict[tuple[str, str], Any]:
    return {
        (method, path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_operations_have_the_ids_that_clients_know(operations):
    added = {(method, half + path) for half in HALVES for method, path in ADDED} | {MINTED}

    assert OPERATIONS.keys() | added == operations.keys()
    assert {place: operations[place]["operationId"] for place in OPERATIONS} == OPERATIONS


def test_ids_are_unique(operations):
    ids = [operation["operationId"] for operation in operations.values()]

    assert len(ids) == len(set(ids))


def test_components_have_the_names_that_clients_know(document):
    assert document["components"]["schemas"].keys() >= COMPONENTS


def test_the_document_is_titled_and_tagged(document):
    assert ("Mission Control API", "0.1.0") == (document["info"]["title"], document["info"]["version"])
    assert ["auth", "health", "agents"] == [tag["name"] for tag in document["tags"]][:3]
    assert {"HTTPBearer": {"type": "http", "scheme": "bearer"}} == document["components"]["securitySchemes"]


def test_agents_find_their_operations_by_role(operations):
    """
    An operation of agents has a role tag, non-empty lists to choose by, and words to be known by.
    """
    for (_, path), operation in operations.items():
        roles = {tag for tag in operation["tags"] if tag.startswith("agent-")}
        own = path.startswith("/api/v1/agent/")
        assert own == ("agent" in operation["tags"])
        assert bool(roles) == (own or path in SHARED)
        if not roles:
            continue
        assert operation["summary"]
        assert operation["description"]
        assert isinstance(operation["x-llm-intent"], str)
        assert operation["x-required-actor"] in ("any_agent", "board_lead", "agent_main")
        for name in LISTS:
            assert operation[name], (path, name)
            assert all(isinstance(each, str) and each for each in operation[name])
        (example, *_) = operation["x-routing-policy-examples"]
        assert {"input", "decision"} == example.keys()
        assert {"intent", "required_privilege"} == example["input"].keys()


def test_only_what_is_for_users_alone_asks_for_a_bearer_token(operations):
    secured = {place for place, operation in operations.items() if "security" in operation}
    users = {
        place
        for place in (*OPERATIONS, MINTED)
        if place[1].startswith("/api/v1/") and not place[1].startswith("/api/v1/agent/")
    } - {
        ("get", "/api/v1/boards/{board_id}/tasks"),
        ("patch", "/api/v1/boards/{board_id}/tasks/{task_id}"),
        ("get", "/api/v1/boards/{board_id}/tasks/{task_id}/comments"),
        ("post", "/api/v1/boards/{board_id}/tasks/{task_id}/comments"),
        ("post", "/api/v1/agents"),
        ("post", "/api/v1/agents/heartbeat"),
        ("post", "/api/v1/agents/{agent_id}/heartbeat"),
        ("post", "/api/v1/board-groups/{group_id}/heartbeat"),
        ("post", "/api/v1/boards/{board_id}/webhooks/{webhook_id}"),
        ("get", "/api/v1/activity"),
        ("get", "/api/v1/boards/{board_id}/memory"),
        ("post", "/api/v1/boards/{board_id}/memory"),
        ("get", "/api/v1/boards/{board_id}/group-memory"),
        ("post", "/api/v1/boards/{board_id}/group-memory"),
        *(
            ("get", f"/api/v1/boards/{{board_id}}/{each}/stream")
            for each in ("approvals", "group-memory", "memory", "tasks")
        ),
        ("get", "/api/v1/boards/{board_id}/snapshot"),
        ("get", "/api/v1/boards/{board_id}/group-snapshot"),
        ("get", "/api/v1/boards/{board_id}/onboarding"),
        ("post", "/api/v1/boards/{board_id}/onboarding/agent"),
        ("get", "/api/v1/boards/{board_id}/approvals"),
        ("post", "/api/v1/boards/{board_id}/approvals"),
        ("post", "/api/v1/usage"),
        ("post", "/api/v1/usage/batch"),
    }

    assert users == secured


def test_agents_operations_name_both_headers(operations):
    for (_, path), operation in operations.items():
        if path.startswith("/api/v1/agent/"):
            headers = [each["name"] for each in operation["parameters"] if each["in"] == "header"]
            assert ["X-Agent-Token", "Authorization"] == headers[:2]


def test_a_sign_of_life_declares_no_body(operations):
    assert "requestBody" not in operations["post", "/api/v1/agent/heartbeat"]


def test_path_parameters_are_spelled_as_clients_know_them(operations):
    parameters = operations["patch", "/api/v1/boards/{board_id}/tasks/{task_id}"]["parameters"]
    schemas = {each["name"]: each["schema"] for each in parameters if each["in"] == "path"}

    assert {"board_id": {"type": "string"}, "task_id": {"type": "string", "format": "uuid"}} == schemas


def test_webhooks_and_payloads_are_uuids_to_clients(operations):
    payload = operations["get", "/api/v1/boards/{board_id}/webhooks/{webhook_id}/payloads/{payload_id}"]
    schemas = {each["name"]: each["schema"] for each in payload["parameters"] if each["in"] == "path"}
    uuid = {"type": "string", "format": "uuid"}

    assert {"board_id": {"type": "string"}, "webhook_id": uuid, "payload_id": uuid} == schemas


def test_what_is_sent_to_a_webhook_is_declared_by_nobody(operations):
    ingest = operations["post", "/api/v1/boards/{board_id}/webhooks/{webhook_id}"]

    assert "requestBody" not in ingest
    assert {"202"} == {status for status in ingest["responses"] if status.startswith("2")}


async def test_the_document_is_served_to_everybody(boards):
    assert "Mission Control API" == (await boards.got("GET", "/openapi.json", user=None))["info"]["title"]
