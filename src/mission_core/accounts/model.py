"""
Principals, roles and API keys.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from attrs import Factory, evolve, field, frozen
from attrs.validators import optional

from mission_core.errors import Denied, NotFound, RoleTooLow
from mission_core.events.model import Actor, Fact
from mission_core.field_types import typed
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
from mission_core.values import aware, text


class Role(StrEnum):
    """
    What a principal may do in its organization; each may all that those before it may.
    """

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


RANK: Final = {Role.VIEWER: 0, Role.OPERATOR: 1, Role.ADMIN: 2}
ROLES: Final = frozenset(role.value for role in Role)
SCOPES: Final = (
    "viewer", "operator", "admin", "agent:self", "agent:diagnostics", "agent:attribution", "agent:heartbeat",
    "agent:messages",
)  # fmt: skip


@frozen(kw_only=True)
class System:
    """
    A principal that belongs to no agent: the operator's key, a job, an embedding program.
    """

    organization: OrganizationId
    name: str = "system"
    display: str = "System"
    user: UserId | None = None
    role: Role = Role.ADMIN

    @property
    def actor(self) -> Actor:
        """
        How the log names it.
        """
        return Actor("user" if self.user else "system", self.user, self.name)


SERVER: Final = System(organization=OrganizationId(UUID(int=0)), name="api", display="API Access")
"""Who the server's own key stands for, in whichever organization it does."""


@frozen(kw_only=True)
class AgentPrincipal:
    """
    An agent that showed its key. With a board it is confined to that board; without, it sees the organization. What its
    *scopes* let it do is told in `scopes.py`.
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

    @property
    def confined(self) -> bool:
        """
        Whether no role is among its scopes, so that it may do what these name and nothing else.
        """
        return self.scopes.isdisjoint(ROLES)

    @property
    def display(self) -> str:
        """
        How people see it named.
        """
        return self.name

    @property
    def actor(self) -> Actor:
        """
        How the log names it.
        """
        return Actor("agent", self.agent, self.name)


@frozen(kw_only=True)
class MemberPrincipal:
    """
    A person who signed in, as a member of one organization.

    Args:
        name: The user name, by which the log calls them.
        reads: The boards they may see; None stands for every board there is and will be.
        writes: The boards they may write on, each of which they also see; None stands for every board.
        session: The session they came with, if they came with one.
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

    @property
    def actor(self) -> Actor:
        """
        How the log names them.
        """
        return Actor("user", self.user, self.name)


Principal = System | MemberPrincipal | AgentPrincipal


def board_of(principal: Principal) -> BoardId | None:
    """
    The one board on which the principal itself is at work, if it is an agent of one.
    """
    return principal.board if isinstance(principal, AgentPrincipal) else None


def boards_seen(principal: Principal) -> frozenset[BoardId] | None:
    """
    The boards whose rows the principal may see; None if it sees its whole organization. Whoever does not sees no row
    that belongs to no board.
    """
    if isinstance(principal, MemberPrincipal):
        return principal.reads
    own = board_of(principal)
    return None if own is None else frozenset((own,))


def boards_written(principal: Principal) -> frozenset[BoardId] | None:
    """
    The boards whose rows the principal may change; None if its grants keep it from none of its organization.
    """
    return principal.writes if isinstance(principal, MemberPrincipal) else boards_seen(principal)


def sees(principal: Principal, board: BoardId | None) -> bool:
    """
    Whether the principal may see what belongs to this board, or, with None, to no board.
    """
    seen = boards_seen(principal)
    return seen is None or board in seen


def writes_on(principal: Principal, board: BoardId | None) -> bool:
    """
    Whether the principal may change what belongs to this board, or, with None, to no board.
    """
    granted = boards_written(principal)
    return granted is None or board in granted


def identity_of(principal: Principal) -> str:
    """
    Who the principal is within its organization: the same whichever way it came.
    """
    actor = principal.actor
    return f"{actor.kind}:{actor.id or actor.name}"


def require(principal: Principal, role: Role) -> None:
    """
    Raises:
        RoleTooLow: If the principal's role does not reach *role*.
    """
    if RANK[principal.role] < RANK[role]:
        raise RoleTooLow(role.value, principal.role.value)


def require_no_agent(principal: Principal) -> None:
    """
    Refuse what an agent may not do with a key below admin: decide about the rules its own work meets.

    Raises:
        RoleTooLow: If the principal is such an agent.
    """
    if isinstance(principal, AgentPrincipal):
        require(principal, Role.ADMIN)


def require_over_all(principal: Principal) -> None:
    """
    Keep what is the whole organization's for its admins: users, settings, what all boards share. An agent of one board
    is none of them, whatever the role of its key, for by these it would reach beyond its board.

    Raises:
        RoleTooLow: If the principal is no admin.
        OneBoardAlone: If it is an agent of one board.
    """
    require(principal, Role.ADMIN)
    if board_of(principal) is not None:
        raise OneBoardAlone


def role_from(scopes: tuple[str, ...]) -> Role:
    """
    The highest role among a key's scopes; viewer where none is named.
    """
    return next((role for role in (Role.ADMIN, Role.OPERATOR) if role.value in scopes), Role.VIEWER)


class OneBoardAlone(Denied):
    """
    An agent of one board would see or change what is the whole organization's.
    """

    def __str__(self) -> str:
        return "this agent's key reaches its own board alone, and this is the whole organization's"


class ApiKeyNotFound(NotFound):
    """
    There is no such live key.
    """

    def __str__(self) -> str:
        return "there is no such live key; list the keys to see which are"


class NotYourAgent(Denied):
    """
    An agent's key reaches its own agent only.
    """

    def __str__(self) -> str:
        return "an agent's key may only be used for its own agent"


@frozen(kw_only=True, field_transformer=typed)
class ApiKey:
    """
    A secret that stands for a principal, kept as its SHA-256 only. *prefix* is what people recognise it by.
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
    created_at: datetime = field(validator=aware)
    updated_at: datetime = field(validator=aware)
    expires_at: datetime | None = field(default=None, validator=optional(aware))
    revoked_at: datetime | None = field(default=None, validator=optional(aware))
    last_used_at: datetime | None = field(default=None, validator=optional(aware))
    version: int = 0

    def revoke_for(self, agent: AgentId, *, at: datetime) -> tuple[ApiKey, KeyWasRevoked]:
        """
        End it for good.

        Raises:
            ApiKeyNotFound: If it is another agent's, or was revoked already.
        """
        if self.agent != agent or self.revoked_at is not None:
            raise ApiKeyNotFound
        return evolve(self, revoked_at=at, updated_at=at), KeyWasRevoked(key=self.id, agent=self.agent, at=at)


@frozen(kw_only=True)
class KeyMade(Fact):
    """
    An agent got a key.
    """

    kind = "key.made"
    about = "key"

    key: ApiKeyId
    agent: AgentId
    name: str
    scopes: tuple[str, ...]


@frozen(kw_only=True)
class KeyWasRevoked(Fact):
    """
    A key stopped working.
    """

    kind = "key.revoked"
    about = "key"

    key: ApiKeyId
    agent: AgentId
