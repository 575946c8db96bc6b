"""
The boards that an entity belongs to, directly or through another entity.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol
from uuid import UUID

from attrs import fields_dict

from mission_adapters.kinds import KIND_OF, KINDS
from mission_core.accounts.model import ApiKey
from mission_core.agents.model import Agent
from mission_core.boards.groups import BoardGroup
from mission_core.boards.model import Board
from mission_core.kinds import Kind

if TYPE_CHECKING:
    from mission_core.ids import BoardId


class Home(NamedTuple):
    """
    The path from an entity without a board of its own to its board: a field that holds the id of another entity.
    """

    field: str
    entity: type


def has_board(entity: type) -> bool:
    """
    Whether the entity class has a field `board`.
    """
    return "board" in fields_dict(entity)


GATHERING: Final[dict[type, str]] = {BoardGroup: "group"}
"""Entities that belong to all boards that refer to them, with the board's field that does."""


def _home_of(kind: Kind[Any]) -> Home | None:
    """
    The first reference of this kind to an entity that belongs to boards.
    """
    if has_board(kind.entity) or kind.entity in GATHERING:
        return None
    for field, entity in kind.goes_with.items():
        inner = KIND_OF.get(entity)
        if has_board(entity) or entity in GATHERING or (inner is not None and _home_of(inner) is not None):
            return Home(field, entity)
    return None


HOMES: Final[dict[type, Home]] = {ApiKey: Home("agent", Agent)} | {
    kind.entity: home for kind in KINDS if (home := _home_of(kind)) is not None
}
"""Entities that belong to a board through another entity."""


class Around(Protocol):
    """
    A source of the rows through which other rows belong to boards.
    """

    def row(self, entity: type, id: UUID) -> Any | None:
        """
        The row of this class with this id, or None if it is not known.
        """

    def boards(self) -> Iterable[Board]:
        """
        All boards that are known.
        """


def boards_in(row: Any, around: Around) -> tuple[BoardId | None, ...]:
    """
    The boards that a row belongs to, directly or through another row. Mostly it is one; a board group belongs to all
    its boards. The result is empty if the row in between is not known.
    """
    if isinstance(row, Board):
        return (row.id,)
    if type(row) in GATHERING:
        field = GATHERING[type(row)]
        return tuple(board.id for board in around.boards() if getattr(board, field) == row.id)
    home = HOMES.get(type(row))
    if home is None:
        return (getattr(row, "board", None),)
    id = getattr(row, home.field)
    there = None if id is None else around.row(home.entity, id)
    return () if there is None else boards_in(there, around)


def is_confined(entity: type) -> bool:
    """
    Whether access to the rows of this class is limited by board access grants. For all other classes the use cases
    check the role.
    """
    return entity is Board or has_board(entity) or entity in GATHERING or entity in HOMES
