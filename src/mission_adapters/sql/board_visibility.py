"""
Board visibility of a principal: as filters in statements, and as a check on rows that were read.

A statement has three shapes, however many boards are granted: no board filter for a principal that sees the whole
organization, one board as a value (indexes begin with it), or several boards as one array value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import ColumnElement

from mission_adapters.sql.statements import IdArray, in_array, parameter
from mission_core.accounts.model import Principal, may_read_board, readable_boards
from mission_core.boards.model import BoardDenied

if TYPE_CHECKING:
    from mission_core.errors import NotFound
    from mission_core.ids import BoardId

T = TypeVar("T")
BOARD_FILTERS: Final[Mapping[str, Callable[[ColumnElement[Any]], ColumnElement[bool]]]] = {
    "own_board": lambda column: column == parameter("own_board"),
    "own_boards": lambda column: in_array(column, "own_boards", IdArray()),
}
"""The conditions on a board-id column that limit rows to the granted boards, by the names of their parameters."""


def board_filter_of(principal: Principal) -> dict[str, Any]:
    """
    Return the board-filter parameters of a principal. They are empty if it sees all boards.
    """
    return board_filter_for(readable_boards(principal))


def board_filter_for(boards: frozenset[BoardId] | None) -> dict[str, Any]:
    """
    Return the board-filter parameters for these boards. They are empty for None, which means all boards.
    """
    if boards is None:
        return {}
    if len(boards) == 1:
        return {"own_board": next(iter(boards)).bytes}
    return {"own_boards": sorted(board.bytes for board in boards)}


def on_boards(column: ColumnElement[Any], board_filters: Iterable[str]) -> Iterable[ColumnElement[bool]]:
    """
    Return the board-filter conditions on a column that holds a board's id.
    """
    return [BOARD_FILTERS[name](column) for name in board_filters]


def require_visible(principal: Principal, found: T | None, board: BoardId | None, missing: type[NotFound]) -> T:
    """
    Return *found* if it exists and the principal may see *board*.

    Raises:
        NotFound: If *found* is None.
        BoardDenied: If the board is not granted to the principal.
    """
    if found is None:
        raise missing
    if not may_read_board(principal, board):
        raise BoardDenied
    return found
