"""
The yardsticks: a bare Starlette route that answers given bytes, and a bare durable transaction on the same driver.

    python -m tests.bench.baselines <port> <file of bytes>...
"""

import asyncio
import sqlite3
import sys
import time
from pathlib import Path

import aiosqlite
import asyncpg
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

TRANSACTIONS = 3000


def app(bodies: list[bytes]) -> Starlette:
    def route(index: int, body: bytes) -> Route:
        async def answer(request: Request) -> Response:
            if request.method != "GET":
                await request.body()
            return Response(body, media_type="application/json")

        return Route(f"/{index}", answer, methods=["GET", "POST", "PUT", "PATCH"])

    return Starlette(routes=[route(index, body) for index, body in enumerate(bodies)])


async def sqlite_transaction(path: Path) -> float:
    """
    CPU milliseconds of one insert in a durable transaction of its own through `aiosqlite`.
    """
    async with aiosqlite.connect(path, isolation_level=None) as connection:
        await connection.execute("PRAGMA journal_mode=WAL")
        await connection.execute("PRAGMA synchronous=FULL")
        await connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)")
        before = time.process_time()
        for i in range(TRANSACTIONS):
            await connection.execute("BEGIN IMMEDIATE")
            await connection.execute("INSERT INTO t VALUES (?, ?)", (i, "x" * 500))
            await connection.execute("COMMIT")
        return (time.process_time() - before) / TRANSACTIONS * 1000


async def postgres_transaction(url: str) -> float:
    """
    CPU milliseconds of one insert in a durable transaction of its own through `asyncpg`.
    """
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CREATE TABLE bare (id BIGINT PRIMARY KEY, body TEXT)")
        before = time.process_time()
        for i in range(TRANSACTIONS):
            async with connection.transaction():
                await connection.execute("INSERT INTO bare VALUES ($1, $2)", i, "x" * 500)
        return (time.process_time() - before) / TRANSACTIONS * 1000
    finally:
        await connection.execute("DROP TABLE bare")
        await connection.close()


def analyze(url: str) -> None:
    """
    What autovacuum does within the first minute of a new table.
    """

    async def ask() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute("ANALYZE")
        await connection.close()

    asyncio.run(ask())


def transaction(database_url: str, folder: Path) -> float:
    """
    CPU milliseconds of a bare durable transaction on this kind of database.
    """
    if database_url.startswith("sqlite"):
        return asyncio.run(sqlite_transaction(folder / f"bare-{sqlite3.sqlite_version}.db"))
    return asyncio.run(postgres_transaction(database_url))


if __name__ == "__main__":
    port, *files = sys.argv[1:]
    bare = app([Path(file).read_bytes() for file in files])
    uvicorn.run(bare, host="127.0.0.1", port=int(port), log_level="warning", access_log=False, server_header=False)
