"""
The credential store in memory: it finds the principal that a secret belongs to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from mission_adapters.memory.kind_tables import DEPLOYMENT_PRINCIPAL
from mission_adapters.memory.tables import UndoLog
from mission_core.accounts.invites import INVITES, Invite
from mission_core.accounts.members import MEMBERS, BoardPermission, Member, principal_of_member
from mission_core.accounts.model import SERVER_PRINCIPAL, AgentPrincipal, SystemPrincipal, role_from_scopes
from mission_core.accounts.organizations import ORGANIZATIONS, Organization
from mission_core.accounts.server_keys import SERVER_KEYS
from mission_core.accounts.sessions import SESSIONS
from mission_core.accounts.users import USERS
from mission_core.boards.grants import GRANTS
from mission_core.lazy_attrs import define

if TYPE_CHECKING:
    from datetime import datetime

    from mission_adapters.memory.agents import AgentTable
    from mission_adapters.memory.api_keys import ApiKeyTable
    from mission_adapters.memory.boards import BoardTable
    from mission_adapters.memory.kind_tables import KindTables
    from mission_core.accounts.model import MemberPrincipal, Principal
    from mission_core.ids import BoardId, InviteId, OrganizationId, SessionId, UserId


@define
class MemoryCredentialStore:
    """
    Finds the principal of a secret. It is the only port whose reads are not scoped to an organization.
    """

    keys: ApiKeyTable
    agents: AgentTable
    kind_tables: KindTables
    boards: BoardTable
    journal: UndoLog

    async def principal_of(self, digest: bytes, *, at: datetime) -> Principal | None:
        """
        The principal of the API key or server key with this SHA-256, if the key is valid at *at*.
        """
        id = self.keys.by_digest.ids.get(digest)
        key = self.keys.rows[id] if id else None
        if key is None:
            servers = self.kind_tables[SERVER_KEYS].matching(DEPLOYMENT_PRINCIPAL, {"digest": digest})
            return next(
                (
                    evolve(SERVER_PRINCIPAL, organization=each.of, expires_at=each.expires_at)
                    for each in servers
                    if each.is_valid(at=at)
                ),
                None,
            )
        if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= at):
            return None
        agent = self.agents.rows.get(key.agent)
        if agent is None:
            return None
        return AgentPrincipal(
            organization=key.organization,
            agent=agent.id,
            name=agent.name,
            board=agent.board,
            lead=agent.lead,
            role=role_from_scopes(key.scopes),
            scopes=frozenset(key.scopes),
            key=key.id,
            seen_at=agent.presence.last_seen_at,
            expires_at=key.expires_at,
        )

    def is_operator_secret(self, digest: bytes) -> bool:
        """
        False: the operator's own secrets are in the environment, not in the store.
        """
        return False

    async def session_principal(self, digest: bytes, *, at: datetime) -> MemberPrincipal | None:
        """
        The member of the session whose secret has this SHA-256, unless the session has expired.
        """
        found = self.kind_tables[SESSIONS].matching(DEPLOYMENT_PRINCIPAL, {"digest": digest})
        if not found or found[0].expires_at <= at:
            return None
        member = self._member_principal(found[0].user, found[0].workspace, session=found[0].id)
        return None if member is None else evolve(member, expires_at=found[0].expires_at)

    async def member(self, user: UserId, organization: OrganizationId | None = None) -> MemberPrincipal | None:
        """
        The user as a member of this organization, or of their active one if none is given.
        """
        return self._member_principal(user, organization)

    def _member_principal(
        self, id: UserId, organization: OrganizationId | None, *, session: SessionId | None = None
    ) -> MemberPrincipal | None:
        user = self.kind_tables[USERS].rows.get(id)
        place = organization or (user.active if user else None)
        if user is None or not user.approved or place is None:
            return None
        there = SystemPrincipal(organization=place)
        members = self.kind_tables[MEMBERS].matching(there, {"user": id})
        if not members:
            return None
        return principal_of_member(
            members[0],
            self._granted(members[0]),
            number=user.number,
            username=user.username,
            display=user.display,
            session=session,
        )

    async def memberships(self, user: UserId) -> list[tuple[Organization, Member]]:
        """
        The user's memberships with their organizations, the oldest first.
        """
        own = [each for each in self.kind_tables[MEMBERS].rows.values() if each.user == user]
        own.sort(key=lambda each: (each.created_at, each.id))
        return [(self.by_id(each.organization), each) for each in own]

    async def board_permissions(self, member: Member) -> list[BoardPermission]:
        """
        The member's board access grants.
        """
        return self._granted(member)

    def _granted(self, member: Member) -> list[BoardPermission]:
        grants = self.kind_tables[GRANTS].matching(
            SystemPrincipal(organization=member.organization), {"member": member.id}
        )
        return [BoardPermission(each.on_board, each.can_read, each.can_write) for each in grants]

    async def is_server_key_replaced(self, organization: OrganizationId, digest: bytes, *, at: datetime) -> bool:
        """
        Whether the organization has server keys, and none that is valid at *at* has this digest.
        """
        keys = self.kind_tables[SERVER_KEYS].matching(DEPLOYMENT_PRINCIPAL, {"of": organization})
        return bool(keys) and not any(each.digest == digest and each.is_valid(at=at) for each in keys)

    async def organization(self, slug: str) -> Organization | None:
        """
        The organization with this slug, or None.
        """
        return next(iter(self.kind_tables[ORGANIZATIONS].matching(DEPLOYMENT_PRINCIPAL, {"slug": slug})), None)

    def by_id(self, id: OrganizationId) -> Organization:
        """
        The organization with this id.

        Raises:
            OrganizationNotFound: If there is none.
        """
        found: Organization = self.kind_tables[ORGANIZATIONS].find(DEPLOYMENT_PRINCIPAL, id)
        return found

    async def create_organization(self, organization: Organization) -> Organization:
        """
        Create the organization if its slug is free, and return the organization that has the slug.
        """
        kept = await self.organization(organization.slug)
        if kept is None:
            kept = self.kind_tables[ORGANIZATIONS].add(organization)
            self.journal.clear()
        return kept

    async def organization_of(self, board: BoardId) -> OrganizationId | None:
        """
        The organization that a board belongs to, or None if there is no such board.
        """
        found = self.boards.rows.get(board)
        return found.organization if found else None

    async def organizations(self) -> list[OrganizationId]:
        """
        The ids of all organizations.
        """
        return [each.id for each in self.kind_tables[ORGANIZATIONS].matching(DEPLOYMENT_PRINCIPAL, {})]

    async def find_invite(self, invite: InviteId) -> Invite | None:
        """
        The invite with this id, in any organization.
        """
        return self.kind_tables[INVITES].rows.get(invite)

    async def invites_for(self, email: str) -> list[Invite]:
        """
        The pending invites for this e-mail address, the oldest first.
        """
        found = [each for each in self.kind_tables[INVITES].rows.values() if each.email == email and each.pending]
        return sorted(found, key=lambda each: (each.created_at, each.id))
