"""
Principals, roles and API keys.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final
from uuid import UUID

from attrs import Factory, evolve, field
from attrs.validators import optional

from mission_core.errors import Denied, NotFound, RoleTooLow
from mission_core.events.model import Actor, Event
from mission_core.field_types import with_type_validators
from mission_core.ids import (
    AgentId,
    ApiKeyId,
    ApiKeyNumber,
    BoardId,
    MemberId,
    OrganizationId,
    SessionId,
    UserId,
    UserNumber,
)
from mission_core.lazy_attrs import frozen
from mission_core.values import text, utc_moment


class Role(StrEnum):
    """
    The role of a principal in its organization. Each role includes the rights of the roles before it.
    """

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


ROLE_LEVELS: Final = {Role.VIEWER: 0, Role.OPERATOR: 1, Role.ADMIN: 2}
ROLES: Final = frozenset(role.value for role in Role)
SCOPES: Final = (
    "viewer", "operator", "admin", "agent:self", "agent:diagnostics", "agent:attribution", "agent:heartbeat",
    "agent:messages",
)  # fmt: skip


@frozen(kw_only=True)
class SystemPrincipal:
    """
    A principal that is not an agent: the operator's key, a background job, or an embedding program.
    """

    organization: OrganizationId
    name: str = "system"
    display: str = "System"
    user: UserId | None = None
    role: Role = Role.ADMIN
    expires_at: datetime | None = field(default=None, eq=False)
    """When the credential expires that authenticated the request, if it does. The other principals have it, too."""

    @property
    def actor(self) -> Actor:
        """
        The actor of the principal's entries in the event log.
        """
        return Actor("user" if self.user else "system", self.user, self.name)


SERVER_PRINCIPAL: Final = SystemPrincipal(organization=OrganizationId(UUID(int=0)), name="api", display="API Access")
"""The principal of the server's own key, before its organization is set."""


@frozen(kw_only=True)
class AgentPrincipal:
    """
    An agent that authenticated with its key. With a board it is limited to that board; without one it sees the whole
    organization. The module `scopes.py` describes its *scopes*.
    """

    organization: OrganizationId
    agent: AgentId
    name: str
    board: BoardId | None = None
    lead: bool = False
    role: Role = Role.OPERATOR
    scopes: frozenset[str] = field(default=Factory(lambda self: frozenset((self.role.value,)), takes_self=True))
    key: ApiKeyId | None = None
    seen_at: datetime | None = field(default=None, eq=False)
    expires_at: datetime | None = field(default=None, eq=False)

    @property
    def confined(self) -> bool:
        """
        Whether the scopes contain no role, so that the key permits only what its scopes name.
        """
        return self.scopes.isdisjoint(ROLES)

    @property
    def display(self) -> str:
        """
        The display name.
        """
        return self.name

    @property
    def actor(self) -> Actor:
        """
        The actor of the principal's entries in the event log.
        """
        return Actor("agent", self.agent, self.name)


@frozen(kw_only=True)
class MemberPrincipal:
    """
    A signed-in user as a member of one organization.

    Args:
        name: The user name, which the log shows.
        reads: The boards that the member may see; None means all boards, including future ones.
        writes: The boards that the member may write on, all of which they may also see; None means all boards.
        session: The session that authenticated the request, if there is one.
    """

    organization: OrganizationId
    user: UserId
    number: UserNumber
    member: MemberId
    name: str
    display: str
    role: Role
    reads: frozenset[BoardId] | None = None
    writes: frozenset[BoardId] | None = None
    session: SessionId | None = None
    expires_at: datetime | None = field(default=None, eq=False)

    @property
    def actor(self) -> Actor:
        """
        The actor of the principal's entries in the event log.
        """
        return Actor("user", self.user, self.name)


Principal = SystemPrincipal | MemberPrincipal | AgentPrincipal


def board_of(principal: Principal) -> BoardId | None:
    """
    The board of an agent that works on one board; None for every other principal.
    """
    return principal.board if isinstance(principal, AgentPrincipal) else None


def readable_boards(principal: Principal) -> frozenset[BoardId] | None:
    """
    The boards whose rows the principal may see; None means all rows of the organization. A principal limited to some
    boards sees no row without a board.
    """
    if isinstance(principal, MemberPrincipal):
        return principal.reads
    own = principal.board if isinstance(principal, AgentPrincipal) else None
    return None if own is None else frozenset((own,))


def writable_boards(principal: Principal) -> frozenset[BoardId] | None:
    """
    The boards whose rows the principal may change; None means all rows of the organization.
    """
    return principal.writes if isinstance(principal, MemberPrincipal) else readable_boards(principal)


def may_read_board(principal: Principal, board: BoardId | None) -> bool:
    """
    Whether the principal may see rows of this board, or with None, rows without a board.
    """
    seen = readable_boards(principal)
    return seen is None or board in seen


def may_write_board(principal: Principal, board: BoardId | None) -> bool:
    """
    Whether the principal may change rows of this board, or with None, rows without a board.
    """
    granted = writable_boards(principal)
    return granted is None or board in granted


