"""
How errands cross to a driver's thread together.
"""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from typing import Any

import aiosqlite
import pytest

from mission_adapters.sql.database_session import BoundStatement
from mission_adapters.sql.log_watches import LogWatches
from mission_adapters.sql.sqlite_jobs import SqliteJob, constraint_name
from mission_adapters.sql.sqlite_session import BATCH_SIZE, ThreadQueue, open_connection, run_on_thread
from mission_core.errors import StoreFailed


@pytest.fixture
async def connection() -> AsyncIterator[aiosqlite.Connection]:
    """
    A connection to nothing but memory.
    """
    async with open_connection(":memory:", 1.0) as connection:
        yield connection


@pytest.fixture
def batches() -> list[int]:
    """
    How many errands each crossing took.
    """
    return []


@pytest.fixture
async def line(connection: aiosqlite.Connection, batches: list[int]) -> ThreadQueue:
    def run(raw: sqlite3.Connection, batch: list[SqliteJob]) -> dict[Any, int]:
        batches.append(len(batch))
        for errand in batch:
            errand.run(raw.cursor(), lambda columns: None)
        return {}

    return ThreadQueue(run, [connection], LogWatches())


def one():
    [(answer,)] = yield BoundStatement("SELECT 1")
    return answer


async def test_the_drivers_private_spelling(connection):
    """
    aiosqlite runs what is put on its queue, in order, on the thread of the connection. If this fails, it has changed:
    `run_on_thread`, `open_connection` and `ThreadQueue` are all that must follow.
    """
    seen = []
    run_on_thread(connection, lambda: seen.append(threading.current_thread()))
    run_on_thread(connection, lambda: seen.append(connection._conn.execute("SELECT 1").fetchall()))
    await connection.execute_fetchall("SELECT 2")

    assert [connection._thread, [(1,)]] == seen
    assert connection._thread.daemon


async def test_what_fails_on_the_thread_leaves_it_running(connection):
    run_on_thread(connection, lambda: 1 / 0)

    assert [(2,)] == await connection.execute_fetchall("SELECT 2")


async def test_one_that_comes_alone_goes_at_once(line, batches):
    assert 1 == await line.submit(one)
    assert 1 == await line.submit(one)
    assert [1, 1] == batches


async def test_those_that_wait_go_together(line, batches):
    assert [1] * 300 == await asyncio.gather(*(line.submit(one) for _ in range(300)))
    assert [BATCH_SIZE, BATCH_SIZE, 300 - 2 * BATCH_SIZE] == batches


async def test_those_that_gave_up_do_not_go(line, batches):
    sent = [asyncio.ensure_future(line.submit(one)) for _ in range(4)]
    asyncio.get_running_loop().call_soon(sent[1].cancel)
    results = await asyncio.gather(*sent, return_exceptions=True)

    assert isinstance(results[1], asyncio.CancelledError)
    assert [3] == batches


async def test_a_bug_in_a_crossing_is_told_to_all_and_stops_nothing(line):
    run = line.run
    line.run = lambda raw, batch: [][0]
    results = await asyncio.gather(line.submit(one), line.submit(one), return_exceptions=True)
    line.run = run

    assert [StoreFailed] * 2 == [type(result) for result in results]
    assert 1 == await line.submit(one)


async def test_an_error_after_a_batch_leaves_no_job_waiting(line):
    """
    The error goes to the handler of the event loop; the jobs get their results, and the next ones run.
    """
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))
    line.ended = lambda: 1 / 0
    answers = await asyncio.wait_for(asyncio.gather(*(line.submit(one) for _ in range(2))), 10)
    again = await asyncio.wait_for(line.submit(one), 10)

    assert ([1, 1], 1) == (answers, again)
    assert [ZeroDivisionError] * 2 == [type(error) for error in told]


async def test_closing_finishes_what_waits(line):
    sent = [asyncio.ensure_future(line.submit(one)) for _ in range(300)]
    await asyncio.sleep(0)
    await line.close()

    assert all(each.done() for each in sent)

    with pytest.raises(StoreFailed):
        await line.submit(one)


async def test_closing_does_not_wait_for_those_that_gave_up(line):
    sent = asyncio.ensure_future(line.submit(one))
    asyncio.get_running_loop().call_soon(sent.cancel)
    await asyncio.sleep(0)
    await line.close()

    assert sent.cancelled() or sent.cancelling()


@pytest.mark.parametrize(
    ("schema", "rows", "name"),
    [
        ("CREATE TABLE t (a PRIMARY KEY)", "(1), (1)", "t.a"),
        ("CREATE TABLE t (a, b, UNIQUE (a, b))", "(1, 1), (1, 1)", "uq_t"),
        ("CREATE TABLE t (a); CREATE UNIQUE INDEX ux ON t (abs(a))", "(1), (-1)", "ux"),
        ("CREATE TABLE t (a, CONSTRAINT ck_t CHECK (a < 2))", "(2)", "ck_t"),
        ("CREATE TABLE t (a NOT NULL)", "(NULL)", "t.a"),
    ],
)
def test_the_name_of_a_violated_constraint(schema, rows, name):
    raw = sqlite3.connect(":memory:")
    raw.executescript(schema)
    with pytest.raises(sqlite3.IntegrityError) as caught:
        raw.execute(f"INSERT INTO t VALUES {rows}")
    raw.close()

    assert name == constraint_name(caught.value, {("t.a", "t.b"): "uq_t"}.get)
