"""
Commands of `mission-control` as processes, and what they leave behind.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NOWHERE = "/dev/null/data"
"""A data directory that cannot be made."""


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """
    A command that has ended.
    """
    arguments = [sys.executable, "-m", "mission_http.main", *command]
    return subprocess.run(arguments, capture_output=True, text=True, cwd=cwd, env=environment, timeout=60)


def tree(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """
    Every file and folder, as it is.
    """
    return {
        str(each): (each.stat().st_mode, each.stat().st_mtime_ns, each.read_bytes() if each.is_file() else b"")
        for each in folder.rglob("*")
    }


@contextmanager
def serving(*flags: str, cwd: Path, **environment: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """
    A server, and the port it listens on.
    """
    port = () if "--port" in flags else ("--port", "0")
    command = [sys.executable, "-m", "mission_http.main", "serve", *port, *flags]
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline().rpartition(":")[2]), server
        finally:
            server.terminate()


def ended(server: subprocess.Popen[str]) -> list[Any]:
    """
    What the server logged until it was told to stop.
    """
    server.terminate()
    _, told = server.communicate()
    return [json.loads(line) for line in told.splitlines()]
