"""
What Clerk's backend API tells of people, and what it deletes, over a server on this machine that plays it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from attrs import define, evolve

from mission_adapters.clerk import ClerkDirectory
from mission_adapters.outbound_http import OutboundClient, OutboundRequestFailed
from mission_adapters.testing import ManualClock
from mission_core.accounts.identity_claims import ProviderProfile
from mission_core.accounts.ports import ProviderAccountNotDeleted
from tests.local_clerk import SECRET, LocalClerk, clerk_user, local_clerk

ISSUER = "https://us.clerk.example"
ADA = f"{ISSUER} user_ada"
KNOWN = ProviderProfile(email="ada@example.com", verified=True, name="Ada")
HEADERS = {"authorization": f"Bearer {SECRET}"}
OUTAGES: list[dict[str, Any]] = [
    {"status": 401}, {"status": 404}, {"status": 500}, {"status": 301, "headers": {"location": "/elsewhere"}},
    {"body": b"x" * 600_000}, {"headers": {"content-encoding": "gzip"}}, {"silent": True},
]  # fmt: skip


@define
class Asking:
    """
    Clerk, with one person, and what asks it.
    """

    clerk: LocalClerk
    clock: ManualClock
    directory: ClerkDirectory

    def breaks(self, **outage: Any) -> None:
        for name, value in outage.items():
            setattr(self.clerk, name, value)


@pytest.fixture
async def asking() -> AsyncIterator[Asking]:
    clock = ManualClock()
    people = {"user_ada": clerk_user("ada@example.com", first_name="Ada")}
    async with local_clerk(people=people) as clerk, OutboundClient.open([clerk.url]) as outbound:
        patient = evolve(outbound, timeout=0.2)
        yield Asking(clerk, clock, ClerkDirectory(f"{clerk.url}/v1", SECRET, patient, clock, ISSUER))


@pytest.mark.parametrize("outage", [*OUTAGES, {"body": b"<html>"}, {"body": b"[]"}, {"body": b"null"}], ids=range(10))
async def test_what_clerk_does_not_tell_is_asked_again_after_a_while(
    asking: Asking, outage: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """
    It is waited for a moment, however many wait; the secret goes nowhere else.
    """
    asking.breaks(**outage)
    with caplog.at_level(logging.WARNING):
        told = await asyncio.gather(*(asking.directory.profile_of(ADA) for _ in range(3)))
    asking.breaks(status=None, body=None, headers={}, silent=False)
    told.append(await asking.directory.profile_of(ADA))
    asking.clock.advance(seconds=299)
    told.append(await asking.directory.profile_of(ADA))

    assert [None] * 5 == told
    assert 1 == len(caplog.records)
    assert SECRET not in caplog.text
    asking.clock.advance(seconds=1)
    assert KNOWN == await asking.directory.profile_of(ADA)
    assert ["/v1/users/user_ada"] * 2 == asking.clerk.asked


async def test_while_clerk_is_silent_one_person_waits_for_it_and_no_others(asking: Asking) -> None:
    """
    They come in without, and are asked for a little later.
    """
    asking.clerk.silent = True
    for name in ("bob", "carl", "ada"):
        assert await asking.directory.profile_of(f"{ISSUER} user_{name}") is None
    assert ["/v1/users/user_bob"] == asking.clerk.asked
    asking.clerk.silent = False
    asking.clock.advance(seconds=30)

    assert KNOWN == await asking.directory.profile_of(ADA)


async def test_whoever_gives_up_leaves_the_question_to_others(asking: Asking) -> None:
    """
    A browser that goes away while Clerk is asked takes no answer from the next.
    """
    asking.clerk.silent = True
    first = asyncio.create_task(asking.directory.profile_of(ADA))
    await asking.clerk.reached.wait()
    second = asyncio.create_task(asking.directory.profile_of(ADA))
    await asyncio.sleep(0)
    asking.clerk.silent = False
    first.cancel()

    assert KNOWN == await second


@pytest.mark.parametrize(
    "subject",
    ["https://another.example user_ada", "user_ada", f"{ISSUER}x user_ada", f"{ISSUER} ", ISSUER]
    + [f"{ISSUER} {id}" for id in ("..", "user_ada/organization_memberships", "user_ada?x=y", "a b", "%2e%2e", "ä")],
)
async def test_whom_clerk_cannot_have_is_not_asked_for(asking: Asking, subject: str) -> None:
    """
    Others' people, and what would lead to another place of its API.
    """
    assert None is await asking.directory.profile_of(subject)
    await asking.directory.delete(subject)

    assert [] == asking.clerk.asked


async def test_with_no_name_for_it_every_issuer_is_clerk(asking: Asking) -> None:
    """
    Its keys alone have told whose tokens they are.
    """
    asking.directory.issuer = None

    assert KNOWN == await asking.directory.profile_of("https://another.example user_ada")


async def test_the_latest_people_are_remembered_and_no_more(asking: Asking) -> None:
    """
    Whoever comes again stays among them.
    """
    asking.directory.max_cached = 2
    for name in ("ada", "bob", "ada", "carl", "ada", "bob"):
        await asking.directory.profile_of(f"{ISSUER} user_{name}")

    assert [f"GET user_{name}" for name in ("ada", "bob", "carl", "bob")] == asking.clerk.calls


async def test_an_account_is_deleted_once_and_then_forgotten(asking: Asking) -> None:
    """
    What is gone already is no mistake.
    """
    assert KNOWN == await asking.directory.profile_of(ADA)
    await asking.directory.delete(ADA)
    await asking.directory.delete(ADA)

    assert None is await asking.directory.profile_of(ADA)
    assert ["GET", "DELETE", "DELETE", "GET"] == [each.partition(" ")[0] for each in asking.clerk.calls]


@pytest.mark.parametrize("outage", [each for each in OUTAGES if each.get("status") != 404], ids=range(6))
async def test_an_account_that_may_be_there_still_is_told(
    asking: Asking, outage: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """
    Also where nobody knows; a repeat is then as good as the first time.
    """
    asking.breaks(**outage)
    with caplog.at_level(logging.WARNING), pytest.raises(ProviderAccountNotDeleted) as refused:
        await asking.directory.delete(ADA)
    asking.breaks(status=None, body=None, headers={}, silent=False)

    assert "the account at Clerk could not be deleted" in str(refused.value)
    assert 1 == len(caplog.records)
    assert SECRET not in caplog.text
    await asking.directory.delete(ADA)
    assert {"/v1/users/user_ada"} == set(asking.clerk.asked)
    assert {} == asking.clerk.people


async def test_nothing_is_deleted_where_nothing_may_be_asked(asking: Asking) -> None:
    """
    In a private network that no setting names.
    """
    url = f"{asking.clerk.url}/v1/users/user_ada"
    async with OutboundClient.open() as outbound:
        for place in (url, url.replace("http:", "https:")):
            with pytest.raises(OutboundRequestFailed, match=r"in the settings|private"):
                await outbound.delete(place, headers=HEADERS)
    async with OutboundClient.open(anywhere=True) as outbound:
        await outbound.delete(url, headers=HEADERS)

    assert ["DELETE user_ada"] == asking.clerk.calls
