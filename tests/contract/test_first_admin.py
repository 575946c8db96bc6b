"""
The first admin of a deployment: who may make one, and that there is only one first.
"""

import asyncio
import logging
from base64 import b64encode
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from mission_adapters.memory import MemoryStore
from mission_adapters.sql.store import SqlStore
from mission_adapters.testing import ManualClock
from mission_core.accounts.first_admin import CreateFirstAdmin, SetupRaced, create_first_admin, needs_setup
from mission_core.accounts.members import OWNER
from mission_core.accounts.model import SystemPrincipal
from mission_core.accounts.profiles import LOCAL_LOGIN, ensure_local_user
from mission_core.accounts.user_admin import CreateUser, create_user
from mission_core.accounts.users import IdentityProvider
from mission_core.agents.organization_creation import ensure_organization
from mission_core.boards.use_cases import CreateBoard, create_board
from mission_http.first_admin_settings import FirstAdminSettings
from mission_http.identity_provider_settings import IdentityProviderSettings, ProxyAuthSettings
from mission_http.network_settings import NetworkSettings
from mission_http.wiring import make_configured_admin
from tests.contract.browser import PASSWORD, Browser
from tests.contract.conftest import OPEN, STORES, World, ports_over
from tests.contract.fleet_driver import FleetDriver, fleet_over, fleet_settings, refusal

HERE = {"host": "127.0.0.1:8000"}
ADMIN = {"username": "ada", "password": PASSWORD}


on_every_store = pytest.mark.parametrize("place", STORES, indirect=True)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """
    Where a store is that nobody has used; in memory, unless a test wants another.
    """
    kind = getattr(request, "param", "memory")
    if kind == "postgres":
        url: str = request.getfixturevalue("fresh_postgres")
        return url
    return "memory://" if kind == "memory" else f"sqlite:///{tmp_path / 'mission.db'}"


@pytest.fixture
async def fresh(place: str) -> AsyncIterator[World]:
    """
    A deployment as it is after the first start, with the local user alone.
    """
    clock = ManualClock()
    if place == "memory://":
        yield await a_deployment(MemoryStore(clock), clock)
    else:
        async with SqlStore.open(place, clock=clock) as store:
            yield await a_deployment(store, clock)


async def a_deployment(store: Any, clock: ManualClock) -> World:
    ports = ports_over(store, clock)
    organization = await ensure_organization(ports, slug="default")
    await ensure_local_user(ports, organization.id)
    me = SystemPrincipal(organization=organization.id)
    return World(ports, me, await create_board(ports, me, CreateBoard(name="Work", gates=OPEN)))


@pytest.fixture
async def empty(fresh: World) -> AsyncIterator[FleetDriver]:
    async with fleet_over(fresh.ports, fresh.me, fresh.board.number) as fleet:
        yield fleet


async def set_up(fleet: FleetDriver, body: Any = ADMIN, **more: Any) -> Any:
    return await Browser(fleet).call("POST", "/setup", body, **HERE | more)


@pytest.mark.parametrize("spelled", ["displayName", "display_name"])
async def test_the_first_admin_is_called_what_they_say(empty: FleetDriver, spelled: str) -> None:
    """
    By the name that the body has for it, and by that of the answer.
    """
    made = await set_up(empty, ADMIN | {spelled: "Ada Lovelace"})

    assert "Ada Lovelace" == made.json["user"]["display_name"]


@on_every_store
async def test_the_first_admin_is_made_and_signed_in(fresh: World, empty: FleetDriver) -> None:
    """
    An owner, who shows as an admin; and from then on nobody is first any more.
    """
    browser = Browser(empty)
    before = (await browser.call("GET", "/setup")).json
    made = await browser.call("POST", "/setup", {"username": " Ada ", "password": PASSWORD}, **HERE)
    again = await set_up(empty, {"username": "eve", "password": PASSWORD})
    user = made.json["user"]
    (owner,) = [each for each in await fresh.ports.reads.members.every(fresh.me) if each.user.username == "ada"]

    assert {"needsSetup": True} == before
    assert (200, {"username": "ada", "display_name": "Ada", "role": "admin", "id": user["id"]}) == (made.status, user)
    assert OWNER == owner.member.role
    assert 200 == await browser.status("/auth/users")
    assert {"needsSetup": False} == (await browser.call("GET", "/setup")).json
    assert (403, "Setup has already been completed") == refusal(again)
    assert {"user.created", "user.signed_in"} <= set(await fresh.event_kinds())


