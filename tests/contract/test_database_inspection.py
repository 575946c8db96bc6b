"""
What a database tells of itself to somebody who only looks.
"""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import asyncpg
import pytest

from mission_adapters import testing
from mission_adapters.sql import migrations
from mission_adapters.sql.database_inspection import (
    SQLITE_HEADER,
    DatabaseInspection,
    DatabaseProblem,
    DatabaseProduct,
    inspect_database,
)
from mission_adapters.sql.migrations import HEAD, lacking, migrate
from mission_adapters.sql.store import SqlStore
from mission_adapters.testing import ManualClock, make_world
from mission_core.agents.organization_creation import ensure_organization
from mission_core.usage.price_overrides import CreatePriceOverride, create_price_override
from mission_core.usage.use_cases import RecordUsage, UsageReport, record_usage
from mission_http.settings import settings_from
from mission_http.wiring import ports_over_database
from tests.sockets import listening

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """
    A file that is not there yet.
    """
    return tmp_path / "here" / "mission control.db"


@pytest.fixture
def made(path: Path) -> Path:
    """
    A database with all its tables, which nobody has open.
    """
    path.parent.mkdir()
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgres"])
def migrated(request: pytest.FixtureRequest) -> str:
    """
    A database of either kind with all its tables.
    """
    if request.param == "sqlite":
        return f"sqlite:///{request.getfixturevalue('made')}"
    url: str = request.getfixturevalue("fresh_postgres")
    migrate(url)
    return url


def seen(path: Path) -> DatabaseInspection:
    return asyncio.run(inspect_database(f"sqlite:///{path}"))


async def executed(url: str, statement: str) -> None:
    """
    Have a database of either kind do something.
    """
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
            connection.execute(statement)
    else:
        connection = await asyncpg.connect(url)
        await connection.execute(statement)
        await connection.close()


def files_below(folder: Path) -> dict[str, tuple[bytes, int]]:
    """
    What every file holds, and when it was written.
    """
    files = (each for each in folder.rglob("*") if each.is_file())
    return {str(each): (each.read_bytes(), each.stat().st_mtime_ns) for each in files}


async def test_a_database_of_this_version_is_told(migrated: str) -> None:
    """
    Its revision, that nothing is lacking, and that it can be written to.
    """
    told = await inspect_database(migrated)

    assert (None, HEAD, (), True, True) == (
        told.problem,
        told.revision,
        told.missing_revisions,
        told.has_tables,
        told.writable,
    )
    assert not told.too_old


