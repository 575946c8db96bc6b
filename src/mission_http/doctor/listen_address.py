"""
Check of the port: whether a server can listen on it, or Mission Control listens on it already.
"""

from __future__ import annotations

import errno
import http.client
import json
import socket
from collections.abc import Iterator, Sequence
from typing import Final, Self

from mission_core.lazy_attrs import frozen
from mission_http.doctor.findings import Check, DoctorFinding
from mission_http.network_settings import any_beyond_loopback
from mission_http.server import bind_sockets
from mission_http.settings import SettingsError

PORT: Final = Check("port")
API_TITLE: Final = "Mission Control API"
"""The title in the OpenAPI document of a Mission Control server."""
CONNECT_TIMEOUT: Final = 2.0
"""Timeout in seconds for the request that asks the listening program for its OpenAPI document."""
MAX_DOCUMENT_BYTES: Final = 8_000_000
"""The most bytes of that document that are read."""


@frozen(kw_only=True)
class ListenAddressState:
    """
    The state of the address that the server is to listen on, as the doctor inspected it.

    Args:
        beyond_loopback: Whether other machines can reach the address.
        error: The reason that a server cannot listen there; empty if it can.
        is_mission_control: Whether Mission Control listens there already.
    """

    host: str
    port: int
    beyond_loopback: bool = False
    error: str = ""
    is_mission_control: bool = False

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def inspect(cls, host: str, port: int) -> Self:
        """
        Inspect an address by binding it for a moment.
        """
        why, ours = "", False
        try:
            for each in bind_sockets(host, port):
                each.close()
        except SettingsError as e:
            error = e.__cause__
            why = getattr(error, "strerror", None) or str(error)
            ours = getattr(error, "errno", None) == errno.EADDRINUSE and _is_mission_control(host, port)
        return cls(
            host=host,
            port=port,
            beyond_loopback=any_beyond_loopback(_addresses(host)),
            error=why,
            is_mission_control=ours,
        )

    @classmethod
    def from_sockets(cls, sockets: Sequence[socket.socket]) -> Self:
        """
        The address that these sockets listen on.
        """
        names = [each.getsockname() for each in sockets]
        return cls(host=names[0][0], port=names[0][1], beyond_loopback=any_beyond_loopback(each[0] for each in names))


def _addresses(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host or None, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return []
    return [str(address[0]) for _, _, _, _, address in found]


def _is_mission_control(host: str, port: int) -> bool:
    """
    Whether the program that listens there serves Mission Control's OpenAPI document.
    """
    anywhere = host in ("", "0.0.0.0", "::")
    connection = http.client.HTTPConnection("localhost" if anywhere else host, port, timeout=CONNECT_TIMEOUT)
    try:
        connection.request("GET", "/openapi.json")
        document = json.loads(connection.getresponse().read(MAX_DOCUMENT_BYTES))
        return bool(document["info"]["title"] == API_TITLE)
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
        return False
    finally:
        connection.close()


def check_port(listening: ListenAddressState, *, at_rest: bool = False) -> Iterator[DoctorFinding]:
    """
    Check that a server can listen there, or that the one with this database does. No server uses a database that is
    *at_rest*.
    """
    if listening.is_mission_control and at_rest:
        found = "Mission Control listens there already, with another database"
        advice = "choose another --port for this one, or name the other with --data-dir or --database-url"
        yield PORT.warning(listening.address, found, advice, "--port", "--data-dir", "--database-url")
    elif listening.is_mission_control:
        yield PORT.ok(listening.address, "Mission Control listens there already; a second server needs another --port")
    elif listening.error:
        advice = "choose another --port (or --host), or end the program that listens there"
        yield PORT.problem(
            listening.address, f"a server cannot listen there ({listening.error})", advice, "--port", "--host"
        )
    else:
        yield PORT.ok(listening.address, "is free")
