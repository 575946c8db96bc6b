"""
Short numbers that are drawn at the same time from PostgreSQL.
"""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from mission_adapters.sql.number_sequences import LARGEST_DRAW, SqlNumberSequences
from mission_adapters.sql.postgres_session import PostgresSession
from tests.statement_counts import recorded_on_postgres

HERE, THERE = UUID(int=1), UUID(int=2)
TABLE = """
    CREATE TABLE numbers (
        scope bytea, kind text COLLATE "C", value bigint NOT NULL, CONSTRAINT pk_numbers PRIMARY KEY (scope, kind)
    )
"""


async def make_table(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(TABLE)
    await connection.close()


@pytest.fixture
async def numbers(fresh_postgres: str) -> AsyncIterator[SqlNumberSequences]:
    """
    The sequences of a database that has no table of them yet.
    """
    async with PostgresSession.open(fresh_postgres) as session:
        yield SqlNumberSequences(session)


async def test_callers_that_wait_for_a_draw_share_the_next_one(
    numbers: SqlNumberSequences, fresh_postgres: str
) -> None:
    """
    Each gets its own numbers, in the order of the calls.
    """
    await make_table(fresh_postgres)
    with recorded_on_postgres() as texts:
        drawn = await asyncio.gather(
            *(numbers.next((HERE, "task"), (THERE if nth % 2 else HERE, "ticket")) for nth in range(2 * LARGEST_DRAW))
        )

    assert [(nth + 1, nth // 2 + 1) for nth in range(2 * LARGEST_DRAW)] == drawn
    assert 3 == len(texts)


async def test_a_caller_that_is_cancelled_leaves_the_others_their_numbers(
    numbers: SqlNumberSequences, fresh_postgres: str
) -> None:
    """
    The one that draws, and one that waits.
    """
    await make_table(fresh_postgres)
    callers = [asyncio.ensure_future(numbers.next((HERE, "task"))) for _ in range(4)]
    await asyncio.sleep(0)
    callers[0].cancel()
    callers[2].cancel()
    drawn = await asyncio.gather(*callers, return_exceptions=True)
    later = await numbers.next((HERE, "task"))
    given = [each[0] for each in (*drawn, later) if isinstance(each, tuple)]

    assert [True, False, True, False] == [isinstance(each, asyncio.CancelledError) for each in drawn]
    assert sorted(set(given)) == given


async def test_a_draw_that_fails_fails_for_all_its_callers_and_no_others(
    numbers: SqlNumberSequences, fresh_postgres: str
) -> None:
    failed = await asyncio.gather(*(numbers.next((HERE, "task")) for _ in range(4)), return_exceptions=True)
    await make_table(fresh_postgres)
    drawn = await numbers.next((HERE, "task"))

    assert {asyncpg.UndefinedTableError} == set(map(type, failed))
    assert (1,) == drawn
