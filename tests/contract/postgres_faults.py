"""
A PostgreSQL that refuses changes or fails a statement.
"""

from urllib.parse import urlsplit

import asyncpg


async def read_only(url: str) -> None:
    """
    Have a PostgreSQL database refuse all changes from now on.
    """
    connection = await asyncpg.connect(url)
    await connection.execute(f"ALTER DATABASE {urlsplit(url).path[1:]} SET default_transaction_read_only = on")
    await connection.close()


def failing_with(code: str) -> str:
    return f"DO $$ BEGIN RAISE EXCEPTION 'as asked' USING ERRCODE = '{code}'; END $$"
