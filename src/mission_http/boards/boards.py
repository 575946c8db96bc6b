"""
Operations of users on boards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import Principal
from mission_core.accounts.organizations import built_in_gateway
from mission_core.boards.groups import GroupNotFound
from mission_core.boards.model import Board, BoardDenied, BoardNotFound, GeneralBoardNotDeletable, GoalIncomplete
from mission_core.boards.queries import BoardFilter
from mission_core.boards.use_cases import create_board as make_board
from mission_core.boards.use_cases import update_board as change_board
from mission_core.errors import VersionMismatch
from mission_core.ids import BoardId
from mission_core.ports import Ports
from mission_core.tasks.board_deletion import DeleteBoard
from mission_core.tasks.board_deletion import delete_board as remove_board
from mission_core.values import Absent
from mission_http.boards.access import USER, BoardPath, path_id, require_admin
from mission_http.boards.errors import PayloadRuleBroken
from mission_http.boards.payloads import (
    BoardCreate,
    BoardListQuery,
    BoardRead,
    BoardUpdate,
    LimitOffsetPage,
    OkResponse,
)
from mission_http.boards.responses import listed_response, versioned_response, wanted_page
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of


async def list_boards(request: Request) -> Response:
    """
    List the boards of the organization.

    They are sorted by name, and boards of the same name newest first. The general board, which takes tasks that name no
    board, is listed only if it has tasks or agents.
    """
    query = query_of(request, BoardListQuery)
    principal = principal_of(request)
    own = query.gateway_id == built_in_gateway(principal.organization)
    # The rows of boards on the built-in gateway do not name it.
    gateway = None if own else query.gateway_id
    wanted = BoardFilter(gateway=gateway, group=query.board_group_id, empty_general=False)
    listed = await ports_of(request).reads.boards.page(principal, wanted, wanted_page(query))
    return listed_response(listed, query, BoardRead.of)


async def create_board(request: Request) -> Response:
    """
    Create a board.

    It needs no live gateway. Without a gateway_id, the board belongs to the organization's built-in gateway.
    """
    principal = require_admin(request)
    body = await body_of(request, BoardCreate)
    _check_gateway(principal, body.gateway_id)
    with _group_invalid_if_missing():
        board = await perform_once(request, make_board, body.command(), board_again)
    return versioned_response(await _board_payload(request, board.id))


async def get_board(request: Request) -> Response:
    """
    Read a board.
    """
    return versioned_response(await _board_payload(request, BoardId(path_id(request, "board_id"))))


async def update_board(request: Request) -> Response:
    """
    Change the named fields of a board.

    A field that is not sent stays as it is; null is a value.
    """
    async with BoardPath.of(request) as place:
        principal = principal_of(request)
        body = await body_of(request, BoardUpdate)
        _check_gateway(principal, body.gateway_id)
        command = body.command(place.board, expects=expected_version_of(request))
        with _group_invalid_if_missing():
            await change_board(ports_of(request), principal, command)
    return versioned_response(await _board_payload(request, place.board))


async def delete_board(request: Request) -> Response:
    """
    Delete a board with its tasks and agents, and everything that belongs to them.

    The general board, which takes tasks that name no board, cannot be deleted.
    """
    async with BoardPath.of(request) as place:
        command = DeleteBoard(board=place.board, expects=expected_version_of(request))
        await remove_board(ports_of(request), principal_of(request), command)
    return json_response(OkResponse())


def _check_gateway(principal: Principal, gateway: UUID | Absent | None) -> None:
    """
    Raises:
        PayloadRuleBroken: If the organization has no such gateway.
    """
    if isinstance(gateway, UUID) and gateway != built_in_gateway(principal.organization):
        raise PayloadRuleBroken("gateway_id is invalid")


@contextmanager
def _group_invalid_if_missing() -> Iterator[None]:
    """
    A context that answers a group that does not exist as an error of the body.
    """
    try:
        yield
    except GroupNotFound:
        raise PayloadRuleBroken("board_group_id is invalid") from None


async def _board_payload(request: Request, board: BoardId) -> BoardRead:
    return BoardRead.of(await ports_of(request).reads.boards.get(principal_of(request), board))


async def board_again(ports: Ports, principal: Principal, board: UUID) -> Board:
    async with ports.unit(principal) as unit:
        return await unit.boards.get(BoardId(board))


ENDPOINTS = [
    Endpoint(
        "GET", "/boards", list_boards, query=BoardListQuery, gives=LimitOffsetPage[BoardRead], who=USER,
        tags=("boards",)
    ),
    Endpoint(
        "POST", "/boards", create_board, takes=BoardCreate, gives=BoardRead, who=USER, tags=("boards",),
        headers=(IDEMPOTENCY_KEY,),
    ),
    Endpoint(
        "GET", "/boards/{board_id}", get_board, gives=BoardRead, who=USER, tags=("boards",),
        refuses=(BoardNotFound, BoardDenied),
    ),
    Endpoint(
        "PATCH", "/boards/{board_id}", update_board, takes=BoardUpdate, gives=BoardRead, who=USER, tags=("boards",),
        headers=(IF_MATCH,), refuses=(BoardNotFound, BoardDenied, GoalIncomplete, VersionMismatch),
    ),
    Endpoint(
        "DELETE", "/boards/{board_id}", delete_board, gives=OkResponse, who=USER, tags=("boards",),
        headers=(IF_MATCH,), refuses=(BoardNotFound, BoardDenied, GeneralBoardNotDeletable, VersionMismatch),
    ),
]  # fmt: skip
