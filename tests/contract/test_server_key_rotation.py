"""
The server's key is replaced while the server runs: from that moment the new one is good everywhere, and the old one
only as long as was said.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from attrs import evolve

from mission_adapters.testing.concurrent_writes import at_once
from mission_core.accounts.members import ADMIN, OWNER
from mission_core.accounts.model import Role, RoleTooLow
from mission_core.accounts.server_key_rotation import (
    RotatedServerKey,
    RotateServerKey,
    ServerKeyRotationDenied,
    masked_key,
    rotate_server_key,
    server_key_state,
)
from mission_core.accounts.server_keys import SERVER_KEYS
from mission_core.accounts.sign_in import token_digest
from mission_core.errors import InvalidField
from mission_core.ids import OrganizationId
from mission_core.ports import Ports
from mission_http.wiring import ServerSecretCredentials
from tests.contract.conftest import World, viewer
from tests.contract.fleet_driver import KEY, FleetDriver, refusal, wrong_fields
from tests.contract.people import standing_as

HOUR = timedelta(hours=1)
Good = Callable[[str], Awaitable[bool]]


@pytest.fixture
def given() -> str:
    """
    The environment's key.
    """
    return f"the-key-of-the-environment-{uuid4()}"


@pytest.fixture
def there(world: World, given: str) -> World:
    """
    An organization that the environment's key stands for.
    """
    return evolve(world, ports=knowing(world.ports, given, world))


def knowing(ports: Ports, given: str, world: World) -> Ports:
    return evolve(ports, credentials=ServerSecretCredentials(ports.credentials, {token_digest(given): world.me}))


async def rotated(world: World, given: str | None, overlap: timedelta = timedelta(0)) -> RotatedServerKey:
    return await rotate_server_key(world.ports, world.me, RotateServerKey(given=given, overlap=overlap))


async def lives(world: World, *keys: Any) -> list[bool]:
    """
    Which of these keys stand for the organization's operator.
    """
    found = [await world.ports.credentials.principal_of(token_digest(key), at=world.clock.now()) for key in keys]
    assert {each.organization for each in found if each} <= {world.me.organization}
    assert {each.role for each in found if each} <= {Role.ADMIN}
    return [each is not None for each in found]


async def test_the_new_key_works_at_once_and_the_old_one_stops(there: World, given: str) -> None:
    first = await rotated(there, given)

    assert [False, True] == await lives(there, given, first.secret)
    second = await rotated(there, given)
    assert [False, False, True] == await lives(there, given, first.secret, second.secret)
    assert str(first.secret).startswith("mc_")
    assert 51 == len(str(first.secret))


async def test_another_process_refuses_the_old_key_too(there: World, world: World, given: str) -> None:
    """
    For nothing is remembered that a commit may have changed.
    """
    other = evolve(world, ports=knowing(world.ports, given, world))
    made = await rotated(there, given)

    assert [False, True] == await lives(other, given, made.secret)


async def test_within_the_overlap_both_work_and_then_only_the_new_one(there: World, given: str) -> None:
    made = await rotated(there, given, HOUR)
    there.clock.advance(seconds=3599)
    before = await lives(there, given, made.secret)
    there.clock.advance(seconds=1)

    assert [[True, True], [False, True]] == [before, await lives(there, given, made.secret)]
    state = await server_key_state(there.ports, there.me, given)
    assert ("database", None, None) == (state.source, state.masked, state.old_good_until)


async def test_a_later_rotation_never_makes_a_key_live_longer(there: World, given: str) -> None:
    """
    Than it was told: an overlap of an hour for the newest key gives no hour to one that has a minute left.
    """
    first = await rotated(there, given, timedelta(minutes=1))
    second = await rotated(there, given, HOUR)
    there.clock.advance(seconds=60)

    assert [False, True, True] == await lives(there, given, first.secret, second.secret)
    third = await rotated(there, given)
    assert [False, False, True] == await lives(there, first.secret, second.secret, third.secret)


@pytest.mark.every_store
@pytest.mark.parametrize("overlap", [timedelta(0), HOUR])
@pytest.mark.parametrize("known", [0, 1])
@pytest.mark.parametrize("environment", [True, False])
async def test_of_two_who_rotate_at_once_one_replaces_the_others_key(
    there: World, given: str, overlap: timedelta, known: int, environment: bool
) -> None:
    """
    Also where there is no key that both would replace: one key is good for good, the other as long as its successor
    said.
    """
    told = given if environment else None
    for _ in range(known):
        await rotated(there, told)
    command = RotateServerKey(given=told, overlap=overlap)
    answers = await at_once(there, (rotate_server_key, command), (rotate_server_key, command))
    secrets = [answer.secret for answer in answers]

    assert (2 if overlap else 1) == sum(await lives(there, *secrets))
    there.clock.advance(seconds=3600)
    assert 1 == sum(await lives(there, *secrets))
    assert not environment or [False] == await lives(there, given)


async def test_what_ended_is_not_kept_for_ever(there: World, given: str) -> None:
    for _ in range(5):
        await rotated(there, given)
        there.clock.advance(seconds=1)

    assert 2 == len(await there.ports.reads.entities.every(there.me, SERVER_KEYS, of=there.me.organization))


async def test_the_key_of_one_organization_is_none_of_anothers(there: World, elsewhere: World, given: str) -> None:
    """
    An admin of another organization gets a key of that organization, and the environment's goes on.
    """
    other = evolve(elsewhere, ports=there.ports)
    made = await rotated(other, given)

    assert [True] == await lives(there, given)
    assert [True] == await lives(other, made.secret)
    nobody = evolve(there.me, organization=OrganizationId(uuid4()))
    assert "none" == (await server_key_state(there.ports, nobody, given)).source
    assert masked_key(given) == (await server_key_state(there.ports, there.me, given)).masked


async def test_who_may_not_replace_it(there: World, given: str) -> None:
    """
    Nobody below admin, and no admin, person or agent, who is no owner: the new key could change owners.
    """
    confined = await there.principal("ada", role=Role.ADMIN, board=there.board.id)
    agent = await there.principal("bob", role=Role.ADMIN)
    admin = await standing_as(there, ADMIN)

    for principal, expected in (
        (viewer(there), RoleTooLow), (confined, ServerKeyRotationDenied), (agent, ServerKeyRotationDenied),
        (admin, ServerKeyRotationDenied),
    ):  # fmt: skip
        with pytest.raises(expected):
            await rotate_server_key(there.ports, principal, RotateServerKey(given=given))
    for overlap in (timedelta(seconds=-1), timedelta(days=1, seconds=1)):
        with pytest.raises(InvalidField):
            await rotated(there, given, overlap)
    assert [True] == await lives(there, given)


async def test_an_owner_may_replace_it(there: World, given: str) -> None:
    made = await rotate_server_key(there.ports, await standing_as(there, OWNER), RotateServerKey(given=given))

    assert [False, True] == await lives(there, given, made.secret)


async def test_the_log_tells_who_replaced_it_and_shows_no_key(there: World, given: str) -> None:
    made = await rotated(there, given)
    entry = (await there.ports.log.read(there.me.organization, limit=1000))[-1]

    assert ("server_key.rotated", there.me.actor) == (entry.kind, entry.actor)
    assert masked_key(given) in str(entry.payload)
    assert not [secret for secret in (given, str(made.secret)) if secret in str(entry.payload)]


async def test_over_http(fleet: FleetDriver) -> None:
    """
    The answer shows the key once; the old one is refused by the next request.
    """
    before = await fleet.got("GET", "/tokens/rotate")
    made = await fleet.got("POST", "/tokens/rotate", idempotency_key="once")
    key = made["key"]
    again = await fleet.call("POST", "/tokens/rotate", key=key)
    newest = again.json["key"]
    after = await fleet.got("GET", "/tokens/rotate", key=newest)

    assert {
        "masked_key": masked_key(KEY), "configured": True, "source": "environment", "last_rotated_at": None,
        "last_rotated_by": None, "old_key_expires_at": None,
    } == before  # fmt: skip
    assert (masked_key(key), "api") == (made["masked_key"], made["rotated_by"])
    assert "stopped working" in made["message"]
    assert ("database", None, "api", True) == (
        after["source"], after["masked_key"], after["last_rotated_by"], after["configured"],
    )  # fmt: skip
    for dead in (KEY, key):
        answer = await fleet.call("GET", "/tokens/rotate", key=dead)
        assert (401, "Authentication required") == refusal(answer)


async def forget_environments_key(world: World) -> None:
    """
    Free the key that all tests of the Fleet share, where another organization's was kept until its overlap ends.
    """
    async with world.ports.unit(world.me) as unit:
        keys = unit.repository(SERVER_KEYS)
        if taken := await keys.find(digest=token_digest(KEY)):
            keys.remove(taken)
            await unit.commit()


@pytest.mark.every_store
async def test_a_repeat_under_one_idempotency_key_rotates_once_and_shows_no_key(
    world: World, fleet: FleetDriver
) -> None:
    await forget_environments_key(world)
    body = {"overlap_seconds": 60}
    made = await fleet.got("POST", "/tokens/rotate", body, idempotency_key="once")
    again = await fleet.got("POST", "/tokens/rotate", body, idempotency_key="once")

    assert again == {name: value for name, value in made.items() if name != "key"}
    assert "stops working at" in made["message"]


@pytest.mark.parametrize("overlap", [-1, 86_401, "1", 1.5, None, True])
async def test_an_overlap_that_cannot_be_is_named(fleet: FleetDriver, overlap: Any) -> None:
    answer = await fleet.call("POST", "/tokens/rotate", {"overlap_seconds": overlap})

    assert ["overlap_seconds"] == wrong_fields(answer)
    assert "environment" == (await fleet.got("GET", "/tokens/rotate"))["source"]


async def test_masks_show_little() -> None:
    assert ["****", "****", "abcd-****-****-56789"] == [
        masked_key(""),
        masked_key("123456789"),
        masked_key("abcd123456789"),
    ]
