"""
The `Credentials` port in SQL: principals by secret, memberships, invites and organizations.
"""

from __future__ import annotations

import json
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from attrs import evolve, field
from sqlalchemy import Executable, and_, func, literal, null, or_, select, union_all
from sqlalchemy.dialects import postgresql, sqlite

from mission_adapters.sql.columns import ID, INTEGER, TEXT
from mission_adapters.sql.conversions import optional_moment, optional_uuid
from mission_adapters.sql.database_session import BoundStatement, DatabaseSession, Steps
from mission_adapters.sql.kind_tables import MAPPINGS
from mission_adapters.sql.member_reads import (
    read_grants,
    read_member_principal,
    read_session_principal,
    select_member,
    select_member_of_session,
)
from mission_adapters.sql.read_cache import CachedReads, cached_reads, columns_read
from mission_adapters.sql.statements import Statement, cached_statement, parameter
from mission_adapters.sql.tables import agents, api_keys, boards, organizations
from mission_core.accounts.invites import INVITES
from mission_core.accounts.members import MEMBERS
from mission_core.accounts.model import (
    SERVER_PRINCIPAL,
    AgentPrincipal,
    Principal,
    presence_update_due,
    role_from_scopes,
)
from mission_core.accounts.organizations import ORGANIZATIONS, Organization, OrganizationNameTaken, OrganizationNotFound
from mission_core.accounts.server_keys import SERVER_KEYS
from mission_core.kinds import DEPLOYMENT
from mission_core.lazy_attrs import frozen
from mission_core.row_mapping import trusted_constructor, uuid_of_bytes
from mission_core.values import micros

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.accounts.invites import Invite
    from mission_core.accounts.members import BoardPermission, Member
    from mission_core.accounts.model import MemberPrincipal
    from mission_core.ids import BoardId, InviteId, OrganizationId, UserId

V = TypeVar("V")
make_agent_principal = trusted_constructor(AgentPrincipal)

_server_keys: Final = MAPPINGS[SERVER_KEYS].table
_members: Final = MAPPINGS[MEMBERS].table
_agent_keys: Final = (
    select(
        api_keys.c.organization,
        agents.c.id,
        agents.c.name,
        agents.c.board,
        agents.c.lead,
        api_keys.c.scopes,
        api_keys.c.id.label("key"),
        agents.c.last_seen_at,
        api_keys.c.expires_at,
    )
    .join(agents, agents.c.id == api_keys.c.agent)
    .where(
        api_keys.c.digest == parameter("digest"),
        api_keys.c.revoked_at.is_(None),
        api_keys.c.expires_at.is_(None) | (api_keys.c.expires_at > parameter("at", int)),
    )
)
_server_principals: Final = select(
    _server_keys.c.of,
    null().cast(ID),
    literal("", TEXT),
    null().cast(ID),
    literal(0, INTEGER),
    literal("[]", TEXT),
    _server_keys.c.id,
    null().cast(INTEGER),
    _server_keys.c.expires_at,
).where(
    _server_keys.c.organization == parameter("deployment"),
    _server_keys.c.digest == parameter("digest"),
    _server_keys.c.expires_at.is_(None) | (_server_keys.c.expires_at > parameter("at", int)),
)
PRINCIPAL_OF_KEY: Final = Statement(union_all(_agent_keys, _server_principals))
SERVER_KEY_COUNTS: Final = Statement(
    select(
        func.count(),
        func.count().filter(
            and_(
                _server_keys.c.digest == parameter("digest"),
                or_(_server_keys.c.expires_at.is_(None), _server_keys.c.expires_at > parameter("at", int)),
            )
        ),
        func.min(_server_keys.c.expires_at).filter(_server_keys.c.digest == parameter("digest")),
    ).where(_server_keys.c.organization == parameter("deployment"), _server_keys.c.of == parameter("of"))
)
MEMBERSHIPS: Final = Statement(
    select(*organizations.c, *_members.c)
    .join(_members, _members.c.organization == organizations.c.id)
    .where(_members.c.user == parameter("user"))
    .order_by(_members.c.created_at, _members.c.id)
)
ORGANIZATION_BY_ID: Final = Statement(select(*organizations.c).where(organizations.c.id == parameter("organization")))
ORGANIZATION_BY_SLUG: Final = Statement(select(*organizations.c).where(organizations.c.slug == parameter("slug", str)))
ORGANIZATION_OF_BOARD: Final = Statement(select(boards.c.organization).where(boards.c.id == parameter("board")))
ORGANIZATION_IDS: Final = Statement(select(organizations.c.id).order_by(organizations.c.number))
INSERT_ORGANIZATION: Final = {
    dialect: Statement(dialects.insert(organizations).on_conflict_do_nothing())
    for dialect, dialects in (("sqlite", sqlite), ("postgresql", postgresql))
}


