"""
The caller as a person and a member, through the Boards API.
"""

import asyncio
from uuid import uuid4

import pytest

from mission_core.accounts.profiles import UpdateProfile, update_profile
from tests.contract.boards_driver import refusal

ME = "/api/v1/users/me"


async def test_the_local_user_is_known_from_the_start(boards):
    """
    By the names that a login screen shows, and the same however it is asked for.
    """
    me = await boards.got("GET", ME)

    assert me == await boards.got("POST", "/api/v1/auth/bootstrap")
    assert ("local-auth-user", "admin@home.local", "Local User") == (me["clerk_user_id"], me["email"], me["name"])
    assert str(boards.me.user) == me["id"]


@pytest.mark.every_store
async def test_a_profile_keeps_what_is_named(boards):
    """
    And leaves the rest; a name that was taken away comes back.
    """
    await boards.got("PATCH", ME, {"preferred_name": "Jo", "timezone": "Europe/Berlin", "context": "Ships"})
    me = await boards.got("PATCH", ME, {"timezone": None, "name": None})

    assert ("Jo", None, "Ships", "Local User") == (me["preferred_name"], me["timezone"], me["context"], me["name"])
    assert me == await boards.got("GET", ME)


async def test_a_name_that_is_taken_away_twice_comes_back_twice(boards):
    """
    Also where the second change changes nothing.
    """
    for _ in range(2):
        assert "Local User" == (await boards.got("PATCH", ME, {"name": None}))["name"]


async def test_a_profile_that_changed_meanwhile_is_left_alone(boards):
    """
    `If-Match` names the version that was seen.
    """
    await boards.got("PATCH", ME, {"notes": "One"}, if_match='"1"')

    assert 412 == (await boards.call("PATCH", ME, {"notes": "Two"}, if_match='"1"')).status
    assert "One" == (await boards.got("GET", ME))["notes"]


@pytest.mark.every_store
async def test_two_first_changes_at_once_are_both_kept(boards):
    """
    Whoever is slower finds the other's there.
    """
    me = boards.me
    await asyncio.gather(
        update_profile(boards.ports, me, UpdateProfile(notes="One")),
        update_profile(boards.ports, me, UpdateProfile(context="Two")),
    )
    kept = await boards.got("GET", ME)

    assert ("One", "Two") == (kept["notes"], kept["context"])


async def test_the_log_tells_fields_and_no_values(boards):
    """
    What people write about themselves is theirs to change.
    """
    await boards.got("PATCH", ME, {"notes": "A secret of mine"})
    *_, entry = await boards.ports.log.read(boards.me.organization)

    assert "user.updated" == entry.kind
    assert "secret" not in entry.payload


async def test_the_local_user_owns_its_organization(boards):
    """
    And is a member of no other.
    """
    own = await boards.got("GET", "/api/v1/organizations/me")
    member = await boards.got("GET", "/api/v1/organizations/me/member")

    assert str(boards.me.organization) == own["id"] == member["organization_id"]
    assert ("owner", True, True, []) == (
        member["role"], member["all_boards_read"], member["all_boards_write"], member["board_access"],
    )  # fmt: skip
    assert [{"id": own["id"], "name": own["name"], "role": "owner", "is_active": True}] == await boards.got(
        "GET", "/api/v1/organizations/me/list"
    )


async def test_only_an_own_organization_can_be_chosen(boards):
    """
    Whether or not another one exists.
    """
    own = await boards.got("GET", "/api/v1/organizations/me")
    active = "/api/v1/organizations/me/active"

    assert own == await boards.got("PATCH", active, {"organization_id": own["id"]})
    assert (403, "No org access") == refusal(await boards.call("PATCH", active, {"organization_id": str(uuid4())}))


async def test_an_agent_is_no_person(boards):
    """
    Its token opens no profile.
    """
    agent = await boards.agent()

    assert 401 == (await boards.call("GET", ME, agent=agent["agent_token"])).status


async def test_the_local_user_and_its_organization_stay(boards):
    """
    And whoever would delete them is told why, and what to do instead.
    """
    for path in (ME, "/api/v1/organizations/me"):
        status, said = refusal(await boards.call("DELETE", path))

        assert (409, True) == (status, "LOCAL_AUTH_TOKEN" in said)
    assert 200 == (await boards.call("GET", ME)).status
