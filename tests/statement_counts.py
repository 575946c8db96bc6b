"""
The SQL statements of one request: every statement on SQLite, and every round trip to PostgreSQL.

    python -m tests.statement_counts [DATABASE_URL] [--texts]
"""

import asyncio
import json
import sys
import tempfile
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
from mission_core.tasks.use_cases import CreateTask, create_task
from mission_http.app import MissionApp
from mission_http.main import application
from mission_http.settings import settings_from
from mission_http.wiring import ports_from_settings
from tests.contract.boards_driver import run_lifespan
from tests.unit.http.platform.sample_app import ask

BOUNDARIES = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK", "PRAGMA")
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
        if not text.startswith(BOUNDARIES):
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
    texts: list[str]
    key: str
    token: str
    project: int
    board: str
    tasks: list[Any]

    async def call(self, method: str, path: str, body: Any = None, *, agent: bool = False) -> tuple[Any, list[str]]:
        """
        The answer to a request, and the statements that it cost.
        """
        self.texts.clear()
        sent = b"" if body is None else json.dumps(body).encode()
        key = self.token if agent else self.key
        headers = {"content_type": "application/json"} if sent else {}
        if path.startswith("/api/v1/agent/"):
            answer = await ask(self.app, method, path, sent, key=None, x_agent_token=key, **headers)
        elif path.startswith("/api/v1/"):
            answer = await ask(self.app, method, path, sent, key=None, authorization=f"Bearer {key}", **headers)
        else:
            answer = await ask(self.app, method, path, sent, key=key, **headers)
        assert answer.status < 300, (method, path, answer.status, answer.body)
        await asyncio.sleep(0)
        return answer.json, list(self.texts)


@asynccontextmanager
async def counted_app(database_url: str, folder: Path) -> AsyncIterator[CountedApp]:
    """
    Open the application over an empty database, as the server does, and record its statements.
    """
    settings = settings_from({"MC_DISABLE_RATE_LIMIT": "1"}, data_dir=folder, database_url=database_url)
    async with AsyncExitStack() as stack:
        if database_url.startswith("postgres"):
            texts = stack.enter_context(recorded_on_postgres())
        ports = await stack.enter_async_context(ports_from_settings(settings))
        if not database_url.startswith("postgres"):
            texts = await stack.enter_async_context(recorded_on_sqlite(ports.numbers.session))
        organization = await ensure_organization(ports)
        me = SystemPrincipal(organization=organization.id)
        board = await create_board(
            ports, me, CreateBoard(name="Counted", gates=GateSet(require_approval_for_done=False))
        )
        agent = await create_agent(ports, me, CreateAgent(name="ada", role="coder"))
        tasks = [
            await create_task(ports, me, CreateTask(title=f"Task {n}", board=board.id, tags=("counted",)))
            for n in range(60)
        ]

        @asynccontextmanager
        async def wire() -> AsyncIterator[Any]:
            yield ports

        app = application(settings, wire)
        await stack.enter_async_context(run_lifespan(app))
        yield CountedApp(app, texts, settings.api_key, str(agent.token), int(board.number), str(board.id), tasks)


async def statements_of_requests(counted: CountedApp) -> dict[str, list[str]]:
    """
    The statements of one warm request for each operation of a worker's day, by dialect and operation.
    """
    found: dict[str, list[str]] = {}
    call, numbers = counted.call, [task.number for task in counted.tasks]
    fleet_new = {"project_id": counted.project, "description": "Words."}
    board_tasks, agent_tasks = (f"/api/v1/{part}boards/{counted.board}/tasks" for part in ("", "agent/"))
    ids = [str(task.id) for task in counted.tasks]
    for n in range(3):  # the last one counts, so that nothing is read for the first time
        last = len(ids) - 1 - n
        found["fleet get"] = (await call("GET", f"/api/tasks/{numbers[n]}"))[1]
        found["fleet list 50"] = (await call("GET", "/api/tasks?limit=50"))[1]
        found["fleet agents"] = (await call("GET", "/api/agents?limit=50"))[1]
        found["fleet create"] = (await call("POST", "/api/tasks", {"title": f"New {n}"} | fleet_new))[1]
        found["fleet update"] = (await call("PUT", f"/api/tasks/{numbers[last]}", {"title": f"Changed {n}"}))[1]
        taken, found["fleet claim"] = await call(
            "POST", "/api/tasks/claim", {"project_id": counted.project}, agent=True
        )
        lease = {"lease": taken["lease"]["lease"]}
        _, found["fleet lease heartbeat"] = await call(
            "POST", f"/api/tasks/{taken['task']['id']}/lease/heartbeat", lease, agent=True
        )
        _, found["fleet complete"] = await call("POST", f"/api/tasks/{taken['task']['id']}/complete", lease, agent=True)
        taken, found["fleet queue, claims"] = await call("GET", "/api/tasks/queue", agent=True)
        found["fleet queue, has a task"] = (await call("GET", "/api/tasks/queue", agent=True))[1]
        _, found["fleet hand in"] = await call(
            "PUT", f"/api/tasks/{taken['task']['id']}", {"status": "done"}, agent=True
        )
        found["fleet agent heartbeat"] = (await call("POST", "/api/agents/ada/heartbeat", agent=True))[1]
        comments = f"/api/tasks/{numbers[last]}/comments"
        found["fleet comment"] = (await call("POST", comments, {"content": "It goes on."}))[1]
        found["fleet list comments"] = (await call("GET", comments))[1]
        found["boards list 50"] = (await call("GET", f"{board_tasks}?limit=50"))[1]
        found["boards create"] = (await call("POST", board_tasks, {"title": f"New {n}"}))[1]
        found["boards update"] = (await call("PATCH", f"{board_tasks}/{ids[last]}", {"title": f"Again {n}"}))[1]
        taken, found["boards claim"] = await call("POST", f"{agent_tasks}/claim", {}, agent=True)
        lease = {"lease": taken["lease"]["lease"]}
        _, found["boards lease heartbeat"] = await call(
            "POST", f"{agent_tasks}/{taken['task']['id']}/lease/heartbeat", lease, agent=True
        )
        _, found["boards complete"] = await call(
            "POST", f"{agent_tasks}/{taken['task']['id']}/complete", lease, agent=True
        )
        found["boards agent heartbeat"] = (await call("POST", "/api/v1/agent/heartbeat", agent=True))[1]
        _, found["boards comment"] = await call(
            "POST", f"{board_tasks}/{ids[last]}/comments", {"message": "It goes on."}
        )
        found["boards snapshot"] = (await call("GET", f"/api/v1/boards/{counted.board}/snapshot"))[1]
        found["boards approvals"] = (await call("GET", f"/api/v1/boards/{counted.board}/approvals"))[1]
        found["boards dashboard"] = (await call("GET", "/api/v1/metrics/dashboard?range_key=7d"))[1]
    return {name: texts for name, texts in found.items() if texts}


async def main(database_url: str | None, *, shows_texts: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        url = database_url or f"sqlite:///{Path(name) / 'counted.db'}"
        async with counted_app(url, Path(name)) as counted:
            for operation, texts in (await statements_of_requests(counted)).items():
                print(f"{operation:<26}{len(texts):>3}")
                for text in texts if shows_texts else ():
                    print("     ", " ".join(text.split())[:300])


if __name__ == "__main__":
    named = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    asyncio.run(main(named[0] if named else None, shows_texts="--texts" in sys.argv))
