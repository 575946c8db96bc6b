"""
The server of a worker process, which accepts its share of the connections to sockets that all workers share.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any, Final

import uvicorn
from attrs import field

from mission_core.lazy_attrs import define
from mission_http.connection_counts import ConnectionCounts
from mission_http.server import BACKLOG, Server

logger = logging.getLogger("mission_http")

YIELD_SECONDS: Final = 0.005
"""Seconds for which a worker leaves a new connection to another that has fewer."""
MAX_YIELDS: Final = 100
"""How often it does so in a row if the other has at least two fewer, as while that one is busy."""
LINGER_SECONDS: Final = 1.0
"""Seconds in which clients with an open connection learn that the worker stops, so that none loses a request."""
RETRY_SECONDS: Final = 1.0
"""Seconds before connections are accepted again when the system refused to accept one."""


@define(eq=False)
class _Listener:
    """
    Accepts connections from one socket, one in each turn of the event loop.

    The system wakes all workers for a new connection, and the first one would take all that arrive together. So a
    worker that has more connections than another waits a moment, in which the other can accept them.
    """

    server: WorkerServer
    shared: socket.socket
    loop: asyncio.AbstractEventLoop
    _yields: int = field(default=0, init=False)
    _waiting: asyncio.TimerHandle | None = field(default=None, init=False)

    def start(self) -> None:
        self._waiting = None
        self.loop.add_reader(self.shared, self._accept)

    def stop(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        self.loop.remove_reader(self.shared)

    def _pause(self, seconds: float) -> None:
        self.loop.remove_reader(self.shared)
        self._waiting = self.loop.call_later(seconds, self.start)

    def _accept(self) -> None:
        excess = self.server.excess_connections()
        if excess > 0 and self._yields < (MAX_YIELDS if excess > 1 else 1):
            self._yields += 1
            self._pause(YIELD_SECONDS)
            return
        self._yields = 0
        try:
            accepted, _ = self.shared.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another worker accepted it, or the client is gone
        except OSError as error:
            logger.error("accept_failed", extra={"reason": error.strerror, "retry_in": RETRY_SECONDS})
            self._pause(RETRY_SECONDS)
            return
        accepted.setblocking(False)
        self.server.take(accepted)


class WorkerServer(Server):
    """
    A server that shares its sockets with other workers.

    Args:
        counts: The number of open connections of all workers.
        place: The place of this worker in *counts*.
    """

    def __init__(self, *args: Any, counts: ConnectionCounts, place: int, **more: Any) -> None:
        super().__init__(*args, **more)
        self.counts, self.place = counts, place
        self.arriving = set[asyncio.Task[Any]]()
        """Connections that are accepted and not made yet."""
        self.listeners: list[_Listener] = []
        self.supervisor.count_changed = self.store_count
        self.supervisor.linger = LINGER_SECONDS

    def excess_connections(self) -> int:
        """
        The number of connections that this worker has beyond those of the worker with the fewest.
        """
        return self.counts.excess(len(self.server_state.connections) + len(self.arriving))

    def store_count(self) -> None:
        """
        Tell the other workers how many connections this one has.
        """
        if self.listeners:
            self.counts.store(self.place, len(self.server_state.connections) + len(self.arriving))

    def take(self, accepted: socket.socket) -> None:
        """
        Serve an accepted connection.
        """
        loop = asyncio.get_running_loop()
        made = loop.create_task(loop.connect_accepted_socket(self._protocol, accepted))
        self.arriving.add(made)
        made.add_done_callback(self._taken)
        self.store_count()

    def _taken(self, made: asyncio.Task[Any]) -> None:
        self.arriving.discard(made)
        self.store_count()
        if not made.cancelled() and isinstance(error := made.exception(), OSError):
            logger.debug("connection_lost reason=%s", error)  # the client is gone

    def _protocol(self) -> asyncio.Protocol:
        protocol: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]  # uvicorn types the class as a plain protocol
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await uvicorn.Server.startup(self, [])
        loop, shared = asyncio.get_running_loop(), sockets or []
        for each in shared:
            each.listen(BACKLOG)
            each.setblocking(False)
        self.listeners = [_Listener(self, each, loop) for each in shared]
        self.store_count()
        for listener in self.listeners:
            listener.start()
        self.announce(shared[0])

    async def on_tick(self, counter: int) -> bool:
        self.store_count()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in self.listeners:
            listener.stop()
        self.listeners = []
        self.counts.clear(self.place)
        if self.arriving:
            await asyncio.wait(self.arriving)
        await super().shutdown(sockets)
