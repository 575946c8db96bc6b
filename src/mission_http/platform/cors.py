"""
Cross-origin resource sharing (CORS) for the origins in `CORS_ORIGINS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
EXPOSED_HEADERS: Final = (
    "X-Total-Count", "X-Limit", "X-Offset", "X-Request-Id", "ETag", "Retry-After",
    "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset",
)  # fmt: skip
"""The response headers that pages of these origins may read."""


def with_cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """
    Wrap the application in CORS middleware, if any origin is configured.
    """
    if not origins:
        return app
    return CORSMiddleware(
        app, allow_origins=origins, allow_methods=METHODS, allow_headers=("*",), allow_credentials=True,
        expose_headers=EXPOSED_HEADERS, max_age=600,
    )  # fmt: skip
