"""
Live readers of the log: they share their queries, and each ends with the whole sequence.
"""

import asyncio
from contextlib import AsyncExitStack

import pytest
from attrs import define, evolve, field

from mission_adapters.testing import make_world, predictable_ports
from mission_core.errors import StoreUnreachable
from mission_core.events.live_readers import MAX_PENDING_BATCHES, LiveLogs, PositionGone, ReaderTooSlow
from mission_core.events.model import ChainHead
from mission_core.events.readers import position_before


@pytest.fixture
async def memory_world():
    """
    An organization in memory.
    """
    return await make_world(predictable_ports())


@define
class CountedLog:
    """
    The log of a store, which counts the reads of entries and heads.
    """

    log: object
    reads: list = field(factory=list)

    async def read(self, organization, *, after=0, limit=500):
        self.reads.append(after)
        return await self.log.read(organization, after=after, limit=limit)

    async def head(self, organization):
        self.reads.append("head")
        return await self.log.head(organization)

    async def wait(self, organization, *, after):
        await self.log.wait(organization, after=after)


async def test_readers_of_an_organization_share_one_query_for_each_wake_up(world):
    """
    A hundred readers cost one query at the start and one for each wake-up, and what is derived is computed once.
    """
    log, own = CountedLog(world.ports.log), world.me.organization
    lives, derived = LiveLogs(log), []

    async def derive(entries):
        derived.append(entries)
        return [entry.position for entry in entries]

    async def follow(reader):
        return await (await reader.next()).derived("positions", derive)

    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(lives.reader(own)) for _ in range(100)]
        start = readers[0].position
        following = [asyncio.create_task(follow(reader)) for reader in readers]
        await world.task()
        seen = await asyncio.gather(*following)

    assert ["head", start] == log.reads
    assert 1 == len(derived)
    assert [seen[0]] * 100 == seen
    assert {} == lives.feeds


async def test_readers_that_resume_anywhere_end_with_the_same_sequence(world):
    """
    Readers that drop and resume while others write receive every position once and in order.
    """
    own, lives = world.me.organization, LiveLogs(world.ports.log)
    first = (await world.ports.log.head(own)).position
    writes = 30

    async def follow(patience):
        seen, at = [], first
        while len(seen) < writes:
            async with lives.reader(own, after=at) as reader:
                for _ in range(patience):
                    if len(seen) < writes:
                        seen += [entry.position for entry in (await reader.next()).entries]
                        at = reader.position
        return seen

    following = [asyncio.create_task(follow(patience)) for patience in (1, 2, 5, 99)]
    await asyncio.gather(*(world.task() for _ in range(writes)))
    seen = await asyncio.wait_for(asyncio.gather(*following), 20)

    assert [list(range(first + 1, first + writes + 1))] * 4 == seen


async def test_a_reader_that_takes_nothing_is_let_go(memory_world):
    """
    A reader with too many untaken batches fails, and can resume from its position.
    """
    own, lives = memory_world.me.organization, LiveLogs(memory_world.ports.log)
    async with lives.reader(own) as slow, lives.reader(own) as quick:
        for _ in range(MAX_PENDING_BATCHES + 1):
            await memory_world.task()
            await quick.next()
        with pytest.raises(ReaderTooSlow):
            await slow.next()
        async with lives.reader(own, after=slow.position) as again:
            batch = await again.next()

    assert slow.position + 1 == batch.entries[0].position


async def test_a_position_that_the_log_no_longer_has_is_refused(memory_world):
    """
    A cursor before entries that were removed, or after the end of a restored log, is refused with the place to restart.
    """
    log, own = memory_world.ports.log, memory_world.me.organization
    await memory_world.task()
    head = await log.head(own)
    with pytest.raises(PositionGone) as ahead:
        async with LiveLogs(log).reader(own, after=head.position + 1):
            pass
    entries = log.entries[own]
    log.entries[own] = [evolve(entry, position=entry.position + 5) for entry in entries]
    with pytest.raises(PositionGone) as behind:
        async with LiveLogs(log).reader(own, after=1):
            pass

    assert (head.position, 6) == (ahead.value.readable_after, behind.value.readable_after)


