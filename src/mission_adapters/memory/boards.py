"""
The table of boards in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_adapters.memory.tables import GroupIndex, Table, UndoLog, UniqueConstraint, number_key, require_visible
from mission_core.accounts.model import may_read_board, may_write_board
from mission_core.boards.model import GENERAL_HANDLE, Board, BoardNotFound, BoardStatus, HandleTaken, TicketPrefixTaken
from mission_core.errors import Conflict
from mission_core.ids import BoardId, BoardNumber

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ids import GroupId, OrganizationId


class BoardTable(Table[Board]):
    """
    The boards of all organizations.
    """

    def __init__(self, journal: UndoLog) -> None:
        self.by_number = UniqueConstraint[Board](number_key, Conflict)
        self.by_handle = UniqueConstraint[Board](lambda board: (board.organization, board.handle), HandleTaken)
        self.by_prefix = UniqueConstraint[Board](
            lambda board: (board.organization, board.ticket_prefix), TicketPrefixTaken
        )
        self.of_organization = GroupIndex[Board](lambda board: (board.organization,))
        uniques = (self.by_number, self.by_handle, self.by_prefix)
        super().__init__("board", journal, uniques, (self.of_organization,))

    def find(self, principal: Principal, board: BoardId | BoardNumber) -> Board:
        """
        A board that the principal may see, by id or number.

        Raises:
            BoardNotFound: If the principal's organization has none.
            BoardDenied: If it is not granted to the principal.
        """
        id = self.by_number.ids.get((principal.organization, board)) if isinstance(board, int) else board
        found = self.rows.get(id) if id else None
        return require_visible(principal, found, found.id if found else None, BoardNotFound)

    def find_handle(self, principal: Principal, handle: str) -> Board | None:
        """
        The board with this handle, or None if the principal may not see it.
        """
        id = self.by_handle.ids.get((principal.organization, handle))
        return self.rows[id] if id and may_read_board(principal, BoardId(id)) else None

    def first_active(self, principal: Principal) -> Board | None:
        """
        The general board if it is active and writable for the principal, else the first such board by number.
        """
        boards = (board for board in self.visible(principal) if may_write_board(principal, board.id))
        active = (board for board in boards if board.status is BoardStatus.ACTIVE)
        return min(active, key=lambda board: (board.handle != GENERAL_HANDLE, board.number), default=None)

    def of_group(self, organization: OrganizationId, group: GroupId) -> list[Board]:
        """
        The boards of a group, by number.
        """
        boards = self.each(self.of_organization.of(organization))
        return sorted((board for board in boards if board.group == group), key=lambda board: board.number)

    def names_taken(self, principal: Principal, *, handle: str, ticket_prefix: str) -> tuple[bool, bool]:
        """
        Whether the handle is taken, and whether the ticket prefix is taken.
        """
        own = principal.organization
        return (own, handle) in self.by_handle.ids, (own, ticket_prefix) in self.by_prefix.ids

    def visible(self, principal: Principal) -> list[Board]:
        """
        The boards that the principal may see.
        """
        boards = self.each(self.of_organization.of(principal.organization))
        return [board for board in boards if may_read_board(principal, board.id)]
