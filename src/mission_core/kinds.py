"""
Plain rows: entities that are only kept, found and listed, and how each kind of them wants to be kept.

The core says it once, and every store keeps the kind from that alone: what it is found by, what must be unique and
what a second one is refused with, and with which other entity it goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar
from uuid import UUID

from attrs import field, frozen

from mission_core.ids import OrganizationId

if TYPE_CHECKING:
    from mission_core.errors import Conflict, NotFound
    from mission_core.values import Listed, Page

DEPLOYMENT: Final = OrganizationId(UUID(int=0))
"""Whose the rows are that belong to no organization, and whose numbers count through the deployment."""


class Plain(Protocol):
    """
    A frozen attrs class whose fields are ids, texts, numbers, truth values, moments, enumerations, JSON texts, tuples
    of texts or ids, or None in their place.
    """

    @property
    def id(self) -> UUID:
        """
        Which row.
        """

    @property
    def organization(self) -> OrganizationId:
        """
        Whose row.
        """

    @property
    def version(self) -> int:
        """
        How often it was saved.
        """


P = TypeVar("P", bound=Plain)


@frozen(kw_only=True, eq=False)
class Kind(Generic[P]):
    """
    How one kind of plain row is kept.

    Args:
        entity: Its class. A field `number` is unique in the organization; a field `board` confines it to whoever may
            see that board. Without one, it is confined like the first entity it goes with that belongs to a board, or
            to a group of boards; and where it goes with none, everybody in the organization may see it.
        name: What it is called in the plural: its table.
        missing: The refusal of a row that is not there.
        unique: Fields that no two rows of an organization share, and the refusal of the second one. Rows where one of
            them is None share nothing.
        found_by: Fields by which rows are found.
        goes_with: Fields that hold the id of another entity, with whose removal the row goes.
        forgets: Fields that hold the id of another entity, and nothing once that is removed.
        carried: Whether tasks carry its rows by id. A task that takes one up relies on it.
        in_use: The refusal of removing a row that a task carries; without one, tasks drop it.
        shared: Whether the rows belong to no organization (their `organization` is `DEPLOYMENT`): a unit of any
            organization finds them, and it is for the use case to say whose they are.
    """

    entity: type[P]
    name: str
    missing: type[NotFound]
    unique: Mapping[tuple[str, ...], type[Conflict]] = field(factory=dict)
    found_by: tuple[tuple[str, ...], ...] = ()
    goes_with: Mapping[str, type] = field(factory=dict)
    forgets: Mapping[str, type] = field(factory=dict)
    carried: bool = False
    in_use: type[Conflict] | None = None
    shared: bool = False

    def owner(self, organization: OrganizationId) -> OrganizationId:
        """
        Whose rows a principal of this organization finds.
        """
        return DEPLOYMENT if self.shared else organization


class Rows(Protocol[P]):
    """
    Keeps the rows of one kind of the unit's organization, as far as its principal may see them.
    """

    async def get(self, key: UUID | int) -> P:
        """
        The row of this id or number as last committed, or as this unit wrote it.

        Raises:
            NotFound: The kind's own refusal, if this organization has none.
            BoardDenied: If its board is not granted to the principal.
        """

    async def find(self, *, newest: bool = False, **equal: Any) -> P | None:
        """
        The oldest row whose fields have these values, or the *newest*, if there is one.
        """

    async def every(self, **equal: Any) -> list[P]:
        """
        The rows whose fields have these values, oldest first.
        """

    def add(self, row: P) -> P:
        """
        Remember a new row for the commit, which alone refuses what is not unique.
        """

    def save(self, row: P) -> P:
        """
        Remember the change for the commit; the answer carries its next version.
        """

    def remove(self, row: P) -> None:
        """
        Remember to remove the row, at the version it has here.
        """


class RowReads(Protocol):
    """
    Reads plain rows as far as a principal may see them.
    """

    async def get(self, principal: Any, kind: Kind[P], key: UUID | int) -> P:
        """
        Raises:
            NotFound: The kind's own refusal, if this organization has none.
            BoardDenied: If its board is not granted to the principal.
        """

    async def every(self, principal: Any, kind: Kind[P], **equal: Any) -> list[P]:
        """
        The rows whose fields have these values, oldest first.
        """

    async def page(self, principal: Any, kind: Kind[P], page: Page, *, newest: bool = False, **equal: Any) -> Listed:
        """
        A page of them by number, rising, or falling with *newest*; and how many there are.
        """