async def test_a_position_whose_entries_were_cut_off_is_refused_with_the_end_of_the_log(memory_world):
    """
    If nothing follows a position, the log can be read from its end.
    """
    log, own = memory_world.ports.log, memory_world.me.organization
    async with LiveLogs(log).reader(own) as reader:
        await memory_world.task()
        entries, head = log.entries[own], log.heads[own]
        log.entries[own], log.heads[own] = entries[:1], ChainHead(1, entries[0].digest)
        with pytest.raises(PositionGone) as gone:
            await reader.feed.read(head.position - 1)

    assert 1 == gone.value.readable_after


async def test_a_log_is_not_followed_if_all_readers_left_while_it_was_opened(memory_world):
    """
    Nobody would stop it.
    """
    log, own = SlowLog(memory_world.ports.log), memory_world.me.organization
    lives, running = LiveLogs(log), asyncio.all_tasks()
    opening = asyncio.create_task(lives.reader(own).__aenter__())
    await log.asked.wait()
    feed = lives.feeds[own]
    opening.cancel()
    await asyncio.wait([opening])
    log.answers.set()
    await feed.start()

    assert running == asyncio.all_tasks()
    assert {} == lives.feeds


async def test_a_failure_of_the_store_ends_all_readers_and_later_ones_begin_anew(memory_world):
    """
    Readers raise the failure, at their start and later; a new one works once the store does.
    """
    log, own = FailingLog(memory_world.ports.log), memory_world.me.organization
    lives = LiveLogs(log)
    with pytest.raises(StoreUnreachable):
        async with lives.reader(own):
            pass
    log.fails = False
    async with lives.reader(own) as one, lives.reader(own) as other:
        log.fails = True
        await memory_world.task()
        for reader in (one, other):
            with pytest.raises(StoreUnreachable):
                await reader.next()
        log.fails = False
        async with lives.reader(own, after=one.position) as again:
            assert one.position + 1 == (await again.next()).entries[0].position

    assert {} == lives.feeds


@define
class FailingLog:
    """
    The log of a store that does not answer.
    """

    log: object
    fails: bool = True

    def _check(self):
        if self.fails:
            raise StoreUnreachable("it is gone")

    async def read(self, organization, *, after=0, limit=500):
        self._check()
        return await self.log.read(organization, after=after, limit=limit)

    async def head(self, organization):
        self._check()
        return await self.log.head(organization)

    async def wait(self, organization, *, after):
        await self.log.wait(organization, after=after)


@define
class SlowLog:
    """
    The log of a store that answers only when the test says so.
    """

    log: object
    asked: asyncio.Event = field(factory=asyncio.Event)
    answers: asyncio.Event = field(factory=asyncio.Event)

    async def head(self, organization):
        self.asked.set()
        await self.answers.wait()
        return await self.log.head(organization)

    async def wait(self, organization, *, after):
        await self.log.wait(organization, after=after)


async def test_a_time_is_found_in_a_log_without_its_beginning_or_end(memory_world):
    """
    The position is that before the first entry from the time on, or the last one that there is.
    """
    log, own, clock = memory_world.ports.log, memory_world.me.organization, memory_world.clock
    for _ in range(9):
        clock.advance(hours=1)
        await memory_world.task()
    for kept in (slice(5, None), slice(0, -3), slice(4, 7)):
        log.entries[own], entries = log.entries[own][kept], log.entries[own]
        left = log.entries[own]
        for at in [entry.at for entry in entries]:
            later = [entry for entry in left if entry.at >= at]
            expected = later[0].position - 1 if later else left[-1].position

            assert expected == await position_before(HoledLog(log), own, at)
        log.entries[own] = entries


@define
class HoledLog:
    """
    A log in memory some of whose entries were removed.
    """

    log: object

    async def read(self, organization, *, after=0, limit=500):
        return [entry for entry in self.log.entries[organization] if entry.position > after][:limit]

    async def head(self, organization):
        return await self.log.head(organization)
