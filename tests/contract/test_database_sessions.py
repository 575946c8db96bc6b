"""
What every session promises, over a small schema of its own.
"""

import asyncio
import gc
import socket
import sqlite3
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from attrs import define, frozen

from mission_adapters.sql.database_session import BoundStatement, ConstraintViolated, DatabaseSession, Steps
from mission_adapters.sql.postgres_session import PostgresSession, dsn_from
from mission_adapters.sql.sqlite_session import SqliteSession
from mission_core.errors import OutcomeUnknown, StoreBusy, StoreFailed, StoreUnreachable
from mission_core.ids import OrganizationId
from tests.contract.postgres_faults import failing_with, isolated

ACME = OrganizationId(UUID(int=1))
GLOBEX = OrganizationId(UUID(int=2))

SCHEMA = [
    "CREATE TABLE heads (organization {bytes} PRIMARY KEY, position BIGINT NOT NULL)",
    "CREATE TABLE events (organization {bytes}, position BIGINT, subject {bytes})",
    """
    CREATE TABLE things (
        id BIGINT PRIMARY KEY,
        name TEXT NOT NULL,
        amount BIGINT NOT NULL DEFAULT 0,
        CONSTRAINT uq_things_name UNIQUE (name),
        CONSTRAINT ck_things_amount CHECK (amount >= 0)
    )
    """,
]


class Changed(Exception):
    """
    The steps' own refusal.
    """


@frozen
class Place:
    """
    Where sessions open onto one database.
    """

    opened: Callable[[], Any]
    dialect: str


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """
    An empty database of each kind.
    """
    if request.param == "sqlite":
        names = {("things.id",): "things_pkey", ("things.name",): "uq_things_name"}
        return Place(lambda: SqliteSession.open(tmp_path / "it.db", constraints=names.get), request.param)
    url = request.getfixturevalue("fresh_postgres")
    return Place(lambda: PostgresSession.open(url), request.param)


@pytest.fixture
async def place(empty: Place) -> Place:
    """
    A database of each kind, with the schema and no rows.
    """
    async with empty.opened() as session:
        for table in SCHEMA:
            await session.write(asking(session, table.format(bytes="BLOB" if empty.dialect == "sqlite" else "BYTEA")))
    return empty


@pytest.fixture
async def session(place: Place) -> AsyncIterator[DatabaseSession]:
    """
    A session onto that database.
    """
    async with place.opened() as session:
        yield session


def spelled(session: DatabaseSession, text: str) -> str:
    """
    The statement with the dialect's own placeholders.
    """
    first, *others = text.split("?")
    if session.dialect == "sqlite" or not others:
        return text
    return first + "".join(f"${n}{part}" for n, part in enumerate(others, 1))


def asking(
    session: DatabaseSession, *asks: str | tuple[Any, ...], rows: bool = False
) -> Callable[[], Steps[list[Any]]]:
    """
    Steps that ask one statement after the other and return the answers.
    """

    def steps() -> Steps[list[Any]]:
        answers = []
        for ask in asks:
            text, *values = (ask,) if isinstance(ask, str) else ask
            answers.append((yield BoundStatement(spelled(session, text), values, returns_rows=rows)))
        return answers

    return steps


def add(session: DatabaseSession, id: int, name: str, amount: int = 0) -> Callable[[], Steps[list[Any]]]:
    return asking(session, ("INSERT INTO things (id, name, amount) VALUES (?, ?, ?)", id, name, amount))


def moved_on(session: DatabaseSession, organization: OrganizationId) -> Callable[[], Steps[list[Any]]]:
    """
    Steps that add one entry to a log.
    """
    return asking(
        session,
        (
            "INSERT INTO heads (organization, position) VALUES (?, 1) "
            "ON CONFLICT (organization) DO UPDATE SET position = heads.position + 1",
            organization.bytes,
        ),
    )


async def names_in(session: DatabaseSession) -> list[str]:
    [rows] = await session.read(asking(session, "SELECT name FROM things ORDER BY id", rows=True))
    return [row[0] for row in rows]


