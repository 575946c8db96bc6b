"""
Whether a page of another site makes a browser ask.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request

from mission_http.fronting import Fronting, host_of, origin_from
from mission_http.platform.hosts import hosts_of

CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
ELSEWHERE: Final = frozenset({"cross-site", "same-site"})
"""What `Sec-Fetch-Site` says of pages of other hosts; those of a neighbour are foreign, too."""
SESSION_COOKIES: Final = ("__Host-mc-session", "mc-session")
"""The cookies that a session may come in, the first one first."""


def foreign_origin(request: Request, fronting: Fronting) -> str | None:
    """
    The `Origin` of a request if it is of another site, which the operator did not name either.

    A site is known by its host; ports are lost in proxies. What is no origin, such as `null`, is nobody's and foreign.
    Where a browser does not tell the origin, as when a page only shows an image, it tells that it is another one.
    """
    origins = [each.strip() for each in request.headers.getlist("origin") if each.strip()]
    if not origins:
        told = (each.strip().lower() for each in request.headers.getlist("sec-fetch-site"))
        return next((f"unknown (Sec-Fetch-Site: {each})" for each in told if each in ELSEWHERE), None)
    own = {*hosts_of(request.scope, fronting), fronting.host} - {"", None}
    return next((each for each in origins if not _is_ours(each, own, fronting)), None)


def carries_session(request: Request) -> bool:
    """
    Whether a browser sent a session along, as it does by itself.
    """
    return any(name in request.cookies for name in SESSION_COOKIES)


def _is_ours(origin: str, own: set[str | None], fronting: Fronting) -> bool:
    try:
        host = host_of(urlsplit(origin))
    except ValueError:
        return False
    return host in own or origin_from(origin) in fronting.origins
