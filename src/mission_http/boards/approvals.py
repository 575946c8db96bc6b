"""
Operations on approvals, for users (`/boards/{board_id}/approvals`) and for agents (`/agent/boards/…`).
"""

from __future__ import annotations

from typing import Any, Final

from attrs import evolve
from msgspec import Raw
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import Principal
from mission_core.agents.model import AgentNotFound
from mission_core.approvals.model import (
    APPROVALS,
    Approval,
    ApprovalAlreadyDecided,
    ApprovalAlreadyPending,
    ApprovalNotFound,
    ApprovalStatus,
    ApprovalTasksNotFound,
)
from mission_core.approvals.queries import with_tasks
from mission_core.approvals.use_cases import decide_approval, request_approval
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.errors import VersionMismatch
from mission_core.ids import ApprovalId, BoardId
from mission_core.ports import Ports
from mission_core.values import PageRequest
from mission_http.boards.access import MIXED, USER, BoardPath, path_id
from mission_http.boards.agent_hints import agent_endpoint, agent_hints
from mission_http.boards.approval_cards import approval_cards
from mission_http.boards.approval_payloads import (
    ApprovalCreate,
    ApprovalListQuery,
    ApprovalRead,
    ApprovalUpdate,
)
from mission_http.boards.card_cache import CardCache
from mission_http.boards.payloads import LimitOffsetPage
from mission_http.boards.responses import page_response, versioned_response, wanted_page
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint, Handler
from mission_http.platform.etags import IF_MATCH, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once, read_row_again
from mission_http.platform.query_strings import query_of

SNAPSHOT_APPROVALS: Final = 200
"""The greatest number of approvals in a snapshot."""


def approval_list_handler(cards: CardCache) -> Handler:
    """
    The handler that lists approvals, with this cache of encoded approvals.
    """

    async def list_approvals(request: Request) -> Response:
        """
        List the approvals requested on a board, newest first.
        """
        async with BoardPath.of(request) as place:
            query = query_of(request, ApprovalListQuery)
            await place.check()
            status = ApprovalStatus(query.status) if query.status else None
            rows, total = await ports_of(request).reads.approvals.page(
                principal_of(request), place.board, wanted_page(query), status=status
            )
        return page_response(approval_cards(rows, cards), total, query)

    return list_approvals


async def create_approval(request: Request) -> Response:
    """
    Request a person's approval.

    A reason is required. An agent requests for itself, and its request is pending. A task has at most one pending
    approval. A board may require that an approval of a task is approved before the task is done; the approval is then
    used up.
    """
    async with BoardPath.of(request) as place:
        body = await body_of(request, ApprovalCreate)
        approval = await perform_once(request, request_approval, body.command(place.board), _again)
    return await _answer(request, approval)


async def update_approval(request: Request) -> Response:
    """
    Decide an approval, or reset it to pending so that it can be decided again.

    Repeating the same decision changes nothing. Another decision is a conflict that names the first one.
    """
    async with BoardPath.of(request) as place:
        id, ports, principal = ApprovalId(path_id(request, "approval_id")), ports_of(request), principal_of(request)
        if (await ports.reads.entities.get(principal, APPROVALS, id)).board != place.board:
            raise ApprovalNotFound
        body = await body_of(request, ApprovalUpdate)
        command = body.command(id, on=place.board, expects=expected_version_of(request))
        approval = await decide_approval(ports, principal, command)
    return await _answer(request, approval)


async def latest_approvals(
    ports: Ports, principal: Principal, board: BoardId, cards: CardCache
) -> tuple[list[Raw], int]:
    """
    The board's newest approvals, encoded as `ApprovalRead`, and the number of pending ones.
    """
    listed = await ports.reads.approvals.page(principal, board, PageRequest(limit=SNAPSHOT_APPROVALS))
    pending = sum(each.status == ApprovalStatus.PENDING.value for each in listed.rows)
    if listed.total > SNAPSHOT_APPROVALS:
        found = await ports.reads.entities.page(
            principal, APPROVALS, PageRequest(limit=1), board=board, status=ApprovalStatus.PENDING
        )
        pending = found.total
    return approval_cards(listed.rows, cards), pending


async def _answer(request: Request, approval: Approval) -> Response:
    (found,) = await with_tasks(ports_of(request), principal_of(request), approval)
    return versioned_response(ApprovalRead.of(found))


_again = read_row_again(APPROVALS)
PATH: Final = "/boards/{board_id}/approvals"


def _operations(cards: CardCache) -> list[tuple[Endpoint, dict[str, Any]]]:
    """
    The operations that users and agents have in common, with the hints for agents.
    """
    return [
        (
            Endpoint(
                "GET", PATH, approval_list_handler(cards), query=ApprovalListQuery, gives=LimitOffsetPage[ApprovalRead],
                refuses=(BoardNotFound, BoardDenied),
            ),
            agent_hints(
                "agent_board_approval_discovery",
                ["You want to know which approvals were requested on your board, and how people decided."],
                unless=["You want the status of a task: list the tasks, or ask for its explanation."],
            ),
        ),
        (
            Endpoint(
                "POST", PATH, create_approval, takes=ApprovalCreate, gives=ApprovalRead, headers=(IDEMPOTENCY_KEY,),
                refuses=(BoardNotFound, BoardDenied, AgentNotFound, ApprovalTasksNotFound, ApprovalAlreadyPending),
            ),
            agent_hints(
                "agent_board_approval_request",
                ["An action needs a person's approval first, or your board requires one before a task is done."],
                unless=["You have a question or a report: comment on the task."],
                effects=["A person is shown the request. Until they decide, its tasks take no other request."],
                needs=["Give a reason, as lead_reasoning or as reason in the payload."],
            ),
        ),
    ]  # fmt: skip


def approval_endpoints(cards: CardCache) -> list[Endpoint]:
    """
    The operations on approvals for users, with this cache of encoded approvals.
    """
    return [
        *(evolve(endpoint, who=MIXED, tags=("approvals",)) for endpoint, _ in _operations(cards)),
        Endpoint(
            "PATCH", PATH + "/{approval_id}", update_approval, takes=ApprovalUpdate, gives=ApprovalRead, who=USER,
            tags=("approvals",), headers=(IF_MATCH,),
            refuses=(BoardNotFound, BoardDenied, ApprovalNotFound, ApprovalAlreadyPending, ApprovalAlreadyDecided,
            VersionMismatch),
        ),
    ]  # fmt: skip


def approval_agent_endpoints(cards: CardCache) -> list[Endpoint]:
    """
    The operations on approvals for agents, with this cache of encoded approvals.
    """
    return [agent_endpoint(endpoint, extra) for endpoint, extra in _operations(cards)]
