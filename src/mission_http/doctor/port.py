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

from attrs import frozen

from mission_http.doctor.findings import Check, Finding
from mission_http.fronting import beyond_loopback
from mission_http.serving import bound
from mission_http.settings import SettingsError

PORT: Final = Check("port")
TITLE: Final = "Mission Control API"
"""The title in the OpenAPI document of a Mission Control server."""
PATIENCE: Final = 2.0
"""Timeout in seconds for the request that asks the listening program for its OpenAPI document."""
MOST: Final = 8_000_000
"""The most bytes of that document that are read."""


@frozen(kw_only=True)
class Listening:
    """
    The inspected address that the server is to listen on.

    Args:
        wide: Whether other machines can reach the address.
        why: The reason that a server cannot listen there; empty if it can.
        ours: Whether Mission Control listens there already.
    """

    host: str
    port: int
    wide: bool = False
    why: str = ""
    ours: bool = False

    @property
    def place(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def seen(cls, host: str, port: int) -> Self:
        """
        Inspect an address by binding it for a moment.
        """
        why, ours = "", False
        try:
            for each in bound(host, port):
                each.close()
        except SettingsError as e:
            error = e.__cause__
            why = getattr(error, "strerror", None) or str(error)
            ours = getattr(error, "errno", None) == errno.EADDRINUSE and _is_ours(host, port)
        return cls(host=host, port=port, wide=beyond_loopback(_addresses(host)), why=why, ours=ours)

    @classmethod
    def on(cls, sockets: Sequence[socket.socket]) -> Self:
        """
        The address that these sockets listen on.
        """
        names = [each.getsockname() for each in sockets]
        return cls(host=names[0][0], port=names[0][1], wide=beyond_loopback(each[0] for each in names))


def _addresses(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host or None, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return []
    return [str(address[0]) for _, _, _, _, address in found]


def _is_ours(host: str, port: int) -> bool:
    """
    Whether the program that listens there serves Mission Control's OpenAPI document.
    """
    anywhere = host in ("", "0.0.0.0", "::")
    connection = http.client.HTTPConnection("localhost" if anywhere else host, port, timeout=PATIENCE)
    try:
        connection.request("GET", "/openapi.json")
        document = json.loads(connection.getresponse().read(MOST))
        return bool(document["info"]["title"] == TITLE)
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
        return False
    finally:
        connection.close()


def check_port(listening: Listening, *, at_rest: bool = False) -> Iterator[Finding]:
    """
    Check that a server can listen there, or that the one with this database does. No server uses a database that is
    *at_rest*.
    """
    if listening.ours and at_rest:
        found = "Mission Control listens there already, with another database"
        advice = "choose another --port for this one, or name the other with --data-dir or --database-url"
        yield PORT.warning(listening.place, found, advice, "--port", "--data-dir", "--database-url")
    elif listening.ours:
        yield PORT.ok(listening.place, "Mission Control listens there already; a second server needs another --port")
    elif listening.why:
        advice = "choose another --port (or --host), or end the program that listens there"
        yield PORT.problem(
            listening.place, f"a server cannot listen there ({listening.why})", advice, "--port", "--host"
        )
    else:
        yield PORT.ok(listening.place, "is free")
