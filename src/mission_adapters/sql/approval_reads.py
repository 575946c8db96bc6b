"""
The read models of approvals in SQL: the tasks linked to approvals, and approval counts per task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Executable, Select, and_, case, cast, func, select

from mission_adapters.sql.approval_holds import approval_links
from mission_adapters.sql.board_visibility import board_filter_of, on_boards
from mission_adapters.sql.columns import INTEGER
from mission_adapters.sql.database_session import DatabaseSession, Steps
from mission_adapters.sql.kind_tables import MAPPINGS
from mission_adapters.sql.statements import IdArray, Statement, cached_statement, in_array, parameter, without_index
from mission_adapters.sql.tables import tasks
from mission_core.accounts.model import may_read_board
from mission_core.approvals.model import APPROVALS
from mission_core.approvals.queries import ApprovalRow, LinkedTask
from mission_core.lazy_attrs import frozen
from mission_core.row_mapping import uuid_of_bytes
from mission_core.tasks.snapshots import ApprovalCounts
from mission_core.values import PageOfRows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from mission_core.accounts.model import Principal
    from mission_core.approvals.model import ApprovalStatus
    from mission_core.ids import ApprovalId, BoardId, TaskId
    from mission_core.values import PageRequest

_pending_count: Final = cast(func.sum(case((approval_links.c.pending_for.is_not(None), 1), else_=0)), INTEGER)
approvals: Final = MAPPINGS[APPROVALS].table
FILTERS: Final = {
    "status": approvals.c.status == parameter("status", str),
    "after": approvals.c.number < parameter("after", int),
}
"""The conditions of the filters, by the names of their parameters."""
SELECTED_FIELDS: Final = ApprovalRow._fields[:-1]
"""The fields of `ApprovalRow` that are columns; the last is read by a separate statement."""
APPROVAL_COUNTS: Final = Statement(
    select(approval_links.c.task, func.count(), _pending_count)
    .where(approval_links.c.organization == parameter("organization"), approval_links.c.board == parameter("board"))
    .group_by(approval_links.c.task)
)
_of_board: Final = approvals.c.organization == parameter("organization"), approvals.c.board == parameter("board")


@cached_statement
def _select_linked_tasks(*board_filters: str) -> Executable:
    with_tasks = approval_links.outerjoin(
        tasks, and_(tasks.c.id == approval_links.c.task, tasks.c.board == approval_links.c.board)
    )
    found = (
        select(approval_links.c.approval, approval_links.c.task, tasks.c.title, approval_links.c.used_at)
        .select_from(with_tasks)
        .where(
            approval_links.c.organization == parameter("organization"),
            in_array(approval_links.c.approval, "approvals", IdArray()),
        )
    )
    return found.where(*on_boards(approval_links.c.board, board_filters)).order_by(approval_links.c.place)


@cached_statement
def _select_counts_of_tasks(*board_filters: str) -> Executable:
    own = without_index(approval_links.c.organization) == parameter("organization")
    found = select(approval_links.c.task, func.count(), _pending_count).where(
        in_array(approval_links.c.task, "ids", IdArray()), own, *on_boards(approval_links.c.board, board_filters)
    )
    return found.group_by(approval_links.c.task)


@cached_statement
def _select_page(*filters: str) -> Executable:
    """
    Select a page of the approvals that match the filters, newest first. The last column is the total count.
    """
    counted = _count(*filters).correlate(None).scalar_subquery()
    found = select(*(approvals.c[name] for name in SELECTED_FIELDS), counted)
    found = found.where(*_of_board, *(FILTERS[name] for name in filters)).order_by(approvals.c.number.desc())
    return found.limit(parameter("limit", int)).offset(parameter("offset", int))


def _count(*filters: str) -> Select[Any]:
    found = select(func.count()).select_from(approvals).where(*_of_board)
    return found.where(*(FILTERS[name] for name in filters if name != "after"))


_select_count = cached_statement(_count)


def count_approvals(dialect: str, organization: bytes, board: bytes) -> Steps[dict[bytes, ApprovalCounts]]:
    """
    Count the requested and the pending approvals of each task of a board.
    """
    found = yield APPROVAL_COUNTS(dialect, organization=organization, board=board)
    return {task: ApprovalCounts(every, pending) for task, every, pending in found}


@frozen(eq=False, repr=False)
class SqlApprovalReads:
    """
    Reads approvals and the tasks that are linked to them.
    """

    session: DatabaseSession

    async def page(
        self, principal: Principal, board: BoardId, page: PageRequest, *, status: ApprovalStatus | None = None
    ) -> PageOfRows:
        """
        Return a page of the board's approvals with their tasks, newest first, with the total count.
        """
        if not may_read_board(principal, board):
            return PageOfRows([], 0)
        dialect = self.session.dialect
        given: dict[str, Any] = {} if status is None else {"status": status.value}
        if page.after is not None:
            given["after"] = page.after
        shape = tuple(given)
        given |= {"organization": principal.organization.bytes, "board": board.bytes}
        limits = {"limit": page.limit, "offset": page.offset}

        def steps() -> Steps[PageOfRows]:
            found = yield _select_page(*shape)(dialect, **given, **limits)
            if not found:
                ((total,),) = yield _select_count(*shape)(dialect, **given)
                return PageOfRows([], total)
            # By their ids, because on PostgreSQL the page may have other approvals by now.
            own, ids = principal.organization.bytes, [row[0] for row in found]
            linked = _by_approval((yield _select_linked_tasks()(dialect, organization=own, approvals=ids)))
            return PageOfRows([ApprovalRow._make((*row[:-1], linked.get(row[0], ()))) for row in found], found[0][-1])

        return await self.session.read(steps)

    async def linked_tasks(
        self, principal: Principal, approvals: Sequence[ApprovalId]
    ) -> Mapping[ApprovalId, tuple[LinkedTask, ...]]:
        """
        Return the tasks linked to each of these approvals, by approval.
        """
        dialect, own = self.session.dialect, principal.organization.bytes
        ids, given = [each.bytes for each in approvals], board_filter_of(principal)

        def steps() -> Steps[dict[ApprovalId, tuple[LinkedTask, ...]]]:
            links = yield _select_linked_tasks(*given)(dialect, organization=own, approvals=ids, **given)
            return {uuid_of_bytes(approval): linked for approval, linked in _by_approval(links).items()}

        return await self.session.read(steps)

    async def counts_of_tasks(
        self, principal: Principal, tasks: Collection[TaskId]
    ) -> Mapping[TaskId, tuple[int, int]]:
        """
        Return the numbers of approvals and of pending ones, by task.
        """
        dialect, own = self.session.dialect, principal.organization.bytes
        ids, given = [each.bytes for each in tasks], board_filter_of(principal)

        def steps() -> Steps[list[Any]]:
            rows: list[Any] = yield _select_counts_of_tasks(*given)(dialect, organization=own, ids=ids, **given)
            return rows

        return {uuid_of_bytes(task): (every, pending) for task, every, pending in await self.session.read(steps)}


def _by_approval(links: Iterable[Any]) -> dict[bytes, tuple[LinkedTask, ...]]:
    found: dict[bytes, tuple[LinkedTask, ...]] = {}
    for approval, task, title, used_at in links:
        found[approval] = (*found.get(approval, ()), LinkedTask(task, title, used_at is not None))
    return found
