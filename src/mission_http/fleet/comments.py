"""
Operations on comments of tasks, mention targets and broadcasts to the followers of a task.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.key_scopes import MESSAGES, SELF
from mission_core.accounts.model import Principal
from mission_core.errors import KeyReused
from mission_core.ids import CommentId, CommentNumber, TaskId
from mission_core.ports import Ports
from mission_core.tasks.broadcasts import BroadcastResult, BroadcastTask, broadcast_task, repeat_broadcast
from mission_core.tasks.comment_creation import AddComment, add_comment, mentionable_by_handle
from mission_core.tasks.comments import COMMENTS, Comment, CommentNotFound
from mission_core.tasks.mentions import Mentionable, MentionStyle, UnknownMentions, search_mentionable
from mission_core.tasks.model import NotYourTask, TaskNotFound
from mission_core.tasks.task_access import check_own_task
from mission_core.values import ABSENT, Absent
from mission_http.fleet.access import OPERATOR, VIEWER
from mission_http.fleet.errors import InvalidRequest
from mission_http.fleet.path_parameters import task_in
from mission_http.fleet.responses import task_reference
from mission_http.fleet.runtime_output import readable_output
from mission_http.fleet.wire import WORKSPACE_NUMBER, FleetPayload, UnixSeconds, unset_if_none
from mission_http.platform.bodies import body_of, object_body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body, CustomCheck, Length, Query, SchemaOverride
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once, read_row_again
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Fixed, Given, Of, Payload

_digits: Final = re.compile(r"\s*(-?\d{1,9})", re.ASCII)
_encode = msgspec.json.Encoder().encode


class CommentBody(Body):
    """
    A new comment. *author* is accepted for old clients and ignored: the author is the caller.
    """

    content: Annotated[str, Length(1, says="Comment content is required")]
    parent_id: int | Absent | None = ABSENT
    author: str | Absent = ABSENT


class CommentPayload(FleetPayload[Comment]):
    id: Annotated[int, Of("number")]
    task_id: Annotated[int, Given()]
    author: str
    content: str
    created_at: UnixSeconds
    parent_id: Annotated[int | None, Given()]
    mentions: list[str]
    workspace_id: Annotated[int, Fixed(WORKSPACE_NUMBER)]
    replies: Annotated[list[CommentPayload], Given()]


class CommentListPayload(Payload):
    comments: list[CommentPayload]
    total: int


class MadeCommentPayload(Payload):
    comment: CommentPayload
    auto_assigned_to: str | UnsetType = UNSET


def mention_limit(value: str) -> int:
    """
    Parse the number that a text begins with, clamped to 1 to 200; 25 if there is none.
    """
    found = _digits.match(value)
    return min(max(int(found[1]), 1), 200) if found else 25


class MentionQuery(Query):
    q: str = ""
    type: Literal["user", "agent"] | None = None
    limit: Annotated[
        Any,
        CustomCheck(mention_limit),
        SchemaOverride({"type": "integer", "minimum": 1, "maximum": 200, "default": 25}),
    ] = 25


class CalleePayload(FleetPayload[Mentionable]):
    handle: str
    recipient: str
    type: Annotated[Literal["user", "agent"], Of("kind")]
    display: str
    role: Annotated[str | UnsetType, Of("role", unset_if_none)] = UNSET


class CalleeListPayload(Payload):
    mentions: list[CalleePayload]
    total: int
    q: str


class BroadcastBody(Body):
    """
    The request body as documented. The handler validates it itself, with the original API's error texts.
    """

    message: Annotated[str, Length(1)]
    agents: list[str] | Absent = ABSENT


class BroadcastPayload(FleetPayload[BroadcastResult]):
    sent: Annotated[int, Of("sent", len)]
    skipped: Annotated[int, Of("skipped", len)]
    delivered_to: Annotated[list[str], Of("sent")]


async def list_comments(request: Request) -> Response:
    """
    List a task's comments, oldest first, each with its replies.
    """
    row = await task_reference(request, task_in(request))
    check_own_task(principal_of(request), row.assignee)
    reads = ports_of(request).reads.entities
    found = await reads.every(principal_of(request), COMMENTS, task=TaskId(UUID(bytes=row.id)))
    return json_response({"comments": msgspec.Raw(threads_json(found, task=row.number)), "total": len(found)})


def threads_json(comments: Iterable[Comment], *, task: int) -> bytes:
    """
    Encode comments, sorted oldest first, as a JSON array of threads. No recursion limits the depth of a thread.
    """
    numbers: dict[CommentId | None, int] = {}
    replies: dict[CommentId | None, list[Comment]] = defaultdict(list)
    for comment in comments:
        replies[comment.parent if comment.parent in numbers else None].append(comment)
        numbers[comment.id] = comment.number
    pieces = [b"["]
    ahead = [iter(replies[None])]
    while ahead:
        reply = next(ahead[-1], None)
        if reply is None:
            ahead.pop()
            pieces.append(b"]}" if ahead else b"]")
            continue
        if not pieces[-1].endswith(b"["):
            pieces.append(b",")
        shown = CommentPayload.of(reply, task_id=task, parent_id=numbers.get(reply.parent), replies=[])
        pieces.append(_encode(shown)[: -len(b"]}")])
        ahead.append(iter(replies[reply.id]))
    return b"".join(pieces)


async def say(request: Request) -> Response:
    """
    Add a comment to a task, or a reply to a comment.

    Every `@handle` must belong to a user or an agent. An unassigned task is assigned to the first agent that is
    mentioned. JSON output of an agent runtime is converted to text.
    """
    task = task_in(request)
    body = await body_of(request, CommentBody)
    parent = CommentNumber(body.parent_id) if isinstance(body.parent_id, int) else None
    command = AddComment(
        task=task,
        own=True,
        content=readable_output(body.content),
        parent=parent,
        mention_style=MentionStyle.HANDLES,
        assign_first_mention=True,
    )
    comment = await perform_once(request, add_comment, command, _comment_again)
    number = task if isinstance(task, int) else (await task_reference(request, task)).number
    shown = CommentPayload.of(comment, task_id=number, parent_id=parent, replies=[])
    answer = MadeCommentPayload(comment=shown, auto_assigned_to=unset_if_none(comment.assigned))
    return json_response(answer, 201)


_comment_again = read_row_again(COMMENTS)


async def list_callees(request: Request) -> Response:
    """
    List the users and agents that can be mentioned in comments and descriptions, by name.
    """
    query = query_of(request, MentionQuery)
    wanted = query.q.strip().lower()
    known = await mentionable_by_handle(ports_of(request), principal_of(request))
    found = search_mentionable(known, wanted, kind=query.type)[: query.limit]
    return json_response(
        CalleeListPayload(mentions=[CalleePayload.of(each) for each in found], total=len(found), q=wanted)
    )


async def broadcast(request: Request) -> Response:
    """
    Send a message to all agents that follow a task, or to the given ones.

    Agents that this server cannot reach are skipped.
    """
    task, body = task_in(request), await object_body_of(request)
    message, named = body.get("message"), body.get("agents")
    if not isinstance(message, str) or not message.strip():
        raise InvalidRequest("Message is required")
    if named is not None and not (isinstance(named, list) and all(isinstance(each, str) for each in named)):
        raise InvalidRequest("agents must be a list of names")
    command = BroadcastTask(task=task, own=True, message=message, to=None if named is None else tuple(named))

    async def again(ports: Ports, principal: Principal, _: UUID) -> BroadcastResult:
        return await repeat_broadcast(ports, principal, command)

    told = await perform_once(request, broadcast_task, command, again)
    return json_response(BroadcastPayload.of(told))


ENDPOINTS = [
    Endpoint(
        "GET", "/tasks/{id}/comments", list_comments, gives=CommentListPayload, who=VIEWER,
        refuses=(TaskNotFound, NotYourTask), scope=SELF, operation_id="fleet_listTaskComments",
    ),
    Endpoint(
        "POST", "/tasks/{id}/comments", say, takes=CommentBody, gives=MadeCommentPayload, status=201, who=OPERATOR,
        headers=(IDEMPOTENCY_KEY,), refuses=(TaskNotFound, NotYourTask, CommentNotFound, UnknownMentions, KeyReused),
        limits=("mutation",), scope=SELF, operation_id="fleet_addTaskComment",
    ),
    Endpoint(
        "GET", "/mentions", list_callees, query=MentionQuery, gives=CalleeListPayload, who=VIEWER,
        operation_id="fleet_getMentionTargets",
    ),
    Endpoint(
        "POST", "/tasks/{id}/broadcast", broadcast, takes=BroadcastBody, gives=BroadcastPayload, who=OPERATOR,
        headers=(IDEMPOTENCY_KEY,), refuses=(TaskNotFound, NotYourTask, KeyReused),
        scope=MESSAGES, operation_id="fleet_broadcastTask",
    ),
]  # fmt: skip
