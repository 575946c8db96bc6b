"""
How a server stands clients that are silent, that send half a request, or that never read, as real processes.

    python -m tests.bench.slow_clients
"""

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

FILES: Final = 256
SILENT: Final = 300
HALF_SENT: Final = 200
BODY: Final = 1_048_576
PATIENCE: Final = 60.0
"""For how many seconds the server may keep what is half sent, before the run goes on."""
HALF: Final = (
    b"POST /api/v1/boards HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n" % BODY
)


@contextmanager
def served(files: int | None = None) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """
    A server, and the port it listens on; with so many files at most.
    """
    limit = f"ulimit -n {files}; " if files else ""
    command = f"{limit}exec {sys.executable} -m mission_http.main serve --port 0"
    with tempfile.TemporaryDirectory() as directory:
        environment = {**os.environ, "MC_DISABLE_RATE_LIMIT": "1", "MISSION_CONTROL_DATA_DIR": directory}
        log = Path(directory) / "log"
        with log.open("w") as stderr, subprocess.Popen(
            ["bash", "-c", command], env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True
        ) as server:  # fmt: skip
            assert server.stdout is not None
            try:
                yield int(server.stdout.readline().rpartition(":")[2]), server
            finally:
                server.kill()
        told = [line.split(maxsplit=1) for line in log.read_text().splitlines()]
        events = Counter(rest[0][:100] for _, *rest in told if rest and rest[0][:4] in ("warn", "erro"))
        print(f"    log: {dict(events)}")


def answered(port: int, patience: float) -> str:
    """
    How soon a request is answered by a server in this state.
    """
    began, last = time.monotonic(), ""
    while time.monotonic() - began < patience:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as response:
                return f"{response.status} after {time.monotonic() - began:.2f} s"
        except urllib.error.HTTPError as e:
            last = str(e.code)
        except OSError as e:
            last = type(e).__name__
        time.sleep(0.1)
    return f"no answer in {patience:.0f} s ({last})"


def kept(connections: list[socket.socket]) -> int:
    """
    How many of these the server has not closed.
    """
    count = 0
    for each in connections:
        each.setblocking(False)
        try:
            count += each.recv(1) != b"" and 0
        except BlockingIOError:
            count += 1
        except OSError:
            pass
        finally:
            each.setblocking(True)
    return count


def memory_of(server: subprocess.Popen[str]) -> int:
    """
    The resident memory of the server, in megabytes.
    """
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


def stopped(server: subprocess.Popen[str]) -> str:
    """
    How soon it ends when it is told to, and with which status.
    """
    began = time.monotonic()
    server.terminate()
    try:
        status = str(server.wait(timeout=90))
    except subprocess.TimeoutExpired:
        status = "still there"
    return f"SIGTERM: exit status {status} after {time.monotonic() - began:.1f} s"


def opened(port: int, count: int, sent: bytes = b"") -> list[socket.socket]:
    """
    Connections that say this, and no more.
    """
    made = []
    for _ in range(count):
        each = socket.create_connection(("127.0.0.1", port), timeout=10)
        if sent:
            each.sendall(sent)
        made.append(each)
    return made


def silent() -> None:
    print(f"{SILENT} silent connections under ulimit -n {FILES}:")
    with served(FILES) as (port, server):
        made = opened(port, SILENT)
        print(f"    a request then: {answered(port, PATIENCE)}")
        print(f"    kept after it: {kept(made)}")
        print(f"    {stopped(server)}")


def half_sent() -> None:
    print(f"{HALF_SENT} bodies of which all but the last byte is sent:")
    with served() as (port, server):
        before = memory_of(server)
        made = opened(port, HALF_SENT, HALF + b" " * (BODY - 1))
        print(f"    memory: {before} MB before, {memory_of(server)} MB with them")
        began = time.monotonic()
        while kept(made) and time.monotonic() - began < PATIENCE:
            time.sleep(0.5)
        waited = time.monotonic() - began
        print(f"    kept after {waited:.1f} s: {kept(made)}; memory {memory_of(server)} MB; {answered(port, 5)}")
        made = opened(port, HALF_SENT, HALF + b" " * (BODY - 1))
        print(f"    with as many again: {stopped(server)}")


def unread() -> None:
    print("20 connections that ask for the document 200 times and never read:")
    with served() as (port, server):
        made = [socket.socket() for _ in range(20)]
        for each in made:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            each.connect(("127.0.0.1", port))
            each.settimeout(5)
            threading.Thread(target=_ask, args=(each,), daemon=True).start()
        time.sleep(3)
        print(f"    a request then: {answered(port, 5)}; memory {memory_of(server)} MB")
        print(f"    {stopped(server)}")


def _ask(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200)


if __name__ == "__main__":
    silent()
    half_sent()
    unread()
