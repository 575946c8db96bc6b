"""
What the log promises, on every store.
"""

import asyncio
import sqlite3
from typing import Any

import asyncpg
import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_core.accounts.model import AgentPrincipal
from mission_core.errors import StaleWrite
from mission_core.events.model import GENESIS, ChainBreak, ChainHead, Entry
from mission_core.events.use_cases import verify_log
from mission_core.tasks.use_cases import UpdateTask, update_task
from tests.contract.conftest import World
from tests.example_counts import max_examples


async def entries_of(world: World, **asked: int) -> list[Entry]:
    """
    The entries of the world's log.
    """
    return await world.ports.log.read(world.me.organization, **asked)


async def test_positions_are_dense_and_the_head_is_the_last(world):
    """
    From one on, without gaps; the head names the last position and its digest.
    """
    for i in range(5):
        await world.task(f"task {i}")
    entries = await entries_of(world)

    assert list(range(1, len(entries) + 1)) == [entry.position for entry in entries]
    assert ChainHead(entries[-1].position, entries[-1].digest) == await world.ports.log.head(world.me.organization)


async def test_an_unknown_organization_has_an_empty_log(world):
    """
    Its head is the beginning of every chain.
    """
    nobody = world.ports.ids.new()

    assert [] == await world.ports.log.read(nobody)
    assert ChainHead(0, GENESIS) == await world.ports.log.head(nobody)


async def test_reading_goes_on_after_a_position(world):
    """
    In pieces of any size, the log is the same.
    """
    for i in range(4):
        await world.task(f"task {i}")
    whole = await entries_of(world)
    pieces: list[Entry] = []
    while piece := await entries_of(world, after=len(pieces), limit=2):
        pieces += piece

    assert whole == pieces


async def test_each_organization_has_a_log_of_its_own(world, elsewhere):
    """
    What happens in one is not told in the other.
    """
    before = await entries_of(elsewhere)
    await world.task()

    assert before == await entries_of(elsewhere)


@settings(max_examples=max_examples(10), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(some.facts, min_size=1, max_size=4), some.ids, some.names)
async def test_an_entry_is_the_fact_that_was_recorded(world, facts, agent, name):
    """
    Kind, moment, actor, subject and payload come back as they went in, chained to the entry before.
    """
    me = AgentPrincipal(organization=world.me.organization, agent=agent, name=name)
    head = await world.ports.log.head(me.organization)
    async with world.ports.unit(me) as unit:
        unit.record(*facts)
        await unit.commit()
    kept = await entries_of(world, after=head.position)
    expected, digest = [], head.digest
    for position, fact in enumerate(facts, head.position + 1):
        entry = Entry.of(fact, organization=me.organization, actor=me.actor, position=position, previous=digest)
        expected.append(entry)
        digest = entry.digest

    assert expected == kept


async def test_what_was_undone_was_never_recorded(world):
    """
    A refused commit leaves no entry and no gap.
    """
    task = await world.task()
    before = await world.ports.log.head(world.me.organization)
    async with world.ports.unit(world.me) as unit:
        unit.rely_on(evolve(await unit.tasks.get(task.id), version=99))
        unit.record(await _fact(world))
        with pytest.raises(StaleWrite):
            await unit.commit()

    assert before == await world.ports.log.head(world.me.organization)


async def _fact(world: World) -> Any:
    return some.TaskDeleted(task=world.ports.ids.new(), number=1, title="x", at=world.clock.now())


async def test_the_chain_verifies(world):
    """
    Over everything that was recorded at once by many.
    """
    await asyncio.gather(*(world.task(f"task {i}") for i in range(20)))
    head = await world.ports.log.head(world.me.organization)

    assert head == await verify_log(world.ports.log, world.me.organization, batch=7)


TAMPERED = [
    ("payload", "its payload does not match"),
    ("actor_name", "its digest does not match the entry before"),
    ("kind", "its digest does not match the entry before"),
    ("digest", "its digest does not match the entry before"),
    ("gone", "is missing"),
]


@pytest.mark.parametrize(("what", "reason"), TAMPERED)
async def test_tampering_is_found_where_it_began(world, store, store_url, what, reason):
    """
    The first entry that does not fit is named.
    """
    for i in range(6):
        await world.task(f"task {i}")
    await _tamper(store, store_url, world.me.organization, 4, what)
    found = await verify_log(world.ports.log, world.me.organization)

    assert isinstance(found, ChainBreak)
    assert 4 == found.position
    assert reason in found.reason


