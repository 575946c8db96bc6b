"""
A server process for tests, over a database that survives it.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import define, field


@define
class Server:
    """
    A server process on a port of its own, that can be killed and started again over the same data.
    """

    database_url: str
    data_dir: Path
    port: int
    process: subprocess.Popen[str] | None = None
    variables: dict[str, str] = field(factory=dict)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def arguments(self, *command: str) -> list[str]:
        return [
            sys.executable, "-m", "mission_http.main", *command,
            "--database-url", self.database_url, "--data-dir", str(self.data_dir),
        ]  # fmt: skip

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.arguments("serve", "--port", str(self.port)), cwd=self.data_dir, stdout=subprocess.PIPE, text=True,
            # All that call it are behind one address.
            env={**os.environ, "MC_DISABLE_RATE_LIMIT": "1", **self.variables},
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "listens on" in line, line

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def stop(self, how: signal.Signals) -> int:
        """
        Send the process a signal, wait until it ends, and return its exit status.
        """
        assert self.process is not None
        self.process.send_signal(how)
        with self.process:  # closes its pipe, too
            return self.process.wait(timeout=30)

    def credential(self, name: str) -> str:
        printed = subprocess.run(
            [sys.executable, "-m", "mission_http.main", "token", "--data-dir", str(self.data_dir)],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        return dict(line.split("=", 1) for line in printed.splitlines())[name]

    def call(self, method: str, path: str, body: object = None, **headers: str) -> dict[str, Any]:
        request = urllib.request.Request(self.base + path, method=method, headers=headers)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as response:
            answer: dict[str, Any] = json.load(response)
            return answer


@contextmanager
def served(database_url: str, data_dir: Path, **variables: str) -> Iterator[Server]:
    """
    A server process on a free port, with these environment variables, killed at the end.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server(database_url, data_dir, port, variables=variables)
    server.start()
    try:
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.kill()
