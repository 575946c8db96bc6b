"""
From a secret in a request to the principal it stands for.
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
    Who this secret stands for, if it is live. With *touch* a request of an agent counts as a sign of life, now and
    then.
    """
    ports = ports_of(request)
    now = ports.clock.now()
    principal = await ports.credentials.principal_of(digest_of(secret), at=now)
    if touch and isinstance(principal, AgentPrincipal) and due_for_touch(principal, at=now):
        await hear_agent(ports, principal, HearAgent(agent=principal.agent))
    return principal


async def caller_of(request: Request, secret: str, *, touch: bool = True) -> Principal | None:
    """
    Who a bearer token stands for: a credential of this server, or a JWT of an issuer, if there is one.

    A credential that is known goes before a token. Only a stored one that looks like a JWT is looked up after it, so
    that people with tokens cost no query more.

    Raises:
        TokenRefused: If it is a JWT that says nothing that could be believed.
        NotLetIn: If it speaks of somebody who may not act.
        ClientNotLetIn: If it speaks of nobody, but of a client.
        KeysUnavailable: If it cannot be checked.
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
    Say what is wrong with a bearer token that nobody knows, where an issuer vouches for people.

    Raises:
        TokenRefused: With the reason.
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
