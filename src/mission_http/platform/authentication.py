"""
Authentication of requests: find the principal of a credential or bearer token.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from attrs import evolve

from mission_core.accounts.identity_claims import SigningKeysUnavailable, TokenRefused, identity_from_claims
from mission_core.accounts.model import AgentPrincipal, presence_update_due, secret_digest
from mission_core.accounts.user_provisioning import ClientCredentialsRefused
from mission_core.accounts.users import IdentityProvider
from mission_core.agents.member_provisioning import UserNotApproved, provisioned_member
from mission_http.platform.exchange import exchange_of, ports_of
from mission_http.platform.presence_updates import PresenceUpdates

if TYPE_CHECKING:
    from starlette.requests import Request

    from mission_core.accounts.model import Principal
    from mission_core.errors import Denied

logger = logging.getLogger("mission_http")


async def principal_of_credential(request: Request, secret: str, *, touch: bool = True) -> Principal | None:
    """
    Find the principal of a credential of this server; None if the credential is unknown or no longer valid.

    With *touch*, a request of an agent also records that the agent is alive, at most once in a while.
    """
    ports = ports_of(request)
    now = ports.clock.now()
    principal = await ports.credentials.principal_of(secret_digest(secret), at=now)
    if touch and isinstance(principal, AgentPrincipal) and presence_update_due(principal, at=now):
        updates: PresenceUpdates = request.scope["app"].presence_updates
        await updates.record(ports, principal)
    return principal


async def principal_of_bearer_token(request: Request, secret: str, *, touch: bool = True) -> Principal | None:
    """
    Find the principal of a bearer token: a credential of this server or, where an issuer is configured, a JWT.

    The operator's own secrets are compared first. Any other token that looks like a JWT is verified first and looked up
    among the stored credentials only if it is refused, so a valid JWT costs no extra query.

    Raises:
        TokenRefused: If the JWT is not valid.
        UserNotApproved: If the JWT is valid, but its user may not act here.
        ClientCredentialsRefused: If the JWT belongs to a client instead of a user, and clients are not admitted.
        SigningKeysUnavailable: If the keys of the issuer cannot be fetched.
    """
    ports = ports_of(request)
    verifier = ports.verifiers.get(IdentityProvider.OIDC)
    if verifier is None or secret.count(".") != 2:
        return await principal_of_credential(request, secret, touch=touch)
    if ports.credentials.is_operator_secret(secret_digest(secret)):
        found = await principal_of_credential(request, secret, touch=touch)
        if found is not None:
            return found
    try:
        claims = await verifier.claims_of(secret)
        person = identity_from_claims(claims, IdentityProvider.OIDC)
        member = await provisioned_member(ports, person, clients=verifier.accepts_clients)
        return evolve(member, expires_at=datetime.fromtimestamp(claims["exp"], UTC))
    except (TokenRefused, SigningKeysUnavailable) as refusal:
        found = await principal_of_credential(request, secret, touch=touch)
        if found is None:
            _log_refused_token(request, refusal)
            raise
        return found
    except (UserNotApproved, ClientCredentialsRefused) as refusal:
        _log_refused_token(request, refusal)
        raise


async def check_bearer_token(request: Request, secret: str) -> None:
    """
    Verify an unknown bearer token against the configured issuer, so that the caller learns why it is refused.

    Raises:
        TokenRefused: If the token is not valid, with the reason.
    """
    verifier = ports_of(request).verifiers.get(IdentityProvider.OIDC)
    if verifier is not None and secret:
        try:
            await verifier.claims_of(secret)
        except TokenRefused as refusal:
            _log_refused_token(request, refusal)
            raise


def _log_refused_token(request: Request, refusal: Denied | SigningKeysUnavailable) -> None:
    told = refusal.logged if isinstance(refusal, TokenRefused) else f"reason={str(refusal)!r}"
    exchange = exchange_of(request)
    logger.warning("token_refused request=%s client=%s %s", exchange.request_id, exchange.client, told)
