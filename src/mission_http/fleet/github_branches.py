"""
Operations on the GitHub branch and pull request of a task.
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.key_scopes import SELF
from mission_core.ids import BoardNumber
from mission_core.tasks.model import NotYourTask, TaskNotFound
from mission_core.tasks.queries import TaskRow
from mission_core.tasks.task_access import check_own_task
from mission_core.values import ABSENT, Absent
from mission_http.fleet.access import OPERATOR, VIEWER
from mission_http.fleet.errors import HostToolMissing, InvalidRequest
from mission_http.fleet.path_parameters import task_in
from mission_http.fleet.wire import FleetPayload
from mission_http.platform.bodies import object_body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, idempotency_key_of
from mission_http.platform.json_responses import json_response
from mission_http.platform.shapes import Given, Of, Payload


class BranchBody(Body):
    """
    An action on a task's branch. Without one, the branch is returned, or created if there is none.
    """

    action: Literal["create-pr"] | Absent = ABSENT
    title: str | Absent = ABSENT
    body: str | Absent = ABSENT
    base: str | Absent = ABSENT


class BranchPayload(FleetPayload[TaskRow]):
    branch: Annotated[str | None, Of("github_branch")]
    pr_number: Annotated[int | None, Of("github_pull_request")]
    pr_state: Annotated[str | None, Of("github_pull_request_state")]
    repo: Annotated[str | None, Given()]


class BranchUrlPayload(Payload):
    branch: str
    url: str


async def get_branch(request: Request) -> Response:
    """
    Get a task's branch and pull request, and the repository of its project.
    """
    row, repo = await _task_and_repository(request)
    return json_response(BranchPayload.of(row, repo=repo))


async def make_branch(request: Request) -> Response:
    """
    Get the URL of a task's branch.

    Creating a branch or a pull request needs a connection to GitHub, which this server does not have.
    """
    action = (await object_body_of(request)).get("action")
    await idempotency_key_of(request)
    row, repo = await _task_and_repository(request)
    if not repo:
        raise InvalidRequest("Task project does not have a GitHub repo configured")
    if action not in (None, "create-pr"):
        raise InvalidRequest("action must be create-pr, or be left out")
    if action and not row.github_branch:
        raise InvalidRequest("Task does not have a branch yet. Create a branch first.")
    if action or not row.github_branch:
        raise HostToolMissing("Failed to manage branch", "this server has no connection to GitHub; nothing was changed")
    url = f"https://github.com/{repo}/tree/{quote(row.github_branch)}"
    return json_response(BranchUrlPayload(branch=row.github_branch, url=url))


async def _task_and_repository(request: Request) -> tuple[TaskRow, str | None]:
    """
    Read the task and the repository of its project.
    """
    reads, principal = ports_of(request).reads, principal_of(request)
    row = await reads.tasks.get(principal, task_in(request))
    check_own_task(principal, row.assignee)
    board = await reads.boards.get(principal, BoardNumber(row.board_number))
    return row, board.github_repo


ENDPOINTS = [
    Endpoint(
        "GET", "/tasks/{id}/branch", get_branch, gives=BranchPayload, who=VIEWER, refuses=(TaskNotFound, NotYourTask),
        scope=SELF, operation_id="fleet_get_api_tasks_id_branch",
    ),
    Endpoint(
        "POST", "/tasks/{id}/branch", make_branch, takes=BranchBody, body_required=False, gives=BranchUrlPayload,
        who=OPERATOR, headers=(IDEMPOTENCY_KEY,), refuses=(TaskNotFound, NotYourTask, HostToolMissing),
        limits=("mutation",), scope=SELF, operation_id="fleet_post_api_tasks_id_branch",
    ),
]  # fmt: skip
