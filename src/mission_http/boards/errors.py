"""
Errors of the Boards dialect: `{"detail": text, object or list of field errors, "request_id": …, "hint"?: text}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial, singledispatch
from http import HTTPStatus
from typing import Any, Final

from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.identity_claims import TokenRefused
from mission_core.accounts.model import AgentPrincipal
from mission_core.accounts.ownership_rules import LastOwnerRequired
from mission_core.accounts.ports import ProviderAccountNotDeleted
from mission_core.agents.model import TooManyAgents
from mission_core.agents.onboarding_refusals import NotTheMainAgent, OnboardingConfirmed
from mission_core.approvals.model import ApprovalAlreadyDecided, ApprovalAlreadyPending, ApprovalTasksNotFound
from mission_core.automation.webhook_refusals import WebhookDisabled
from mission_core.boards.custom_fields import FieldBoardsUnknown
from mission_core.boards.model import BoardDenied, GoalIncomplete
from mission_core.errors import Conflict, Denied, Exhausted, Invalid, InvalidField, NotFound, RoleTooLow
from mission_core.lazy_attrs import define
from mission_core.tasks.model import BlockedByDependencies, CommentRequired, DependencyNotFound, GateClosed
from mission_core.tasks.ports import BudgetReached
from mission_core.tasks.runs import TooManyOrders
from mission_core.tasks.tags_and_custom_fields import (
    CustomFieldsRequired,
    CustomFieldsUnknown,
    CustomFieldValueInvalid,
    TagsNotFound,
)
from mission_core.tasks.team_rules import (
    UPDATABLE_FIELDS,
    AssigneeOnAnotherBoard,
    BoardRole,
    LeadCommentRefused,
    LeadFieldsRefused,
    TaskAssigneeMismatch,
    TaskBoardMismatch,
    UpdateFieldForbidden,
)
from mission_http.boards.wire import naive
from mission_http.platform.bodies import is_json
from mission_http.platform.budget_amounts import refusal_amounts
from mission_http.platform.error_codes import code_of
from mission_http.platform.errors import (
    BodyMalformed,
    BodyMissing,
    BodyTooLarge,
    FieldError,
    FieldsInvalid,
    MethodRefused,
    TooManyRequests,
    bearer_challenge,
)
from mission_http.platform.exchange import exchange_of, request_id_of
from mission_http.platform.field_annotations import fields_of, union_members, wire_name
from mission_http.platform.json_responses import json_response

WIRE_NAMES: Final = {
    "depends_on": "depends_on_task_ids", "assignee": "assigned_agent_id", "soul": "soul_template", "content": "message",
    "values": "custom_field_values", "email": "invited_email", "action": "action_type", "arguments": "payload",
    "scores": "rubric_scores", "tasks": "task_ids",
}  # fmt: skip
"""Fields of the core that have another name in this dialect."""


@define(repr=False)
class CredentialRefused(Denied):
    """
    The request has no credential that is valid for this operation.

    Args:
        credential_sent: Whether the request has any credential.
    """

    code = "unauthorized"

    hint: str
    credential_sent: bool = False


class ForbiddenSilently(Denied):
    """
    The caller may not do this. The response gives no reason.
    """

    code = "forbidden"


@define(repr=False)
class ForbiddenWithReason(Denied):
    """
    The caller may not do this. The response gives the reason.
    """

    code = "refused"

    why: str

    def __str__(self) -> str:
        return self.why


@define(repr=False)
class PayloadRuleBroken(Invalid):
    """
    The payload breaks a rule. The text is the one that clients of this API know.
    """

    code = "unacceptable"

    why: str

    def __str__(self) -> str:
        return self.why


class CreatorNotFound(NotFound):
    """
    The organization has no such person.
    """

    code = "user_not_found"


@define(repr=False)
class NamedNotFound(NotFound):
    """
    Something that the request names does not exist, and the response says what.
    """

    code = "missing"

    thing: str

    says = "{self.thing} not found"


@define(repr=False)
class GatewayUnreachable(Exhausted):
    """
    The operation needs a live gateway, and none is connected. Nothing was changed.
    """

    action: str

    says = "{self.action}: no live gateway is connected; nothing was changed"


class DelegationBlocked(BlockedByDependencies):
    """
    A lead cannot delegate a task that starts at once but depends on unfinished tasks.
    """


@define(repr=False)
class AgentNameConflict(Conflict):
    """
    Another agent of the board, or of the organization, has this name.
    """

    code = "name_taken"

    here: bool

    def __str__(self) -> str:
        where = "on this board" if self.here else "in this gateway workspace"
        return f"An agent with this name already exists {where}."


CODES: Final[Mapping[type[Denied], str]] = {
    TaskBoardMismatch: "task_board_mismatch",
    TaskAssigneeMismatch: "task_assignee_mismatch",
    UpdateFieldForbidden: "task_update_field_forbidden",
}
STATUSES: Final[Mapping[type[Exception], int]] = {
    Invalid: 422,
    BodyTooLarge: 413,
    CredentialRefused: 401,
    TokenRefused: 401,
    CommentRequired: 422,
    LastOwnerRequired: 422,
    TooManyAgents: 409,
    GatewayUnreachable: 502,
    ProviderAccountNotDeleted: 502,
    TooManyOrders: 409,
    BudgetReached: 402,
    WebhookDisabled: 410,
}
DETAIL_FIELDS: Final[Mapping[type[Exception], Mapping[str, str]]] = {
    DelegationBlocked: {"blocked_by_task_ids": "by"},
    DependencyNotFound: {"missing_task_ids": "missing"},
    ApprovalTasksNotFound: {"missing_task_ids": "missing"},
    TagsNotFound: {"missing_tag_ids": "missing"},
    FieldBoardsUnknown: {"invalid_board_ids": "missing"},
    CustomFieldsUnknown: {"unknown_field_keys": "keys"},
    CustomFieldsRequired: {"missing_field_keys": "keys"},
    CustomFieldValueInvalid: {"field_key": "field_key", "field_type": "field_type", "reason": "reason"},
}
"""The fields of an error's `detail` beside its message, and the attributes that they show."""
PHRASE_ONLY: Final = (
    CredentialRefused, TokenRefused, ForbiddenSilently, RoleTooLow, CreatorNotFound, AssigneeOnAnotherBoard,
    MethodRefused,
    OnboardingConfirmed, TooManyRequests,
)  # fmt: skip
"""Errors whose detail is only the phrase of their status."""


