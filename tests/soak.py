"""
A long mixed load in both dialects, with restarts and kills of the server and failures of its database: no work is lost
or done twice, and memory stays flat.

    python -m tests.soak [--minutes 20] [--sqlite | --workers 2]

Creators, workers, editors and readers run for the given minutes against a served process; on PostgreSQL through a relay
that is cut for some seconds. Of several workers one is killed alone, too, and all are replaced by SIGHUP. Each minute
is told: requests, failed ones (which are repeated), the median and the 99th percentile of answers in milliseconds, and
the server's memory. In the second half nothing is restarted, and memory must stay flat after a warm-up. At the end all
created tasks are finished, each is there once, every run that a worker was told is completed is the only completed one
of its task, and the log's chain is sound.
"""

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
from attrs import define, field

from tests import postgres_server
from tests.contract.database_relay import Relay, relay_to
from tests.contract.server_process import Server, served

CREATORS, WORKERS, EDITORS, READERS = 2, 3, 1, 1
"""How many clients of each kind there are in each dialect."""
LEASE_SECONDS: Final = 10
ABANDONED: Final = 0.03
"""The share of claimed tasks that a worker forgets, so that their leases expire."""
CUT_SECONDS: Final = 4.0
DISTURBANCES: Final = ("restart", "cut", "kill", "cut", "restart", "kill")
"""What happens in the first half, at equal distances. SQLite has no connection to cut."""
OF_WORKERS: Final = ("kill a worker", "replace the workers")
"""What else happens to several workers."""
WARM_UP: Final = 0.7
"""The share of the time after which memory must be flat."""
GROWTH: Final = 1.15
"""The factor by which memory may grow after that."""


@define
class Minute:
    """
    What one minute showed.
    """

    latencies: list[float] = field(factory=list)
    failed: int = 0

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies) or [0.0]
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000


