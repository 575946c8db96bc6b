"""
Authentication and authorization of the Fleet API: keys, session cookies, roles and the agent name header.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from attrs import evolve
from starlette.requests import Request

from mission_core.accounts.key_scopes import ScopeMissing, require_role_or_scope
from mission_core.accounts.model import AgentPrincipal, Principal, Role
from mission_core.errors import Denied, RoleTooLow
from mission_core.values import name_key
from mission_http.fleet.errors import AdminRequired, AuthenticationRequired, CredentialMissing, OriginMismatch
from mission_http.platform.authentication import principal_of_credential
from mission_http.platform.cross_site_requests import (
    CHANGING_METHODS,
    SESSION_COOKIES,
    foreign_origin,
    has_session_cookie,
)
from mission_http.platform.endpoints import EndpointAccess, RequestHeader
from mission_http.platform.exchange import SCOPE_KEY, endpoint_of, exchange_of
from mission_http.platform.implicit_leases import AGENT_INSTANCE, renew_leases_for_request
from mission_http.platform.proxy_authentication import is_user_named_by_proxy, member_named_by_proxy
from mission_http.platform.session_cookies import HOST_COOKIE, PLAIN_COOKIE, SessionCookies

if TYPE_CHECKING:
    from mission_http.identity_provider_settings import ProxyAuthSettings
    from mission_http.platform.endpoints import Endpoint
    from mission_http.settings import Settings

SCHEMES: Final = ("FleetSession", "FleetApiKey", "FleetBearer")
SECURITY_SCHEMES: Final = {
    "FleetSession": {
        "type": "apiKey",
        "in": "cookie",
        "name": PLAIN_COOKIE,
        "description": f"The session cookie that `POST /api/auth/login` sets; over https its name is `{HOST_COOKIE}`.",
    },
    "FleetApiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "FleetBearer": {"type": "http", "scheme": "bearer"},
}
AGENT_NAME_HEADER: Final = RequestHeader(
    "X-Agent-Name",
    "The agent that a person or the server's key acts for. An agent's own key must match it.",
)
AGENT_HEADERS: Final = (AGENT_NAME_HEADER, AGENT_INSTANCE)
VIEWER: Final = EndpointAccess("viewer", "Any signed-in user or key.", schemes=SCHEMES, headers=AGENT_HEADERS)
OPERATOR: Final = EndpointAccess("operator", "Operators and admins.", schemes=SCHEMES, headers=AGENT_HEADERS)
HEARTBEAT_VIEWER: Final = evolve(VIEWER, description=f"{VIEWER.description} An agent's own key for itself only.")
HEARTBEAT_OPERATOR: Final = evolve(OPERATOR, description="Operators and admins; an agent's own key for itself only.")
"""The request itself is a heartbeat, so it does not count as a sign of life a second time."""
OWN_AGENT_VIEWER: Final = evolve(HEARTBEAT_VIEWER, description=HEARTBEAT_VIEWER.description)
OWN_AGENT_OPERATOR: Final = evolve(HEARTBEAT_OPERATOR, description=HEARTBEAT_OPERATOR.description)
"""The same access for requests that are no heartbeats."""
ANY_CREDENTIAL: Final = EndpointAccess("edge", "Any request with a credential.", public=True)
ADMIN: Final = EndpointAccess("admin", "Admins.", schemes=SCHEMES, headers=AGENT_HEADERS)
USER_LIST_ADMIN: Final = evolve(ADMIN, description="Admins.")
USER_CHANGE_ADMIN: Final = evolve(ADMIN, description="Admins; all other callers get the same error.")
OWN_ACCOUNT: Final = evolve(VIEWER, description="Any signed-in user or key, for itself.")
STATUS_VIEWER: Final = EndpointAccess(
    "viewer", "Any signed-in user or key; anyone for `action=health`.", schemes=SCHEMES
)

PUBLIC_PATHS: Final = frozenset({"/api/setup", "/api/docs", "/api/health"})
PUBLIC_BELOW: Final = "/api/auth/"
HEALTH_PATH: Final = "/api/status"
ROLES: Final = {role.value: role for role in Role}

_generated: Final = re.compile(r"(?i:mca?_[0-9a-f]{48})|[A-Za-z0-9_-]{43}")
_scheme: Final = re.compile(r"(?:bearer|apikey|token)\s+(\S+)\s*", re.IGNORECASE)


def credential_precheck(settings: Settings) -> Callable[[Request, Endpoint | None], None]:
    """
    Return the check of every request before routing: it must not come from another site's page, and unless its path is
    public it must carry a credential.
    """
    known, proxy = settings.api_key.encode(), settings.identity_providers.proxy

    def edge(request: Request, endpoint: Endpoint | None) -> None:
        proxied = proxy is not None and is_user_named_by_proxy(request, proxy)
        change = request.method in CHANGING_METHODS if endpoint is None else endpoint.is_change
        if change and (proxied or not _authenticated_by_key_only(request, endpoint)):
            origin = foreign_origin(request, settings.network)
            if origin is not None:
                raise OriginMismatch(origin)
        path = exchange_of(request).path
        if _is_public(path) or (path == HEALTH_PATH and _asks_for_health(request)):
            return
        secret = credential_of(request)
        if secret is not None and (_generated.fullmatch(secret) or compare_digest(secret.encode(), known)):
            return
        # `authenticate` checks whether the cookie is valid.
        if not proxied and not any(request.cookies.get(name) for name in SESSION_COOKIES):
            raise CredentialMissing

    return edge


def authenticator(
    cookies: SessionCookies, proxy: ProxyAuthSettings | None = None
) -> Callable[[Request, EndpointAccess], Awaitable[Principal | None]]:
    """
    Return the function that authenticates a request and requires the role of its operation.

    The principal is the user that a trusted proxy names, else the user of the session cookie, else the key's holder.
    """

    async def authenticate(request: Request, access: EndpointAccess) -> Principal | None:
        if access is STATUS_VIEWER and _asks_for_health(request):
            return None
        try:
            person = None if proxy is None else await member_named_by_proxy(request, proxy)
            principal = person or await cookies.member_in(request) or await _principal_from_key(request, access)
            if principal is None:
                raise AuthenticationRequired
            principal = require_role_or_scope(principal, ROLES[access.name], endpoint_of(request).scope)
        except (AuthenticationRequired, RoleTooLow, ScopeMissing) as refusal:
            raise _refusal_for(access, refusal) from None
        if access is not HEARTBEAT_VIEWER and access is not HEARTBEAT_OPERATOR:  # a heartbeat first counts its usage
            await renew_leases_for_request(request, principal, agent=agent_name_header_of(request))
        return principal

    return authenticate


async def _principal_from_key(request: Request, access: EndpointAccess) -> Principal | None:
    """
    Find the principal of the key in the request; None if it is unknown or `X-Agent-Name` names another agent.
    """
    secret = credential_of(request)
    touch = access is not HEARTBEAT_VIEWER and access is not HEARTBEAT_OPERATOR
    principal = await principal_of_credential(request, secret, touch=touch) if secret else None
    return principal if principal is not None and _name_header_matches(request, principal) else None


def _refusal_for(access: EndpointAccess, refusal: Denied) -> Denied:
    """
    Replace a refusal with `AdminRequired` for operations on users.
    """
    if access is USER_CHANGE_ADMIN or (access is USER_LIST_ADMIN and isinstance(refusal, RoleTooLow | ScopeMissing)):
        return AdminRequired()
    return refusal


def _authenticated_by_key_only(request: Request, endpoint: Endpoint | None) -> bool:
    """
    Whether the request is authenticated by a key in a header alone, which no browser adds by itself.
    """
    needed = not _is_public(exchange_of(request).path) if endpoint is None else not endpoint.who.public
    return needed and credential_of(request) is not None and not has_session_cookie(request)


def _is_public(path: str) -> bool:
    return path in PUBLIC_PATHS or path.startswith(PUBLIC_BELOW)


def credential_of(request: Request) -> str | None:
    """
    Return the key in the request: `x-api-key`, else `Authorization` as Bearer, ApiKey or Token.
    """
    headers: Mapping[bytes, bytes] = request.scope[SCOPE_KEY].headers
    key = headers.get(b"x-api-key", b"").decode("latin-1").strip()
    if key:
        return key
    found = _scheme.fullmatch(headers.get(b"authorization", b"").decode("latin-1").strip())
    return found[1] if found else None


def _asks_for_health(request: Request) -> bool:
    """
    Whether a request to `HEALTH_PATH` has `action=health`, which is public.
    """
    return request.query_params.get("action") == "health"


def agent_name_header_of(request: Request) -> str | None:
    """
    Return the agent name in `X-Agent-Name`, if it is set.
    """
    value: bytes | None = request.scope[SCOPE_KEY].headers.get(b"x-agent-name")
    if value is None:
        return None
    sent = value.decode("latin-1").strip()
    try:
        return sent.encode("latin-1").decode() or None
    except UnicodeDecodeError:
        return sent


def is_restricted_agent(principal: Principal) -> bool:
    """
    Whether the principal is an agent below admin, which may only access itself and its own tasks.
    """
    return isinstance(principal, AgentPrincipal) and principal.role is not Role.ADMIN


def _name_header_matches(request: Request, principal: Principal) -> bool:
    label = agent_name_header_of(request) if is_restricted_agent(principal) else None
    return label is None or name_key(label) == name_key(principal.name)
