"""
Live readers of the event log, such as streams. All live readers of an organization in this process share one query for
each wake-up, and none while nothing happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import field

from mission_core.errors import Conflict, StoreFailed
from mission_core.events.readers import BATCH_SIZE
from mission_core.lazy_attrs import define

if TYPE_CHECKING:
    from mission_core.events.model import Entry
    from mission_core.events.ports import EventLog
    from mission_core.ids import OrganizationId

R = TypeVar("R")
MAX_PENDING_BATCHES: Final = 64
"""The number of batches that wait for a live reader at most."""


@define
class PositionGone(Conflict):
    """
    The log has no entry after this position any more, or not yet: entries were removed, or the database was restored.
    """

    position: int
    readable_after: int
    """A position after which the log can be read."""

    code = "cursor_gone"
    says = "the log cannot be read from this cursor any more; read the current state, then start without a cursor"


class ReaderTooSlow(Exception):
    """
    A live reader did not take the entries as fast as they came. It can resume after the last one that it took.
    """

    code = "reader_too_slow"


@define(eq=False)
class LogBatch:
    """
    Entries of a log that follow each other. What readers derive from them is computed once for all.
    """

    entries: list[Entry]
    _derived: dict[object, asyncio.Future[Any]] = field(factory=dict, init=False)

    @property
    def last(self) -> int:
        """
        The position of the last entry.
        """
        return self.entries[-1].position

    async def derived(self, key: object, derive: Callable[[list[Entry]], Awaitable[R]]) -> R:
        """
        The result of *derive* for the entries. It is called once for each *key*, by the first reader that asks.
        """
        found = self._derived.get(key)
        if found is None:
            found = self._derived[key] = asyncio.ensure_future(derive(self.entries))
        result: R = await asyncio.shield(found)
        return result


@define(eq=False)
class LiveReader:
    """
    A reader of new entries, which begins after *position* and has no durable cursor.
    """

    feed: LogFeed
    position: int = 0
    pending: list[LogBatch] = field(factory=list)
    failure: Exception | None = None
    _woken: asyncio.Future[None] | None = field(default=None, init=False)

    def push(self, batch: LogBatch) -> None:
        """
        Add a batch of new entries. A reader that has too many of them fails.
        """
        if len(self.pending) >= MAX_PENDING_BATCHES:
            self.fail(ReaderTooSlow())
        else:
            self.pending.append(batch)
            self._wake()

    def fail(self, failure: Exception) -> None:
        """
        End the reader with an error, which its next read raises.
        """
        self.failure = self.failure or failure
        self.pending.clear()
        self._wake()

    def _wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    async def next(self) -> LogBatch:
        """
        Return the next entries, and wait for them if there are none yet.

        Raises:
            ReaderTooSlow: If too many entries came since the last call.
            PositionGone: If the log has been cut after the reader's position.
            StoreFailed: If the store failed.
        """
        while True:
            if self.failure is not None:
                raise self.failure
            if self.pending:
                batch = self.pending[0]
                if batch.last <= self.position:
                    self.pending.pop(0)
                    continue
                if batch.entries[0].position == self.position + 1:
                    self.pending.pop(0)
                    self.position = batch.last
                    return batch
            if self.pending or self.position < self.feed.position:
                batch = await self.feed.read(self.position)
                self.position = batch.last
                return batch
            self._woken = asyncio.get_running_loop().create_future()
            try:
                await self._woken
            finally:
                self._woken = None


@define(eq=False)
class LogFeed:
    """
    The new entries of one organization's log, and the live readers that receive them.
    """

    log: EventLog
    organization: OrganizationId
    position: int = 0
    readers: set[LiveReader] = field(factory=set)
    failed: bool = field(default=False, init=False)
    _ready: asyncio.Future[None] | None = field(default=None, init=False)
    _task: asyncio.Task[None] | None = field(default=None, init=False)

    async def start(self) -> None:
        """
        Find the end of the log and follow it from there, unless this has been done.
        """
        if self._ready is None:
            self._ready = asyncio.ensure_future(self._find_end())
        await asyncio.shield(self._ready)

    async def _find_end(self) -> None:
        try:
            self.position = (await self.log.head(self.organization)).position
        except StoreFailed:
            self.failed = True
            raise
        if self.readers:  # the last one may have left meanwhile, and then nobody would stop it
            self._task = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        try:
            while True:
                await self.log.wait(self.organization, after=self.position)
                batch = await self.read(self.position)
                self.position = batch.last
                for reader in tuple(self.readers):
                    reader.push(batch)
        except Exception as failure:  # the readers raise it
            self.failed = True
            for reader in tuple(self.readers):
                reader.fail(failure)

    async def read(self, after: int) -> LogBatch:
        """
        Read the next entries after a position.

        Raises:
            PositionGone: If the entry after the position was removed.
        """
        entries = await self.log.read(self.organization, after=after, limit=BATCH_SIZE)
        if not entries:
            raise PositionGone(after, (await self.log.head(self.organization)).position)
        if entries[0].position != after + 1:
            raise PositionGone(after, entries[0].position - 1)
        return LogBatch(entries)

    def stop(self) -> None:
        """
        Stop following the log.
        """
        if self._task is not None:
            self._task.cancel()


@define(eq=False)
class LiveLogs:
    """
    The logs that have live readers in this process.
    """

    log: EventLog
    feeds: dict[OrganizationId, LogFeed] = field(factory=dict)

    @asynccontextmanager
    async def reader(self, organization: OrganizationId, *, after: int | None = None) -> AsyncIterator[LiveReader]:
        """
        A live reader of the entries after a position, by default of those that come from now on.

        Raises:
            PositionGone: If the log cannot be read after the position.
        """
        feed = self.feeds.get(organization)
        if feed is None or feed.failed:
            feed = self.feeds[organization] = LogFeed(self.log, organization)
        reader = LiveReader(feed)
        feed.readers.add(reader)
        try:
            await feed.start()
            reader.position = feed.position if after is None else after
            if reader.position > feed.position:
                raise PositionGone(reader.position, feed.position)
            if reader.position < feed.position:
                reader.pending.insert(0, await feed.read(reader.position))
            yield reader
        finally:
            feed.readers.discard(reader)
            if not feed.readers:
                feed.stop()
                if self.feeds.get(organization) is feed:
                    del self.feeds[organization]
