"""
The counters of agents: by board, visibility and role.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mission_core.events.counters import NO_ID, Counters

if TYPE_CHECKING:
    from mission_core.agents.model import Agent
    from mission_core.events.counters import Amounts, CountedChanges

AGENTS: Final = "agents"
"""The name of changed agents in `CountedChanges.entities`."""


def _agent_count(agent: Agent, _: CountedChanges) -> Amounts:
    board = NO_ID if agent.board is None else agent.board.bytes
    return (((board, int(agent.hidden), agent.role), 1),)


AGENT_COUNTS: Final = Counters(
    "agent_counts", {"board": bytes, "hidden": int, "role": str}, of_entity=(AGENTS, _agent_count)
)
"""The numbers of agents; `hidden` is 1 for hidden ones, and `board` is `NO_ID` for those without a board."""
