"""
What a unit remembers for its commit.
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
    What a unit made of one row: *before* as it was loaded (None for a new one), *after* as it shall be (None for a
    removed one). A task's write with *onto_edits* is made of what others have edited meanwhile.
    """

    before: Any
    after: Any
    onto_edits: bool = False

    def onto(self, fresh: Any) -> Write:
        """
        The same write of the row as it is by now.

        Raises:
            StaleWrite: If it was changed so that it cannot be.
        """
        return Write(before=fresh, after=self.after.onto(self.before, fresh))


@frozen
class Reliance:
    """
    A row whose version must still stand, and is raised with *bump*.
    """

    kind: type
    id: UUID
    version: int
    bump: bool


@define
class Remembered:
    """
    All that one unit wants to change, folded to one write per row, for its principal.
    """

    principal: Principal
    once: Once | None = None
    writes: dict[UUID, Write] = field(factory=dict)
    reliances: dict[tuple[type, UUID], Reliance] = field(factory=dict)
    presence: dict[UUID, Agent] = field(factory=dict)
    used: dict[UUID, datetime] = field(factory=dict)
    facts: list[Fact] = field(factory=list)
    places: dict[UUID, UUID] = field(factory=dict)
    """The boards of the tasks that were looked at."""
    operations: list[Operation] = field(factory=list)
    result: UUID | None = None
    loaded: dict[UUID, Any] = field(factory=dict)
    """The rows that were loaded, each as it was first."""

    def row(self, entity: type, id: UUID) -> Any | None:
        """
        The row of this id as the unit wrote it, or as it was loaded or removed; if it was any of that.
        """
        write = self.writes.get(id)
        return (write.after or write.before) if write else self.loaded.get(id)

    def boards(self) -> Iterable[Board]:
        """
        The boards that were loaded.
        """
        return [row for row in self.loaded.values() if isinstance(row, Board)]

    def relies(self, kind: type, row: Versioned, *, bump: bool) -> None:
        """
        Remember that a decision rests on *row*. A row that is relied on twice keeps the first version it had, and one
        that the unit has written is relied on already.
        """
        if row.id in self.writes:
            return
        known = self.reliances.get((kind, row.id))
        version = known.version if known else row.version
        self.reliances[kind, row.id] = Reliance(kind, row.id, version, bump or (known.bump if known else False))
