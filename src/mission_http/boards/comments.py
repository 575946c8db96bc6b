"""
Operations on the comments of a task, for users (`/boards/{board_id}/tasks`) and for agents (`/agent/boards/…`).
"""

from __future__ import annotations

from typing import cast

from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response

from mission_core.boards.model import BoardDenied
from mission_core.ids import CommentId, TaskId
from mission_core.tasks.comment_creation import AddComment, LeadCommentDenied, add_comment
from mission_core.tasks.comments import COMMENTS, CommentNotFound
from mission_core.tasks.model import TaskNotFound
from mission_http.boards.access import MIXED, BoardPath
from mission_http.boards.agent_hints import agent_endpoint, agent_hints
from mission_http.boards.payloads import LimitOffsetPage, NumberedPageQuery, TaskCommentCreate, TaskCommentRead
from mission_http.boards.responses import listed_response, wanted_page
from mission_http.boards.tasks import TASKS
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once, read_row_again
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of


async def list_task_comments(request: Request) -> Response:
    """
    List the comments on a task, oldest first.
    """
    async with BoardPath.of(request) as place:
        query = query_of(request, NumberedPageQuery)
        await place.check()
        reads, principal = ports_of(request).reads, principal_of(request)
        listed = await reads.entities.page(principal, COMMENTS, wanted_page(query), task=place.task)
    return listed_response(listed, query, TaskCommentRead.of)


async def create_task_comment(request: Request) -> Response:
    """
    Comment on a task.

    Agents of the board that the text mentions (`@name`, or `@lead`) are recorded as mentioned. A lead may comment on a
    task in review, on one where it was mentioned, and on one that it created.
    """
    async with BoardPath.of(request) as place:
        body = await body_of(request, TaskCommentCreate)
        command = AddComment(
            task=cast(TaskId, place.task),
            on=place.board,
            restrict_lead=True,
            content=body.message,
            parent=CommentId(body.parent_id) if body.parent_id else None,
        )
        comment = await perform_once(request, add_comment, command, _said_again)
    return json_response(TaskCommentRead.of(comment))


_said_again = read_row_again(COMMENTS)
COMMENTS_PATH = TASKS + "/{task_id}/comments"
OPERATIONS = [
    (
        Endpoint(
            "GET", COMMENTS_PATH, list_task_comments, query=NumberedPageQuery, gives=LimitOffsetPage[TaskCommentRead],
            refuses=(BoardDenied, TaskNotFound),
        ),
        agent_hints(
            "agent_task_comment_discovery", ["You want to read the comments on a task before you continue it."],
            unless=["You want the fields of a task: list the tasks."],
        ),
    ),
    (
        Endpoint(
            "POST", COMMENTS_PATH, create_task_comment, takes=TaskCommentCreate, gives=TaskCommentRead,
            headers=(IDEMPOTENCY_KEY,), refuses=(BoardDenied, TaskNotFound, CommentNotFound, LeadCommentDenied),
        ),
        agent_hints(
            "agent_task_comment_create", ["You report what you did, found or need to all who work on the task."],
            unless=["You have the result of a lease: complete the lease."],
            effects=["The comment is stored, and the agents that it mentions can be notified."],
        ),
    ),
]  # fmt: skip
ENDPOINTS = [evolve(endpoint, who=MIXED, tags=("tasks",)) for endpoint, _ in OPERATIONS]
AGENT_ENDPOINTS = [agent_endpoint(endpoint, extra) for endpoint, extra in OPERATIONS]