async def test_before_it_nobody_can_sign_in_and_is_told_so(empty: FleetDriver) -> None:
    answer = await Browser(empty).log_in("admin")

    assert (401, "No admin account has been created yet", "NO_USERS") == (
        answer.status, answer.json["error"], answer.json["code"]
    )  # fmt: skip
    assert "/api/setup" in answer.json["hint"]


@pytest.mark.parametrize("provider", [IdentityProvider.LOCAL, IdentityProvider.GOOGLE, IdentityProvider.PROXY])
async def test_with_a_user_of_any_kind_nobody_is_first(
    fresh: World, empty: FleetDriver, provider: IdentityProvider
) -> None:
    await create_user(fresh.ports, fresh.me, CreateUser(username="bob", password=PASSWORD, provider=provider))

    assert not await needs_setup(fresh.ports)
    assert 403 == (await set_up(empty)).status


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "Username is required"),
        ({"username": 7, "password": PASSWORD}, "Username is required"),
        ({"username": "a", "password": PASSWORD}, "Username must be 2-64 characters"),
        ({"username": "a" * 65, "password": PASSWORD}, "Username must be 2-64 characters"),
        ({"username": "a b", "password": PASSWORD},
         "Username can only contain lowercase letters, numbers, dots, hyphens, and underscores"),
        ({"username": "ada"}, "Password is required"),
        ({"username": "ada", "password": "short"}, "Password must be at least 12 characters"),
        ({"username": "ada", "password": "change-me-on-first-login"},
         "That password is too common. Choose a stronger one."),
    ],
)  # fmt: skip
async def test_an_admin_who_cannot_be_is_not_made(empty: FleetDriver, body: Any, said: str) -> None:
    assert (400, said) == refusal(await set_up(empty, body))
    assert (await Browser(empty).call("GET", "/setup")).json["needsSetup"]


async def test_what_else_is_said_of_the_first_admin_changes_nothing(empty: FleetDriver) -> None:
    more = {"role": "viewer", "id": 99, "email": "x@example.com", "provider": "google", "is_approved": 0, "number": 9}
    browser = Browser(empty)
    await browser.call("POST", "/setup", ADMIN | more, **HERE)
    me = (await browser.call("GET", "/auth/me")).json["user"]

    assert ("admin", None, "local") == (me["role"], me["email"], me["provider"])
    assert 99 != me["id"]


NOT_HERE = [
    {"peer": "203.0.113.9"},
    {"host": "mission.example.com"},
    {"host": "127.0.0.1.evil.example"},
    *({name: "127.0.0.1"} for name in ("x_forwarded_for", "x_real_ip", "forwarded", "x_forwarded_host", "via")),
]


@pytest.mark.parametrize("way", NOT_HERE)
async def test_from_elsewhere_it_takes_the_code(empty: FleetDriver, way: dict[str, str]) -> None:
    """
    From another machine, through any proxy, or under a name that a page of another site may have. Who has no code is
    told where it is.
    """
    code = fleet_settings().setup_code
    without, wrong = await set_up(empty, **way), await set_up(empty, ADMIN | {"code": "0" * len(code)}, **way)
    with_code = await set_up(empty, ADMIN | {"code": code}, **way)

    for refused in (without, wrong):
        assert (403, "SETUP_CODE") == (refused.status, refused.json["code"])
        assert "terminal" in refused.json["hint"]
    assert 200 == with_code.status