@cached_statement
def _select_invite() -> Executable:
    invites = MAPPINGS[INVITES].table
    return select(*invites.c).where(invites.c.id == parameter("invite"))


@cached_statement
def _select_open_invites() -> Executable:
    invites = MAPPINGS[INVITES].table
    found = select(*invites.c).where(invites.c.email == parameter("email", str), invites.c.accepted_at.is_(None))
    return found.order_by(invites.c.created_at, invites.c.id)


@cache
def key_columns() -> frozenset[str]:
    """
    Return the columns from which the principal of a key is read, without its presence: a principal whose presence
    update is due is read again, so the presence updates between need not drop it.
    """
    return columns_read([PRINCIPAL_OF_KEY], without=["agents.last_seen_at"])


@cache
def server_key_columns() -> frozenset[str]:
    """
    Return the columns from which the validity of a server key is read.
    """
    return columns_read([SERVER_KEY_COUNTS])


@cache
def session_columns() -> frozenset[str]:
    """
    Return the columns from which the principal of a session is read.
    """
    return columns_read([select_member_of_session()])


@cache
def member_columns() -> frozenset[str]:
    """
    Return the columns from which a user is read as a member.
    """
    return columns_read([select_member(True), select_member(False)])


class Valid(NamedTuple, Generic[V]):
    """
    A valid credential: the answer to its lookup, and the microsecond from which it is expired, if it expires.
    """

    answer: V
    expires_at: int | None

    def is_valid(self, at: datetime) -> bool:
        """
        Whether the credential has not expired.
        """
        return self.expires_at is None or micros(at) < self.expires_at


