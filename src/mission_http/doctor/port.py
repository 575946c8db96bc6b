"""
The port: can a server listen on it, or does it already?
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
"""What the document of a server says it is."""
PATIENCE: Final = 2.0
"""For how many seconds whoever has the port may take to say who it is."""
MOST: Final = 8_000_000
"""How many bytes of a document are read."""


@frozen(kw_only=True)
class Listening:
    """
    What there is to see of the place where the server is to listen.

    Args:
        wide: Whether other machines could reach it there.
        why: What keeps a server from listening there.
        ours: Whether it is Mission Control that listens there already.
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
        Look at a place, by taking it for a moment.
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
        The place where these sockets listen.
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
    Whether who listens there says that it is Mission Control.
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
    A server can listen there, or the one over this database does. It does not if that is *at_rest*.
    """
    if listening.ours and at_rest:
        found = "Mission Control listens there already, over another database than this one"
        advice = "choose another --port for this one, or name the other with --data-dir or --database-url"
        yield PORT.warning(listening.place, found, advice, "--port", "--data-dir", "--database-url")
    elif listening.ours:
        yield PORT.ok(listening.place, "Mission Control listens there already; a second server needs another --port")
    elif listening.why:
        advice = "choose another --port (or --host), or end the program that has it"
        yield PORT.problem(listening.place, f"cannot be listened on ({listening.why})", advice, "--port", "--host")
    else:
        yield PORT.ok(listening.place, "is free")
