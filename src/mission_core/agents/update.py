"""
Use case that changes an agent.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from attrs import asdict, evolve

from mission_core.accounts.model import Principal, Role, require_no_agent_below_admin, require_own_agent, require_role
from mission_core.agents.model import Agent, AgentNameTaken, AgentRenamed, MainAgentProtected, checked_agent_name
from mission_core.agents.use_cases import require_agent_board
from mission_core.boards.assignments import BOARD_ASSIGNMENTS, AlreadyAssigned
from mission_core.entity_changes import require_version
from mission_core.errors import StaleWrite
from mission_core.ids import AgentId, AgentNumber, BoardId
from mission_core.lazy_attrs import frozen
from mission_core.use_case import use_case
from mission_core.values import ABSENT, Absent, JsonText, canonical, checked_object

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork


@frozen(kw_only=True)
class UpdateAgent:
    """
    Change the named fields of an agent. An absent field stays as it is; None is a value.

    A new *name* is also written to the agent's tasks. A *status* counts as a heartbeat, an *activity* alone does not.
    *over_config* is merged into the configuration. With *own*, an agent key below admin may change its own agent only.
    """

    agent: AgentId | AgentNumber | str
    own: bool = False
    expects: int | None = None
    name: str | Absent = ABSENT
    status: str | Absent = ABSENT
    activity: str | Absent | None = ABSENT
    role: str | Absent = ABSENT
    board: BoardId | Absent | None = ABSENT
    lead: bool | Absent = ABSENT
    config: JsonText | Absent = ABSENT
    over_config: JsonText | Absent = ABSENT
    session_key: str | Absent | None = ABSENT
    soul: str | Absent | None = ABSENT
    working_memory: str | Absent = ABSENT
    runtime_type: str | Absent | None = ABSENT
    workspace_path: str | Absent | None = ABSENT
    hidden: bool | Absent = ABSENT
    heartbeat_config: JsonText | Absent | None = ABSENT
    identity_profile: JsonText | Absent | None = ABSENT
    identity_template: str | Absent | None = ABSENT


SPECIAL_FIELDS: Final = frozenset({"agent", "own", "expects", "status", "activity", "over_config"})
"""Fields of the command that are not simply written to the agent."""


@use_case
async def update_agent(ports: Ports, principal: Principal, cmd: UpdateAgent) -> Agent:
    """
    Change the named fields of an agent.

    Raises:
        AgentNotFound: If there is no such agent for this principal.
        AgentNameTaken: If another agent has the new name.
        BoardNotFound: If it moves to a board that does not exist for this principal.
        BoardDenied: If the principal may not write on the new board, or may not have agents without a board.
        KeyOfAnotherAgent: If *own* is set and an agent key below admin names another agent.
        RoleTooLow: If an agent makes an agent a lead, or renames one.
        SessionKeyTaken: If another agent has the session key.
        VersionMismatch: If the caller expected another version.
    """
    require_role(principal, Role.OPERATOR)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        before = await unit.agents.get(cmd.agent)
        if cmd.own:
            require_own_agent(principal, before.id)
        require_version(before, cmd.expects)
        after, updated = before.edit(_changes_of(before, cmd), at=now)
        if updated.changed:
            await _check_change(unit, principal, before, after)
            await _rename_assignments(unit, before, after)
            after = unit.agents.save(after)
            unit.record(updated)
        else:
            after = before
        if after.name != before.name:
            unit.record(AgentRenamed(agent=after.id, was=before.name, name=after.name, at=now))
        if not isinstance(cmd.status, Absent):
            after, changed = after.after_heartbeat(at=now, status=cmd.status)
            unit.record(*([changed] if changed else []))
        if not isinstance(cmd.activity, Absent):
            after = after.with_activity(cmd.activity)
        if after.presence != before.presence:
            unit.agents.save_presence(after)
        elif after == before:
            return before
        unit.result(after.id)
        try:
            await unit.commit()
        except AlreadyAssigned:
            raise StaleWrite("agent", after.id) from None  # a concurrent request assigned the new name
    return after


def _changes_of(agent: Agent, cmd: UpdateAgent) -> dict[str, Any]:
    given = asdict(cmd, recurse=False)
    changes = {name: value for name, value in given.items() if name not in SPECIAL_FIELDS and value is not ABSENT}
    if not isinstance(cmd.over_config, Absent):
        beneath, over = changes.get("config", agent.config), checked_object("over_config", cmd.over_config)
        changes["config"] = canonical(json.loads(beneath) | json.loads(over))
    return changes


async def _check_change(unit: UnitOfWork, principal: Principal, before: Agent, after: Agent) -> None:
    """
    Raises:
        AgentNameTaken: If another agent has its new name.
        BoardDenied: If the principal may not have agents on its new board.
        MainAgentProtected: If the built-in main agent would move to a board.
        RoleTooLow: If an agent makes an agent a lead, or renames one.
    """
    require_agent_board(principal, after.board)
    if (after.lead and not before.lead) or after.name != before.name:
        require_no_agent_below_admin(principal)
    if after.name_key != before.name_key:
        checked_agent_name(after.name)
        namesake = await unit.agents.find(after.name)
        if namesake is not None:
            raise AgentNameTaken(namesake.board)
    if after.board is not None and after.board != before.board:
        if before.main:
            raise MainAgentProtected
        unit.rely_on(await unit.boards.get(after.board))


async def _rename_assignments(unit: UnitOfWork, before: Agent, after: Agent) -> None:
    """
    Rename the board assignments of an agent that has a new name. On a board where the new name is assigned already, the
    old assignment is removed.
    """
    if after.name == before.name:
        return
    staff = unit.without_grants.repository(BOARD_ASSIGNMENTS)
    known = {each.board for each in await staff.every(name_key=after.name_key)}
    for each in await staff.every(name_key=before.name_key):
        if before.name_key != after.name_key and each.board in known:
            staff.remove(each)
        else:
            staff.save(evolve(each, agent_name=after.name, name_key=after.name_key))
