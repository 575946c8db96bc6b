"""
The gateways of an organization: the built-in local gateway, to which all boards and agents belong. No other can be
connected.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.organizations import Organization
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.ids import BoardId
from mission_http.boards.access import USER, path_id, require_admin
from mission_http.boards.errors import NamedNotFound, PayloadRuleBroken
from mission_http.boards.payloads import LimitOffsetPage, PageQuery
from mission_http.boards.responses import page_response
from mission_http.boards.wire import naive
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of

NAME: Final = "Built-in"
URL: Final = "local://built-in"
WORKSPACES: Final = "/"
NOT_CONNECTED: Final = "no live gateway is connected; agents fetch their work from this server"


@frozen(kw_only=True)
class GatewayRead:
    id: UUID
    organization_id: UUID
    name: str
    url: str
    workspace_root: str
    allow_insecure_tls: bool
    disable_device_pairing: bool
    token: str | None
    created_at: datetime
    updated_at: datetime


@frozen(kw_only=True)
class GatewayStatusQuery:
    """
    The board whose gateway is meant, or the address of a gateway. The other parameters say how to connect to that
    address.
    """

    board_id: UUID | None = None
    gateway_url: str | None = None
    gateway_token: str | None = None
    gateway_disable_device_pairing: bool | None = None
    gateway_allow_insecure_tls: bool | None = None


@frozen(kw_only=True)
class GatewaysStatusResponse:
    connected: bool
    gateway_url: str
    sessions_count: int | None
    sessions: list[Any] | None
    main_session: Any
    main_session_error: str | None
    error: str | None


async def list_gateways(request: Request) -> Response:
    """
    List the organization's gateways: the built-in one.
    """
    gateway = await _built_in(request)
    query = query_of(request, PageQuery)
    page = [gateway][query.offset : query.offset + query.limit]
    return page_response(page, 1, query, dict)


async def get_gateway(request: Request) -> Response:
    """
    Read a gateway.
    """
    gateway = await _built_in(request)
    if path_id(request, "gateway_id") != gateway["id"]:
        raise NamedNotFound("Gateway")
    return json_response(gateway)


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
    return json_response(
        {
            "connected": False, "gateway_url": url or URL, "sessions_count": None, "sessions": None,
            "main_session": None, "main_session_error": None, "error": NOT_CONNECTED,
        }
    )  # fmt: skip


async def _built_in(request: Request) -> dict[str, Any]:
    organization: Organization = await ports_of(request).reads.organization(require_admin(request))
    return {
        "id": organization.gateway, "organization_id": organization.id, "name": NAME, "url": URL,
        "workspace_root": WORKSPACES, "allow_insecure_tls": False, "disable_device_pairing": False, "token": None,
        "created_at": naive(organization.created_at), "updated_at": naive(organization.created_at),
    }  # fmt: skip


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
