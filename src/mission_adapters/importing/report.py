"""
What an import took, and what it left and why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from attrs import define, field

MOST_EXAMPLES = 5


@define
class Told:
    """
    One sentence about rows of a table, how many it holds for, and the first few of them.
    """

    count: int = 0
    examples: list[str] = field(factory=list)

    def of(self, id: object) -> None:
        self.count += 1
        if len(self.examples) < MOST_EXAMPLES:
            self.examples.append(str(id))


@define
class Report:
    """
    What became of the rows of each table.

    *taken* are new here, *there* were here already, *changed* were taken but not as they were, *skipped* were not
    taken. The last two tell the reason, with examples. *behind* counts the rows that were meant to be taken, and could
    not.
    """

    taken: Counter[str] = field(factory=Counter)
    there: Counter[str] = field(factory=Counter)
    changed: dict[tuple[str, str], Told] = field(factory=dict)
    skipped: dict[tuple[str, str], Told] = field(factory=dict)
    behind: int = 0

    def change(self, table: str, id: object, why: str) -> None:
        """
        A row was taken, but not as it was.
        """
        self.changed.setdefault((table, why), Told()).of(id)

    def changed_by(self, other: Report) -> None:
        """
        Rows were taken otherwise as another report says.
        """
        for (table, why), told in other.changed.items():
            for id in told.examples:
                self.change(table, id, why)

    def skip(self, table: str, id: object, why: str, *, meant: bool = False) -> None:
        """
        A row was not taken: it could not be, or was not *meant* to be.
        """
        self.behind += not meant
        self.skipped.setdefault((table, why), Told()).of(id)

    def leave(self, table: str, why: str, count: int, examples: list[object]) -> None:
        """
        All of a table's rows were not taken.
        """
        if count:
            self.skipped[table, why] = Told(count, [str(each) for each in examples[:MOST_EXAMPLES]])

    def lines(self) -> Iterator[str]:
        """
        The report as people read it.
        """
        for table in sorted({*self.taken, *self.there}):
            there = f", {self.there[table]} were there already" if self.there[table] else ""
            yield f"{table}: {self.taken[table]} taken{there}"
        for what, told in (("taken otherwise", self.changed), ("skipped", self.skipped)):
            for (table, why), each in sorted(told.items()):
                named = ", ".join(each.examples) + (", ..." if each.count > len(each.examples) else "")
                yield f"{table}: {each.count} {what}: {why} ({named})"

    def plain(self) -> dict[str, Any]:
        """
        The report as programs read it.
        """
        return {
            "taken": dict(self.taken),
            "there": dict(self.there),
            "changed": [_plain(key, told) for key, told in sorted(self.changed.items())],
            "skipped": [_plain(key, told) for key, told in sorted(self.skipped.items())],
        }


def _plain(key: tuple[str, str], told: Told) -> dict[str, Any]:
    table, why = key
    return {"table": table, "why": why, "count": told.count, "examples": told.examples}