@frozen(eq=False, repr=False)
class SqlCredentialStore:
    """
    Looks up principals, organizations and invites without being limited to one organization. Valid credentials are
    cached where the session can tell that nothing about them was changed.
    """

    session: DatabaseSession
    _keys: CachedReads[Valid[Principal]] = field(init=False, default=cached_reads(key_columns))
    _server_keys: CachedReads[Valid[None]] = field(init=False, default=cached_reads(server_key_columns))
    _sessions: CachedReads[Valid[MemberPrincipal]] = field(init=False, default=cached_reads(session_columns))
    _members: CachedReads[MemberPrincipal] = field(init=False, default=cached_reads(member_columns))

    async def principal_of(self, digest: bytes, *, at: datetime) -> Principal | None:
        """
        Return the principal of the API key with this SHA-256 digest, unless the key is revoked or expired at *at*.
        """
        found = self._keys.find(digest)
        if found is None or not found.is_valid(at) or presence_update_due(found.answer, at=at):
            found = await self._keys.read(digest, partial(self._read_principal, digest, at))
        return found.answer if found is not None else None

    async def _read_principal(self, digest: bytes, at: datetime) -> Valid[Principal] | None:
        rows = await self._rows(
            PRINCIPAL_OF_KEY(self.session.dialect, digest=digest, at=micros(at), deployment=DEPLOYMENT.bytes)
        )
        if not rows:
            return None
        organization, agent, name, board, lead, scopes, key, seen_at, expires_at = rows[0]
        if agent is None:
            server = evolve(
                SERVER_PRINCIPAL, organization=uuid_of_bytes(organization), expires_at=optional_moment(expires_at)
            )
            return Valid(server, expires_at)
        named = tuple(json.loads(scopes))
        principal: Principal = make_agent_principal(
            organization=uuid_of_bytes(organization),
            agent=uuid_of_bytes(agent),
            name=name,
            board=optional_uuid(board),
            lead=bool(lead),
            role=role_from_scopes(named),
            scopes=frozenset(named),
            key=uuid_of_bytes(key),
            seen_at=optional_moment(seen_at),
            expires_at=optional_moment(expires_at),
        )
        return Valid(principal, expires_at)

    def is_operator_secret(self, digest: bytes) -> bool:
        """
        Whether the operator configured this secret. Always false: those secrets are not in the database.
        """
        return False

    async def session_principal(self, digest: bytes, *, at: datetime) -> MemberPrincipal | None:
        """
        Return the member whose session secret has this SHA-256 digest.
        """
        found = self._sessions.find(digest)
        if found is None or not found.is_valid(at):
            found = await self._sessions.read(digest, partial(self._read_session, digest, at))
        return found.answer if found is not None else None

    async def _read_session(self, digest: bytes, at: datetime) -> Valid[MemberPrincipal] | None:
        found = await self.session.read(lambda: read_session_principal(self.session.dialect, digest, at=micros(at)))
        return Valid(*found) if found is not None else None

    async def member(self, user: UserId, organization: OrganizationId | None = None) -> MemberPrincipal | None:
        """
        Return the user as a member of *organization*, by default of the user's active organization.
        """
        key = user, organization
        return self._members.find(key) or await self._members.read(key, partial(self._read_member, user, organization))

    async def _read_member(self, user: UserId, organization: OrganizationId | None) -> MemberPrincipal | None:
        return await self.session.read(lambda: read_member_principal(self.session.dialect, user, organization))

    async def memberships(self, user: UserId) -> list[tuple[Organization, Member]]:
        """
        Return the user's memberships with their organizations, oldest first.
        """
        rows = map(tuple, await self._rows(MEMBERSHIPS(self.session.dialect, user=user.bytes)))
        own = len(organizations.c)
        return [(_organization_from(row[:own]), MAPPINGS[MEMBERS].rows.entity_from(row[own:])) for row in rows]

    async def board_permissions(self, member: Member) -> list[BoardPermission]:
        """
        Return the member's grants on single boards.
        """
        return await self.session.read(lambda: read_grants(self.session.dialect, member))

    async def is_server_key_replaced(self, organization: OrganizationId, digest: bytes, *, at: datetime) -> bool:
        """
        Whether the organization has generated server keys and this digest belongs to none that is valid at *at*.
        """
        key = organization, digest
        found = self._server_keys.find(key)
        if found is None or not found.is_valid(at):
            found = await self._server_keys.read(key, partial(self._read_server_key, organization, digest, at))
        return found is None

    async def _read_server_key(self, organization: OrganizationId, digest: bytes, at: datetime) -> Valid[None] | None:
        """
        Return the validity of a key, which lasts without end while nothing has replaced the configured key; None if it
        was replaced.
        """
        given = {"deployment": DEPLOYMENT.bytes, "of": organization.bytes, "digest": digest, "at": micros(at)}
        ((keys, good, expires_at),) = await self._rows(SERVER_KEY_COUNTS(self.session.dialect, **given))
        return Valid(None, expires_at if good else None) if good or not keys else None

    async def organization(self, slug: str) -> Organization | None:
        """
        Return the organization with this slug, or None.
        """
        rows = await self._rows(ORGANIZATION_BY_SLUG(self.session.dialect, slug=slug))
        return _organization_from(rows[0]) if rows else None

    async def create_organization(self, organization: Organization) -> Organization:
        """
        Insert the organization unless its slug is taken. Return the organization that has the slug now.
        """
        dialect, row = self.session.dialect, MAPPINGS[ORGANIZATIONS].rows.row_from(organization)

        def steps() -> Steps[list[Any]]:
            yield INSERT_ORGANIZATION[dialect].count(dialect, **row)
            rows: list[Any] = yield ORGANIZATION_BY_SLUG(dialect, slug=organization.slug)
            return rows

        rows = await self.session.write(steps)
        if not rows:
            raise OrganizationNameTaken
        return _organization_from(rows[0])

    async def find_invite(self, invite: InviteId) -> Invite | None:
        """
        Return the invite with this id from any organization, or None.
        """
        rows = await self._rows(_select_invite()(self.session.dialect, invite=invite.bytes))
        return MAPPINGS[INVITES].rows.entity_from(tuple(rows[0])) if rows else None

    async def invites_for(self, email: str) -> list[Invite]:
        """
        Return the open invites for this e-mail address, oldest first.
        """
        rows = await self._rows(_select_open_invites()(self.session.dialect, email=email))
        return [MAPPINGS[INVITES].rows.entity_from(tuple(row)) for row in rows]

    async def organization_of(self, board: BoardId) -> OrganizationId | None:
        """
        Return the organization of a board, or None if the board does not exist.
        """
        rows = await self._rows(ORGANIZATION_OF_BOARD(self.session.dialect, board=board.bytes))
        return uuid_of_bytes(rows[0][0]) if rows else None

    async def organizations(self) -> list[OrganizationId]:
        """
        Return the ids of all organizations, oldest first.
        """
        return [uuid_of_bytes(row[0]) for row in await self._rows(ORGANIZATION_IDS(self.session.dialect))]

    async def _rows(self, ask: BoundStatement) -> list[Any]:
        def steps() -> Steps[list[Any]]:
            rows: list[Any] = yield ask
            return rows

        return await self.session.read(steps)


def read_organization(dialect: str, principal: Principal) -> Steps[Organization]:
    """
    Return the principal's organization.

    Raises:
        OrganizationNotFound: If the organization was deleted.
    """
    rows = yield ORGANIZATION_BY_ID(dialect, organization=principal.organization.bytes)
    if not rows:
        raise OrganizationNotFound
    return _organization_from(rows[0])


def _organization_from(row: Any) -> Organization:
    found: Organization = MAPPINGS[ORGANIZATIONS].rows.entity_from(tuple(row))
    return found
