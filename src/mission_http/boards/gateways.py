"""
The gateways of an organization: the built-in local gateway, to which all boards and agents belong. No other can be
connected.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.organizations import Organization
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.ids import BoardId
from mission_http.boards.access import USER, path_id, require_admin
from mission_http.boards.errors import NamedNotFound, PayloadRuleBroken
from mission_http.boards.payloads import LimitOffsetPage, PageQuery
from mission_http.boards.responses import page_response
from mission_http.boards.wire import BoardsPayload
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of
from mission_http.platform.field_annotations import Query
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Fixed, Of

URL: Final = "local://built-in"


class GatewayRead(BoardsPayload[Organization]):
    id: Annotated[UUID, Of("gateway")]
    organization_id: Annotated[UUID, Of("id")]
    name: Annotated[str, Fixed("Built-in")]
    url: Annotated[str, Fixed(URL)]
    workspace_root: Annotated[str, Fixed("/")]
    allow_insecure_tls: Annotated[bool, Fixed(False)]
    disable_device_pairing: Annotated[bool, Fixed(False)]
    token: Annotated[str | None, Fixed(None)]
    created_at: datetime
    updated_at: Annotated[datetime, Of("created_at")]


class GatewayStatusQuery(Query):
    """
    The board whose gateway is meant, or the address of a gateway. The other parameters say how to connect to that
    address.
    """

    board_id: UUID | None = None
    gateway_url: str | None = None
    gateway_token: str | None = None
    gateway_disable_device_pairing: bool | None = None
    gateway_allow_insecure_tls: bool | None = None


class GatewaysStatusResponse(BoardsPayload[str]):
    connected: Annotated[bool, Fixed(False)]
    gateway_url: Annotated[str, Of()]
    sessions_count: Annotated[int | None, Fixed(None)]
    sessions: Annotated[list[Any] | None, Fixed(None)]
    main_session: Annotated[Any, Fixed(None)]
    main_session_error: Annotated[str | None, Fixed(None)]
    error: Annotated[str | None, Fixed("no live gateway is connected; agents fetch their work from this server")]


async def list_gateways(request: Request) -> Response:
    """
    List the organization's gateways: the built-in one.
    """
    organization = await _organization(request)
    query = query_of(request, PageQuery)
    page = [organization][query.offset : query.offset + query.limit]
    return page_response(page, 1, query, GatewayRead.of)


async def get_gateway(request: Request) -> Response:
    """
    Read a gateway.
    """
    organization = await _organization(request)
    if path_id(request, "gateway_id") != organization.gateway:
        raise NamedNotFound("Gateway")
    return json_response(GatewayRead.of(organization))


async def gateways_status(request: Request) -> Response:
    """
    Tell whether a board's gateway, or the one at an address, is connected.

    No gateway is ever connected: agents fetch their work from this server, and it does not connect to the address.
    """
    principal = require_admin(request)
    query = query_of(request, GatewayStatusQuery)
    url = (query.gateway_url or "").strip()
    if not url:
        if query.board_id is None:
            raise PayloadRuleBroken("board_id or gateway_url is required")
        try:
            await ports_of(request).reads.boards.check(principal, BoardId(query.board_id))
        except BoardNotFound:
            raise NamedNotFound("Board") from None
    return json_response(GatewaysStatusResponse.of(url or URL))


async def _organization(request: Request) -> Organization:
    return await ports_of(request).reads.organization(require_admin(request))


ENDPOINTS = [
    Endpoint(
        "GET", "/gateways/status", gateways_status, query=GatewayStatusQuery, gives=GatewaysStatusResponse, who=USER,
        tags=("gateways",), refuses=(NamedNotFound, BoardDenied),
    ),
    Endpoint(
        "GET", "/gateways", list_gateways, query=PageQuery, gives=LimitOffsetPage[GatewayRead], who=USER,
        tags=("gateways",),
    ),
    Endpoint(
        "GET", "/gateways/{gateway_id}", get_gateway, gives=GatewayRead, who=USER, tags=("gateways",),
        refuses=(NamedNotFound,),
    ),
]  # fmt: skip
