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
CUT: Final = timedelta(milliseconds=0.1)
"""By how much a moment may be early that Redis tells in fourteen digits, as it does those of sliding windows."""
CONNECTIONS: Final = 32
PREFIX: Final = "mission-control:limit"

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
    The moments of somebody's latest requests that were allowed.
    """

    ends: datetime
    """When the last of them leaves it."""
    allowed: deque[datetime] = field(factory=deque)

    def holds(self, at: datetime) -> bool:
        """
        Whether something is left of it at this moment.
        """
        return at < self.ends

    def takes(self, quota: Quota, at: datetime) -> bool:
        """
        Allow one more request, unless there are too many. Those from the future were there before the clock was set
        back.
        """
        allowed, span = self.allowed, timedelta(seconds=quota.seconds)
        while allowed and allowed[-1] > at:
            allowed.pop()
        while allowed and allowed[0] + span <= at:
            allowed.popleft()
        if len(allowed) >= quota.amount:
            return False
        allowed.append(at)
        self.ends = at + span
        return True

    def has_place_at(self, quota: Quota) -> datetime:
        """
        When it takes the next one, now that there are too many.
        """
        return self.allowed[-quota.amount] + timedelta(seconds=quota.seconds)


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
    """Of quotas that slide, they number what is refused."""
    _sliding: dict[str, Windows[SlidingWindow]] = field(factory=dict, init=False)

    async def hit(self, quota: Quota, *who: str) -> Verdict:
        """
        Count one request of somebody.
        """
        now = self.clock.now()
        if quota.sliding:
            return self._slid(quota, who, now)
        window = self._counted(quota, who, now)
        return Verdict(quota, window.count, now, window.ends)

    def _counted(self, quota: Quota, who: tuple[str, ...], now: datetime) -> Window:
        windows = _of(quota, self._fixed, self.most)
        window = windows.current(who, now) or windows.keep(who, Window.of(quota, now), now)
        window.count += 1
        return window

    def _slid(self, quota: Quota, who: tuple[str, ...], now: datetime) -> Verdict:
        windows = _of(quota, self._sliding, self.most)
        window = windows.current(who, now) or SlidingWindow(now)
        if window.takes(quota, now):
            windows.keep(who, window, now)
            return _unnumbered(quota, now)
        refused = self._counted(quota, who, now).count
        return Verdict(quota, quota.amount + refused, now, window.has_place_at(quota))

    def remembered(self, quota: Quota) -> int:
        """
        How many callers it remembers what was allowed to.
        """
        return len((self._sliding if quota.sliding else self._fixed).get(quota.name, ()))


@define(eq=False)
class RedisLimiter:
    """
    Counts in a Redis, through `limits`, for all processes that share it. Windows end by the clock of Redis; how much is
    left of one is told by the wall clock. Those that slide do so by the wall clocks of the processes, which therefore
    have to agree; and it is asked where one slid to only for those who are refused.

    While Redis does not answer all may pass, and it is asked again by one request after each `PAUSE`. That it went
    away is logged once, and that it came back.
    """

    storage: RedisStorage
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
        from redis.asyncio import ConnectionPool
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import ConnectionError as Disconnected

        # Once more, at once: the connection may have broken while nobody used it.
        retry = Retry(NoBackoff(), 1, supported_errors=(Disconnected,))
        pool = ConnectionPool.from_url(url, max_connections=CONNECTIONS, retry=retry)
        options: Any = {"connection_pool": pool}  # it takes one, though its types do not say so
        storage = RedisStorage("async+redis://", implementation="redispy", key_prefix=PREFIX, **options)
        limiter = cls(storage, clock or SystemClock(), patience)
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
                    return _unnumbered(quota, now)
                self._left_alone = Window(now, now + PAUSE)  # this request asks, and others do not wait with it
            try:
                async with _waiting(self.patience):
                    key = "\0".join((quota.name, *who))  # nothing that is sent has it within
                    verdict = await (self._slid(quota, key) if quota.sliding else self._counted(quota, key, now))
            except self._failures as e:
                self._lost(e, now)
                return _unnumbered(quota, now)
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
        window = f"sliding:{key}"
        if await self.storage.acquire_entry(window, quota.amount, quota.seconds):
            return _unnumbered(quota, self.clock.now())
        refused = await self.storage.incr(f"refused:{key}", quota.seconds)
        oldest, count = await self.storage.get_moving_window(window, quota.amount, quota.seconds)
        if count < quota.amount:  # since it was refused, the oldest went
            left = timedelta()
        else:
            # The clock may have been set back; Redis forgets a window so long after its last request all the same.
            left = min(timedelta(seconds=oldest + quota.seconds - time.time()) + CUT, timedelta(seconds=quota.seconds))
        now = self.clock.now()  # of the answer: by that of the question, the place would seem to be free too early
        return Verdict(quota, quota.amount + refused, now, now + left)

    async def _begin(self) -> None:
        sliding = Quota(name="start", amount=1, seconds=1, sliding=True)
        try:
            async with _waiting(PATIENCE_AT_START):
                for _ in ("allowed", "refused"):
                    await self._slid(sliding, sliding.name)
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


def _unnumbered(quota: Quota, now: datetime) -> Verdict:
    return Verdict(quota, 0, now, now + timedelta(seconds=quota.seconds))


def _reason(error: BaseException) -> str:
    return str(error) or "it does not answer in time"
