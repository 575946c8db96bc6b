"""
The command line, as processes.
"""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest


def run(*command: str, data_dir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", "mission_http.main", *command, "--data-dir", str(data_dir)]
    return subprocess.run(arguments, capture_output=True, text=True, cwd=data_dir, env=environment, timeout=60)


def test_each_credential_is_printed_with_its_name(tmp_path: Path) -> None:
    """
    What is printed is what the environment takes.
    """
    printed = run("token", data_dir=tmp_path, API_KEY="given").stdout.splitlines()

    assert "API_KEY=given" == printed[0]
    assert ["API_KEY", "LOCAL_AUTH_TOKEN"] == [line.partition("=")[0] for line in printed]


def test_migrating_twice_is_the_same_as_once(tmp_path: Path) -> None:
    """
    An empty database is made, and a made one is left alone.
    """
    first, second = run("migrate", data_dir=tmp_path), run("migrate", data_dir=tmp_path)

    assert (0, 0) == (first.returncode, second.returncode), first.stderr + second.stderr
    assert first.stdout == second.stdout


def test_a_start_that_fails_names_the_variable(tmp_path: Path) -> None:
    """
    One line on the terminal, no traceback.
    """
    failed = run("serve", data_dir=tmp_path, DATABASE_URL="oracle://here")

    assert 2 == failed.returncode
    assert "DATABASE_URL" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize(
    ("tampering", "position"),
    [
        ("UPDATE events SET payload = '{}' WHERE position = 2", 2),
        ("UPDATE events SET at = at + 1 WHERE position = 1", 1),
        ("DELETE FROM events WHERE position = 1", 1),
        ("DELETE FROM events WHERE position = 2", 2),
    ],
)
def test_the_first_entry_that_does_not_fit_is_named(tampering: str, position: int, tmp_path: Path) -> None:
    """
    A changed, a moved, a missing and a cut entry are all found, and the exit says so.
    """
    found = subprocess.run([sys.executable, "-c", FOUND, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert "" == found.stderr
    sound = run("audit", "verify", data_dir=tmp_path)
    with sqlite3.connect(tmp_path / "mission-control.db") as connection:
        connection.execute(tampering)
    connection.close()
    broken = run("audit", "verify", data_dir=tmp_path)

    assert (0, True) == (sound.returncode, "sound" in sound.stdout), sound.stdout + sound.stderr
    assert (1, True) == (broken.returncode, f"entry {position} " in broken.stdout), broken.stdout + broken.stderr


FOUND = """
import asyncio, sys
from pathlib import Path
from mission_http.settings import settings_from
from mission_http.wiring import from_settings

async def main():
    async with from_settings(settings_from({}, data_dir=Path(sys.argv[1]))):
        pass

asyncio.run(main())
"""
"""Opens the store and founds the default organization: two facts."""
