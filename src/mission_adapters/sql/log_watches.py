"""
Waiting for new log entries: the logs that a session watches, with their last known positions and their waiters.

A log is watched from the first wait on. From then on the session reports each commit to it, so that further waits need
no query. The watch starts before the position is first read, so that no commit is missed in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from attrs import field

from mission_core.errors import StoreUnreachable
from mission_core.lazy_attrs import define

if TYPE_CHECKING:
    from mission_core.errors import StoreFailed
    from mission_core.ids import OrganizationId

CLOSED_MESSAGE: Final = "it was closed"
WATCH_SECONDS: Final = 60.0
"""The seconds that a log is still watched after the last wait."""


@define(eq=False)
class WatchedLog:
    """
    A watched log: its last known position, and the waiters with the positions they wait to be exceeded.

    Args:
        looked: Whether the position was read from the database.
        waiter_count: The number of present waits.
        last_wait_at: When the last wait ended.
    """

    position: int = 0
    looked: bool = False
    waiter_count: int = 0
    last_wait_at: float = 0.0
    waiters: dict[asyncio.Future[None], int] = field(factory=dict)


@define(eq=False)
class LogWatches:
    """
    The logs that one database session watches.
    """

    watched: dict[OrganizationId, WatchedLog] = field(factory=dict)
    closed: bool = False

    @property
    def has_waiters(self) -> bool:
        """
        Whether a caller waits for any log.
        """
        return any(log.waiter_count for log in self.watched.values())

    async def wait(
        self, organization: OrganizationId, *, after: int, look: Callable[[OrganizationId], Awaitable[int]]
    ) -> None:
        """
        Return once the log has an entry after the position *after*. *look* reads the position, at the first wait only.

        Raises:
            StoreUnreachable: If the session is closed before or during the wait.
        """
        self.require_open()
        log = self.watched.setdefault(organization, WatchedLog())
        log.waiter_count += 1
        try:
            if not log.looked:
                self.advance(organization, await look(organization))
            if log.position <= after:
                await self._woken(log, after)
        finally:
            log.waiter_count -= 1
            log.last_wait_at = asyncio.get_running_loop().time()

    async def _woken(self, log: WatchedLog, after: int) -> None:
        self.require_open()
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        log.waiters[waiter] = after
        try:
            await waiter
        finally:
            log.waiters.pop(waiter, None)

    def advance(self, organization: OrganizationId, position: int) -> None:
        """
        Set the last known position of a log, and wake the waiters that wait for an earlier one.
        """
        log = self.watched.get(organization)
        if log is None:
            return
        log.looked = True
        if position > log.position:
            log.position = position
            for waiter, after in log.waiters.items():
                if after < position and not waiter.done():
                    waiter.set_result(None)

    def drop_unwatched(self) -> None:
        """
        Stop watching the logs that nobody has waited for recently.
        """
        long_ago = asyncio.get_running_loop().time() - WATCH_SECONDS
        for organization in [
            each for each, log in self.watched.items() if not log.waiter_count and log.last_wait_at < long_ago
        ]:
            del self.watched[organization]

    def close(self) -> None:
        """
        Refuse all present and later waits.
        """
        self.closed = True
        for log in self.watched.values():
            for waiter in log.waiters:
                if not waiter.done():
                    waiter.set_exception(StoreUnreachable(CLOSED_MESSAGE))

    def require_open(self, failed: type[StoreFailed] = StoreUnreachable) -> None:
        """
        Raise an error if the session is closed.

        Args:
            failed: The error: another one for a write, which says that nothing was changed.
        """
        if self.closed:
            raise failed(CLOSED_MESSAGE)
