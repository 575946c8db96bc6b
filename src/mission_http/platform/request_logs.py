"""
One line in the log for each request: what was asked, what came of it, how long it took, and who asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from attrs import frozen

from mission_http.platform.exchange import Exchange

if TYPE_CHECKING:
    from starlette.types import Scope

HEALTH: Final = frozenset({"/health", "/healthz", "/readyz", "/api/health"})
LONGEST_PATH: Final = 500


class Lines(Protocol):
    """
    What writes the lines, each an event and its facts.
    """

    def info(self, event: str, **facts: Any) -> Any: ...

    def warning(self, event: str, **facts: Any) -> Any: ...


@frozen(kw_only=True)
class RequestLog:
    """
    Tells of requests. Nothing of a query, a header or a body is told, for secrets may stand there.

    Args:
        slow: From how many seconds without an answer on a request is told as slow; 0 for never.
        health: Whether requests for the server's health are told, too.
    """

    lines: Lines
    slow: float = 1.0
    health: bool = False

    def tell(self, scope: Scope, exchange: Exchange, *, waited: float, took: float) -> None:
        """
        Tell of a request that is over.

        Args:
            waited: After how many seconds its answer began.
            took: After how many seconds it was over.
        """
        slow = 0 < self.slow <= waited
        path: str = scope["path"]
        if not slow and not self.health and (exchange.path or path) in HEALTH:
            return
        (self.lines.warning if slow else self.lines.info)(
            "slow request" if slow else "request",
            method=scope["method"],
            path=path[:LONGEST_PATH],
            status=exchange.status,
            duration_ms=round(took * 1000, 1),
            client=exchange.client,
            request_id=exchange.request_id,
        )
