"""
Limiters: one that counts in this process, and one that counts in a Redis for many.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

from attrs import define, field

from mission_adapters.clocks import SystemClock
from mission_core.limiting import LimiterFailed, Quota, Verdict

if TYPE_CHECKING:
    from limits.aio.storage import RedisStorage
    from redis.commands.core import AsyncScript

    from mission_core.ports import Clock

MOST_KEYS: Final = 10_000
"""How many callers are remembered for each quota."""
PATIENCE: Final = 0.5
"""For how many seconds a request may wait for Redis."""
PATIENCE_AT_START: Final = 5.0
TURNS: Final = 10
PAUSE: Final = timedelta(seconds=1)
"""How long a Redis that did not answer is left alone."""
ROUNDED: Final = timedelta(seconds=0.5)
"""By how much Redis may be early when it tells in whole seconds how much is left of a window."""
CONNECTIONS: Final = 32
PREFIX: Final = "mission-control:limit"
SLIDE: Final = """
    local requests, refusals, amount, seconds = KEYS[1], KEYS[2], tonumber(ARGV[1]), tonumber(ARGV[2])
    local span, time = seconds * 1000000, redis.call('TIME')
    local now = time[1] * 1000000 + time[2]
    local function moment(index)
        return tonumber(redis.call('LINDEX', requests, index))
    end
    while moment(0) and moment(0) > now do
        redis.call('LPOP', requests)
    end
    while moment(-1) and moment(-1) <= now - span do
        redis.call('RPOP', requests)
    end
    local count = redis.call('LLEN', requests) + 1
    if count > amount then
        local refused = redis.call('INCR', refusals)
        if refused == 1 then
            redis.call('EXPIRE', refusals, seconds)
        end
        count = amount + refused
    end
    redis.call('LPUSH', requests, now)
    redis.call('LTRIM', requests, 0, amount - 1)
    redis.call('EXPIRE', requests, seconds)
    return {count, moment(-1) + span - now}
