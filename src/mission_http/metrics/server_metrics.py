"""
The metrics of a server: what each process counts, and the figures of the store, which are read for a scrape.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from time import perf_counter
from typing import TYPE_CHECKING, Final, Self

from attrs import evolve, field

from mission_core.errors import StoreFailed
from mission_core.lazy_attrs import define
from mission_http.metrics.pool_states import PoolStates
from mission_http.platform.request_durations import RequestDurations

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.ports import Ports
    from mission_core.reports.server_figures import ServerFigures

TELL_SECONDS: Final = 1.0
"""Seconds between two times that a process tells the others its pools of connections."""
FRESH_SECONDS: Final = 5.0
"""Seconds for which the figures of the store answer further scrapes."""
FRESH_FACTOR: Final = 20
"""How many times as long as reading them took they answer further scrapes, so that it takes 5 % of the time at most."""


@define(eq=False, kw_only=True)
class ServerMetrics:
    """
    The metrics of all processes of a server, as one of them sees them.
    """

    durations: RequestDurations
    pools: PoolStates
    _figures: ServerFigures | None = field(default=None, init=False)
    _fresh_until: datetime | None = field(default=None, init=False)
    _reading: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    @classmethod
    def of(cls, processes: int) -> Self:
        """
        Metrics without any count, for this number of processes.
        """
        return cls(durations=RequestDurations.of(processes), pools=PoolStates.of(processes))

    def at(self, place: int) -> ServerMetrics:
        """
        The same metrics, for the process at this place.
        """
        return evolve(self, durations=self.durations.at(place), pools=self.pools.at(place))

    @asynccontextmanager
    async def telling_pools(self, ports: Ports) -> AsyncIterator[None]:
        """
        Tell the other processes the pools of connections of this one, for the duration of the context.
        """
        task = asyncio.create_task(self._tell_for_ever(ports))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _tell_for_ever(self, ports: Ports) -> None:
        while True:
            self.pools.tell(ports.reads.server.connection_pools())
            await asyncio.sleep(TELL_SECONDS)

    async def figures(self, ports: Ports) -> ServerFigures | None:
        """
        The figures of the store, which may be some seconds old; None if the store cannot be read.
        """
        async with self._reading:
            now = ports.clock.now()
            if self._fresh_until is None or now >= self._fresh_until:
                began = perf_counter()
                try:
                    self._figures = await ports.reads.server.figures(at=now)
                except StoreFailed:
                    self._figures = None
                took = perf_counter() - began
                self._fresh_until = now + timedelta(seconds=max(FRESH_SECONDS, FRESH_FACTOR * took))
            return self._figures
