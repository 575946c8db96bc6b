"""
Snapshots: a board with its tasks, agents, approvals and chat; and the boards of a group with their most urgent tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from msgspec import field
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.organizations import built_in_gateway
from mission_core.boards.groups import GroupNotFound
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.conversations.memory_entries import BOARD_MEMORY
from mission_core.ids import BoardId, GroupId
from mission_core.tasks.queries import TaskRow
from mission_core.tasks.snapshots import (
    BoardTopTasks,
    BoardView,
    GroupView,
    StatusOrder,
    group_view,
    sibling_boards_view,
)
from mission_core.usage.queries import UsageFilter, UsageWindow, slot_of, sum_of
from mission_core.values import PageRequest
from mission_http.boards.access import MIXED, USER, path_id
from mission_http.boards.agent_hints import agent_hints
from mission_http.boards.agent_payloads import AgentRead
from mission_http.boards.approval_payloads import ApprovalRead
from mission_http.boards.approvals import latest_approvals
from mission_http.boards.board_memory import BoardMemoryRead
from mission_http.boards.card_cache import CardCache
from mission_http.boards.groups import GROUP_PATH, BoardGroupRead
from mission_http.boards.payloads import BoardRead, TagRef
from mission_http.boards.task_cards import CardLookup, TaskCardRead
from mission_http.boards.usage_payloads import UsageTotalsRead
from mission_http.boards.wire import CORE_STATUSES, SHOWN_STATUSES, BoardsPayload
from mission_http.platform.endpoints import Endpoint, Handler
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import NumberRange, Query
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Given, Of

STATUS_ORDER: Final = tuple(CORE_STATUSES[shown] for shown in ("in_progress", "review", "inbox", "done"))
"""The order of the statuses in a summary; done comes last."""
CHAT_PAGE: Final = PageRequest(limit=200)
"""The chat messages in a board's snapshot."""


class BoardSnapshot(BoardsPayload[BoardView]):
    board: BoardRead
    tasks: Annotated[list[TaskCardRead], Given()]
    agents: list[AgentRead]
    approvals: Annotated[list[ApprovalRead], Given()]
    chat_messages: Annotated[list[BoardMemoryRead], Given()]
    pending_approvals_count: Annotated[int, Given()] = 0
    usage_today: Annotated[UsageTotalsRead, Given()]


class BoardGroupTaskSummary(BoardsPayload[TaskRow]):
    id: UUID
    board_id: Annotated[UUID, Of("board")]
    board_name: str
    title: str
    status: Annotated[str, Of("status", SHOWN_STATUSES.__getitem__)]
    priority: str
    assigned_agent_id: Annotated[UUID | None, Of("assignee_agent")]
    assignee: str | None
    due_at: datetime | None
    in_progress_at: Annotated[datetime | None, Of("started_at")]
    tags: Annotated[list[TagRef], Of("tagged")]
    created_at: datetime
    updated_at: datetime


