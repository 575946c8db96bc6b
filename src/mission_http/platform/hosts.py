"""
By which names a request calls the server, and whether it may.
"""

from __future__ import annotations

import logging
import re
from typing import Final

from attrs import frozen
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mission_http.fronting import Fronting, host_named
from mission_http.platform.clients import entries, peer_of

logger = logging.getLogger("mission_http")

FORWARDED: Final = (b"x-forwarded-host", b"x-original-host", b"x-forwarded-server")
LONGEST: Final = 255
"""How many characters of a name are repeated to whoever used it."""

_host_in_forwarded: Final = re.compile(r'(?:^|[;\s])host\s*=\s*("[^"]*"|[^;\s"]+)', re.IGNORECASE)


def hosts_of(scope: Scope, fronting: Fronting) -> list[str]:
    """
    The names by which the server is called: that in `Host`, and those that a trusted proxy was called by.
    """
    told = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    if fronting.trusts(peer_of(scope)):
        told += [entry for name in FORWARDED for entry in entries(scope, name)]
        for entry in entries(scope, b"forwarded"):
            told += [found.strip('"') for found in _host_in_forwarded.findall(entry)]
    return list(dict.fromkeys(map(host_named, told)))


@frozen(eq=False)
class KnownHosts:
    """
    ASGI middleware that lets pass only what calls the server by one name, and one that is allowed.
    """

    app: ASGIApp
    fronting: Fronting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if sum(name == b"host" for name, _ in scope["headers"]) > 1:
            await PlainTextResponse("Bad Request: more than one Host header", 400)(scope, receive, send)
            return
        if self.fronting.lets_any_host_in:
            await self.app(scope, receive, send)
            return
        hosts = hosts_of(scope, self.fronting)
        if any(self.fronting.allows(host) for host in hosts):
            await self.app(scope, receive, send)
        else:
            why = _why(hosts)
            logger.warning("refused a request: %s", why, extra={"hosts": hosts})
            await PlainTextResponse(f"Forbidden: {why}", 403)(scope, receive, send)


def _why(hosts: list[str]) -> str:
    named = " and ".join(f'"{host[:LONGEST]}"' for host in hosts if host)
    if not named:
        return "the request is to no host, or to what cannot be one; MC_ALLOWED_HOSTS lists those that are allowed"
    return f"host {named} is not in MC_ALLOWED_HOSTS; whoever runs the server can add it there"
