"""
A proxy in front of the Fleet API that says who calls: believed by its address alone.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any
from uuid import uuid4

import pytest
from attrs import evolve

from mission_core.accounts.identity_claims import ProviderIdentity
from mission_core.accounts.model import Role, SystemPrincipal
from mission_core.accounts.proxy_authentication import ProxyUser, ProxyUserRefused, authenticate_proxy_user
from mission_core.accounts.user_admin import CreateUser, create_user
from mission_core.accounts.user_provisioning import UNKNOWN_CALLER, provision_user
from mission_core.accounts.users import USERS, IdentityProvider, User
from mission_core.agents.organization_creation import ensure_organization
from mission_core.ports import Ports
from mission_http.identity_provider_settings import IdentityProviderSettings, ProxyAuthSettings
from mission_http.network_settings import NetworkSettings
from tests.contract.browser import Person
from tests.contract.conftest import World
from tests.contract.fleet_driver import KEY, FleetDriver, fleet_over, refusal
from tests.contract.people import also_in

PROXY, OTHERS = "10.0.0.7", ("10.0.0.8", "127.0.0.1", "unknown", "203.0.113.9")
BELIEVED = ProxyAuthSettings(header="x-remote-user", trusted=(ip_network(PROXY),), default_role=Role.OPERATOR)


def somebody() -> str:
    return f"ada-{uuid4().hex[:12]}"


@pytest.fixture
async def home(ports: Ports) -> SystemPrincipal:
    """
    Who may do everything in the organization that signing in belongs to.
    """
    return SystemPrincipal(organization=(await ensure_organization(ports, slug="default")).id)


async def over(
    world: World, home: SystemPrincipal, proxy: ProxyAuthSettings = BELIEVED, **settings: Any
) -> AsyncIterator[FleetDriver]:
    identities = IdentityProviderSettings(proxy=proxy)
    async with fleet_over(world.ports, home, 1, identity_providers=identities, **settings) as fleet:
        yield fleet


@pytest.fixture
async def fronted(world: World, home: SystemPrincipal) -> AsyncIterator[FleetDriver]:
    async for fleet in over(world, home):
        yield fleet


async def me(fleet: FleetDriver, **sent: Any) -> Any:
    answer = await fleet.call("GET", "/auth/me", key=None, **sent)
    return answer.json["user"] if answer.status == 200 else answer.status


async def users(ports: Ports, name: str) -> list[User]:
    return [each for each in await ports.reads.entities.every(UNKNOWN_CALLER, USERS) if each.username == name]


async def test_whom_the_proxy_names_is_let_in_and_made_at_first(fronted: FleetDriver) -> None:
    """
    Once, however many of their requests come at once, with the role that the settings give and no password.
    """
    name = somebody()
    answers = await asyncio.gather(*(me(fronted, peer=PROXY, x_remote_user=name) for _ in range(5)))
    again = await me(fronted, peer=PROXY, x_remote_user=name.upper())

    assert (name, "operator", "proxy", None) == tuple(
        answers[0][each] for each in ("username", "role", "provider", "email")
    )
    assert [answers[0]] * 5 == answers
    assert answers[0] == again
    (user,) = await users(fronted.ports, name)
    assert (IdentityProvider.PROXY, None) == (user.provider, user.password)
    refused = await fronted.call("POST", "/auth/login", {"username": name, "password": "x" * 12}, key=None)
    assert (401, "Invalid credentials") == refusal(refused)


@pytest.mark.parametrize("peer", OTHERS)
async def test_what_anybody_else_says_is_nothing(fronted: FleetDriver, peer: str) -> None:
    """
    Whatever address they claim to have.
    """
    name = somebody()
    for forwarded in ({}, {"x_forwarded_for": PROXY}, {"x_real_ip": PROXY}, {"forwarded": f"for={PROXY}"}):
        assert 401 == await me(fronted, peer=peer, x_remote_user=name, **forwarded)
        answer = await fronted.call("GET", "/tasks", key=None, peer=peer, x_remote_user=name, **forwarded)
        assert (401, "Unauthorized") == refusal(answer)

    assert [] == await users(fronted.ports, name)


async def test_the_proxy_counts_and_not_whom_it_forwards_for(world: World, home: SystemPrincipal) -> None:
    """
    A client behind a trusted proxy does not become one by having its address forwarded.
    """
    fronting = NetworkSettings(trusted_proxies=(ip_network("10.9.9.9"),))
    async for fleet in over(world, home, network=fronting):
        name = somebody()

        assert 401 == await me(fleet, peer="10.9.9.9", x_forwarded_for=PROXY, x_remote_user=name)
        assert name == (await me(fleet, peer=PROXY, x_forwarded_for="203.0.113.9", x_remote_user=name))["username"]


async def test_without_trusted_addresses_nobody_is_believed(world: World, home: SystemPrincipal) -> None:
    async for fleet in over(world, home, evolve(BELIEVED, trusted=())):
        for peer in (PROXY, *OTHERS):
            assert 401 == await me(fleet, peer=peer, x_remote_user=somebody())


async def test_without_a_default_role_only_who_is_known_is_let_in(
    world: World, home: SystemPrincipal, fronted: FleetDriver, caplog: pytest.LogCaptureFixture
) -> None:
    known, unknown = somebody(), somebody()
    await me(fronted, peer=PROXY, x_remote_user=known)
    async for fleet in over(world, home, evolve(BELIEVED, default_role=None)):
        with caplog.at_level(logging.WARNING):
            assert 401 == await me(fleet, peer=PROXY, x_remote_user=unknown)

        assert known == (await me(fleet, peer=PROXY, x_remote_user=known))["username"]
    assert "MC_PROXY_AUTH_DEFAULT_ROLE" in caplog.text
    assert [] == await users(world.ports, unknown)


async def test_the_proxy_goes_before_a_key(fronted: FleetDriver) -> None:
    """
    A key still works where the proxy names nobody who is let in; its role is its own.
    """
    name = somebody()
    both = await fronted.call("GET", "/auth/me", key=KEY, peer=PROXY, x_remote_user=name)
    alone = await fronted.call("GET", "/auth/me", key=KEY, peer=PROXY, x_remote_user="")

    assert [name, "api"] == [answer.json["user"]["username"] for answer in (both, alone)]
    answer = await fronted.call("GET", "/tokens/rotate", key=KEY, peer=PROXY, x_remote_user=name)
    assert (403, "Requires admin role or higher") == refusal(answer)


async def test_a_foreign_page_makes_nobody_act_through_the_proxy(fronted: FleetDriver) -> None:
    """
    For a browser behind it brings its person along, key or not.
    """
    for key in (None, KEY):
        answer = await fronted.call(
            "POST",
            "/projects",
            {"name": "x"},
            key=key,
            peer=PROXY,
            x_remote_user=somebody(),
            host="here",
            origin="https://evil.example",
        )
        assert 403 == answer.status
        assert "CSRF origin mismatch" == answer.json["error"]


async def test_nor_does_it_by_what_it_shows_as_an_image(fronted: FleetDriver) -> None:
    """
    Its own pages do.
    """
    statuses = [
        (await fronted.call(
            "GET", "/tasks/queue?agent=ada", key=key, peer=PROXY, x_remote_user=somebody(), sec_fetch_site=site
        )).status
        for key in (None, KEY) for site in ("cross-site", "same-origin")
    ]  # fmt: skip

    assert [403, 200, 403, 200] == statuses


@pytest.mark.parametrize("name", ["", " ", "a" * 201, "a\tb", "a,b", "\x7f", "\u202e"])
async def test_what_nobody_can_be_called_is_nobody(
    fronted: FleetDriver, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert 401 == await me(fronted, peer=PROXY, x_remote_user=name.encode().decode("latin-1"))

    assert "the proxy names" in caplog.text


async def test_names_that_others_made_of_themselves_are_no_ones_own(ports: Ports, home: SystemPrincipal) -> None:
    """
    Whoever chose their address at an issuer does not become the one whom the proxy calls alike, nor the other way; and
    nobody is the server's local user.
    """
    name = somebody()
    await provision_user(
        ports, ProviderIdentity(provider=IdentityProvider.OIDC, subject=f"x {name}", email=f"{name}@example.com")
    )

    with pytest.raises(ProxyUserRefused, match="oidc"):
        await authenticate_proxy_user(ports, ProxyUser(username=name, role=Role.ADMIN))


async def test_a_name_that_another_organization_gave_is_nobodys(
    fronted: FleetDriver, elsewhere: World, caplog: pytest.LogCaptureFixture
) -> None:
    """
    For whoever made the user knows the password.
    """
    theirs = await create_user(elsewhere.ports, elsewhere.me, CreateUser(username=somebody(), password="x" * 16))
    with caplog.at_level(logging.WARNING):
        assert 401 == await me(fronted, peer=PROXY, x_remote_user=theirs.user.username)

    assert "not a member of the default organization" in caplog.text


async def test_a_user_of_the_default_organization_is_the_one_whom_the_proxy_calls_so(
    fronted: FleetDriver, home: SystemPrincipal
) -> None:
    known = await create_user(fronted.ports, home, CreateUser(username=somebody(), password="x" * 16))

    assert known.user.number == (await me(fronted, peer=PROXY, x_remote_user=known.user.username))["id"]


async def test_whom_the_proxy_named_first_it_names_wherever_they_are(
    fronted: FleetDriver, home: SystemPrincipal, elsewhere: World
) -> None:
    """
    Also once they are a member of another organization alone.
    """
    name = somebody()
    first = await me(fronted, peer=PROXY, x_remote_user=name)
    found = await fronted.ports.reads.members.get(home, first["id"])
    await also_in(elsewhere, Person(name, found))
    await fronted.got("DELETE", "/auth/users", {"id": first["id"]})
    again = await me(fronted, peer=PROXY, x_remote_user=name)

    assert (first["id"], name) == (again["id"], again["username"])
    assert first["workspace_id"] != again["workspace_id"]


async def test_whoever_was_shut_out_is_not_let_in_by_the_proxy(fronted: FleetDriver) -> None:
    name = somebody()
    await me(fronted, peer=PROXY, x_remote_user=name)
    (user,) = await users(fronted.ports, name)
    async with fronted.ports.unit(UNKNOWN_CALLER) as unit:
        unit.repository(USERS).save(evolve(await unit.repository(USERS).get(user.id), approved=False))
        await unit.commit()

    assert 401 == await me(fronted, peer=PROXY, x_remote_user=name)
