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
from mission_core.tasks.commenting import AddComment, LeadHoldsBack, add_comment
from mission_core.tasks.comments import COMMENTS, CommentNotFound
from mission_core.tasks.model import TaskNotFound
from mission_http.boards.access import MIXED, Place
from mission_http.boards.answers import page_from, wanted_page
from mission_http.boards.intents import for_agents, told
from mission_http.boards.payloads import LimitOffsetPage, NumberedQuery, TaskCommentCreate, TaskCommentRead
from mission_http.boards.tasks import TASKS
from mission_http.boards.wire import comment_from
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, once, row_again
from mission_http.platform.json import json_of
from mission_http.platform.queries import query_of


async def list_task_comments(request: Request) -> Response:
    """
    List the comments on a task, oldest first.
    """
    async with Place.of(request) as place:
        query = query_of(request, NumberedQuery)
        await place.check()
        reads, principal = ports_of(request).reads, principal_of(request)
        listed = await reads.rows.page(principal, COMMENTS, wanted_page(query), task=place.task)
    return page_from(listed, query, comment_from)


async def create_task_comment(request: Request) -> Response:
    """
    Comment on a task.

    Agents of the board that the text mentions (`@name`, or `@lead`) are recorded as mentioned. A lead may comment on a
    task in review, on one where it was mentioned, and on one that it created.
    """
    async with Place.of(request) as place:
        body = await body_of(request, TaskCommentCreate)
        command = AddComment(
            task=cast(TaskId, place.task),
            on=place.board,
            lead_holds_back=True,
            content=body.message,
            parent=CommentId(body.parent_id) if body.parent_id else None,
        )
        comment = await once(request, add_comment, command, _said_again)
    return json_of(comment_from(comment))


_said_again = row_again(COMMENTS)
COMMENTS_PATH = TASKS + "/{task_id}/comments"
OPERATIONS = [
    (
        Endpoint(
            "GET", COMMENTS_PATH, list_task_comments, query=NumberedQuery, gives=LimitOffsetPage[TaskCommentRead],
            refuses=(BoardDenied, TaskNotFound),
        ),
        told(
            "agent_task_comment_discovery", ["You want to read the comments on a task before you continue it."],
            unless=["You want the fields of a task: list the tasks."],
        ),
    ),
    (
        Endpoint(
            "POST", COMMENTS_PATH, create_task_comment, takes=TaskCommentCreate, gives=TaskCommentRead,
            headers=(IDEMPOTENCY_KEY,), refuses=(BoardDenied, TaskNotFound, CommentNotFound, LeadHoldsBack),
        ),
        told(
            "agent_task_comment_create", ["You report what you did, found or need to all who work on the task."],
            unless=["You have the result of a lease: complete the lease."],
            effects=["The comment is stored, and the agents that it mentions can be notified."],
        ),
    ),
]  # fmt: skip
ENDPOINTS = [evolve(endpoint, who=MIXED, tags=("tasks",)) for endpoint, _ in OPERATIONS]
AGENT_ENDPOINTS = [for_agents(endpoint, extra) for endpoint, extra in OPERATIONS]
