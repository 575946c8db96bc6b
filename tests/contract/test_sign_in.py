"""
Signing in to the Fleet API by a cookie: what it takes, what it gives, and what nobody gets in with.
"""

import hashlib
import logging
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from attrs import define, evolve, field
from itsdangerous import Signer

from mission_core.accounts.model import Role
from mission_core.accounts.sessions import SESSION_LIFETIME
from mission_core.accounts.sign_in import DEFAULT_ORGANIZATION_SLUG
from mission_core.accounts.user_admin import UpdateUser, update_user
from mission_core.accounts.users import IdentityProvider
from mission_core.agents.use_cases import RevokeKey, revoke_key
from mission_core.key_derivation import derive_key
from mission_http.network_settings import NetworkSettings
from tests.contract.browser import PASSWORD, WRONG, Browser, allow_sign_in, cookies_of, make_person
from tests.contract.conftest import World
from tests.contract.fleet_driver import KEY, FleetDriver, fleet_over, refusal, without

PROXY = "10.0.0.1"
OVER_HTTPS = {"x_forwarded_proto": "https", "x_forwarded_for": "203.0.113.9", "host": "mission.example.com"}


@pytest.fixture
def browser(fleet: FleetDriver) -> Browser:
    return Browser(fleet)


def fronted(world: World, **fronting: Any) -> Any:
    """
    The Fleet API as it is reached in another way.
    """
    return fleet_over(world.ports, world.me, world.board.number, network=NetworkSettings(**fronting))


async def facts_at_the_desk(world: World) -> list[Any]:
    home = await world.ports.credentials.organization(DEFAULT_ORGANIZATION_SLUG)
    assert home is not None
    entries = await world.ports.log.read(home.id, limit=10_000)
    return [(each.kind, each.payload) for each in entries]


async def test_who_signs_in_is_known_from_then_on(world: World, browser: Browser) -> None:
    """
    By the cookie alone, as the user they are.
    """
    person = await make_person(world, name="Ada", email="ada@example.com", role=Role.VIEWER)
    answer = await browser.log_in(person.username)

    expected = {
        "id": person.number, "username": person.username, "display_name": "Ada", "role": "viewer", "provider": "local",
        "email": "ada@example.com", "avatar_url": None, "tenant_id": 1,
    }  # fmt: skip
    assert {"user"} == answer.json.keys()
    assert expected == without(answer.json["user"], "workspace_id")
    assert answer.json == (await browser.call("GET", "/auth/me")).json
    assert 200 == await browser.status("/tasks")
    assert (403, "Requires operator role or higher") == refusal(await browser.call("POST", "/tasks", {"title": "x"}))


async def test_the_cookie_is_only_for_the_server(world: World, browser: Browser) -> None:
    """
    No script reads it, no other site sends it, and it goes when the session does.
    """
    (cookie,) = cookies_of(await browser.log_in((await make_person(world)).username))

    assert ("mc-session", True, "strict", "/", "") == (
        cookie.key, cookie["httponly"], cookie["samesite"], cookie["path"], cookie["domain"]
    )  # fmt: skip
    assert SESSION_LIFETIME == timedelta(seconds=int(cookie["max-age"]))
    assert not cookie["secure"]


async def test_over_https_the_cookie_is_bound_to_the_host(world: World, fleet: FleetDriver) -> None:
    browser = Browser(fleet, https=True)
    (cookie,) = cookies_of(await browser.log_in((await make_person(world)).username))

    assert ("__Host-mc-session", True) == (cookie.key, cookie["secure"])
    assert 200 == await browser.status()


@pytest.mark.parametrize("secure", [True, False])
async def test_whether_cookies_are_secure_can_be_forced(world: World, secure: bool) -> None:
    """
    And over https browsers keep them either way.
    """
    person = await make_person(world)
    async with fronted(world, cookie_secure=secure) as fleet:
        browser = Browser(fleet, https=True)
        (cookie,) = cookies_of(await browser.log_in(person.username))

        assert secure is bool(cookie["secure"])
        assert 200 == await browser.status()


@pytest.mark.parametrize("body", [{}, {"username": "x"}, {"password": "x"}, {"username": "", "password": ""}, [], "x"])
async def test_name_and_password_are_needed(browser: Browser, body: Any) -> None:
    answer = await browser.call("POST", "/auth/login", body)

    assert (400, "Username and password are required") == refusal(answer)


