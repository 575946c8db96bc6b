"""
The read models of approvals in SQL: the tasks linked to approvals, and approval counts per task.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from attrs import frozen
from sqlalchemy import Executable, and_, case, cast, func, select

from mission_adapters.sql.approval_holds import approval_links
from mission_adapters.sql.board_visibility import board_filter_of, on_boards
from mission_adapters.sql.columns import INTEGER
from mission_adapters.sql.database_session import DatabaseSession, Steps
from mission_adapters.sql.statements import IdArray, Statement, cached_statement, in_array, parameter
from mission_adapters.sql.tables import tasks
from mission_core.approvals.queries import LinkedTask
from mission_core.row_mapping import uuid_of_bytes
from mission_core.tasks.snapshots import ApprovalCounts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mission_core.accounts.model import Principal
    from mission_core.ids import ApprovalId

_pending_count: Final = cast(func.sum(case((approval_links.c.pending_for.is_not(None), 1), else_=0)), INTEGER)
APPROVAL_COUNTS: Final = Statement(
    select(approval_links.c.task, func.count(), _pending_count)
    .where(approval_links.c.organization == parameter("organization"), approval_links.c.board == parameter("board"))
    .group_by(approval_links.c.task)
)


@cached_statement
def _select_linked_tasks(*board_filters: str) -> Executable:
    found = select(
        approval_links.c.approval, approval_links.c.task, tasks.c.title, approval_links.c.used_at
    ).select_from(
        approval_links.outerjoin(
            tasks, and_(tasks.c.id == approval_links.c.task, tasks.c.board == approval_links.c.board)
        )
    )
    found = found.where(
        approval_links.c.organization == parameter("organization"),
        in_array(approval_links.c.approval, "approvals", IdArray()),
    )
    return found.where(*on_boards(approval_links.c.board, board_filters)).order_by(approval_links.c.place)


def count_approvals(dialect: str, organization: bytes, board: bytes) -> Steps[dict[bytes, ApprovalCounts]]:
    """
    Count the requested and the pending approvals of each task of a board.
    """
    found = yield APPROVAL_COUNTS(dialect, organization=organization, board=board)
    return {task: ApprovalCounts(every, pending) for task, every, pending in found}


@frozen
class SqlApprovalReads:
    """
    Reads the tasks that are linked to approvals.
    """

    session: DatabaseSession

    async def linked_tasks(
        self, principal: Principal, approvals: Sequence[ApprovalId]
    ) -> Mapping[ApprovalId, tuple[LinkedTask, ...]]:
        """
        Return the tasks linked to each of these approvals, by approval.
        """
        dialect, own = self.session.dialect, principal.organization.bytes
        ids, given = [each.bytes for each in approvals], board_filter_of(principal)

        def steps() -> Steps[dict[ApprovalId, tuple[LinkedTask, ...]]]:
            found: dict[ApprovalId, list[LinkedTask]] = defaultdict(list)
            for approval, task, title, used_at in (
                yield _select_linked_tasks(*given)(dialect, organization=own, approvals=ids, **given)
            ):
                found[uuid_of_bytes(approval)].append(LinkedTask(uuid_of_bytes(task), title, used_at is not None))
            return {id: tuple(each) for id, each in found.items()}

        return await self.session.read(steps)
