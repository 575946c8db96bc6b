"""
The activity of an organization, and the comments on its tasks, newest first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import AgentPrincipal, SystemPrincipal
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.ids import AgentId, BoardId, TaskId
from mission_core.projections import Projection
from mission_core.reports.activity_feed import FeedFilter, FeedRow
from mission_core.tasks.comments import COMMENTS
from mission_core.values import moment
from mission_http.boards.access import MIXED, USER
from mission_http.boards.agents import visible_board
from mission_http.boards.payloads import LimitOffsetPage, PageQuery
from mission_http.boards.responses import page_response, wanted_page
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Payload

if TYPE_CHECKING:
    from mission_core.ids import OrganizationId
    from mission_core.ports import Ports
    from mission_core.tasks.comments import Comment

TASK_ACTIVITIES: Final = {
    "task.created": "task.created",
    "task.updated": "task.updated",
    "task.assigned": "task.updated",
    "task.dependency_toggled": "task.updated",
    "task.moved": "task.status_changed",
    "task.claimed": "task.status_changed",
    "task.commented": "task.comment",
}
"""The type of an activity about a task, by the kind of the entry."""
AGENT_ACTIVITIES: Final = {
    "agent.created": ("agent.provision.direct", "Provisiond directly for {name}."),  # as clients know it
    "agent.updated": ("agent.update.direct", "Updated directly for {name}."),
    "agent.soul_written": ("agent.soul.updated", "SOUL.md updated for {name}."),
    "agent.deleted": ("agent.delete.direct", "Deleted agent {name}."),
}
"""The type and the text of an activity about an agent, by the kind of the entry."""
SHOWN_KINDS: Final = (*TASK_ACTIVITIES, *AGENT_ACTIVITIES)


class ActivityEventRead(Payload):
    id: UUID
    event_type: str
    message: str | None
    agent_id: UUID | None
    task_id: UUID | None
    board_id: UUID | None
    route_name: str
    route_params: dict[str, str]
    created_at: datetime


class ActivityTaskCommentFeedItemRead(Payload):
    id: UUID
    created_at: datetime
    message: str | None
    agent_id: UUID | None
    agent_name: str | None
    agent_role: str | None
    task_id: UUID
    task_title: str
    board_id: UUID
    board_name: str


class TaskNames(NamedTuple):
    """
    The names of a task and its board.
    """

    id: UUID
    title: str
    board: BoardId
    board_name: str


TASK_NAMES: Final = Projection(
    render=lambda row: TaskNames(UUID(bytes=row.id), row.title, BoardId(UUID(bytes=row.board)), row.board_name),
    fields=frozenset({"id", "title", "board", "board_name"}),
)


class TaskCommentFeedQuery(PageQuery):
    board_id: UUID | None = None


def task_message(type: str, status: object, title: str, comment: Comment | None) -> str:
    """
    The text of an activity about a task.
    """
    if comment is not None:
        return comment.content
    if type == "task.created":
        return f"Task created: {title}."
    if type == "task.status_changed":
        return f"Task moved to {status or 'in_progress'}: {title}."
    return f"Task updated: {title}."


async def comments_by_id(
    ports: Ports, organization: OrganizationId, payloads: Collection[Mapping[str, Any]]
) -> dict[str, Comment]:
    """
    The comments that payloads of entries name and that still exist, by their ids as text.
    """
    ids = {UUID(told["comment"]) for told in payloads if told.get("comment")}
    if not ids:
        return {}
    found = await ports.reads.entities.several(SystemPrincipal(organization=organization), COMMENTS, ids)
    return {str(each.id): each for each in found}


async def comment_items(
    ports: Ports, organization: OrganizationId, comments: Collection[Comment], tasks: Mapping[UUID, TaskNames]
) -> dict[UUID, ActivityTaskCommentFeedItemRead]:
    """
    The comments with the names of their tasks, boards and agents, by their ids.
    """
    speakers = {AgentId(each.author_id) for each in comments if each.author_kind == "agent" and each.author_id}
    rows = await ports.reads.agents.several(SystemPrincipal(organization=organization), speakers) if speakers else []
    agents = {UUID(bytes=row.id): row for row in rows}
    items = dict[UUID, ActivityTaskCommentFeedItemRead]()
    for each in comments:
        by_agent, task = each.author_kind == "agent", tasks.get(each.task)
        if task is None:
            continue
        agent = agents.get(each.author_id) if by_agent and each.author_id else None
        profile = msgspec.json.decode(agent.identity_profile) if agent and agent.identity_profile else None
        items[each.id] = ActivityTaskCommentFeedItemRead(
            id=each.id, created_at=each.created_at.replace(tzinfo=None), message=each.content,
            agent_id=each.author_id if by_agent else None,
            agent_name=agent.name if agent is not None else each.author if by_agent else None,
            agent_role=profile.get("role") if isinstance(profile, dict) else None,
            task_id=each.task, task_title=task.title, board_id=task.board, board_name=task.board_name,
        )  # fmt: skip
    return items


async def list_activity(request: Request) -> Response:
    """
    List the activity of the organization, newest first.

    A person sees what concerns the boards that they may see, an agent what it did itself.
    """
    query, ports, principal = query_of(request, PageQuery), ports_of(request), principal_of(request)
    by = principal.agent if isinstance(principal, AgentPrincipal) else None
    found = await ports.reads.activity_feed.page(principal, FeedFilter(kinds=SHOWN_KINDS, by=by), wanted_page(query))
    payloads = [_told(row) for row in found.rows]
    comments = await comments_by_id(ports, principal.organization, payloads)
    items = [
        _activity(row, told, comments.get(told.get("comment", "")))
        for row, told in zip(found.rows, payloads, strict=True)
    ]
    return page_response(items, found.total, query)


async def list_task_comment_feed(request: Request) -> Response:
    """
    List the comments on tasks, newest first, with the names of their tasks, boards and agents.

    With `board_id`, only those on one board.
    """
    query, ports, principal = query_of(request, TaskCommentFeedQuery), ports_of(request), principal_of(request)
    board = await visible_board(request, query.board_id)
    wanted = FeedFilter(kinds=("task.commented",), board=board)
    found = await ports.reads.activity_feed.page(principal, wanted, wanted_page(query))
    own = principal.organization
    comments = await comments_by_id(ports, own, [_told(row) for row in found.rows])
    ids = {TaskId(each.task) for each in comments.values()}
    named = await ports.reads.tasks.several(SystemPrincipal(organization=own), ids, TASK_NAMES) if ids else []
    items = await comment_items(ports, own, comments.values(), {each.id: each for each in named})
    wanted_ids = [UUID(told["comment"]) for row in found.rows if (told := _told(row)).get("comment")]
    return page_response([items[id] for id in wanted_ids if id in items], found.total, query)


def _told(row: FeedRow) -> Mapping[str, Any]:
    told: Mapping[str, Any] = {} if row.payload is None else msgspec.json.decode(row.payload)
    return told


def _activity(row: FeedRow, told: Mapping[str, Any], comment: Comment | None) -> ActivityEventRead:
    subject = UUID(bytes=row.subject)
    acting = UUID(bytes=row.actor_id) if row.actor_kind == "agent" and row.actor_id else None
    place = row.task_board or row.agent_board
    board = UUID(bytes=place) if place else UUID(told["board"]) if told.get("board") else None
    if row.kind in TASK_ACTIVITIES:
        type, task, agent = TASK_ACTIVITIES[row.kind], subject, acting
        message = task_message(type, told.get("status"), row.task_title or told.get("title") or "a task", comment)
    else:
        type, text = AGENT_ACTIVITIES[row.kind]
        task, agent = None, None if row.kind == "agent.deleted" else subject
        message = text.format(name=row.agent_name or told.get("name"))
    id, at = UUID(bytes=row.digest[:16]) if comment is None else comment.id, moment(row.at).replace(tzinfo=None)
    route, params = _route(type, board, task, id, at)
    return ActivityEventRead(
        id=id, event_type=type, message=message, agent_id=agent, task_id=task, board_id=board, route_name=route,
        route_params=params, created_at=at,
    )  # fmt: skip


def _route(type: str, board: UUID | None, task: UUID | None, id: UUID, at: datetime) -> tuple[str, dict[str, str]]:
    """
    The page of the web client that shows an activity, and its parameters.
    """
    if board is None:
        params = {"eventId": str(id), "eventType": type, "createdAt": at.isoformat()}
        return "activity", params | ({"taskId": str(task)} if task else {})
    params = {"boardId": str(board)} | ({"taskId": str(task)} if task else {})
    return "board", params | ({"commentId": str(id)} if type == "task.comment" else {})


ENDPOINTS: Final = [
    Endpoint(
        "GET", "/activity", list_activity, query=PageQuery, gives=LimitOffsetPage[ActivityEventRead], who=MIXED,
        tags=("activity",),
    ),
    Endpoint(
        "GET", "/activity/task-comments", list_task_comment_feed, query=TaskCommentFeedQuery,
        gives=LimitOffsetPage[ActivityTaskCommentFeedItemRead], who=USER, tags=("activity",),
        refuses=(BoardNotFound, BoardDenied),
    ),
]  # fmt: skip
