"""
The endpoints that serve the OpenAPI document and the documentation page with its files.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from attrs import field
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from mission_core.lazy_attrs import define
from mission_core.rate_limits import Quota
from mission_http.platform.docs_page import CONTENT_SECURITY_POLICY, FILES, content_of, is_current, render_docs_page
from mission_http.platform.endpoints import Dialect, Endpoint
from mission_http.platform.exchange import dialect_of, endpoint_of, exchange_of
from mission_http.platform.json_responses import JsonResponse
from mission_http.platform.rate_limits import DEFAULT_QUOTAS


@define(eq=False)
class OpenApiDocuments:
    """
    The OpenAPI documents of an application, encoded on first use.
    """

    dialects: tuple[Dialect, ...]
    quotas: Mapping[str, Quota] = DEFAULT_QUOTAS
    _encoded: dict[tuple[Dialect | None, str], bytes] = field(factory=dict, init=False)

    def encoded(self, only: Dialect | None = None, *, server: str = "/") -> bytes:
        """
        The OpenAPI document as JSON: of all dialects, or of one only; *server* is the base URL it names.
        """
        if (only, server) not in self._encoded:
            from mission_http.platform.openapi import document_of  # most servers are never asked for it

            document = document_of(self.dialects, only, self.quotas, server=server)
            self._encoded[only, server] = msgspec.json.encode(document)
        return self._encoded[only, server]


async def whole_document(request: Request) -> Response:
    """
    Return the OpenAPI 3.1 document of both APIs.
    """
    documents: OpenApiDocuments = request.scope["app"].documents
    return JsonResponse(documents.encoded(server=_server_of(request)))


async def own_document(request: Request) -> Response:
    """
    Return the OpenAPI 3.1 document of this API.
    """
    documents: OpenApiDocuments = request.scope["app"].documents
    return JsonResponse(documents.encoded(dialect_of(request), server=_server_of(request)))


def _server_of(request: Request) -> str:
    return request.scope["app"].network.base_url or exchange_of(request).mount or "/"


async def docs_page(request: Request) -> Response:
    """
    Return the API documentation as an HTML page.
    """
    documents: OpenApiDocuments = request.scope["app"].documents
    page = render_docs_page(documents.dialects[0].openapi_metadata.title)
    return HTMLResponse(page, headers={"content-security-policy": CONTENT_SECURITY_POLICY, "cache-control": "no-cache"})


async def docs_file(request: Request) -> Response:
    """
    Return a file that the documentation page loads.
    """
    file = FILES[endpoint_of(request).path]
    content, tag = content_of(file)
    headers = {"cache-control": file.cache_control, "etag": tag}
    if is_current(tag, request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=file.media_type, headers=headers)


async def front(request: Request) -> Response:
    """
    Redirect `/` to the documentation page.
    """
    return RedirectResponse(f"{exchange_of(request).mount}/docs")


FRONT = Endpoint("GET", "/", front, rooted=True, listed=False)
"""What `/` does in an application without a page."""
DOCUMENT_ENDPOINTS = (
    Endpoint("GET", "/openapi.json", whole_document, rooted=True, listed=False),
    Endpoint("GET", "/docs", docs_page, rooted=True, listed=False),
    *(Endpoint("GET", path, docs_file, rooted=True, listed=False) for path in FILES),
)
