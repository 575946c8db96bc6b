"""
Who waits for which log, and how far each log is known to reach.

A log is watched from the first wait for it: from then on its session reports every commit to it, so that further
waits ask the database nothing. A session watches first and looks afterwards, so that no commit falls in between.
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
"""For how many seconds a log that nobody waits for is still watched."""


@define(eq=False)
class Watched:
    """
    One log: how far it reaches, once somebody looked, and the positions beyond which somebody waits.
    """

    position: int = 0
    looked: bool = False
    interest: int = 0
    left_at: float = 0.0
    waiters: dict[asyncio.Future[None], int] = field(factory=dict)


@define(eq=False)
class Waking:
    """
    The logs that one session watches.
    """

    watched: dict[OrganizationId, Watched] = field(factory=dict)
    closed: bool = False

    @property
    def wanted(self) -> bool:
        """
        Whether anybody waits.
        """
        return any(log.interest for log in self.watched.values())

    async def wait(
        self, organization: OrganizationId, *, after: int, look: Callable[[OrganizationId], Awaitable[int]]
    ) -> None:
        """
        Return once the log reaches beyond *after*. *look* asks the database how far it does, the first time only.

        Raises:
            StoreFailed: If the session is closed, or was meanwhile.
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
        A log is known to reach this far: those who wait for less go on.
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
        Stop watching what nobody has waited for in a while.
        """
        long_ago = asyncio.get_running_loop().time() - LINGER
        for organization in [each for each, log in self.watched.items() if not log.interest and log.left_at < long_ago]:
            del self.watched[organization]

    def close(self) -> None:
        """
        Nobody is woken any more: those who wait, and those who come, are refused.
        """
        self.closed = True
        for log in self.watched.values():
            for waiter in log.waiters:
                if not waiter.done():
                    waiter.set_exception(StoreFailed(CLOSED))

    def must_be_open(self) -> None:
        """
        Refuse who comes after the end.
        """
        if self.closed:
            raise StoreFailed(CLOSED)