OF_OTHERS: list[dict[str, Any]] = [
    {"network": NetworkSettings(base_url="https://mission.example.com")},
    {"network": NetworkSettings(allowed_hosts=("mission.example.com",))},
    {"network": NetworkSettings(trusted_proxies=(ip_network("10.0.0.7"),))},
    {
        "identity_providers": IdentityProviderSettings(
            proxy=ProxyAuthSettings(header="x-remote-user", trusted=(ip_network("10.0.0.7"),))
        )
    },
]


@pytest.mark.parametrize("settings", OF_OTHERS)
async def test_where_settings_tell_of_others_it_takes_the_code_here_too(fresh: World, settings: dict[str, Any]) -> None:
    """
    Whoever comes through a proxy on this machine that tells nothing seems to sit here.
    """
    async with fleet_over(fresh.ports, fresh.me, fresh.board.number, **settings) as fleet:
        without = await set_up(fleet)
        with_code = await set_up(fleet, ADMIN | {"code": fleet_settings().setup_code})

    assert (403, "SETUP_CODE") == (without.status, without.json["code"])
    assert "terminal" in without.json["hint"]
    assert 200 == with_code.status


async def test_where_settings_name_this_machine_alone_it_is_free_here(fresh: World) -> None:
    fronting = NetworkSettings(base_url="http://localhost:8000", allowed_hosts=("localhost",))
    async with fleet_over(fresh.ports, fresh.me, fresh.board.number, network=fronting) as fleet:
        assert 200 == (await set_up(fleet)).status


async def test_a_wrong_code_is_wrong_here_too(empty: FleetDriver) -> None:
    for code in ("x", 7, "é" * 40, ["x"]):
        assert 403 == (await set_up(empty, ADMIN | {"code": code})).status, code


@on_every_store
async def test_of_two_that_are_first_one_is(fresh: World) -> None:
    """
    At once, under any names: the other one is told.
    """
    names = ("ada", "bob", "ada", "eve")
    answers = await asyncio.gather(
        *(create_first_admin(fresh.ports, CreateFirstAdmin(username=name, password=PASSWORD)) for name in names),
        return_exceptions=True,
    )
    kinds = sorted(type(each).__name__ for each in answers)

    assert "MemberWithUser" == kinds[0]
    assert {"SetupRaced", "SetupDone"} >= set(kinds[1:])  # who comes late finds it done
    assert 2 == len(await fresh.ports.reads.members.every(fresh.me))


