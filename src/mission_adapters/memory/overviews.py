"""
Board overviews in memory.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from attrs import frozen

from mission_adapters.memory.agents import agent_row
from mission_core.accounts.model import sees
from mission_core.tasks.overviews import (
    NOT_ASKED,
    Around,
    Asked,
    BoardView,
    Foremost,
    Known,
    Order,
    in_turn,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mission_adapters.memory.agents import AgentTable
    from mission_adapters.memory.boards import MemoryBoardReads
    from mission_adapters.memory.plain import PlainTable
    from mission_adapters.memory.task_reads import MemoryTaskReads
    from mission_core.accounts.model import Principal
    from mission_core.approvals.model import ApprovalLink
    from mission_core.ids import BoardId
    from mission_core.tasks.model import Task


@frozen
class MemoryOverviews:
    """
    Reads the overview of a board and the first tasks of several boards.
    """

    boards: MemoryBoardReads
    agents: AgentTable
    tasks: MemoryTaskReads
    links: PlainTable[ApprovalLink]

    async def board(self, principal: Principal, board: BoardId, known: Known) -> BoardView:
        """
        A board with its agents and all its tasks.
        """
        row = await self.boards.get(principal, board)
        staff = sorted(self.agents.on(principal.organization, board), key=lambda agent: -agent.number)
        tasks = self._on(principal, board)
        rows = self.tasks.rows_of(principal, tasks)
        rows.sort(key=lambda row: -row.number)
        asked = {task.id.bytes: told for task in tasks if (told := self._asked(task)) != NOT_ASKED}
        return BoardView(
            row,
            [agent_row(agent)._replace(working_memory="") for agent in staff],
            [row.id for row in rows],
            {
                row.id: row
                for row in rows
                if not known(row.id, row.version, Around.of(row, asked.get(row.id, NOT_ASKED)))
            },
            asked,
        )

    async def foremost(
        self, principal: Principal, boards: Sequence[BoardId], order: Order, *, limit: int
    ) -> Mapping[BoardId, Foremost]:
        """
        The first tasks of each board in the given order, and the board's task counts by status.
        """
        wanted = {status for together in order for status in together}
        found = {}
        for board in (each for each in boards if sees(principal, each)):
            tasks = self._on(principal, board)
            rows = self.tasks.rows_of(principal, [task for task in tasks if task.status in wanted])
            counts = Counter(task.status.value for task in tasks)
            found[board] = Foremost(counts, in_turn(rows, order)[:limit])
        return found

    def _asked(self, task: Task) -> Asked:
        links = [link for link in self.links.naming("task", task) if link.board == task.board]
        return Asked(len(links), sum(link.pending_for is not None for link in links))

    def _on(self, principal: Principal, board: BoardId) -> list[Task]:
        tasks = self.tasks.tasks
        on_board = tasks.each(tasks.on_board.of(board))
        return [tasks.resolved(task) for task in on_board if task.organization == principal.organization]