def render(error: Exception, status: int, request: Request) -> Response:
    """
    Render an error in this dialect's envelope.
    """
    if isinstance(error, InvalidField):
        error = _as_sent(error, request)
    elsewhere = isinstance(error, NotTheMainAgent) and error.of_a_board
    if elsewhere or isinstance(error, PHRASE_ONLY) or (isinstance(error, BoardDenied) and _is_agent(request)):
        detail: Any = HTTPStatus(status).phrase
    else:
        detail = detail_of(error)
    headers = {"www-authenticate": bearer_challenge(told)} if (told := _credential_fault(error)) else None
    body = {"detail": detail, "request_id": request_id_of(request)}
    if (code := code_of(type(error), status)) is not None:
        body["code"] = code
    if hint := _hint_of(error, request):
        body["hint"] = hint
    return json_response(body, status, headers)


def _credential_fault(error: Exception) -> str | None:
    """
    The reason why a credential was not accepted, if one was sent.
    """
    if isinstance(error, CredentialRefused):
        return error.hint if error.credential_sent else None
    return str(error) if isinstance(error, TokenRefused) else None


def _hint_of(error: Exception, request: Request) -> str | None:
    """
    Advice for the caller, where the detail has none.
    """
    match error:
        case CredentialRefused():
            return error.hint
        case TokenRefused() | ProviderAccountNotDeleted():
            return str(error)
        case TooManyRequests():
            return error.when
        case FieldsInvalid() if any(each.loc[:1] == ("body",) for each in error.errors) and not is_json(request):
            return "the body was read as text; send it with Content-Type: application/json"
    return None


def _as_sent(error: InvalidField, request: Request) -> InvalidField:
    """
    The error with the field's name in the body of the operation.
    """
    endpoint = exchange_of(request).endpoint
    shapes = union_members(endpoint.takes) if endpoint is not None and endpoint.takes is not None else ()
    sent = {wire_name(field) for shape in shapes for field in fields_of(shape)}
    names = (each for each in (error.field, WIRE_NAMES.get(error.field)) if each in sent)
    return evolve(error, field=next(names, WIRE_NAMES.get(error.field, error.field)))


def _is_agent(request: Request) -> bool:
    return isinstance(exchange_of(request).principal, AgentPrincipal)


@singledispatch
def detail_of(error: Exception) -> Any:
    """
    The `detail` of an error: its text, unless another function is registered for its class.
    """
    return str(error)


