"""
The `Credentials` port in SQL: principals by secret, memberships, invites and organizations.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen
from sqlalchemy import and_, func, literal, null, or_, select, union_all
from sqlalchemy.dialects import postgresql, sqlite

from mission_adapters.sql.columns import ID, INTEGER, TEXT
from mission_adapters.sql.mapping import id_from, maybe_id, maybe_moment, trusted
from mission_adapters.sql.members import acting_as, granted_to, signed_in
from mission_adapters.sql.plain import SHELVES
from mission_adapters.sql.session import Ask, Session, Steps
from mission_adapters.sql.statements import Statement, value
from mission_adapters.sql.tables import agents, api_keys, boards, organizations
from mission_core.accounts.invites import INVITES
from mission_core.accounts.members import MEMBERS
from mission_core.accounts.model import SERVER, AgentPrincipal, Principal, role_from
from mission_core.accounts.organizations import ORGANIZATIONS, Organization, OrganizationNameTaken, OrganizationNotFound
from mission_core.accounts.server_keys import SERVER_KEYS
from mission_core.kinds import DEPLOYMENT
from mission_core.values import micros

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.accounts.invites import Invite
    from mission_core.accounts.members import Granted, Member
    from mission_core.accounts.model import MemberPrincipal
    from mission_core.ids import BoardId, InviteId, OrganizationId, UserId

make_principal = trusted(AgentPrincipal)

_server_keys: Final = SHELVES[SERVER_KEYS].table
_members: Final = SHELVES[MEMBERS].table
_invites: Final = SHELVES[INVITES].table
_agents_own: Final = (
    select(
        api_keys.c.organization,
        agents.c.id,
        agents.c.name,
        agents.c.board,
        agents.c.lead,
        api_keys.c.scopes,
        api_keys.c.id.label("key"),
        agents.c.last_seen_at,
    )
    .join(agents, agents.c.id == api_keys.c.agent)
    .where(
        api_keys.c.digest == value("digest"),
        api_keys.c.revoked_at.is_(None),
        api_keys.c.expires_at.is_(None) | (api_keys.c.expires_at > value("at", int)),
    )
)
_servers: Final = select(
    _server_keys.c.of,
    null().cast(ID),
    literal("", TEXT),
    null().cast(ID),
    literal(0, INTEGER),
    literal("[]", TEXT),
    _server_keys.c.id,
    null().cast(INTEGER),
).where(
    _server_keys.c.organization == value("deployment"),
    _server_keys.c.digest == value("digest"),
    _server_keys.c.expires_at.is_(None) | (_server_keys.c.expires_at > value("at", int)),
)
SHOWN: Final = Statement(union_all(_agents_own, _servers))
SUPERSEDED: Final = Statement(
    select(
        func.count(),
        func.count().filter(
            and_(
                _server_keys.c.digest == value("digest"),
                or_(_server_keys.c.expires_at.is_(None), _server_keys.c.expires_at > value("at", int)),
            )
        ),
    ).where(_server_keys.c.organization == value("deployment"), _server_keys.c.of == value("of"))
)
MEMBERSHIPS: Final = Statement(
    select(*organizations.c, *_members.c)
    .join(_members, _members.c.organization == organizations.c.id)
    .where(_members.c.user == value("user"))
    .order_by(_members.c.created_at, _members.c.id)
)
INVITED: Final = Statement(select(*_invites.c).where(_invites.c.id == value("invite")))
WAITING: Final = Statement(
    select(*_invites.c)
    .where(_invites.c.email == value("email", str), _invites.c.accepted_at.is_(None))
    .order_by(_invites.c.created_at, _invites.c.id)
)
BY_ID: Final = Statement(select(*organizations.c).where(organizations.c.id == value("organization")))
BY_SLUG: Final = Statement(select(*organizations.c).where(organizations.c.slug == value("slug", str)))
OWNER: Final = Statement(select(boards.c.organization).where(boards.c.id == value("board")))
ALL: Final = Statement(select(organizations.c.id).order_by(organizations.c.number))
FOUND: Final = {
    dialect: Statement(dialects.insert(organizations).on_conflict_do_nothing())
    for dialect, dialects in (("sqlite", sqlite), ("postgresql", postgresql))
}


@frozen
class SqlCredentials:
    """
    Looks up principals, organizations and invites without being limited to one organization.
    """

    session: Session

    async def principal_of(self, digest: bytes, *, at: datetime) -> Principal | None:
        """
        Return the principal of the API key with this SHA-256 digest, unless the key is revoked or expired at *at*.
        """
        rows = await self._rows(SHOWN(self.session.dialect, digest=digest, at=micros(at), deployment=DEPLOYMENT.bytes))
        if not rows:
            return None
        organization, agent, name, board, lead, scopes, key, seen_at = rows[0]
        if agent is None:
            return evolve(SERVER, organization=id_from(organization))
        named = tuple(json.loads(scopes))
        principal: Principal = make_principal(
            organization=id_from(organization),
            agent=id_from(agent),
            name=name,
            board=maybe_id(board),
            lead=bool(lead),
            role=role_from(named),
            scopes=frozenset(named),
            key=id_from(key),
            seen_at=maybe_moment(seen_at),
        )
        return principal

    def is_operators(self, digest: bytes) -> bool:
        """
        Whether the operator configured this secret. Always false: those secrets are not in the database.
        """
        return False

    async def signed_in(self, digest: bytes, *, at: datetime) -> MemberPrincipal | None:
        """
        Return the member whose session secret has this SHA-256 digest.
        """
        return await self.session.read(lambda: signed_in(self.session.dialect, digest, at=micros(at)))

    async def member(self, user: UserId, organization: OrganizationId | None = None) -> MemberPrincipal | None:
        """
        Return the user as a member of *organization*, by default of the user's active organization.
        """
        return await self.session.read(lambda: acting_as(self.session.dialect, user, organization))

    async def memberships(self, user: UserId) -> list[tuple[Organization, Member]]:
        """
        Return the user's memberships with their organizations, oldest first.
        """
        rows = map(tuple, await self._rows(MEMBERSHIPS(self.session.dialect, user=user.bytes)))
        own = len(organizations.c)
        return [(_organization_from(row[:own]), SHELVES[MEMBERS].entity_from(row[own:])) for row in rows]

    async def granted(self, member: Member) -> list[Granted]:
        """
        Return the member's grants on single boards.
        """
        return await self.session.read(lambda: granted_to(self.session.dialect, member))

    async def superseded(self, organization: OrganizationId, digest: bytes, *, at: datetime) -> bool:
        """
        Whether the organization has generated server keys and this digest belongs to none that is valid at *at*.
        """
        given = {"deployment": DEPLOYMENT.bytes, "of": organization.bytes, "digest": digest, "at": micros(at)}
        ((keys, good),) = await self._rows(SUPERSEDED(self.session.dialect, **given))
        return bool(keys) and not good

    async def organization(self, slug: str) -> Organization | None:
        """
        Return the organization with this slug, or None.
        """
        rows = await self._rows(BY_SLUG(self.session.dialect, slug=slug))
        return _organization_from(rows[0]) if rows else None

    async def found(self, organization: Organization) -> Organization:
        """
        Insert the organization unless its slug is taken. Return the organization that has the slug now.
        """
        dialect, row = self.session.dialect, SHELVES[ORGANIZATIONS].row_from(organization)

        def steps() -> Steps[list[Any]]:
            yield FOUND[dialect].count(dialect, **row)
            rows: list[Any] = yield BY_SLUG(dialect, slug=organization.slug)
            return rows

        rows = await self.session.write(steps)
        if not rows:
            raise OrganizationNameTaken
        return _organization_from(rows[0])

    async def invited(self, invite: InviteId) -> Invite | None:
        """
        Return the invite with this id from any organization, or None.
        """
        rows = await self._rows(INVITED(self.session.dialect, invite=invite.bytes))
        return SHELVES[INVITES].entity_from(tuple(rows[0])) if rows else None

    async def invites_for(self, email: str) -> list[Invite]:
        """
        Return the open invites for this e-mail address, oldest first.
        """
        rows = await self._rows(WAITING(self.session.dialect, email=email))
        return [SHELVES[INVITES].entity_from(tuple(row)) for row in rows]

    async def organization_of(self, board: BoardId) -> OrganizationId | None:
        """
        Return the organization of a board, or None if the board does not exist.
        """
        rows = await self._rows(OWNER(self.session.dialect, board=board.bytes))
        return id_from(rows[0][0]) if rows else None

    async def organizations(self) -> list[OrganizationId]:
        """
        Return the ids of all organizations, oldest first.
        """
        return [id_from(row[0]) for row in await self._rows(ALL(self.session.dialect))]

    async def _rows(self, ask: Ask) -> list[Any]:
        def steps() -> Steps[list[Any]]:
            rows: list[Any] = yield ask
            return rows

        return await self.session.read(steps)


def organization_of(dialect: str, principal: Principal) -> Steps[Organization]:
    """
    Return the principal's organization.

    Raises:
        OrganizationNotFound: If the organization was deleted.
    """
    rows = yield BY_ID(dialect, organization=principal.organization.bytes)
    if not rows:
        raise OrganizationNotFound
    return _organization_from(rows[0])


def _organization_from(row: Any) -> Organization:
    found: Organization = SHELVES[ORGANIZATIONS].entity_from(tuple(row))
    return found