async def soon(waited: Any) -> Any:
    """
    The answer, or a failure instead of a test that hangs.
    """
    return await asyncio.wait_for(waited, 20)


async def test_a_read_sees_what_was_acknowledged(session):
    for n in range(20):
        await session.write(add(session, n, f"thing {n}"))

        assert n + 1 == len(await names_in(session))


async def test_a_change_counts_its_rows(session):
    await session.write(add(session, 1, "one"))
    await session.write(add(session, 2, "two"))
    change = asking(session, "UPDATE things SET amount = 5", ("DELETE FROM things WHERE id = ?", 3))

    assert [2, 0] == await session.write(change)


async def test_a_change_behind_a_with_counts_its_rows(session):
    await session.write(add(session, 1, "one"))
    text = "WITH wanted AS (SELECT 1 AS id) UPDATE things SET amount = 5 WHERE id IN (SELECT id FROM wanted)"

    assert [1] == await session.write(asking(session, text))


async def test_many_values_for_one_statement(session):
    def steps():
        yield BoundStatement(
            spelled(session, "INSERT INTO things (id, name) VALUES (?, ?)"),
            [(n, f"thing {n}") for n in range(3)],
            returns_rows=False,
            many=True,
        )

    await session.write(steps)

    assert ["thing 0", "thing 1", "thing 2"] == await names_in(session)


async def test_a_refusal_undoes_its_own_steps_alone(session):
    def refused():
        yield from add(session, 100, "refused")()
        raise Changed

    results = await soon(
        asyncio.gather(
            *(session.write(refused if n == 3 else add(session, n, f"thing {n}")) for n in range(6)),
            return_exceptions=True,
        )
    )

    assert [3] == [n for n, result in enumerate(results) if isinstance(result, Changed)]
    assert [f"thing {n}" for n in (0, 1, 2, 4, 5)] == await names_in(session)


@pytest.mark.parametrize(
    ("constraint", "id", "name", "amount"),
    [("things_pkey", 1, "other", 0), ("uq_things_name", 2, "one", 0), ("ck_things_amount", 2, "two", -1)],
)
async def test_a_violated_constraint_names_itself(session, constraint, id, name, amount):
    await session.write(add(session, 1, "one"))
    seen = []

    def steps():
        try:
            yield from add(session, id, name, amount)()
        except ConstraintViolated as violated:
            seen.append(violated.constraint)
            raise Changed from violated

    with pytest.raises(Changed):
        await session.write(steps)

    assert [constraint] == seen
    assert ["one"] == await names_in(session)


async def test_nothing_is_asked_after_a_violation(session):
    """
    PostgreSQL could not answer, so neither does SQLite.
    """
    await session.write(add(session, 1, "one"))

    def steps():
        try:
            yield from add(session, 1, "one")()
        except ConstraintViolated:
            yield from add(session, 2, "two")()

    with pytest.raises(RuntimeError):
        await session.write(steps)

    assert ["one"] == await names_in(session)


async def test_a_wrong_statement_is_no_failure_of_the_store(session):
    with pytest.raises(Exception, match="nonsense") as caught:
        await session.write(asking(session, "INSERT INTO nonsense VALUES (1)"))

    assert not isinstance(caught.value, StoreFailed)


async def test_rows_locked_in_opposite_order(session):
    """
    Two writes that would wait for each other are both done.
    """
    await session.write(add(session, 1, "one"))
    await session.write(add(session, 2, "two"))
    raise_one = ("UPDATE things SET amount = amount + 1 WHERE id = ?", 1)
    raise_two = ("UPDATE things SET amount = amount + 1 WHERE id = ?", 2)
    for _ in range(3):
        await soon(
            asyncio.gather(
                session.write(asking(session, raise_one, raise_two)),
                session.write(asking(session, raise_two, raise_one)),
            )
        )

    assert [[(6,), (6,)]] == [
        [tuple(row) for row in rows]
        for rows in await session.read(asking(session, "SELECT amount FROM things ORDER BY id", rows=True))
    ]