async def test_who_lost_the_race_is_told_by_the_server(
    empty: FleetDriver, fresh: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def raced(*_: Any) -> None:
        raise SetupRaced

    monkeypatch.setattr("mission_http.fleet.initial_setup.create_first_admin", raced)

    assert (409, "Another admin was created while you were setting up") == refusal(await set_up(empty))


@on_every_store
async def test_the_name_of_the_local_user_is_taken(empty: FleetDriver) -> None:
    answer = await set_up(empty, {"username": LOCAL_LOGIN, "password": PASSWORD})

    assert (409, "Username already exists") == refusal(answer)


def given(**environment: str) -> Any:
    return fleet_settings(first_admin=FirstAdminSettings.of(environment))


@pytest.mark.parametrize(
    ("environment", "username", "password"),
    [
        ({"AUTH_PASS": PASSWORD}, "admin", PASSWORD),
        ({"AUTH_USER": "Ada", "AUTH_PASS": PASSWORD}, "Ada", PASSWORD),
        ({"AUTH_PASS": "not this one", "AUTH_PASS_B64": b64encode(PASSWORD.encode()).decode()}, "admin", PASSWORD),
        ({"AUTH_PASS": PASSWORD, "AUTH_PASS_B64": "not base64!"}, "admin", PASSWORD),
        ({"AUTH_PASS": PASSWORD, "AUTH_PASS_B64": b64encode(b"x").decode().rstrip("=")}, "admin", PASSWORD),
        ({"AUTH_PASS": PASSWORD, "AUTH_PASS_B64": b64encode(b"\xff").decode()}, "admin", PASSWORD),
        ({"AUTH_PASS": "short"}, "admin", "short"),
    ],
)
async def test_the_environment_names_the_first_admin(
    fresh: World, empty: FleetDriver, environment: dict[str, str], username: str, password: str
) -> None:
    """
    The coded password goes before the plain one, unless it is no base64.
    """
    await make_configured_admin(given(**environment), fresh.ports)
    answer = await Browser(empty).log_in(username, password)

    assert (200, "admin") == (answer.status, answer.json["user"]["role"])
    assert username[:1].upper() + username[1:] == answer.json["user"]["display_name"]
    assert not await needs_setup(fresh.ports)


@pytest.mark.parametrize(
    ("environment", "variable"),
    [
        ({"AUTH_PASS": "change-me-on-first-login"}, "AUTH_PASS:"),
        ({"AUTH_PASS": "Admin"}, "AUTH_PASS:"),
        ({"AUTH_PASS_B64": b64encode(b"testpass123").decode()}, "AUTH_PASS_B64:"),
        ({"AUTH_PASS_B64": "not base64!"}, "AUTH_PASS_B64:"),
        ({"AUTH_PASS": PASSWORD, "AUTH_USER": LOCAL_LOGIN}, "AUTH_USER:"),
        ({"AUTH_PASS": PASSWORD, "AUTH_USER": "a\0b"}, "AUTH_USER:"),
    ],
)
async def test_no_admin_is_made_in_silence(
    fresh: World, environment: dict[str, str], variable: str, caplog: Any
) -> None:
    """
    What everybody tries first is no password, and the warning names the variable.
    """
    with caplog.at_level(logging.WARNING, "mission_http"):
        await make_configured_admin(given(**environment), fresh.ports)

    assert await needs_setup(fresh.ports)
    assert caplog.messages[-1].startswith(variable)
    assert all(value not in "".join(caplog.messages) for name, value in environment.items() if name != "AUTH_USER")


@pytest.mark.parametrize(
    ("environment", "variable"),
    [({"AUTH_PASS": "short"}, "AUTH_PASS:"), ({"AUTH_PASS": PASSWORD, "AUTH_USER": "Bad Name!"}, "AUTH_USER:")],
)
async def test_what_setup_would_refuse_is_taken_from_the_environment_with_a_warning(
    fresh: World, environment: dict[str, str], variable: str, caplog: Any
) -> None:
    """
    The operator's word counts, and is not repeated.
    """
    with caplog.at_level(logging.WARNING, "mission_http"):
        await make_configured_admin(given(**environment), fresh.ports)

    assert not await needs_setup(fresh.ports)
    (said,) = caplog.messages
    assert said.startswith(variable)
    assert environment["AUTH_PASS"] not in said


@pytest.mark.parametrize("name", ["admin", "Ada", "a.b-c_1"])
async def test_a_usual_name_and_a_good_password_are_taken_in_silence(fresh: World, name: str, caplog: Any) -> None:
    with caplog.at_level(logging.WARNING, "mission_http"):
        await make_configured_admin(given(AUTH_PASS=PASSWORD, AUTH_USER=name), fresh.ports)

    assert not await needs_setup(fresh.ports)
    assert [] == caplog.messages


@on_every_store
async def test_with_users_the_environment_changes_nothing(fresh: World, caplog: Any) -> None:
    """
    Any number of processes may start with it, at once and later, with whatever password.
    """
    await asyncio.gather(*(make_configured_admin(given(AUTH_PASS=PASSWORD), fresh.ports) for _ in range(4)))
    users = await fresh.ports.reads.members.every(fresh.me)
    with caplog.at_level(logging.WARNING, "mission_http"):
        await make_configured_admin(given(AUTH_USER="eve", AUTH_PASS="admin"), fresh.ports)

    assert users == await fresh.ports.reads.members.every(fresh.me)
    assert 2 == len(users)
    assert not caplog.messages


async def test_the_code_is_the_same_for_all_processes_and_nobody_elses(fresh: World) -> None:
    one, other = fleet_settings(auth_secret="a"), fleet_settings(auth_secret="b")

    assert one.setup_code == evolve(one).setup_code
    assert one.setup_code != other.setup_code
    assert one.setup_code not in repr(one)