def identity_of(principal: Principal) -> str:
    """
    The principal's identity in its organization, which is the same for each way of authentication.
    """
    actor = principal.actor
    return f"{actor.kind}:{actor.id or actor.name}"


def require_role(principal: Principal, role: Role) -> None:
    """
    Require a role.

    Raises:
        RoleTooLow: If the principal's role is lower than *role*.
    """
    if ROLE_LEVELS[principal.role] < ROLE_LEVELS[role]:
        raise RoleTooLow(role.value, principal.role.value)


def require_no_agent_below_admin(principal: Principal) -> None:
    """
    Refuse agents with a role below admin, for example where they would change the rules that apply to their own work.

    Raises:
        RoleTooLow: If the principal is such an agent.
    """
    if isinstance(principal, AgentPrincipal):
        require_role(principal, Role.ADMIN)


def require_organization_admin(principal: Principal) -> None:
    """
    Require an admin of the whole organization, for example for users, settings and shared definitions. An agent of one
    board is refused even if its key has the admin role.

    Raises:
        RoleTooLow: If the principal is no admin.
        BoardAgentConfined: If it is an agent of one board.
    """
    require_role(principal, Role.ADMIN)
    if board_of(principal) is not None:
        raise BoardAgentConfined


def role_from_scopes(scopes: tuple[str, ...]) -> Role:
    """
    The highest role among a key's scopes; viewer if there is none.
    """
    return next((role for role in (Role.ADMIN, Role.OPERATOR) if role.value in scopes), Role.VIEWER)


class BoardAgentConfined(Denied):
    """
    An agent of one board may not see or change rows of the whole organization.
    """

    code = "one_board_alone"
    says = "this agent's key is limited to its own board; this operation concerns the whole organization"


class ApiKeyNotFound(NotFound):
    """
    The key does not exist, has expired or was revoked.
    """

    says = "there is no such valid key; list the agent's keys to see the valid ones"


class KeyOfAnotherAgent(Denied):
    """
    An agent's key may be used only for its own agent.
    """

    code = "not_your_agent"
    says = "an agent's key may only be used for its own agent"


@frozen(kw_only=True, field_transformer=with_type_validators)
class ApiKey:
    """
    An agent's key. Only its SHA-256 is stored; *prefix* lets people recognize it.
    """

    id: ApiKeyId
    number: ApiKeyNumber
    organization: OrganizationId
    agent: AgentId
    name: str = field(validator=text(least=1, most=128))
    digest: bytes = field(repr=False)
    prefix: str
    scopes: tuple[str, ...]
    created_by: str | None
    created_at: datetime = field(validator=utc_moment)
    updated_at: datetime = field(validator=utc_moment)
    expires_at: datetime | None = field(default=None, validator=optional(utc_moment))
    revoked_at: datetime | None = field(default=None, validator=optional(utc_moment))
    last_used_at: datetime | None = field(default=None, validator=optional(utc_moment))
    version: int = 0

    def revoke_for(self, agent: AgentId, *, at: datetime) -> tuple[ApiKey, ApiKeyRevoked]:
        """
        Revoke the key permanently.

        Raises:
            ApiKeyNotFound: If it belongs to another agent, or was revoked already.
        """
        if self.agent != agent or self.revoked_at is not None:
            raise ApiKeyNotFound
        return evolve(self, revoked_at=at, updated_at=at), ApiKeyRevoked(key=self.id, agent=self.agent, at=at)


@frozen(kw_only=True, eq=False, repr=False)
class ApiKeyCreated(Event):
    """
    A key was created for an agent.
    """

    kind = "key.made"

    key: ApiKeyId
    agent: AgentId
    name: str
    scopes: tuple[str, ...]


@frozen(kw_only=True, eq=False, repr=False)
class ApiKeyRevoked(Event):
    """
    A key was revoked.
    """

    kind = "key.revoked"

    key: ApiKeyId
    agent: AgentId


def secret_digest(secret: str) -> bytes:
    """
    The SHA-256 of a secret. It is stored instead of the secret, which is only ever verified.
    """
    return sha256(secret.encode(errors="surrogatepass")).digest()


PRESENCE_WRITE_INTERVAL: Final = timedelta(seconds=30)
"""The least time between two updates of an agent's presence by its requests."""


def presence_update_due(principal: Principal, *, at: datetime) -> bool:
    """
    Whether a request of this principal should update the presence: it is an agent, and the last update is old enough.
    """
    if not isinstance(principal, AgentPrincipal):
        return False
    return principal.seen_at is None or at - principal.seen_at >= PRESENCE_WRITE_INTERVAL


def require_own_agent(principal: Principal, agent: AgentId) -> None:
    """
    Refuse an agent key below admin that names another agent than its own.

    Raises:
        KeyOfAnotherAgent: If the principal's key belongs to another agent.
    """
    foreign = isinstance(principal, AgentPrincipal) and principal.agent != agent
    if foreign and principal.role is not Role.ADMIN:
        raise KeyOfAnotherAgent
