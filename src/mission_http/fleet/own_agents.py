"""
The rule that an agent's own key below admin reaches its own agent only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from starlette.requests import Request

from mission_core.accounts.model import AgentPrincipal, NotYourAgent, Principal
from mission_core.agents import use_cases
from mission_core.agents.model import AgentNotFound
from mission_core.boards.model import BoardDenied
from mission_core.ids import AgentId
from mission_http.fleet.access import restricted
from mission_http.fleet.paths import agent_in
from mission_http.platform.exchange import ports_of, principal_of

if TYPE_CHECKING:
    from mission_core.agents.queries import AgentRow


@contextmanager
def own_agent_only(principal: Principal) -> Iterator[None]:
    """
    What such a key cannot find is not its own agent either.
    """
    try:
        yield
    except (AgentNotFound, BoardDenied):
        if restricted(principal):
            raise NotYourAgent from None
        raise


async def readable_agent_row(request: Request) -> AgentRow:
    """
    The agent in the path, for whoever may read it: a key without a role reads its own agent only.

    Raises:
        AgentNotFound: If there is none.
        NotYourAgent: If it is not such a key's own.
    """
    principal = principal_of(request)
    if isinstance(principal, AgentPrincipal) and principal.confined:
        return await own_agent_row(request)
    return await ports_of(request).reads.agents.get(principal, agent_in(request))


async def own_agent_row(request: Request) -> AgentRow:
    """
    The agent in the path, if the caller may reach it.

    Raises:
        AgentNotFound: If there is none.
        NotYourAgent: If it is not the caller's own.
    """
    principal = principal_of(request)
    with own_agent_only(principal):
        row = await ports_of(request).reads.agents.get(principal, agent_in(request))
        use_cases.own_agent_only(principal, AgentId(UUID(bytes=row.id)))
    return row
