"""
The SQL statements of one request: every statement on SQLite, and every round trip to PostgreSQL.

    python -m tests.statement_counts [DATABASE_URL] [--texts] [--keep]

The tests assert the counts in `tests/bench/baseline.json`, into which `--keep` writes those found.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
from attrs import frozen

from mission_core.accounts.model import SystemPrincipal
from mission_core.agents.organization_creation import ensure_organization
from mission_core.agents.use_cases import CreateAgent, create_agent
from mission_core.boards.model import GateSet
from mission_core.boards.use_cases import CreateBoard, create_board
from mission_core.ports import Ports
from mission_core.tasks.use_cases import CreateTask, create_task
from mission_http.app import MissionApp
from mission_http.main import application
from mission_http.settings import settings_from
from mission_http.wiring import ports_from_settings
from tests.bench import baseline
from tests.contract.boards_driver import run_lifespan
from tests.unit.http.platform.sample_app import Answer, ask

TRIGGERING = tuple(
    f"{verb} {table} " for verb in ("INSERT INTO", "UPDATE", "DELETE FROM") for table in ("tasks", "agents")
)
"""The statements with triggers. SQLite names such a statement again when its trigger begins."""
BOUNDARIES = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK", "PRAGMA", "-- PRAGMA")
"""What is not counted on SQLite, where it costs no round trip."""


@contextmanager
def recorded_on_postgres() -> Iterator[list[str]]:
    """
    Record each call of the driver that waits for the server, with `BEGIN` and `COMMIT`.
    """
    texts: list[str] = []
    before = {name: getattr(asyncpg.Connection, name) for name in ("fetch", "execute", "executemany")}

    def recording(call: Any) -> Any:
        async def recorded(connection: Any, text: str, *args: Any, **kwargs: Any) -> Any:
            if "pg_notify" not in text:  # one call for many commits, after their answers
                texts.append(text)
            return await call(connection, text, *args, **kwargs)

        return recorded

    for name, call in before.items():
        setattr(asyncpg.Connection, name, recording(call))
    try:
        yield texts
    finally:
        for name, call in before.items():
            setattr(asyncpg.Connection, name, call)


@asynccontextmanager
async def recorded_on_sqlite(session: Any) -> AsyncIterator[list[str]]:
    """
    Record each statement that SQLite runs, without the boundaries of transactions.
    """
    texts: list[str] = []

    def note(text: str) -> None:
        runs_trigger = text.startswith(TRIGGERING) and texts[-1:] == [text]
        if not text.startswith(BOUNDARIES) and not runs_trigger:
            texts.append(text)

    connections = (session.writer, *session.readers)
    for connection in connections:
        await connection.set_trace_callback(note)
    try:
        yield texts
    finally:
        for connection in connections:
            await connection.set_trace_callback(None)


@frozen
class CountedApp:
    """
    The server's application in this process over a database, with a board, tasks on it, and an agent.
    """

    app: MissionApp
    ports: Ports
    texts: list[str]
    key: str
    token: str
    project: int
    board: str
    tasks: list[Any]
    agent: str

    async def call(self, method: str, path: str, body: Any = None, *, agent: bool = False) -> tuple[Any, list[str]]:
        """
        The answer to a request, and the statements that it cost.
        """
        self.texts.clear()
        sent = b"" if body is None else json.dumps(body).encode()
        answer = await self.send(method, path, sent, agent=agent)
        await asyncio.sleep(0)
        return answer.json, list(self.texts)

    async def send(self, method: str, path: str, sent: bytes, *, agent: bool = False) -> Answer:
        """
        The answer to a request with this body.
        """
        key = self.token if agent else self.key
        headers = {"content_type": "application/json"} if sent else {}
        if path.startswith("/api/v1/agent/"):
            answer = await ask(self.app, method, path, sent, key=None, x_agent_token=key, **headers)
        elif path.startswith("/api/v1/"):
            answer = await ask(self.app, method, path, sent, key=None, authorization=f"Bearer {key}", **headers)
        else:
            answer = await ask(self.app, method, path, sent, key=key, **headers)
        assert answer.status < 300, (method, path, answer.status, answer.body)
        return answer


@asynccontextmanager
async def counted_app(
    database_url: str, folder: Path, *, board_name: str = "Counted", agent_name: str = "ada", measures: bool = False
) -> AsyncIterator[CountedApp]:
    """
    Open the application over a database without this board and agent, as the server does, and record its statements.
    For a measurement it does not record, nor does it sweep.
    """
    settings = settings_from({"MC_DISABLE_RATE_LIMIT": "1"}, data_dir=folder, database_url=database_url)
    async with AsyncExitStack() as stack:
        texts: list[str] = []
        if database_url.startswith("postgres") and not measures:
            texts = stack.enter_context(recorded_on_postgres())
        ports = await stack.enter_async_context(ports_from_settings(settings, sweeps=not measures))
        if not database_url.startswith("postgres") and not measures:
            numbers: Any = ports.numbers
            texts = await stack.enter_async_context(recorded_on_sqlite(numbers.session))
        organization = await ensure_organization(ports)
        me = SystemPrincipal(organization=organization.id)
        gates = GateSet(require_approval_for_done=False)
        board = await create_board(ports, me, CreateBoard(name=board_name, gates=gates))
        agent = await create_agent(ports, me, CreateAgent(name=agent_name, role="coder"))
        tasks = [
            await create_task(ports, me, CreateTask(title=f"Task {n}", board=board.id, tags=("counted",)))
            for n in range(60)
        ]

        @asynccontextmanager
        async def wire() -> AsyncIterator[Any]:
            yield ports

        app = application(settings, wire)
        await stack.enter_async_context(run_lifespan(app))
        yield CountedApp(
            app, ports, texts, settings.api_key, str(agent.token), int(board.number), str(board.id), tasks, agent_name
        )


ROUNDS = 4
BUDGET = {"name": "Bench", "limit": 100_000, "per_run": 0.05, "period": "daily", "unknown_prices": "stop"}
"""A budget that every run of the organization reserves of, and that none reaches."""


async def statements_of_requests(counted: CountedApp) -> dict[str, list[str]]:
    """
    The statements of one warm request for each operation of a worker's day, by dialect and operation.
    """
    fewest: dict[str, list[str]] = {}

    def keep(found: dict[str, list[str]]) -> None:
        # The fewest of some rounds: the first fills memories, and a timer of the server may run beside any.
        fewest.update({name: min(fewest.get(name, texts), texts, key=len) for name, texts in found.items()})

    for n in range(ROUNDS):
        keep(await _one_round(counted, n))
    await counted.call("POST", "/api/budgets", BUDGET)
    for _ in range(ROUNDS):
        keep(await _one_round_under_a_budget(counted))
    return fewest


async def _one_round(counted: CountedApp, n: int) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}

    async def count(operation: str, method: str, path: str, body: Any = None, *, agent: bool = False) -> Any:
        answer, found[operation] = await counted.call(method, path, body, agent=agent)
        return answer

    edited = counted.tasks[-1 - n]
    project, board = {"project_id": counted.project}, f"/api/v1/boards/{counted.board}"
    agent_tasks = f"/api/v1/agent/boards/{counted.board}/tasks"
    await count("fleet get", "GET", f"/api/tasks/{edited.number}")
    await count("fleet list 50", "GET", "/api/tasks?limit=50")
    await count("fleet list agents", "GET", "/api/agents?limit=50")
    await count("fleet create", "POST", "/api/tasks", {"title": f"New {n}", "description": "Words."} | project)
    await count("fleet update", "PUT", f"/api/tasks/{edited.number}", {"title": f"Changed {n}"})
    taken = await count("fleet claim", "POST", "/api/tasks/claim", project, agent=True)
    path, lease = f"/api/tasks/{taken['task']['id']}", {"lease": taken["lease"]["lease"]}
    await count("fleet lease heartbeat", "POST", f"{path}/lease/heartbeat", lease, agent=True)
    await count("fleet complete", "POST", f"{path}/complete", lease, agent=True)
    taken = await count("fleet queue, claims", "GET", "/api/tasks/queue", agent=True)
    await count("fleet queue, has a task", "GET", "/api/tasks/queue", agent=True)
    await count("fleet hand in", "PUT", f"/api/tasks/{taken['task']['id']}", {"status": "done"}, agent=True)
    await count("fleet agent heartbeat", "POST", "/api/agents/ada/heartbeat", agent=True)
    comments = f"/api/tasks/{edited.number}/comments"
    await count("fleet comment", "POST", comments, {"content": "It goes on."})
    await count("fleet list comments", "GET", comments)
    await count("fleet search", "GET", "/api/search?q=Task%2030")
    await count("fleet workload", "GET", "/api/workload")
    await count("fleet outcomes", "GET", "/api/tasks/outcomes?timeframe=day")
    await count("fleet dashboard", "GET", "/api/status?action=dashboard")
    await count("boards list 50", "GET", f"{board}/tasks?limit=50")
    await count("boards create", "POST", f"{board}/tasks", {"title": f"New {n}"})
    await count("boards update", "PATCH", f"{board}/tasks/{edited.id}", {"title": f"Again {n}"})
    taken = await count("boards claim", "POST", f"{agent_tasks}/claim", {}, agent=True)
    path, lease = f"{agent_tasks}/{taken['task']['id']}", {"lease": taken["lease"]["lease"]}
    await count("boards lease heartbeat", "POST", f"{path}/lease/heartbeat", lease, agent=True)
    await count("boards complete", "POST", f"{path}/complete", lease, agent=True)
    await count("boards agent heartbeat", "POST", "/api/v1/agent/heartbeat", agent=True)
    await count("boards comment", "POST", f"{board}/tasks/{edited.id}/comments", {"message": "It goes on."})
    await count("boards snapshot", "GET", f"{board}/snapshot")
    await count("boards approvals", "GET", f"{board}/approvals")
    await count("boards dashboard", "GET", "/api/v1/metrics/dashboard?range_key=7d")
    for operation, (path, body) in usage_reports(n).items():
        await count(operation, "POST", path, body, agent=True)
    return found


async def _one_round_under_a_budget(counted: CountedApp) -> dict[str, list[str]]:
    project, found = {"project_id": counted.project}, {}
    taken, found["budget, claim"] = await counted.call("POST", "/api/tasks/claim", project, agent=True)
    path, lease = f"/api/tasks/{taken['task']['id']}", {"lease": taken["lease"]["lease"]}
    report_path, report = usage_reports(0)["fleet report of tokens"]
    report = report | {"taskId": taken["task"]["id"]}
    _, found["budget, report of tokens"] = await counted.call("POST", report_path, report, agent=True)
    _, found["budget, complete"] = await counted.call("POST", f"{path}/complete", lease, agent=True)
    return found


def usage_reports(n: int, *, batch: int = 100, spans: int = 100) -> dict[str, tuple[str, Any]]:
    """
    The path and body of the n-th reports of tokens: of one, of a batch, and in spans of OpenTelemetry.
    """
    counts = {"input_tokens": 900, "output_tokens": 90}
    fleet = {"model": "gpt-5", "sessionId": "counted", "inputTokens": 900, "outputTokens": 90}
    entries = [{"model": "gpt-5", "session": f"session-{each % 10}", **counts} for each in range(batch)]
    told = attributes(
        {"gen_ai.request.model": "gpt-5", "session.id": f"session-{n}"}
        | {f"gen_ai.usage.{name}": count for name, count in counts.items()}
    )
    ended = time.time_ns()
    exported = [
        {
            "traceId": f"{ended:032x}",
            "spanId": f"{each + 1:016x}",
            "name": "chat",
            "startTimeUnixNano": str(ended - 10**9),
            "endTimeUnixNano": str(ended),
            "attributes": told,
        }
        for each in range(spans)
    ]
    return {
        "fleet report of tokens": ("/api/tokens", fleet),
        f"boards batch of {batch} reports": ("/api/v1/usage/batch", {"entries": entries}),
        f"otlp {spans} spans": ("/v1/traces", {"resourceSpans": [{"scopeSpans": [{"spans": exported}]}]}),
    }


def attributes(told: dict[str, Any]) -> list[dict[str, Any]]:
    """
    Attributes of a span as the protocol tells them.
    """
    kinds = {int: "intValue", str: "stringValue"}
    return [{"key": name, "value": {kinds[type(each)]: each}} for name, each in told.items()]


def kept_counts(database_url: str) -> dict[str, int]:
    """
    The counts in the baseline file for this kind of database, by operation.
    """
    counts: dict[str, int] = baseline.read()["statements"][database_kind(database_url)]
    return counts


def database_kind(database_url: str) -> str:
    return database_url.partition(":")[0]


async def main(database_url: str | None, *, shows_texts: bool = False, keeps: bool = False) -> None:
    with tempfile.TemporaryDirectory() as name:
        url = database_url or f"sqlite:///{Path(name) / 'counted.db'}"
        async with counted_app(url, Path(name)) as counted:
            found = await statements_of_requests(counted)
    kept = kept_counts(url)
    for operation, texts in found.items():
        differs = "" if kept.get(operation) == len(texts) else f"  (the baseline has {kept.get(operation)})"
        print(f"{operation:<26}{len(texts):>3}{differs}")
        for text in texts if shows_texts else ():
            print("     ", " ".join(text.split())[:300])
    if keeps:
        baseline.keep("statements", database_kind(url), {operation: len(texts) for operation, texts in found.items()})


if __name__ == "__main__":
    named = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    asyncio.run(main(named[0] if named else None, shows_texts="--texts" in sys.argv, keeps="--keep" in sys.argv))