async def test_who_is_not_let_in_does_not_learn_why(world: World, browser: Browser, caplog: Any) -> None:
    """
    Whether it is the name, the password, the provider or the approval: the answer is the same to the letter, and only
    the server's log and the organization's know more.
    """
    known, others = await make_person(world), await make_person(world, provider=IdentityProvider.GOOGLE)
    shut_out = await make_person(world)
    await update_user(world.ports, world.me, UpdateUser(user=shut_out.found.user.id, approved=False))
    tries = {
        "invalid_password": (known.username, WRONG), "user_not_found": ("nobody", PASSWORD),
        "wrong_provider": (others.username, PASSWORD), "not_approved": (shut_out.username, PASSWORD),
    }  # fmt: skip
    answers = {}
    for reason, (username, password) in tries.items():
        with caplog.at_level(logging.WARNING, "mission_http"):
            answers[reason] = await browser.log_in(username, password)
        kind, payload = (await facts_at_the_desk(world))[-1]

        assert "user.sign_in_failed" == kind
        assert reason in payload
        assert reason in caplog.messages[-1]
        assert password not in caplog.messages[-1] + payload

    assert {(401, b'{"error":"Invalid credentials"}')} == {(each.status, each.body) for each in answers.values()}
    assert {} == browser.jar


@define
class Counting:
    """
    Passwords that count how often they are compared.
    """

    passwords: Any
    compared: list[bool] = field(factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.passwords, name)

    async def verify(self, password: str, kept: str | None) -> bool:
        self.compared.append(kept is not None)
        answer: bool = await self.passwords.verify(password, kept)
        return answer


async def test_to_find_out_who_exists_takes_no_less_work(world: World) -> None:
    """
    One comparison of a password, whoever it is.
    """
    known, others = await make_person(world), await make_person(world, provider=IdentityProvider.GOOGLE)
    shut_out = await make_person(world)
    await update_user(world.ports, world.me, UpdateUser(user=shut_out.found.user.id, approved=False))
    counting = Counting(world.ports.passwords)
    async with fleet_over(evolve(world.ports, passwords=counting), world.me, world.board.number) as fleet:
        for username in (known.username, "nobody", others.username, shut_out.username, "\0", "x" * 10_000):
            counting.compared.clear()
            await Browser(fleet).log_in(username, WRONG)

            assert 1 == len(counting.compared), username


async def test_a_session_that_was_presented_is_never_adopted(world: World, browser: Browser) -> None:
    """
    Whatever a browser brings, signing in gives it another session; the one it brought stays what it was.
    """
    ada, eve = await make_person(world), Browser(browser.fleet)
    await eve.log_in((await make_person(world)).username)
    planted = browser.jar["mc-session"] = eve.jar["mc-session"]
    await browser.log_in(ada.username)
    first = browser.jar["mc-session"]
    await browser.log_in(ada.username)

    assert 3 == len({planted, first, browser.jar["mc-session"]})
    assert ada.number == (await browser.call("GET", "/auth/me")).json["user"]["id"]
    assert ada.number != (await eve.call("GET", "/auth/me")).json["user"]["id"]


@define
class Refusing:
    """
    Credentials that nobody may ask for sessions.
    """

    credentials: Any

    def __getattr__(self, name: str) -> Any:
        assert "signed_in" != name
        return getattr(self.credentials, name)


async def test_a_forged_cookie_is_refused_before_anything_is_looked_up(world: World, browser: Browser) -> None:
    """
    A secret alone, one signed under another key, a cut signature, and what is no secret at all.
    """
    await browser.log_in((await make_person(world)).username)
    good = browser.jar["mc-session"]
    token = good.rpartition(".")[0]
    key = derive_key("another", "sessions")
    foreign = Signer(key, b"session", key_derivation="hmac", digest_method=hashlib.sha256)
    forged = [token, foreign.sign(token).decode(), good[:-1], f"x{good}", "x", "." * 9, "\xff", good * 20, f"{token}."]
    ports = evolve(world.ports, credentials=Refusing(world.ports.credentials))
    async with fleet_over(ports, world.me, world.board.number) as fleet:
        for value in forged:
            for name in ("mc-session", "__Host-mc-session"):
                answer = await Browser(fleet, jar={name: value}).call("GET", "/tasks")
                assert (401, "Authentication required") == refusal(answer), value

    assert 200 == await browser.status()


async def test_a_session_is_over_when_it_ends(world: World, browser: Browser) -> None:
    """
    However much it was used.
    """
    await browser.log_in((await make_person(world)).username)
    world.clock.advance(seconds=SESSION_LIFETIME.total_seconds() - 1)
    before = await browser.status("/tasks")
    world.clock.advance(seconds=1)

    assert (200, 401) == (before, await browser.status("/tasks"))


