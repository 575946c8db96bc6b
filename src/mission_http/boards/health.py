"""
Whether the server is up, and whether it can work.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from mission_core.errors import StoreFailed
from mission_http.boards.payloads import HealthStatusResponse
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of
from mission_http.platform.json import json_of


async def health(request: Request) -> Response:
    """
    Tell that the server is up.
    """
    return json_of({"ok": True})


async def healthz(request: Request) -> Response:
    """
    Tell that the server is up, for probes.
    """
    return json_of({"ok": True})


async def readyz(request: Request) -> Response:
    """
    Tell whether the server can work: its store answers and takes changes.
    """
    await ports_of(request).reads.ready()
    return json_of({"ok": True})


ENDPOINTS = [
    Endpoint("GET", "/health", health, gives=HealthStatusResponse, tags=("health",), rooted=True),
    Endpoint("GET", "/healthz", healthz, gives=HealthStatusResponse, tags=("health",), rooted=True),
    Endpoint(
        "GET", "/readyz", readyz, gives=HealthStatusResponse, tags=("health",), rooted=True, refuses=(StoreFailed,)
    ),
]