async def test_a_cut_log_is_found(world, store, store_url):
    """
    The head remembers how far it reached.
    """
    last = await world.ports.log.head(world.me.organization)
    await _tamper(store, store_url, world.me.organization, last.position, "gone")
    found = await verify_log(world.ports.log, world.me.organization)

    assert isinstance(found, ChainBreak)
    assert last.position == found.position


async def test_an_erased_payload_leaves_a_provable_hole(world, store, store_url):
    """
    The chain still verifies, over the payload's digest.
    """
    await world.task()
    await _tamper(store, store_url, world.me.organization, 2, "erased")
    entries = await entries_of(world)

    assert entries[1].payload is None
    assert isinstance(await verify_log(world.ports.log, world.me.organization), ChainHead)


CHANGES = {
    "payload": "UPDATE events SET payload = '{\"number\":7}'",
    "erased": "UPDATE events SET payload = NULL",
    "actor_name": "UPDATE events SET actor_name = 'nobody'",
    "kind": "UPDATE events SET kind = 'task.moved'",
    "digest": "UPDATE events SET digest = payload_digest",
    "gone": "DELETE FROM events",
}


async def _tamper(store: Any, url: str, organization: Any, position: int, what: str) -> None:
    """
    Change the log behind the store's back.
    """
    if url.startswith("memory"):
        _tamper_in_memory(store.log.entries[organization], position - 1, what)
    elif url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30)
        with connection:
            connection.execute(
                f"{CHANGES[what]} WHERE organization = ? AND position = ?", (organization.bytes, position)
            )
        connection.close()
    else:
        connection = await asyncpg.connect(url)
        await connection.execute(
            f"{CHANGES[what]} WHERE organization = $1 AND position = $2", organization.bytes, position
        )
        await connection.close()


def _tamper_in_memory(entries: list[Entry], place: int, what: str) -> None:
    entry = entries[place]
    changed = {
        "payload": lambda: evolve(entry, payload='{"number":7}'),
        "erased": lambda: evolve(entry, payload=None),
        "actor_name": lambda: evolve(entry, actor=evolve(entry.actor, name="nobody")),
        "kind": lambda: evolve(entry, kind="task.moved"),
        "digest": lambda: evolve(entry, digest=entry.payload_digest),
    }
    if what == "gone":
        del entries[place]
    else:
        entries[place] = changed[what]()


async def test_a_reader_that_follows_misses_nothing_and_repeats_nothing(world):
    """
    While many write at once, waiting and reading after the last position sees every entry once, in order.
    """
    log, own = world.ports.log, world.me.organization
    start, expected = (await log.head(own)).position, 40
    seen: list[int] = []

    async def follow() -> None:
        last = start
        while len(seen) < expected:
            await log.wait(own, after=last)
            for entry in await log.read(own, after=last, limit=3):
                seen.append(entry.position)
                last = entry.position

    follower = asyncio.create_task(follow())
    await asyncio.gather(*(world.task(f"task {i}") for i in range(expected)))
    await asyncio.wait_for(follower, 20)

    assert list(range(start + 1, start + expected + 1)) == seen


async def test_all_who_wait_are_woken_by_the_next_commit(world):
    """
    And nobody before it.
    """
    head = await world.ports.log.head(world.me.organization)
    waiting = [asyncio.create_task(world.ports.log.wait(world.me.organization, after=head.position)) for _ in range(5)]
    done, _ = await asyncio.wait(waiting, timeout=0.05)
    await world.task()
    woken, _ = await asyncio.wait(waiting, timeout=10)

    assert (0, 5) == (len(done), len(woken))


async def test_waiting_for_what_is_there_already_returns_at_once(world):
    """
    A reader that fell behind does not wait.
    """
    await asyncio.wait_for(world.ports.log.wait(world.me.organization, after=0), 5)


async def test_a_commit_elsewhere_does_not_end_a_wait(world, elsewhere):
    """
    Waiting is for one organization.
    """
    head = await world.ports.log.head(world.me.organization)
    waiting = asyncio.create_task(world.ports.log.wait(world.me.organization, after=head.position))
    await elsewhere.task()
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    waiting.cancel()

    assert set() == done


async def test_the_actor_is_the_principal(world):
    """
    The log names who did it, an agent by its id and name.
    """
    ada = await world.principal("ada")
    task = await world.task()
    await update_task(world.ports, ada, UpdateTask(task=task.id, title="renamed"))
    entry = (await entries_of(world))[-1]

    assert ("task.updated", ada.actor, task.id) == (entry.kind, entry.actor, entry.subject)
