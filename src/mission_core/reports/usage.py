"""
Sums of the token ledger for a report's boards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_core.boards.queries import BoardFilter
from mission_core.usage.queries import UsageFilter, UsageTotals, UsageWindow, sum_of

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ports import Ports
    from mission_core.reports.queries import ReportScope


async def usage_of_scope(ports: Ports, principal: Principal, scope: ReportScope, window: UsageWindow) -> UsageTotals:
    """
    The sums over the boards in the scope. Without a board or group, they are over all that the principal may see, also
    over what belongs to no board.
    """
    sums = await ports.reads.usage.sums(principal, window, ("board",), UsageFilter(board=scope.board))
    if scope.group is not None:
        rows = [
            row
            for archived in (False, True)
            for row in (
                await ports.reads.boards.page(principal, BoardFilter(group=scope.group, archived=archived))
            ).rows
        ]
        members = {row.id for row in rows}
        sums = [each for each in sums if each.key[0] is not None and each.key[0].bytes in members]
    return sum_of(sums)
