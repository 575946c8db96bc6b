"""
Errors of the Fleet API: their classes, statuses, texts and the envelope `{"error": …, "details"?: …}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import ApiKeyNotFound, KeyOfAnotherAgent
from mission_core.accounts.organizations import DefaultOrganizationUndeletable, OrganizationNotFound, SlugTaken
from mission_core.accounts.passwords import PasswordRefused
from mission_core.accounts.sign_in import AccessPending
from mission_core.accounts.users import UsernameTaken, UserNotFound
from mission_core.agents.model import WorkingMemoryFull
from mission_core.boards.model import BoardDenied, BoardNotFound, GeneralBoardProtected, TicketPrefixTaken
from mission_core.errors import Conflict, Denied, Exhausted, Invalid, InvalidField, KeyReused
from mission_core.ids import TaskNumber
from mission_core.lazy_attrs import define
from mission_core.reports.report_refusals import MomentInFuture
from mission_core.tasks.mentions import UnknownMentions
from mission_core.tasks.model import DependencyNotFound, GateClosed, SelfDependency
from mission_core.tasks.ports import BudgetReached
from mission_core.tasks.runs import TooManyOrders
from mission_http.fleet.wire import seconds_of
from mission_http.platform.budget_amounts import refusal_amounts
from mission_http.platform.error_codes import code_of
from mission_http.platform.errors import (
    BodyMalformed,
    BodyMissing,
    FieldsInvalid,
    MethodRefused,
    PathUnknown,
    TooManyRequests,
)
from mission_http.platform.exchange import exchange_of
from mission_http.platform.json_responses import json_response

if TYPE_CHECKING:
    from mission_core.prompt_injection import ScreeningFinding

VALIDATION: Final = "Validation failed"
RUN_PATHS: Final = ("/api/v1/runs", "/api/v1/evals")
"""The beginnings of the paths of this API that look like those of the Boards API."""
RUN_PROTOCOL_HEADERS: Final = {"X-Agent-Run-Protocol": "0.1.0"}
"""The headers of all responses on these paths."""


class CredentialMissing(Denied):
    """
    The request carries no credential, or a malformed one.
    """

    code = "unauthorized"
    says = "Unauthorized"


@define(repr=False)
class OriginMismatch(Denied):
    """
    The request comes from a page of another site.
    """

    code = "origin_foreign"

    origin: str

    says = "CSRF origin mismatch"

    @property
    def why(self) -> str:
        return f"origin {self.origin[:255]} is not this server's own, and not in CORS_ORIGINS"


class AuthenticationRequired(Denied):
    """
    The credential is unknown or expired, or belongs to another agent than the one in `X-Agent-Name`.
    """

    says = "Authentication required"


class AdminRequired(Denied):
    """
    Only admins may manage users.
    """

    says = "Admin access required"


class InvalidCredentials(Denied):
    """
    The user name or the password is wrong.
    """

    says = "Invalid credentials"


@define(repr=False)
class SetupRequired(Denied):
    """
    There is no user yet, so nobody can sign in.
    """

    code = "setup_needed"

    hint: str = "Create the first admin with POST /api/setup, username and password"

    says = "No admin account has been created yet"


@define(repr=False)
class SetupCodeRequired(Denied):
    """
    Creating the first admin from another machine, or through a proxy, needs the setup code.
    """

    code = "code_needed"

    sent: bool

    def __str__(self) -> str:
        return "This setup code is wrong" if self.sent else "A setup code is needed"

    @property
    def why(self) -> str:
        return (
            "from another machine, or with settings for a proxy or a public host name, the first admin is created with "
            "the code that the server printed on its terminal when it started (start it again to see it); send it as "
            "`code`"
        )


@define(repr=False)
class InvalidRequest(Invalid):
    """
    The request is invalid, with the operation's own error text.
    """

    code = "unacceptable"

    text: str
    details: tuple[str, ...] = ()

    says = "{self.text}"


@define(repr=False)
class InvalidAction(Invalid):
    """
    There is no such action.
    """

    code = InvalidRequest.code

    action: str
    known: tuple[str, ...]

    says = "Invalid action"


@define(repr=False)
class InvalidRequestWithHint(Invalid):
    """
    The request is invalid, or this server is not configured for it. The `hint` says what to do.
    """

    code = "explained"

    text: str
    hint: str

    says = "{self.text}"


@define(repr=False)
class GateClosedForTask(Denied):
    """
    A gate of one task refuses its new status, so no task of the request is changed.
    """

    code = GateClosed.code
    task: TaskNumber
    closed: GateClosed

    def __str__(self) -> str:
        if self.closed.rule == "require_approval_for_done":
            return f"Aegis approval required for task {self.task}"
        return f"Task {self.task}: {self.closed}"


@define(repr=False)
class HostToolMissing(Exhausted):
    """
    The operation needs a tool on an agent's host, which this server does not have.
    """

    code = "no_host"

    text: str
    why: str

    says = "{self.text}"


@define(repr=False)
class PromptInjectionDetected(Invalid):
    """
    The text was blocked as a prompt injection.
    """

    code = "unsafe"

    text: str
    findings: tuple[ScreeningFinding, ...]

    says = "{self.text}"


@define(repr=False)
class FileTooLarge(Invalid):
    """
    The content of an agent's file is too large.
    """

    limit: int

    says = "File content too large (max {self.limit} bytes)"


class NotYourQueue(Denied):
    """
    An agent's key below admin polled the queue for another agent.
    """

    says = "Access denied: agent key may only queue tasks for itself."


class ProjectExists(Conflict):
    """
    Another project has this slug or ticket prefix.
    """

    says = "Project slug or ticket prefix already exists"


STATUSES: Final[Mapping[type[Exception], int]] = {
    CredentialMissing: 401,
    InvalidCredentials: 401,
    SetupRequired: 401,
    AuthenticationRequired: 401,
    DependencyNotFound: 400,
    FileTooLarge: 413,
    GateClosed: 403,
    DefaultOrganizationUndeletable: 400,
    KeyReused: 422,
    WorkingMemoryFull: 413,
    HostToolMissing: 502,
    TooManyOrders: 409,
    BudgetReached: 402,
    PromptInjectionDetected: 422,
}
ERROR_TEXTS: Final[Mapping[type[Exception], str]] = {
    ApiKeyNotFound: "Active key not found for this agent",
    BoardDenied: "Project access denied",
    BoardNotFound: "Project not found",
    BodyMalformed: "Invalid request body",
    BodyMissing: "Invalid request body",
    UserNotFound: "User not found",
    UsernameTaken: "Username already exists",
    DefaultOrganizationUndeletable: "Cannot delete the default workspace",
    OrganizationNotFound: "Workspace not found",
    SlugTaken: "Workspace slug already exists",
    GeneralBoardProtected: "Default project cannot be archived",
    KeyOfAnotherAgent: "Access denied: agent key may only access its own agent.",
    PathUnknown: "Not found",
    TicketPrefixTaken: "Ticket prefix already in use",
    MomentInFuture: "beta_start must not be in the future",
}
FIXED_CODES: Final[Mapping[type[Exception], str]] = {
    AccessPending: "PENDING_APPROVAL",
    SetupCodeRequired: "SETUP_CODE",
    SetupRequired: "NO_USERS",
}
"""Codes of the original Fleet API, used instead of the class's own."""
RATE_LIMIT_TEXT: Final = "Too many requests. Please try again later."
RATE_LIMIT_TEXTS: Final = {
    "agent-heartbeat": "Agent heartbeat rate limit exceeded.",
    "agent-task": "Agent task polling rate limit exceeded.",
    "backup": "Too many backup changes. Try again in a minute.",
    "exec-approval": "Too many execution approval changes. Try again in a minute.",
    "gateway-config": "Too many gateway configuration changes. Try again in a minute.",
    "gateway-control": "Too many gateway control attempts. Try again in a minute.",
    "heavy": "Too many requests for this resource. Please try again later.",
    "host-package": "Too many host package installation attempts. Try again later.",
    "identity": "Too many identity or credential changes. Try again in a minute.",
    "login": "Too many login attempts. Try again in a minute.",
    "openclaw-maintenance": "Too many OpenClaw maintenance attempts. Try again later.",
    "os-user": "Too many OS user provisioning attempts. Try again later.",
    "password-change": "Too many password change attempts. Try again in a minute.",
    "release-update": "Too many release update attempts. Try again later.",
    "runtime-setup": "Too many runtime setup changes. Try again in a minute.",
    "security-fix": "Too many security fix attempts. Try again in a minute.",
    "self-register": "Too many registration attempts. Please try again later.",
    "skill": "Too many skill changes. Try again in a minute.",
}
"""Error texts of an exceeded rate limit, by the limit's name."""
FIELD_TEXTS: Final = {"slug": "Invalid project slug", "ticket_prefix": "Invalid ticket prefix"}
FIELD_NAMES: Final = {
    "activity": "last_activity",
    "assignee": "assigned_to",
    "board": "project_id",
    "due_at": "due_date",
    "reported": "status",
    "result": "outcome",
    "soul": "soul_content",
}
"""Names of the core's fields in this API, where they differ."""