@define
class Soak:
    """
    The served process under load, and what was acknowledged.
    """

    server: Server
    client: httpx2.AsyncClient
    key: str
    project: int
    board: str
    minute: Minute = field(factory=Minute)
    created: list[str] = field(factory=list)
    """The titles of tasks whose creation was acknowledged."""
    completed: list[tuple[int, int]] = field(factory=list)
    """The numbers and fences of completed runs that were acknowledged."""
    refused: Counter[str] = field(factory=Counter)
    tokens: dict[str, str] = field(factory=dict)
    over: bool = False

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """
        Send a request until it is answered. A failure of the server or of its database is waited out.
        """
        while True:
            began = time.perf_counter()
            try:
                answer = await self.client.request(method, self.server.base + path, json=body, headers=headers)
            except httpx2.HTTPError:
                self.minute.failed += 1
            else:
                if answer.status_code < 500:
                    self.minute.latencies.append(time.perf_counter() - began)
                    return answer.status_code, answer.json() if answer.content else None
                self.minute.failed += 1
            await asyncio.sleep(0.1)

    async def ok(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        status, answer = await self.call(method, path, body, **headers)
        if status >= 300:
            raise AssertionError(f"{method} {path} answered {status}: {answer}")
        return answer

    @property
    def pid(self) -> int:
        """
        The server's process, which is the supervisor of several workers.
        """
        assert self.server.process is not None
        return self.server.process.pid

    @property
    def workers(self) -> list[int]:
        """
        The worker processes, if there are several.
        """
        return [int(each) for each in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    @property
    def memory(self) -> float:
        """
        The resident memory of the server's processes in megabytes; 0 if one is ending.
        """
        try:
            return sum(map(_resident, (self.pid, *self.workers)))
        except (OSError, ValueError):
            return 0.0


def _resident(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    (kilobytes,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(kilobytes) / 1024


async def create(soak: Soak, name: str, dice: random.Random) -> None:
    """
    Create tasks at a steady pace, each under a key of its own, so that a repeat makes no second one.
    """
    for n in range(10**9):
        if soak.over:
            return
        title = f"{name}-{n}"
        body = {"title": title, "description": "What is to be done. " * 5, "priority": dice.choice(("low", "high"))}
        if name.startswith("fleet"):
            body["project_id"] = soak.project
            await soak.ok("POST", "/api/tasks", body, **{"x-api-key": soak.key, "idempotency-key": title})
        else:
            path, bearer = f"/api/v1/boards/{soak.board}/tasks", f"Bearer {soak.key}"
            await soak.ok("POST", path, body, **{"authorization": bearer, "idempotency-key": title})
        soak.created.append(title)
        await asyncio.sleep(dice.uniform(0.3, 0.7))


async def work(soak: Soak, name: str, dice: random.Random) -> None:
    """
    Claim tasks, send heartbeats and complete them; forget a few of them.
    """
    who = {"x-api-key" if name.startswith("fleet") else "x-agent-token": soak.tokens[name]}
    tasks = "/api/tasks" if name.startswith("fleet") else f"/api/v1/agent/boards/{soak.board}/tasks"
    wish = {"lease_seconds": LEASE_SECONDS} | ({"project_id": soak.project} if name.startswith("fleet") else {})
    while True:
        repeat = {"idempotency-key": f"{name}-{dice.getrandbits(64)}"}
        claimed = await soak.ok("POST", f"{tasks}/claim", wish, **who, **repeat)
        if not claimed.get("task"):
            if soak.over and await _unfinished(soak) == 0:
                return
            await asyncio.sleep(0.5)
            continue
        if not soak.over and dice.random() < ABANDONED:
            continue
        place, lease = f"{tasks}/{claimed['task']['id']}", {"lease": claimed["lease"]["lease"]}
        for _ in range(dice.randrange(3)):
            await asyncio.sleep(dice.uniform(0.05, 0.2))
            await soak.call("POST", f"{place}/lease/heartbeat", lease, **who)
        status, answer = await soak.call("POST", f"{place}/complete", lease, **who)
        if status == 200:
            soak.completed.append((claimed["task"]["number"], claimed["lease"]["fence"]))
        elif status == 409:
            soak.refused[str(answer.get("code") or answer)] += 1
        else:
            raise AssertionError(f"completing answered {status}: {answer}")


async def _unfinished(soak: Soak) -> int:
    done = await soak.ok("GET", "/api/tasks?status=done&limit=1", **{"x-api-key": soak.key})
    return len(soak.created) - int(done["total"])


async def edit(soak: Soak, name: str, dice: random.Random) -> None:
    """
    Change and comment tasks of the last page.
    """
    key = {"x-api-key": soak.key} if name.startswith("fleet") else {"authorization": f"Bearer {soak.key}"}
    tasks = "/api/tasks" if name.startswith("fleet") else f"/api/v1/boards/{soak.board}/tasks"
    while not soak.over:
        page = await soak.ok("GET", f"{tasks}?limit=20", **key)
        shown = page["tasks"] if name.startswith("fleet") else page["items"]
        for task in dice.sample(shown, min(3, len(shown))):
            if name.startswith("fleet"):
                await soak.call("PUT", f"{tasks}/{task['id']}", {"estimated_hours": dice.randrange(1, 9)}, **key)
                await soak.call("POST", f"{tasks}/{task['id']}/comments", {"content": "Seen."}, **key)
            else:
                await soak.call("PATCH", f"{tasks}/{task['id']}", {"due_at": "2031-01-01T00:00:00Z"}, **key)
                await soak.call("POST", f"{tasks}/{task['id']}/comments", {"message": "Seen."}, **key)
        await asyncio.sleep(dice.uniform(0.3, 0.8))


async def read(soak: Soak, name: str, dice: random.Random) -> None:
    """
    Look at lists, agents, reports and the snapshot.
    """
    fleet = ("/api/tasks?limit=50", "/api/agents?limit=50", "/api/status?action=dashboard", "/api/search?q=fleet-1")
    boards = (
        f"/api/v1/boards/{soak.board}/tasks?limit=50", f"/api/v1/boards/{soak.board}/snapshot",
        "/api/v1/metrics/dashboard?range_key=7d", "/healthz",
    )  # fmt: skip
    while not soak.over:
        if name.startswith("fleet"):
            await soak.ok("GET", dice.choice(fleet), **{"x-api-key": soak.key})
        else:
            await soak.ok("GET", dice.choice(boards), authorization=f"Bearer {soak.key}")
        await asyncio.sleep(dice.uniform(0.2, 0.5))


async def disturb(soak: Soak, relay: Relay | None, seconds: float) -> None:
    """
    Restart and kill the server or its workers, and cut its database, in the first half of the time.
    """
    planned = (*OF_WORKERS, *DISTURBANCES) if soak.workers else DISTURBANCES
    for what in planned:
        await asyncio.sleep(seconds / 2 / (len(planned) + 1))
        if what == "cut" and relay is not None:
            relay.cut()
            await asyncio.sleep(CUT_SECONDS)
            relay.mend()
        elif what == "kill a worker":
            os.kill(soak.workers[0], signal.SIGKILL)
        elif what == "replace the workers":
            os.kill(soak.pid, signal.SIGHUP)
        elif what != "cut":
            how = signal.SIGKILL if what == "kill" else signal.SIGTERM
            await asyncio.to_thread(soak.server.stop, how)
            await asyncio.to_thread(soak.server.start)
        print(f"  ({what})", flush=True)


async def tell_minutes(soak: Soak, memories: list[float]) -> None:
    """
    Print each minute, and note the server's memory.
    """
    print(f"{'minute':>7}{'requests':>10}{'failed':>8}{'p50 ms':>8}{'p99 ms':>8}{'MB':>8}{'tasks':>8}{'done':>8}")
    for number in range(1, 10**6):
        await asyncio.sleep(60)
        minute, soak.minute = soak.minute, Minute()
        memories.append(soak.memory)
        print(f"{number:>7}{len(minute.latencies):>10}{minute.failed:>8}{minute.percentile(0.5):>8.1f}", end="")
        print(f"{minute.percentile(0.99):>8.1f}{memories[-1]:>8.1f}{len(soak.created):>8}{len(soak.completed):>8}")


async def run(server: Server, relay: Relay | None, seconds: float) -> list[str]:
    """
    Load the server, let all work end, and return what was wrong.
    """
    async with _started(server) as soak:
        memories: list[float] = []
        roles = {create: CREATORS, work: WORKERS, edit: EDITORS, read: READERS}
        clients: list[Awaitable[None]] = []
        for dialect in ("fleet", "boards"):
            for role, many in roles.items():
                names = [f"{dialect}-{role.__name__}-{n}" for n in range(many)]
                if role is work:
                    await _hire(soak, dialect, names)
                clients += [role(soak, name, random.Random(name)) for name in names]
        telling = asyncio.create_task(tell_minutes(soak, memories))
        disturbing = asyncio.create_task(disturb(soak, relay, seconds))
        working = asyncio.gather(*clients)
        done, _ = await asyncio.wait([working], timeout=seconds)  # a client that fails ends it at once
        soak.over = True
        telling.cancel()
        if not done:
            await asyncio.wait_for(working, 300)
        await working
        await disturbing
        wrong = await _lost_or_doubled(soak)
        warm = memories[int(len(memories) * WARM_UP) :]
        print(f"memory after the warm-up: {', '.join(f'{each:.1f}' for each in warm)} MB")
        if warm and max(warm) > warm[0] * GROWTH:
            wrong.append(f"memory grew from {warm[0]:.1f} to {max(warm):.1f} MB")
        print(f"{len(soak.created)} created, {len(soak.completed)} completions acknowledged, refused: {soak.refused}")
    checked = await asyncio.to_thread(
        subprocess.run, server.arguments("audit", "verify"), capture_output=True, text=True, check=False
    )
    return wrong + ([f"audit verify: {checked.stdout}{checked.stderr}"] if checked.returncode else [])


@asynccontextmanager
async def _started(server: Server) -> AsyncIterator[Soak]:
    key = server.credential("API_KEY")
    async with httpx2.AsyncClient(timeout=30) as client:
        made = server.call("POST", "/api/projects", {"name": "Soak"}, **{"x-api-key": key})["project"]
        boards = server.call("GET", "/api/v1/boards", authorization=f"Bearer {key}")["items"]
        (board,) = [each["id"] for each in boards if each["name"] == "Soak"]
        gates = {"require_approval_for_done": False}
        server.call("PATCH", f"/api/v1/boards/{board}", gates, authorization=f"Bearer {key}")
        yield Soak(server, client, key, made["id"], board)


async def _hire(soak: Soak, dialect: str, names: list[str]) -> None:
    for name in names:
        if dialect == "fleet":
            made = await soak.ok("POST", "/api/agents", {"name": name, "role": "coder"}, **{"x-api-key": soak.key})
            soak.tokens[name] = made["agent_token"]
        else:
            body = {"name": name, "board_id": soak.board}
            made = await soak.ok("POST", "/api/v1/agents", body, authorization=f"Bearer {soak.key}")
            soak.tokens[name] = made["agent_token"]


async def _lost_or_doubled(soak: Soak) -> list[str]:
    """
    Compare what was acknowledged with what the server has now.
    """
    wrong: list[str] = []
    rows: list[Any] = []
    while page := (await soak.ok("GET", f"/api/tasks?limit=200&offset={len(rows)}", **{"x-api-key": soak.key}))[
        "tasks"
    ]:
        rows += page
    titles = Counter(row["title"] for row in rows)
    lost, doubled = set(soak.created) - set(titles), [title for title, many in titles.items() if many > 1]
    open_tasks = [row["id"] for row in rows if row["status"] != "done"]
    accepted: dict[int, list[int]] = {}
    for row in rows:
        runs = (await soak.ok("GET", f"/api/tasks/{row['id']}/runs", **{"x-api-key": soak.key}))["runs"]
        accepted[row["id"]] = [each["fence"] for each in runs if each["state"] == "completed"]
    wrong += [f"tasks are lost: {sorted(lost)[:5]}"] if lost else []
    wrong += [f"tasks were made twice: {doubled[:5]}"] if doubled else []
    wrong += [f"tasks are not done: {open_tasks[:5]}"] if open_tasks else []
    twice = [number for number, fences in accepted.items() if len(fences) != 1]
    wrong += [f"tasks are not completed exactly once: {twice[:5]}"] if twice else []
    untrue = [told for told in soak.completed if told[1] not in accepted.get(told[0], [])]
    wrong += [f"acknowledged completions are not there: {untrue[:5]}"] if untrue else []
    return wrong


@contextmanager
def _database(*, sqlite: bool, folder: Path) -> Iterator[tuple[str, Relay | None]]:
    if sqlite:
        yield f"sqlite:///{folder / 'soak.db'}", None
        return
    with ExitStack() as stack:
        url = stack.enter_context(
            postgres_server.empty_database(stack.enter_context(postgres_server.postgres_server()))
        )
        relay = stack.enter_context(relay_to(url))
        yield relay.url, relay


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--minutes", type=float, default=20)
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--sqlite", action="store_true")
    one.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    os.environ["MC_WORKERS"] = str(given.workers)
    os.environ["LOG_LEVEL"] = "CRITICAL"  # a cut database is an error for each request
    with (
        tempfile.TemporaryDirectory() as name,
        _database(sqlite=given.sqlite, folder=Path(name)) as (url, relay),
        served(url, Path(name)) as server,
    ):
        wrong = asyncio.run(run(server, relay, given.minutes * 60))
    print("\n".join(wrong) or "nothing was lost or done twice, and memory stayed flat")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
