"""
A small, cheap HTTP load: so many connections, each sending the next request when its last one is answered.
"""

import asyncio
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import frozen

CONNECTIONS = 16
HERTZ = 100


@frozen
class LoadResult:
    """
    What a load showed: requests, seconds, CPU seconds of the server and of PostgreSQL, and every latency, sorted.
    """

    requests: int
    seconds: float
    cpu: float
    database_cpu: float
    latencies: list[float]

    @property
    def cpu_ms(self) -> float:
        return self.cpu / self.requests * 1000

    @property
    def database_ms(self) -> float:
        return self.database_cpu / self.requests * 1000

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    def percentile(self, share: float) -> float:
        """
        The latency in milliseconds that so many stay below.
        """
        return self.latencies[min(int(len(self.latencies) * share), len(self.latencies) - 1)] * 1000


def request_bytes(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: bench", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class Connection(asyncio.Protocol):
    """
    One keep-alive connection that takes one request at a time.
    """

    def __init__(self) -> None:
        self.buffer = b""
        self.answer: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def send(self, request: bytes) -> asyncio.Future[tuple[int, bytes]]:
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self.answer

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, separator, rest = self.buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        lower = head.lower()
        at = lower.find(b"content-length:")
        length = int(lower[at + 15 :].partition(b"\r\n")[0]) if at >= 0 else 0
        if len(rest) < length or self.answer is None:
            return
        self.buffer = rest[length:]
        answer, self.answer = self.answer, None
        answer.set_result((int(head[9:12]), rest[:length]))

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(ConnectionError(f"the server hung up: {exc}"))


Step = bytes | Callable[[bytes], bytes]
"""A request, or how to make it of the answer before."""


def cpu_of(pid: int) -> float:
    """
    The CPU seconds a process has used, of all its threads.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / HERTZ


def postgres_cpu() -> float:
    """
    The CPU seconds that all PostgreSQL processes of this machine have used, those that have ended included.
    """
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(")")
        except OSError:
            continue  # the process has just ended
        if "(postgres" in name:
            ticks += sum(map(int, rest.split()[11:15]))
    return ticks / HERTZ


async def measure(
    port: int, pid: int, requests: Iterator[list[Step]], count: int, *, connections: int = CONNECTIONS
) -> LoadResult:
    """
    Send *count* scenarios, each a list of requests of which later ones may be made of the answer before.

    Raises:
        AssertionError: If an answer is no success.
    """
    loop = asyncio.get_running_loop()
    opened = [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(connections)]
    latencies: list[float] = []
    left = iter(range(count))

    async def work(connection: Connection) -> None:
        for _ in left:
            answer = b""
            for step in next(requests):
                request = step if isinstance(step, bytes) else step(answer)
                began = time.perf_counter()
                status, answer = await connection.send(request)
                latencies.append(time.perf_counter() - began)
                assert status in (200, 201), (status, answer, request)

    before, database, began = cpu_of(pid), postgres_cpu(), time.perf_counter()
    await asyncio.gather(*(work(connection) for connection in opened))
    seconds, cpu, database = time.perf_counter() - began, cpu_of(pid) - before, postgres_cpu() - database
    for connection in opened:
        connection.transport.close()
    return LoadResult(len(latencies), seconds, cpu, database, sorted(latencies))


def wait_for(port: int) -> None:
    """
    Wait until a bare route answers on this port.
    """
    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/0", timeout=1).close()
        except OSError:
            time.sleep(0.05)  # another process starts; it has no way to tell us
        else:
            return
    raise TimeoutError(f"nothing answers on port {port}")
