"""
Growth: what operations cost at 1,000 tasks and at many, in CPU of this process and of PostgreSQL's, and what a task, a
run and a log entry take on disk.

    python -m tests.bench.growth [DATABASE_URL] [--tasks N]

Rows are put in by SQL, as copies of a few that the product wrote: N tasks, N log entries, a run for every tenth task
and an agent for every hundredth. The ratio is that of the medians of one run. Operations that are linear by nature (the
verification of the log, the snapshot of a board with all tasks, the search for a word that every task has) are not
among them.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
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
REPEATS = 15
GROWTH = 1.5
BATCH = 200
"""The rows of one transaction. In larger ones SQLite takes ever longer for a row of a table with a trigger."""
WORDS = (
    "deploy", "server", "login", "page", "parser", "review", "invoice", "customer", "table", "agent", "lease",
    "timeout", "release", "error", "retry", "queue", "index", "worker", "budget", "report", "board", "approval",
    "secret", "token",
    "network", "proxy", "cache", "memory", "signal", "upload", "image", "video", "audio", "stream", "batch", "graph",
    "metric", "alert", "incident", "feature", "rollout", "canary", "staging", "production",
)  # fmt: skip
Rows = Iterator[dict[str, Any]]


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
    Bring the database to this number of tasks, and return the bytes that a row of each kind took.
    """
    first, database.tasks = database.tasks, tasks
    ((number,),) = await database.rows("SELECT max(number) FROM tasks")
    ((agent_number,),) = await database.rows("SELECT max(number) FROM agents")
    ((position,),) = await database.rows("SELECT max(position) FROM events")
    templates, ids = database.templates, {n: uuid4().bytes for n in range(first, tasks)}
    new = range(first, tasks)

    def task_rows() -> Rows:
        for n in new:
            row = templates["open" if n % 5 == 0 else "done"]
            numbered = {
                "id": ids[n],
                "number": number + 1 + n - first,
                "ticket": None if row["ticket"] is None else n + 1000,
            }
            said = {"title": f"Filled {WORDS[n % 41]} {WORDS[n * 7 % 43]} {n}", "description": description_of(n)}
            yield row | numbered | said | {"done_at": row["done_at"] and row["done_at"] - n}

    def queue_rows() -> Rows:
        for n in new:
            if n % 5 == 0:
                yield templates["queue"] | {"task": ids[n], "number": number + 1 + n - first}

    def run_rows() -> Rows:
        for n in new:
            if n % 10 == 1:
                yield templates["run"] | {"id": uuid4().bytes, "task": ids[n]}

    def agent_rows() -> Rows:
        for n in new:
            if n % 100 == 0:
                name = f"agent-{n}"
                named = {"name": name, "name_key": name, "session_key": f"key-{n}", "number": agent_number + 1 + n}
                yield templates["agent"] | named | {"id": uuid4().bytes}

    def event_rows() -> Rows:
        for n in new:
            yield templates["event"] | {"position": position + 1 + n - first, "subject": ids[n]}

    sizes: dict[str, float] = {}
    for what, table, rows, share in (
        ("task", "tasks", task_rows(), 1),
        ("queue row", "queue", queue_rows(), 5),
        ("run", "runs", run_rows(), 10),
        ("agent", "agents", agent_rows(), 100),
        ("log entry", "events", event_rows(), 1),
    ):
        before = await database.size()
        await database.insert(table, rows)
        sizes[what] = (await database.size() - before) / max(len(new) / share, 1)
    await count_again(database)
    before = await database.size()
    while await unindexed(database) > 256:
        if not await database.ports.housekeeping.index_tasks(database.organization, limit=256):
            await asyncio.sleep(0.1)  # PostgreSQL waits for transactions that had begun before, or the sweeper is at it
    sizes["task in the search index"] = (await database.size() - before) / len(new)
    return sizes


async def unindexed(database: GrowingDatabase) -> int:
    """
    How many tasks the search index lacks.
    """
    ((lacking,),) = await database.rows(
        "SELECT count(*) FROM tasks WHERE number > coalesce((SELECT max(indexed) FROM search_progress), 0)"
    )
    return int(lacking)


