"""
The request log: one line for each request, with its method, path, status, duration and client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from attrs import frozen

from mission_http.platform.exchange import Exchange

if TYPE_CHECKING:
    from starlette.types import Scope

HEALTH_PATHS: Final = frozenset({"/health", "/healthz", "/readyz", "/api/health"})
MAX_PATH_LENGTH: Final = 500


class StructuredLogger(Protocol):
    """
    A structured logger (structlog), which takes an event name and key-value pairs.
    """

    def info(self, event: str, **facts: Any) -> Any: ...

    def warning(self, event: str, **facts: Any) -> Any: ...


@frozen(kw_only=True)
class RequestLog:
    """
    Writes one log line per request. Query, headers and body are never logged, because they may hold secrets.

    Args:
        slow: A request whose response begins after this many seconds is logged as slow; 0 for never.
        health: Whether requests to health endpoints are logged, too.
    """

    logger: StructuredLogger
    slow: float = 1.0
    health: bool = False

    def write(self, scope: Scope, exchange: Exchange, *, waited: float, took: float) -> None:
        """
        Log a completed request.

        Args:
            waited: Seconds until the response began.
            took: Seconds until the response was complete.
        """
        slow = 0 < self.slow <= waited
        path: str = scope["path"]
        if not slow and not self.health and (exchange.path or path) in HEALTH_PATHS:
            return
        (self.logger.warning if slow else self.logger.info)(
            "slow_request" if slow else "request",
            method=scope["method"],
            path=path[:MAX_PATH_LENGTH],
            status=exchange.status,
            duration_ms=round(took * 1000, 1),
            client=exchange.client,
            request_id=exchange.request_id,
        )
