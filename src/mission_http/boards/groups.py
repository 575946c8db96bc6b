"""
Operations on groups of boards, and on the heartbeat interval of their agents.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from attrs import asdict
from msgspec import field
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import AgentPrincipal, Principal, Role, require_role
from mission_core.agents.heartbeat_intervals import (
    GroupAgents,
    SetHeartbeatInterval,
    group_agents,
    set_heartbeat_interval,
)
from mission_core.boards.groups import (
    GROUPS,
    BoardGroup,
    CreateGroup,
    DeleteGroup,
    GroupNotFound,
    UpdateGroup,
    create_group,
    delete_group,
    update_group,
)
from mission_core.boards.model import BoardDenied
from mission_core.ids import GroupId
from mission_core.ports import Ports
from mission_core.values import name_key
from mission_http.boards.access import MIXED, path_id, row_not_found_first
from mission_http.boards.resources import Resource
from mission_http.boards.wire import BoardsPayload
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import principal_of
from mission_http.platform.field_annotations import Body
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once
from mission_http.platform.json_responses import json_response
from mission_http.platform.shapes import Of, Payload


class BoardGroupRead(BoardsPayload[BoardGroup]):
    id: UUID
    organization_id: Annotated[UUID, Of("organization")]
    name: str
    slug: str
    description: str | None
    created_at: datetime
    updated_at: datetime
    number: int
    version: int


class BoardGroupHeartbeatApply(Body):
    every: str
    include_board_leads: bool = False


class BoardGroupHeartbeatApplyResult(Payload):
    board_group_id: UUID
    requested: dict[str, Any]
    updated_agent_ids: list[UUID] = field(default_factory=list)
    failed_agent_ids: list[UUID] = field(default_factory=list)


async def apply_board_group_heartbeat(request: Request) -> Response:
    """
    Set the heartbeat interval of the agents on a group's boards.

    It is stored with each agent, and the agent's runtime reads it there. No gateway has to be informed, so all agents
    count as updated.
    """
    id = GroupId(path_id(request, "group_id"))
    if not isinstance(principal_of(request), AgentPrincipal):
        require_role(principal_of(request), Role.ADMIN)
    async with row_not_found_first(request, GROUPS, id):
        body = await body_of(request, BoardGroupHeartbeatApply)
        command = SetHeartbeatInterval(group=id, every=body.every, leads=body.include_board_leads)

        async def again(ports: Ports, principal: Principal, _: UUID) -> GroupAgents:
            async with ports.unit(principal) as unit:
                return await group_agents(unit, principal, command)

        found = await perform_once(request, set_heartbeat_interval, command, again)
    updated: list[UUID] = [agent.id for agent in found.agents]
    return json_response(
        BoardGroupHeartbeatApplyResult(board_group_id=id, requested=asdict(body), updated_agent_ids=updated)
    )


GROUP_PATH = "/board-groups/{group_id}"
GROUP_RESOURCE: Final = Resource(
    kind=GROUPS, noun="board_group", key="group", path="/board-groups", parameter="group_id", tag="board-groups",
    gives=BoardGroupRead, order=lambda group: (name_key(group.name), group.number),
)  # fmt: skip
ENDPOINTS = [
    GROUP_RESOURCE.list("List the groups of boards, sorted by name."),
    GROUP_RESOURCE.create(
        CreateGroup, create_group, "Create a group of boards.\n\nA blank slug is derived from the name."
    ),
    GROUP_RESOURCE.read("Read a group of boards."),
    GROUP_RESOURCE.change(
        UpdateGroup, update_group,
        "Change the named fields of a group.\n\nA slug of null or blank is derived from the name again.",
    ),
    GROUP_RESOURCE.delete(DeleteGroup, delete_group, "Delete a group. Its boards are kept and are in no group."),
    Endpoint(
        "POST", GROUP_PATH + "/heartbeat", apply_board_group_heartbeat, takes=BoardGroupHeartbeatApply,
        gives=BoardGroupHeartbeatApplyResult, who=MIXED, tags=(GROUP_RESOURCE.tag,), headers=(IDEMPOTENCY_KEY,),
        refuses=(GroupNotFound, BoardDenied),
    ),
]  # fmt: skip
