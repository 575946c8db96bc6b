"""
Index of the Fleet API: its paths with methods, description and required role, generated from the endpoints.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

from attrs import field
from starlette.requests import Request
from starlette.responses import Response

from mission_core.lazy_attrs import define
from mission_http.fleet.access import ANY_CREDENTIAL
from mission_http.fleet.errors import CredentialMissing
from mission_http.fleet.wire import iso_of
from mission_http.platform.endpoints import Dialect, Endpoint
from mission_http.platform.exchange import dialect_of
from mission_http.platform.json_responses import json_response
from mission_http.platform.shapes import Payload

CACHE_CONTROL: Final = "public, s-maxage=300, stale-while-revalidate=600"
EVENT_STREAM: Final = {"path": "/api/events", "protocol": "SSE", "description": "All events, as they happen"}
DOCS: Final = {"openapi": "/api/docs", "tree": "/api/docs/tree", "search": "/api/docs/search"}


class IndexedPayload(Payload):
    path: str
    methods: list[str]
    description: str
    tag: str
    auth: str


class IndexPayload(Payload):
    version: str
    generated_at: str
    total_endpoints: int
    endpoints: list[IndexedPayload]
    event_stream: dict[str, Any]
    docs: dict[str, str]


@define
class ApiIndex:
    """
    Handler of the index, which is generated at the first request.
    """

    started: datetime = field(factory=lambda: datetime.now(UTC))
    built: IndexPayload | None = None

    async def index(self, request: Request) -> Response:
        """
        List all paths with methods, description and required role.
        """
        if self.built is None:
            self.built = self._build(dialect_of(request))
        return json_response(self.built, headers={"cache-control": CACHE_CONTROL})

    def _build(self, dialect: Dialect) -> IndexPayload:
        endpoints = indexed_paths(dialect)
        return IndexPayload(
            version=dialect.openapi_metadata.version,
            generated_at=iso_of(self.started),
            total_endpoints=len(endpoints),
            endpoints=endpoints,
            event_stream=EVENT_STREAM,
            docs=DOCS,
        )


def indexed_paths(dialect: Dialect) -> list[IndexedPayload]:
    """
    List a dialect's paths. A path whose methods need different roles is listed once for each role.
    """
    found: dict[tuple[str, str], list[Endpoint]] = {}
    for endpoint in dialect.endpoints:
        if endpoint.listed:
            found.setdefault((dialect.path_of(endpoint), endpoint.who.name), []).append(endpoint)
    return [
        IndexedPayload(
            path=re.sub(r"{(\w+)}", r":\1", path),
            methods=[each.method for each in endpoints],
            description="; ".join(each.summary.rstrip(".") for each in endpoints),
            tag=endpoints[0].tags[0] if endpoints[0].tags else dialect.name,
            auth=who,
        )
        for (path, who), endpoints in found.items()
    ]


def index_endpoints() -> list[Endpoint]:
    """
    Return the operation that serves the index.
    """
    return [
        Endpoint(
            "GET", "/index", ApiIndex().index, gives=IndexPayload, who=ANY_CREDENTIAL, refuses=(CredentialMissing,),
            operation_id="fleet_getApiIndex",
        ),
    ]  # fmt: skip