async def count_again(database: GrowingDatabase) -> None:
    """
    Bring counters, the head of the log and the numbers to what the rows say.
    """
    await database.run(
        "DELETE FROM tallies",
        "INSERT INTO tallies (organization, board, status, priority, assigned, amount) "
        "SELECT organization, board, status, priority, CASE WHEN assignee_key IS NULL THEN 0 ELSE 1 END AS own, "
        "count(*) FROM tasks GROUP BY organization, board, status, priority, own",
        "DELETE FROM workloads",
        "INSERT INTO workloads (organization, assignee_key, board, status, priority, amount) "
        "SELECT organization, assignee_key, board, status, priority, count(*) FROM tasks "
        "WHERE assignee_key IS NOT NULL GROUP BY organization, assignee_key, board, status, priority",
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


async def cost_of(database: GrowingDatabase, operation: Callable[[int], Awaitable[Any]]) -> Cost:
    """
    The median cost of an operation, after three calls that warm it.
    """
    costs = []
    for n in range(-3, REPEATS):
        pids: list[int] = []
        if database.session.dialect == "postgresql":
            found = await database.rows("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
            pids = [pid for (pid,) in found]
        before, began = cpu_of(pids), time.process_time_ns()
        await operation(n)
        spent, after = time.process_time_ns() - began, cpu_of(pids)
        costs.append((spent, sum(after[pid] - before[pid] for pid in after)))
    return Cost(*(statistics.median(each) / 1e6 for each in zip(*costs[3:], strict=True)))


def operations(database: GrowingDatabase) -> dict[str, Callable[[int], Awaitable[Any]]]:
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
    return {
        "get": ask("GET", f"/api/tasks/{numbers[3]}"),
        "list 50": ask("GET", "/api/tasks?limit=50"),
        "list 50 done": ask("GET", "/api/tasks?limit=50&status=done"),
        "list 50 agents": ask("GET", "/api/agents?limit=50"),
        "boards list 50": ask("GET", f"{board_tasks}?limit=50"),
        "create": create,
        "update": update,
        "comment": ask("POST", comments, {"content": "It goes on."}),
        "claim": claim,
        "lease heartbeat": renew,
        "complete": complete,
        "queue poll": ask("GET", "/api/tasks/queue", agent=True),
        "agent heartbeat": ask("POST", "/api/agents/ada/heartbeat", agent=True),
        "boards update": ask("PATCH", f"{board_tasks}/{ids[31]}", {"priority": "high"}),
        "snapshot": ask("GET", f"/api/v1/boards/{counted.board}/snapshot"),
        "dashboard": ask("GET", "/api/v1/metrics/dashboard?range_key=7d"),
        "fleet status": ask("GET", "/api/status?action=overview"),
        "fleet dashboard": ask("GET", "/api/status?action=dashboard"),
        "task regression": ask("GET", "/api/tasks/regression?beta_start=1"),
        "search, few": ask("GET", "/api/search?q=Task%201&type=task"),
        "search, none": ask("GET", "/api/search?q=zebrafish&type=task"),
        "search agents": ask("GET", "/api/search?q=zebrafish&type=agent"),
        "read log": read_log,
        "sweeper round": sweep,
        "liveness": ask("GET", "/healthz"),
        "readiness": ask("GET", "/readyz"),
    }


async def measured(database: GrowingDatabase) -> dict[str, Cost]:
    """
    The cost of each operation.
    """
    found = {}
    for name, operation in operations(database).items():
        try:
            found[name] = await cost_of(database, operation)
        except AssertionError as error:
            print(f"{name}: {str(error)[:200]}", file=sys.stderr)
    return found


async def opened(counted: CountedApp) -> GrowingDatabase:
    """
    The database of an application, with templates for its rows: tasks of another board, one open and one done.
    """
    me = SystemPrincipal(organization=(await ensure_organization(counted.ports)).id)
    gates = GateSet(require_approval_for_done=False)
    board = await create_board(counted.ports, me, CreateBoard(name="Filled", gates=gates))
    database = GrowingDatabase(counted, me.organization)
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
        ("agent", "agents", "name = 'ada'"),
        ("event", "events", "kind = 'task.created'"),
    ):
        database.templates[name] = await template_rows(database, table, condition)
    return database


async def settled(url: str) -> None:
    """
    Do what PostgreSQL's autovacuum does after so many new rows.
    """
    if url.startswith("postgres"):
        connection = await asyncpg.connect(url)
        await connection.execute("VACUUM ANALYZE")
        await connection.close()


async def main(database_url: str | None, tasks: int) -> None:
    """
    Measure and print.
    """
    with tempfile.TemporaryDirectory() as name:
        url = database_url or f"sqlite:///{Path(name) / 'growth.db'}"
        async with counted_app(url, Path(name)) as counted:
            database = await opened(counted)
            await fill(database, SMALL)
            await settled(url)
            small = await measured(database)
            sizes = await fill(database, tasks)
            await settled(url)
            large = await measured(database)
    print(f"{'CPU in ms, + that of the database':<34}{SMALL:>18,}{tasks:>18,}{'ratio':>8}")
    for operation in (name for name in small if name in large):
        before, after = small[operation], large[operation]
        ratio = after.both / before.both
        print(
            f"{operation:<34}{before.here:>10.2f} +{before.there:>6.2f}{after.here:>10.2f} +{after.there:>6.2f}"
            f"{ratio:>8.2f}{'  grows' if ratio > GROWTH else ''}"
        )
    print(*(f"{size:,.0f} bytes for each {what}" for what, size in sizes.items()), sep="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Compare what operations cost at 1,000 tasks and at many.")
    parser.add_argument("database_url", nargs="?", help="an empty database; by default a new SQLite file")
    parser.add_argument("--tasks", type=int, default=100_000)
    given = parser.parse_args()
    asyncio.run(main(given.database_url, given.tasks))
