"""
The shell samples of the documentation, run as they stand against a new server.
"""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mission_http.settings import settings_from
from tests.contract.schemas import executed
from tests.contract.webhook_secrets import GIVEN, made, opened
from tests.documentation import sample, samples
from tests.postgres_server import path_of_tools

pytestmark = pytest.mark.real_time

HERE = "127.0.0.1:8000"
TOOLS = Path(sys.executable).parent

with_curl = pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("bash")), reason="the samples need curl and bash"
)


@with_curl
def test_the_tours_of_both_apis_can_be_pasted_one_after_the_other(tmp_path: Path) -> None:
    """
    Every call is answered with what it asks for, on a server that was told nothing but its port.
    """
    fleet = samples("README.md", "## A short tour", "sh")
    tokens = samples("README.md", "## Tokens and cost", "sh")
    boards = samples("docs/apis.md", "## The tour in the Boards API", "sh")
    answers = pasted([*fleet, *tokens, *boards], tmp_path)

    assert '"status":"done"' in answers[3]
    assert '"unpriced_tokens":750' in next(each for each in answers if '"group_by":"model"' in each)
    assert '"status":"done"' in answers[-1]


@with_curl
def test_the_first_admin_signs_in(tmp_path: Path) -> None:
    """
    On the machine of the server without a code, and the cookie tells who calls.
    """
    answers = pasted(samples("docs/sign-in.md", "## The first admin", "sh"), tmp_path)

    assert ["ada"] * 3 == [json.loads(each)["user"]["username"] for each in answers]


@with_curl
def test_a_backup_is_restored_into_another_directory(tmp_path: Path) -> None:
    """
    Beside a running server, which is not disturbed.
    """
    told = pasted(samples("docs/operations.md", "## Backup and restore on SQLite", "sh"), tmp_path)

    kept, restored = (tmp_path / folder / ".auto-generated" for folder in (".data", ".restored"))

    assert told
    assert restored.with_name("mission-control.db").exists()
    assert kept.read_text() == restored.read_text()


def test_a_postgresql_is_restored_from_a_dump(fresh_postgres: str, tmp_path: Path) -> None:
    """
    With what was kept, which opens under the same secret, and without what was written later.
    """
    settings = asyncio.run(made(settings_from({"DATABASE_URL": fresh_postgres}, data_dir=tmp_path)))
    dump, restore = sample("docs/operations.md", "## Backup and restore on PostgreSQL", "sh").splitlines()
    run_on_database(dump, fresh_postgres, tmp_path)
    asyncio.run(executed(fresh_postgres, "DELETE FROM board_webhooks"))
    asyncio.run(executed(fresh_postgres, "UPDATE secret_fingerprints SET digest = 'another'"))
    run_on_database(restore, fresh_postgres, tmp_path)

    assert [GIVEN] == asyncio.run(opened(settings))


def run_on_database(command: str, url: str, directory: Path) -> None:
    """
    Run a line of a shell with the URL of the database.
    """
    environment = {**os.environ, "DATABASE_URL": url, "PATH": path_of_tools()}
    ran = subprocess.run(["sh", "-ec", command], cwd=directory, env=environment, capture_output=True, text=True)
    assert (0, "") == (ran.returncode, ran.stderr)


def pasted(scripts: list[str], directory: Path) -> list[str]:
    """
    What a new server answers to the calls of these samples, in turn.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = "".join(scripts).replace(HERE, f"127.0.0.1:{port}").replace(".venv/bin/", f"{TOOLS}/")
    script = script.replace("curl -s ", "curl -s -w '\\n' --fail-with-body ")
    serve = [sys.executable, "-m", "mission_http.main", "serve", "--port", str(port)]
    with subprocess.Popen(serve, cwd=directory, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert "listens on" in server.stdout.readline()
        taken = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", script], cwd=directory, capture_output=True, text=True, timeout=60,
            env={**os.environ, "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}"},
        )  # fmt: skip
        server.terminate()

    assert (0, "") == (taken.returncode, taken.stderr), taken.stdout
    return taken.stdout.splitlines()
