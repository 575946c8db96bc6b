"""
Waiting for new log entries: the logs that a session watches, with their last known positions and their waiters.

A log is watched from the first wait on. From then on the session reports each commit to it, so that further waits need
no query. The watch starts before the position is first read, so that no commit is missed in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from attrs import define, field

from mission_core.errors import StoreFailed

if TYPE_CHECKING:
    from mission_core.ids import OrganizationId

CLOSED: Final = "it was closed"
LINGER: Final = 60.0
"""The seconds that a log is still watched after the last wait."""


@define(eq=False)
class Watched:
    """
    A watched log: its last known position, and the waiters with the positions they wait to be exceeded.

    Args:
        looked: Whether the position was read from the database.
        interest: The number of present waits.
        left_at: When the last wait ended.
    """

    position: int = 0
    looked: bool = False
    interest: int = 0
    left_at: float = 0.0
    waiters: dict[asyncio.Future[None], int] = field(factory=dict)


@define(eq=False)
class Waking:
    """
    The logs that one database session watches.
    """

    watched: dict[OrganizationId, Watched] = field(factory=dict)
    closed: bool = False

    @property
    def wanted(self) -> bool:
        """
        Whether a caller waits for any log.
        """
        return any(log.interest for log in self.watched.values())

    async def wait(
        self, organization: OrganizationId, *, after: int, look: Callable[[OrganizationId], Awaitable[int]]
    ) -> None:
        """
        Return once the log has an entry after the position *after*. *look* reads the position, at the first wait only.

        Raises:
            StoreFailed: If the session is closed before or during the wait.
        """
        self.must_be_open()
        log = self.watched.setdefault(organization, Watched())
        log.interest += 1
        try:
            if not log.looked:
                self.reached(organization, await look(organization))
            if log.position <= after:
                await self._woken(log, after)
        finally:
            log.interest -= 1
            log.left_at = asyncio.get_running_loop().time()

    async def _woken(self, log: Watched, after: int) -> None:
        self.must_be_open()
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        log.waiters[waiter] = after
        try:
            await waiter
        finally:
            log.waiters.pop(waiter, None)

    def reached(self, organization: OrganizationId, position: int) -> None:
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

    def tidy(self) -> None:
        """
        Stop watching the logs that nobody has waited for recently.
        """
        long_ago = asyncio.get_running_loop().time() - LINGER
        for organization in [each for each, log in self.watched.items() if not log.interest and log.left_at < long_ago]:
            del self.watched[organization]

    def close(self) -> None:
        """
        Refuse all present and later waits.
        """
        self.closed = True
        for log in self.watched.values():
            for waiter in log.waiters:
                if not waiter.done():
                    waiter.set_exception(StoreFailed(CLOSED))

    def must_be_open(self) -> None:
        """
        Raise an error if the session is closed.

        Raises:
            StoreFailed: If the session is closed.
        """
        if self.closed:
            raise StoreFailed(CLOSED)
