"""
From a secret in a request to the principal it stands for.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mission_core.accounts.model import AgentPrincipal
from mission_core.accounts.users import Provider
from mission_core.accounts.vouching import KeysUnavailable, TokenRefused, vouched
from mission_core.agents.use_cases import HearAgent, digest_of, due_for_touch, hear_agent
from mission_core.agents.welcoming import NotLetIn, recognized
from mission_http.platform.exchange import exchange_of, ports_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from mission_core.accounts.model import MemberPrincipal, Principal

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


async def vouched_for(request: Request, secret: str) -> MemberPrincipal | None:
    """
    For whom an issuer vouches by this token; None if there is no issuer, or this is no token of one.

    Raises:
        TokenRefused: If the token says nothing that could be believed.
        NotLetIn: If it speaks of somebody who may not act.
        KeysUnavailable: If it cannot be checked.
    """
    ports, exchange = ports_of(request), exchange_of(request)
    verifier = ports.verifiers.get(Provider.OIDC)
    if verifier is None or secret.count(".") != 2:
        return None
    try:
        return await recognized(ports, vouched(await verifier.claims_of(secret), Provider.OIDC))
    except (TokenRefused, NotLetIn, KeysUnavailable) as refusal:
        logger.warning("request %s: a token from %s: %s", exchange.request_id, exchange.client, refusal)
        raise
