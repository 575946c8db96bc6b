"""
The event log of each store: its contract, and the detection of changes behind the store's back.
"""

import sqlite3
from typing import Any

import asyncpg
import pytest
from attrs import evolve

from mission_adapters.sql.store import SqlStore
from mission_adapters.testing import ManualClock, make_world, ports_over
from mission_adapters.testing.contracts import EventLogContract
from mission_core.events.model import ChainBreak, ChainHead, Entry
from mission_core.events.use_cases import verify_log


class TestEventLog(EventLogContract):
    """
    On every store.
    """


async def test_processes_that_write_in_turns_append_to_one_chain(tmp_path):
    """
    A process that knows an older head of the log on SQLite, or one of a unit that was refused, reads the head again.
    """
    url = f"sqlite:///{tmp_path / 'log.db'}"
    async with SqlStore.open(url) as one, SqlStore.open(url) as other:
        world = await make_world(ports_over(one, clock=ManualClock()))
        beside = evolve(world, ports=ports_over(other, clock=world.clock))
        for each in (world, beside, beside, world):
            await each.task()
        known = one.heads.get(world.me.organization)
        one.heads.put(world.me.organization, known._replace(position=known.position + 1))
        await world.task()
        head = await world.ports.log.head(world.me.organization)

        assert known.position + 1 == head.position
        assert head == await verify_log(world.ports.log, world.me.organization)
        assert known._replace(position=head.position, digest=head.digest) == one.heads.get(world.me.organization)


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
    entries = await world.ports.log.read(world.me.organization)

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
