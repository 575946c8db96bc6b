"""
The write buffer of a unit of work: everything that its commit will change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from mission_core.boards.model import Board

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from mission_adapters.operations import Operation
    from mission_core.accounts.model import Principal
    from mission_core.agents.model import Agent
    from mission_core.events.model import Fact
    from mission_core.ports import Once, Versioned


@frozen(kw_only=True)
class Write:
    """
    The change of one row: *before* as it was loaded (None for a new row), *after* as it will be stored (None for a
    deleted row). With *onto_edits*, the write of a task is merged with edits that others committed meanwhile.
    """

    before: Any
    after: Any
    onto_edits: bool = False

    def onto(self, fresh: Any) -> Write:
        """
        The same change, applied to the current row.

        Raises:
            StaleWrite: If the row was changed so that the two changes conflict.
        """
        return Write(before=fresh, after=self.after.onto(self.before, fresh))


@frozen
class Reliance:
    """
    A read dependency: a row that must still have this version at commit. With *bump*, its version is raised then.
    """

    kind: type
    id: UUID
    version: int
    bump: bool


@define
class Remembered:
    """
    All changes of one unit of work, for its principal. Several writes of one row are merged into one.
    """

    principal: Principal
    once: Once | None = None
    writes: dict[UUID, Write] = field(factory=dict)
    reliances: dict[tuple[type, UUID], Reliance] = field(factory=dict)
    presence: dict[UUID, Agent] = field(factory=dict)
    used: dict[UUID, datetime] = field(factory=dict)
    facts: list[Fact] = field(factory=list)
    places: dict[UUID, UUID] = field(factory=dict)
    """The boards of the loaded tasks, by task id."""
    operations: list[Operation] = field(factory=list)
    result: UUID | None = None
    loaded: dict[UUID, Any] = field(factory=dict)
    """The loaded rows by id, each as it was first loaded."""

    def row(self, entity: type, id: UUID) -> Any | None:
        """
        The row with this id as the unit wrote, loaded or removed it, or None if it did none of these.
        """
        write = self.writes.get(id)
        return (write.after or write.before) if write else self.loaded.get(id)

    def boards(self) -> Iterable[Board]:
        """
        The boards that the unit loaded.
        """
        return [row for row in self.loaded.values() if isinstance(row, Board)]

    def relies(self, kind: type, row: Versioned, *, bump: bool) -> None:
        """
        Add a read dependency on *row*. The first version that was read counts. A row that the unit has written needs
        none.
        """
        if row.id in self.writes:
            return
        known = self.reliances.get((kind, row.id))
        version = known.version if known else row.version
        self.reliances[kind, row.id] = Reliance(kind, row.id, version, bump or (known.bump if known else False))
