"""
Signing in to the Fleet API by Google, and who decides about those who are not known: over a local issuer in its place.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from attrs import define, evolve, frozen

from mission_adapters.testing import ManualClock
from mission_core.accounts.google_sign_in import sign_in_with_google
from mission_core.accounts.identity_claims import ProviderIdentity
from mission_core.accounts.members import BoardPermission
from mission_core.accounts.model import Role, SystemPrincipal
from mission_core.accounts.sign_in import AccessPending
from mission_core.accounts.user_admin import CreateUser, UpdateUser, create_user, update_user
from mission_core.accounts.user_provisioning import UNKNOWN_CALLER
from mission_core.accounts.users import USERS, IdentityProvider, User
from mission_core.agents.organization_creation import ensure_organization
from mission_core.boards.board_access import BoardAccess, SetBoardAccess, set_board_access
from mission_core.boards.use_cases import CreateBoard, create_board
from mission_core.ports import Ports
from mission_http.identity_provider_settings import GoogleSettings, IdentityProviderSettings
from mission_http.network_settings import NetworkSettings
from mission_http.wiring import with_identity_providers
from tests.contract.conftest import World
from tests.contract.fleet_driver import FleetDriver, fleet_over, refusal
from tests.local_issuer import EC, OTHER, LocalIssuer, local_issuer
from tests.unit.http.platform.sample_app import Answer

CLIENT, SECRET, BASE = "us.apps.googleusercontent.com", "s3cret", "http://mission.example.com"
PASSWORD = "correct horse battery"


@frozen
class Entrance:
    """
    The Fleet API of the default organization, Google's stand-in, and who may do everything.
    """

    fleet: FleetDriver
    issuer: LocalIssuer
    clock: ManualClock
    admin: SystemPrincipal

    def token(self, person: str, **more: Any) -> str:
        """
        What Google gives to somebody.
        """
        now = int(self.clock.now().timestamp())
        claims = {
            "iss": self.issuer.url, "aud": CLIENT, "sub": f"subject of {person}", "iat": now, "exp": now + 3600,
            "email": f"{person}@example.com", "email_verified": True, "name": "Ada", **more,
        }  # fmt: skip
        return self.issuer.token({name: value for name, value in claims.items() if value is not None})

    async def comes(self, person: str, **more: Any) -> Answer:
        """
        Somebody comes with it.
        """
        return await self.fleet.call("POST", "/auth/google", {"credential": self.token(person, **more)}, key=None)

    async def request_of(self, person: str) -> Any:
        listed = (await self.fleet.got("GET", "/auth/access-requests"))["requests"]
        return next(each for each in listed if each["email"] == f"{person}@example.com")

    async def decide(self, person: str, **said: Any) -> Any:
        number = (await self.request_of(person))["id"]
        return await self.fleet.got("POST", "/auth/access-requests", {"request_id": number, **said})

    async def users(self, person: str) -> list[User]:
        return await self.fleet.ports.reads.entities.every(UNKNOWN_CALLER, USERS, email=f"{person}@example.com")

    async def made(self, person: str, provider: IdentityProvider, **more: Any) -> User:
        """
        A user whom an admin made.
        """
        command = CreateUser(
            username=person, password=PASSWORD, provider=provider, email=f"{person}@example.com", **more
        )
        return (await create_user(self.fleet.ports, self.admin, command)).user


@pytest.fixture
def person() -> str:
    """
    Somebody whom nobody knows yet.
    """
    return f"ada-{uuid4().hex[:12]}"


@pytest.fixture
async def entrance(world: World) -> AsyncIterator[Entrance]:
    home = SystemPrincipal(organization=(await ensure_organization(world.ports, slug="default")).id)
    async with local_issuer() as issuer:
        google = GoogleSettings(
            client_id=CLIENT, client_secret=SECRET, issuer=issuer.url, keys_url=f"{issuer.url}/keys",
            authorize_url=f"{issuer.url}/authorize", token_url=f"{issuer.url}/token",
        )  # fmt: skip
        identities = IdentityProviderSettings(google=google)
        async with with_identity_providers(identities, world.ports) as ports:
            fronting = NetworkSettings(base_url=BASE)
            async with fleet_over(
                ports, home, 1, identity_providers=identities, network=fronting, auth_secret="a secret"
            ) as fleet:
                yield Entrance(fleet, issuer, world.clock, home)


def cookie_of(answer: Answer, ending: str) -> str:
    """
    The cookie that an answer sets, as a browser sends it back.
    """
    set_ = [value.decode() for name, value in answer.raw_headers if name == b"set-cookie"]
    return next(each for each in set_ if ending in each.partition("=")[0]).partition(";")[0]


async def test_whoever_is_not_known_waits_until_an_admin_lets_them_in(entrance: Entrance, person: str) -> None:
    """
    Every time they come it is told; let in, they have a session.
    """
    for _ in range(2):
        answer = await entrance.comes(person)
        assert 403 == answer.status
        assert {"error": "Access request pending admin approval", "code": "PENDING_APPROVAL"} == answer.json
    asked = await entrance.request_of(person)
    told = await entrance.decide(person, action="approve", role="operator", note="welcome")
    came = await entrance.comes(person)

    assert ("pending", 2, "google", f"subject of {person}", "Ada") == tuple(
        asked[name] for name in ("status", "attempt_count", "provider", "provider_user_id", "display_name")
    )
    assert (person, "operator", "google", 1) == tuple(
        told["user"][name] for name in ("username", "role", "provider", "is_approved")
    )
    assert 200 == came.status
    assert told["user"]["id"] == came.json["user"]["id"] == (await entrance.request_of(person))["approved_user_id"]
    session = cookie_of(came, "mc-session")
    me = await entrance.fleet.got("GET", "/auth/me", key=None, cookie=session)
    assert f"{person}@example.com" == me["user"]["email"]


async def test_whoever_is_rejected_stays_out_and_may_ask_again(entrance: Entrance, person: str) -> None:
    await entrance.comes(person)
    assert {"ok": True, "success": True} == await entrance.decide(person, action="reject", note="no")
    rejected = await entrance.request_of(person)
    answer = await entrance.comes(person)

    assert ("rejected", "api", "no") == tuple(rejected[name] for name in ("status", "reviewed_by", "review_note"))
    assert 403 == answer.status
    assert "pending" == (await entrance.request_of(person))["status"]
    assert [] == await entrance.users(person)


@pytest.mark.parametrize("provider", [IdentityProvider.LOCAL, IdentityProvider.GOOGLE])
async def test_nobody_takes_an_account_over_by_an_equal_address(
    entrance: Entrance, person: str, provider: IdentityProvider
) -> None:
    """
    Neither that of somebody with a password, nor that of somebody who signed in by Google under another subject.
    """
    owner = await entrance.made(person, provider)
    if provider is IdentityProvider.GOOGLE:
        assert 200 == (await entrance.comes(person)).status
    before = (await entrance.users(person))[0]
    attacker = {"sub": f"another than {person}"}
    assert 403 == (await entrance.comes(person, **attacker)).status
    told = await entrance.decide(person, action="approve", role="admin")

    assert owner.number != told["user"]["id"]
    assert 200 == (await entrance.comes(person, **attacker)).status
    own, other = sorted(await entrance.users(person), key=lambda each: each.number)
    assert before == own
    assert other.number == told["user"]["id"]


async def test_an_account_made_for_google_is_ones_own_at_the_first_sign_in(entrance: Entrance, person: str) -> None:
    """
    By its address once; by the subject from then on, wherever the address goes.
    """
    made = await entrance.made(person, IdentityProvider.GOOGLE, role=Role.VIEWER)
    first = await entrance.comes(person)
    moved = await entrance.comes(person, email=f"new-{person}@example.com")

    assert [made.number] * 2 == [each.json["user"]["id"] for each in (first, moved)]
    assert 403 == (await entrance.comes(person, sub=f"another than {person}")).status


async def test_an_account_that_another_organization_made_is_nobodys(
    entrance: Entrance, elsewhere: World, person: str
) -> None:
    """
    Its admins say of nobody who they are: whoever has the address asks for access as anybody does, and becomes another
    user.
    """
    theirs = await evolve(entrance, admin=elsewhere.me).made(person, IdentityProvider.GOOGLE, role=Role.ADMIN)
    asked = await entrance.comes(person)
    told = await entrance.decide(person, action="approve", role="viewer")
    came = await entrance.comes(person)

    assert (403, 200) == (asked.status, came.status)
    assert theirs.number != told["user"]["id"] == came.json["user"]["id"]
    assert "viewer" == came.json["user"]["role"]
    assert theirs in await entrance.users(person)


@pytest.mark.one_store
@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"aud": "another"}, "Google token audience mismatch"), ({"exp": 0}, "Invalid Google token"),
        ({"iss": "https://evil.example"}, "Invalid Google token"), ({"iat": None}, "Invalid Google token"),
        ({"email_verified": False}, "Google email is not verified"),
        ({"email_verified": None}, "Google email is not verified"),
        ({"email": None}, "Google token missing required identity fields"),
        ({"sub": None}, "Google token missing required identity fields"),
    ],
)  # fmt: skip
async def test_a_token_that_does_not_fit_is_refused_with_a_reason(
    entrance: Entrance, person: str, said: dict[str, Any], error: str
) -> None:
    answer = await entrance.comes(person, **said)

    assert (400, error) == (answer.status, answer.json["error"])
    assert [] == await entrance.users(person)


@pytest.mark.one_store
async def test_what_is_no_token_of_google_is_refused(entrance: Entrance, person: str) -> None:
    """
    Also one that is signed by another key, or with another algorithm than Google's.
    """
    for body in ({}, {"credential": ""}, {"credential": 7}, {"credential": None}):
        answer = await entrance.fleet.call("POST", "/auth/google", body, key=None)
        assert (400, "Missing Google credential") == refusal(answer)
    entrance.issuer.keys = [*entrance.issuer.keys, EC]
    for token in ("x", "a.b.c", entrance.issuer.token({"sub": "x"}, key=OTHER), entrance.issuer.token({}, key=EC)):
        answer = await entrance.fleet.call("POST", "/auth/google", {"credential": token}, key=None)
        assert (400, "Invalid Google token") == (answer.status, answer.json["error"])


@pytest.mark.one_store
async def test_while_googles_keys_cannot_be_had_nobody_is_let_in(entrance: Entrance, person: str) -> None:
    entrance.issuer.status = 500

    assert 503 == (await entrance.comes(person)).status


async def test_only_admins_of_the_default_organization_decide(entrance: Entrance, world: World, person: str) -> None:
    """
    Nobody else learns who asked.
    """
    await entrance.comes(person)
    async with fleet_over(world.ports, world.me, world.board.number) as other:
        for method, body in (("GET", None), ("POST", {"request_id": 1, "action": "approve", "role": "admin"})):
            answer = await other.call(method, "/auth/access-requests", body)
            assert 403 == answer.status
            assert person not in answer.body.decode()
    for method in ("GET", "POST"):
        expected = 401 if method == "GET" else 403
        assert expected == (await entrance.fleet.call(method, "/auth/access-requests", key=None)).status


async def test_a_request_that_is_not_there_is_not_found(entrance: Entrance) -> None:
    body = {"request_id": 999_999, "action": "approve"}

    assert (404, "Request not found") == refusal(await entrance.fleet.call("POST", "/auth/access-requests", body))


async def test_google_is_left_by_whoever_has_a_password(entrance: Entrance, person: str) -> None:
    """
    Nobody locks themselves out. The one that was sent when the user was made is none, for whoever sent it knows it.
    """
    made = await entrance.made(person, IdentityProvider.GOOGLE)
    session = cookie_of(await entrance.comes(person), "mc-session")
    answer = await entrance.fleet.call("POST", "/auth/google/disconnect", key=None, cookie=session)
    assert (400, True) == (answer.status, "no password set" in answer.json["error"])
    await entrance.fleet.got("PUT", "/auth/users", {"id": made.number, "password": PASSWORD})
    session = cookie_of(await entrance.comes(person), "mc-session")
    for _ in range(2):
        left = await entrance.fleet.call("POST", "/auth/google/disconnect", key=None, cookie=session)
    login = {"username": person, "password": PASSWORD}

    assert (400, "Account is not connected to Google") == refusal(left)
    assert 200 == (await entrance.fleet.call("POST", "/auth/login", login, key=None)).status
    assert 403 == (await entrance.comes(person)).status
    another = f"{person}-2"
    await entrance.comes(another)
    await entrance.decide(another, action="approve")
    session = cookie_of(await entrance.comes(another), "mc-session")
    answer = await entrance.fleet.call("POST", "/auth/google/disconnect", key=None, cookie=session)
    assert 400 == answer.status
    assert "no password set" in answer.json["error"]
    assert 400 == (await entrance.fleet.call("POST", "/auth/google/disconnect")).status
    assert 401 == (await entrance.fleet.call("POST", "/auth/google/disconnect", key=None)).status


@define
class Journey:
    """
    A browser on its way to Google and back.
    """

    entrance: Entrance
    cookie: str
    asked: dict[str, str]

    @classmethod
    async def begun(cls, entrance: Entrance, **more: Any) -> "Journey":
        sent = await entrance.fleet.call("GET", "/auth/google", key=None, **more)
        assert 302 == sent.status, sent.body
        assert sent.headers["location"].startswith(f"{entrance.issuer.url}/authorize?")
        asked = {name: each[0] for name, each in parse_qs(urlsplit(sent.headers["location"]).query).items()}
        return cls(entrance, cookie_of(sent, "mc-google"), asked)

    def signed_in(self, person: str, **said: Any) -> str:
        """
        The code for a person who signed in there.
        """
        code = uuid4().hex
        self.entrance.issuer.codes[code] = self.entrance.token(person, **{"nonce": self.asked["nonce"], **said})
        return code

    async def back(
        self, code: str, state: str | None = None, cookie: str | None = None, *, method: str = "GET", **more: Any
    ) -> Answer:
        path = f"/auth/google?code={code}&state={state if state is not None else self.asked['state']}"
        return await self.entrance.fleet.call(
            method, path, key=None, cookie=self.cookie if cookie is None else cookie, **more
        )


async def test_a_browser_goes_there_and_comes_back_signed_in(entrance: Entrance, person: str) -> None:
    """
    With what Google needs to know and no more, and a proof that it is the same browser.
    """
    await entrance.made(person, IdentityProvider.GOOGLE)
    journey = await Journey.begun(entrance)
    back = await journey.back(journey.signed_in(person))

    assert (302, f"{BASE}/") == (back.status, back.headers["location"])
    me = await entrance.fleet.got("GET", "/auth/me", key=None, cookie=cookie_of(back, "mc-session"))
    assert person == me["user"]["username"]
    (form,) = entrance.issuer.forms
    asked = journey.asked
    challenge = urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
    assert (CLIENT, "code", "openid email profile", "S256", challenge, f"{BASE}/api/auth/google") == (
        asked["client_id"], asked["response_type"], asked["scope"], asked["code_challenge_method"],
        asked["code_challenge"], asked["redirect_uri"],
    )  # fmt: skip
    assert ("authorization_code", f"{BASE}/api/auth/google", CLIENT, SECRET) == tuple(
        form[name] for name in ("grant_type", "redirect_uri", "client_id", "client_secret")
    )
    assert SECRET not in str(asked)
    assert form["code_verifier"] not in journey.asked.values()


async def test_over_https_no_journey_comes_back_that_was_not_begun_there(entrance: Entrance, person: str) -> None:
    """
    Anybody on the way can give a browser the plain cookie of a journey of their own, and it stays away from the rest.
    """
    await entrance.made(person, IdentityProvider.GOOGLE)
    plain, bound = await Journey.begun(entrance), await Journey.begun(entrance, scheme="https")
    given = await plain.back(plain.signed_in(person), scheme="https")
    beside = await plain.back(plain.signed_in(person), cookie=f"{plain.cookie}; {bound.cookie}", scheme="https")
    back = await bound.back(bound.signed_in(person), cookie=f"{plain.cookie}; {bound.cookie}", scheme="https")

    assert ["mc-google", "__Host-mc-google"] == [each.cookie.partition("=")[0] for each in (plain, bound)]
    assert [400, 400, 302] == [each.status for each in (given, beside, back)]


async def test_a_head_request_begins_and_ends_nothing(entrance: Entrance, person: str) -> None:
    """
    Whoever looks at where a link leads leaves the way open to the browser that follows it.
    """
    await entrance.made(person, IdentityProvider.GOOGLE)
    journey = await Journey.begun(entrance)
    code = journey.signed_in(person)
    heads = [
        await journey.back(code, method="HEAD"),
        await entrance.fleet.call("HEAD", "/auth/google", key=None, cookie=journey.cookie),
    ]
    forms = list(entrance.issuer.forms)
    back = await journey.back(code)

    assert [(302, b"", f"{BASE}/")] * 2 == [(each.status, each.body, each.headers["location"]) for each in heads]
    assert [] == [name for each in heads for name, _ in each.raw_headers if name == b"set-cookie"]
    assert [] == forms
    assert (302, f"{BASE}/") == (back.status, back.headers["location"])


async def test_what_was_used_is_good_no_more(entrance: Entrance, person: str) -> None:
    """
    Neither the code nor the state, also with a code that is fresh.
    """
    await entrance.made(person, IdentityProvider.GOOGLE)
    journey = await Journey.begun(entrance)
    code = journey.signed_in(person)
    first = await journey.back(code)
    replayed, fresh = await journey.back(code), await journey.back(journey.signed_in(person))

    assert 302 == first.status
    assert [400, 400] == [replayed.status, fresh.status]
    assert "completed before" in fresh.json["error"]
    assert "mc-session" not in str(replayed.raw_headers + fresh.raw_headers)


async def test_another_browser_comes_back_in_vain(entrance: Entrance, person: str) -> None:
    """
    Nobody is signed in as somebody else by a link, and nothing that was made up is believed.
    """
    await entrance.made(person, IdentityProvider.GOOGLE)
    mine, theirs = await Journey.begun(entrance), await Journey.begun(entrance)
    code = mine.signed_in(person)
    changed = mine.cookie[:-2] + ("AA" if not mine.cookie.endswith("AA") else "BB")
    answers = [
        await mine.back(code, cookie=""), await mine.back(code, cookie=theirs.cookie), await mine.back(code, state=""),
        await mine.back(code, state=theirs.asked["state"]), await mine.back(code, cookie="mc-google=x"),
        await mine.back(code, cookie=changed),
    ]  # fmt: skip

    assert [400] * 6 == [answer.status for answer in answers]
    told = {each.json["error"] for each in answers}
    assert {"Google sign-in was not started in this browser, or too long ago"} == told
    assert [] == entrance.issuer.forms
    assert 400 == (await theirs.back(code)).status  # the token was made for another journey
    assert [] == [entry for entry in (await mine.back("nothing")).raw_headers if entry[0] == b"set-cookie"]


async def test_a_browser_that_stays_away_too_long_begins_again(entrance: Entrance, person: str) -> None:
    await entrance.made(person, IdentityProvider.GOOGLE)
    journey = await Journey.begun(entrance)
    entrance.clock.advance(minutes=10)

    assert 400 == (await journey.back(journey.signed_in(person))).status


async def test_what_google_says_no_to_is_told(entrance: Entrance) -> None:
    answer = await entrance.fleet.call("GET", "/auth/google?error=access_denied", key=None)
    unreachable = await Journey.begun(entrance)
    entrance.issuer.status = 500

    assert (400, "error of Google: access_denied") == (answer.status, answer.json["hint"])
    assert 503 == (await unreachable.back("x")).status


async def test_whoever_is_not_let_in_yet_is_told_on_the_way_back(entrance: Entrance, person: str) -> None:
    journey = await Journey.begun(entrance)
    answer = await journey.back(journey.signed_in(person))

    assert (403, "PENDING_APPROVAL") == (answer.status, answer.json["code"])


@pytest.mark.one_store
async def test_without_settings_it_says_what_is_missing(world: World) -> None:
    home = SystemPrincipal(organization=(await ensure_organization(world.ports, slug="default")).id)
    google = GoogleSettings(client_id=CLIENT)
    for identities, word in (
        (IdentityProviderSettings(), "GOOGLE_CLIENT_ID"),
        (IdentityProviderSettings(google=google), "GOOGLE_CLIENT_SECRET"),
        (IdentityProviderSettings(google=evolve(google, client_secret="s")), "MC_BASE_URL"),
    ):
        async with fleet_over(world.ports, home, 1, identity_providers=identities) as fleet:
            answer = await fleet.call("GET", "/auth/google", key=None)
            assert 400 == answer.status
            assert word in answer.json["hint"]
            assert 400 == (await fleet.call("POST", "/auth/google", {"credential": "x"}, key=None)).status


async def test_who_was_shut_out_asks_again(ports: Ports, entrance: Entrance, person: str) -> None:
    """
    And gets no session meanwhile.
    """
    made = await entrance.made(person, IdentityProvider.GOOGLE)
    async with ports.unit(UNKNOWN_CALLER) as unit:
        unit.repository(USERS).save(evolve(await unit.repository(USERS).get(made.id), approved=False))
        await unit.commit()
    subject, email = f"subject of {person}", f"{person}@example.com"
    known = ProviderIdentity(provider=IdentityProvider.GOOGLE, subject=subject, email=email, verified=True)

    with pytest.raises(AccessPending):
        await sign_in_with_google(ports, known)
    told = await entrance.decide(person, action="approve", role="viewer")
    assert made.number == told["user"]["id"]
    assert made.id == (await sign_in_with_google(ports, known)).user.id


async def test_who_is_let_in_again_as_what_they_were_sees_the_boards_they_saw(entrance: Entrance, person: str) -> None:
    """
    Another role stands for all boards.
    """
    ports, admin = entrance.fleet.ports, entrance.admin
    board = await create_board(ports, admin, CreateBoard(name=person))
    made = await entrance.made(person, IdentityProvider.GOOGLE, role=Role.VIEWER)
    place = await ports.credentials.member(made.id)
    assert place is not None
    granted = BoardAccess(boards=(BoardPermission(board.id, True, False),))
    await set_board_access(ports, admin, SetBoardAccess(member=place.member, access=granted))
    seen = []
    for role in ("viewer", "operator"):
        await update_user(ports, admin, UpdateUser(user=made.id, approved=False))
        await entrance.comes(person)
        assert role == (await entrance.decide(person, action="approve", role=role))["user"]["role"]
        again = await ports.credentials.member(made.id)
        seen.append(again.reads if again else "nothing")

    assert [frozenset({board.id}), None] == seen
