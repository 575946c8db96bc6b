"""
The port through which the core stores boards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.boards.model import Board
    from mission_core.ids import BoardId, BoardNumber, GroupId
    from mission_core.tasks.ports import DeletionCascade


class BoardRepository(Protocol):
    """
    Stores the boards of the unit's organization, as far as its principal may see them. Handles and ticket prefixes are
    unique; `commit` refuses a duplicate with `HandleTaken` or `TicketPrefixTaken`.
    """

    async def get(self, board: BoardId | BoardNumber) -> Board:
        """
        The board as last committed, or as this unit wrote it.

        Raises:
            BoardNotFound: If this organization has none.
            BoardDenied: If it is not granted to the principal.
        """

    async def find_handle(self, handle: str) -> Board | None:
        """
        The board with this handle, or None if there is none or the principal may not see it.
        """

    async def first_active(self) -> Board | None:
        """
        The board for tasks that name no board, among the active boards that the principal may write on: the general
        board, else the one with the lowest number.
        """

    async def names_taken(self, *, handle: str, ticket_prefix: str) -> tuple[bool, bool]:
        """
        Whether a board has this handle, and whether a board has this ticket prefix. It is not scoped by grants.
        """

    async def of_group(self, group: GroupId) -> list[Board]:
        """
        The boards of the group, by number; not scoped by grants.
        """

    def add(self, board: Board) -> Board:
        """
        Store a new board with the commit.
        """

    def save(self, board: Board) -> Board:
        """
        Store the change with the commit, and return the board with its next version.
        """

    def delete_with_contents(
        self, board: Board, end: DeletionCascade, *, reassign_to: Board | None = None, at: datetime
    ) -> None:
        """
        Delete the board with the commit, if it still has this version. Its agents with their keys, its tasks with their
        runs, and the rows of kinds that belong to any of them are deleted too. Tasks of other boards that depended on
        deleted ones are passed to *end*.

        With *reassign_to*, its tasks and agents are moved to that board instead. Only their version changes, and no
        moved agent is a lead. Nothing of this is loaded into memory, however much it is.

        Raises (from `commit`):
            StaleWrite: If the board has another version by now.
        """
