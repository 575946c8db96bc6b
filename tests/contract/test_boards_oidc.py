"""
The Boards API where an OpenID Connect issuer vouches for people.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from attrs import evolve

from mission_core.accounts.identity_claims import identity_from_claims
from mission_core.accounts.model import SystemPrincipal
from mission_core.accounts.user_provisioning import UNKNOWN_CALLER, free_username, username_from
from mission_core.accounts.users import USERS, IdentityProvider
from mission_core.agents.member_provisioning import provisioned_member
from mission_core.agents.use_cases import secret_digest
from mission_core.errors import StoreFailed
from mission_core.ids import AgentId, ApiKeyId, ApiKeyNumber
from mission_http.identity_provider_settings import AuthMode, IdentityProviderSettings, OidcIssuerSettings
from mission_http.settings import settings_from
from mission_http.wiring import ServerSecretCredentials, ports_from_settings
from tests.contract.boards_driver import TOKEN, refusal
from tests.contract.conftest import World
from tests.contract.issuer_app import AUDIENCE, DOTTED, KEY, SHAPED, IssuerApp, issuer_app
from tests.local_issuer import OTHER, local_issuer

pytestmark = pytest.mark.one_store


@pytest.fixture
async def office(world: World) -> AsyncIterator[IssuerApp]:
    """
    With an issuer of the test's own, so nobody is known yet.
    """
    async with local_issuer() as issuer:
        identities = IdentityProviderSettings(
            mode=AuthMode.OIDC,
            issuer=OidcIssuerSettings(name=issuer.url, audience=AUDIENCE, keys_url=f"{issuer.url}/keys"),
        )
        async with issuer_app(world, identities, issuer, issuer.url) as office:
            yield office


async def test_whoever_comes_first_is_made_and_gets_an_organization_of_their_own(office: IssuerApp) -> None:
    """
    Once, however many of their requests come at once.
    """
    said = {"email": "Ada@Example.com", "email_verified": True, "name": "Ada L"}
    answers = await asyncio.gather(*(office.me(**said) for _ in range(5)))
    organizations = await office.boards.got("GET", "/api/v1/organizations/me", user=office.token())

    assert 1 == len({each["id"] for each in answers})
    assert ("ada", "ada@example.com", "Ada L") == tuple(answers[0][name] for name in ("clerk_user_id", "email", "name"))
    assert "Personal" == organizations["name"]
    (user,) = await office.users(provider=IdentityProvider.OIDC, subject=f"{office.issuer.url} ada")
    assert (True, None) == (user.email_verified, user.password)


async def test_people_work_in_their_organization_and_see_no_other(office: IssuerApp) -> None:
    """
    As owner of the one, and nobody in the other.
    """
    assert [] == (await office.boards.got("GET", "/api/v1/boards", user=office.token()))["items"]
    made = {"name": "Mine", "slug": "mine", "description": "x"}
    board = (await office.boards.got("POST", "/api/v1/boards", made, user=office.token()))["id"]
    task = await office.boards.got("POST", f"/api/v1/boards/{board}/tasks", {"title": "x"}, user=office.token())

    assert "x" == task["title"]
    for subject, path in (("ada", office.boards.tasks), ("bob", f"/api/v1/boards/{board}/tasks")):
        assert 404 == (await office.boards.call("GET", path, user=office.token(subject))).status


@pytest.mark.every_store
async def test_what_the_issuer_says_of_somebody_is_followed(office: IssuerApp) -> None:
    """
    The address always, the name where they gave none; whether the address is theirs is for the token to say.
    """
    one, two = (f"{n}@{uuid4()}.example.com" for n in (1, 2))
    first = await office.me(email=one, email_verified=True)
    second = await office.me(email=two, name="Ada")
    third = await office.me(name="Countess")

    assert [(None, one), ("Ada", two), ("Ada", two)] == [
        (each["name"], each["email"]) for each in (first, second, third)
    ]
    assert not (await office.users(email=two))[0].email_verified


@pytest.mark.every_store
async def test_a_token_that_does_not_tell_takes_nothing_back(office: IssuerApp) -> None:
    """
    Whether an address is somebody's stays as it was last told; of another address nothing was told yet.
    """
    one, two = (f"{n}@{uuid4()}.example.com" for n in (1, 2))
    told = []
    for email, more in ((one, True), (one, None), (one, False), (one, None), (one, True), (two, None)):
        await office.me(email=email, **({} if more is None else {"email_verified": more}))
        told.append((await office.users(email=email))[0].email_verified)

    assert [True, True, False, False, True, False] == told


@pytest.mark.every_store
async def test_an_older_token_takes_no_address_back(office: IssuerApp) -> None:
    """
    However often the two come by turns; nothing is written for it.
    """
    one, two = (f"{n}@{uuid4()}.example.com" for n in (1, 2))
    now = int(office.clock.now().timestamp())
    old, new = {"email": one, "iat": now - 60}, {"email": two, "iat": now - 30}
    for said in (old, new):
        await office.me(**said)
    (before,) = await office.users(email=two)
    told = [(await office.me(**said))["email"] for said in (old, new, old, new)]

    assert [two] * 4 == told
    assert [before] == await office.users(email=two)
    assert one == (await office.me(email=one, iat=now))["email"]


async def test_somebody_known_comes_in_although_a_new_address_cannot_be_kept(world: World) -> None:
    """
    So that they can read; who is not known yet is told.
    """

    def unit(*_: Any, **__: Any) -> Any:
        raise StoreFailed("as asked")

    ada, bob = uuid4().hex, uuid4().hex
    old, new, unknown = (
        identity_from_claims({"iss": "https://x.example", "sub": sub, "email": email}, IdentityProvider.OIDC)
        for sub, email in ((ada, f"{ada}@x.io"), (ada, f"{bob}@x.io"), (bob, f"{bob}@x.io"))
    )
    known = await provisioned_member(world.ports, old)
    broken = evolve(world.ports, unit=unit)

    assert known.user == (await provisioned_member(broken, new)).user
    with pytest.raises(StoreFailed):
        await provisioned_member(broken, unknown)


async def test_a_client_by_itself_becomes_no_person(office: IssuerApp, world: World) -> None:
    """
    Nor does it get an organization of its own, unless the operator lets clients in.
    """
    before = len(await world.ports.credentials.organizations())
    said = {"client_id": "build", "scope": "read"}
    answer = await office.boards.call("GET", "/api/v1/boards", user=office.token("build", **said))

    assert 403 == answer.status
    assert "OIDC_ALLOW_CLIENT_CREDENTIALS=1" in refusal(answer)[1]
    assert [] == await office.users(provider=IdentityProvider.OIDC, subject=f"{office.issuer_name} build")
    assert before == len(await world.ports.credentials.organizations())
    issuer = OidcIssuerSettings(
        name=office.issuer_name, audience=AUDIENCE, keys_url=f"{office.issuer_name}/keys", clients=True
    )
    async with issuer_app(
        world, IdentityProviderSettings(mode=AuthMode.OIDC, issuer=issuer), office.issuer, office.issuer_name
    ) as open_:
        assert "build" == (await open_.me(subject="build", preferred_username="build", **said))["name"]
    assert 200 == (await office.boards.call("GET", "/api/v1/boards", user=office.token("build", **said))).status


async def test_an_equal_address_makes_nobody_somebody_else(office: IssuerApp) -> None:
    """
    Nor does an equal subject at another issuer, or an equal name.
    """
    email = f"ada@{office.issuer.port}.example.com"
    ada = await office.me(email=email, email_verified=True)
    mallory = await office.me(subject="mallory", email=email, email_verified=True)
    other = f"https://{office.issuer.port}.{uuid4()}.example"
    elsewhere = identity_from_claims({"iss": other, "sub": "ada", "email": email}, IdentityProvider.OIDC)
    third = await provisioned_member(office.boards.ports, elsewhere)

    assert 3 == len({ada["id"], mallory["id"], str(third.user)})
    assert 3 == len({each.username for each in await office.users(email=email)})


@pytest.mark.every_store
async def test_whoever_was_shut_out_stays_out(office: IssuerApp) -> None:
    """
    With a reason, and however good the token.
    """
    me = await office.me()
    (user,) = (each for each in await office.users(provider=IdentityProvider.OIDC) if str(each.id) == me["id"])
    async with office.boards.ports.unit(SystemPrincipal(organization=UNKNOWN_CALLER.organization)) as unit:
        unit.repository(USERS).save(evolve(await unit.repository(USERS).get(user.id), approved=False))
        await unit.commit()
    answer = await office.boards.call("GET", "/api/v1/users/me", user=office.token())

    assert (403, "an admin has not approved this user yet, or has blocked them") == refusal(answer)


async def test_a_token_that_is_not_believed_is_told_why(office: IssuerApp, caplog: pytest.LogCaptureFixture) -> None:
    """
    In the header that says so, and in the log; not in the body, which clients know.
    """
    with caplog.at_level(logging.WARNING):
        answer = await office.boards.call("GET", "/api/v1/users/me", user=office.token(exp=0))

    assert (401, "Unauthorized") == refusal(answer)
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert "it has expired" in answer.headers["www-authenticate"]
    assert "it has expired" in caplog.text
    assert office.token(exp=0) not in caplog.text
    forged = office.issuer.token({"sub": "ada"}, key=OTHER)
    assert 401 == (await office.boards.call("GET", "/api/v1/boards", user=forged)).status
    assert [] == await office.users(provider=IdentityProvider.OIDC, subject=f"{office.issuer.url} ada")


@pytest.mark.parametrize("subject", [None, "", 7, "x" * 256, "a\0b", ["ada"]])
async def test_a_token_of_nobody_is_refused(office: IssuerApp, subject: Any) -> None:
    answer = await office.boards.call("GET", "/api/v1/users/me", user=office.token(sub=subject))

    assert (401, "Unauthorized") == refusal(answer)


async def test_while_no_keys_are_known_the_answer_says_so(office: IssuerApp) -> None:
    """
    It is none that would make a client forget whom it belongs to, and it says when to come again.
    """
    office.issuer.status = 500
    answer = await office.boards.call("GET", "/api/v1/users/me", user=office.token())

    assert (503, "5") == (answer.status, answer.headers["retry-after"])
    assert "cannot be checked now" in refusal(answer)[1]
    operations = (await office.boards.got("GET", "/openapi.json", user=None))["paths"]
    assert "Retry-After" in operations["/api/v1/users/me"]["get"]["responses"]["503"]["headers"]


async def test_a_new_key_of_the_issuer_is_waited_for(office: IssuerApp) -> None:
    """
    Its token is not refused while the issuer was asked a moment ago; it is let in a few seconds later.
    """
    assert 200 == (await office.boards.call("GET", "/api/v1/users/me", user=office.token())).status
    office.issuer.keys = [OTHER]
    new = office.issuer.token(office.claims(), key=OTHER)
    answer = await office.boards.call("GET", "/api/v1/users/me", user=new)

    assert (503, True) == (answer.status, 1 <= int(answer.headers["retry-after"]) <= 5)
    office.clock.advance(seconds=int(answer.headers["retry-after"]))
    assert 200 == (await office.boards.call("GET", "/api/v1/users/me", user=new)).status


@pytest.mark.parametrize("key", [DOTTED, SHAPED])
async def test_a_credential_that_looks_like_a_token_is_known_first(office: IssuerApp, key: str) -> None:
    """
    The operator's, or an agent's; though the issuer is silent.
    """
    office.issuer.silent = True
    body = {"name": f"ada-{len(key)}", "board_id": str(office.boards.board)}
    made = await office.boards.got("POST", "/api/v1/agents", body, user=key)
    secret = f"an.agents.{uuid4()}"
    async with office.boards.ports.unit(office.boards.me) as unit:
        (kept,) = await unit.keys.list_of(AgentId(UUID(made["id"])))
        (number,) = await office.boards.ports.numbers.next((office.boards.me.organization, "key"))
        id = ApiKeyId(office.boards.ports.ids.new())
        unit.keys.add(evolve(kept, id=id, number=ApiKeyNumber(number), digest=secret_digest(secret)))
        await unit.commit()

    for said in ({"agent": secret, "user": None}, {"user": secret}):
        assert 200 == (await office.boards.call("GET", office.boards.tasks, **said)).status
    assert [] == office.issuer.asked


async def test_a_token_costs_no_lookup_of_other_credentials(office: IssuerApp, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up, principal_of = list[bytes](), ServerSecretCredentials.principal_of

    async def counted(self: ServerSecretCredentials, digest: bytes, *, at: Any) -> Any:
        looked_up.append(digest)
        return await principal_of(self, digest, at=at)

    monkeypatch.setattr(ServerSecretCredentials, "principal_of", counted)
    await office.me()
    assert [] == looked_up
    assert 200 == (await office.boards.call("GET", "/api/v1/boards", user=KEY)).status
    assert [secret_digest(KEY)] == looked_up


async def test_what_is_no_jwt_is_told_what_to_ask_the_issuer_for(
    office: IssuerApp, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Where a person's token is read. Nothing that is told breaks the header.
    """
    told = f"this is no JWT; ask {office.issuer_name} for an access token for {AUDIENCE}"
    for path in ("/api/v1/boards", office.boards.tasks):
        with caplog.at_level(logging.WARNING):
            answer = await office.boards.call("GET", path, user="an-opaque-token")
        assert (401, "Unauthorized") == refusal(answer)
        assert told in answer.headers["www-authenticate"]
        assert told in answer.json["hint"]
    assert "fault='not_a_jwt'" in caplog.text
    assert "an-opaque-token" not in caplog.text
    odd = await office.boards.call("GET", "/api/v1/boards", user=office.token(aud='a"b\\\r\n\u2028é'))
    assert (401, 1) == (odd.status, odd.headers["www-authenticate"].count('error_description="'))


