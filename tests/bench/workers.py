"""
What it costs to serve with two worker processes instead of one, on PostgreSQL: CPU per request of the server and of
the database, and the share of the requests that each worker answers.

    python -m tests.bench.workers [rounds] [requests]

A bare Starlette route is measured beside them, with one process and with two that get half of the connections each. Its
CPU per request rises, too: with two processes a turn of an event loop serves fewer requests, and where processors are
few, more processes push each other from them. What it rises by is no fault of the workers, so each rise is also told as
a ratio to that of the bare route. Each connection updates tasks of its own, as an agent does. `shared update` is the
worst case: every connection updates the same tasks, so half of the time the other worker wrote last, and the row is
read again.
"""

import asyncio
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
from attrs import frozen

from tests.bench.load import CONNECTIONS, LoadResult, Step, cpu_of, measure, request_bytes, wait_for
from tests.postgres_server import empty_database, postgres_server

OWN_TASKS = 3
"""How many tasks each connection has of its own."""
TASKS = OWN_TASKS * CONNECTIONS
BARE_BYTES = 1000
BARE_FACTOR = 5
"""How many more requests the bare route gets, because the CPU of processes is counted in hundredths of a second."""


@frozen
class WorkersResult:
    """
    CPU milliseconds per request, requests per second, and the share of the busiest worker.
    """

    server_ms: float
    database_ms: float
    rate: float
    largest_share: float


def main() -> None:
    rounds, count = (int(each) for each in (*sys.argv[1:], *("3", "4000")[len(sys.argv) - 1 :]))
    found: dict[tuple[str, int], list[WorkersResult]] = {}
    with postgres_server() as server:
        for _ in range(rounds):
            for workers in (1, 2):
                with empty_database(server) as url, TemporaryDirectory() as folder:
                    measured = (
                        ("bare", _bare(Path(folder), workers, BARE_FACTOR * count)),
                        *_measured(url, Path(folder), workers, count),
                    )
                    for name, result in measured:
                        found.setdefault((name, workers), []).append(result)
                        print(f"{name:<15}{workers} workers: {result}", flush=True)
    costs = {
        key: statistics.median(each.server_ms + each.database_ms for each in results) for key, results in found.items()
    }
    for (name, workers), results in found.items():
        rate = statistics.median(each.rate for each in results)
        share = max(each.largest_share for each in results)
        cpu = costs[name, workers]
        print(f"{name:<15}{workers} workers: {cpu:.3f} CPU ms, {rate:.0f} requests/s, largest share {share:.0%}")
    rises = {name: costs[name, 2] / costs[name, 1] for name, workers in costs if workers == 1}
    for name, rise in rises.items():
        compared = f"{rise / rises['bare'] - 1:+.0%} beside the bare route"
        print(f"{name:<15}from 1 to 2 workers: {rise - 1:+.0%} of CPU per request, {compared}")


def _bare(folder: Path, processes: int, count: int) -> WorkersResult:
    """
    The cost of a bare route that answers as many bytes as a task has, in so many processes with a port each.
    """
    answer = folder / "bare.json"
    answer.write_bytes(b"x" * BARE_BYTES)
    ports = [_free_port() for _ in range(processes)]
    servers = [
        subprocess.Popen([sys.executable, "-m", "tests.bench.baselines", str(port), str(answer)]) for port in ports
    ]
    try:
        for port in ports:
            wait_for(port)
        scenarios = itertools.repeat([request_bytes("GET", "/0", {})])

        async def load(count: int) -> list[LoadResult]:
            each = {"count": count // processes, "connections": CONNECTIONS // processes}
            return await asyncio.gather(
                *(measure(port, server.pid, scenarios, **each) for port, server in zip(ports, servers, strict=True))
            )

        asyncio.run(load(200))
        results = asyncio.run(load(count))
    finally:
        for server in servers:
            server.terminate()
            server.wait()
    cpu, seconds = sum(each.cpu for each in results), max(each.seconds for each in results)
    return WorkersResult(cpu / count * 1000, 0.0, count / seconds, 1 / processes)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _measured(url: str, folder: Path, workers: int, count: int) -> Iterator[tuple[str, WorkersResult]]:
    port = _free_port()
    environment = {**os.environ, "MC_DISABLE_RATE_LIMIT": "1", "LOG_FORMAT": "json", "API_KEY": "bench"}
    command = [sys.executable, "-m", "mission_http.main", "serve", "--port", str(port), "--workers", str(workers)]
    command += ["--database-url", url, "--data-dir", str(folder)]
    log = folder / "server.log"
    with log.open("w") as file:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True, env=environment)
    try:
        assert server.stdout is not None
        assert "listens" in server.stdout.readline()
        for n in range(TASKS):
            _create(port, n)
        for name, steps in (("get", _get), ("update", _own_update), ("shared update", _update)):
            asyncio.run(_load(port, server.pid, steps, 200))
            processes = [server.pid, *_children(server.pid)]
            backends = asyncio.run(_backends(url))
            began, own, database = log.stat().st_size, _cpu(processes), _cpu(backends)
            seconds = asyncio.run(_load(port, server.pid, steps, count))
            own, database = _cpu(processes) - own, _cpu(backends) - database
            yield (
                name,
                WorkersResult(own / count * 1000, database / count * 1000, count / seconds, _largest_share(log, began)),
            )
    finally:
        server.terminate()
        server.wait()
        assert server.stdout is not None
        server.stdout.close()


async def _load(port: int, pid: int, steps: Callable[[int, int], list[Step]], count: int) -> float:
    """
    Send requests over all connections at once, and return the seconds that they took.
    """
    results = await asyncio.gather(
        *(
            measure(port, pid, map(partial(steps, each), itertools.count()), count // CONNECTIONS, connections=1)
            for each in range(CONNECTIONS)
        )
    )
    return max(each.seconds for each in results)


def _create(port: int, n: int) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/tasks", json.dumps({"title": f"Task {n}"}).encode())
    request.add_header("x-api-key", "bench")
    request.add_header("content-type", "application/json")
    urllib.request.urlopen(request, timeout=60).close()


def _get(connection: int, n: int) -> list[Step]:
    return [request_bytes("GET", f"/api/tasks/{(connection + n) % TASKS + 1}", {"x-api-key": "bench"})]


def _own_update(connection: int, n: int) -> list[Step]:
    return _update_of(connection + CONNECTIONS * (n % OWN_TASKS), f"Changed {n} by {connection}")


def _update(connection: int, n: int) -> list[Step]:
    # Each connection comes to every task, at another time than the others, or updates would refuse each other.
    return _update_of((connection + CONNECTIONS * n) % (TASKS - 1), f"Changed {n} by {connection}")


def _update_of(task: int, title: str) -> list[Step]:
    body = json.dumps({"title": title}).encode()
    return [request_bytes("PUT", f"/api/tasks/{task + 1}", {"x-api-key": "bench"}, body)]


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def _backends(url: str) -> list[int]:
    connection = await asyncpg.connect(url)
    try:
        own = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return [row[0] for row in await connection.fetch(own)]
    finally:
        await connection.close()


def _cpu(processes: list[int]) -> float:
    return sum(cpu_of(each) for each in processes if Path(f"/proc/{each}").exists())


def _largest_share(log: Path, began: int) -> float:
    with log.open("rb") as file:
        file.seek(began)
        lines = [json.loads(line) for line in file]
    counted = Counter(each.get("worker") for each in lines if each["event"] == "request")
    return max(counted.values()) / counted.total()


if __name__ == "__main__":
    main()
