"""
Authentication of requests: find the principal of a credential or bearer token.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mission_core.accounts.model import AgentPrincipal
from mission_core.accounts.recognizing import ClientNotLetIn
from mission_core.accounts.users import Provider
from mission_core.accounts.vouching import KeysUnavailable, TokenRefused, vouched
from mission_core.agents.use_cases import HearAgent, digest_of, due_for_touch, hear_agent
from mission_core.agents.welcoming import NotLetIn, recognized
from mission_http.platform.exchange import exchange_of, ports_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from mission_core.accounts.model import Principal
    from mission_core.errors import Denied

logger = logging.getLogger("mission_http")


async def principal_for(request: Request, secret: str, *, touch: bool = True) -> Principal | None:
    """
    Find the principal of a credential of this server; None if the credential is unknown or no longer valid.

    With *touch*, a request of an agent also records that the agent is alive, at most once in a while.
    """
    ports = ports_of(request)
    now = ports.clock.now()
    principal = await ports.credentials.principal_of(digest_of(secret), at=now)
    if touch and isinstance(principal, AgentPrincipal) and due_for_touch(principal, at=now):
        await hear_agent(ports, principal, HearAgent(agent=principal.agent))
    return principal


async def caller_of(request: Request, secret: str, *, touch: bool = True) -> Principal | None:
    """
    Find the principal of a bearer token: a credential of this server or, where an issuer is configured, a JWT.

    The operator's own secrets are compared first. Any other token that looks like a JWT is verified first and looked up
    among the stored credentials only if it is refused, so a valid JWT costs no extra query.

    Raises:
        TokenRefused: If the JWT is not valid.
        NotLetIn: If the JWT is valid, but its user may not act here.
        ClientNotLetIn: If the JWT belongs to a client instead of a user, and clients are not admitted.
        KeysUnavailable: If the keys of the issuer cannot be fetched.
    """
    ports = ports_of(request)
    verifier = ports.verifiers.get(Provider.OIDC)
    if verifier is None or secret.count(".") != 2:
        return await principal_for(request, secret, touch=touch)
    if ports.credentials.is_operators(digest_of(secret)):
        found = await principal_for(request, secret, touch=touch)
        if found is not None:
            return found
    try:
        person = vouched(await verifier.claims_of(secret), Provider.OIDC)
        return await recognized(ports, person, clients=verifier.clients)
    except (TokenRefused, KeysUnavailable) as refusal:
        found = await principal_for(request, secret, touch=touch)
        if found is None:
            _log(request, refusal)
            raise
        return found
    except (NotLetIn, ClientNotLetIn) as refusal:
        _log(request, refusal)
        raise


async def check_token(request: Request, secret: str) -> None:
    """
    Verify an unknown bearer token against the configured issuer, so that the caller learns why it is refused.

    Raises:
        TokenRefused: If the token is not valid, with the reason.
    """
    verifier = ports_of(request).verifiers.get(Provider.OIDC)
    if verifier is not None and secret:
        try:
            await verifier.claims_of(secret)
        except TokenRefused as refusal:
            _log(request, refusal)
            raise


def _log(request: Request, refusal: Denied | KeysUnavailable) -> None:
    told = refusal.logged if isinstance(refusal, TokenRefused) else f"reason={str(refusal)!r}"
    exchange = exchange_of(request)
    logger.warning("token_refused request=%s client=%s %s", exchange.request_id, exchange.client, told)
