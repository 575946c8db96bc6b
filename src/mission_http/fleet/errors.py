"""
Errors of the Fleet API: their classes, statuses, texts and the envelope `{"error": …, "details"?: …}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import define
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.access_requests import AccessPending
from mission_core.accounts.model import ApiKeyNotFound, NotYourAgent
from mission_core.accounts.organizations import HomeStays, OrganizationNotFound, SlugTaken
from mission_core.accounts.passwords import PasswordRefused
from mission_core.accounts.users import UsernameTaken, UserNotFound
from mission_core.agents.model import MemoryFull
from mission_core.boards.model import BoardDenied, BoardNotFound, GeneralStays, PrefixTaken
from mission_core.errors import Conflict, Denied, Exhausted, Invalid, InvalidField, KeyReused
from mission_core.ids import TaskNumber
from mission_core.reports.regression import StillToCome
from mission_core.screening import Finding
from mission_core.tasks.mentions import UnknownMentions
from mission_core.tasks.model import DependencyNotFound, DependsOnItself, GateClosed
from mission_core.tasks.runs import TooManyOrders
from mission_http.platform.codes import code_of
from mission_http.platform.json import json_of
from mission_http.platform.refusals import (
    BodyMalformed,
    BodyMissing,
    FieldsInvalid,
    MethodRefused,
    PathUnknown,
    TooManyRequests,
)

VALIDATION: Final = "Validation failed"


class Unauthorized(Denied):
    """
    The request carries no credential, or a malformed one.
    """

    def __str__(self) -> str:
        return "Unauthorized"


@define
class OriginForeign(Denied):
    """
    The request comes from a page of another site.
    """

    origin: str

    def __str__(self) -> str:
        return "CSRF origin mismatch"

    @property
    def why(self) -> str:
        return f"origin {self.origin[:255]} is not this server's own, and not in CORS_ORIGINS"


class AuthenticationRequired(Denied):
    """
    The credential is unknown or expired, or belongs to another agent than the one in `X-Agent-Name`.
    """

    def __str__(self) -> str:
        return "Authentication required"


class AdminRequired(Denied):
    """
    Only admins may manage users.
    """

    def __str__(self) -> str:
        return "Admin access required"


class InvalidCredentials(Denied):
    """
    The user name or the password is wrong.
    """

    def __str__(self) -> str:
        return "Invalid credentials"


@define
class SetupNeeded(Denied):
    """
    There is no user yet, so nobody can sign in.
    """

    hint: str = "Create the first admin with POST /api/setup, username and password"

    def __str__(self) -> str:
        return "No admin account has been created yet"


@define
class CodeNeeded(Denied):
    """
    Creating the first admin from another machine, or through a proxy, needs the setup code.
    """

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


@define
class Unacceptable(Invalid):
    """
    The request is invalid, with the operation's own error text.
    """

    says: str
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.says


@define
class Explained(Invalid):
    """
    The request is invalid, or this server is not configured for it. The `hint` says what to do.
    """

    says: str
    hint: str

    def __str__(self) -> str:
        return self.says


@define
class GateClosedFor(Denied):
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


@define
class NoHost(Exhausted):
    """
    The operation needs a tool on an agent's host, which this server does not have.
    """

    says: str
    why: str

    def __str__(self) -> str:
        return self.says


@define
class Unsafe(Invalid):
    """
    The text was blocked as a prompt injection.
    """

    says: str
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        return self.says


@define
class FileTooLarge(Invalid):
    """
    The content of an agent's file is too large.
    """

    limit: int

    def __str__(self) -> str:
        return f"File content too large (max {self.limit} bytes)"


class NotYourQueue(Denied):
    """
    An agent's key below admin polled the queue for another agent.
    """

    def __str__(self) -> str:
        return "Access denied: agent key may only queue tasks for itself."


class ProjectExists(Conflict):
    """
    Another project has this slug or ticket prefix.
    """

    def __str__(self) -> str:
        return "Project slug or ticket prefix already exists"


STATUSES: Final[Mapping[type[Exception], int]] = {
    Unauthorized: 401,
    InvalidCredentials: 401,
    SetupNeeded: 401,
    AuthenticationRequired: 401,
    DependencyNotFound: 400,
    FileTooLarge: 413,
    GateClosed: 403,
    HomeStays: 400,
    KeyReused: 422,
    MemoryFull: 413,
    NoHost: 502,
    TooManyOrders: 409,
    Unsafe: 422,
}
TEXTS: Final[Mapping[type[Exception], str]] = {
    ApiKeyNotFound: "Active key not found for this agent",
    BoardDenied: "Project access denied",
    BoardNotFound: "Project not found",
    BodyMalformed: "Invalid request body",
    BodyMissing: "Invalid request body",
    UserNotFound: "User not found",
    UsernameTaken: "Username already exists",
    HomeStays: "Cannot delete the default workspace",
    OrganizationNotFound: "Workspace not found",
    SlugTaken: "Workspace slug already exists",
    GeneralStays: "Default project cannot be archived",
    NotYourAgent: "Access denied: agent key may only access its own agent.",
    PathUnknown: "Not found",
    PrefixTaken: "Ticket prefix already in use",
    StillToCome: "beta_start must not be in the future",
}
FIXED: Final[Mapping[type[Exception], str]] = {
    AccessPending: "PENDING_APPROVAL",
    CodeNeeded: "SETUP_CODE",
    SetupNeeded: "NO_USERS",
}
"""Codes of the original Fleet API, used instead of the class's own."""
TOO_MANY: Final = "Too many requests. Please try again later."
TOO_MANY_OF: Final = {
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


def render(error: Exception, status: int, request: Request) -> Response:
    """
    Render an error in the Fleet's envelope.
    """
    if isinstance(error, MethodRefused):
        return Response(status_code=status)
    code = code_of(type(error), status)
    return json_of(({} if code is None else {"code": code}) | _payload(error), status)


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
    if isinstance(error, DependencyNotFound | DependsOnItself):
        return {"error": VALIDATION, "details": [f"depends_on: {error}"]}
    if isinstance(error, UnknownMentions):
        return {"error": str(error), "missing_mentions": error.missing}
    if isinstance(error, Unacceptable) and error.details:
        return {"error": error.says, "details": error.details}
    if isinstance(error, BodyMalformed | BodyMissing):
        return {"error": TEXTS[type(error)], "details": [str(error)]}
    if isinstance(error, TooManyRequests):
        return {"error": TOO_MANY_OF.get(error.verdict.quota.name, TOO_MANY), "details": [error.when]}
    if isinstance(error, NoHost):
        return {"error": error.says, "details": [error.why]}
    if isinstance(error, OriginForeign):
        return {"error": str(error), "details": [error.why]}
    if isinstance(error, CodeNeeded):
        return {"error": str(error), "code": FIXED[CodeNeeded], "hint": error.why}
    if isinstance(error, Explained):
        return {"error": error.says, "hint": error.hint}
    if isinstance(error, AccessPending):
        return {"error": str(error), "code": FIXED[AccessPending]}
    if isinstance(error, SetupNeeded):
        return {"error": str(error), "code": FIXED[SetupNeeded], "hint": error.hint}
    if isinstance(error, PasswordRefused):
        return {"error": VALIDATION, "details": [f"password: {error}"]}
    if isinstance(error, Unsafe):
        injection = [{"rule": each.rule, "description": each.description} for each in error.findings]
        return {"error": error.says, "injection": injection}
    if isinstance(error, GateClosed) and error.rule == "require_approval_for_done":
        return {"error": "Aegis approval is required to move task to done."}
    return {"error": TEXTS.get(type(error)) or str(error)}
