"""
The read models of approvals in SQL: the tasks linked to approvals, and approval counts per task.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from attrs import frozen
from sqlalchemy import Executable, and_, case, cast, func, select

from mission_adapters.sql.columns import INTEGER
from mission_adapters.sql.grants import border_of, within
from mission_adapters.sql.held import links
from mission_adapters.sql.mapping import id_from
from mission_adapters.sql.session import Session, Steps
from mission_adapters.sql.statements import Ids, Statement, among, shaped, value
from mission_adapters.sql.tables import tasks
from mission_core.approvals.queries import Linked
from mission_core.tasks.overviews import Asked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mission_core.accounts.model import Principal
    from mission_core.ids import ApprovalId

_pending: Final = cast(func.sum(case((links.c.pending_for.is_not(None), 1), else_=0)), INTEGER)
ASKED: Final = Statement(
    select(links.c.task, func.count(), _pending)
    .where(links.c.organization == value("organization"), links.c.board == value("board"))
    .group_by(links.c.task)
)


@shaped
def _linked(*board_filters: str) -> Executable:
    found = select(links.c.approval, links.c.task, tasks.c.title, links.c.used_at).select_from(
        links.outerjoin(tasks, and_(tasks.c.id == links.c.task, tasks.c.board == links.c.board))
    )
    found = found.where(links.c.organization == value("organization"), among(links.c.approval, "approvals", Ids()))
    return found.where(*within(links.c.board, board_filters)).order_by(links.c.place)


def asked_on(dialect: str, organization: bytes, board: bytes) -> Steps[dict[bytes, Asked]]:
    """
    Count the requested and the pending approvals of each task of a board.
    """
    found = yield ASKED(dialect, organization=organization, board=board)
    return {task: Asked(every, pending) for task, every, pending in found}


@frozen
class SqlApprovalReads:
    """
    Reads the tasks that are linked to approvals.
    """

    session: Session

    async def linked(
        self, principal: Principal, approvals: Sequence[ApprovalId]
    ) -> Mapping[ApprovalId, tuple[Linked, ...]]:
        """
        Return the tasks linked to each of these approvals, by approval.
        """
        dialect, own = self.session.dialect, principal.organization.bytes
        ids, given = [each.bytes for each in approvals], border_of(principal)

        def steps() -> Steps[dict[ApprovalId, tuple[Linked, ...]]]:
            found: dict[ApprovalId, list[Linked]] = defaultdict(list)
            for approval, task, title, used_at in (
                yield _linked(*given)(dialect, organization=own, approvals=ids, **given)
            ):
                found[id_from(approval)].append(Linked(id_from(task), title, used_at is not None))
            return {id: tuple(each) for id, each in found.items()}

        return await self.session.read(steps)
