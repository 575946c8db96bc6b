"""
Jobs for a thread of the SQLite driver: database steps (generators of statements) that run there, and their result or
error.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mission_adapters.sql.database_session import (
    BoundStatement,
    ConstraintViolated,
    Steps,
    invalid_value,
    raise_violation,
)
from mission_core.errors import OutcomeUnknown, StoreBusy, StoreFailed
from mission_core.lazy_attrs import define

if TYPE_CHECKING:
    from mission_adapters.sql.written_columns import WrittenColumns
    from mission_core.ids import OrganizationId

R = TypeVar("R")
ConstraintNames = Callable[[tuple[str, ...]], str | None]
"""A function that returns the name of the unique constraint on columns, named as by SQLite: `("boards.handle",)`."""

DATABASE_FAULTS: Final = frozenset(
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
"""Result codes that are the database's fault and not the statement's. SQLite may have rolled back, so the whole batch
is rolled back."""


@define(eq=False, repr=False)
class SqliteJob:
    """
    Database steps that run on a driver's thread, and the future that gets their result.
    """

    steps: Callable[[], Steps[Any]]
    future: asyncio.Future[Any]
    durable: bool = True
    wakes: OrganizationId | None = None
    answer: Any = None
    refusal: BaseException | None = None

    def run(self, cursor: sqlite3.Cursor, names: ConstraintNames, written: WrittenColumns | None = None) -> None:
        """
        Run the steps, and keep their result or error. What they write is noted in *written*.

        Raises:
            sqlite3.Error: If the database failed, which concerns the whole batch.
        """
        try:
            self.answer = run_steps(self.steps(), cursor, names, written)
        except BaseException as error:
            if is_database_fault(error):
                raise
            self.refusal = error

    def fail(self, error: sqlite3.Error, *, committing: bool) -> None:
        """
        Set the error of a batch that failed. After a disk error during the commit the outcome is unknown: the changes
        may be in the write-ahead log, and come back after a restart.
        """
        if committing and self.refusal is not None:
            return
        if committing and self.durable and sqlite_error_code(error) == sqlite3.SQLITE_IOERR:
            self.refusal = store_failure(error, OutcomeUnknown)
        else:
            self.refusal = store_failure(
                error, StoreBusy if sqlite_error_code(error) == sqlite3.SQLITE_BUSY else StoreFailed
            )

    def resolve(self) -> None:
        """
        Set the result or error of the future, unless it was cancelled.
        """
        if self.future.done():
            return
        if self.refusal is None:
            self.future.set_result(self.answer)
        else:
            self.future.set_exception(self.refusal)


def run_steps(
    steps: Steps[R], cursor: sqlite3.Cursor, names: ConstraintNames, written: WrittenColumns | None = None
) -> R:
    """
    Run the statements that *steps* yields on a cursor, send it the result of each, and return its final result. The
    violation of a constraint is thrown into *steps*, with the constraint's name from *names*.

    Args:
        written: Notes the columns that the statements write.
    """
    try:
        ask = next(steps)
        while True:
            try:
                answer = execute(ask, cursor, written)
            except sqlite3.IntegrityError as error:
                raise_violation(steps, ConstraintViolated(constraint_name(error, names)))
            except (OverflowError, UnicodeEncodeError) as error:
                raise invalid_value(error) from error
            ask = steps.send(answer)
    except StopIteration as stop:
        done: R = stop.value
        return done
    finally:
        steps.close()


def execute(ask: BoundStatement, cursor: sqlite3.Cursor, written: WrittenColumns | None = None) -> list[Any] | int:
    """
    Run one statement, and note it in *written*. Return its rows, or the number of rows it changed.
    """
    text, values, rows, many, _ = ask
    try:
        if many:
            return cursor.executemany(text, values).rowcount
        cursor.execute(text, values)
    finally:
        if written is not None:
            written.run.add(text)
            if written.compiled:
                written.keep_compiled(text)
    if rows:
        return cursor.fetchall()
    if cursor.rowcount < 0:  # the driver does not count the changes of WITH statements
        changed: int = cursor.execute("SELECT changes()").fetchone()[0]
        return changed
    return cursor.rowcount


def constraint_name(error: sqlite3.IntegrityError, names: ConstraintNames) -> str:
    """
    Return the name of the violated constraint. SQLite reports the names of checks and of indexes over expressions, the
    columns of unique constraints, and nothing about foreign keys.
    """
    _, _, detail = str(error).partition(" failed: ")
    if detail.startswith("index '"):
        return detail[len("index '") : -1]
    return names(tuple(detail.split(", "))) or detail or str(error)


def is_database_fault(error: BaseException) -> bool:
    """
    Whether the error is the database's fault and not the statement's.
    """
    return sqlite_error_code(error) in DATABASE_FAULTS


def sqlite_error_code(error: BaseException) -> int:
    """
    Return SQLite's primary result code of an error, or 0 for other errors.
    """
    return getattr(error, "sqlite_errorcode", 0) & 0xFF if isinstance(error, sqlite3.Error) else 0


def store_failure(error: BaseException, kind: type[StoreFailed] = StoreFailed) -> StoreFailed:
    """
    Return the store failure for an error of SQLite.
    """
    failed = kind(f"SQLite: {error}")
    failed.__cause__ = error
    return failed
