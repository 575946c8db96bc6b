"""
What boards ask of a store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.boards.model import Board
    from mission_core.ids import BoardId, BoardNumber, GroupId
    from mission_core.tasks.ports import Ending


class Boards(Protocol):
    """
    Keeps the boards of the unit's organization, as far as its principal may see them. Handles and ticket prefixes
    are unique; `commit` refuses a second one with `HandleTaken` or `PrefixTaken`.
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
        The board with this handle, if the principal may see it.
        """

    async def first_active(self) -> Board | None:
        """
        The active board where the principal's work without a board goes, of those it may write on: the general one,
        else the lowest number.
        """

    async def taken(self, *, handle: str, ticket_prefix: str) -> tuple[bool, bool]:
        """
        Whether a board has this handle, and whether one has this ticket prefix; not scoped by grants.
        """

    async def of_group(self, group: GroupId) -> list[Board]:
        """
        The boards of the group, by number; not scoped by grants.
        """

    def add(self, board: Board) -> Board:
        """
        Remember a new board for the commit.
        """

    def save(self, board: Board) -> Board:
        """
        Remember the change for the commit; the answer carries its next version.
        """

    def dissolve(self, board: Board, end: Ending, *, heir: Board | None = None, at: datetime) -> None:
        """
        In the flush: remove the board, at the version it has here, and with it its agents with their keys, its tasks
        with their runs, and the plain rows that go with any of them. Tasks of other boards that lose by it are offered
        to *end*. With an *heir*, tasks and agents go over to that board instead, unchanged but for their version (and
        nobody leads it by that). However many there are, none of them is loaded.

        Raises (from `commit`):
            StaleWrite: If the board has another version by now.
        """
