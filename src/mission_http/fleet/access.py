"""
Authentication and authorization of the Fleet API: keys, session cookies, roles and the agent name header.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from attrs import evolve
from starlette.requests import Request

from mission_core.accounts.model import AgentPrincipal, Principal, Role
from mission_core.accounts.scopes import ScopeMissing, within_scopes
from mission_core.errors import Denied, RoleTooLow
from mission_core.values import name_key
from mission_http.fleet.errors import AdminRequired, AuthenticationRequired, OriginForeign, Unauthorized
from mission_http.platform.authentication import principal_for
from mission_http.platform.cross_site import CHANGING, SESSION_COOKIES, carries_session, foreign_origin
from mission_http.platform.endpoints import Access, Header
from mission_http.platform.exchange import endpoint_of, exchange_of
from mission_http.platform.pairs import AGENT_INSTANCE, attend
from mission_http.platform.proxied import names_somebody, person_named
from mission_http.platform.sessions import BOUND, PLAIN, SessionCookies

if TYPE_CHECKING:
    from mission_http.identities import ProxyAuth
    from mission_http.platform.endpoints import Endpoint
    from mission_http.settings import Settings

SCHEMES: Final = ("FleetSession", "FleetApiKey", "FleetBearer")
SECURITY_SCHEMES: Final = {
    "FleetSession": {
        "type": "apiKey",
        "in": "cookie",
        "name": PLAIN,
        "description": f"The session cookie that `POST /api/auth/login` sets; over https its name is `{BOUND}`.",
    },
    "FleetApiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "FleetBearer": {"type": "http", "scheme": "bearer"},
}
AGENT_NAME: Final = Header(
    "X-Agent-Name",
    "The agent that a person or the server's key acts for. An agent's own key must match it.",
)
NAMING: Final = (AGENT_NAME, AGENT_INSTANCE)
VIEWER: Final = Access("viewer", "Any signed-in user or key.", schemes=SCHEMES, headers=NAMING)
OPERATOR: Final = Access("operator", "Operators and admins.", schemes=SCHEMES, headers=NAMING)
HEARING: Final = evolve(VIEWER, description=f"{VIEWER.description} An agent's own key for itself only.")
BEATING: Final = evolve(OPERATOR, description="Operators and admins; an agent's own key for itself only.")
"""The request itself is a heartbeat, so it does not count as a sign of life a second time."""
READING_OWN: Final = evolve(HEARING, description=HEARING.description)
WRITING_OWN: Final = evolve(BEATING, description=BEATING.description)
"""The same access for requests that are no heartbeats."""
EDGE: Final = Access("edge", "Any request with a credential.", public=True)
ADMIN: Final = Access("admin", "Admins.", schemes=SCHEMES, headers=NAMING)
LISTING_USERS: Final = evolve(ADMIN, description="Admins.")
CHANGING_USERS: Final = evolve(ADMIN, description="Admins; all other callers get the same error.")
ONESELF: Final = evolve(VIEWER, description="Any signed-in user or key, for itself.")
STATUS: Final = Access(
    "viewer", "Any signed-in user or key; anyone for `action=health`.", schemes=SCHEMES
)

PUBLIC_PATHS: Final = frozenset({"/api/setup", "/api/docs", "/api/health"})
PUBLIC_BELOW: Final = "/api/auth/"

_generated: Final = re.compile(r"(?i:mca?_[0-9a-f]{48})|[A-Za-z0-9_-]{43}")
_scheme: Final = re.compile(r"(?:bearer|apikey|token)\s+(\S+)\s*", re.IGNORECASE)


def edge_of(settings: Settings) -> Callable[[Request, Endpoint | None], None]:
    """
    Return the check of every request before routing: it must not come from another site's page, and unless its path is
    public it must carry a credential.
    """
    known = settings.api_key.encode()

    def edge(request: Request, endpoint: Endpoint | None) -> None:
        proxied = names_somebody(request, settings.identities.proxy)
        change = request.method in CHANGING if endpoint is None else endpoint.is_change
        if change and (proxied or not _by_key_alone(request, endpoint)):
            origin = foreign_origin(request, settings.fronting)
            if origin is not None:
                raise OriginForeign(origin)
        if _is_public(request) or asks_for_health(request):
            return
        secret = credential_of(request)
        if proxied or any(request.cookies.get(name) for name in SESSION_COOKIES):
            return  # `authenticate` checks whether the cookie is valid
        if secret is None or not (_generated.fullmatch(secret) or compare_digest(secret.encode(), known)):
            raise Unauthorized

    return edge


def authenticator(
    cookies: SessionCookies, proxy: ProxyAuth | None = None
) -> Callable[[Request, Access], Awaitable[Principal | None]]:
    """
    Return the function that authenticates a request and requires the role of its operation.

    The principal is the user that a trusted proxy names, else the user of the session cookie, else the key's holder.
    """

    async def authenticate(request: Request, access: Access) -> Principal | None:
        if access is STATUS and asks_for_health(request):
            return None
        try:
            person = await person_named(request, proxy) or await cookies.member_in(request)
            principal = person or await _keyholder(request, access)
            if principal is None:
                raise AuthenticationRequired
            principal = within_scopes(principal, Role(access.name), endpoint_of(request).scope)
        except (AuthenticationRequired, RoleTooLow, ScopeMissing) as refusal:
            raise _in_words_of(access, refusal) from None
        await attend(request, principal, agent=label_of(request))
        return principal

    return authenticate


async def _keyholder(request: Request, access: Access) -> Principal | None:
    """
    Find the principal of the key in the request; None if it is unknown or `X-Agent-Name` names another agent.
    """
    secret = credential_of(request)
    touch = access is not HEARING and access is not BEATING
    principal = await principal_for(request, secret, touch=touch) if secret else None
    return principal if principal is not None and _under_its_own_name(request, principal) else None


def _in_words_of(access: Access, refusal: Denied) -> Denied:
    """
    Replace a refusal with `AdminRequired` for operations on users.
    """
    if access is CHANGING_USERS or (access is LISTING_USERS and isinstance(refusal, RoleTooLow | ScopeMissing)):
        return AdminRequired()
    return refusal


def _by_key_alone(request: Request, endpoint: Endpoint | None) -> bool:
    """
    Whether the request is authenticated by a key in a header alone, which no browser adds by itself.
    """
    needed = not _is_public(request) if endpoint is None else not endpoint.who.public
    return needed and credential_of(request) is not None and not carries_session(request)


def _is_public(request: Request) -> bool:
    path = exchange_of(request).path
    return path in PUBLIC_PATHS or path.startswith(PUBLIC_BELOW)


def credential_of(request: Request) -> str | None:
    """
    Return the key in the request: `x-api-key`, else `Authorization` as Bearer, ApiKey or Token.
    """
    headers = request.headers
    key = headers.get("x-api-key", "").strip()
    if key:
        return key
    found = _scheme.fullmatch(headers.get("authorization", "").strip())
    return found[1] if found else None


def asks_for_health(request: Request) -> bool:
    """
    Whether the request is for `/api/status?action=health`, which is public.
    """
    return exchange_of(request).path == "/api/status" and request.query_params.get("action") == "health"


def label_of(request: Request) -> str | None:
    """
    Return the agent name in `X-Agent-Name`, if it is set.
    """
    sent = request.headers.get("x-agent-name", "").strip()
    try:
        return sent.encode("latin-1").decode() or None
    except UnicodeDecodeError:
        return sent or None


def restricted(principal: Principal) -> bool:
    """
    Whether the principal is an agent below admin, which may only access itself and its own tasks.
    """
    return isinstance(principal, AgentPrincipal) and principal.role is not Role.ADMIN


def _under_its_own_name(request: Request, principal: Principal) -> bool:
    label = label_of(request)
    return label is None or not restricted(principal) or name_key(label) == name_key(principal.name)
