"""
The Boards API where Clerk vouches for people: it is asked for what their tokens leave out, and to delete them.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from attrs import evolve, frozen

from mission_core.accounts.account_deletion import delete_account
from mission_core.accounts.model import SystemPrincipal
from mission_core.accounts.organizations import ORGANIZATIONS
from mission_core.accounts.profiles import LocalUserProtected, ensure_local_user
from mission_core.accounts.user_provisioning import UNKNOWN_CALLER
from mission_core.accounts.users import USERS, IdentityProvider, User
from mission_core.boards.board_access import InvitePerson, invite_person
from mission_http.identity_provider_settings import IdentityProviderSettings
from tests.contract.boards_driver import refusal
from tests.contract.conftest import World
from tests.contract.issuer_app import IssuerApp, issuer_app
from tests.local_clerk import SECRET, LocalClerk, clerk_user, local_clerk

pytestmark = pytest.mark.one_store

ME, MINE = "/api/v1/users/me", "/api/v1/organizations/me"


@frozen
class Branch:
    """
    The Boards API, and the Clerk that vouches for its people.
    """

    office: IssuerApp
    clerk: LocalClerk

    def keeps(self, *addresses: str, **more: Any) -> str:
        """
        Somebody whom Clerk keeps, by their id.
        """
        id = f"user_{uuid4().hex}"
        self.clerk.people[id] = clerk_user(*addresses, **more)
        return id

    async def comes(self, id: str, **said: Any) -> User:
        """
        The user who somebody is when they come with a token.
        """
        await self.office.me(subject=id, **said)
        (user,) = await self.kept(id)
        return user

    async def kept(self, id: str) -> list[User]:
        return await self.office.users(provider=IdentityProvider.OIDC, subject=f"{self.office.issuer_name} {id}")

    async def named(self, id: str) -> User:
        """
        The user, of whom all is known now.
        """
        return await self.comes(id, email=an_address(), name="Ada")

    async def acts_in(self, id: str) -> Any:
        return await self.office.boards.got("GET", MINE, user=self.office.token(id))

    async def leaves(self, id: str) -> tuple[int, Any]:
        """
        What somebody is answered who deletes their account.
        """
        answer = await self.office.boards.call("DELETE", ME, user=self.office.token(id))
        return (200, answer.json) if answer.status == 200 else refusal(answer)

    async def has(self, organization: str) -> bool:
        found = await self.office.boards.ports.reads.entities.every(UNKNOWN_CALLER, ORGANIZATIONS)
        return organization in {str(each.id) for each in found}


def an_address() -> str:
    return f"{uuid4()}@example.com"


@pytest.fixture
async def branch(world: World) -> AsyncIterator[Branch]:
    """
    With a Clerk of the test's own, as the settings of a server would have it.
    """
    async with local_clerk() as clerk:
        identities = IdentityProviderSettings.of(
            {"AUTH_MODE": "clerk", "CLERK_SECRET_KEY": SECRET, "CLERK_API_URL": clerk.url}
        )
        async with issuer_app(world, identities, clerk, f"https://{uuid4()}.clerk.example") as office:
            yield Branch(office, clerk)


async def test_what_a_token_leaves_out_is_asked_for(branch: Branch) -> None:
    """
    Of whoever is new, once, with the secret.
    """
    email = an_address()
    id = branch.keeps(an_address(), email.upper(), primary=1, first_name="Ada", last_name="Lovelace")
    user = await branch.comes(id)

    assert (email, True, "Ada Lovelace") == (user.email, user.email_verified, user.name)
    assert [f"GET {id}"] == branch.clerk.calls
    assert f"Bearer {SECRET}" == branch.clerk.shown[-1]["authorization"]


@pytest.mark.parametrize(("status", "let_in"), [("verified", True), ("unverified", False), ("expired", False)])
async def test_an_invite_opens_for_an_address_that_clerk_has_verified(
    branch: Branch, status: str, let_in: bool
) -> None:
    """
    Also where the token names it and does not tell; who only claims one gets an organization of their own.
    """
    boards = branch.office.boards
    for said in (False, True):
        email = an_address()
        await invite_person(boards.ports, boards.me, InvitePerson(email=email, role="member"))
        id = branch.keeps(email, status=status)
        user = await branch.comes(id, **({"email": email} if said else {}))

        assert let_in is user.email_verified
        assert let_in is ((await branch.acts_in(id))["id"] == str(boards.me.organization))
        await branch.comes(id, **({"email": email} if said else {}))
        assert let_in is (await branch.kept(id))[0].email_verified


async def test_what_a_token_says_goes_before(branch: Branch) -> None:
    """
    That Clerk has verified another address says nothing of the one that it names.
    """
    email = an_address()
    user = await branch.comes(branch.keeps(an_address(), first_name="Bob"), email=email, name="Ada")
    refused = await branch.comes(branch.keeps(email), email=email, email_verified=False)

    assert (email, False, "Ada") == (user.email, user.email_verified, user.name)
    assert (email, False) == (refused.email, refused.email_verified)


@pytest.mark.every_store
async def test_whoever_lacks_something_is_asked_for_later_too(branch: Branch) -> None:
    """
    Another address is taken along then; a name that they have stays.
    """
    id = branch.keeps()
    first = await branch.comes(id)
    branch.clerk.people[id] = clerk_user("one@example.com", first_name="Ada")
    branch.office.clock.advance(minutes=5)
    second = await branch.comes(id)
    await branch.office.boards.got("PATCH", ME, {"name": " "}, user=branch.office.token(id))
    branch.clerk.people[id] = clerk_user("two@example.com", first_name="Countess")
    branch.office.clock.advance(minutes=5)
    third = await branch.comes(id)
    branch.clerk.people[id] = clerk_user("three@example.com", first_name="Bob")
    branch.office.clock.advance(minutes=5)
    fourth = await branch.comes(id)

    assert [(None, None), ("one@example.com", "Ada")] == [(each.email, each.name) for each in (first, second)]
    assert [("two@example.com", "Countess")] * 2 == [(each.email, each.name) for each in (third, fourth)]


@pytest.mark.every_store
@pytest.mark.parametrize("said", [{"name": "Ada"}, {"email": "ada@example.com"}])
async def test_an_address_is_missed_as_a_name_is(branch: Branch, said: dict[str, str]) -> None:
    """
    Either is worth the question.
    """
    id = branch.keeps()
    await branch.comes(id, **said)
    branch.clerk.people[id] = clerk_user("ada@example.com", first_name="Ada")
    branch.office.clock.advance(minutes=5)
    user = await branch.comes(id, **said)

    assert ("ada@example.com", "Ada") == (user.email, user.name)


async def test_of_whom_all_is_known_nobody_is_asked(branch: Branch) -> None:
    """
    But once, when they are new.
    """
    id = branch.keeps()
    await branch.named(id)
    for _ in range(3):
        branch.office.clock.advance(minutes=30)
        await branch.comes(id)

    assert [f"GET {id}"] == branch.clerk.calls


@pytest.mark.parametrize("known", [True, False])
async def test_whoever_has_nothing_to_offer_is_asked_for_now_and_then(branch: Branch, known: bool) -> None:
    """
    However many of their requests come, one after another or at once, and whether or not Clerk knows them.
    """
    id = branch.keeps() if known else "user_of_nobody"
    for _ in range(2):
        await asyncio.gather(*(branch.comes(id) for _ in range(5)))
        await branch.comes(id)
        branch.office.clock.advance(minutes=5)

    assert [f"GET {id}"] * 2 == branch.clerk.calls
    assert (None, None) == ((await branch.kept(id))[0].email, (await branch.kept(id))[0].name)


async def test_first_requests_at_once_wait_for_one_answer(branch: Branch) -> None:
    """
    None of them makes a user who lacks what the others are about to hear.
    """
    email = an_address()
    id = branch.keeps(email)
    boards = branch.office.boards
    await invite_person(boards.ports, boards.me, InvitePerson(email=email, role="member"))
    users = await asyncio.gather(*(branch.comes(id) for _ in range(5)))

    assert {(email, True)} == {(each.email, each.email_verified) for each in users}
    assert [f"GET {id}"] == branch.clerk.calls
    assert str(boards.me.organization) == (await branch.acts_in(id))["id"]


@pytest.mark.parametrize("status", [401, 500])
async def test_while_clerk_does_not_answer_people_come_in_without(
    branch: Branch, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """
    The log says so once, and again when it happens anew.
    """
    await branch.named(branch.keeps())
    with caplog.at_level(logging.DEBUG):
        for _ in range(2):
            branch.clerk.status = status
            users = [await branch.comes(branch.keeps("ada@example.com")) for _ in range(3)]
            branch.clerk.status = None
            assert "ada@example.com" == (await branch.comes(branch.keeps("ada@example.com"))).email

    assert {None} == {each.email for each in users}
    told = [each.getMessage() for each in caplog.records if each.name == "mission_adapters"]
    assert [True, True] == [str(status) in each for each in told]
    assert SECRET not in caplog.text


async def test_whoever_deletes_themselves_is_deleted_at_clerk(branch: Branch) -> None:
    """
    There first; and nothing that was heard of them is remembered.
    """
    id = branch.keeps(an_address(), first_name="Ada")
    await branch.comes(id)
    organization = (await branch.acts_in(id))["id"]

    assert (200, {"ok": True}) == await branch.leaves(id)
    assert [f"GET {id}", f"DELETE {id}"] == branch.clerk.calls
    assert ({}, [], False) == (branch.clerk.people, await branch.kept(id), await branch.has(organization))
    assert (None, None) == ((again := await branch.comes(id)).email, again.name)


async def test_whom_clerk_does_not_have_any_more_can_go(branch: Branch) -> None:
    id = branch.keeps()
    await branch.named(id)
    del branch.clerk.people[id]

    assert (200, {"ok": True}) == await branch.leaves(id)
    assert [] == await branch.kept(id)


@pytest.mark.parametrize("status", [302, 401, 403, 422, 429, 500])
async def test_whom_clerk_does_not_delete_stays_as_they_are(
    branch: Branch, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """
    With all that is theirs, until they try again.
    """
    id = branch.keeps()
    user = await branch.named(id)
    organization = (await branch.acts_in(id))["id"]
    branch.clerk.status = status
    with caplog.at_level(logging.DEBUG):
        answer = await branch.leaves(id)

    assert (502, "Failed to delete account from Clerk") == answer
    assert str(status) in caplog.text
    assert SECRET not in caplog.text
    assert [user] == await branch.kept(id)
    assert organization == (await branch.acts_in(id))["id"]
    branch.clerk.status = None
    assert (200, {"ok": True}) == await branch.leaves(id)
    assert ([], False) == (await branch.kept(id), await branch.has(organization))


async def test_what_is_interrupted_after_clerk_is_finished_by_a_repeat(branch: Branch) -> None:
    """
    As if the server had gone down between the two.
    """
    id = branch.keeps()
    await branch.named(id)
    organization = (await branch.acts_in(id))["id"]
    branch.clerk.silent = True
    branch.clerk.reached.clear()
    going = asyncio.create_task(branch.leaves(id))
    await branch.clerk.reached.wait()
    going.cancel()
    await asyncio.wait([going])
    branch.clerk.silent = False

    assert going.cancelled()
    assert await branch.has(organization)
    assert (200, {"ok": True}) == await branch.leaves(id)
    assert ([], False) == (await branch.kept(id), await branch.has(organization))


async def test_who_may_not_go_is_not_deleted_at_clerk(branch: Branch) -> None:
    """
    The last owner of others, and the local user.
    """
    boards = branch.office.boards
    id, email = branch.keeps(), an_address()
    owner = await branch.named(id)
    acting = await boards.ports.credentials.member(owner.id)
    assert acting is not None
    await invite_person(boards.ports, acting, InvitePerson(email=email, role="member"))
    member = branch.keeps(email)
    await branch.comes(member)

    assert (422, "Organization must have at least one owner") == await branch.leaves(id)
    local = await ensure_local_user(boards.ports, acting.organization, username=f"local-{acting.organization}")
    with pytest.raises(LocalUserProtected):
        await delete_account(boards.ports, SystemPrincipal(organization=acting.organization, user=local))
    assert {id, member} == branch.clerk.people.keys()
    assert [] == [each for each in branch.clerk.calls if each.startswith("DELETE")]


@pytest.mark.every_store
async def test_whom_somebody_else_vouches_for_is_nothing_to_clerk(branch: Branch) -> None:
    """
    Whatever they are called there.
    """
    id = branch.keeps()
    user = await branch.named(id)
    place = await branch.acts_in(id)
    assert user.active is not None
    acting = SystemPrincipal(organization=user.active, user=user.id)
    async with branch.office.boards.ports.unit(acting) as unit:
        unit.repository(USERS).save(evolve(await unit.repository(USERS).get(user.id), provider=IdentityProvider.GOOGLE))
        await unit.commit()
    await delete_account(branch.office.boards.ports, acting)

    assert ({id}, False) == (branch.clerk.people.keys(), await branch.has(place["id"]))
    assert [f"GET {id}"] == branch.clerk.calls
