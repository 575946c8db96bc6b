"""
The contract of the port `EventLog`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_adapters.testing.contracts.base import StoreContract, contract_settings
from mission_adapters.testing.world import World
from mission_core.accounts.model import AgentPrincipal
from mission_core.errors import StaleWrite
from mission_core.events.model import GENESIS, ChainHead, Entry
from mission_core.events.readers import Reader, handle_new_entries, position_before
from mission_core.events.use_cases import verify_log
from mission_core.ids import OrganizationId, TaskId
from mission_core.tasks.events import TaskDeleted
from mission_core.tasks.use_cases import UpdateTask, update_task


async def entries_of(world: World, **asked: int) -> list[Entry]:
    """
    The entries in the log of the world's organization.
    """
    return await world.ports.log.read(world.me.organization, **asked)


def _event(world: World) -> TaskDeleted:
    return TaskDeleted(task=TaskId(world.ports.ids.new()), number=1, title="x", at=world.clock.now())


class EventLogContract(StoreContract):
    """
    The contract of the port `EventLog`. A subclass provides the fixture `ports` of `StoreContract`.
    """

    async def test_positions_have_no_gaps_and_the_head_has_the_last_one(self, world: World) -> None:
        """
        Positions start at 1 and have no gaps; the head has the last position and its digest.
        """
        for i in range(5):
            await world.task(f"task {i}")
        entries = await entries_of(world)

        assert list(range(1, len(entries) + 1)) == [entry.position for entry in entries]
        assert ChainHead(entries[-1].position, entries[-1].digest) == await world.ports.log.head(world.me.organization)

    async def test_an_unknown_organization_has_an_empty_log(self, world: World) -> None:
        """
        The log of an unknown organization is empty, and its head is position 0 with the genesis digest.
        """
        nobody = OrganizationId(world.ports.ids.new())

        assert [] == await world.ports.log.read(nobody)
        assert ChainHead(0, GENESIS) == await world.ports.log.head(nobody)

    async def test_pages_read_with_after_and_limit_add_up_to_the_whole_log(self, world: World) -> None:
        """
        Pages read with `after` and `limit` add up to the whole log.
        """
        for i in range(4):
            await world.task(f"task {i}")
        whole = await entries_of(world)
        pieces: list[Entry] = []
        while piece := await entries_of(world, after=len(pieces), limit=2):
            pieces += piece

        assert whole == pieces

    async def test_events_of_one_organization_are_not_in_the_log_of_another(
        self, world: World, elsewhere: World
    ) -> None:
        """
        Events of one organization do not appear in the log of another.
        """
        before = await entries_of(elsewhere)
        await world.task()

        assert before == await entries_of(elsewhere)

    @contract_settings(10)
    @given(st.lists(some.events, min_size=1, max_size=4), some.ids, some.names)
    async def test_an_entry_has_the_data_of_its_event_and_is_chained_to_the_previous_one(
        self, world: World, events: Any, agent: Any, name: Any
    ) -> None:
        """
        An entry has the kind, time, actor, subject and payload of its event, and is chained to the previous entry.
        """
        me = AgentPrincipal(organization=world.me.organization, agent=agent, name=name)
        head = await world.ports.log.head(me.organization)
        async with world.ports.unit(me) as unit:
            unit.record(*events)
            await unit.commit()
        kept = await entries_of(world, after=head.position)
        expected, digest = [], head.digest
        for position, event in enumerate(events, head.position + 1):
            entry = Entry.of(event, organization=me.organization, actor=me.actor, position=position, previous=digest)
            expected.append(entry)
            digest = entry.digest

        assert expected == kept

    async def test_a_refused_commit_leaves_no_entry(self, world: World) -> None:
        """
        A refused commit leaves no entry and no gap in the positions.
        """
        task = await world.task()
        before = await world.ports.log.head(world.me.organization)
        async with world.ports.unit(world.me) as unit:
            unit.rely_on(evolve(await unit.tasks.get(task.id), version=99))
            unit.record(_event(world))
            with pytest.raises(StaleWrite):
                await unit.commit()

        assert before == await world.ports.log.head(world.me.organization)

    async def test_the_hash_chain_verifies_after_concurrent_commits(self, world: World) -> None:
        """
        The hash chain verifies after concurrent commits.
        """
        await asyncio.gather(*(world.task(f"task {i}") for i in range(20)))
        head = await world.ports.log.head(world.me.organization)

        assert head == await verify_log(world.ports.log, world.me.organization, batch=7)

    async def test_a_following_reader_receives_every_entry_once_and_in_order(self, world: World) -> None:
        """
        A reader that alternates `wait` and `read` receives every entry of concurrent commits once and in order.
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

    async def test_a_commit_wakes_all_waiting_readers(self, world: World) -> None:
        """
        A commit wakes all waiting readers, and no reader wakes before it.
        """
        head = await world.ports.log.head(world.me.organization)
        waiting = [
            asyncio.create_task(world.ports.log.wait(world.me.organization, after=head.position)) for _ in range(5)
        ]
        done, _ = await asyncio.wait(waiting, timeout=0.05)
        await world.task()
        woken, _ = await asyncio.wait(waiting, timeout=10)

        assert (0, 5) == (len(done), len(woken))

    async def test_wait_returns_at_once_if_there_are_entries_after_the_position(self, world: World) -> None:
        """
        `wait` returns at once if there are entries after the position.
        """
        await asyncio.wait_for(world.ports.log.wait(world.me.organization, after=0), 5)

    async def test_a_commit_in_another_organization_does_not_wake_a_reader(
        self, world: World, elsewhere: World
    ) -> None:
        """
        A commit in another organization does not wake a waiting reader.
        """
        head = await world.ports.log.head(world.me.organization)
        waiting = asyncio.create_task(world.ports.log.wait(world.me.organization, after=head.position))
        await elsewhere.task()
        done, _ = await asyncio.wait([waiting], timeout=0.1)
        waiting.cancel()

        assert set() == done

    async def test_the_actor_of_an_entry_is_the_principal_of_its_unit(self, world: World) -> None:
        """
        The actor of an entry is the principal of its unit; an agent is given by id and name.
        """
        ada = await world.principal("ada")
        task = await world.task()
        await update_task(world.ports, ada, UpdateTask(task=task.id, title="renamed"))
        entry = (await entries_of(world))[-1]

        assert ("task.updated", ada.actor, task.id) == (entry.kind, entry.actor, entry.subject)

    async def test_a_cursor_is_kept_for_each_reader_and_never_goes_back(self, world: World, elsewhere: World) -> None:
        """
        The log keeps a cursor for each reader of an organization. It never goes back.
        """
        log, own = world.ports.log, world.me.organization
        before = await log.cursor(own, "mailer")
        for position in (1, 3, 2):
            await log.advance(own, "mailer", position)

        assert (None, 3) == (before, await log.cursor(own, "mailer"))
        assert None is await log.cursor(own, "indexer")
        assert None is await log.cursor(elsewhere.me.organization, "mailer")

    async def test_a_reader_that_failed_continues_with_the_batch_that_it_did_not_handle(self, world: World) -> None:
        """
        A named reader that fails in the middle receives the unhandled batch again, and misses nothing.
        """
        log, own = world.ports.log, world.me.organization
        reader = Reader(name="mailer", kinds=frozenset({"task.created"}))
        handled: list[UUID] = []
        fails = True

        async def handle(entries: Sequence[Entry]) -> None:
            if fails:
                raise ConnectionError
            handled.extend(entry.subject for entry in entries)

        tasks = [await world.task() for _ in range(3)]
        with pytest.raises(ConnectionError):
            await handle_new_entries(log, own, reader, handle)
        fails = False
        tasks.append(await world.task())
        for _ in range(2):
            await handle_new_entries(log, own, reader, handle)
        head = await log.head(own)

        assert [task.id for task in tasks] == handled
        assert head.position == await log.cursor(own, "mailer")

    async def test_entries_from_a_time_on_are_found_by_their_position(self, world: World) -> None:
        """
        The position before the entries of a time is found, also if the time is before or after all entries.
        """
        log, own, clock = world.ports.log, world.me.organization, world.clock
        begin = clock.now()
        for _ in range(3):
            clock.advance(hours=1)
            await world.task()
        entries = await entries_of(world)
        times = [begin - timedelta(days=999), entries[-1].at, entries[-2].at, clock.now() + timedelta(seconds=1)]
        expected = [sum(entry.at < at for entry in entries) for at in times]

        assert expected == [await position_before(log, own, at) for at in times]
