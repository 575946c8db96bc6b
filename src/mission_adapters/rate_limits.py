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

from attrs import field

from mission_adapters.clocks import SystemClock
from mission_core.lazy_attrs import define
from mission_core.rate_limits import LimiterFailed, Quota, RateLimitDecision

if TYPE_CHECKING:
    from limits.aio.storage import RedisStorage

    from mission_core.ports import Clock

MAX_CALLERS: Final = 10_000
"""The largest number of callers with a window for each quota."""
REDIS_TIMEOUT: Final = 0.5
"""The time-out of a request to Redis, in seconds."""
REDIS_START_TIMEOUT: Final = 5.0
LOOP_TURNS: Final = 10
RETRY_INTERVAL: Final = timedelta(seconds=1)
"""The time between two attempts while Redis does not answer."""
EXPIRY_ROUNDING: Final = timedelta(seconds=0.5)
"""The largest rounding error of a window's remaining time, which Redis gives in whole seconds."""
TIMESTAMP_ROUNDING: Final = timedelta(milliseconds=0.1)
"""The largest rounding error of the times in a sliding window, which Redis gives with fourteen digits."""
MAX_CONNECTIONS: Final = 32
KEY_PREFIX: Final = "mission-control:limit"

logger = logging.getLogger("mission_adapters")


@define(eq=False)
class FixedWindow:
    """
    A fixed window: it begins with a caller's first request, and ends when the quota starts anew.
    """

    began: datetime
    ends: datetime
    count: int = 0

    @classmethod
    def starting_at(cls, quota: Quota, at: datetime) -> Self:
        """
        A window that begins at *at*.
        """
        return cls(at, at + timedelta(seconds=quota.seconds))

    def is_open(self, at: datetime) -> bool:
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

    def is_open(self, at: datetime) -> bool:
        """
        Whether a request of the window still counts at this time.
        """
        return at < self.ends

    def allow(self, quota: Quota, at: datetime) -> bool:
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

    def next_allowed_at(self, quota: Quota) -> datetime:
        """
        The time at which the next request is allowed, given that the quota is used up.
        """
        return self.allowed[-quota.amount] + timedelta(seconds=quota.seconds)


AnyWindow = TypeVar("AnyWindow", FixedWindow, SlidingWindow)


@define(eq=False)
class WindowsByCaller(Generic[AnyWindow]):
    """
    The windows of many callers. When there are too many, the oldest are dropped; within one quota these end first.
    """

    max_callers: int = MAX_CALLERS
    _windows: OrderedDict[object, AnyWindow] = field(factory=OrderedDict, init=False)

    def current(self, whose: object, at: datetime) -> AnyWindow | None:
        """
        The caller's window, if it is open at this time.
        """
        window = self._windows.get(whose)
        return window if window is not None and window.is_open(at) else None

    def store(self, whose: object, window: AnyWindow, at: datetime) -> AnyWindow:
        """
        Store a new window for the caller in place of the old one.
        """
        windows = self._windows
        windows.pop(whose, None)
        while windows and (len(windows) >= self.max_callers or next(iter(windows.values())).ends <= at):
            windows.popitem(last=False)
        windows[whose] = window
        return window

    def __len__(self) -> int:
        return len(self._windows)


@define(eq=False)
class MemoryRateLimiter:
    """
    A rate limiter that counts in this process, for this process only.
    """

    clock: Clock = field(factory=SystemClock)
    max_callers: int = MAX_CALLERS
    _fixed: dict[str, WindowsByCaller[FixedWindow]] = field(factory=dict, init=False)
    """For sliding quotas, these count the refused requests."""
    _sliding: dict[str, WindowsByCaller[SlidingWindow]] = field(factory=dict, init=False)

    async def hit(self, quota: Quota, *who: str) -> RateLimitDecision:
        """
        Count one request of a caller.
        """
        now = self.clock.now()
        if quota.sliding:
            return self._hit_sliding(quota, who, now)
        window = self._count(quota, who, now)
        return RateLimitDecision(quota, window.count, now, window.ends)

    def _count(self, quota: Quota, who: tuple[str, ...], now: datetime) -> FixedWindow:
        windows = _windows_of(quota, self._fixed, self.max_callers)
        window = windows.current(who, now) or windows.store(who, FixedWindow.starting_at(quota, now), now)
        window.count += 1
        return window

    def _hit_sliding(self, quota: Quota, who: tuple[str, ...], now: datetime) -> RateLimitDecision:
        windows = _windows_of(quota, self._sliding, self.max_callers)
        window = windows.current(who, now) or SlidingWindow(now)
        if window.allow(quota, now):
            windows.store(who, window, now)
            return _allowed_without_count(quota, now)
        refused = self._count(quota, who, now).count
        return RateLimitDecision(quota, quota.amount + refused, now, window.next_allowed_at(quota))

    def caller_count(self, quota: Quota) -> int:
        """
        The number of callers that have a window for this quota.
        """
        return len((self._sliding if quota.sliding else self._fixed).get(quota.name, ()))


