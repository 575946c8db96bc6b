"""
Operations on groups of boards, and on the heartbeat interval of their agents.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from attrs import asdict, field, frozen
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
)
from mission_core.boards.groups import create_group as make_group
from mission_core.boards.groups import delete_group as remove_group
from mission_core.boards.groups import update_group as change_group
from mission_core.boards.model import BoardDenied
from mission_core.errors import VersionMismatch
from mission_core.ids import GroupId
from mission_core.ports import Ports
from mission_core.values import ABSENT, Absent, name_key
from mission_http.boards.access import MIXED, USER, path_id, require_admin, row_not_found_first
from mission_http.boards.payloads import LimitOffsetPage, OkResponse, PageQuery, sent_fields
from mission_http.boards.responses import page_response, versioned_response
from mission_http.boards.wire import naive
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once, read_row_again
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of


@frozen(kw_only=True)
class BoardGroupRead:
    id: UUID
    organization_id: UUID
    name: str
    slug: str
    description: str | None
    created_at: datetime
    updated_at: datetime
    number: int
    version: int


@frozen(kw_only=True)
class BoardGroupCreate:
    name: str
    slug: str = ""
    description: str | None = None

    def command(self) -> CreateGroup:
        return CreateGroup(**asdict(self))


@frozen(kw_only=True)
class BoardGroupUpdate:
    name: str | Absent = ABSENT
    slug: str | Absent | None = ABSENT
    description: str | Absent | None = ABSENT

    def command(self, group: GroupId, *, expects: int | None) -> UpdateGroup:
        named = sent_fields(self)
        if "slug" in named:
            named["slug"] = named["slug"] or ""
        return UpdateGroup(group=group, expects=expects, **named)


@frozen(kw_only=True)
class BoardGroupHeartbeatApply:
    every: str
    include_board_leads: bool = False


@frozen(kw_only=True)
class BoardGroupHeartbeatApplyResult:
    board_group_id: UUID
    requested: dict[str, Any]
    updated_agent_ids: list[UUID] = field(factory=list)
    failed_agent_ids: list[UUID] = field(factory=list)


async def list_board_groups(request: Request) -> Response:
    """
    List the groups of boards, sorted by name.
    """
    principal, query = principal_of(request), query_of(request, PageQuery)
    groups = await ports_of(request).reads.entities.every(principal, GROUPS)
    groups.sort(key=lambda group: (name_key(group.name), group.number))
    return page_response(groups[query.offset : query.offset + query.limit], len(groups), query, group_from)


async def create_board_group(request: Request) -> Response:
    """
    Create a group of boards.

    A blank slug is derived from the name.
    """
    require_admin(request)
    body = await body_of(request, BoardGroupCreate)
    return versioned_response(group_from(await perform_once(request, make_group, body.command(), _again)))


async def get_board_group(request: Request) -> Response:
    """
    Read a group of boards.
    """
    return versioned_response(group_from(await group_in(request)))


async def update_board_group(request: Request) -> Response:
    """
    Change the named fields of a group.

    A slug of null or blank is derived from the name again.
    """
    principal, id = require_admin(request), GroupId(path_id(request, "group_id"))
    async with row_not_found_first(request, GROUPS, id):
        body = await body_of(request, BoardGroupUpdate)
        command = body.command(id, expects=expected_version_of(request))
        group = await change_group(ports_of(request), principal, command)
    return versioned_response(group_from(group))


async def delete_board_group(request: Request) -> Response:
    """
    Delete a group. Its boards are kept and are in no group.
    """
    principal, id = require_admin(request), GroupId(path_id(request, "group_id"))
    async with row_not_found_first(request, GROUPS, id):
        await remove_group(ports_of(request), principal, DeleteGroup(group=id, expects=expected_version_of(request)))
    return json_response({"ok": True})


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
    return json_response(
        {
            "board_group_id": str(id),
            "requested": asdict(body),
            "updated_agent_ids": [str(agent.id) for agent in found.agents],
            "failed_agent_ids": [],
        }
    )


async def group_in(request: Request) -> BoardGroup:
    """
    The group that the path names.
    """
    id = path_id(request, "group_id")
    return await ports_of(request).reads.entities.get(principal_of(request), GROUPS, id)


def group_from(group: BoardGroup) -> dict[str, Any]:
    """
    A group as `BoardGroupRead`.
    """
    return {
        "id": str(group.id),
        "organization_id": str(group.organization),
        "name": group.name,
        "slug": group.slug,
        "description": group.description,
        "created_at": naive(group.created_at),
        "updated_at": naive(group.updated_at),
        "number": group.number,
        "version": group.version,
    }


_again = read_row_again(GROUPS)
GROUP_PATH = "/board-groups/{group_id}"
GROUP_TAGS = ("board-groups",)
ENDPOINTS = [
    Endpoint(
        "GET", "/board-groups", list_board_groups, query=PageQuery, gives=LimitOffsetPage[BoardGroupRead], who=USER,
        tags=GROUP_TAGS,
    ),
    Endpoint(
        "POST", "/board-groups", create_board_group, takes=BoardGroupCreate, gives=BoardGroupRead, who=USER,
        tags=GROUP_TAGS, headers=(IDEMPOTENCY_KEY,),
    ),
    Endpoint("GET", GROUP_PATH, get_board_group, gives=BoardGroupRead, who=USER, tags=GROUP_TAGS,
    refuses=(GroupNotFound,)),
    Endpoint(
        "PATCH", GROUP_PATH, update_board_group, takes=BoardGroupUpdate, gives=BoardGroupRead, who=USER,
        tags=GROUP_TAGS,
        headers=(IF_MATCH,), refuses=(GroupNotFound, VersionMismatch),
    ),
    Endpoint(
        "DELETE", GROUP_PATH, delete_board_group, gives=OkResponse, who=USER, tags=GROUP_TAGS, headers=(IF_MATCH,),
        refuses=(GroupNotFound, VersionMismatch),
    ),
    Endpoint(
        "POST", GROUP_PATH + "/heartbeat", apply_board_group_heartbeat, takes=BoardGroupHeartbeatApply,
        gives=BoardGroupHeartbeatApplyResult, who=MIXED, tags=GROUP_TAGS, headers=(IDEMPOTENCY_KEY,),
        refuses=(GroupNotFound, BoardDenied),
    ),
]  # fmt: skip
