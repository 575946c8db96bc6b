"""
The contract of the port `CredentialStore`.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from attrs import evolve

from mission_adapters.testing.contracts.base import StoreContract
from mission_adapters.testing.world import World
from mission_core.accounts.model import AgentPrincipal, ApiKeyNotFound, Principal, Role, secret_digest
from mission_core.accounts.organizations import Organization
from mission_core.agents.organization_creation import ensure_organization
from mission_core.agents.use_cases import (
    CreateAgent,
    CreateKey,
    RecordAgentHeartbeat,
    RegisterAgent,
    RevokeKey,
    create_agent,
    create_key,
    record_agent_heartbeat,
    register_agent,
    revoke_key,
)
from mission_core.errors import RoleTooLow
from mission_core.ids import ApiKeyNumber, OrganizationId
from mission_core.ports import Ports


async def find_principal(world: World, secret: str) -> Principal | None:
    """
    The principal of the secret at the current time, or None.
    """
    return await world.ports.credentials.principal_of(secret_digest(secret), at=world.clock.now())


async def agent_of(world: World, secret: str | None) -> AgentPrincipal:
    """
    The agent principal of the secret at the current time.
    """
    found = await find_principal(world, secret or "")
    assert isinstance(found, AgentPrincipal)
    return found


class CredentialStoreContract(StoreContract):
    """
    The contract of the port `CredentialStore`. A subclass provides the fixture `ports` of `StoreContract`.
    """

    async def test_a_token_authenticates_its_agent(self, world: World) -> None:
        """
        A token authenticates its agent, with the agent's board, role, scopes and key, and the time of its last
        heartbeat.
        """
        made = await create_agent(world.ports, world.me, CreateAgent(name="ada", board=world.board.id, lead=True))
        agent = made.agent
        principal = await agent_of(world, made.token)

        assert (
            AgentPrincipal(
                organization=world.me.organization, agent=agent.id, name="ada", board=world.board.id, lead=True,
                role=Role.OPERATOR, scopes=frozenset({"operator", "agent:self"}), key=principal.key,
            )
            == principal
        )  # fmt: skip
        assert principal.seen_at is None
        async with world.ports.unit(world.me) as unit:
            (key,) = await unit.keys.list_of(agent.id)

            assert principal.key == key.id
            assert key == await unit.keys.get(key.number) == await unit.keys.get(key.id)
        await record_agent_heartbeat(world.ports, principal, RecordAgentHeartbeat(agent=agent.id))
        assert world.clock.now() == (await agent_of(world, made.token)).seen_at

    async def test_the_role_of_a_key_is_its_highest_scope(self, world: World) -> None:
        """
        The role of a key is its highest scope, and viewer if no scope names a role.
        """
        await world.agent("ada")
        roles = []
        for scopes in (("agent:self",), ("viewer", "operator"), ("operator", "admin")):
            _, secret = await create_key(world.ports, world.me, CreateKey(agent="ada", scopes=scopes))
            roles.append((await agent_of(world, secret)).role)

        assert [Role.VIEWER, Role.OPERATOR, Role.ADMIN] == roles

    async def test_an_expired_revoked_or_unknown_key_authenticates_nobody(self, world: World) -> None:
        """
        An expired, revoked or unknown key authenticates nobody. Revoking a revoked or unknown key raises
        `ApiKeyNotFound`.
        """
        await world.agent("ada")
        ending, one = await create_key(world.ports, world.me, CreateKey(agent="ada", lifetime=timedelta(minutes=1)))
        lasting, other = await create_key(world.ports, world.me, CreateKey(agent="ada"))
        world.clock.advance(seconds=59)
        before = await find_principal(world, one)
        world.clock.advance(seconds=1)
        revoked = await revoke_key(world.ports, world.me, RevokeKey(agent="ada", key=lasting.number))

        assert before is not None
        assert [None, None, None] == [await find_principal(world, each) for each in (one, other, "nobody's")]
        assert (ending.version, lasting.version + 1) == (0, revoked.version)
        for key in (lasting.number, ApiKeyNumber(999)):
            with pytest.raises(ApiKeyNotFound):
                await revoke_key(world.ports, world.me, RevokeKey(agent="ada", key=key))

    async def test_keys_of_another_organization_are_not_found(self, world: World, elsewhere: World) -> None:
        """
        A key of another organization raises `ApiKeyNotFound`, and the list of its agent's keys is empty.
        """
        await world.agent("ada")
        key, _ = await create_key(world.ports, world.me, CreateKey(agent="ada"))
        async with elsewhere.ports.unit(elsewhere.me) as unit:
            for asked in (key.id, ApiKeyNumber(999)):
                with pytest.raises(ApiKeyNotFound):
                    await unit.keys.get(asked)

            assert [] == await unit.keys.list_of(key.agent)

    async def test_a_repeated_registration_returns_the_same_agent_without_a_token(self, world: World) -> None:
        """
        The first registration of a name creates an agent and returns a token. A second one, in any case of letters,
        returns the same agent without a token.
        """
        first = await register_agent(world.ports, world.me, RegisterAgent(name="ada"))
        second = await register_agent(world.ports, world.me, RegisterAgent(name="ADA"))

        assert (True, False) == (first.new, second.new)
        assert (first.agent.id, None) == (second.agent.id, second.token)
        assert first.agent.id == (await agent_of(world, first.token)).agent
        with pytest.raises(RoleTooLow):
            await create_key(world.ports, evolve(world.me, role=Role.VIEWER), CreateKey(agent="ada"))

    async def test_create_organization_with_a_used_slug_returns_the_existing_organization(self, ports: Ports) -> None:
        """
        `create_organization` with a used slug returns the organization that has it and creates none.
        """
        slug = f"test-{uuid4()}"
        nobody = await ports.credentials.organization(slug)
        first = await ensure_organization(ports, slug=slug)
        later = evolve(first, id=OrganizationId(ports.ids.new()), number=first.number + 1_000_000, name="later")

        assert nobody is None
        assert isinstance(first, Organization)
        assert first == await ports.credentials.create_organization(later) == await ports.credentials.organization(slug)
        assert first.id in await ports.credentials.organizations()
        assert later.id not in await ports.credentials.organizations()
