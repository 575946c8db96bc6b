"""
Checks of the database: whether it is usable, its schema is current, its secret matches and its clock agrees.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Final, Self

from mission_adapters.database import secret_keys
from mission_adapters.sql.database_inspection import (
    OLDEST_POSTGRES,
    OLDEST_SQLITE,
    DatabaseInspection,
    DatabaseProblem,
    DatabaseProduct,
    SearchIndexState,
    inspect_database,
)
from mission_adapters.sql.migrations import BASELINE, BEFORE_BASELINE
from mission_adapters.sql.secret_fingerprint import SecretMismatch
from mission_core.extras import install_command
from mission_core.lazy_attrs import frozen
from mission_http.doctor.findings import Check, DoctorFinding, FindingLevel
from mission_http.settings import default_database_url
from mission_http.wiring import database_location, secret_mismatch_message

if TYPE_CHECKING:
    from pathlib import Path

    from mission_http.settings import Settings

DATABASE: Final = Check("database")
MIGRATIONS: Final = Check("migrations")
SEARCH: Final = Check("search")
CLOCK: Final = Check("clock")
SECRET: Final = Check("secret")
URL_SETTINGS: Final = ("DATABASE_URL", "--database-url")
DIRECTORY_SETTINGS: Final = ("MISSION_CONTROL_DATA_DIR", "--data-dir")

CLOCK_TOLERANCE: Final = timedelta(seconds=5)
"""The greatest difference at which two clocks count as equal."""
CLOCK_PROBLEM: Final = timedelta(minutes=5)
"""The difference at which expiry times are visibly wrong, so it is a problem and no warning."""


@frozen(kw_only=True)
class DatabaseState:
    """
    The state of the database, as the doctor inspected it.

    Args:
        place: Its URL or path, without a password.
        own: Whether it is the default database in the data directory.
        examined: Its version, schema, clock and secret fingerprint, or why it cannot be used.
        at: When it was inspected.
    """

    place: str
    own: bool
    examined: DatabaseInspection
    at: datetime

    @classmethod
    async def inspect(cls, settings: Settings) -> Self:
        """
        Inspect the database that the settings name.
        """
        own = settings.database_url == default_database_url(settings.data_dir)
        examined = await inspect_database(settings.database_url)
        return cls(place=database_location(settings), own=own, examined=examined, at=datetime.now(UTC))

    @property
    def is_not_created(self) -> bool:
        """
        Whether the first start of the server will create it.
        """
        found = self.examined
        return (found.problem is None and not found.has_tables) or (
            self.own and found.problem is DatabaseProblem.NO_FOLDER
        )

    @property
    def variable(self) -> str:
        return "MISSION_CONTROL_DATA_DIR (or --data-dir)" if self.own else "DATABASE_URL (or --database-url)"

    @property
    def settings(self) -> tuple[str, str]:
        return DIRECTORY_SETTINGS if self.own else URL_SETTINGS


def check_database(database: DatabaseState) -> Iterator[DoctorFinding]:
    """
    Check that the database is reachable, of a supported version and writable.
    """
    place, found = database.place, database.examined
    if found.too_old:
        yield DATABASE.problem(place, *_version_advice(found))
    elif database.own and found.problem is DatabaseProblem.NO_FOLDER:
        yield DATABASE.ok(place, "will be created with its directory")
    elif found.problem is DatabaseProblem.UNSETTLED:
        advice = "start the server, which recovers the log, and run doctor again"
        yield DATABASE.warning(place, found.problem.value, advice)
    elif found.problem is not None:
        reason = f"{found.problem.value} ({found.reason})" if found.reason else found.problem.value
        yield DATABASE.problem(place, reason, _problem_advice(database, found.problem), *database.settings)
    elif not found.writable:
        advice = f"let this user write to it and create tables in it, or name another with {database.variable}"
        yield DATABASE.problem(place, "is read-only for this user", advice, *database.settings)
    else:
        told = f"{found.product.value} {_dotted(found.version)}"
        yield DATABASE.ok(place, told if found.has_tables else f"{told}, without tables so far")


def _version_advice(found: DatabaseInspection) -> tuple[str, str]:
    version = _dotted(found.version)
    if found.product is DatabaseProduct.SQLITE:
        oldest = _dotted(OLDEST_SQLITE)
        return (
            f"this Python reads it with SQLite {version}, and {oldest} is the oldest supported version",
            f"run Mission Control on a Python with SQLite {oldest} or newer, or give it a PostgreSQL with DATABASE_URL",
        )
    oldest = _dotted(OLDEST_POSTGRES)
    return (
        f"PostgreSQL {version} is older than {oldest}, the oldest that is supported",
        f"upgrade the server to {oldest} or newer, or name another with DATABASE_URL (or --database-url)",
    )


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _problem_advice(database: DatabaseState, trouble: DatabaseProblem) -> str:
    """
    Advise how to solve the problem that keeps the database from being used.
    """
    variable, sqlite = database.variable, database.examined.product is DatabaseProduct.SQLITE
    match trouble:
        case DatabaseProblem.MALFORMED:
            return f"write sqlite:///path or postgresql://user:password@host/name, @ as %40 in a password: {variable}"
        case DatabaseProblem.NO_DRIVER:
            return f"{install_command('postgres')}, or name a SQLite file with {variable}"
        case DatabaseProblem.UNREACHABLE:
            return f"start the server, allow connections to it, or correct host and port in {variable}"
        case DatabaseProblem.DENIED:
            return f"correct user and password in {variable}, or let them in with pg_hba.conf"
        case DatabaseProblem.MISSING:
            return f"create it (CREATE DATABASE), or correct the name in {variable}"
        case DatabaseProblem.NO_FOLDER:
            return f"create the folder, or correct {variable}"
        case DatabaseProblem.NO_DATABASE:
            return f"restore it from a backup, or name another with {variable}"
        case DatabaseProblem.LOCKED:
            return f"end the other program that has it open, or name another with {variable}"
        case DatabaseProblem.UNREADABLE:
            return f"let this user read and write it, or name another with {variable}"
    return f"see its error, or name another with {variable}" if sqlite else f"see its log, or correct {variable}"


def check_migrations(database: DatabaseState) -> Iterator[DoctorFinding]:
    """
    Check that the schema is at the newest revision.
    """
    place, found = database.place, database.examined
    if found.problem is not None or found.too_old:
        return
    if found.revision in BEFORE_BASELINE:
        told = f"is at revision {found.revision}, and this version migrates from {BASELINE} on"
        yield MIGRATIONS.problem(
            place, told,
            f"with a version whose newest revision is {BASELINE} make a backup and run mission-control migrate, "
            "then start this one",
            *database.settings,
        )  # fmt: skip
    elif found.missing_revisions is None:
        told = f"is at revision {found.revision}, which a newer version of Mission Control wrote"
        yield MIGRATIONS.problem(
            place, told, f"install that version again, or name another database with {database.variable}",
            *database.settings,
        )  # fmt: skip
    elif not found.missing_revisions:
        yield MIGRATIONS.ok(place, f"is at revision {found.revision}, the newest")
    elif found.revision is not None:
        told = f"is at revision {found.revision}, and lacks {', '.join(found.missing_revisions)}"
        yield MIGRATIONS.warning(place, told, "make a backup, then run mission-control migrate; serve does it too")
    elif found.has_tables:
        yield MIGRATIONS.warning(
            place, "has tables, and none of them is Mission Control's",
            f"if that is a mistake, name a separate database with {database.variable}", *database.settings,
        )  # fmt: skip
    else:
        yield MIGRATIONS.ok(place, "its tables will be created at the first start")


def check_search_index(database: DatabaseState) -> Iterator[DoctorFinding]:
    """
    Check that text search has its index. Without it every search reads all tasks.
    """
    place, found = database.place, database.examined
    sqlite = found.product is DatabaseProduct.SQLITE
    match found.search_index:
        case None:
            return
        case SearchIndexState.CREATED:
            yield SEARCH.ok(place, "has the trigram index of text search")
            return
        case SearchIndexState.NOT_CREATED:
            advice = "run mission-control migrate; serve does it too"
        case SearchIndexState.NOT_INSTALLED:
            advice = "run CREATE EXTENSION pg_trgm in it as a role that may, then mission-control migrate"
        case SearchIndexState.NOT_AVAILABLE if sqlite:
            advice = "run Mission Control on a Python whose SQLite has FTS5"
        case SearchIndexState.NOT_AVAILABLE:
            advice = "install PostgreSQL's additional modules on the server, then run mission-control migrate"
    yield SEARCH.warning(place, "has no trigram index, so a text search reads every task", advice)


def check_fingerprint(
    database: DatabaseState, secrets: Sequence[str], *, kept_in: Path | None
) -> Iterator[DoctorFinding]:
    """
    Check that `AUTH_SECRET`, or the one that a finished rotation replaced it with, is the secret of the database.
    """
    found = database.examined
    if found.problem is not None or found.too_old or found.revision is None or found.missing_revisions != ():
        return
    mismatch = SecretMismatch(len(found.sealed), len(found.sealed)) if found.fingerprint or found.sealed else None
    for secret in secrets:
        try:
            secret_keys(secret).check(found.fingerprint, found.sealed)
        except SecretMismatch as e:
            mismatch = e
        else:
            mismatch = None
            break
    if mismatch is not None:
        told, advice = secret_mismatch_message(mismatch, database.place, kept_in=kept_in)
        yield SECRET.problem("AUTH_SECRET", told.partition(": ")[2], advice, "AUTH_SECRET")
    elif secrets:
        yield SECRET.ok("AUTH_SECRET", f"is the secret of {database.place}")


def database_advice(database: DatabaseState) -> str:
    """
    Advise what to do about a database that a server could not start with; empty if it has no problem any more.
    """
    found = chain(check_database(database), check_migrations(database))
    return next((each.advice for each in found if each.level is FindingLevel.PROBLEM), "")


def check_clock(database: DatabaseState) -> Iterator[DoctorFinding]:
    """
    Check that this machine's clock agrees with the database server's, or on SQLite with the newest log entry.
    """
    found = database.examined
    if found.clock_ahead is not None:
        off, place = abs(found.clock_ahead), "this computer and the database server"
        told = f"their clocks are {off.total_seconds():.1f} seconds apart"
        advice = "set both by NTP: the server follows the database's clock, but agents and browsers do not"
    elif found.newest_entry_at is not None:
        off, place = (
            max(timedelta(0), found.newest_entry_at - database.at),
            "this computer and the newest entry of the log",
        )
        told = f"the entry is {off.total_seconds():.1f} seconds in the future" if off else "the entry is in the past"
        advice = "set this computer's clock by NTP: until it has caught up, leases end too late"
    else:
        return
    if off <= CLOCK_TOLERANCE:
        yield CLOCK.ok(place, told)
    else:
        yield (CLOCK.problem if off >= CLOCK_PROBLEM else CLOCK.warning)(place, told, advice)