def counts_by_shown_status(counts: Mapping[str, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for status, amount in counts.items():
        found[SHOWN_STATUSES[status]] = found.get(SHOWN_STATUSES[status], 0) + amount
    return found


class BoardGroupBoardSnapshot(BoardsPayload[BoardTopTasks]):
    board: BoardRead
    task_counts: Annotated[dict[str, int], Of("top_tasks.counts", counts_by_shown_status)] = field(default_factory=dict)
    tasks: Annotated[list[BoardGroupTaskSummary], Of("top_tasks.tasks")] = field(default_factory=list)


class BoardGroupSnapshot(BoardsPayload[GroupView]):
    group: BoardGroupRead | None = None
    boards: list[BoardGroupBoardSnapshot] = field(default_factory=list)


class GroupSnapshotQuery(Query):
    include_done: bool = False
    per_board_task_limit: Annotated[int, NumberRange(0)] = 5


class BoardGroupSnapshotQuery(Query):
    include_self: bool = False
    include_done: bool = False
    per_board_task_limit: Annotated[int, NumberRange(0, 100)] = 5


def board_snapshot_handler(task_cards: CardCache, approval_cards: CardCache) -> Handler:
    """
    The handler of board snapshots, with these caches of task cards and approvals.
    """

    async def get_board_snapshot(request: Request) -> Response:
        """
        Read a board with its tasks, agents, newest approvals and latest chat messages.

        The chat messages come oldest first. `usage_today` has the tokens of the day in UTC, with their cost.
        """
        board, principal, ports = BoardId(path_id(request, "board_id")), principal_of(request), ports_of(request)
        look = CardLookup(task_cards)
        view = await ports.reads.snapshots.board(principal, board, look.known)
        approvals, pending = await latest_approvals(ports, principal, board, approval_cards)
        chat = await ports.reads.entities.page(principal, BOARD_MEMORY, CHAT_PAGE, newest=True, board=board, chat=True)
        now = ports.clock.now()
        today = UsageWindow(since=slot_of(now, hours=24))
        usage = sum_of(await ports.reads.usage.sums(principal, today, (), UsageFilter(board=board)))
        shown = BoardSnapshot.of(
            view, tasks=look.cards_of(view), approvals=approvals, pending_approvals_count=pending,
            chat_messages=[BoardMemoryRead.of(entry) for entry in reversed(chat.rows)],
            gateway_id=built_in_gateway(principal.organization), at=now,
            usage_today=UsageTotalsRead.of(usage),
        )  # fmt: skip
        return json_response(shown)

    return get_board_snapshot


async def get_board_group_snapshot(request: Request) -> Response:
    """
    Read the boards of a board's group, each with its first tasks and its number of tasks per status.

    Tasks are sorted by status (in progress, review, inbox, done), then by priority, then by their last change, latest
    first.
    """
    board, query = BoardId(path_id(request, "board_id")), query_of(request, BoardGroupSnapshotQuery)
    view = await sibling_boards_view(
        ports_of(request), principal_of(request), board, _order(query.include_done),
        limit=query.per_board_task_limit, itself=query.include_self,
    )  # fmt: skip
    return json_response(BoardGroupSnapshot.of(view))


async def get_group_snapshot(request: Request) -> Response:
    """
    Read the boards of a group, each with its first tasks and its number of tasks per status.

    Tasks are sorted by status (in progress, review, inbox, done), then by priority, then by their last change, latest
    first.
    """
    group, query = GroupId(path_id(request, "group_id")), query_of(request, GroupSnapshotQuery)
    view = await group_view(
        ports_of(request), principal_of(request), group, _order(query.include_done),
        limit=query.per_board_task_limit,
    )  # fmt: skip
    return json_response(BoardGroupSnapshot.of(view))


def _order(include_done: bool) -> StatusOrder:
    return STATUS_ORDER if include_done else STATUS_ORDER[:-1]


def snapshot_endpoints(approval_cards: CardCache) -> list[Endpoint]:
    """
    The operations on snapshots, with a cache of task cards and this one of approvals.
    """
    handler = board_snapshot_handler(CardCache(), approval_cards)
    return [
        Endpoint(
            "GET", "/boards/{board_id}/snapshot", handler, gives=BoardSnapshot, who=MIXED,
            tags=("boards",), refuses=(BoardNotFound, BoardDenied),
        ),
        Endpoint(
            "GET", "/boards/{board_id}/group-snapshot", get_board_group_snapshot, query=BoardGroupSnapshotQuery,
            gives=BoardGroupSnapshot, who=MIXED, tags=("boards", "agent-lead", "agent-worker"),
            refuses=(BoardNotFound, BoardDenied),
            extra=agent_hints(
                "agent_board_group_discovery", ["You want to know what happens on the other boards of your group."],
                unless=["You want the tasks of your own board: list them."],
            ),
        ),
        Endpoint(
            "GET", GROUP_PATH + "/snapshot", get_group_snapshot, query=GroupSnapshotQuery, gives=BoardGroupSnapshot,
            who=USER, tags=("board-groups",), refuses=(GroupNotFound,),
            operation_id="get_board_group_snapshot_api_v1_board_groups__group_id__snapshot_get",
        ),
    ]  # fmt: skip
