"""
The working memory of an agent: a text that is replaced as a whole or appended to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import frozen

from mission_core.accounts.model import Principal, Role, require
from mission_core.agents.model import LONGEST_MEMORY, Agent, MemoryFull
from mission_core.agents.use_cases import agent_named, own_agent_only
from mission_core.errors import VersionMismatch
from mission_core.events.model import Fact
from mission_core.ids import AgentId, AgentNumber
from mission_core.use_case import use_case

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.ports import Ports


@frozen(kw_only=True)
class WriteMemory:
    """
    Replace an agent's working memory. With *append* the content is added at its end, after an empty line.
    """

    agent: AgentId | AgentNumber | str
    content: str
    append: bool = False
    expects: int | None = None


@frozen(kw_only=True)
class ClearMemory:
    """
    Empty an agent's working memory.
    """

    agent: AgentId | AgentNumber | str
    expects: int | None = None


@frozen(kw_only=True)
class MemoryWritten(Fact):
    """
    An agent's working memory was replaced or appended to. The event carries its length, not its text.
    """

    kind = "agent.memory_written"
    about = "agent"

    agent: AgentId
    name: str
    length: int
    appended: bool


@frozen(kw_only=True)
class MemoryCleared(Fact):
    """
    An agent's working memory was emptied.
    """

    kind = "agent.memory_cleared"
    about = "agent"

    agent: AgentId
    name: str


async def write_memory(ports: Ports, principal: Principal, cmd: WriteMemory) -> Agent:
    """
    Replace an agent's working memory, or append to it.

    Raises:
        AgentNotFound: If there is no such agent for this principal.
        MemoryFull: If it would exceed the maximum length.
        NotYourAgent: If an agent writes another's.
        VersionMismatch: If the caller expected another version.
    """
    require(principal, Role.OPERATOR)

    def written(agent: Agent, at: datetime) -> tuple[str, Fact]:
        known = agent.working_memory if cmd.append else ""
        whole = f"{known}\n\n{cmd.content}" if known else cmd.content
        if len(whole) > LONGEST_MEMORY:
            raise MemoryFull(len(whole))
        return whole, MemoryWritten(agent=agent.id, name=agent.name, length=len(whole), appended=cmd.append, at=at)

    return await _remembering(ports, principal, cmd, written)


async def clear_memory(ports: Ports, principal: Principal, cmd: ClearMemory) -> Agent:
    """
    Empty an agent's working memory.

    Raises:
        AgentNotFound: If there is no such agent for this principal.
        NotYourAgent: If an agent clears another's.
        VersionMismatch: If the caller expected another version.
    """
    require(principal, Role.OPERATOR)
    return await _remembering(
        ports, principal, cmd, lambda agent, at: ("", MemoryCleared(agent=agent.id, name=agent.name, at=at))
    )


@use_case
async def _remembering(
    ports: Ports,
    principal: Principal,
    cmd: WriteMemory | ClearMemory,
    change: Callable[[Agent, datetime], tuple[str, Fact]],
) -> Agent:
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        agent = await agent_named(unit, cmd.agent)
        own_agent_only(principal, agent.id)
        if cmd.expects is not None and cmd.expects != agent.version:
            raise VersionMismatch(cmd.expects, agent.version)
        memory, fact = change(agent, now)
        if memory == agent.working_memory:
            return agent
        agent, _ = agent.edit({"working_memory": memory}, at=now)
        agent = unit.agents.save(agent)
        unit.record(fact)
        unit.result(agent.id)
        await unit.commit()
    return agent
