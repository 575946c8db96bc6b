"""
What pages of other sites, which the operator named, may do: ask anything, and read the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
EXPOSED: Final = (
    "X-Total-Count", "X-Limit", "X-Offset", "X-Request-Id", "ETag", "Retry-After",
    "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset",
)  # fmt: skip
"""The headers of a response that such a page may read."""


def with_cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """
    The application with what browsers want to be told; as it is where no origin is named.
    """
    if not origins:
        return app
    return CORSMiddleware(
        app, allow_origins=origins, allow_methods=METHODS, allow_headers=("*",), allow_credentials=True,
        expose_headers=EXPOSED, max_age=600,
    )  # fmt: skip
