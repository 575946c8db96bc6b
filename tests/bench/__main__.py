"""
What every operation of a worker's day costs: CPU per request, requests per second, median and 99th percentile, as
they are and as ratios to a bare Starlette route that answers the same bytes under the same server; for writes also to
a bare durable transaction through the same driver; and the statements of each request. All in one run.

    python -m tests.bench [--small] [--keep]

The run is compared with `baseline.json`: an operation that has become dearer by more than 15 % is named at the end.
Compared are ratios to the median bare route of the same run, because machines differ. `--keep` keeps the run as the
next baseline.
"""

import argparse
import asyncio
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import define, frozen

from mission_core.accounts.model import SystemPrincipal
from mission_core.agents.organization_creation import ensure_organization
from mission_core.agents.use_cases import CreateAgent, create_agent
from mission_core.approvals.use_cases import RequestApproval, request_approval
from mission_core.boards.model import Board, GateSet
from mission_core.boards.use_cases import CreateBoard, create_board
from mission_core.ports import Ports
from mission_core.tasks.use_cases import CreateTask, create_task
from mission_http.settings import Settings, settings_from
from mission_http.wiring import ports_over_database
from tests import postgres_server, statement_counts
from tests.bench import authentication, baseline, baselines, job_queues, ledger_writes, rate_limits
from tests.bench.load import LoadResult, Step, measure, request_bytes, wait_for

AGENTS = 2000
ONE_BOARD = 1000
"""How many tasks stand on the board whose snapshot is taken, however many there are elsewhere."""
APPROVALS = 200
"""How many approvals that board has."""
BUSY = 50
"""How many agents, the last ones, have a task in hand when the load begins."""
GROWTH = 1.5
AT_ONCE = 64
PORT = 18_765


@frozen
class Operation:
    """
    One kind of request. *steps* makes the requests of the n-th scenario; *writes* compares with a transaction too.
    """

    name: str
    steps: Callable[[int], list[Step]]
    writes: bool = False
    count: int = 2000


@define
class World:
    """
    A served database: its key, one board without gates with all its tasks, another with `ONE_BOARD`, and agents with
    tokens.
    """

    port: int
    pid: int
    key: str
    project: int
    board: str
    small: str
    tasks: int
    agents: list[tuple[str, str]]

    def call(self, method: str, path: str, body: object = None, *, token: str | None = None) -> dict[str, object]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        request.add_header("authorization", f"Bearer {token or self.key}")
        data = json.dumps(body).encode() if body is not None else None
        with urllib.request.urlopen(request, data, timeout=60) as response:
            answer: dict[str, object] = json.load(response)
            return answer


@frozen
class Seeded:
    """
    What was made before the server starts.
    """

    board: Board
    small: Board
    agents: list[tuple[str, str]]


async def seed(settings: Settings, tasks: int) -> Seeded:
    """
    Make the boards, their tasks and the agents through the core.
    """
    async with ports_over_database(settings) as ports:
        organization = await ensure_organization(ports, slug="default")
        who = SystemPrincipal(organization=organization.id, name="seed", display="Seed")
        gates = GateSet(require_approval_for_done=False)
        board = await create_board(ports, who, CreateBoard(name="Bench", gates=gates))
        small = await create_board(ports, who, CreateBoard(name="Snapshot", gates=gates))
        places = itertools.chain(((board, n) for n in range(tasks)), ((small, n) for n in range(ONE_BOARD)))
        names = iter([f"bench-{n}" for n in range(AGENTS)])
        agents: list[tuple[str, str]] = []

        async def work(ports: Ports) -> None:
            for place, n in places:
                body = {"title": f"Task {n}", "description": "What is to be done, in some words. " * 4}
                priority = ("low", "medium", "high")[n % 3]
                await create_task(ports, who, CreateTask(board=place.id, priority=priority, tags=("bench",), **body))

        async def staff(ports: Ports) -> None:
            for name in names:
                made = await create_agent(ports, who, CreateAgent(name=name, role="coder"))
                agents.append((name, str(made.token)))

        await asyncio.gather(*(work(ports) for _ in range(AT_ONCE)))
        await asyncio.gather(*(staff(ports) for _ in range(AT_ONCE)))
        for n in range(APPROVALS):
            request = RequestApproval(board=small.id, action=f"deploy {n}", confidence=90.0)
            await request_approval(ports, who, request)
        return Seeded(board, small, agents)