"""
"""What `SlidingWindow.hit` does, in Redis: the count of a request, and in how many microseconds the oldest one goes."""

logger = logging.getLogger("mission_adapters")


@define(eq=False)
class Window:
    """
    From the first request of somebody until the quota begins anew.
    """

    began: datetime
    ends: datetime
    count: int = 0

    @classmethod
    def of(cls, quota: Quota, at: datetime) -> Self:
        """
        One that begins now.
        """
        return cls(at, at + timedelta(seconds=quota.seconds))

    def holds(self, at: datetime) -> bool:
        """
        Whether it is open at this moment. One from the future was opened before the clock was set back.
        """
        return self.began <= at < self.ends


@define(eq=False)
class SlidingWindow:
    """
    The moments of somebody's latest requests, no more than may pass, and a window of those that were refused.
    """

    ends: datetime
    """When the last of them leaves it."""
    requests: deque[datetime] = field(factory=deque)
    refusals: Window | None = None

    def holds(self, at: datetime) -> bool:
        """
        Whether something is left of it at this moment.
        """
        return at < self.ends

    def hit(self, quota: Quota, at: datetime) -> Verdict:
        """
        Count one request. Those from the future were there before the clock was set back.
        """
        requests, span = self.requests, timedelta(seconds=quota.seconds)
        while requests and requests[-1] > at:
            requests.pop()
        while requests and requests[0] + span <= at:
            requests.popleft()
        count = len(requests) + 1
        if count > quota.amount:
            count = quota.amount + self._refused(quota, at)
        while len(requests) >= quota.amount:
            requests.popleft()
        requests.append(at)
        self.ends = at + span
        return Verdict(quota, count, at, requests[0] + span)

    def _refused(self, quota: Quota, at: datetime) -> int:
        if self.refusals is None or not self.refusals.holds(at):
            self.refusals = Window.of(quota, at)
        self.refusals.count += 1
        return self.refusals.count


AnyWindow = TypeVar("AnyWindow", Window, SlidingWindow)


@define(eq=False)
class Windows(Generic[AnyWindow]):
    """
    The windows of many. When there are too many, those that were kept first are forgotten: with one quota these are
    those that end first.
    """

    most: int = MOST_KEYS
    _windows: OrderedDict[object, AnyWindow] = field(factory=OrderedDict, init=False)

    def current(self, whose: object, at: datetime) -> AnyWindow | None:
        """
        The window that is open now.
        """
        window = self._windows.get(whose)
        return window if window is not None and window.holds(at) else None

    def keep(self, whose: object, window: AnyWindow, at: datetime) -> AnyWindow:
        """
        Remember one that began anew or slid, instead of any other of theirs.
        """
        windows = self._windows
        windows.pop(whose, None)
        while windows and (len(windows) >= self.most or next(iter(windows.values())).ends <= at):
            windows.popitem(last=False)
        windows[whose] = window
        return window

    def __len__(self) -> int:
        return len(self._windows)


@define(eq=False)
class MemoryLimiter:
    """
    Counts in this process, for this process alone. It waits for nothing.
    """

    clock: Clock = field(factory=SystemClock)
    most: int = MOST_KEYS
    _fixed: dict[str, Windows[Window]] = field(factory=dict, init=False)
    _sliding: dict[str, Windows[SlidingWindow]] = field(factory=dict, init=False)

    async def hit(self, quota: Quota, *who: str) -> Verdict:
        """
        Count one request of somebody.
        """
        now = self.clock.now()
        return self._slid(quota, who, now) if quota.sliding else self._counted(quota, who, now)

    def _counted(self, quota: Quota, who: tuple[str, ...], now: datetime) -> Verdict:
        windows = _of(quota, self._fixed, self.most)
        window = windows.current(who, now) or windows.keep(who, Window.of(quota, now), now)
        window.count += 1
        return Verdict(quota, window.count, now, window.ends)

    def _slid(self, quota: Quota, who: tuple[str, ...], now: datetime) -> Verdict:
        windows = _of(quota, self._sliding, self.most)
        window = windows.current(who, now) or SlidingWindow(now)
        verdict = window.hit(quota, now)
        windows.keep(who, window, now)
        return verdict

    def remembered(self, quota: Quota) -> int:
        """
        How many callers it keeps a count of.
        """
        return len((self._sliding if quota.sliding else self._fixed).get(quota.name, ()))


@define(eq=False)
class RedisLimiter:
    """
    Counts in a Redis, through `limits`, for all processes that share it. Windows end by the clock of Redis; how much is
    left of one is told by the wall clock. The sliding windows of `limits` forget what was refused, and so ours slide
    by a script of our own.

    While Redis does not answer all may pass, and it is asked again by one request after each `PAUSE`. That it went
    away is logged once, and that it came back.
    """

    storage: RedisStorage
    slide: AsyncScript
    clock: Clock = field(factory=SystemClock)
    patience: float = PATIENCE
    _known: Windows[Window] = field(factory=Windows, init=False)
    """What was told of windows that other requests opened, so that Redis is asked for their ends only once."""
    _left_alone: Window | None = field(default=None, init=False)
    _turns: asyncio.Semaphore = field(factory=lambda: asyncio.Semaphore(CONNECTIONS), init=False)
    """Waiting for others of this process does not count as waiting for Redis."""

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, *, clock: Clock | None = None, patience: float = PATIENCE) -> AsyncIterator[Self]:
        """
        A limiter over the Redis at *url*, for as long as the context lasts.

        Raises:
            LimiterFailed: If it cannot be reached, or does not count.
            ValueError: If the URL cannot be meant.
            ModuleNotFoundError: If the extra is not installed.
        """
        from limits.aio.storage import RedisStorage
        from redis.asyncio import ConnectionPool, Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import ConnectionError as Disconnected

        # Once more, at once: the connection may have broken while nobody used it.
        retry = Retry(NoBackoff(), 1, supported_errors=(Disconnected,))
        pool = ConnectionPool.from_url(url, max_connections=CONNECTIONS, retry=retry)
        options: Any = {"connection_pool": pool}  # it takes one, though its types do not say so
        storage = RedisStorage("async+redis://", implementation="redispy", key_prefix=PREFIX, **options)
        slide = Redis(connection_pool=pool).register_script(SLIDE)
        limiter = cls(storage, slide, clock or SystemClock(), patience)
        try:
            await limiter._begin()
            yield limiter
        finally:
            await pool.aclose()

    async def hit(self, quota: Quota, *who: str) -> Verdict:
        """
        Count one request of somebody.
        """
        async with self._turns:
            now = self.clock.now()
            if self._left_alone is not None:
                if self._left_alone.holds(now):
                    return _uncounted(quota, now)
                self._left_alone = Window(now, now + PAUSE)  # this request asks, and others do not wait with it
            try:
                async with _waiting(self.patience):
                    key = ":".join((quota.name, *who))
                    verdict = await (self._slid(quota, key) if quota.sliding else self._counted(quota, key, now))
            except self._failures as e:
                self._lost(e, now)
                return _uncounted(quota, now)
        if self._left_alone is not None:
            self._left_alone = None
            logger.warning("requests are counted again: Redis answers")
        return verdict

    async def _counted(self, quota: Quota, key: str, now: datetime) -> Verdict:
        count = await self.storage.incr(key, quota.seconds)
        known = self._known.current(key, now)
        if count == 1:
            known = self._known.keep(key, Window.of(quota, now), now)
        elif known is None:
            left = timedelta(seconds=await self.storage.get_expiry(key) - time.time())
            known = self._known.keep(key, Window(now, now + left + ROUNDED), now)
        return Verdict(quota, count, now, known.ends)

    async def _slid(self, quota: Quota, key: str) -> Verdict:
        keys = f"{PREFIX}:sliding:{key}", f"{PREFIX}:refused:{key}"
        count, left = await self.slide(keys, (quota.amount, quota.seconds))
        now = self.clock.now()  # of the answer: by that of the question, the place would seem to be free too early
        return Verdict(quota, count, now, now + timedelta(microseconds=left))

    async def _begin(self) -> None:
        try:
            async with _waiting(PATIENCE_AT_START):
                await self.storage.incr("start", 1)
                await self._slid(Quota(name="start", amount=1, seconds=1, sliding=True), "start")
        except self._failures as e:
            raise LimiterFailed(_reason(e)) from e

    def _lost(self, error: BaseException, now: datetime) -> None:
        if self._left_alone is None:
            logger.warning("requests are not counted, and all may pass, until Redis answers: %s", _reason(error))
        self._left_alone = Window(now, now + PAUSE)

    @property
    def _failures(self) -> tuple[type[Exception], ...]:
        """
        What Redis fails with; a time-out is an `OSError`.
        """
        known = self.storage.base_exceptions
        return (OSError, *(known if isinstance(known, tuple) else (known,)))


@asynccontextmanager
async def _waiting(seconds: float) -> AsyncIterator[None]:
    """
    A context that is left after so many seconds, and not before the event loop took so many `TURNS`: an answer that
    came while this process was too busy to listen is no late answer.

    Raises:
        TimeoutError: If it is left so.
    """
    loop = asyncio.get_running_loop()
    turn: asyncio.TimerHandle

    def wait(turns: int) -> None:
        nonlocal turn
        if turns:
            turn = loop.call_later(seconds / TURNS, wait, turns - 1)
        else:
            deadline.reschedule(loop.time())

    async with asyncio.timeout(None) as deadline:
        wait(TURNS)
        try:
            yield
        finally:
            turn.cancel()


def _of(quota: Quota, all_windows: dict[str, Windows[AnyWindow]], most: int) -> Windows[AnyWindow]:
    windows = all_windows.get(quota.name)
    if windows is None:
        windows = all_windows[quota.name] = Windows(most)
    return windows


def _uncounted(quota: Quota, now: datetime) -> Verdict:
    return Verdict(quota, 0, now, now + timedelta(seconds=quota.seconds))


def _reason(error: BaseException) -> str:
    return str(error) or "it does not answer in time"
