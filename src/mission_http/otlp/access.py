"""
Authentication of the OpenTelemetry receiver: an agent's key, or the API key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mission_core.accounts.key_scopes import require_role_or_scope
from mission_core.accounts.model import Principal, Role
from mission_http.otlp.errors import CredentialRefused
from mission_http.platform.authentication import principal_of_bearer_token, principal_of_credential
from mission_http.platform.endpoints import EndpointAccess
from mission_http.platform.exchange import endpoint_of
from mission_http.platform.implicit_leases import renew_leases_for_request

if TYPE_CHECKING:
    from starlette.requests import Request

KEY_HEADERS: Final = ("x-agent-token", "x-api-key")
SECURITY_SCHEMES: Final = {
    "OtlpBearer": {"type": "http", "scheme": "bearer"},
    "OtlpApiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "OtlpAgentToken": {"type": "apiKey", "in": "header", "name": "x-agent-token"},
}
EXPORTER: Final = EndpointAccess(
    "operator", "Operators and admins; an agent's own key for itself.", schemes=tuple(SECURITY_SCHEMES)
)


async def authenticate(request: Request, access: EndpointAccess) -> Principal:
    """
    Return the principal of the key in the request, with the role that the operation needs.

    Raises:
        CredentialRefused: If there is no key, or an unknown one.
        RoleTooLow: If the principal may not write.
        ScopeMissing: If the agent's key has neither a role nor the operation's scope.
    """
    principal: Principal | None = None
    key = next((found for name in KEY_HEADERS if (found := request.headers.get(name, "").strip())), "")
    scheme, _, token = request.headers.get("authorization", "").strip().partition(" ")
    if key:
        principal = await principal_of_credential(request, key)
    elif scheme.lower() == "bearer" and token.strip():
        principal = await principal_of_bearer_token(request, token.strip())
    if principal is None:
        raise CredentialRefused
    principal = require_role_or_scope(principal, Role(access.name), endpoint_of(request).scope)
    await renew_leases_for_request(request, principal)
    return principal
