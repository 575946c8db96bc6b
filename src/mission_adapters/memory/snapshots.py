"""
Board snapshots in memory.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mission_core.accounts.model import may_read_board
from mission_core.agents.rows import agent_row
from mission_core.lazy_attrs import frozen
from mission_core.tasks.snapshots import (
    NO_APPROVALS,
    ApprovalCounts,
    BoardView,
    IsCached,
    StatusOrder,
    TaskSurroundings,
    TopTasks,
    sorted_by_status,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mission_adapters.memory.agents import AgentTable
    from mission_adapters.memory.board_reads import MemoryBoardReads
    from mission_adapters.memory.kind_tables import KindTable
    from mission_adapters.memory.task_reads import MemoryTaskReads
    from mission_core.accounts.model import Principal
    from mission_core.approvals.model import ApprovalLink
    from mission_core.ids import BoardId
    from mission_core.tasks.model import Task


@frozen
class MemorySnapshotReads:
    """
    Reads whole boards, and the first tasks of several boards.
    """

    boards: MemoryBoardReads
    agents: AgentTable
    tasks: MemoryTaskReads
    links: KindTable[ApprovalLink]

    async def board(self, principal: Principal, board: BoardId, known: IsCached) -> BoardView:
        """
        A board with its agents and all its tasks.
        """
        row = await self.boards.get(principal, board)
        staff = sorted(self.agents.agents_on(principal.organization, board), key=lambda agent: -agent.number)
        tasks = self._on(principal, board)
        rows = self.tasks.rows_of(principal, tasks)
        rows.sort(key=lambda row: -row.number)
        asked = {task.id.bytes: told for task in tasks if (told := self._asked(task)) != NO_APPROVALS}
        return BoardView(
            row,
            [agent_row(agent)._replace(working_memory="") for agent in staff],
            [row.id for row in rows],
            {
                row.id: row
                for row in rows
                if not known(row.id, row.version, TaskSurroundings.of(row, asked.get(row.id, NO_APPROVALS)))
            },
            asked,
        )

    async def top_tasks(
        self, principal: Principal, boards: Sequence[BoardId], order: StatusOrder, *, limit: int
    ) -> Mapping[BoardId, TopTasks]:
        """
        The first tasks of each board in the given order, and the board's task counts by status.
        """
        wanted = {status for together in order for status in together}
        found = {}
        for board in (each for each in boards if may_read_board(principal, each)):
            tasks = self._on(principal, board)
            rows = self.tasks.rows_of(principal, [task for task in tasks if task.status in wanted])
            counts = Counter(task.status.value for task in tasks)
            found[board] = TopTasks(counts, sorted_by_status(rows, order)[:limit])
        return found

    def _asked(self, task: Task) -> ApprovalCounts:
        links = [link for link in self.links.referring_to("task", task) if link.board == task.board]
        return ApprovalCounts(len(links), sum(link.pending_for is not None for link in links))

    def _on(self, principal: Principal, board: BoardId) -> list[Task]:
        tasks = self.tasks.tasks
        on_board = tasks.each(tasks.on_board.of(board))
        return [tasks.with_assignee_agent(task) for task in on_board if task.organization == principal.organization]
