"""
Growth: what operations cost at 1,000 tasks and at many, in CPU of this process and of PostgreSQL's, and what a task, a
run and a log entry take on disk.

    python -m tests.bench.growth [DATABASE_URL] [--tasks N] [--keep FOLDER]

Two databases are open at once, and take turns at each operation. The ratio is that of the
medians. On PostgreSQL the small database is created beside the other one, with `_small` at the end of its name. With
`--keep` the large database and the keys stay in a folder, and the next run does not fill it again.

Rows are put in by SQL, as copies of a few that the product wrote: N tasks, four fifths of them done, one every 90
seconds, by as many assignees as there are agents; N log entries; a run for every tenth task, and an agent for every
hundredth. Digests and signatures are copied too, so the log of a filled database does not verify. Ten tasks have a word
that no other has. The search index is filled by the housekeeping of the product.

Operations that are linear by nature (the verification of the log, the snapshot of a board with all tasks, the search
for a word that every task has, a report on all tasks ever done) are not among them. Reports are asked about hours in
which both databases have equally many tasks. `LINEAR` declares what reads more rows by nature in the large database:
the table tells the reason, the numbers of these rows, and what each one more costs.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
from attrs import define, field, frozen

from mission_adapters.lease_sweeper import sweep_all_organizations
from mission_adapters.sql.database_session import BoundStatement, Steps
from mission_adapters.sql.tables import metadata
from mission_core.accounts.model import SystemPrincipal
from mission_core.agents.organization_creation import ensure_organization
from mission_core.boards.model import GateSet
from mission_core.boards.use_cases import CreateBoard, create_board
from mission_core.ids import OrganizationId
from mission_core.ports import Ports
from tests.statement_counts import CountedApp, counted_app

SMALL = 1000
REPEATS = 25
WARMING = 3
GROWTH = 1.5
BATCH = 200
"""The rows of one transaction. For a larger one SQLite's journal of statements takes ever longer, because tasks have a
trigger."""
DAY = 86_400_000_000
"""The microseconds of a day."""
DONE_EVERY = 90_000_000
"""The microseconds between two tasks that were done."""
RARE = 10
"""How many tasks have the rare word."""
TIMES = ("created_at", "updated_at", "moved_at", "started_at", "begun_at", "completed_at", "done_at")
WORDS = (
    "deploy", "server", "login", "page", "parser", "review", "invoice", "customer", "table", "agent", "lease",
    "timeout", "release", "error", "retry", "queue", "index", "worker", "budget", "report", "board", "approval",
    "secret", "token",
    "network", "proxy", "cache", "memory", "signal", "upload", "image", "video", "audio", "stream", "batch", "graph",
    "metric", "alert", "incident", "feature", "rollout", "canary", "staging", "production",
)  # fmt: skip
Rows = Iterator[dict[str, Any]]


@frozen
class LinearCost:
    """
    Why an operation reads ever more rows, and the select that counts them. `{day}` and `{week}` are the microseconds
    since 1970 of a day and of a week ago.
    """

    reason: str
    rows: str


LINEAR = {
    "dashboard, 7 days": LinearCost(
        "the median needs the cycle time of each task done in the range",
        "SELECT count(*) FROM tasks WHERE done_at >= {week}",
    ),
    "fleet dashboard": LinearCost(
        "the status of each agent depends on the time since its heartbeat", "SELECT count(*) FROM agents"
    ),
    "task outcomes of a day": LinearCost(
        "the answer lists each assignee", "SELECT count(DISTINCT assignee_key) FROM tasks WHERE done_at >= {day}"
    ),
    "workload": LinearCost("the answer lists each agent", "SELECT count(*) FROM agents"),
}
"""The operations that are linear by nature. Their ratio may not be above that of their rows."""


@define
class GrowingDatabase:
    """
    The database of an application in this process, which is filled behind its back.
    """

    counted: CountedApp
    organization: OrganizationId
    templates: dict[str, dict[str, Any]] = field(factory=dict)
    tasks: int = 0

    @property
    def ports(self) -> Ports:
        """
        The ports of the application.
        """
        return self.counted.ports

    @property
    def session(self) -> Any:
        """
        The session of the application's store.
        """
        numbers: Any = self.ports.numbers
        return numbers.session

    async def rows(self, text: str, *values: Any) -> list[Any]:
        """
        The rows of a query.
        """

        def steps() -> Steps[list[Any]]:
            found: list[Any] = yield BoundStatement(text, values)
            return found

        return [tuple(row) for row in await self.session.read(steps)]

    async def run(self, *texts: str) -> None:
        """
        Run statements in one transaction.
        """

        def steps() -> Steps[None]:
            for text in texts:
                yield BoundStatement(text, returns_rows=False)

        await self.session.write(steps)

    async def insert(self, table: str, rows: Iterable[dict[str, Any]]) -> None:
        """
        Insert rows in large transactions.
        """
        columns = [column.name for column in metadata.tables[table].c]
        marks = [f"${n + 1}" if self.session.dialect == "postgresql" else "?" for n in range(len(columns))]
        text = f"INSERT INTO {table} ({', '.join(map(quoted, columns))}) VALUES ({', '.join(marks)})"
        some: list[list[Any]] = []

        async def write() -> None:
            def steps() -> Steps[None]:
                yield BoundStatement(text, some, returns_rows=False, many=True)

            await self.session.write(steps, durable=False)
            some.clear()

        for row in rows:
            some.append([row[name] for name in columns])
            if len(some) == BATCH:
                await write()
        if some:
            await write()

    async def size(self) -> int:
        """
        The size of the database in bytes.
        """
        if self.session.dialect == "postgresql":
            ((size,),) = await self.rows("SELECT pg_database_size(current_database())")
        else:
            ((size,),) = await self.rows("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        return int(size)


def quoted(name: str) -> str:
    """
    A name that may be a keyword.
    """
    return f'"{name}"'


async def template_rows(database: GrowingDatabase, table: str, condition: str) -> dict[str, Any]:
    """
    One row of a table, by the names of its columns.
    """
    columns = [column.name for column in metadata.tables[table].c]
    found = await database.rows(f"SELECT {', '.join(map(quoted, columns))} FROM {table} WHERE {condition} LIMIT 1")
    return dict(zip(columns, found[0], strict=True))


def description_of(n: int) -> str:
    """
    Some words, not the same for each task.
    """
    return " ".join(WORDS[(n * (k + 7) + k * k) % len(WORDS)] for k in range(24))


async def fill(database: GrowingDatabase, tasks: int) -> dict[str, float]:
    """
    Add this number of tasks, and return the bytes that a row of each kind took.
    """
    ((number,),) = await database.rows("SELECT max(number) FROM tasks")
    ((agent_number,),) = await database.rows("SELECT max(number) FROM agents")
    ((position,),) = await database.rows("SELECT max(position) FROM events")
    templates, new_id = database.templates, database.ports.ids.new
    ids, new, agents = [new_id().bytes for _ in range(tasks)], range(tasks), max(tasks // 100, 1)
    rare = {n * tasks // RARE for n in range(RARE)}

    def task_rows() -> Rows:
        for n in new:
            row = templates["open" if n % 5 == 0 else "done"]
            numbered = {
                "id": ids[n],
                "number": number + 1 + n,
                "ticket": None if row["ticket"] is None else n + 1000,
            }
            description = description_of(n) + (" okapi" if n in rare else "")
            said = {"title": f"Filled {WORDS[n % 41]} {WORDS[n * 7 % 43]} {n}", "description": description}
            age = (tasks - n) * DONE_EVERY
            moments = {name: row[name] - age for name in TIMES if row[name] is not None}
            whose = f"agent-{n * 7919 % agents}"
            own = {} if row["assignee"] is None else {"assignee": whose, "assignee_key": whose}
            yield row | numbered | said | moments | own

    def queue_rows() -> Rows:
        for n in new:
            if n % 5 == 0:
                yield templates["queue"] | {"task": ids[n], "number": number + 1 + n}

    def run_rows() -> Rows:
        for n in new:
            if n % 10 == 1:
                yield templates["run"] | {"id": new_id().bytes, "task": ids[n]}

    def agent_rows() -> Rows:
        for n in range(agents):
            name = f"agent-{n}"
            named = {"name": name, "name_key": name, "session_key": f"key-{n}", "number": agent_number + 1 + n}
            yield templates["agent"] | named | {"id": new_id().bytes}

    def event_rows() -> Rows:
        for n in new:
            yield templates["event"] | {"position": position + 1 + n, "subject": ids[n]}

    sizes: dict[str, float] = {}
    for what, table, rows, share in (
        ("task", "tasks", task_rows(), 1),
        ("queue row", "queue", queue_rows(), 5),
        ("run", "runs", run_rows(), 10),
        ("agent", "agents", agent_rows(), 100),
        ("log entry", "events", event_rows(), 1),
    ):
        before, began = await database.size(), time.monotonic()
        await database.insert(table, rows)
        sizes[what] = (await database.size() - before) / max(len(new) / share, 1)
        told(f"{tasks:,} tasks: {table} took {time.monotonic() - began:.0f} s")
    await count_again(database)
    before, began = await database.size(), time.monotonic()
    await index_all(database)
    sizes["task in the search index"] = (await database.size() - before) / len(new)
    told(f"{tasks:,} tasks: the search index took {time.monotonic() - began:.0f} s")
    return sizes


async def index_all(database: GrowingDatabase) -> None:
    """
    Add to the search index what it lacks.
    """
    while True:
        if not await database.ports.housekeeping.index_tasks(database.organization, limit=256):
            if await unindexed(database) <= 256:
                break
            await asyncio.sleep(0.1)  # the index waits for transactions of others, which tell nobody when they end


def told(text: str) -> None:
    """
    Say how far the filling is.
    """
    print(text, file=sys.stderr, flush=True)


async def unindexed(database: GrowingDatabase) -> int:
    """
    How many tasks the search index lacks.
    """
    mark = "$1" if database.session.dialect == "postgresql" else "?"
    ((lacking,),) = await database.rows(
        "SELECT max(number) - coalesce((SELECT max(indexed) FROM search_progress), 0) "
        f"FROM tasks WHERE organization = {mark}",
        database.organization.bytes,
    )
    return int(lacking)


async def count_again(database: GrowingDatabase) -> None:
    """
    Bring counters, the head of the log and the numbers to what the rows say.
    """
    no_board = "zeroblob(16)" if database.session.dialect == "sqlite" else "decode(repeat('00', 16), 'hex')"
    await database.run(
        "DELETE FROM tallies",
        "INSERT INTO tallies (organization, board, status, priority, assigned, amount) "
        "SELECT organization, board, status, priority, CASE WHEN assignee_key IS NULL THEN 0 ELSE 1 END AS own, "
        "count(*) FROM tasks GROUP BY organization, board, status, priority, own",
        "DELETE FROM workloads",
        "INSERT INTO workloads (organization, assignee_key, board, status, priority, amount) "
        "SELECT organization, assignee_key, board, status, priority, count(*) FROM tasks "
        "WHERE assignee_key IS NOT NULL GROUP BY organization, assignee_key, board, status, priority",
        "DELETE FROM agent_counts",
        "INSERT INTO agent_counts (organization, board, hidden, role, amount) "
        f"SELECT organization, coalesce(board, {no_board}) AS place, hidden, role, count(*) FROM agents "
        "GROUP BY organization, place, hidden, role",
        "UPDATE heads SET position = (SELECT max(position) FROM events)",
        "UPDATE numbers SET value = value + 10000000",
    )


def cpu_of(pids: Iterable[int]) -> dict[int, int]:
    """
    The CPU time of processes of this machine in nanoseconds.
    """
    found: dict[int, int] = {}
    for pid in pids:
        try:
            found[pid] = int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
        except OSError:  # ended, or on another machine
            continue
    return found


@frozen
class Cost:
    """
    The CPU that an operation took here and in PostgreSQL's processes, in milliseconds.
    """

    here: float
    there: float

    @property
    def both(self) -> float:
        """
        The sum.
        """
        return self.here + self.there


Operation = Callable[[int], Awaitable[Any]]


async def costs_of(*asked: tuple[GrowingDatabase, Operation]) -> list[Cost]:
    """
    The median cost of an operation in each database, after the first calls, which warm it. The databases take turns, so
    that what else the machine does is the same for all.
    """
    costs: list[list[tuple[int, int]]] = [[] for _ in asked]
    for n in range(-WARMING, REPEATS):
        for (database, operation), found in zip(asked, costs, strict=True):
            pids = await pids_of(database)
            before, began = cpu_of(pids), time.process_time_ns()
            await operation(n)
            spent, after = time.process_time_ns() - began, cpu_of(pids)
            found.append((spent, sum(after[pid] - before[pid] for pid in after)))
    return [Cost(*(statistics.median(each) / 1e6 for each in zip(*found[WARMING:], strict=True))) for found in costs]


async def pids_of(database: GrowingDatabase) -> list[int]:
    """
    The PostgreSQL processes that serve a database.
    """
    if database.session.dialect != "postgresql":
        return []
    found = await database.rows(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
    )
    return [pid for (pid,) in found]


def operations(database: GrowingDatabase) -> dict[str, Operation]:
    """
    What is measured, by name.
    """
    counted, ports = database.counted, database.ports
    numbers, ids = [task.number for task in counted.tasks], [task.id for task in counted.tasks]
    fleet_new = {"project_id": counted.project, "description": "Words."}
    board_tasks = f"/api/v1/boards/{counted.board}/tasks"
    taken: dict[str, Any] = {}

    def ask(method: str, path: str, body: Any = None, *, agent: bool = False) -> Callable[[int], Awaitable[Any]]:
        async def asked(n: int) -> Any:
            return await counted.call(method, path, body, agent=agent)

        return asked

    async def create(n: int) -> None:
        await counted.call("POST", "/api/tasks", {"title": f"New {uuid4().hex}"} | fleet_new)

    async def update(n: int) -> None:
        await counted.call("PUT", f"/api/tasks/{numbers[n % 20]}", {"title": f"Changed {uuid4().hex}"})

    async def claim(n: int) -> None:
        claimed, _ = await counted.call("POST", "/api/tasks/claim", {"project_id": counted.project}, agent=True)
        taken[str(claimed["task"]["id"])] = claimed["lease"]["lease"]

    async def renew(n: int) -> None:
        task = list(taken)[n % len(taken)]
        await counted.call("POST", f"/api/tasks/{task}/lease/heartbeat", {"lease": taken[task]}, agent=True)

    async def complete(n: int) -> None:
        task, lease = taken.popitem()
        await counted.call("POST", f"/api/tasks/{task}/complete", {"lease": lease}, agent=True)

    async def read_log(n: int) -> None:
        await ports.log.read(database.organization, after=database.tasks // 2, limit=50)

    async def sweep(n: int) -> None:
        await sweep_all_organizations(ports)

    comments = f"/api/tasks/{numbers[30]}/comments"
    now = int(time.time())
    return {
        "get": ask("GET", f"/api/tasks/{numbers[3]}"),
        "list 50": ask("GET", "/api/tasks?limit=50"),
        "list 50 done": ask("GET", "/api/tasks?limit=50&status=done"),
        "list of a priority that no task has": ask("GET", "/api/tasks?limit=10&priority=low"),
        "list 10 agents": ask("GET", "/api/agents?limit=10"),
        "boards list 50": ask("GET", f"{board_tasks}?limit=50"),
        "create": create,
        "update": update,
        "comment": ask("POST", comments, {"content": "It goes on."}),
        "comment, mentions": ask("POST", comments, {"content": f"@{counted.agent} It goes on."}),
        "claim": claim,
        "lease heartbeat": renew,
        "complete": complete,
        "queue poll": ask("GET", "/api/tasks/queue", agent=True),
        "agent heartbeat": ask("POST", f"/api/agents/{counted.agent}/heartbeat", agent=True),
        "boards update": ask("PATCH", f"{board_tasks}/{ids[31]}", {"priority": "high"}),
        "snapshot": ask("GET", f"/api/v1/boards/{counted.board}/snapshot"),
        "dashboard, 24 h": ask("GET", "/api/v1/metrics/dashboard?range_key=24h"),
        "dashboard, 7 days": ask("GET", "/api/v1/metrics/dashboard?range_key=7d"),
        "fleet status": ask("GET", "/api/status?action=overview"),
        "fleet dashboard": ask("GET", "/api/status?action=dashboard"),
        "task outcomes of a day": ask("GET", "/api/tasks/outcomes?timeframe=day"),
        "task regression in 24 hours": ask("GET", f"/api/tasks/regression?beta_start={now - 43200}"),
        "workload": ask("GET", "/api/workload"),
        "search, few": ask("GET", "/api/search?q=okapi&type=task"),
        "search, none": ask("GET", "/api/search?q=zebrafish&type=task"),
        "search agents, few": ask("GET", f"/api/search?q={counted.agent}&type=agent"),
        "search agents, none": ask("GET", "/api/search?q=zebrafish&type=agent"),
        "read log": read_log,
        "sweeper round": sweep,
        "liveness": ask("GET", "/healthz"),
        "readiness": ask("GET", "/readyz"),
    }


async def measured(small: GrowingDatabase, large: GrowingDatabase) -> dict[str, tuple[Cost, Cost]]:
    """
    The cost of each operation in both databases.
    """
    found = {}
    in_large = operations(large)
    for name, operation in operations(small).items():
        try:
            before, after = await costs_of((small, operation), (large, in_large[name]))
            found[name] = before, after
        except AssertionError as error:
            told(f"{name}: {str(error)[:200]}")
    return found


async def make_templates(database: GrowingDatabase) -> None:
    """
    Make the rows that are copied: tasks of another board, one open and one done.
    """
    counted, ports = database.counted, database.ports
    me = SystemPrincipal(organization=database.organization)
    gates = GateSet(require_approval_for_done=False)
    board = await create_board(ports, me, CreateBoard(name="Filled", gates=gates))
    for n in range(2):
        await counted.call("POST", "/api/tasks", {"title": f"Template {n}", "project_id": int(board.number)})
    done, _ = await counted.call("POST", "/api/tasks/claim", {"project_id": int(board.number)}, agent=True)
    task = done["task"]["id"]
    await counted.call("POST", f"/api/tasks/{task}/complete", {"lease": done["lease"]["lease"]}, agent=True)
    for name, table, condition in (
        ("open", "tasks", "title LIKE 'Template%' AND done_at IS NULL"),
        ("done", "tasks", "title LIKE 'Template%' AND done_at IS NOT NULL"),
        ("queue", "queue", "board = (SELECT board FROM tasks WHERE title = 'Template 1')"),
        ("run", "runs", "ended_at IS NOT NULL"),
        ("agent", "agents", f"name = '{counted.agent}'"),
        ("event", "events", "kind = 'task.created'"),
    ):
        database.templates[name] = await template_rows(database, table, condition)


async def linear_rows(database: GrowingDatabase) -> dict[str, int]:
    """
    The numbers of the rows that the operations that are linear by nature read.
    """
    now, found = time.time_ns() // 1000, {}
    for name, each in LINEAR.items():
        ((found[name],),) = await database.rows(each.rows.format(day=now - DAY, week=now - 7 * DAY))
    return found


@asynccontextmanager
async def database_of(url: str, folder: Path, tasks: int) -> AsyncIterator[tuple[GrowingDatabase, dict[str, float]]]:
    """
    The database of an application with this many tasks, and the bytes that a row of each kind took. One that was filled
    before gets a board and an agent more.
    """
    kept = folder / f"{'postgresql' if url.startswith('postgres') else 'sqlite'}-{tasks}.json"
    one = uuid4().hex[:8] if kept.exists() else ""
    names = {"board_name": f"Counted {one}", "agent_name": f"ada{one}"}
    if url.startswith("postgres"):  # the CPU of parallel workers, which end with their statement, could not be told
        database_name = url.rpartition("/")[2]
        await run_on_postgres(url, f'ALTER DATABASE "{database_name}" SET max_parallel_workers_per_gather = 0')
    async with counted_app(url, folder, measures=True, **names) as counted:
        organization = (await ensure_organization(counted.ports)).id
        database = GrowingDatabase(counted, organization, tasks=tasks)
        if kept.exists():
            # It may be older than a part of the index, and its agents have been silent since.
            while await database.ports.housekeeping.index_tasks(organization, limit=256):
                pass
            await database.run(f"UPDATE agents SET last_seen_at = {time.time_ns() // 1000} WHERE last_seen_at > 0")
        else:
            await make_templates(database)
            kept.write_text(json.dumps(await fill(database, tasks)))
        await settled(url)
        yield database, json.loads(kept.read_text())


async def settled(url: str) -> None:
    """
    Do what PostgreSQL's autovacuum does after so many new rows.
    """
    if url.startswith("postgres"):
        await run_on_postgres(url, "VACUUM ANALYZE")


async def run_on_postgres(url: str, *statements: str) -> None:
    """
    Run statements that need no transaction.
    """
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


@asynccontextmanager
async def small_url(url: str, folder: Path) -> AsyncIterator[str]:
    """
    The URL of an empty database of the same kind, for the time of the measurement.
    """
    if url.startswith("postgres"):
        name = f"{url.rpartition('/')[2]}_small"
        drop = f'DROP DATABASE IF EXISTS "{name}"'
        await run_on_postgres(url, drop, f'CREATE DATABASE "{name}"')
        yield f"{url}_small"
        await run_on_postgres(url, drop)
    else:
        yield f"sqlite:///{folder / 'small.db'}"


async def main(database_url: str | None, tasks: int, keep: str | None) -> None:
    """
    Measure and print.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(keep or name)
        url = database_url or f"sqlite:///{folder / f'growth-{tasks}.db'}"
        async with (
            database_of(url, folder, tasks) as (large, sizes),
            small_url(url, Path(name)) as other,
            database_of(other, Path(name), SMALL) as (small, _),
        ):
            found = await measured(small, large)
            rows, more_rows = await linear_rows(small), await linear_rows(large)
    print(f"{'CPU in ms, + that of the database':<38}{SMALL:>18,}{tasks:>18,}{'ratio':>8}")
    for operation, (before, after) in found.items():
        ratio, limit, linear = after.both / before.both, GROWTH, ""
        if operation in LINEAR:
            few, many = rows[operation], more_rows[operation]
            each = (after.both - before.both) * 1000 / (many - few)
            limit, linear = max(GROWTH, many / few), f"  {few:,} -> {many:,} rows, {each:.2f} µs each: "
            linear += LINEAR[operation].reason
        print(
            f"{operation:<38}{before.here:>10.2f} +{before.there:>6.2f}{after.here:>10.2f} +{after.there:>6.2f}"
            f"{ratio:>8.2f}{'  grows' if ratio > limit else ''}{linear}"
        )
    print(*(f"{size:,.0f} bytes for each {what}" for what, size in sizes.items()), sep="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Compare what operations cost at 1,000 tasks and at many.")
    parser.add_argument("database_url", nargs="?", help="an empty database; by default a new SQLite file")
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--keep", metavar="FOLDER", help="keep the large database's files and keys here")
    given = parser.parse_args()
    asyncio.run(main(given.database_url, given.tasks, given.keep))
