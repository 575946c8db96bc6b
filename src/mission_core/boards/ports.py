"""
What boards ask of a store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mission_core.boards.model import Board
    from mission_core.ids import BoardId, BoardNumber


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
        The active board where work without a board goes: the general one, else the lowest number.
        """

    async def taken(self, *, handle: str, ticket_prefix: str) -> tuple[bool, bool]:
        """
        Whether a board has this handle, and whether one has this ticket prefix; not scoped by grants.
        """

    def add(self, board: Board) -> Board:
        """
        Remember a new board for the commit.
        """

    def save(self, board: Board) -> Board:
        """
        Remember the change for the commit; the answer carries its next version.
        """
