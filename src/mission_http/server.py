"""
The server process: uvicorn with connection limits, and the banner that it prints at the start.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from attrs import field

from mission_core.lazy_attrs import frozen
from mission_http.connection_limits import raise_file_limit
from mission_http.connections import ConnectionSupervisor, HttpConnection
from mission_http.request_cycles import ConstantHeaders
from mission_http.settings import Settings, SettingsError

if TYPE_CHECKING:
    from mission_http.app import MissionApp

Announce = Callable[[socket.socket], None]
LOOPBACK_OF_WILDCARD: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""The loopback address for each wildcard address, for URLs that work on this machine."""
BACKLOG: Final = 2048
"""The number of connections that the system queues until they are accepted."""
ACCEPT_BATCH: Final = 8
"""The number of connections that asyncio accepts in one step, which it takes from its `backlog` argument."""
KILL_SECONDS: Final = 5.0
"""Seconds after the deadline of requests in progress at which a worker that has not ended is killed."""
TICKS_PER_SECOND: Final = 10
"""The number of uvicorn's ticks in a second."""


class Server(uvicorn.Server):
    """
    A uvicorn server that enforces connection limits, tells that it listens, and exits with 0 after SIGINT or SIGTERM.

    Args:
        announce: Called when the server listens; by default prints the banner.
    """

    def __init__(self, app: MissionApp, settings: Settings, *, announce: Announce | None = None) -> None:
        limits = settings.connections
        self.supervisor = ConnectionSupervisor(
            limits, app.error_app, raise_file_limit(), ConstantHeaders(app.constant_headers)
        )
        super().__init__(
            uvicorn.Config(
                app, http=partial(HttpConnection, supervisor=self.supervisor),  # type: ignore[arg-type]
                ws="none", log_config=None, access_log=False, lifespan="on", server_header=False, date_header=True,
                proxy_headers=False, timeout_graceful_shutdown=ceil(limits.stop) + 1, backlog=ACCEPT_BATCH,
            )
        )  # fmt: skip
        self.settings, self.app = settings, app
        self.announce = announce or Banner(settings).print

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for each in sockets or ():
            each.listen(BACKLOG)
        if self.started and sockets:
            self.announce(sockets[0])

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS_PER_SECOND == 0:
            self.supervisor.sweep(self.server_state.connections)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.app.event_streams.stop()
        loop, connections = asyncio.get_running_loop(), self.server_state.connections
        loop.call_later(self.settings.connections.stop, self.supervisor.abort, connections)
        await super().shutdown(sockets)

    def stop(self) -> None:
        """
        Stop as after SIGTERM.
        """
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        stops = (signal.SIGINT, signal.SIGTERM)
        before = {each: signal.signal(each, self.handle_exit) for each in stops}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def bind_sockets(host: str, port: int) -> list[socket.socket]:
    """
    Bind a socket to this port on every local address of the host.

    Raises:
        SettingsError: If the port is in use, or no address can be bound.
    """
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                sockets.append(_bind(socket.socket(family, kind, protocol), address))
            except OSError as e:
                # A host may have addresses of a family (IPv6) that this machine does not support.
                if e.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                missing = e
        if not sockets:
            raise missing
    except OSError as e:
        for each in sockets:
            each.close()
        raise SettingsError(f"--host, --port: cannot listen on {host}:{port} ({e.strerror}); choose others") from e
    return sockets


def _bind(made: socket.socket, address: tuple[Any, ...]) -> socket.socket:
    try:
        if os.name == "posix":  # elsewhere it would let two servers share the port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if made.family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


@frozen(kw_only=True)
class Banner:
    """
    The lines that a server prints when it listens: its address, its credentials and the first steps.

    Args:
        needs_setup: Whether there is no user yet, so that the banner explains the setup of the first admin.
        replaced_key_notice: The notice about the API_KEY of the settings, if a key made in the API replaced it.
    """

    settings: Settings = field(kw_only=False)
    needs_setup: bool = False
    replaced_key_notice: str | None = None

    def print(self, listening: socket.socket) -> None:
        """
        Print the banner for this listening socket.
        """
        settings = self.settings
        host, port = listening.getsockname()[:2]
        base = settings.network.base_url or _url(LOOPBACK_OF_WILDCARD.get(host, host), port)
        told = {"documentation": f"{base}/docs", "data": str(settings.data_dir)}
        told |= {name: _displayed_secret(name, value, settings) for name, value in settings.credentials.items()}
        if self.needs_setup:
            free = settings.setup_needs_no_code_locally
            needed = "username and password; from another machine, with the code"
            told["first admin"] = f"POST /api/setup with {needed if free else 'username, password and code'}"
            told["setup code"] = settings.setup_code
        if self.replaced_key_notice is None:
            told["try"] = f'curl -H "x-api-key: $API_KEY" {base}/api/tasks'
        else:
            told["API_KEY"] = self.replaced_key_notice
        lines = (f"  {name:<16} {value}" for name, value in told.items())
        print("\n".join([f"Mission Control listens on {_url(host, port)}", *lines]), flush=True)


def _displayed_secret(name: str, secret: str, settings: Settings) -> str:
    if name in settings.given:
        return "as set in the environment"
    # Output that is not a terminal may be stored in logs, so it shows new secrets only.
    return secret if name in settings.fresh or sys.stdout.isatty() else "mission-control token shows it"


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