@pytest.mark.every_store
async def test_a_session_that_was_ended_cannot_be_replayed(world: World, browser: Browser) -> None:
    """
    Signing out ends it on the server, not only in the browser.
    """
    await browser.log_in((await make_person(world)).username)
    stolen = Browser(browser.fleet, jar=dict(browser.jar))
    answer = await browser.call("POST", "/auth/logout")

    assert (200, {"ok": True}) == (answer.status, answer.json)
    assert {} == browser.jar
    assert 401 == await stolen.status("/tasks")
    assert "user.signed_out" in await world.event_kinds()


async def test_a_key_that_was_revoked_or_ran_out_cannot_be_replayed(world: World, fleet: FleetDriver) -> None:
    await fleet.agent("ada")
    made = await fleet.got("POST", "/agents/ada/keys", {"scopes": ["viewer"], "expires_in_days": 1}, 201)
    revoked = await fleet.got("POST", "/agents/ada/keys", {"scopes": ["viewer"]}, 201)
    before = [(await fleet.call("GET", "/tasks", key=each["api_key"])).status for each in (made, revoked)]
    await revoke_key(world.ports, world.me, RevokeKey(agent="ada", key=revoked["key"]["id"]))
    world.clock.advance(days=1)
    after = [await fleet.call("GET", "/tasks", key=each["api_key"]) for each in (made, revoked)]

    assert [200, 200] == before
    assert [(401, "Authentication required")] * 2 == list(map(refusal, after))


async def test_signing_out_needs_nobody(browser: Browser) -> None:
    """
    Whoever has no session, or none that lives, is signed out.
    """
    browser.jar["mc-session"] = "x"
    answer = await browser.call("POST", "/auth/logout")

    assert (200, {"ok": True}, {}) == (answer.status, answer.json, browser.jar)


async def test_a_dead_cookie_does_not_stop_a_live_key(world: World, browser: Browser) -> None:
    """
    And a live cookie goes before the key.
    """
    browser.jar["mc-session"] = "x"
    with_key = await browser.call("GET", "/auth/me", key=KEY)
    person = await make_person(world)
    await browser.log_in(person.username)
    both = await browser.call("GET", "/auth/me", key=KEY)

    assert (0, "api", "admin") == tuple(with_key.json["user"][name] for name in ("id", "username", "role"))
    assert person.number == both.json["user"]["id"]


async def test_what_a_request_without_credentials_is_told(browser: Browser) -> None:
    """
    Nothing like one: unauthorized. A dead one, or a page that is open at the door: authentication is required.
    """
    assert (401, "Unauthorized") == refusal(await browser.call("GET", "/tasks"))
    assert (401, "Authentication required") == refusal(await browser.call("GET", "/auth/me"))
    browser.jar["mc-session"] = "x"
    assert (401, "Authentication required") == refusal(await browser.call("GET", "/tasks"))
    assert (401, "Authentication required") == refusal(await browser.call("GET", "/tasks", key="nonsense"))


@pytest.mark.parametrize(
    "header",
    ["x_user", "x_forwarded_user", "x_auth_request_email", "remote_user", "x_agent_name", "x_mc_user", "x_real_ip"],
)
async def test_no_header_claims_to_be_somebody(world: World, browser: Browser, header: str) -> None:
    """
    Neither alone nor beside a session: `X-Agent-Name` of a person is a label, and gives and takes nothing.
    """
    other, person = await make_person(world, role=Role.ADMIN), await make_person(world, role=Role.VIEWER)
    alone = await browser.call("GET", "/tasks", **{header: other.username})
    await browser.log_in(person.username)
    beside = await browser.call("GET", "/auth/me", **{header: other.username})

    assert 401 == alone.status
    assert (person.number, "viewer") == (beside.json["user"]["id"], beside.json["user"]["role"])
    assert 403 == (await browser.call("GET", "/auth/users", **{header: other.username})).status


async def test_a_label_does_not_confine_a_person(world: World, browser: Browser) -> None:
    await browser.log_in((await make_person(world)).username)
    task = (await browser.call("POST", "/tasks", {"title": "x", "assigned_to": "bob"})).json["task"]
    answer = await browser.call("GET", f"/tasks/{task['id']}", x_agent_name="ada")

    assert 200 == answer.status


