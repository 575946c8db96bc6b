"""
A PostgreSQL that refuses changes, isolates transactions more than is expected, or fails a statement.
"""

from urllib.parse import urlsplit

import asyncpg


async def read_only(url: str) -> None:
    """
    Have a PostgreSQL database refuse all changes from now on.
    """
    await _set_default(url, "default_transaction_read_only", "on")


async def isolated(url: str, level: str) -> None:
    """
    Have the transactions of a PostgreSQL database another isolation level from now on, unless they name one.
    """
    await _set_default(url, "default_transaction_isolation", f"'{level}'")


async def _set_default(url: str, name: str, value: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(f"ALTER DATABASE {urlsplit(url).path[1:]} SET {name} = {value}")
    await connection.close()


def failing_with(code: str) -> str:
    return f"DO $$ BEGIN RAISE EXCEPTION 'as asked' USING ERRCODE = '{code}'; END $$"
