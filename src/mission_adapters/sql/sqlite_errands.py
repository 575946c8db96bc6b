"""
Errands to a thread of SQLite's driver: the steps that are taken there, and what they are refused with.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import define

from mission_adapters.sql.session import Ask, Steps, Violated, refuse, unkeepable
from mission_core.errors import OutcomeUnknown, StoreBusy, StoreFailed

if TYPE_CHECKING:
    from mission_core.ids import OrganizationId

R = TypeVar("R")
Names = Mapping[tuple[str, ...], str]
"""The name of each unique constraint, by its columns as SQLite reports them: `("boards.handle",)`."""

GAVE_UP: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)
"""What is the file's fault and not the statement's. SQLite may have rolled back already, so all is undone."""


@define(eq=False)
class Errand:
    """
    Steps on their way to a driver's thread and back, and who is to be told.
    """

    steps: Callable[[], Steps[Any]]
    told: asyncio.Future[Any]
    durable: bool = True
    wakes: OrganizationId | None = None
    answer: Any = None
    refusal: BaseException | None = None

    def run(self, cursor: sqlite3.Cursor, names: Names) -> None:
        """
        Take the steps.

        Raises:
            sqlite3.Error: If SQLite gave up. Whatever else goes wrong is the errand's own refusal.
        """
        try:
            self.answer = taken(self.steps(), cursor, names)
        except BaseException as error:
            if gave_up(error):
                raise
            self.refusal = error

    def refuse(self, error: sqlite3.Error, *, committing: bool) -> None:
        """
        Say that the whole batch failed. After an error of the disk during the commit it may come back: all of it may
        be in the log already, which is read after a crash.
        """
        if committing and self.refusal is not None:
            return
        if committing and self.durable and code_of(error) == sqlite3.SQLITE_IOERR:
            self.refusal = failure(error, OutcomeUnknown)
        else:
            self.refusal = failure(error, StoreBusy if code_of(error) == sqlite3.SQLITE_BUSY else StoreFailed)

    def tell(self) -> None:
        """
        Tell who waits, unless it was cancelled meanwhile.
        """
        if self.told.done():
            return
        if self.refusal is None:
            self.told.set_result(self.answer)
        else:
            self.told.set_exception(self.refusal)


def taken(steps: Steps[R], cursor: sqlite3.Cursor, names: Names) -> R:
    """
    The result of the steps, after all that they ask was answered.
    """
    try:
        ask = next(steps)
        while True:
            try:
                answer = answer_to(ask, cursor)
            except sqlite3.IntegrityError as error:
                refuse(steps, Violated(constraint_of(error, names)))
            except (OverflowError, UnicodeEncodeError) as error:
                raise unkeepable(error) from error
            ask = steps.send(answer)
    except StopIteration as stop:
        done: R = stop.value
        return done
    finally:
        steps.close()


def answer_to(ask: Ask, cursor: sqlite3.Cursor) -> list[Any] | int:
    """
    The rows that one statement gives, or the number of rows it changed.
    """
    text, values, rows, many, _ = ask
    if many:
        return cursor.executemany(text, values).rowcount
    cursor.execute(text, values)
    if rows:
        return cursor.fetchall()
    if cursor.rowcount < 0:  # it begins with WITH, which the driver does not count
        changed: int = cursor.execute("SELECT changes()").fetchone()[0]
        return changed
    return cursor.rowcount


def constraint_of(error: sqlite3.IntegrityError, names: Names) -> str:
    """
    The name of what was violated. SQLite tells the name of a check and of an index over expressions, but the columns
    of a unique constraint, and nothing of a foreign key.
    """
    _, _, told = str(error).partition(" failed: ")
    if told.startswith("index '"):
        return told[len("index '") : -1]
    return names.get(tuple(told.split(", ")), told or str(error))


def gave_up(error: BaseException) -> bool:
    """
    Whether SQLite itself could not go on, whatever the statement was.
    """
    return code_of(error) in GAVE_UP


def code_of(error: BaseException) -> int:
    """
    The error's kind in SQLite's numbers; 0 if it is none of SQLite's.
    """
    return getattr(error, "sqlite_errorcode", 0) & 0xFF if isinstance(error, sqlite3.Error) else 0


def failure(error: BaseException, kind: type[StoreFailed] = StoreFailed) -> StoreFailed:
    """
    The refusal for what SQLite could not do.
    """
    failed = kind(f"SQLite: {error}")
    failed.__cause__ = error
    return failed
