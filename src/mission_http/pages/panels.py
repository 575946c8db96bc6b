"""
The page at `/` and its panels, each of which the browser reads again when the event stream names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.first_admin import needs_setup
from mission_core.accounts.model import Role
from mission_core.agents.queries import AgentFilter, AgentRow, status_of_row
from mission_core.approvals.model import APPROVALS, ApprovalStatus
from mission_core.approvals.queries import with_tasks
from mission_core.boards.queries import BoardFilter
from mission_core.ids import BoardId
from mission_core.projections import Projection
from mission_core.reports.activity_feed import FeedFilter
from mission_core.tasks.model import Status
from mission_core.tasks.queries import TaskFilter, TaskRow
from mission_core.usage.queries import UsageWindow, slot_of, sum_of, window_of_last
from mission_core.values import PageRequest
from mission_http.fleet.activity_list import feed_description
from mission_http.pages.rendering import NANO_DOLLARS, html_response
from mission_http.platform.errors import PathUnknown
from mission_http.platform.exchange import exchange_of, ports_of, principal_of

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.boards.queries import BoardRow
    from mission_core.ports import Ports

MOST_CARDS: Final = 100
"""The number of cards that a column shows at most."""
MOST_AGENTS: Final = 200
MOST_APPROVALS: Final = 20
MOST_ACTIVITIES: Final = 20
CHART_HOURS: Final = 24


class ColumnKind(NamedTuple):
    """
    A column of a board: its title, and the statuses of its tasks. A card that is moved into it gets the first one.
    """

    title: str
    statuses: tuple[Status, ...]


COLUMNS: Final = (
    ColumnKind("Inbox", (Status.INBOX, Status.ASSIGNED, Status.BACKLOG)),
    ColumnKind("In progress", (Status.IN_PROGRESS, Status.AWAITING_OWNER)),
    ColumnKind("Review", (Status.REVIEW, Status.QUALITY_REVIEW)),
    ColumnKind("Done", (Status.DONE, Status.FAILED)),
)
CARDS: Final = Projection(
    render=lambda row: row, fields=frozenset({"number", "title", "status", "priority", "assignee"})
)


class ShownActivity(NamedTuple):
    """
    An activity: its time in microseconds since 1970, its actor, and its description.
    """

    at: int
    actor: str
    description: str


class Column(NamedTuple):
    """
    A column with its cards, newest first, and the number of all its tasks.
    """

    kind: ColumnKind
    cards: Sequence[TaskRow]
    total: int


async def home_page(request: Request) -> Response:
    """
    Return the page with the boards. Each of its panels is a request of its own.
    """
    ports, principal = ports_of(request), principal_of(request)
    boards = await _boards(ports, principal)
    chosen = _chosen(boards, request.query_params.get("board"))
    return html_response(request, "home.html", boards=boards, chosen=chosen, me=principal)


async def sign_in_form(request: Request) -> Response:
    """
    Return the form to sign in, or to create the first admin while there is none.
    """
    return html_response(request, "sign_in.html", needs_setup=await needs_setup(ports_of(request)))


async def board_panel(request: Request) -> Response:
    """
    Return the tasks of a board, by status.
    """
    return await board_response(request, BoardId(board_id_of(request)))


async def board_response(request: Request, board: BoardId) -> Response:
    """
    Return a board's tasks, by status.
    """
    ports, principal = ports_of(request), principal_of(request)
    await ports.reads.boards.check(principal, board)
    columns = []
    for kind in COLUMNS:
        wanted = TaskFilter(board=board, statuses=kind.statuses)
        listed = await ports.reads.tasks.page(principal, wanted, PageRequest(limit=MOST_CARDS), CARDS)
        columns.append(Column(kind, listed.rows, listed.total))
    return html_response(
        request, "board.html", columns=columns, statuses=tuple(Status), may_change=_may_change(principal)
    )


async def agents_panel(request: Request) -> Response:
    """
    Return the agents with their presence, those at work first.
    """
    ports, principal = ports_of(request), principal_of(request)
    now = ports.clock.now()
    listed = await ports.reads.agents.page(principal, AgentFilter(at=now), PageRequest(limit=MOST_AGENTS))
    rows: list[AgentRow] = list(listed.rows)
    agents = [row._replace(status=status_of_row(row, at=now, as_made=True)) for row in rows]
    agents.sort(key=lambda each: (each.status == "offline", each.name))
    return html_response(request, "agents.html", agents=agents, total=listed.total)


async def approvals_panel(request: Request) -> Response:
    """
    Return the pending approvals, newest first.
    """
    return await approvals_response(request)


async def approvals_response(request: Request) -> Response:
    """
    Return the pending approvals, newest first.
    """
    ports, principal = ports_of(request), principal_of(request)
    listed = await ports.reads.entities.page(
        principal, APPROVALS, PageRequest(limit=MOST_APPROVALS), newest=True, status=ApprovalStatus.PENDING
    )
    rows = await with_tasks(ports, principal, *listed.rows)
    return html_response(
        request, "approvals.html", approvals=rows, total=listed.total, may_change=_may_change(principal)
    )


async def usage_panel(request: Request) -> Response:
    """
    Return today's tokens and cost, and a chart of the last day by hour.
    """
    ports, principal = ports_of(request), principal_of(request)
    now = ports.clock.now()
    today = slot_of(now, hours=24)
    totals = sum_of(await ports.reads.usage.sums(principal, UsageWindow(since=today), ()))
    sums = await ports.reads.usage.sums(principal, window_of_last(timedelta(hours=CHART_HOURS), now=now), ("slot",))
    by_hour = {each.key[0]: each.totals for each in sums}
    last = slot_of(now, hours=1)
    hours = range(last - CHART_HOURS + 1, last + 1)
    chart = {
        "hours": [each * 3600 for each in hours],
        "tokens": [by_hour[each].tokens if each in by_hour else 0 for each in hours],
        "cost": [(by_hour[each].cost if each in by_hour else 0) / NANO_DOLLARS for each in hours],
    }
    return html_response(request, "usage.html", totals=totals, chart=chart)


async def activity_panel(request: Request) -> Response:
    """
    Return the newest activities.
    """
    feed = ports_of(request).reads.activity_feed
    rows = await feed.entries(principal_of(request), FeedFilter(), limit=MOST_ACTIVITIES)
    activities = [ShownActivity(row.at, row.actor_name, feed_description(row)) for row in rows]
    return html_response(request, "activity.html", activities=activities)


def board_id_of(request: Request) -> UUID:
    """
    The id of the board in the path.

    Raises:
        PathUnknown: If it is none.
    """
    return id_in_path(request, "board")


def id_in_path(request: Request, name: str) -> UUID:
    """
    Parse an id in the path.

    Raises:
        PathUnknown: If it is none.
    """
    try:
        return UUID(request.path_params[name])
    except ValueError:
        raise PathUnknown(exchange_of(request).path) from None


async def _boards(ports: Ports, principal: Principal) -> Sequence[BoardRow]:
    listed = await ports.reads.boards.page(principal, BoardFilter())
    rows: Sequence[BoardRow] = listed.rows
    return rows


def _chosen(boards: Sequence[BoardRow], named: str | None) -> BoardRow | None:
    """
    The board that the address names by its number, or else the first.
    """
    found = (each for each in boards if str(each.number) == named)
    return next(found, boards[0] if boards else None)


def _may_change(principal: Principal) -> bool:
    return getattr(principal, "role", None) in (Role.ADMIN, Role.OPERATOR)
