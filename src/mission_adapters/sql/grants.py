"""
What a principal may see: of what was found, and in a statement.

A statement has three shapes, however many boards are granted: of no border for who sees the whole organization, with
the one board of who sees one (which every index begins with), or with any number of boards as one value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import ColumnElement

from mission_adapters.sql.statements import Ids, among, value
from mission_core.accounts.model import Principal, boards_seen, sees
from mission_core.boards.model import BoardDenied

if TYPE_CHECKING:
    from mission_core.errors import NotFound
    from mission_core.ids import BoardId

T = TypeVar("T")
WITHIN: Final[Mapping[str, Callable[[ColumnElement[Any]], ColumnElement[bool]]]] = {
    "own_board": lambda column: column == value("own_board"),
    "own_boards": lambda column: among(column, "own_boards", Ids()),
}
"""The borders of what is granted, by the names of their values: what a column with a board's id keeps to."""


def border_of(principal: Principal) -> dict[str, Any]:
    """
    What a statement keeps to so that the principal may see what it finds: the value of one border, or none at all.
    """
    return border_of_boards(boards_seen(principal))


def border_of_boards(boards: frozenset[BoardId] | None) -> dict[str, Any]:
    """
    What a statement keeps to so that it finds what belongs to these boards.
    """
    if boards is None:
        return {}
    if len(boards) == 1:
        return {"own_board": next(iter(boards)).bytes}
    return {"own_boards": sorted(board.bytes for board in boards)}


def within(column: ColumnElement[Any], borders: Iterable[str]) -> Iterable[ColumnElement[bool]]:
    """
    That this column's board is within these borders.
    """
    return [WITHIN[name](column) for name in borders]


def granted(principal: Principal, found: T | None, board: BoardId | None, missing: type[NotFound]) -> T:
    """
    What was found, if the principal may see what belongs to *board*.

    Raises:
        NotFound: If nothing was found.
        BoardDenied: If the board is not granted to the principal.
    """
    if found is None:
        raise missing
    if not sees(principal, board):
        raise BoardDenied
    return found
