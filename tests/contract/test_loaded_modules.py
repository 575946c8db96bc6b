"""
The modules that a serving process loads, on a database that needs no migration.
"""

import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mission_http import main
from mission_http.command_line import app
from tests.contract.server_commands import run

pytestmark = pytest.mark.real_time

IMPORTED = re.compile(r"import time:\s+\d+ \|\s+\d+ \| +(\S+)")
UNUSED = """
alembic argon2 asyncpg cyclopts httpx2 itsdangerous joserfc limits redis rich
mission_adapters.backup mission_adapters.clerk mission_adapters.data_import mission_adapters.memory
mission_adapters.oidc_tokens mission_adapters.outbound_http mission_adapters.testing
mission_http.command_line mission_http.doctor.inspection mission_http.maintenance mission_http.workers
"""
"""The modules of commands, migrations, sign-in, PostgreSQL and Redis, which the process does not use."""


@contextmanager
def imports_of_a_server(folder: Path) -> Iterator[set[str]]:
    """
    The modules that a server has imported when it has answered a request; complete after the block.
    """
    found = set[str]()
    command = [sys.executable, "-X", "importtime", "-m", "mission_http.main", "serve", "--port", "0"]
    with (folder / "imports").open("w+") as log:
        with subprocess.Popen(command, cwd=folder, env={}, stdout=subprocess.PIPE, stderr=log, text=True) as server:
            assert server.stdout is not None
            port = server.stdout.readline().rpartition(":")[2].strip()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=60) as answer:
                answer.read()
            yield found
            server.terminate()
        log.seek(0)
        found |= {told[1] for line in log if (told := IMPORTED.match(line))}


def test_a_server_loads_no_library_that_it_does_not_use(tmp_path: Path) -> None:
    """
    On a SQLite database that an earlier start has migrated.
    """
    assert 0 == run("migrate", cwd=tmp_path).returncode
    with imports_of_a_server(tmp_path) as found:
        pass

    assert {"sqlalchemy", "uvicorn", "mission_http.app"} <= found
    assert set() == found.intersection(UNUSED.split())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["serve"], {}),
        (["serve", "--port", "0", "--host", "::1"], {"port": 0, "host": "::1"}),
        (["serve", "--data-dir", "d", "--workers", "2"], {"data_dir": Path("d"), "workers": 2}),
        (["serve", "--database-url", "sqlite:///a"], {"database_url": "sqlite:///a"}),
        (["serve", "--port", "70000"], None),
        (["serve", "--port", "-1"], None),
        (["serve", "--port"], None),
        (["serve", "--port", "1", "--port", "2"], None),
        (["serve", "--workers", "0"], None),
        (["serve", "--data-dir", ""], None),
        (["serve", "--data-dir", " "], None),
        (["serve", "--port=1"], None),
        (["serve", "--help"], None),
        (["serve", "x"], None),
        (["doctor"], None),
        ([], None),
    ],
)
def test_a_plain_serve_command_is_read_without_the_library(
    arguments: list[str], expected: dict[str, object] | None
) -> None:
    """
    Every other command line is left to it.
    """
    assert expected == main.serve_arguments(arguments)


def test_the_flags_of_serve_are_those_that_its_help_names() -> None:
    """
    The library and the short way know the same flags.
    """
    known = {argument.name for argument in app["serve"].assemble_argument_collection()}

    assert known == set(main.SERVE_FLAGS)
