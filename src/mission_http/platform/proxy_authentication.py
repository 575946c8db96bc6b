"""
Proxy authentication: a trusted proxy names the user of a request in a header.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mission_http.platform.exchange import exchange_of, ports_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from mission_core.accounts.model import MemberPrincipal
    from mission_http.identity_provider_settings import ProxyAuthSettings

logger = logging.getLogger("mission_http")


def is_user_named_by_proxy(request: Request, proxy: ProxyAuthSettings) -> bool:
    """
    Whether a trusted proxy names the user of the request. The header is ignored if another peer sends it.
    """
    return proxy.header in request.headers and proxy.believes(exchange_of(request).peer)


async def member_named_by_proxy(request: Request, proxy: ProxyAuthSettings) -> MemberPrincipal | None:
    """
    The member that a trusted proxy names, if it names one and they are admitted.
    """
    if not is_user_named_by_proxy(request, proxy):
        return None
    from mission_core.accounts.proxy_authentication import ProxyUser, ProxyUserRefused, authenticate_proxy_user

    exchange, said = exchange_of(request), request.headers.getlist(proxy.header)
    name = _decoded(said[0])
    try:
        if len(said) > 1 or "," in name:
            # A proxy that adds its header to one that a client sent would let the client choose.
            raise ProxyUserRefused(
                name[:200], f"{proxy.header} names several people; the proxy must replace the header"
            )
        return await authenticate_proxy_user(ports_of(request), ProxyUser(username=name, role=proxy.default_role))
    except ProxyUserRefused as refusal:
        logger.warning(
            "proxy_user_refused request=%s peer=%s reason=%r", exchange.request_id, exchange.peer, str(refusal)
        )
        return None


def _decoded(value: str) -> str:
    try:
        return value.encode("latin-1").decode()
    except UnicodeDecodeError:
        return value
