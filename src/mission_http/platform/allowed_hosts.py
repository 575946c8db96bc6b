"""
The allow-list of host names: requests under any other `Host` are refused.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable
from typing import Final

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mission_core.lazy_attrs import frozen
from mission_http.network_settings import NetworkSettings, parse_host_header
from mission_http.platform.client_addresses import header_entries, peer_address
from mission_http.platform.exchange import SCOPE_KEY

logger = logging.getLogger("mission_http")

FORWARDED_HOST_HEADERS: Final = (b"x-forwarded-host", b"x-original-host", b"x-forwarded-server")
MAX_HOST_LENGTH: Final = 255
"""How many characters of a host name are repeated in the error."""

_host_in_forwarded: Final = re.compile(r'(?:^|[;\s])host\s*=\s*("[^"]*"|[^;\s"]+)', re.IGNORECASE)


def requested_hosts(scope: Scope, network: NetworkSettings) -> list[str]:
    """
    The host names that a request is addressed to: that in `Host`, and those in the headers of a trusted proxy.
    """
    told = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    if network.trusts(peer_address(scope)):
        told += [entry for name in FORWARDED_HOST_HEADERS for entry in header_entries(scope, name)]
        for entry in header_entries(scope, b"forwarded"):
            told += [found.strip('"') for found in _host_in_forwarded.findall(entry)]
    return list(dict.fromkeys(map(parse_host_header, told)))


@frozen(eq=False)
class AllowedHostsMiddleware:
    """
    ASGI middleware that refuses requests with several `Host` headers, and those to a host that is not allowed.
    """

    app: ASGIApp
    network: NetworkSettings

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # It awaits nothing itself, so that no request resumes one more coroutine.
        headers = scope["headers"]
        if len(scope[SCOPE_KEY].headers) < len(headers) and sum(name == b"host" for name, _ in headers) > 1:
            return PlainTextResponse("Bad Request: more than one Host header", 400)(scope, receive, send)
        if self.network.allows_any_host:
            return self.app(scope, receive, send)
        hosts = requested_hosts(scope, self.network)
        if any(self.network.allows(host) for host in hosts):
            return self.app(scope, receive, send)
        why = _why(hosts)
        logger.warning("host_refused reason=%r", why, extra={"hosts": hosts})
        return PlainTextResponse(f"Forbidden: {why}", 403)(scope, receive, send)


def _why(hosts: list[str]) -> str:
    named = " and ".join(f'"{host[:MAX_HOST_LENGTH]}"' for host in hosts if host)
    if not named:
        return "the request has no valid Host header; MC_ALLOWED_HOSTS lists the allowed hosts"
    return f"host {named} is not in MC_ALLOWED_HOSTS; the operator of the server can add it there"