async def test_steps_of_writes_never_mix(session):
    """
    Counting up by reading and writing loses nothing when the row is locked by what is asked first.
    """
    await session.write(add(session, 1, "one"))

    def count_up():
        yield BoundStatement("UPDATE things SET amount = amount WHERE id = 1", returns_rows=False)
        [(amount,)] = yield BoundStatement("SELECT amount FROM things WHERE id = 1")
        yield BoundStatement(
            spelled(session, "UPDATE things SET amount = ? WHERE id = 1"), (amount + 1,), returns_rows=False
        )
        return amount

    seen = await soon(asyncio.gather(*(session.write(count_up) for _ in range(50))))

    assert list(range(50)) == sorted(seen)


async def test_what_need_not_be_durable_is_kept_too(session):
    await session.write(add(session, 1, "one"), durable=False)
    await session.write(add(session, 2, "two"), durable=True)

    assert ["one", "two"] == await names_in(session)


@pytest.mark.parametrize("durable", [True, False])
async def test_a_statement_that_is_alone(session, durable):
    def steps():
        text = "INSERT INTO things (id, name) VALUES (1, 'one') RETURNING name"
        [(name,)] = yield BoundStatement(text, single=True)
        return name

    assert "one" == await session.write(steps, durable=durable)
    assert ["one"] == await names_in(session)

    with pytest.raises(ConstraintViolated):
        await session.write(steps, durable=durable)


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
async def test_a_statement_that_is_alone_sees_what_it_waited_for(fresh_postgres, level):
    """
    Whatever the default isolation of the database is. With these it would fail after a wait for another change.
    """
    await isolated(fresh_postgres, level)

    def steps():
        [[found]] = yield BoundStatement("SELECT current_setting('transaction_isolation')", single=True)
        return found

    async with PostgresSession.open(fresh_postgres) as session:
        assert "read committed" == await session.write(steps)


async def test_steps_that_ask_nothing(session):
    def steps():
        return "done"
        yield

    assert "done" == await session.read(steps)
    assert "done" == await session.write(steps)


