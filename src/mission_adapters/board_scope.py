"""
The boards that an entity belongs to, directly or through another entity.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from uuid import UUID

from mission_core.accounts.model import ApiKey
from mission_core.agents.model import Agent
from mission_core.boards.model import Board
from mission_core.kinds import kind_of
from mission_core.lazy_attrs import field_names

if TYPE_CHECKING:
    from mission_core.ids import BoardId


class BoardReference(NamedTuple):
    """
    The path from an entity without a board of its own to its board: a field that holds the id of another entity.
    """

    reference: str
    entity: type


def has_board(entity: type) -> bool:
    """
    Whether the entity class has a field `board`.
    """
    return "board" in field_names(entity)


def board_field_of(entity: type) -> str | None:
    """
    The field of boards that refers to rows of this class, if a row belongs to all boards that refer to it.
    """
    kind = kind_of(entity)
    return None if kind is None else kind.board_field


@cache
def board_reference_of(entity: type) -> BoardReference | None:
    """
    The first reference of this class to an entity that belongs to boards, if it belongs to a board through another
    entity.
    """
    if entity is ApiKey:
        return BoardReference("agent", Agent)
    kind = kind_of(entity)
    if kind is None or has_board(entity) or kind.board_field is not None:
        return None
    for field, parent in kind.cascades_from.items():
        if has_board(parent) or board_field_of(parent) is not None or board_reference_of(parent) is not None:
            return BoardReference(field, parent)
    return None


class RowLookup(Protocol):
    """
    A source of the rows through which other rows belong to boards.
    """

    def entity(self, entity: type, id: UUID) -> Any | None:
        """
        The row of this class with this id, or None if it is not known.
        """

    def boards(self) -> Iterable[Board]:
        """
        All boards that are known.
        """


def boards_of_row(row: Any, around: RowLookup) -> tuple[BoardId | None, ...]:
    """
    The boards that a row belongs to, directly or through another row. Mostly it is one; a board group belongs to all
    its boards. The result is empty if the row in between is not known.
    """
    if isinstance(row, Board):
        return (row.id,)
    entity: type = type(row)
    field = board_field_of(entity)
    if field is not None:
        return tuple(board.id for board in around.boards() if getattr(board, field) == row.id)
    home = board_reference_of(entity)
    if home is None:
        return (getattr(row, "board", None),)
    id = getattr(row, home.reference)
    there = None if id is None else around.entity(home.entity, id)
    return () if there is None else boards_of_row(there, around)


def is_limited_by_grants(entity: type) -> bool:
    """
    Whether access to the rows of this class is limited by board access grants. For all other classes the use cases
    check the role.
    """
    return (
        entity is Board
        or has_board(entity)
        or board_field_of(entity) is not None
        or board_reference_of(entity) is not None
    )
