"""
The report of an import: the number of imported rows, and the rows that were changed or skipped, with the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from attrs import field

from mission_core.lazy_attrs import define

MAX_EXAMPLES = 5


@define
class ReportedReason:
    """
    A reason that holds for rows of one table: the number of rows and the ids of the first ones.
    """

    count: int = 0
    examples: list[str] = field(factory=list)

    def add(self, id: object) -> None:
        self.count += 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(str(id))


@define
class ImportReport:
    """
    The result of an import, by table.

    *taken* counts new rows, *there* counts rows that were imported before. *changed* rows were imported with changes,
    *skipped* rows were not imported; both have the reason and examples. *failures* counts the skipped rows that should
    have been imported.
    """

    taken: Counter[str] = field(factory=Counter)
    there: Counter[str] = field(factory=Counter)
    changed: dict[tuple[str, str], ReportedReason] = field(factory=dict)
    skipped: dict[tuple[str, str], ReportedReason] = field(factory=dict)
    failures: int = 0

    def change(self, table: str, id: object, why: str) -> None:
        """
        Add a row that was imported with a change.
        """
        self.changed.setdefault((table, why), ReportedReason()).add(id)

    def add_changes(self, other: ImportReport) -> None:
        """
        Add the changes of another report.
        """
        for (table, why), told in other.changed.items():
            for id in told.examples:
                self.change(table, id, why)

    def skip(self, table: str, id: object, why: str, *, meant: bool = False) -> None:
        """
        Add a row that was not imported. With *meant*, that is intended and no failure.
        """
        self.failures += not meant
        self.skipped.setdefault((table, why), ReportedReason()).add(id)

    def leave(self, table: str, why: str, count: int, examples: list[object]) -> None:
        """
        Add all rows of a table that is not imported.
        """
        if count:
            self.skipped[table, why] = ReportedReason(count, [str(each) for each in examples[:MAX_EXAMPLES]])

    def lines(self) -> Iterator[str]:
        """
        The report as lines of text.
        """
        for table in sorted({*self.taken, *self.there}):
            there = f", {self.there[table]} imported before" if self.there[table] else ""
            yield f"{table}: {self.taken[table]} imported{there}"
        for what, told in (("changed", self.changed), ("skipped", self.skipped)):
            for (table, why), each in sorted(told.items()):
                named = ", ".join(each.examples) + (", ..." if each.count > len(each.examples) else "")
                yield f"{table}: {each.count} {what}: {why} ({named})"

    def plain(self) -> dict[str, Any]:
        """
        The report as JSON values.
        """
        return {
            "taken": dict(self.taken),
            "there": dict(self.there),
            "changed": [_json_of_reason(key, told) for key, told in sorted(self.changed.items())],
            "skipped": [_json_of_reason(key, told) for key, told in sorted(self.skipped.items())],
        }


def _json_of_reason(key: tuple[str, str], told: ReportedReason) -> dict[str, Any]:
    table, why = key
    return {"table": table, "why": why, "count": told.count, "examples": told.examples}
