"""
The request log: one line for each request, with its method, path, status, duration and client.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import time
from typing import TYPE_CHECKING, Final, NamedTuple

from mission_core.lazy_attrs import frozen
from mission_http.platform.exchange import Exchange

if TYPE_CHECKING:
    from starlette.types import Scope

HEALTH_PATHS: Final = frozenset({"/health", "/healthz", "/readyz", "/api/health"})
MAX_PATH_LENGTH: Final = 500


class RequestLine(NamedTuple):
    """
    A line of the request log, not yet rendered.
    """

    at: float
    """The time of the line, in Unix seconds."""
    is_slow: bool
    method: str
    path: str
    status: int | None
    duration_ms: float
    client: str
    request_id: str


def nothing_to_flush() -> None:
    """
    The default of `RequestLog.flush`.
    """


@frozen(kw_only=True)
class RequestLog:
    """
    Logs one line per request. Query, headers and body are never logged, because they may hold secrets.

    Args:
        add: Takes a line; it may be written later, with others.
        flush: Writes the lines that were taken and are not written yet.
        slow: A request whose response begins after this many seconds is logged as slow; 0 for never.
        health: Whether requests to health endpoints are logged, too.
        level: The lowest level that is logged: slow requests are warnings.
    """

    add: Callable[[RequestLine], None]
    flush: Callable[[], None] = nothing_to_flush
    slow: float = 1.0
    health: bool = False
    level: int = logging.INFO

    def write(self, scope: Scope, exchange: Exchange, *, waited: float, took: float) -> None:
        """
        Log a completed request.

        Args:
            waited: Seconds until the response began.
            took: Seconds until the response was complete.
        """
        is_slow = 0 < self.slow <= waited
        if self.level > (logging.WARNING if is_slow else logging.INFO):
            return
        path: str = scope["path"]
        if not is_slow and not self.health and (exchange.path or path) in HEALTH_PATHS:
            return
        self.add(
            RequestLine(
                time(),
                is_slow,
                scope["method"],
                path[:MAX_PATH_LENGTH],
                exchange.status,
                round(took * 1000, 1),
                exchange.client,
                exchange.request_id,
            )
        )
