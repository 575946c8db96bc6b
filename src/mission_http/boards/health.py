"""
Health and readiness of the server.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from mission_core.errors import StoreFailed
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of
from mission_http.platform.json_responses import json_response
from mission_http.platform.shapes import Payload


class HealthStatusResponse(Payload):
    ok: bool


async def health(request: Request) -> Response:
    """
    Confirm that the server is up.
    """
    return json_response(HealthStatusResponse(ok=True))


async def healthz(request: Request) -> Response:
    """
    Confirm that the server is up, for probes.
    """
    return json_response(HealthStatusResponse(ok=True))


async def readyz(request: Request) -> Response:
    """
    Tell whether the server is ready: its store answers and accepts changes.
    """
    await ports_of(request).reads.ready()
    return json_response(HealthStatusResponse(ok=True))


ENDPOINTS = [
    Endpoint("GET", "/health", health, gives=HealthStatusResponse, tags=("health",), rooted=True),
    Endpoint("GET", "/healthz", healthz, gives=HealthStatusResponse, tags=("health",), rooted=True),
    Endpoint(
        "GET", "/readyz", readyz, gives=HealthStatusResponse, tags=("health",), rooted=True, refuses=(StoreFailed,)
    ),
]
