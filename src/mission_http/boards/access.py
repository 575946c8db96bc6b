"""
Authentication of callers, and the board and task that a path names.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final
from uuid import UUID

from attrs import evolve
from starlette.requests import Request

from mission_core.accounts.key_scopes import require_role_or_scope
from mission_core.accounts.model import AgentPrincipal, Principal, Role, require_role
from mission_core.boards.model import BoardDenied
from mission_core.errors import Refusal, RoleTooLow, StoreFailed
from mission_core.ids import BoardId, TaskId
from mission_core.kinds import Kind
from mission_core.lazy_attrs import frozen
from mission_core.tasks.model import TaskNotFound
from mission_http.boards.errors import CredentialRefused, ForbiddenWithReason, within_path
from mission_http.platform.authentication import check_bearer_token, principal_of_bearer_token, principal_of_credential
from mission_http.platform.endpoints import EndpointAccess, RequestHeader
from mission_http.platform.errors import FieldsInvalid
from mission_http.platform.exchange import endpoint_of, exchange_of, ports_of, principal_of
from mission_http.platform.implicit_leases import renew_leases_for_request
from mission_http.platform.rate_limits import count_request
from mission_http.platform.value_parsers import LAX

NULLABLE_TEXT: Final = {"anyOf": [{"type": "string"}, {"type": "null"}]}
TOKEN_HEADERS: Final = (
    RequestHeader("X-Agent-Token", "The agent's token.", NULLABLE_TEXT),
    RequestHeader("Authorization", "The agent's token as a bearer token, if no X-Agent-Token is sent.", NULLABLE_TEXT),
)
USER: Final = EndpointAccess("user", "A person, or a program with the API key.", schemes=("HTTPBearer",))
AGENT_AUTH: Final = "agent-auth"
MIXED: Final = EndpointAccess(
    "user or agent", "A person, or an agent of the board.", limits=(AGENT_AUTH,),
    credentials=("header Authorization: Bearer", "header X-Agent-Token"),
)  # fmt: skip
AGENT: Final = EndpointAccess(
    "agent", "An agent.", headers=TOKEN_HEADERS, limits=(AGENT_AUTH,),
    credentials=("header X-Agent-Token", "header Authorization: Bearer"),
)  # fmt: skip
EXPECTED_CREDENTIALS: Final = {
    USER.name: "a person's token or the API key as Authorization: Bearer",
    MIXED.name: "a person's token or the API key as Authorization: Bearer, or an agent's token as X-Agent-Token",
    AGENT.name: "an agent's token as X-Agent-Token",
}
"""The credential to send, by the name of the access."""
AGENT_HEARTBEAT: Final = evolve(AGENT, description="An agent that sends a heartbeat.")
"""The operation records a heartbeat itself, so authentication does not."""


async def authenticate(request: Request, access: EndpointAccess) -> Principal:
    """
    Authenticate the caller.

    A user sends a bearer token, which may be one of the identity provider. An agent sends `X-Agent-Token` or a bearer
    token. Where both may call, an `X-Agent-Token` is used and a bearer token beside it is ignored.

    Each attempt as an agent, or on an operation for agents only, counts once towards the rate limit, also a failed one.
    A user's request never does.

    Raises:
        CredentialRefused: If the caller has no credential for this operation.
        TokenRefused: If the token is not a valid one of the identity provider.
        UserNotApproved: If the user of the identity provider is not approved or is blocked.
        SigningKeysUnavailable: If the identity provider's keys cannot be fetched.
        TooManyRequests: If too many requests came as agents from the same address.
        ScopeMissing: If the agent's key has neither a role nor the operation's scope.
    """
    agent_token = request.headers.get("x-agent-token", "").strip()
    principal: Principal | None = None
    if access is not USER and (agent_token or access is not MIXED):
        await _count_attempt(request)
    if agent_token and access is not USER:
        principal = await principal_of_credential(request, agent_token, touch=access is not AGENT_HEARTBEAT)
        if not isinstance(principal, AgentPrincipal):
            raise _unauthorized(request, access)
        require_role_or_scope(principal, Role.VIEWER, endpoint_of(request).scope)
        await renew_leases_for_request(request, principal)
        return principal
    secret = _bearer_of(request)
    touch = access is not AGENT_HEARTBEAT
    if secret and (access is USER or access is MIXED):
        principal = await principal_of_bearer_token(request, secret, touch=touch)
    elif secret:
        principal = await principal_of_credential(request, secret, touch=touch)
    if access is MIXED and secret and (principal is None or isinstance(principal, AgentPrincipal)):
        await _count_attempt(request)
    known = isinstance(principal, AgentPrincipal) is not (access is USER)
    if principal is None and (access is USER or access is MIXED):
        await check_bearer_token(request, secret)
    if principal is None or not (known or access is MIXED):
        raise _unauthorized(request, access)
    require_role_or_scope(principal, Role.VIEWER, endpoint_of(request).scope)
    await renew_leases_for_request(request, principal)
    return principal


async def _count_attempt(request: Request) -> None:
    """
    Count an attempt as an agent, unless the request is authenticated already: a stream authenticates again.
    """
    if exchange_of(request).principal is None:
        await count_request(request, AGENT_AUTH)


def _unauthorized(request: Request, access: EndpointAccess) -> CredentialRefused:
    came = any(name in request.headers for name in ("authorization", "x-agent-token"))
    said = "the credential is unknown or not valid for this operation" if came else "the request has no credential"
    return CredentialRefused(f"{said}; send {EXPECTED_CREDENTIALS[access.name]}", came)


def _bearer_of(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def require_admin(request: Request) -> Principal:
    """
    The caller, who must be an admin.

    Raises:
        RoleTooLow: If not.
    """
    principal = principal_of(request)
    require_role(principal, Role.ADMIN)
    return principal


def require_lead(request: Request) -> None:
    """
    Refuse an agent that is not the lead of its board. Users pass.

    Raises:
        ForbiddenWithReason: If another agent calls.
    """
    principal = principal_of(request)
    if isinstance(principal, AgentPrincipal):
        if not principal.lead:
            raise ForbiddenWithReason("Only board leads can perform this action")
        if principal.board is None:
            raise ForbiddenWithReason("Board lead must be assigned to a board")


def path_id(request: Request, name: str) -> UUID:
    """
    Parse a UUID in the path, in any of its spellings.

    Raises:
        FieldsInvalid: If it is not a UUID.
    """
    try:
        return LAX.uuid(request.path_params[name])
    except FieldsInvalid as refusal:
        raise within_path(refusal, name) from None


@asynccontextmanager
async def row_not_found_first(request: Request, kind: Kind[Any], key: UUID) -> AsyncIterator[None]:
    """
    A context that answers any error with the kind's not-found error if the row does not exist.

    Raises:
        NotFound: The kind's own refusal.
    """
    try:
        yield
    except StoreFailed:
        raise  # as in `BoardPath`
    except Refusal:
        await ports_of(request).reads.entities.get(principal_of(request), kind, key)
        raise


async def board_in_path(request: Request) -> BoardId:
    """
    The board that the path names, if the caller may see it.
    """
    board = BoardId(path_id(request, "board_id"))
    return await ports_of(request).reads.boards.check(principal_of(request), board)


@frozen
class BoardPath:
    """
    The board, and possibly the task, that a path names.

    As a context it answers any error of the request with not found or denied if the caller cannot see the board or
    task. It reads nothing unless there is an error.
    """

    request: Request
    board: BoardId
    task: TaskId | None = None

    @classmethod
    def of(cls, request: Request) -> BoardPath:
        """
        Raises:
            FieldsInvalid: If an id is malformed.
        """
        board = BoardId(path_id(request, "board_id"))
        task = TaskId(path_id(request, "task_id")) if "task_id" in request.path_params else None
        return cls(request, board, task)

    async def __aenter__(self) -> BoardPath:
        return self

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: TracebackType | None) -> None:
        # A failure of the store is reported as it is: it may be unknown whether the change was stored.
        if isinstance(error, Refusal) and not isinstance(error, StoreFailed):
            await self.check()
        if isinstance(error, RoleTooLow):
            raise BoardDenied from None

    async def check(self) -> None:
        """
        Raises:
            BoardNotFound: If there is no such board for the caller.
            BoardDenied: If the caller may not see it.
            TaskNotFound: If there is no such task on it.
        """
        reads, principal = ports_of(self.request).reads, principal_of(self.request)
        await reads.boards.check(principal, self.board)
        if self.task is not None:
            try:
                row = await reads.tasks.get(principal, self.task)
            except BoardDenied:
                raise TaskNotFound from None  # it is on another board
            if row.board != self.board.bytes:
                raise TaskNotFound