async def test_who_lost_the_approval_or_the_membership_is_out_at_once(world: World, browser: Browser) -> None:
    """
    An approval given back lets them sign in, and revives no session.
    """
    person = await make_person(world)
    await browser.log_in(person.username)
    await update_user(world.ports, world.me, UpdateUser(user=person.found.user.id, approved=False))
    out = await browser.status("/tasks")
    await update_user(world.ports, world.me, UpdateUser(user=person.found.user.id, approved=True))

    assert (401, 401) == (out, await browser.status("/tasks"))
    assert 200 == (await browser.log_in(person.username)).status


@pytest.mark.parametrize("cookie_secure", [None, True])
async def test_behind_a_trusted_proxy_the_cookie_is_bound(world: World, cookie_secure: bool | None) -> None:
    """
    The browser is at https, the proxy says so, and is believed.
    """
    person = await make_person(world)
    async with fronted(world, trusted_proxies=(ip_network(PROXY),), cookie_secure=cookie_secure) as fleet:
        browser = Browser(fleet, https=True, behind={"peer": PROXY, **OVER_HTTPS})
        answer = await browser.log_in(person.username)

        assert {"user"} == answer.json.keys()
        assert ["__Host-mc-session"] == list(browser.jar)
        assert 200 == await browser.status()


@pytest.mark.parametrize("cookie_secure", [None, True])
async def test_behind_a_proxy_that_is_not_believed_it_is_told(
    world: World, cookie_secure: bool | None, caplog: Any
) -> None:
    """
    To the one who signs in and to the log: which proxy it is, and which variable to set. They are signed in.
    """
    person = await make_person(world)
    async with fronted(world, cookie_secure=cookie_secure) as fleet:
        browser = Browser(fleet, https=True, behind={"peer": PROXY, **OVER_HTTPS})
        with caplog.at_level(logging.WARNING, "mission_http"):
            answer = await browser.log_in(person.username)

        assert f"MC_TRUSTED_PROXIES={PROXY}" in answer.json["warning"]
        assert answer.json["warning"] in caplog.messages[-1]
        assert ["mc-session"] == list(browser.jar)
        assert 200 == await browser.status()


async def test_that_a_browser_throws_the_cookie_away_is_told(world: World, caplog: Any) -> None:
    """
    Secure cookies over http: the login works, the session does not, and both the answer and the log say why.
    """
    person = await make_person(world)
    async with fronted(world, cookie_secure=True) as fleet:
        browser = Browser(fleet)
        with caplog.at_level(logging.WARNING, "mission_http"):
            answer = await browser.log_in(person.username)

        assert (200, {}) == (answer.status, browser.jar)
        assert "MC_COOKIE_SECURE" in answer.json["warning"]
        assert answer.json["warning"] in caplog.messages[-1]


async def test_what_an_untrusted_peer_forwards_makes_no_cookie_secure(world: World, browser: Browser) -> None:
    """
    Whoever is at http and claims https would only lose the cookie.
    """
    person = await make_person(world)
    browser.behind = {"peer": PROXY, **OVER_HTTPS}
    await browser.log_in(person.username)

    assert ["mc-session"] == list(browser.jar)


async def test_signing_in_is_checked_for_other_sites(world: World, browser: Browser) -> None:
    """
    No other site signs a browser in, as whomever.
    """
    person = await make_person(world)
    sent = {"host": "mission.example.com", "origin": "https://evil.example"}
    answer = await browser.call("POST", "/auth/login", {"username": person.username, "password": PASSWORD}, **sent)

    assert (403, {}) == (answer.status, browser.jar)


async def test_the_document_tells_of_the_cookie(fleet: FleetDriver) -> None:
    document = await fleet.got("GET", "/docs")
    scheme = document["components"]["securitySchemes"]["FleetSession"]

    assert ("apiKey", "cookie", "mc-session") == (scheme["type"], scheme["in"], scheme["name"])
    assert {"FleetSession": []} in document["paths"]["/api/tasks"]["get"]["security"]


async def test_an_agents_key_is_told_as_the_agent(fleet: FleetDriver) -> None:
    await allow_sign_in(fleet.ports)
    await fleet.agent("ada")
    made = await fleet.got("POST", "/agents/ada/keys", {"scopes": ["viewer"]}, 201)
    me = (await fleet.got("GET", "/auth/me", key=made["api_key"]))["user"]

    expected = (-made["key"]["id"], "agent:ada", "ada", "viewer", "local")
    assert expected == tuple(me[name] for name in ("id", "username", "display_name", "role", "provider"))
