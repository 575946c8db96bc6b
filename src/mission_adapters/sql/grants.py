"""
What a principal may see of what was found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from mission_core.accounts.model import Principal, board_of
from mission_core.boards.model import BoardDenied

if TYPE_CHECKING:
    from mission_core.errors import NotFound
    from mission_core.ids import BoardId

T = TypeVar("T")


def sees(principal: Principal, board: BoardId | None) -> bool:
    """
    Whether the principal may see what belongs to this board.
    """
    own = board_of(principal)
    return own is None or own == board


def granted(principal: Principal, found: T | None, board: BoardId | None, missing: type[NotFound]) -> T:
    """
    What was found, if the principal may see what belongs to *board*.

    Raises:
        NotFound: If nothing was found.
        BoardDenied: If the principal is confined to another board.
    """
    if found is None:
        raise missing
    if not sees(principal, board):
        raise BoardDenied
    return found
