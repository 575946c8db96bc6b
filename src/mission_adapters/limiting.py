"""
Rate limiters: one counts in this process, the other counts in Redis for several processes.
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
"""The largest number of callers with a window for each quota."""
PATIENCE: Final = 0.5
"""The time-out of a request to Redis, in seconds."""
PATIENCE_AT_START: Final = 5.0
TURNS: Final = 10
PAUSE: Final = timedelta(seconds=1)
"""The time between two attempts while Redis does not answer."""
ROUNDED: Final = timedelta(seconds=0.5)
"""The largest rounding error of a window's remaining time, which Redis gives in whole seconds."""
CUT: Final = timedelta(milliseconds=0.1)
"""The largest rounding error of the times in a sliding window, which Redis gives with fourteen digits."""
CONNECTIONS: Final = 32
PREFIX: Final = "mission-control:limit"

logger = logging.getLogger("mission_adapters")


@define(eq=False)
class Window:
    """
    A fixed window: it begins with a caller's first request, and ends when the quota starts anew.
    """

    began: datetime
    ends: datetime
    count: int = 0

    @classmethod
    def of(cls, quota: Quota, at: datetime) -> Self:
        """
        A window that begins at *at*.
        """
        return cls(at, at + timedelta(seconds=quota.seconds))

    def holds(self, at: datetime) -> bool:
        """
        Whether the window is open at this time. A window that begins later was opened before the clock was set back.
        """
        return self.began <= at < self.ends


@define(eq=False)
class SlidingWindow:
    """
    The times of a caller's latest requests that were allowed.
    """

    ends: datetime
    """The time at which the last request stops counting."""
    allowed: deque[datetime] = field(factory=deque)

    def holds(self, at: datetime) -> bool:
        """
        Whether a request of the window still counts at this time.
        """
        return at < self.ends

    def takes(self, quota: Quota, at: datetime) -> bool:
        """
        Allow one more request, unless the quota is used up. Requests with a later time were counted before the clock
        was set back, and are dropped.
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
        The time at which the next request is allowed, given that the quota is used up.
        """
        return self.allowed[-quota.amount] + timedelta(seconds=quota.seconds)


AnyWindow = TypeVar("AnyWindow", Window, SlidingWindow)


@define(eq=False)
class Windows(Generic[AnyWindow]):
    """
    The windows of many callers. When there are too many, the oldest are dropped; within one quota these end first.
    """

    most: int = MOST_KEYS
    _windows: OrderedDict[object, AnyWindow] = field(factory=OrderedDict, init=False)

    def current(self, whose: object, at: datetime) -> AnyWindow | None:
        """
        The caller's window, if it is open at this time.
        """
        window = self._windows.get(whose)
        return window if window is not None and window.holds(at) else None

    def keep(self, whose: object, window: AnyWindow, at: datetime) -> AnyWindow:
        """
        Store a new window for the caller in place of the old one.
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
    A rate limiter that counts in this process, for this process only.
    """

    clock: Clock = field(factory=SystemClock)
    most: int = MOST_KEYS
    _fixed: dict[str, Windows[Window]] = field(factory=dict, init=False)
    """For sliding quotas, these count the refused requests."""
    _sliding: dict[str, Windows[SlidingWindow]] = field(factory=dict, init=False)

    async def hit(self, quota: Quota, *who: str) -> Verdict:
        """
        Count one request of a caller.
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
        The number of callers that have a window for this quota.
        """
        return len((self._sliding if quota.sliding else self._fixed).get(quota.name, ()))


@define(eq=False)
class RedisLimiter:
    """
    A rate limiter that counts in Redis, through the library `limits`, for all processes that share it.

    Fixed windows end by the clock of Redis, and their remaining time is computed from the wall clock. Sliding windows
    use the wall clocks of the processes, which must therefore agree. The end of a sliding window is read only for
    refused requests.

    While Redis does not answer, all requests are allowed, and one request tries again after each `PAUSE`. The outage
    and its end are logged once each.
    """

    storage: RedisStorage
    clock: Clock = field(factory=SystemClock)
    patience: float = PATIENCE
    _known: Windows[Window] = field(factory=Windows, init=False)
    """The windows whose ends are known, so that Redis is asked for each end only once."""
    _left_alone: Window | None = field(default=None, init=False)
    _turns: asyncio.Semaphore = field(factory=lambda: asyncio.Semaphore(CONNECTIONS), init=False)
    """Limits the concurrent requests to Redis. Waiting for it is not part of the time-out."""

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, *, clock: Clock | None = None, patience: float = PATIENCE) -> AsyncIterator[Self]:
        """
        A limiter over the Redis at *url*, for as long as the context lasts.

        Raises:
            LimiterFailed: If Redis cannot be reached, or does not count.
            ValueError: If the URL is malformed.
            ModuleNotFoundError: If the extra is not installed.
        """
        from limits.aio.storage import RedisStorage
        from redis.asyncio import ConnectionPool
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import ConnectionError as Disconnected

        # One immediate retry: an idle connection may have been closed.
        retry = Retry(NoBackoff(), 1, supported_errors=(Disconnected,))
        pool = ConnectionPool.from_url(url, max_connections=CONNECTIONS, retry=retry)
        options: Any = {"connection_pool": pool}  # accepted, although its type hints lack it
        storage = RedisStorage("async+redis://", implementation="redispy", key_prefix=PREFIX, **options)
        limiter = cls(storage, clock or SystemClock(), patience)
        try:
            await limiter._begin()
            yield limiter
        finally:
            await pool.aclose()

    async def hit(self, quota: Quota, *who: str) -> Verdict:
        """
        Count one request of a caller.
        """
        async with self._turns:
            now = self.clock.now()
            if self._left_alone is not None:
                if self._left_alone.holds(now):
                    return _unnumbered(quota, now)
                self._left_alone = Window(now, now + PAUSE)  # only this request tries again
            try:
                async with _waiting(self.patience):
                    key = "\0".join((quota.name, *who))  # no name contains NUL
                    verdict = await (self._slid(quota, key) if quota.sliding else self._counted(quota, key, now))
            except self._failures as e:
                self._lost(e, now)
                return _unnumbered(quota, now)
        if self._left_alone is not None:
            self._left_alone = None
            logger.warning("redis_reachable rate_limits=on")
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
        if count < quota.amount:  # the oldest request stopped counting since the refusal
            left = timedelta()
        else:
            # The clock may have been set back; Redis drops a window this long after its last request all the same.
            left = min(timedelta(seconds=oldest + quota.seconds - time.time()) + CUT, timedelta(seconds=quota.seconds))
        now = self.clock.now()  # the time of the answer: that of the request would give too early an end
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
            retry = PAUSE.total_seconds()
            logger.warning("redis_unreachable rate_limits=off retry_in=%gs reason=%s", retry, _reason(error))
        self._left_alone = Window(now, now + PAUSE)

    @property
    def _failures(self) -> tuple[type[Exception], ...]:
        """
        The exceptions that mean that Redis failed. A time-out is an `OSError`.
        """
        known = self.storage.base_exceptions
        return (OSError, *(known if isinstance(known, tuple) else (known,)))


@asynccontextmanager
async def _waiting(seconds: float) -> AsyncIterator[None]:
    """
    A context that times out after this many seconds, and not before the event loop ran `TURNS` times: an answer that
    came while this process was busy is not late.

    Raises:
        TimeoutError: If it timed out.
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
    return str(error) or "no answer in time"