def _message_and_fields(shown: Mapping[str, str], error: Exception) -> dict[str, Any]:
    return {"message": str(error)} | {name: getattr(error, attribute) for name, attribute in shown.items()}


for kind, shown in DETAIL_FIELDS.items():
    detail_of.register(kind, partial(_message_and_fields, shown))


@detail_of.register
def _(error: ProviderAccountNotDeleted) -> str:
    return f"Failed to delete account from {error.provider}"


@detail_of.register
def _(error: NotFound) -> str:
    return "Not Found"


@detail_of.register
def _(error: NamedNotFound) -> str:
    return str(error)


@detail_of.register
def _(error: LastOwnerRequired) -> str:
    return "Organization must have at least one owner"


@detail_of.register
def _(error: GoalIncomplete) -> str:
    return "Goal boards require objective and success_metrics"


@detail_of.register
def _(error: BlockedByDependencies) -> dict[str, Any]:
    return {
        "message": str(error),
        "code": "task_blocked_cannot_transition",
        "blocked_by_task_ids": [str(id) for id in error.by],
    }


@detail_of.register(TaskBoardMismatch)
@detail_of.register(TaskAssigneeMismatch)
@detail_of.register(UpdateFieldForbidden)
def _(error: Denied) -> dict[str, Any]:
    return {"message": str(error), "code": CODES[type(error)]}


@detail_of.register
def _(error: LeadCommentRefused) -> str:
    return (
        "Lead comment gate failed: board leads cannot include `comment` in task PATCH. "
        "Use the task comments endpoint instead."
    )


@detail_of.register
def _(error: LeadFieldsRefused) -> str:
    named, allowed = (
        ", ".join(sorted(WIRE_NAMES.get(field, field) for field in fields))
        for fields in (error.fields, UPDATABLE_FIELDS[BoardRole.LEAD])
    )
    return f"Lead field gate failed: unsupported fields for board leads: {named}. Allowed fields: {allowed}."


@detail_of.register
def _(error: GateClosed) -> dict[str, Any]:
    return {"message": str(error), "blocked_by_task_ids": []}


@detail_of.register
def _(error: BudgetReached) -> dict[str, Any]:
    return {
        "message": str(error), "budget_id": str(error.budget), "budget_name": error.name, "scope": error.scope,
        "measure": error.measure, **refusal_amounts(error), "price_unknown": error.unpriced,
        "resets_at": naive(error.resets_at),
    }  # fmt: skip


@detail_of.register
def _(error: CommentRequired) -> str:
    return str(error)


@detail_of.register
def _(error: ApprovalAlreadyPending) -> dict[str, Any]:
    conflicts = [{"task_id": str(task), "approval_id": str(approval)} for task, approval in error.conflicts]
    return {"message": str(error), "conflicts": conflicts}


@detail_of.register
def _(error: ApprovalAlreadyDecided) -> dict[str, Any]:
    decided = {"status": error.status.value, "resolved_by": error.by, "resolved_at": naive(error.at)}
    return {"message": str(error), **decided}


@detail_of.register
def _(error: FieldsInvalid) -> list[dict[str, Any]]:
    return [_field_error_payload(each) for each in error.errors]


@detail_of.register
def _(error: InvalidField) -> list[dict[str, Any]]:
    value = error.value if isinstance(error.value, str | int | float | list | dict) else None
    told = f"Value error, {error.field} {error.reason}"
    return [
        _field_error_payload(FieldError(("body", error.field), "value_error", told, value, {"error": error.reason}))
    ]


@detail_of.register
def _(error: BodyMalformed) -> list[dict[str, Any]]:
    told = {"error": error.reason}
    return [_field_error_payload(FieldError(("body", error.offset), "json_invalid", "JSON decode error", {}, told))]


@detail_of.register
def _(error: BodyMissing) -> list[dict[str, Any]]:
    return [_field_error_payload(FieldError(("body",), "missing", "Field required"))]


def _field_error_payload(error: FieldError) -> dict[str, Any]:
    shown = {"type": error.kind, "loc": error.loc, "msg": error.message, "input": error.input}
    return shown | {"ctx": error.ctx} if error.ctx else shown


def within_path(refusal: FieldsInvalid, name: str) -> FieldsInvalid:
    """
    The error of a value in the path.
    """
    return FieldsInvalid(tuple(error.within("path", name) for error in refusal.errors))
