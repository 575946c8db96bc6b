"""
What event streams cost a server, as a real process: the memory and CPU of idle ones, and the time from a write until
all of many clients have its event.

    python -m tests.bench.streams [DATABASE_URL]
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.contract.server_process import Server, served

IDLE: Final = 1000
CLIENTS: Final = 200
WRITES: Final = 50
IDLE_SECONDS: Final = 10.0


class Client:
    """
    A client of `/api/events`, which notes when it received each task.
    """

    def __init__(self) -> None:
        self.received: dict[int, float] = {}
        self.changed = asyncio.Event()
        self.writer: asyncio.StreamWriter | None = None
        self.task: asyncio.Task[None] | None = None

    async def open(self, server: Server, key: str) -> None:
        """
        Open the stream, and wait for its first event.
        """
        reader, self.writer = await asyncio.open_connection("127.0.0.1", server.port)
        self.writer.write(
            f"GET /api/events?types=task.created HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}\r\n\r\n".encode()
        )
        while b'"connected"' not in await reader.readline():
            pass
        self.task = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            if line.startswith(b"data: "):
                now = time.perf_counter()
                self.received[json.loads(line[6:])["data"]["id"]] = now
                self.changed.set()

    async def close(self) -> None:
        """
        Close the connection.
        """
        if self.task is not None:
            self.task.cancel()
        if self.writer is not None:
            self.writer.close()

    async def time_of(self, task: int) -> float:
        """
        When the task was received.
        """
        while task not in self.received:
            self.changed.clear()
            await self.changed.wait()
        return self.received[task]


def used(server: Server) -> tuple[int, float]:
    """
    The memory of the server in bytes, and its CPU time in seconds.
    """
    assert server.process is not None
    folder = Path("/proc") / str(server.process.pid)
    pages = int((folder / "statm").read_text().split()[1])
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    return pages * 4096, (int(fields[11]) + int(fields[12])) / 100


async def run(server: Server) -> None:
    """
    Measure, and print the figures.
    """
    key = server.credential("API_KEY")
    clients = [Client() for _ in range(IDLE)]
    await clients[0].open(server, key)
    memory, _ = used(server)
    for client in clients[1:]:
        await client.open(server, key)
    print(f"memory of a subscriber: {(used(server)[0] - memory) / (IDLE - 1) / 1024:.1f} KiB, with {IDLE}")
    _, before = used(server)
    await asyncio.sleep(IDLE_SECONDS)
    print(f"CPU of {IDLE} idle subscribers: {(used(server)[1] - before) / IDLE_SECONDS * 100:.2f} % of one")
    for client in clients[CLIENTS:]:
        await client.close()
    all_times, last_times = [], []
    for number in range(WRITES):
        task, written = await asyncio.to_thread(_write, server, key, number)
        times = [(await client.time_of(task) - written) * 1000 for client in clients[:CLIENTS]]
        all_times += times
        last_times.append(max(times))
    print(
        f"one write to {CLIENTS} subscribers, ms after its answer: median {statistics.median(all_times):.1f}, "
        f"median of the last one {statistics.median(last_times):.1f}"
    )
    for client in clients[:CLIENTS]:
        await client.close()


def _write(server: Server, key: str, number: int) -> tuple[int, float]:
    made = server.call("POST", "/api/tasks", {"title": f"Task {number}"}, **{"x-api-key": key})
    return made["task"]["id"], time.perf_counter()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{folder}/mission.db"
        with served(url, Path(folder), MC_MAX_STREAMS_PER_CALLER="5000", MC_MAX_STREAMS_PER_ADDRESS="5000") as server:
            asyncio.run(run(server))


if __name__ == "__main__":
    main()
