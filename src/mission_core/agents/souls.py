"""
Use case that writes an agent's soul: the text that describes its role and character.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import field
from attrs.validators import optional

from mission_core.accounts.model import Principal, Role, require_own_agent, require_role
from mission_core.agents.model import Agent, AgentNotFound
from mission_core.entity_changes import require_version
from mission_core.events.model import Event
from mission_core.ids import AgentId, AgentNumber, BoardId
from mission_core.lazy_attrs import frozen
from mission_core.use_case import use_case
from mission_core.values import text

if TYPE_CHECKING:
    from mission_core.ports import Ports


@frozen(kw_only=True)
class WriteSoul:
    """
    Replace an agent's soul. *reason* and *source* say why and from where, *template* is the name of the template it was
    made from. With *own*, an agent key below admin may write its own agent's soul only.
    """

    agent: AgentId | AgentNumber | str
    own: bool = False
    board: BoardId | None = None
    content: str
    template: str | None = None
    reason: str | None = None
    source: str | None = None
    expects: int | None = None


@frozen(kw_only=True, eq=False, repr=False)
class SoulWritten(Event):
    """
    An agent's soul was replaced. The event carries the new and the old length, not the text.
    """

    kind = "agent.soul_written"

    agent: AgentId
    name: str
    length: int
    was_length: int = 0
    template: str | None = None
    reason: str | None = field(default=None, validator=optional(text(most=2000)))
    source: str | None = field(default=None, validator=optional(text(most=2000)))


@use_case
async def write_soul(ports: Ports, principal: Principal, cmd: WriteSoul) -> Agent:
    """
    Replace an agent's soul. If the text is the same, nothing is written or logged.

    Raises:
        AgentNotFound: If there is no such agent (on that board) for this principal.
        InvalidField: If the soul is too long or cannot be stored.
        KeyOfAnotherAgent: If *own* is set and an agent key below admin names another agent.
        VersionMismatch: If the caller expected another version.
    """
    require_role(principal, Role.OPERATOR)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        before = await unit.agents.get(cmd.agent)
        if cmd.board is not None and before.board != cmd.board:
            raise AgentNotFound
        if cmd.own:
            require_own_agent(principal, before.id)
        require_version(before, cmd.expects)
        agent, updated = before.edit({"soul": cmd.content}, at=now)
        if not updated.changed:
            return before
        agent = unit.agents.save(agent)
        unit.record(
            SoulWritten.of(
                agent, length=len(cmd.content), was_length=len(before.soul or ""), template=cmd.template,
                reason=cmd.reason, source=cmd.source, at=now,
            )
        )  # fmt: skip
        unit.result(agent.id)
        await unit.commit()
    return agent
