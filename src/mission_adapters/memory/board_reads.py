"""
The read model of boards in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_core.boards.model import GENERAL_HANDLE, Board, BoardStatus
from mission_core.boards.queries import BoardRow
from mission_core.boards.rows import board_row
from mission_core.lazy_attrs import frozen
from mission_core.values import PageOfRows

if TYPE_CHECKING:
    from mission_adapters.memory.agents import AgentTable
    from mission_adapters.memory.boards import BoardTable
    from mission_adapters.memory.number_sequences import MemoryNumberSequences
    from mission_adapters.memory.tasks import TaskTable
    from mission_core.accounts.model import Principal
    from mission_core.boards.queries import BoardFilter
    from mission_core.ids import BoardId, BoardNumber
    from mission_core.values import PageRequest


@frozen
class MemoryBoardReads:
    """
    Reads the boards that a principal may see.
    """

    boards: BoardTable
    tasks: TaskTable
    agents: AgentTable
    numbers: MemoryNumberSequences

    async def get(self, principal: Principal, board: BoardId | BoardNumber) -> BoardRow:
        """
        The row of a board, found by id or number.
        """
        return self._row(self.boards.find(principal, board))

    async def check(self, principal: Principal, board: BoardId | BoardNumber) -> BoardId:
        """
        The id of a board, found by id or number.
        """
        return self.boards.find(principal, board).id

    async def page(self, principal: Principal, wanted: BoardFilter, page: PageRequest | None = None) -> PageOfRows:
        """
        A page of board rows, or all of them if no page is given.
        """
        found = [board for board in self.boards.visible(principal) if _matches_filter(board, wanted)]
        if not wanted.empty_general:
            found = [board for board in found if board.handle != GENERAL_HANDLE or self._used(board)]
        found.sort(key=lambda board: board.number, reverse=True)
        if wanted.by_name:
            found.sort(key=lambda board: board.name_key)
        total = len(found)
        if page is not None:
            if page.after is not None:
                found = [board for board in found if board.number < page.after]
            found = found[page.offset : page.offset + page.limit]
        return PageOfRows([self._row(board) for board in found], total)

    def _used(self, board: Board) -> bool:
        return bool(self.tasks.on_board.count(board.id) or self.agents.on_board.count(board.id))

    def _row(self, board: Board) -> BoardRow:
        return board_row(
            board,
            ticket_counter=self.numbers.last(board.id, "ticket"),
            task_count=self.tasks.on_board.count(board.id),
        )


def _matches_filter(board: Board, wanted: BoardFilter) -> bool:
    active = wanted.archived or board.status is BoardStatus.ACTIVE
    return active and all(getattr(board, name) == value for name, value in wanted.values.items())