def fleet_operations(world: World) -> list[Operation]:
    key = {"x-api-key": world.key}
    agents = [{"x-api-key": token} for _, token in world.agents]

    def get(path: str) -> bytes:
        return request_bytes("GET", path, key)

    def post(path: str, body: object, headers: dict[str, str] = key, method: str = "POST") -> bytes:
        return request_bytes(method, path, headers, json.dumps(body).encode())

    def complete(answer: bytes, headers: dict[str, str]) -> bytes:
        claimed = json.loads(answer)
        return post(f"/api/tasks/{claimed['task']['id']}/complete", {"lease": claimed["lease"]["lease"]}, headers)

    def claim(n: int) -> list[Step]:
        who = agents[n % len(agents)]
        return [post("/api/tasks/claim", {"project_id": world.project}, who), lambda answer: complete(answer, who)]

    def heartbeat(n: int) -> list[Step]:
        name, token = world.agents[n % len(world.agents)]
        return [request_bytes("POST", f"/api/agents/{name}/heartbeat", {"x-api-key": token})]

    def poll(n: int) -> list[Step]:
        who = agents[n % len(agents)]

        def hand_in(answer: bytes) -> bytes:
            task = json.loads(answer)["task"]["id"]
            return post(f"/api/tasks/{task}", {"status": "done"}, who, method="PUT")

        return [request_bytes("GET", "/api/tasks/queue", who), hand_in]

    for _, token in world.agents[-BUSY:]:
        world.call("GET", "/api/tasks/queue", token=token)
    new = {"description": "What is to be done, in some words. " * 4, "project_id": world.project}
    return [
        Operation("get a task", lambda n: [request_bytes("GET", f"/api/tasks/{n % world.tasks + 1}", key)]),
        Operation("list 50", lambda n: [request_bytes("GET", "/api/tasks?limit=50", key)], count=800),
        Operation("create a task", lambda n: [post("/api/tasks", {"title": f"New {n}"} | new)], writes=True),
        Operation(
            "update a task",
            lambda n: [post(f"/api/tasks/{n % world.tasks + 1}", {"title": f"Changed {n}"}, method="PUT")],
            writes=True,
        ),
        Operation("claim and complete", claim, writes=True, count=min(450, world.tasks // 2)),
        Operation("poll and hand in", poll, writes=True, count=min(450, world.tasks // 2)),
        Operation("queue, has a task", lambda n: [request_bytes("GET", "/api/tasks/queue", agents[-1 - n % BUSY])]),
        Operation("agent heartbeat", heartbeat, writes=True),
        Operation(
            "comment",
            lambda n: [post(f"/api/tasks/{n % world.tasks + 1}/comments", {"content": "It goes on well."})],
            writes=True,
        ),
        Operation(
            "list comments",
            lambda n: [get(f"/api/tasks/{n % min(world.tasks, 500) + 1}/comments")],
        ),
        Operation("list 50 agents", lambda n: [get("/api/agents?limit=50")], count=800),
        Operation("search a word", lambda n: [get(f"/api/search?q=Task%20{n % 900}")], count=200),
        Operation("workload", lambda n: [get("/api/workload")], count=400),
        Operation("outcomes of a day", lambda n: [get("/api/tasks/outcomes?timeframe=day")], count=400),
        Operation("dashboard numbers", lambda n: [get("/api/status?action=dashboard")], count=200),
    ]


def boards_operations(world: World) -> list[Operation]:
    user = {"authorization": f"Bearer {world.key}"}
    tasks = f"/api/v1/boards/{world.board}/tasks"
    ids = [str(each["id"]) for each in itertools.islice(_all_tasks(world, tasks), 200)]

    def post(path: str, body: object, headers: dict[str, str] = user, method: str = "POST") -> bytes:
        return request_bytes(method, path, headers, json.dumps(body).encode())

    def claim(n: int) -> list[Step]:
        who = {"x-agent-token": world.agents[n % len(world.agents)][1]}
        place = f"/api/v1/agent/boards/{world.board}/tasks"

        def complete(answer: bytes) -> bytes:
            claimed = json.loads(answer)
            return post(f"{place}/{claimed['task']['id']}/complete", {"lease": claimed["lease"]["lease"]}, who)

        return [post(f"{place}/claim", {}, who), complete]

    def heartbeat(n: int) -> list[Step]:
        token = world.agents[n % len(world.agents)][1]
        return [request_bytes("POST", "/api/v1/agent/heartbeat", {"x-agent-token": token})]

    description = "What is to be done, in some words. " * 4
    return [
        Operation("list 50", lambda n: [request_bytes("GET", f"{tasks}?limit=50", user)], count=800),
        Operation(
            "create a task", lambda n: [post(tasks, {"title": f"New {n}", "description": description})], writes=True
        ),
        Operation(
            "update a task",
            lambda n: [post(f"{tasks}/{ids[n % len(ids)]}", {"title": f"Changed {n}"}, method="PATCH")],
            writes=True,
        ),
        Operation("claim and complete", claim, writes=True, count=min(450, world.tasks // 2)),
        Operation("agent heartbeat", heartbeat, writes=True),
        Operation(
            "comment",
            lambda n: [post(f"{tasks}/{ids[n % len(ids)]}/comments", {"message": "It goes on well."})],
            writes=True,
        ),
        Operation(
            f"snapshot of {ONE_BOARD}",
            lambda n: [request_bytes("GET", f"/api/v1/boards/{world.small}/snapshot", user)],
            count=100,
        ),
        Operation(
            f"approvals of {APPROVALS}",
            lambda n: [request_bytes("GET", f"/api/v1/boards/{world.small}/approvals?limit={APPROVALS}", user)],
            count=200,
        ),
        Operation(
            "metrics of a week",
            lambda n: [request_bytes("GET", "/api/v1/metrics/dashboard?range_key=7d", user)],
            count=200,
        ),
    ]


def _all_tasks(world: World, path: str) -> Iterator[dict[str, object]]:
    answer = world.call("GET", f"{path}?limit=200")["items"]
    assert isinstance(answer, list)
    yield from answer


Figures = dict[tuple[str, str, str], float]
"""CPU milliseconds by store, dialect and operation."""
Ratios = dict[str, float]
"""CPU by that of the median bare route of the same run, by dialect and operation."""


def bench(title: str, database_url: str, tasks: int, folder: Path) -> tuple[Figures, Ratios]:
    """
    Measure everything over one database.
    """
    figures: Figures = {}
    bare: list[float] = []
    settings = settings_from({}, data_dir=folder, database_url=database_url)
    began = time.perf_counter()
    seeded = asyncio.run(seed(settings, tasks))
    print(f"\n{title}, {tasks:,} tasks (made in {time.perf_counter() - began:.0f} s)")
    command = [sys.executable, "-m", "mission_http.main", "serve", "--port", str(PORT)]
    command += ["--database-url", database_url, "--data-dir", str(folder)]
    unlimited = {**os.environ, "MC_DISABLE_RATE_LIMIT": "1"}
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=unlimited)
    try:
        assert server.stdout is not None
        assert "listens" in server.stdout.readline()
        board, small = seeded.board, seeded.small
        places = (int(board.number), str(board.id), str(small.id))
        world = World(PORT, server.pid, settings.api_key, *places, tasks, seeded.agents)
        if database_url.startswith("postgres"):
            baselines.analyze(database_url)
        floor = baselines.transaction(database_url, folder)
        print(f"a bare durable transaction through the same driver: {floor:.3f} ms of CPU")
        for dialect, operations in (("fleet", fleet_operations), ("boards", boards_operations)):
            for name, (cpu_ms, bare_ms) in _report(dialect, operations(world), world, floor, folder).items():
                figures[title, dialect, name] = cpu_ms
                bare.append(bare_ms)
    finally:
        server.terminate()
        server.wait()
    middle = statistics.median(bare)
    print(f"the median bare route of this run: {middle:.3f} ms of CPU")
    return figures, {f"{dialect} {name}": cpu_ms / middle for (_, dialect, name), cpu_ms in figures.items()}


def _report(
    dialect: str, operations: list[Operation], world: World, floor: float, folder: Path
) -> dict[str, tuple[float, float]]:
    """
    Measure and print the operations of a dialect. Returns the CPU milliseconds of each and of its bare route.
    """
    measured: dict[str, tuple[float, float]] = {}
    print(f"{dialect:<8}{'operation':<22}{'CPU ms':>8}{'+ db':>7}{'req/s':>8}{'p50 ms':>8}{'p99 ms':>8}", end="")
    print(f"{'bare ms':>9}{'x bare':>8}{'x req/s':>8}{'x p50':>7}{'x p99':>7}{'x tx':>7}")
    for operation in operations:
        ours, sample = asyncio.run(_measured(operation, world.port, world.pid))
        yardstick = _bare(sample, folder)
        print(f"{'':<8}{operation.name:<22}{ours.cpu_ms:>8.3f}{ours.database_ms:>7.3f}{ours.rate:>8.0f}", end="")
        print(f"{ours.percentile(0.5):>8.2f}{ours.percentile(0.99):>8.2f}{yardstick.cpu_ms:>9.3f}", end="")
        print(f"{ours.cpu_ms / yardstick.cpu_ms:>8.1f}{ours.rate / yardstick.rate:>8.2f}", end="")
        print(f"{ours.percentile(0.5) / yardstick.percentile(0.5):>7.1f}", end="")
        print(f"{ours.percentile(0.99) / yardstick.percentile(0.99):>7.1f}", end="")
        print(f"{ours.cpu_ms / floor:>7.1f}" if operation.writes else f"{'':>7}", flush=True)
        measured[operation.name] = ours.cpu_ms, yardstick.cpu_ms
    return measured


async def _measured(operation: Operation, port: int, pid: int) -> tuple[LoadResult, list[bytes]]:
    """
    The load, after a short warming up; and the bytes of one answer to each step.
    """
    counter = itertools.count()
    scenarios = (operation.steps(n) for n in counter)
    sample: list[bytes] = []

    def noting(step: Step) -> Step:
        def noted(answer: bytes) -> bytes:
            if answer:
                sample.append(answer)
            return step if isinstance(step, bytes) else step(answer)

        return noted

    first = [noting(step) for step in next(scenarios)]
    await measure(port, pid, itertools.chain([[*first, lambda answer: sample.append(answer) or _ping()]], scenarios), 1)
    await measure(port, pid, scenarios, min(operation.count // 10, 100))
    return await measure(port, pid, scenarios, operation.count), sample


def _ping() -> bytes:
    return request_bytes("GET", "/healthz", {})


def _bare(bodies: list[bytes], folder: Path) -> LoadResult:
    files = []
    for index, body in enumerate(bodies):
        files.append(folder / f"bare-{index}.json")
        files[-1].write_bytes(body)
    command = [sys.executable, "-m", "tests.bench.baselines", str(PORT + 1), *map(str, files)]
    process = subprocess.Popen(command)
    try:
        wait_for(PORT + 1)
        requests = ([request_bytes("GET", f"/{index}", {}) for index in range(len(files))] for _ in itertools.count())
        asyncio.run(measure(PORT + 1, process.pid, requests, 300))
        return asyncio.run(measure(PORT + 1, process.pid, requests, 3000 // len(files)))
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="What each operation costs.")
    parser.add_argument("--small", action="store_true", help="with 1,000 tasks alone, and not with 100,000 as well")
    parser.add_argument("--keep", action="store_true", help="keep the ratios and the counts as the baseline")
    arguments = parser.parse_args()
    sizes = [1000] if arguments.small else [1000, 100_000]
    keeps = arguments.keep
    print("CPU ms is the server process's own, user and system, divided by requests, and + db that of all PostgreSQL")
    print("processes of the machine; 16 connections.")
    for counter, cpu_ms in rate_limits.costs().items():
        print(f"to count a request under a rate limit, in {counter}: {cpu_ms:.4f} ms of CPU")
    every: list[Figures] = []
    ratios: dict[str, Ratios] = {}
    with tempfile.TemporaryDirectory() as name, postgres_server.postgres_server() as server:
        for size in sizes:
            folder = Path(name) / f"sqlite-{size}"
            folder.mkdir()
            figures, found = bench("SQLite", f"sqlite:///{folder / 'bench.db'}", size, folder)
            ratios.setdefault("sqlite", found)
            with postgres_server.empty_database(server) as url:
                folder = Path(name) / f"postgres-{size}"
                folder.mkdir()
                more, found = bench("PostgreSQL", url, size, folder)
                ratios.setdefault("postgresql", found)
            every.append(figures | more)
        print("\nStatements of each request on SQLite")
        asyncio.run(statement_counts.main(None, keeps=keeps))
        with postgres_server.empty_database(server) as url:
            print("\nRound trips of each request to PostgreSQL")
            asyncio.run(statement_counts.main(url, keeps=keeps))
        folder = Path(name) / "authenticating"
        folder.mkdir()
        print("\nCPU of reading a task in this process, by who reads it")
        _tell("SQLite", authentication.costs(f"sqlite:///{folder / 'bench.db'}", folder))
        with postgres_server.empty_database(server) as url:
            _tell("PostgreSQL", authentication.costs(url, folder))
        print("\nCPU of recording usage of tokens, by that of a bare insert")
        asyncio.run(ledger_writes.main(None))
        with postgres_server.empty_database(server) as url:
            asyncio.run(ledger_writes.main(url))
        job_queues.compare(server)
    if len(every) > 1:
        _compare(every[0], every[-1], sizes)
    for kind, found in ratios.items():
        _compare_with_baseline(kind, found)
        if keeps:
            baseline.keep("ratios", kind, {name: round(ratio, 2) for name, ratio in found.items()})


def _tell(store: str, costs: authentication.Costs) -> None:
    for who, cpu_ms in costs.items():
        print(f"{store:<11}{who:<40}{cpu_ms:>8.3f}")


def _compare(few: Figures, many: Figures, sizes: list[int]) -> None:
    """
    How much dearer each operation is with many tasks than with few.
    """
    print(f"\nCPU with {sizes[-1]:,} tasks by CPU with {sizes[0]:,}; beyond {GROWTH} it is marked")
    for (store, dialect, name), cpu_ms in few.items():
        ratio = many[store, dialect, name] / cpu_ms
        print(f"{store:<11}{dialect:<8}{name:<22}{ratio:>7.2f}{' <--' if ratio > GROWTH else ''}")


def _compare_with_baseline(kind: str, found: Ratios) -> None:
    kept = baseline.read()["ratios"][kind]
    dearer = {name: found[name] / ratio for name, ratio in kept.items() if name in found}
    dearer = {name: factor for name, factor in dearer.items() if factor > baseline.DEARER}
    print(f"\n{kind}: {len(dearer)} operations are dearer than in the baseline by more than {baseline.DEARER - 1:.0%}")
    for name, factor in dearer.items():
        print(f"  {name:<30}{kept[name]:>8.1f} -> {found[name]:>8.1f} times the bare route ({factor - 1:+.0%})")


if __name__ == "__main__":
    main()