def render_error(error: Exception, status: int, request: Request) -> Response:
    """
    Render an error in the Fleet's envelope.
    """
    path = exchange_of(request).path
    headers = RUN_PROTOCOL_HEADERS if path.startswith(RUN_PATHS) else None
    if isinstance(error, MethodRefused):
        return Response(status_code=status, headers=headers)
    code = code_of(type(error), status)
    return json_response(({} if code is None else {"code": code}) | _payload(error), status, headers)


def _payload(error: Exception) -> dict[str, Any]:
    if isinstance(error, FieldsInvalid):
        details = [f"{each.dotted}: {each.message.removeprefix('Value error, ')}" for each in error.errors]
        told: dict[str, Any] = {"error": VALIDATION, "details": details}
        if any(each.loc == ("body",) and each.kind == "model_attributes_type" for each in error.errors):
            told["hint"] = "send a JSON object as the body"
        return told
    if isinstance(error, InvalidField):
        if error.field in FIELD_TEXTS:
            return {"error": FIELD_TEXTS[error.field]}
        return {"error": VALIDATION, "details": [f"{FIELD_NAMES.get(error.field, error.field)}: {error.reason}"]}
    if isinstance(error, DependencyNotFound | SelfDependency):
        return {"error": VALIDATION, "details": [f"depends_on: {error}"]}
    if isinstance(error, BudgetReached):
        budget = {
            "id": error.number, "name": error.name, "scope": error.scope, "measure": error.measure,
            **refusal_amounts(error), "price_unknown": error.unpriced,
            "resets_at": None if error.resets_at is None else seconds_of(error.resets_at),
        }  # fmt: skip
        return {"error": str(error), "budget": budget}
    if isinstance(error, UnknownMentions):
        return {"error": str(error), "missing_mentions": error.missing}
    if isinstance(error, InvalidRequest) and error.details:
        return {"error": error.text, "details": error.details}
    if isinstance(error, InvalidAction):
        details = [f"action: must be one of {', '.join(error.known)}"]
        return {"error": str(error), "action": error.action, "details": details}
    if isinstance(error, BodyMalformed | BodyMissing):
        return {"error": ERROR_TEXTS[type(error)], "details": [str(error)]}
    if isinstance(error, TooManyRequests):
        return {"error": RATE_LIMIT_TEXTS.get(error.verdict.quota.name, RATE_LIMIT_TEXT), "details": [error.when]}
    if isinstance(error, HostToolMissing):
        return {"error": error.text, "details": [error.why]}
    if isinstance(error, OriginMismatch):
        return {"error": str(error), "details": [error.why]}
    if isinstance(error, SetupCodeRequired):
        return {"error": str(error), "code": FIXED_CODES[SetupCodeRequired], "hint": error.why}
    if isinstance(error, InvalidRequestWithHint):
        return {"error": error.text, "hint": error.hint}
    if isinstance(error, AccessPending):
        return {"error": str(error), "code": FIXED_CODES[AccessPending]}
    if isinstance(error, SetupRequired):
        return {"error": str(error), "code": FIXED_CODES[SetupRequired], "hint": error.hint}
    if isinstance(error, PasswordRefused):
        return {"error": VALIDATION, "details": [f"password: {error}"]}
    if isinstance(error, PromptInjectionDetected):
        injection = [{"rule": each.rule, "description": each.description} for each in error.findings]
        return {"error": error.text, "injection": injection}
    if isinstance(error, GateClosed) and error.rule == "require_approval_for_done":
        return {"error": "Aegis approval is required to move task to done."}
    return {"error": ERROR_TEXTS.get(type(error)) or str(error)}
