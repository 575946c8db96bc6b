"""
Entities of a kind: entities that are only stored, found and listed, and the declaration of how each kind is stored.

A `Kind` declares the indexes, unique fields, errors and parent entities of one entity class. Every store derives its
table or collection from that declaration.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar
from uuid import UUID

from attrs import field

from mission_core.ids import OrganizationId
from mission_core.lazy_attrs import frozen

if TYPE_CHECKING:
    from mission_core.errors import Conflict, NotFound
    from mission_core.row_mapping import NestedValue
    from mission_core.values import PageOfRows, PageRequest

DEPLOYMENT: Final = OrganizationId(UUID(int=0))
"""The organization id of rows that belong to no organization, and the scope of numbers that are unique in the whole
deployment."""


class Entity(Protocol):
    """
    An entity that a `Kind` can store: a frozen attrs class whose fields are ids, texts, numbers, booleans, datetimes,
    enumerations, JSON texts, tuples of texts or ids, or None.
    """

    @property
    def id(self) -> UUID:
        """
        The entity's id.
        """

    @property
    def organization(self) -> OrganizationId:
        """
        The organization that the entity belongs to.
        """

    @property
    def version(self) -> int:
        """
        The number of times the entity was saved.
        """


EntityT = TypeVar("EntityT", bound=Entity)


@frozen(kw_only=True, eq=False)
class Kind(Generic[EntityT]):
    """
    The declaration of how one class of entities is stored.

    Args:
        entity: The class. A field `number` is unique in the organization. A field `board` limits access to principals
            that may see that board. Without one, access follows the first entity in *cascades_from* that belongs to a
            board or a board group; without such an entity, everybody in the organization may see the rows.
        name: The plural name, which is also the name of the table.
        missing: The error for a row that does not exist.
        unique: Groups of fields that no two rows of an organization share, and the error for the second row. A row in
            which one of the fields is None is not compared.
        indexed_by: Groups of fields that are indexed.
        cascades_from: Fields that hold the id of another entity. When that entity is removed, the row is removed too.
        nulled_on_removal_of: Fields that hold the id of another entity. When that entity is removed, the field becomes
            None.
        held_by_tasks: Whether tasks hold the ids of such rows. Adding one to a task depends on the row's version.
        in_use: The error for removing a row that a task holds. Without one, the task drops the id.
        board_field: The field of boards that refers to such rows. A row then belongs to all boards that refer to it.
        shared: Whether the rows belong to no organization (their `organization` is `DEPLOYMENT`). Units of every
            organization then find them, and the use case decides which rows a caller may see.
        counted: Whether counters sum the rows.
        nested: The fields whose values have columns of their own.
    """

    entity: type[EntityT]
    name: str
    missing: type[NotFound]
    unique: Mapping[tuple[str, ...], type[Conflict]] = field(factory=dict)
    indexed_by: tuple[tuple[str, ...], ...] = ()
    cascades_from: Mapping[str, type] = field(factory=dict)
    nulled_on_removal_of: Mapping[str, type] = field(factory=dict)
    held_by_tasks: bool = False
    in_use: type[Conflict] | None = None
    board_field: str | None = None
    shared: bool = False
    counted: bool = False
    nested: Mapping[str, NestedValue] = field(factory=dict)

    def owner(self, organization: OrganizationId) -> OrganizationId:
        """
        The value of `organization` in the rows that a principal of this organization finds.
        """
        return DEPLOYMENT if self.shared else organization

    def __attrs_post_init__(self) -> None:
        _KINDS[self.entity] = self


_KINDS: Final[dict[type, Kind[Any]]] = {}


def kind_of(entity: type) -> Kind[Any] | None:
    """
    The kind of this entity class, or None if it has none. A kind is declared in the module of its class, so whoever has
    the class finds the kind.
    """
    return _KINDS.get(entity)


class EntityRepository(Protocol[EntityT]):
    """
    The repository of one kind of entities, limited to the unit's organization and to what its principal may see.
    """

    async def get(self, key: UUID | int) -> EntityT:
        """
        The row with this id or number, as last committed or as this unit changed it.

        Raises:
            NotFound: The kind's own error, if this organization has no such row.
            BoardDenied: If the principal may not see its board.
        """

    async def numbered(self, numbers: Collection[int]) -> list[EntityT]:
        """
        The rows with these numbers that the principal may see, by number, in one query.
        """

    async def find(self, *, newest: bool = False, **equal: Any) -> EntityT | None:
        """
        The oldest row whose fields have these values (with *newest*, the newest), or None.
        """

    async def every(self, **equal: Any) -> list[EntityT]:
        """
        All rows whose fields have these values, oldest first.
        """

    def add(self, row: EntityT) -> EntityT:
        """
        Add a new row when the unit commits. Unique fields are checked only then.
        """

    def save(self, row: EntityT) -> EntityT:
        """
        Save the changed row when the unit commits. Returns the row with its next version.
        """

    def remove(self, row: EntityT) -> None:
        """
        Remove the row when the unit commits, if it still has this version.
        """


class EntityReads(Protocol):
    """
    Read access to entities of every kind, limited to what a principal may see.
    """

    async def get(self, principal: Any, kind: Kind[EntityT], key: UUID | int) -> EntityT:
        """
        The row with this id or number.

        Raises:
            NotFound: The kind's own error, if this organization has no such row.
            BoardDenied: If the principal may not see its board.
        """

    async def several(self, principal: Any, kind: Kind[EntityT], ids: Collection[UUID]) -> list[EntityT]:
        """
        The rows with these ids that the principal may see, in any order, in one query.
        """

    async def every(self, principal: Any, kind: Kind[EntityT], **equal: Any) -> list[EntityT]:
        """
        All rows whose fields have these values, oldest first.
        """

    async def page(
        self, principal: Any, kind: Kind[EntityT], page: PageRequest, *, newest: bool = False, **equal: Any
    ) -> PageOfRows:
        """
        A page of the rows ordered by number, ascending or (with *newest*) descending, and their total count.
        """