async def test_a_token_of_another_issuer_is_logged_beside_what_was_expected(
    office: IssuerApp, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A slash at its end makes it another one.
    """
    called = f"{office.issuer_name}/"
    with caplog.at_level(logging.WARNING):
        answer = await office.boards.call("GET", "/api/v1/users/me", user=office.token(iss=called))

    assert f"set OIDC_ISSUER to {called}" in answer.json["hint"]
    for told in (f"iss='{called}'", f"expected_iss='{office.issuer_name}'", f"aud='{AUDIENCE}'", "expected_aud="):
        assert told in caplog.text


async def test_the_operators_key_works_and_the_local_token_does_not(office: IssuerApp) -> None:
    """
    Agents have their tokens as ever, and a person's is none of theirs.
    """
    body = {"name": "ada", "board_id": str(office.boards.board)}
    made = await office.boards.got("POST", "/api/v1/agents", body, user=KEY)

    assert 200 == (await office.boards.call("GET", "/api/v1/boards", user=KEY)).status
    assert (401, "Unauthorized") == refusal(await office.boards.call("GET", "/api/v1/boards", user=TOKEN))
    assert 200 == (await office.boards.call("GET", "/api/v1/agent/boards", agent=made["agent_token"])).status
    assert 401 == (await office.boards.call("GET", "/api/v1/agent/boards", user=office.token())).status
    assert 401 == (await office.boards.call("GET", "/api/v1/agent/boards", agent=office.token())).status


async def test_user_names_are_made_of_addresses_and_taken_by_nobody_else(world: World) -> None:
    assert ["ada.l", "user", "user", "a" * 28, "x_y-z"] == [
        username_from(each) for each in ("Ada.L@example.com", "@", None, "a" * 40, "X_y -z!")
    ]
    wish = f"{uuid4().hex[:20]}@example.com"
    person = identity_from_claims({"iss": "https://x.example", "sub": wish, "email": wish}, IdentityProvider.OIDC)
    await provisioned_member(world.ports, person)

    assert f"{wish.partition('@')[0]}-1" == await free_username(world.ports, wish)


@pytest.mark.parametrize("mode", [{}, {"AUTH_MODE": "oidc"}, {"AUTH_MODE": "clerk"}])
async def test_the_settings_decide_whose_token_counts(mode: dict[str, str], tmp_path: Path) -> None:
    """
    The server's own or an issuer's, never both; and what does not count is nobody's credential.
    """
    environment = {"OIDC_ISSUER": "https://issuer.example.com", "OIDC_AUDIENCE": AUDIENCE, **mode}
    settings = settings_from(environment, data_dir=tmp_path)
    async with ports_from_settings(settings) as ports:
        now = ports.clock.now()
        local, key = [
            await ports.credentials.principal_of(secret_digest(secret), at=now)
            for secret in (settings.local_auth_token, settings.api_key)
        ]

    assert bool(mode) is (local is None)
    assert bool(mode) is (IdentityProvider.OIDC in ports.verifiers)
    assert bool(mode) is ("LOCAL_AUTH_TOKEN" not in settings.credentials)
    assert key is not None
