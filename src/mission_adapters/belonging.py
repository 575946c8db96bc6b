"""
What belongs to which boards: by itself, or through something else.
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
    Through what a row without a board of its own belongs to one: a field that holds the id of such an entity.
    """

    field: str
    entity: type


def has_board(entity: type) -> bool:
    """
    Whether its rows have a field `board`.
    """
    return "board" in fields_dict(entity)


GATHERING: Final[dict[type, str]] = {BoardGroup: "group"}
"""What belongs to all boards that name it in this field."""


def _home_of(kind: Kind[Any]) -> Home | None:
    """
    The first entity that its rows go with and that belongs to boards.
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
"""What belongs to a board through something else."""


class Around(Protocol):
    """
    Where the rows are that others belong to boards through.
    """

    def row(self, entity: type, id: UUID) -> Any | None:
        """
        The row of this class and id, if it is known.
        """

    def boards(self) -> Iterable[Board]:
        """
        The boards that are known.
        """


def boards_in(row: Any, around: Around) -> tuple[BoardId | None, ...]:
    """
    The boards that a row belongs to, by itself or through another one: mostly one, and for a group those in it. Nothing
    is to be known of what belongs to a board through a row that is not known.
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
    Whether its rows belong to boards, so that grants on these say who may see and change them. Of all others it is for
    the use cases to say who may, by role.
    """
    return entity is Board or has_board(entity) or entity in GATHERING or entity in HOMES
