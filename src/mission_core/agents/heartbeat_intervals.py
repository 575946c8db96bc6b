"""
The heartbeat interval of agents, set for all agents of a board group at once.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from mission_core.accounts.model import AgentPrincipal, Principal, Role, may_write_board, require_role
from mission_core.agents.model import Agent
from mission_core.boards.groups import GROUPS, BoardGroup
from mission_core.boards.model import BoardDenied, require_grant
from mission_core.ids import GroupId
from mission_core.lazy_attrs import frozen
from mission_core.use_case import use_case
from mission_core.values import canonical, checked_text

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork

DEFAULT_HEARTBEAT_CONFIG: Final[dict[str, Any]] = {"every": "10m", "target": "last", "includeReasoning": False}
"""The heartbeat configuration of an agent that was given none."""


@frozen(kw_only=True)
class SetHeartbeatInterval:
    """
    Set the heartbeat interval of the agents on a group's boards. With *leads* it is set for the boards' leads too.
    """

    group: GroupId
    every: str
    leads: bool = False


@frozen
class GroupAgents:
    """
    A board group and the agents for which the interval was set, ordered by number.
    """

    group: BoardGroup
    agents: tuple[Agent, ...]


@use_case
async def set_heartbeat_interval(ports: Ports, principal: Principal, cmd: SetHeartbeatInterval) -> GroupAgents:
    """
    Set the heartbeat interval of a group's agents. The other keys of their heartbeat configuration stay, except that
    `target` becomes `last`.

    Raises:
        GroupNotFound: If this organization has none.
        RoleTooLow: If the principal is neither an admin nor an agent.
        BoardDenied: If it is an agent that leads no board of the group, or may write on none of them.
        InvalidField: If *every* is too long or cannot be stored.
    """
    if not isinstance(principal, AgentPrincipal):
        require_role(principal, Role.ADMIN)
    now, every = ports.clock.now(), checked_text("every", cmd.every, most=100)
    async with ports.unit(principal) as unit:
        found = await group_agents(unit, principal, cmd)
        agents: list[Agent] = []
        for agent in found.agents:
            known = json.loads(agent.heartbeat_config) if agent.heartbeat_config else {}
            config = canonical({**DEFAULT_HEARTBEAT_CONFIG, **known, "every": every, "target": "last"})
            after, updated = agent.edit({"heartbeat_config": config}, at=now)
            if updated.changed:
                agent = unit.without_grants.agents.save(after)  # a lead's group reaches beyond its board
                unit.record(updated)
            agents.append(agent)
        unit.result(found.group.id)
        await unit.commit()
    return GroupAgents(found.group, tuple(agents))


async def group_agents(unit: UnitOfWork, principal: Principal, cmd: SetHeartbeatInterval) -> GroupAgents:
    """
    Read the group and the agents that the command applies to.

    Raises:
        GroupNotFound: If this organization has none.
        BoardDenied: If the principal is an agent that leads no board of the group, or may write on none of them.
    """
    group = await unit.without_grants.repository(GROUPS).get(cmd.group)
    boards = tuple(board.id for board in await unit.boards.of_group(group.id))
    if isinstance(principal, AgentPrincipal):
        if not (principal.lead and principal.board in boards):
            raise BoardDenied
    else:
        require_grant(principal, *boards)
        boards = tuple(each for each in boards if may_write_board(principal, each))
    agents = await unit.agents.of_boards(boards)
    return GroupAgents(group, tuple(agent for agent in agents if cmd.leads or not agent.lead))
