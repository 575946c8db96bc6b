"""
API keys, credentials, members and idempotency keys in memory.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field, frozen

from mission_adapters.memory.plain import NOBODY
from mission_adapters.memory.tables import Groups, Journal, Table, Unique, numbered
from mission_core.accounts.invites import INVITES, Invite
from mission_core.accounts.members import MEMBERS, Colleague, Granted, Member, acting
from mission_core.accounts.model import SERVER, AgentPrincipal, ApiKey, ApiKeyNotFound, System, identity_of, role_from
from mission_core.accounts.organizations import ORGANIZATIONS, Organization
from mission_core.accounts.server_keys import SERVER_KEYS
from mission_core.accounts.sessions import SESSIONS
from mission_core.accounts.users import USERS, UserNotFound
from mission_core.boards.grants import GRANTS
from mission_core.errors import Conflict, KeyReused
from mission_core.ports import REMEMBERED, AlreadyDone

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from mission_adapters.memory.agents import AgentTable
    from mission_adapters.memory.boards import BoardTable
    from mission_adapters.memory.plain import PlainTable
    from mission_core.accounts.model import MemberPrincipal, Principal
    from mission_core.ids import (
        AgentId,
        ApiKeyId,
        ApiKeyNumber,
        BoardId,
        InviteId,
        OrganizationId,
        SessionId,
        UserId,
        UserNumber,
    )
    from mission_core.kinds import Kind
    from mission_core.ports import Once


class KeyTable(Table[ApiKey]):
    """
    The API keys of all agents.
    """

    def __init__(self, journal: Journal) -> None:
        self.by_digest = Unique[ApiKey](lambda key: key.digest, Conflict)
        self.by_number = Unique[ApiKey](numbered, Conflict)
        self.of_agent = Groups[ApiKey](lambda key: (key.agent,))
        super().__init__("key", journal, (self.by_digest, self.by_number), (self.of_agent,))

    def find(self, principal: Principal, key: ApiKeyId | ApiKeyNumber) -> ApiKey:
        """
        An API key of the principal's organization, by id or number.

        Raises:
            ApiKeyNotFound: If the principal's organization has none.
        """
        id = self.by_number.ids.get((principal.organization, key)) if isinstance(key, int) else key
        found = self.rows.get(id) if id else None
        if found is None or found.organization != principal.organization:
            raise ApiKeyNotFound
        return found

    def use(self, key: UUID, *, at: datetime) -> None:
        """
        Set the time at which the key was last used, unless a later time is known.
        """
        known = self.rows.get(key)
        if known is not None and (known.last_used_at is None or known.last_used_at <= at):
            self.put(evolve(known, last_used_at=at))

    def list_of(self, principal: Principal, agent: AgentId) -> list[ApiKey]:
        """
        The agent's API keys, newest first.
        """
        keys = self.each(self.of_agent.of(agent))
        own = [key for key in keys if key.organization == principal.organization]
        return sorted(own, key=lambda key: key.number, reverse=True)


@define
class MemoryCredentials:
    """
    Finds the principal of a secret. It is the only port whose reads are not scoped to an organization.
    """

    keys: KeyTable
    agents: AgentTable
    plain: dict[Kind[Any], PlainTable[Any]]
    boards: BoardTable
    journal: Journal

    async def principal_of(self, digest: bytes, *, at: datetime) -> Principal | None:
        """
        The principal of the API key or server key with this SHA-256, if the key is valid at *at*.
        """
        id = self.keys.by_digest.ids.get(digest)
        key = self.keys.rows[id] if id else None
        if key is None:
            servers = self.plain[SERVER_KEYS].matching(NOBODY, {"digest": digest})
            return next((evolve(SERVER, organization=each.of) for each in servers if each.lives(at=at)), None)
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
            role=role_from(key.scopes),
            scopes=frozenset(key.scopes),
            key=key.id,
            seen_at=agent.presence.last_seen_at,
        )

    def is_operators(self, digest: bytes) -> bool:
        """
        False: the operator's own secrets are in the environment, not in the store.
        """
        return False

    async def signed_in(self, digest: bytes, *, at: datetime) -> MemberPrincipal | None:
        """
        The member of the session whose secret has this SHA-256, unless the session has expired.
        """
        found = self.plain[SESSIONS].matching(NOBODY, {"digest": digest})
        if not found or found[0].expires_at <= at:
            return None
        return self._acting_as(found[0].user, found[0].workspace, session=found[0].id)

    async def member(self, user: UserId, organization: OrganizationId | None = None) -> MemberPrincipal | None:
        """
        The user as a member of this organization, or of their active one if none is given.
        """
        return self._acting_as(user, organization)

    def _acting_as(
        self, id: UserId, organization: OrganizationId | None, *, session: SessionId | None = None
    ) -> MemberPrincipal | None:
        user = self.plain[USERS].rows.get(id)
        place = organization or (user.active if user else None)
        if user is None or not user.approved or place is None:
            return None
        there = System(organization=place)
        members = self.plain[MEMBERS].matching(there, {"user": id})
        if not members:
            return None
        return acting(
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
        own = [each for each in self.plain[MEMBERS].rows.values() if each.user == user]
        own.sort(key=lambda each: (each.created_at, each.id))
        return [(self.by_id(each.organization), each) for each in own]

    async def granted(self, member: Member) -> list[Granted]:
        """
        The member's board access grants.
        """
        return self._granted(member)

    def _granted(self, member: Member) -> list[Granted]:
        grants = self.plain[GRANTS].matching(System(organization=member.organization), {"member": member.id})
        return [Granted(each.on_board, each.can_read, each.can_write) for each in grants]

    async def superseded(self, organization: OrganizationId, digest: bytes, *, at: datetime) -> bool:
        """
        Whether the organization has server keys, and none that is valid at *at* has this digest.
        """
        keys = self.plain[SERVER_KEYS].matching(NOBODY, {"of": organization})
        return bool(keys) and not any(each.digest == digest and each.lives(at=at) for each in keys)

    async def organization(self, slug: str) -> Organization | None:
        """
        The organization with this slug, or None.
        """
        return next(iter(self.plain[ORGANIZATIONS].matching(NOBODY, {"slug": slug})), None)

    def by_id(self, id: OrganizationId) -> Organization:
        """
        The organization with this id.

        Raises:
            OrganizationNotFound: If there is none.
        """
        found: Organization = self.plain[ORGANIZATIONS].find(NOBODY, id)
        return found

    async def found(self, organization: Organization) -> Organization:
        """
        Create the organization if its slug is free, and return the organization that has the slug.
        """
        kept = await self.organization(organization.slug)
        if kept is None:
            kept = self.plain[ORGANIZATIONS].add(organization)
            self.journal.forget()
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
        return [each.id for each in self.plain[ORGANIZATIONS].matching(NOBODY, {})]

    async def invited(self, invite: InviteId) -> Invite | None:
        """
        The invite with this id, in any organization.
        """
        return self.plain[INVITES].rows.get(invite)

    async def invites_for(self, email: str) -> list[Invite]:
        """
        The pending invites for this e-mail address, the oldest first.
        """
        found = [each for each in self.plain[INVITES].rows.values() if each.email == email and each.pending]
        return sorted(found, key=lambda each: (each.created_at, each.id))


@frozen
class MemoryMemberReads:
    """
    Reads the members of the principal's organization.
    """

    plain: dict[Kind[Any], PlainTable[Any]]

    async def every(self, principal: Principal) -> list[Colleague]:
        """
        All members with their users, ordered by the users' numbers.
        """
        users = self.plain[USERS].rows
        found = [Colleague(each, users[each.user]) for each in self.plain[MEMBERS].matching(principal, {})]
        return sorted(found, key=lambda each: each.user.number)

    async def get(self, principal: Principal, user: UserId | UserNumber) -> Colleague:
        """
        The member with this user id or user number.
        """
        found = await self.every(principal)
        for each in found:
            if user in (each.user.id, each.user.number):
                return each
        raise UserNotFound


@define
class UsedKeys:
    """
    The idempotency keys of the last 24 hours with their results, the oldest first.
    """

    journal: Journal
    used: dict[tuple[object, ...], tuple[bytes, UUID, datetime]] = field(factory=dict)

    def find(self, principal: Principal, once: Once, *, since: datetime) -> UUID | None:
        """
        The result stored for this idempotency key after *since*, or None.

        Raises:
            KeyReused: If the key was used with another request body.
        """
        digest, result, at = self.used.get(_name(principal, once), (b"", None, since))
        if at <= since:
            return None
        if digest != once.body_digest:
            raise KeyReused(once.key)
        return result

    def check(self, principal: Principal, once: Once, *, at: datetime) -> None:
        """
        Require that the idempotency key was not used in the last 24 hours.

        Raises:
            AlreadyDone: If it was used with the same request body.
            KeyReused: If it was used with another request body.
        """
        result = self.find(principal, once, since=at - REMEMBERED)
        if result is not None:
            raise AlreadyDone(result)

    def keep(self, principal: Principal, once: Once, result: UUID, *, at: datetime) -> None:
        """
        Store the result of a new idempotency key, and delete expired keys.
        """
        name = _name(principal, once)
        self._forget(before=at - REMEMBERED)
        self.journal.note(lambda: self.used.pop(name, None))
        self.used[name] = (once.body_digest, result, at)

    def drop(self, organization: OrganizationId) -> None:
        """
        Delete the idempotency keys of an organization, and the key under which it was created.
        """
        for name in [name for name, kept in self.used.items() if organization in (name[0], kept[1])]:
            self.journal.note(partial(self.used.__setitem__, name, self.used.pop(name)))

    def _forget(self, *, before: datetime) -> None:
        while self.used:
            oldest = next(iter(self.used))
            if self.used[oldest][2] > before:
                return
            del self.used[oldest]


def _name(principal: Principal, once: Once) -> tuple[object, ...]:
    whose = once.whose or principal
    return whose.organization, identity_of(whose), once.operation, once.key
