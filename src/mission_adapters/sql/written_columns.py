"""
The columns that SQLite statements write, as SQLite itself reports them when it compiles a statement: with the rows that
go with a deleted one (`ON DELETE CASCADE`) and with triggers.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from attrs import field

from mission_adapters.sql.read_cache import EVERYTHING
from mission_core.lazy_attrs import define

READING: Final = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
        sqlite3.SQLITE_TRANSACTION,
        sqlite3.SQLITE_SAVEPOINT,
        sqlite3.SQLITE_PRAGMA,
    }
)
"""The actions of a statement that change no rows."""


@define(eq=False)
class WrittenColumns:
    """
    The columns that the statements of one connection have written since the last `take`: `table.column` for an update,
    `table` for a row that came or went, and `EVERYTHING` for what is not known.

    It is used on the connection's thread only, `authorize` by SQLite while it compiles a statement.
    """

    by_text: dict[str, frozenset[str]] = field(factory=dict)
    compiled: set[str] = field(factory=set)
    """What SQLite has reported of the statement that runs now."""
    run: set[str] = field(factory=set)
    """The texts of the statements that have run."""

    def authorize(
        self, action: int, table: str | None, column: str | None, database: str | None, trigger: str | None
    ) -> int:
        """
        Note an action of a statement that is compiled. It is an authorizer callback that permits everything.
        """
        if action == sqlite3.SQLITE_UPDATE:
            self.compiled.add(f"{table}.{column}")
        elif action in (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_DELETE):
            self.compiled.add(str(table))
        else:
            self.compiled.add("" if action in READING else EVERYTHING)
        return sqlite3.SQLITE_OK

    def keep_compiled(self, text: str) -> None:
        """
        Keep what SQLite reported when it compiled this statement. One that it compiled before is not compiled again.
        """
        self.by_text[text] = self.by_text.get(text, frozenset()) | self.compiled
        self.compiled.clear()

    def take(self) -> set[str]:
        """
        Return what was written, and begin again.
        """
        written: set[str] = set()
        for text in self.run:
            written |= self.by_text.get(text, frozenset({EVERYTHING}))
        self.run.clear()
        return written
