"""
The working memory of an agent: a text that is replaced as a whole or appended to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mission_core.accounts.model import Principal, Role, require_own_agent, require_role
from mission_core.agents.model import MAX_WORKING_MEMORY_LENGTH, Agent, WorkingMemoryFull
from mission_core.entity_changes import require_version
from mission_core.events.model import Event
from mission_core.ids import AgentId, AgentNumber
from mission_core.lazy_attrs import frozen
from mission_core.use_case import use_case

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.ports import Ports


@frozen(kw_only=True)
class WriteWorkingMemory:
    """
    Replace an agent's working memory. With *append* the content is added at its end, after an empty line.
    """

    agent: AgentId | AgentNumber | str
    content: str
    append: bool = False
    expects: int | None = None


@frozen(kw_only=True)
class ClearWorkingMemory:
    """
    Empty an agent's working memory.
    """

    agent: AgentId | AgentNumber | str
    expects: int | None = None


@frozen(kw_only=True, eq=False, repr=False)
class WorkingMemoryWritten(Event):
    """
    An agent's working memory was replaced or appended to. The event carries its length, not its text.
    """

    kind = "agent.memory_written"

    agent: AgentId
    name: str
    length: int
    appended: bool


@frozen(kw_only=True, eq=False, repr=False)
class WorkingMemoryCleared(Event):
    """
    An agent's working memory was emptied.
    """

    kind = "agent.memory_cleared"

    agent: AgentId
    name: str


async def write_working_memory(ports: Ports, principal: Principal, cmd: WriteWorkingMemory) -> Agent:
    """
    Replace an agent's working memory, or append to it.

    Raises:
        AgentNotFound: If there is no such agent for this principal.
        WorkingMemoryFull: If it would exceed the maximum length.
        KeyOfAnotherAgent: If an agent writes another's.
        VersionMismatch: If the caller expected another version.
    """
    require_role(principal, Role.OPERATOR)

    def written(agent: Agent, at: datetime) -> tuple[str, Event]:
        known = agent.working_memory if cmd.append else ""
        whole = f"{known}\n\n{cmd.content}" if known else cmd.content
        if len(whole) > MAX_WORKING_MEMORY_LENGTH:
            raise WorkingMemoryFull(len(whole))
        return whole, WorkingMemoryWritten.of(agent, length=len(whole), appended=cmd.append, at=at)

    return await _change_working_memory(ports, principal, cmd, written)


async def clear_working_memory(ports: Ports, principal: Principal, cmd: ClearWorkingMemory) -> Agent:
    """
    Empty an agent's working memory.

    Raises:
        AgentNotFound: If there is no such agent for this principal.
        KeyOfAnotherAgent: If an agent clears another's.
        VersionMismatch: If the caller expected another version.
    """
    require_role(principal, Role.OPERATOR)
    return await _change_working_memory(
        ports, principal, cmd, lambda agent, at: ("", WorkingMemoryCleared.of(agent, at=at))
    )


@use_case
async def _change_working_memory(
    ports: Ports,
    principal: Principal,
    cmd: WriteWorkingMemory | ClearWorkingMemory,
    change: Callable[[Agent, datetime], tuple[str, Event]],
) -> Agent:
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        agent = await unit.agents.get(cmd.agent)
        require_own_agent(principal, agent.id)
        require_version(agent, cmd.expects)
        memory, fact = change(agent, now)
        if memory == agent.working_memory:
            return agent
        agent, _ = agent.edit({"working_memory": memory}, at=now)
        agent = unit.agents.save(agent)
        unit.record(fact)
        unit.result(agent.id)
        await unit.commit()
    return agent
