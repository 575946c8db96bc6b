"""
Knowledge files of the host. This server has no folder of them, so it lists and finds none.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from starlette.requests import Request
from starlette.responses import Response

from mission_core.errors import Denied
from mission_http.fleet.access import VIEWER
from mission_http.fleet.errors import InvalidRequest
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.field_annotations import NumberRange, Query
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Payload


class KnowledgeFileDenied(Denied):
    """
    The path is in no folder of knowledge files.
    """

    code = "path_not_allowed"
    says = "Path not allowed"


class KnowledgeTreePayload(Payload):
    roots: list[str]
    tree: list[dict[str, Any]]


class KnowledgeResultsPayload(Payload):
    query: str
    results: list[dict[str, Any]]
    count: int


class KnowledgeFilePayload(Payload):
    content: str
    size: int
    modified: int
    path: str


class KnowledgeSearchQuery(Query):
    q: str | None = None
    query: str | None = None
    limit: Annotated[int, NumberRange(0)] = 50


class KnowledgeFileQuery(Query):
    path: str | None = None


async def knowledge_tree(request: Request) -> Response:
    """
    List the knowledge files of the host, of which this server has none.
    """
    return json_response(KnowledgeTreePayload(roots=[], tree=[]))


async def search_knowledge(request: Request) -> Response:
    """
    Search the knowledge files of the host, of which this server has none.
    """
    asked = query_of(request, KnowledgeSearchQuery)
    text = (asked.q or asked.query or "").strip()
    if not text:
        raise InvalidRequest("Query required")
    return json_response(KnowledgeResultsPayload(query=text, results=[], count=0))


async def knowledge_file(request: Request) -> Response:
    """
    Read a knowledge file of the host, of which this server has none.
    """
    if not query_of(request, KnowledgeFileQuery).path:
        raise InvalidRequest("Path required")
    raise KnowledgeFileDenied


ENDPOINTS: Final = [
    Endpoint(
        "GET", "/docs/tree", knowledge_tree, gives=KnowledgeTreePayload, who=VIEWER, limits=("read",), tags=("Docs",),
        operation_id="fleet_getKnowledgeTree",
    ),
    Endpoint(
        "GET", "/docs/search", search_knowledge, query=KnowledgeSearchQuery, gives=KnowledgeResultsPayload, who=VIEWER,
        limits=("read",), tags=("Docs",), operation_id="fleet_searchKnowledge",
    ),
    Endpoint(
        "GET", "/docs/content", knowledge_file, query=KnowledgeFileQuery, gives=KnowledgeFilePayload, who=VIEWER,
        refuses=(KnowledgeFileDenied,), limits=("read",), tags=("Docs",), operation_id="fleet_getKnowledgeFile",
    ),
]  # fmt: skip
