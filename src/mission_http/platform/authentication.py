"""
From a secret in a request to the principal it stands for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_core.accounts.model import AgentPrincipal
from mission_core.agents.use_cases import HearAgent, digest_of, due_for_touch, hear_agent
from mission_core.ports import perform
from mission_http.platform.exchange import ports_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from mission_core.accounts.model import Principal


async def principal_for(request: Request, secret: str, *, touch: bool = True) -> Principal | None:
    """
    Who this secret stands for, if it is live. With *touch* a request of an agent counts as a sign of life, now and
    then.
    """
    ports = ports_of(request)
    now = ports.clock.now()
    principal = await ports.credentials.principal_of(digest_of(secret), at=now)
    if touch and isinstance(principal, AgentPrincipal) and due_for_touch(principal, at=now):
        await perform(hear_agent, ports, principal, HearAgent(agent=principal.agent))
    return principal
