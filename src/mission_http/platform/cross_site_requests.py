"""
Detection of cross-site requests, which the page of another site makes a browser send.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request

from mission_http.network_settings import NetworkSettings, host_of, parse_origin
from mission_http.platform.allowed_hosts import requested_hosts

CHANGING_METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
FOREIGN_FETCH_SITES: Final = frozenset({"cross-site", "same-site"})
"""The values of `Sec-Fetch-Site` for pages of other hosts, including sibling subdomains."""
SESSION_COOKIES: Final = ("__Host-mc-session", "mc-session")
"""The names of the session cookie, in order of preference."""


def foreign_origin(request: Request, network: NetworkSettings) -> str | None:
    """
    The `Origin` of a cross-site request; None for one of this site or of an origin in `CORS_ORIGINS`.

    Only hosts are compared, because proxies lose ports. A malformed origin, or `null`, counts as foreign. Browsers send
    no `Origin` with some requests, such as those for images; then `Sec-Fetch-Site` decides.
    """
    origins = [each.strip() for each in request.headers.getlist("origin") if each.strip()]
    if not origins:
        told = (each.strip().lower() for each in request.headers.getlist("sec-fetch-site"))
        return next((f"unknown (Sec-Fetch-Site: {each})" for each in told if each in FOREIGN_FETCH_SITES), None)
    own = {*requested_hosts(request.scope, network), network.host} - {"", None}
    return next((each for each in origins if not _is_ours(each, own, network)), None)


def has_session_cookie(request: Request) -> bool:
    """
    Whether the request has a session cookie, which browsers attach by themselves.
    """
    return not request.cookies.keys().isdisjoint(SESSION_COOKIES)


def _is_ours(origin: str, own: set[str | None], network: NetworkSettings) -> bool:
    try:
        host = host_of(urlsplit(origin))
    except ValueError:
        return False
    return host in own or parse_origin(origin) in network.origins