async def test_a_cancelled_write_harms_nobody(session):
    tasks = [asyncio.ensure_future(session.write(add(session, n, f"thing {n}"))) for n in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await soon(asyncio.gather(*tasks, return_exceptions=True))

    assert {f"thing {n}" for n in range(1, 20, 2)} <= set(await names_in(session))
    assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
    assert ["later"] == (await session.write(add(session, 99, "later")), await names_in(session))[1][-1:]


async def test_a_cancelled_read_harms_nobody(session):
    tasks = [asyncio.ensure_future(names_in(session)) for _ in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await soon(asyncio.gather(*tasks, return_exceptions=True))

    assert [[]] * 10 == results[1::2]


async def test_closing_finishes_what_is_under_way(place):
    async with place.opened() as session:
        writes = [asyncio.ensure_future(session.write(add(session, n, f"thing {n}"))) for n in range(30)]
        reads = [asyncio.ensure_future(names_in(session)) for n in range(30)]
        await asyncio.sleep(0)
        await soon(session.close())
        await soon(asyncio.gather(*writes, *reads))
        await session.close()

        with pytest.raises(StoreUnreachable):  # which says nothing of changes
            await names_in(session)
        with pytest.raises(StoreUnreachable):
            await session.wait(ACME, after=0)
        with pytest.raises(StoreFailed, match="nothing was changed"):
            await session.write(add(session, 99, "late"))

    async with place.opened() as session:
        assert 30 == len(await names_in(session))


async def test_closing_ends_a_wait(place):
    async with place.opened() as session:
        waiting = asyncio.ensure_future(session.wait(ACME, after=0))
        await names_in(session)
        await soon(session.close())

        with pytest.raises(StoreUnreachable):
            await soon(waiting)


async def test_no_wait_for_what_is_there(session):
    await session.write(moved_on(session, ACME), wakes=ACME)

    await soon(session.wait(ACME, after=0))


async def test_a_commit_wakes_who_waits_for_that_log(session):
    acme = asyncio.ensure_future(session.wait(ACME, after=0))
    globex = asyncio.ensure_future(session.wait(GLOBEX, after=0))
    await session.write(moved_on(session, ACME), wakes=ACME)
    await soon(acme)

    assert not globex.done()

    await session.write(moved_on(session, GLOBEX), wakes=GLOBEX)
    await soon(globex)


async def test_a_wait_for_more_is_not_woken_by_less(session):
    far = asyncio.ensure_future(session.wait(ACME, after=2))
    for position in range(2):
        await session.write(moved_on(session, ACME), wakes=ACME)
        await soon(session.wait(ACME, after=position))

    assert not far.done()

    await session.write(moved_on(session, ACME), wakes=ACME)
    await soon(far)


async def test_a_wait_that_was_given_up_leaves_the_others(session):
    given_up = asyncio.ensure_future(session.wait(ACME, after=0))
    other = asyncio.ensure_future(session.wait(ACME, after=0))
    await names_in(session)
    given_up.cancel()
    await session.write(moved_on(session, ACME), wakes=ACME)

    await soon(other)


@define
class Follower:
    """
    Follows a log by waiting for it, one position after the other, up to a last one.
    """

    session: DatabaseSession
    last: int

    async def follow(self) -> None:
        for position in range(self.last):
            await self.session.wait(ACME, after=position)


async def test_no_wake_is_lost(session):
    """
    Many write, one follows, and arrives at the end.
    """
    following = asyncio.ensure_future(Follower(session, 200).follow())

    async def write_some() -> None:
        for _ in range(25):
            await session.write(moved_on(session, ACME), wakes=ACME)

    await soon(asyncio.gather(*(write_some() for _ in range(8))))
    await soon(following)


async def test_a_commit_wakes_who_waits_elsewhere(place):
    """
    Another session on the same database stands for another process.
    """
    async with place.opened() as here, place.opened() as there:
        following = asyncio.ensure_future(Follower(here, 3).follow())
        for position in range(3):
            await there.write(moved_on(there, ACME), wakes=ACME)
            await soon(here.wait(ACME, after=position))
        await soon(following)


class TestSqlite:
    """
    What only a file promises.
    """

    @pytest.fixture
    async def session(self, tmp_path: Path) -> AsyncIterator[SqliteSession]:
        async with sqlite_at(tmp_path) as session:
            yield session

    async def test_what_waits_is_committed_together(self, session):
        commits: list[str] = []
        await session.writer.set_trace_callback(lambda text: commits.append(text) if text == "COMMIT" else None)
        await soon(asyncio.gather(*(session.write(add(session, n, f"thing {n}")) for n in range(100))))

        assert 1 == len(commits)
        assert 100 == len(await names_in(session))

    async def test_a_full_disk_fails_the_whole_batch(self, session):
        """
        SQLite may have rolled everything back, so nothing of the batch is kept, and all are told.
        """
        await session.write(add(session, 1000, "kept"))
        ((pages,),) = await session.writer.execute_fetchall("PRAGMA page_count")
        await session.writer.execute_fetchall(f"PRAGMA max_page_count={pages + 2}")
        big = "x" * 20_000
        writes = [add(session, 0, "small"), add(session, 1, big), add(session, 2, "small too")]
        results = await soon(asyncio.gather(*map(session.write, writes), return_exceptions=True))

        assert [StoreFailed] * 3 == [type(result) for result in results]
        assert "full" in str(results[0])
        assert ["kept"] == await names_in(session)

        await session.writer.execute_fetchall("PRAGMA max_page_count=1000000")
        await session.write(writes[1])

        assert [big, "kept"] == await names_in(session)

    async def test_a_file_that_is_locked_for_too_long(self, tmp_path):
        async with sqlite_at(tmp_path) as session, sqlite_at(tmp_path, busy_timeout=0.01) as other:
            await session.writer.execute_fetchall("BEGIN IMMEDIATE")
            with pytest.raises(StoreFailed, match="locked"):
                await soon(other.write(add(other, 1, "one")))
            await session.writer.execute_fetchall("ROLLBACK")
            await soon(other.write(add(other, 1, "one")))

            assert ["one"] == await names_in(session)

    async def test_only_what_must_be_durable_waits_for_the_disk(self, session):
        def spelling():
            [(level,)] = yield BoundStatement("PRAGMA synchronous")
            return level

        light, full = 1, 2

        assert full == await session.write(spelling)
        assert light == await session.write(spelling, durable=False)
        assert [full, full] == await asyncio.gather(session.write(spelling, durable=False), session.write(spelling))

    @pytest.mark.parametrize("durable", [True, False])
    async def test_what_was_acknowledged_survives_a_killed_process(self, session, tmp_path, durable):
        writer = await run_python(KILLED, tmp_path / "it.db", durable, stdout=PIPE)
        for _ in range(100):
            acknowledged = int(await soon(writer.stdout.readline()))
        writer.kill()
        await soon(writer.communicate())
        [[(kept,)]] = await session.read(asking(session, "SELECT max(id) FROM things", rows=True))

        assert acknowledged <= kept

    async def test_a_session_that_is_never_closed_keeps_no_process_alive(self, tmp_path):
        process = await run_python(NEVER_CLOSED, tmp_path / "it.db")

        assert 0 == await soon(process.wait())

    async def test_many_who_make_the_same_file(self, tmp_path):
        async def opened() -> None:
            async with sqlite_at(tmp_path, busy_timeout=10):
                pass

        await soon(asyncio.gather(*(opened() for _ in range(6))))

    async def test_a_place_without_a_file(self, tmp_path):
        with pytest.raises(StoreFailed, match="open"):
            async with SqliteSession.open(tmp_path / "nowhere" / "it.db"):
                pass

    async def test_readers_cannot_write(self, session):
        with pytest.raises(StoreUnreachable, match="readonly"):
            await session.read(add(session, 1, "one"))

    async def test_a_reader_whose_commit_fails_reads_on(self, session):
        """
        Once it may commit again.
        """

        def no_commits(action: int, what: str | None, *_: object) -> int:
            commits = (action, what) == (sqlite3.SQLITE_TRANSACTION, "COMMIT")
            return sqlite3.SQLITE_DENY if commits else sqlite3.SQLITE_OK

        for each in session.readers:
            await each._execute(each._conn.set_authorizer, no_commits)
        for _ in session.readers:
            with pytest.raises(StoreUnreachable):
                await names_in(session)
        for each in session.readers:
            await each._execute(each._conn.set_authorizer, None)

        assert [[]] * 4 == [await names_in(session) for _ in range(4)]

    async def test_steps_of_a_read_see_one_moment(self, session):
        """
        A commit between two statements of a read is not seen by the second.
        """

        def steps():
            before = yield BoundStatement("SELECT count(*) FROM things")
            asyncio.run_coroutine_threadsafe(session.write(add(session, 1, "one")), loop).result(20)
            after = yield BoundStatement("SELECT count(*) FROM things")
            return before, after

        loop = asyncio.get_running_loop()

        assert ([(0,)], [(0,)]) == await soon(session.read(steps))
        assert ["one"] == await names_in(session)

    async def test_a_slow_read_does_not_hold_up_the_others(self, session):
        """
        A second reader takes over from one that is under way for long.
        """

        def slow():
            yield BoundStatement("SELECT 1")
            asyncio.run_coroutine_threadsafe(names_in(session), loop).result(20)

        loop = asyncio.get_running_loop()

        await soon(session.read(slow))


KILLED = """
import asyncio, sys
from mission_adapters.sql.database_session import BoundStatement
from mission_adapters.sql.sqlite_session import SqliteSession

async def main(path, durable):
    async with SqliteSession.open(path) as session:
        for n in range(1_000_000):
            def steps():
                yield BoundStatement("INSERT INTO things (id, name) VALUES (?, ?)", (n, str(n)), returns_rows=False)
            await session.write(steps, durable=durable)
            print(n, flush=True)

asyncio.run(main(sys.argv[1], sys.argv[2] == "True"))
"""

NEVER_CLOSED = """
import asyncio, sys
from mission_adapters.sql.sqlite_session import SqliteSession

async def main(path):
    global opening, session
    opening = SqliteSession.open(path)
    session = await opening.__aenter__()

loop = asyncio.new_event_loop()
loop.run_until_complete(main(sys.argv[1]))
sys.exit(0)
"""


async def run_python(program: str, *arguments: object, **options: Any) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-c", program, *map(str, arguments), **options)


@asynccontextmanager
async def sqlite_at(folder: Path, **options: Any) -> AsyncIterator[SqliteSession]:
    async with SqliteSession.open(folder / "it.db", **options) as session:
        for table in SCHEMA:
            text = table.format(bytes="BLOB").replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS")
            if options:
                continue
            await session.write(asking(session, text))
        yield session


class TestPostgres:
    """
    What only a server promises.
    """

    @pytest.fixture
    async def session(self, fresh_postgres: str) -> AsyncIterator[PostgresSession]:
        async with PostgresSession.open(fresh_postgres, size=4) as session:
            for table in SCHEMA:
                await session.write(asking(session, table.format(bytes="BYTEA")))
            yield session

    async def test_lost_connections_are_replaced(self, session, fresh_postgres):
        await soon(asyncio.gather(*(session.write(add(session, n, f"before {n}")) for n in range(100, 104))))
        await cut_all(fresh_postgres)
        results = await soon(asyncio.gather(*(session.write(add(session, n, f"thing {n}")) for n in range(8))))

        assert [[1]] * 8 == results

    async def test_a_connection_lost_under_a_write(self, session, fresh_postgres):
        """
        What was not committed yet is run again.
        """
        runs = []

        def steps():
            runs.append(1)
            yield from add(session, 1, "one")()
            if len(runs) == 1:
                yield BoundStatement("SELECT pg_terminate_backend(pg_backend_pid())")

        await soon(session.write(steps))

        assert 2 == len(runs)
        assert ["one"] == await names_in(session)

    async def test_a_connection_that_is_lost_every_time(self, session):
        with pytest.raises(StoreFailed):
            await soon(session.write(asking(session, "SELECT pg_terminate_backend(pg_backend_pid())", rows=True)))

        assert [] == await names_in(session)

    async def test_who_waits_survives_a_lost_listening_connection(self, session, fresh_postgres):
        waiting = asyncio.ensure_future(session.wait(ACME, after=1))
        await session.write(moved_on(session, ACME), wakes=ACME)
        await soon(session.wait(ACME, after=0))
        await cut_all(fresh_postgres)
        async with PostgresSession.open(fresh_postgres) as other:
            await other.write(moved_on(other, ACME), wakes=ACME)
        await soon(waiting)

    @pytest.mark.parametrize("code", ["53100", "53300", "57014", "25006", "58030"])
    async def test_what_is_the_servers_fault(self, session, code):
        """
        A full disk, too many connections, a cancelled statement, a standby, an I/O error.
        """
        with pytest.raises(StoreFailed):
            await session.write(asking(session, failing_with(code)))

        assert [] == await names_in(session)

    @pytest.mark.parametrize("code", ["40001", "40P01"])
    async def test_what_was_interrupted_is_run_again(self, session, code):
        runs = []

        def steps():
            runs.append(1)
            yield from add(session, len(runs), "one")()
            if len(runs) < 3:
                yield BoundStatement(failing_with(code), returns_rows=False)

        await session.write(steps)

        assert ["one"] == await names_in(session)
        with pytest.raises(StoreBusy):
            await session.write(asking(session, failing_with(code)))

    async def test_a_commit_whose_connection_is_lost(self, session):
        """
        Nobody knows what became of it, so it is not run again.
        """
        runs = []

        def steps():
            runs.append(1)
            yield BoundStatement("SELECT pg_terminate_backend(pg_backend_pid())", single=True)

        with pytest.raises(OutcomeUnknown):
            await session.write(steps)

        assert [1] == runs

    async def test_a_draw_whose_connection_is_lost(self, session):
        """
        What may leave a gap is run again.
        """
        runs = []

        def steps():
            runs.append(1)
            yield BoundStatement(
                "SELECT pg_terminate_backend(pg_backend_pid())" if len(runs) == 1 else "SELECT 1", single=True
            )

        await session.write(steps, durable=False)

        assert [1, 1] == runs

    async def test_what_others_are_in_the_way_of(self, session):
        """
        A lock that cannot be had is given up at once, for waiting was enough.
        """
        runs = []

        def steps():
            runs.append(1)
            yield BoundStatement(failing_with("55P03"), returns_rows=False)

        with pytest.raises(StoreBusy, match="repeat the request"):
            await session.write(steps)

        assert [1] == runs

    async def test_writes_that_wait_for_a_lock_keep_no_read_waiting(self, session, fresh_postgres):
        """
        However many there are.
        """
        await session.write(add(session, 1, "one"))
        other = await asyncpg.connect(fresh_postgres)
        async with other.transaction():
            await other.execute("SELECT FROM things FOR UPDATE")
            lock = asking(session, "SELECT FROM things FOR UPDATE")
            writes = [asyncio.ensure_future(session.write(lock)) for _ in range(9)]
            while 5 > len(session._writing.waiting):  # the other four have a connection each
                await other.fetchval("SELECT 1")

            assert ["one"] == await soon(names_in(session))
        await soon(asyncio.gather(*writes))
        await other.close()

    async def test_a_read_that_gets_no_answer(self, session):
        """
        Its refusal says nothing of changes.
        """
        for code in ("53100", "55P03", "40P01"):
            with pytest.raises(StoreUnreachable, match="cannot be reached"):
                await session.read(asking(session, failing_with(code)))

    async def test_both_ends_notice_a_peer_that_is_gone(self, session):
        """
        On the connections of every pool. PostgreSQL tells 0 for keep-alives where the connection has none.
        """
        names = ("idle_in_transaction_session_timeout", "lock_timeout", "tcp_keepalives_idle")
        question = f"SELECT {', '.join(f'current_setting({name!r})' for name in names)}"
        for pool in (session._reading, session._writing, session._not_durable):
            connection = await pool.take()
            told, end = await connection.fetchrow(question), connection._transport.get_extra_info("socket")
            pool.give(connection)
            local = end.family == socket.AF_UNIX

            assert ("4s", "3s", "0" if local else "15") == tuple(told)
            assert local or end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)

    async def test_a_caller_that_is_cancelled_while_a_connection_is_made_leaves_no_error(self, fresh_postgres):
        """
        Whenever it is cancelled.
        """
        said = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: said.append(context))
        try:
            for turns in range(12):
                async with PostgresSession.open(fresh_postgres) as session:
                    waiting = asyncio.ensure_future(session.wait(ACME, after=0))  # which opens a connection to listen
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    waiting.cancel()
                gc.collect()
        finally:
            loop.set_exception_handler(None)

        assert [] == said

    async def test_more_callers_than_connections(self, session):
        assert [[]] * 40 == await soon(asyncio.gather(*(names_in(session) for _ in range(40))))
        assert 4 == session._reading.opened

    async def test_a_server_that_is_not_there(self, tmp_path):
        with pytest.raises(StoreFailed):
            async with PostgresSession.open(f"postgresql:///nobody?host={tmp_path}"):
                pass

    @pytest.mark.parametrize(
        ("url", "dsn"),
        [
            ("postgres://u:p@h/d", "postgresql://u:p@h/d"),
            ("postgresql+asyncpg://u:p%40@h:1/d", "postgresql://u:p%40@h:1/d"),
            ("postgresql+psycopg:///d?host=/run/x", "postgresql:///d?host=%2Frun%2Fx"),
            ("postgres://h/d?ssl=require&channel_binding=require", "postgresql://h/d?sslmode=require"),
        ],
    )
    def test_spellings_of_its_url(self, url, dsn):
        assert dsn == dsn_from(url)

    def test_urls_of_others(self):
        with pytest.raises(ValueError, match="postgresql://"):
            dsn_from("mysql://h/d")


async def cut_all(url: str) -> None:
    """
    End all other connections to this database.
    """
    async with PostgresSession.open(url, size=1) as other:
        await other.read(
            asking(
                other,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()",
                rows=True,
            )
        )
