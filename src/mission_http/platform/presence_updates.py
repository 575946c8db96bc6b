"""
Presence updates: a request of an agent also records that the agent is alive.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from attrs import field

from mission_core.errors import Refusal, StoreFailed
from mission_core.lazy_attrs import define

if TYPE_CHECKING:
    from mission_core.accounts.model import AgentPrincipal
    from mission_core.ids import AgentId
    from mission_core.ports import Ports

logger = logging.getLogger("mission_http")

MAX_WAIT: Final = 0.5
"""The seconds that a request waits for its presence update, so that a blocked database does not hold up reads."""


@define(eq=False)
class PresenceUpdates:
    """
    The presence updates that are under way, at most one for each agent.
    """

    running: dict[AgentId, asyncio.Task[None]] = field(factory=dict)

    async def record(self, ports: Ports, principal: AgentPrincipal) -> None:
        """
        Record that the agent is alive, unless an update of it is under way. Return when that is done, or after
        `MAX_WAIT`. A failure is logged and does not fail the request.
        """
        if principal.agent in self.running:
            return
        task = asyncio.get_running_loop().create_task(_record(ports, principal))
        self.running[principal.agent] = task
        task.add_done_callback(lambda _: self.running.pop(principal.agent))
        await asyncio.wait([task], timeout=MAX_WAIT)

    async def finish(self) -> None:
        """
        Wait up to `MAX_WAIT` for the updates under way. Cancel the others, and wait up to `MAX_WAIT` for their end.
        """
        if self.running:
            _, late = await asyncio.wait(self.running.values(), timeout=MAX_WAIT)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=MAX_WAIT)


async def _record(ports: Ports, principal: AgentPrincipal) -> None:
    from mission_core.agents.use_cases import RecordAgentHeartbeat, record_agent_heartbeat  # not at the start

    try:
        await record_agent_heartbeat(ports, principal, RecordAgentHeartbeat(agent=principal.agent))
    except Refusal as refusal:
        reason = refusal.reason if isinstance(refusal, StoreFailed) else refusal
        logger.warning(
            "presence_not_recorded agent=%r error=%s reason=%r", principal.name, type(refusal).__name__, str(reason)
        )
    except Exception:  # the request may have ended, so nobody but the log can be told
        logger.exception("presence_not_recorded agent=%r", principal.name)
