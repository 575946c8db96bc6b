"""
The rule that an agent's key below admin may only access its own agent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from starlette.requests import Request

from mission_core.accounts.model import AgentPrincipal, KeyOfAnotherAgent, Principal
from mission_core.agents import use_cases
from mission_core.agents.model import AgentNotFound
from mission_core.boards.model import BoardDenied
from mission_core.ids import AgentId
from mission_http.fleet.access import is_restricted_agent
from mission_http.fleet.path_parameters import agent_in
from mission_http.platform.exchange import ports_of, principal_of

if TYPE_CHECKING:
    from mission_core.agents.queries import AgentRow


@contextmanager
def own_agent_only(principal: Principal) -> Iterator[None]:
    """
    Context manager that turns "not found" into `KeyOfAnotherAgent` for an agent's key below admin.
    """
    try:
        yield
    except (AgentNotFound, BoardDenied):
        if is_restricted_agent(principal):
            raise KeyOfAnotherAgent from None
        raise


async def readable_agent_row(request: Request) -> AgentRow:
    """
    Read the agent in the path. A key without a role may only read its own agent.

    Raises:
        AgentNotFound: If there is no such agent.
        KeyOfAnotherAgent: If the key has no role and belongs to another agent.
    """
    principal = principal_of(request)
    if isinstance(principal, AgentPrincipal) and principal.confined:
        return await own_agent_row(request)
    return await ports_of(request).reads.agents.get(principal, agent_in(request))


async def own_agent_row(request: Request) -> AgentRow:
    """
    Read the agent in the path. An agent's key below admin may only access its own agent.

    Raises:
        AgentNotFound: If there is no such agent.
        KeyOfAnotherAgent: If the key belongs to another agent.
    """
    principal = principal_of(request)
    with own_agent_only(principal):
        row = await ports_of(request).reads.agents.get(principal, agent_in(request))
        use_cases.require_own_agent(principal, AgentId(UUID(bytes=row.id)))
    return row