async def test_a_database_that_is_behind_says_what_it_lacks(migrated: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    One revision after the other.
    """
    monkeypatch.setattr(migrations, "REVISIONS", (*migrations.REVISIONS, "9997", "9998"))

    told = await inspect_database(migrated)

    assert (HEAD, ("9997", "9998")) == (told.revision, told.missing_revisions)


@pytest.mark.parametrize("revision", ["0007", "9999"])
async def test_a_database_of_an_unknown_revision_is_told(revision: str, migrated: str) -> None:
    """
    Nobody here knows what it lacks.
    """
    await executed(migrated, f"UPDATE alembic_version SET version_num = '{revision}'")

    told = await inspect_database(migrated)

    assert (revision, None, None) == (told.revision, told.missing_revisions, told.problem)


def test_an_empty_database_lacks_everything(fresh_postgres: str, path: Path) -> None:
    """
    As does a file that is empty, or not there.
    """
    path.parent.mkdir()
    absent = seen(path)
    path.touch()
    told = [absent, seen(path), asyncio.run(inspect_database(fresh_postgres))]

    assert [(None, lacking(None), False, True)] * 3 == [
        (each.revision, each.missing_revisions, each.has_tables, each.writable) for each in told
    ]


async def test_tables_of_somebody_else_are_seen(fresh_postgres: str, path: Path) -> None:
    """
    In either kind of database.
    """
    path.parent.mkdir()
    for url in (fresh_postgres, f"sqlite:///{path}"):
        await executed(url, "CREATE TABLE foreign_ones (name text)")
        told = await inspect_database(url)

        assert (True, None) == (told.has_tables, told.revision)


@pytest.mark.parametrize(
    "url", ["sqlite:///", "mysql://here/db", "postgresql://me:se/same@here/db", "postgresql://me@here:there/db"]
)
async def test_a_malformed_url_is_told_without_a_word_of_it(url: str) -> None:
    """
    What was taken for a port may be the password.
    """
    told = await inspect_database(url)

    assert (DatabaseProblem.MALFORMED, "") == (told.problem, told.reason)


# SQLite.


def test_a_folder_that_is_missing_is_told(path: Path) -> None:
    """
    SQLite makes files, no folders.
    """
    assert DatabaseProblem.NO_FOLDER is seen(path).problem


@pytest.mark.parametrize("contents", [b"no database" * 100, b"short", SQLITE_HEADER, SQLITE_HEADER + b"\1" * 5000])
def test_a_file_that_is_no_database_is_told(contents: bytes, path: Path) -> None:
    """
    Nor one that only begins like one.
    """
    path.parent.mkdir()
    path.write_bytes(contents)

    assert DatabaseProblem.NO_DATABASE is seen(path).problem


def test_a_folder_in_the_files_place_is_told(path: Path) -> None:
    """
    With what the system says.
    """
    path.mkdir(parents=True)
    told = seen(path)

    assert (DatabaseProblem.UNREADABLE, "Is a directory") == (told.problem, told.reason)


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_lock_of_another_process_is_told(journal: str, made: Path) -> None:
    """
    It would keep every write waiting until it fails.
    """
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(made), journal], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert "held\n" == holder.stdout.readline()
        told = seen(made)
    finally:
        holder.kill()
        holder.communicate()

    assert (DatabaseProblem.LOCKED, "database is locked") == (told.problem, told.reason)


HOLDER = """
import sqlite3, sys, threading
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(f"PRAGMA journal_mode={sys.argv[2]}")
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
threading.Event().wait()
"""


async def test_a_database_in_use_is_looked_at_beside_the_server(made: Path) -> None:
    """
    Who looks does not see it locked, and sees what is still in the log.
    """
    async with SqlStore.open(f"sqlite:///{made}") as store:
        before = files_below(made.parent)
        told = await inspect_database(f"sqlite:///{made}")

        assert (None, HEAD, True) == (told.problem, told.revision, told.writable)
        assert before.keys() == files_below(made.parent).keys()
        await store.reads.ready()


@pytest.mark.parametrize("log", ["settled", "left behind", "left behind alone"])
def test_looking_writes_nothing(log: str, made: Path, tmp_path: Path) -> None:
    """
    After a server that ended well, one that was killed, and where the log was copied without its index.
    """
    with closing(sqlite3.connect(made)) as connection, connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE more (x)")
        shutil.copytree(made.parent, tmp_path / "copy")
    if log != "settled":
        made = tmp_path / "copy" / made.name
    if log == "left behind alone":
        made.with_name(made.name + "-shm").unlink()
    index = f"{made}-shm"
    before = files_below(made.parent)
    told = seen(made)
    after = files_below(made.parent)

    assert before.keys() == after.keys()
    # The index in shared memory is written to by every reader; it holds nothing that the log does not.
    assert before | {index: None} == after | {index: None}
    assert (DatabaseProblem.UNSETTLED if log == "left behind alone" else None) is told.problem


async def test_the_newest_entry_of_all_logs_is_told(tmp_path: Path) -> None:
    """
    Whoever's log it is in.
    """
    settings = settings_from({}, data_dir=tmp_path)
    async with ports_over_database(settings) as ports:
        for slug in ("one", "two"):
            await ensure_organization(ports, slug=slug)
    before = await inspect_database(settings.database_url)
    moved = "UPDATE events SET at = at + 3600000000 WHERE organization = (SELECT min(organization) FROM heads)"
    await executed(settings.database_url, moved)
    after = await inspect_database(settings.database_url)

    assert before.newest_entry_at is not None
    assert after.newest_entry_at is not None
    assert timedelta(minutes=1) > datetime.now(UTC) - before.newest_entry_at > timedelta(0)
    assert timedelta(minutes=59) < after.newest_entry_at - before.newest_entry_at


@pytest.mark.parametrize("mode", [0o555, 0o755])
def test_a_file_that_this_user_may_not_write_to_is_told(mode: int) -> None:
    """
    Nor make one beside it. Asked as somebody who is not root, for whom nothing is forbidden.
    """
    with TemporaryDirectory() as folder:  # not pytest's own, which others may not enter
        path = Path(folder) / "mission.db"
        migrate(f"sqlite:///{path}")
        path.chmod(0o444)
        Path(folder).chmod(mode)
        told = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, f"sqlite:///{path}"], capture_output=True, text=True, timeout=60
        )
        Path(folder).chmod(0o755)

    assert f"None {HEAD} False\n" == told.stdout, told.stderr


AS_NOBODY = f"""
import asyncio, os, sys
from mission_adapters.sql.database_inspection import inspect_database
asyncio.run(inspect_database(sys.argv[1]))  # so that all modules are loaded, which nobody may not be allowed to read
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
told = asyncio.run(inspect_database(sys.argv[1]))
print(told.problem, told.revision, told.writable)
"""


# PostgreSQL.


def with_parts(url: str, **parts: str) -> str:
    """
    The URL with another user, password or database.
    """
    split = urlsplit(url)
    user, password = parts.get("user", split.username), parts.get("password", split.password)
    who = f"{user}:{password}" if password else user
    place = split.netloc.rpartition("@")[2]
    return f"postgresql://{who}@{place}/{parts.get('database', split.path[1:])}?{split.query}"


async def test_a_server_that_is_not_there_is_told() -> None:
    """
    Refused at once, or by a name that nobody has.
    """
    for url in ("postgresql://me:sesame@127.0.0.1:1/db", "postgresql://me:sesame@nowhere.invalid/db"):
        told = await inspect_database(url)

        assert DatabaseProblem.UNREACHABLE is told.problem
        assert told.reason
        assert "sesame" not in told.reason


async def test_a_user_that_there_is_not_is_denied(fresh_postgres: str) -> None:
    """
    In the server's own words.
    """
    told = await inspect_database(with_parts(fresh_postgres, user="nobody_at_all", password="sesame"))

    assert DatabaseProblem.DENIED is told.problem
    assert "nobody_at_all" in told.reason
    assert "sesame" not in told.reason


async def test_a_wrong_password_is_denied() -> None:
    """
    As PostgreSQL says it; the one of the tests may believe everybody.
    """
    async with saying(b'SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user "me"\0\0') as port:
        told = await inspect_database(f"postgresql://me:sesame@127.0.0.1:{port}/db")

    assert (DatabaseProblem.DENIED, 'password authentication failed for user "me"') == (told.problem, told.reason)


@asynccontextmanager
async def saying(error: bytes) -> AsyncIterator[int]:
    """
    A server that speaks no TLS, and answers everybody with one error, in PostgreSQL's format.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for reply in (b"N", b"E" + (len(error) + 4).to_bytes(4) + error):
            length = int.from_bytes(await reader.readexactly(4))
            await reader.readexactly(length - 4)
            writer.write(reply)
            await writer.drain()

    async with listening(answer) as port:
        yield port


async def test_a_database_that_there_is_not_is_told(fresh_postgres: str) -> None:
    """
    The server is there, and lets us in.
    """
    told = await inspect_database(with_parts(fresh_postgres, database="nowhere_at_all"))

    assert DatabaseProblem.MISSING is told.problem


@pytest.fixture
def reader(fresh_postgres: str, postgres_url: str) -> Iterator[str]:
    """
    The database, as a user who may not make tables in it.
    """
    name = f"reader_{urlsplit(fresh_postgres).path[-8:]}"
    asyncio.run(executed(fresh_postgres, f"CREATE ROLE {name} LOGIN PASSWORD 'sesame'"))
    asyncio.run(executed(fresh_postgres, "REVOKE CREATE ON SCHEMA public FROM PUBLIC"))
    yield with_parts(fresh_postgres, user=name, password="sesame")
    asyncio.run(executed(fresh_postgres, f"DROP OWNED BY {name}; DROP ROLE {name}"))


def test_a_user_who_may_make_no_tables_is_told(reader: str) -> None:
    """
    The first start would fail.
    """
    told = asyncio.run(inspect_database(reader))

    assert (None, False) == (told.problem, told.writable)


async def test_a_database_that_takes_no_changes_is_told(fresh_postgres: str) -> None:
    """
    As a standby server does not.
    """
    name = urlsplit(fresh_postgres).path[1:]
    await executed(fresh_postgres, f"ALTER DATABASE {name} SET default_transaction_read_only = on")

    told = await inspect_database(fresh_postgres)

    assert (None, False) == (told.problem, told.writable)


async def test_the_servers_version_and_clock_are_told(fresh_postgres: str) -> None:
    """
    As they are on the machine of the tests.
    """
    told = await inspect_database(fresh_postgres)

    assert DatabaseProduct.POSTGRES is told.product
    assert (15,) <= told.version
    assert told.clock_ahead is not None
    assert timedelta(seconds=1) > abs(told.clock_ahead)


async def test_the_oldest_price_of_an_organization_is_told(migrated: str) -> None:
    """
    One that ends by itself is no price that may be forgotten.
    """
    async with SqlStore.open(migrated) as store:
        clock = ManualClock()
        world = await make_world(testing.ports_over(store, clock=clock))
        assert (await inspect_database(migrated)).oldest_price_at is None
        for until in (clock.now() + timedelta(days=1), None, None):
            price = CreatePriceOverride(model="large", input=1, output=1, until=until)
            await create_price_override(world.ports, world.me, price)
            clock.advance(seconds=1)

    assert clock.now() - timedelta(seconds=2) == (await inspect_database(migrated)).oldest_price_at


async def test_recent_tokens_without_a_price_are_told(migrated: str) -> None:
    """
    Those of an older use are not.
    """
    days = {40: 1000, 3: 20, 0: 3}
    async with SqlStore.open(migrated) as store:
        world = await make_world(testing.ports_over(store, clock=store.clock))
        for ago, tokens in days.items():
            used_at = world.ports.clock.now() - timedelta(days=ago)
            told = UsageReport(model="unheard-of", input_tokens=tokens, output_tokens=0, used_at=used_at)
            await record_usage(world.ports, world.me, RecordUsage(report=told))

    assert 23 == (await inspect_database(migrated)).unpriced_tokens