@define(eq=False)
class RedisRateLimiter:
    """
    A rate limiter that counts in Redis, through the library `limits`, for all processes that share it.

    Fixed windows end by the clock of Redis, and their remaining time is computed from the wall clock. Sliding windows
    use the wall clocks of the processes, which must therefore agree. The end of a sliding window is read only for
    refused requests.

    While Redis does not answer, all requests are allowed, and one request tries again after each `RETRY_INTERVAL`. The
    outage and its end are logged once each.
    """

    storage: RedisStorage
    clock: Clock = field(factory=SystemClock)
    timeout: float = REDIS_TIMEOUT
    _known_windows: WindowsByCaller[FixedWindow] = field(factory=WindowsByCaller, init=False)
    """The windows whose ends are known, so that Redis is asked for each end only once."""
    _outage: FixedWindow | None = field(default=None, init=False)
    _connections: asyncio.Semaphore = field(factory=lambda: asyncio.Semaphore(MAX_CONNECTIONS), init=False)
    """Limits the concurrent requests to Redis. Waiting for it is not part of the time-out."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, *, clock: Clock | None = None, patience: float = REDIS_TIMEOUT
    ) -> AsyncIterator[Self]:
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
        pool = ConnectionPool.from_url(url, max_connections=MAX_CONNECTIONS, retry=retry)
        options: Any = {"connection_pool": pool}  # accepted, although its type hints lack it
        storage = RedisStorage("async+redis://", implementation="redispy", key_prefix=KEY_PREFIX, **options)
        limiter = cls(storage, clock or SystemClock(), patience)
        try:
            await limiter._check_at_start()
            yield limiter
        finally:
            await pool.aclose()

    async def hit(self, quota: Quota, *who: str) -> RateLimitDecision:
        """
        Count one request of a caller.
        """
        async with self._connections:
            now = self.clock.now()
            if self._outage is not None:
                if self._outage.is_open(now):
                    return _allowed_without_count(quota, now)
                self._outage = FixedWindow(now, now + RETRY_INTERVAL)  # only this request tries again
            try:
                async with _timeout_of_loop(self.timeout):
                    key = "\0".join((quota.name, *who))  # no name contains NUL
                    verdict = await (self._hit_sliding(quota, key) if quota.sliding else self._count(quota, key, now))
            except self._failures as e:
                self._report_outage(e, now)
                return _allowed_without_count(quota, now)
        if self._outage is not None:
            self._outage = None
            logger.warning("redis_reachable rate_limits=on")
        return verdict

    async def _count(self, quota: Quota, key: str, now: datetime) -> RateLimitDecision:
        count = await self.storage.incr(key, quota.seconds)
        known = self._known_windows.current(key, now)
        if count == 1:
            known = self._known_windows.store(key, FixedWindow.starting_at(quota, now), now)
        elif known is None:
            left = timedelta(seconds=await self.storage.get_expiry(key) - time.time())
            known = self._known_windows.store(key, FixedWindow(now, now + left + EXPIRY_ROUNDING), now)
        return RateLimitDecision(quota, count, now, known.ends)

    async def _hit_sliding(self, quota: Quota, key: str) -> RateLimitDecision:
        window = f"sliding:{key}"
        if await self.storage.acquire_entry(window, quota.amount, quota.seconds):
            return _allowed_without_count(quota, self.clock.now())
        refused = await self.storage.incr(f"refused:{key}", quota.seconds)
        oldest, count = await self.storage.get_moving_window(window, quota.amount, quota.seconds)
        if count < quota.amount:  # the oldest request stopped counting since the refusal
            left = timedelta()
        else:
            # The clock may have been set back; Redis drops a window this long after its last request all the same.
            left = min(
                timedelta(seconds=oldest + quota.seconds - time.time()) + TIMESTAMP_ROUNDING,
                timedelta(seconds=quota.seconds),
            )
        now = self.clock.now()  # the time of the answer: that of the request would give too early an end
        return RateLimitDecision(quota, quota.amount + refused, now, now + left)

    async def _check_at_start(self) -> None:
        sliding = Quota(name="start", amount=1, seconds=1, sliding=True)
        try:
            async with _timeout_of_loop(REDIS_START_TIMEOUT):
                for _ in ("allowed", "refused"):
                    await self._hit_sliding(sliding, sliding.name)
        except self._failures as e:
            raise LimiterFailed(_reason(e)) from e

    def _report_outage(self, error: BaseException, now: datetime) -> None:
        if self._outage is None:
            retry = RETRY_INTERVAL.total_seconds()
            logger.warning("redis_unreachable rate_limits=off retry_in=%gs reason=%s", retry, _reason(error))
        self._outage = FixedWindow(now, now + RETRY_INTERVAL)

    @property
    def _failures(self) -> tuple[type[Exception], ...]:
        """
        The exceptions that mean that Redis failed. A time-out is an `OSError`.
        """
        known = self.storage.base_exceptions
        return (OSError, *(known if isinstance(known, tuple) else (known,)))


@asynccontextmanager
async def _timeout_of_loop(seconds: float) -> AsyncIterator[None]:
    """
    A context that times out after this many seconds, and not before the event loop ran `LOOP_TURNS` times: an answer
    that came while this process was busy is not late.

    Raises:
        TimeoutError: If it timed out.
    """
    loop = asyncio.get_running_loop()
    turn: asyncio.TimerHandle

    def wait(turns: int) -> None:
        nonlocal turn
        if turns:
            turn = loop.call_later(seconds / LOOP_TURNS, wait, turns - 1)
        else:
            deadline.reschedule(loop.time())

    async with asyncio.timeout(None) as deadline:
        wait(LOOP_TURNS)
        try:
            yield
        finally:
            turn.cancel()


def _windows_of(
    quota: Quota, all_windows: dict[str, WindowsByCaller[AnyWindow]], most: int
) -> WindowsByCaller[AnyWindow]:
    windows = all_windows.get(quota.name)
    if windows is None:
        windows = all_windows[quota.name] = WindowsByCaller(most)
    return windows


def _allowed_without_count(quota: Quota, now: datetime) -> RateLimitDecision:
    return RateLimitDecision(quota, 0, now, now + timedelta(seconds=quota.seconds))


def _reason(error: BaseException) -> str:
    return str(error) or "no answer in time"
