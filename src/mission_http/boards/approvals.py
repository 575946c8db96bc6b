"""
Operations on approvals, for users (`/boards/{board_id}/approvals`) and for agents (`/agent/boards/…`).
"""

from __future__ import annotations

from typing import Any, Final

from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import Principal
from mission_core.agents.model import AgentNotFound
from mission_core.approvals.model import (
    APPROVALS,
    Approval,
    ApprovalNotFound,
    ApprovalStatus,
    DecidedAlready,
    PendingAlready,
    TasksMissing,
)
from mission_core.approvals.queries import page_of_approvals, shown
from mission_core.approvals.use_cases import decide_approval, request_approval
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.errors import VersionMismatch
from mission_core.ids import ApprovalId, BoardId
from mission_core.ports import Ports
from mission_core.values import Page
from mission_http.boards.access import MIXED, USER, Place, path_id
from mission_http.boards.answers import one, page_from, wanted_page
from mission_http.boards.approval_payloads import (
    ApprovalCreate,
    ApprovalQuery,
    ApprovalRead,
    ApprovalUpdate,
    approval_from,
)
from mission_http.boards.intents import for_agents, told
from mission_http.boards.payloads import LimitOffsetPage
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, expects_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, once, row_again
from mission_http.platform.queries import query_of

LATEST: Final = 200
"""The greatest number of approvals in a snapshot."""


async def list_approvals(request: Request) -> Response:
    """
    List the approvals requested on a board, newest first.
    """
    async with Place.of(request) as place:
        query = query_of(request, ApprovalQuery)
        await place.check()
        status = ApprovalStatus(query.status) if query.status else None
        listed = await page_of_approvals(
            ports_of(request), principal_of(request), place.board, wanted_page(query), status=status
        )
    return page_from(listed, query, approval_from)


async def create_approval(request: Request) -> Response:
    """
    Request a person's approval.

    A reason is required. An agent requests for itself, and its request is pending. A task has at most one pending
    approval. A board may require that an approval of a task is approved before the task is done; the approval is then
    used up.
    """
    async with Place.of(request) as place:
        body = await body_of(request, ApprovalCreate)
        approval = await once(request, request_approval, body.command(place.board), _again)
    return await _answer(request, approval)


async def update_approval(request: Request) -> Response:
    """
    Decide an approval, or reset it to pending so that it can be decided again.

    Repeating the same decision changes nothing. Another decision is a conflict that names the first one.
    """
    async with Place.of(request) as place:
        id, ports, principal = ApprovalId(path_id(request, "approval_id")), ports_of(request), principal_of(request)
        if (await ports.reads.rows.get(principal, APPROVALS, id)).board != place.board:
            raise ApprovalNotFound
        body = await body_of(request, ApprovalUpdate)
        command = body.command(id, on=place.board, expects=expects_of(request))
        approval = await decide_approval(ports, principal, command)
    return await _answer(request, approval)


async def latest_approvals(ports: Ports, principal: Principal, board: BoardId) -> tuple[list[dict[str, Any]], int]:
    """
    The board's newest approvals, and the number of pending ones.
    """
    listed = await page_of_approvals(ports, principal, board, Page(limit=LATEST))
    pending = sum(each.approval.pending for each in listed.rows)
    if listed.total > LATEST:
        found = await ports.reads.rows.page(
            principal, APPROVALS, Page(limit=1), board=board, status=ApprovalStatus.PENDING
        )
        pending = found.total
    return [approval_from(each) for each in listed.rows], pending


async def _answer(request: Request, approval: Approval) -> Response:
    (found,) = await shown(ports_of(request), principal_of(request), approval)
    return one(approval_from(found))


_again = row_again(APPROVALS)
PATH: Final = "/boards/{board_id}/approvals"
OPERATIONS = [
    (
        Endpoint(
            "GET", PATH, list_approvals, query=ApprovalQuery, gives=LimitOffsetPage[ApprovalRead],
            refuses=(BoardNotFound, BoardDenied),
        ),
        told(
            "agent_board_approval_discovery",
            ["You want to know which approvals were requested on your board, and how people decided."],
            unless=["You want the status of a task: list the tasks, or ask for its explanation."],
        ),
    ),
    (
        Endpoint(
            "POST", PATH, create_approval, takes=ApprovalCreate, gives=ApprovalRead, headers=(IDEMPOTENCY_KEY,),
            refuses=(BoardNotFound, BoardDenied, AgentNotFound, TasksMissing, PendingAlready),
        ),
        told(
            "agent_board_approval_request",
            ["An action needs a person's approval first, or your board requires one before a task is done."],
            unless=["You have a question or a report: comment on the task."],
            effects=["A person is shown the request. Until they decide, its tasks take no other request."],
            needs=["Give a reason, as lead_reasoning or as reason in the payload."],
        ),
    ),
]  # fmt: skip
ENDPOINTS = [
    *(evolve(endpoint, who=MIXED, tags=("approvals",)) for endpoint, _ in OPERATIONS),
    Endpoint(
        "PATCH", PATH + "/{approval_id}", update_approval, takes=ApprovalUpdate, gives=ApprovalRead, who=USER,
        tags=("approvals",), headers=(IF_MATCH,),
        refuses=(BoardNotFound, BoardDenied, ApprovalNotFound, PendingAlready, DecidedAlready, VersionMismatch),
    ),
]  # fmt: skip
AGENT_ENDPOINTS = [for_agents(endpoint, extra) for endpoint, extra in OPERATIONS]
