"""
Several worker processes that share one port: their starts, ends and restarts, and what they agree on.
"""

import http.client
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mission_http.workers import START_ATTEMPTS
from tests import postgres_server, redis_server
from tests.contract.polling import polled
from tests.contract.server_commands import run
from tests.contract.worker_supervisor import (
    KEY,
    PATIENCE,
    UNLIMITED,
    WorkerServer,
    served_by_workers,
)
from tests.postgres_server import empty_database

pytestmark = pytest.mark.real_time

NOBODY_LISTENS = "postgresql://postgres@127.0.0.1:1/nothing"


@pytest.fixture(scope="module")
def server(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerServer]:
    """
    A server that outlives a test.
    """
    with (
        empty_database(postgres_url) as url,
        served_by_workers(url, tmp_path_factory.mktemp("data")) as running,
    ):
        yield running


@pytest.fixture(autouse=True)
def _hang_up(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "server" in request.fixturenames:
        request.getfixturevalue("server").hang_up()


@pytest.fixture
def ending_server(fresh_postgres: str, tmp_path: Path) -> Iterator[WorkerServer]:
    """
    A server that a test stops.
    """
    with served_by_workers(fresh_postgres, tmp_path) as running:
        yield running


def test_connections_are_shared_evenly(server: WorkerServer) -> None:
    """
    Sixteen connections that are kept alive are divided so that no worker has more than ten.
    """
    opened = [server.connection() for _ in range(16)]
    for each in opened:
        each.http.connect()
    counted = Counter(each.worker() for each in opened)

    assert {1, 2} == counted.keys()
    assert max(counted.values()) <= 10


def test_a_killed_worker_is_replaced_and_takes_only_its_own_connections_along(server: WorkerServer) -> None:
    """
    Connections to the other worker go on, and new ones are served before and after the replacement.
    """
    opened = server.connections_to_each(2)
    ready = len(server.log.of("worker_ready", worker=1))
    killed = server.pid_of(1)
    os.kill(killed, signal.SIGKILL)
    server.log.wait_for("worker_ended", worker=1, pid=killed)
    kept = [opened[2].call("GET", "/api/tasks")[0] for _ in range(20)]
    at_once = server.connection().call("GET", "/api/tasks")[0]
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        opened[1].call("GET", "/api/tasks")
    server.log.wait_for("worker_ready", ready + 1, worker=1)
    replaced = server.connections_to_each(2)

    assert [200] * 20 == kept
    assert 200 == at_once
    assert killed != server.pid_of(1)
    assert {1, 2} == replaced.keys()


@contextmanager
def load(server: WorkerServer, answers: Counter[str], *, keeps_alive: bool) -> Iterator[None]:
    """
    Four clients that send one request after the other for the duration of the block.
    """
    over = threading.Event()

    def send() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        while not over.is_set():
            try:
                connection.request("GET", "/api/tasks?limit=1", headers={"x-api-key": KEY})
                answer = connection.getresponse()
                answer.read()
                told = str(answer.status)
            except (OSError, http.client.HTTPException) as error:
                told = repr(error)
            answers[told] += 1
            if not keeps_alive:
                connection.close()
        connection.close()

    clients = [threading.Thread(target=send) for _ in range(4)]
    for each in clients:
        each.start()
    try:
        yield
    finally:
        over.set()
        for each in clients:
            each.join()


@pytest.mark.parametrize("keeps_alive", [True, False])
def test_a_restart_under_load_refuses_no_request(server: WorkerServer, keeps_alive: bool) -> None:
    """
    SIGHUP replaces both workers, one after the other, and every request is answered.
    """
    before = {server.pid_of(worker) for worker in (1, 2)}
    told, stopped = len(server.log.lines), len(server.log.of("worker_stopped"))
    answers = Counter[str]()
    with load(server, answers, keeps_alive=keeps_alive):
        server.process.send_signal(signal.SIGHUP)
        server.log.wait_for("worker_stopped", stopped + 2, status=0)
    lines = server.log.lines[told:]
    order = [(each["event"], each["worker"]) for each in lines if each["event"].startswith("worker_")]
    after = {server.pid_of(worker) for worker in (1, 2)}

    assert ["200"] == list(answers), answers
    assert before.isdisjoint(after)
    assert [
        (event, worker) for worker in (1, 2) for event in ("worker_started", "worker_ready", "worker_stopped")
    ] == order


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_answers_requests_under_way(ending_server: WorkerServer, how: signal.Signals) -> None:
    """
    Each worker answers the request that it has begun to read. Then all processes end, and the supervisor with 0.
    """
    server = ending_server
    opened = server.connections_to_each(2)
    body = b'{"title": "sent while the server stops"}'
    for each in opened.values():
        each.http.putrequest("POST", "/api/tasks")
        for name, value in (("x-api-key", KEY), ("content-type", "application/json"), ("content-length", len(body))):
            each.http.putheader(name, str(value))
        each.http.endheaders()
        each.http.send(body[:10])
    server.process.send_signal(how)
    server.log.wait_for("workers_stopping")
    for each in opened.values():
        each.http.send(body[10:])
    statuses = [each.http.getresponse().status for each in opened.values()]
    status = server.process.wait(timeout=PATIENCE)
    stopped = server.log.wait_for("worker_stopped", 2)

    assert [201, 201] == statuses
    assert 0 == status
    assert [0, 0] == [each["status"] for each in stopped]
    assert [] == [each for each in server.log.lines if each["level"] == "error"]
    with pytest.raises(ConnectionRefusedError):
        server.connection().http.connect()


def test_workers_end_with_their_supervisor(ending_server: WorkerServer) -> None:
    """
    A supervisor that is killed leaves no process that holds the port or writes to the log.
    """
    ending_server.process.kill()
    assert ending_server.process.stdout is not None
    ending_server.process.stdout.read()  # ends with the last process that has it open

    with pytest.raises(ConnectionRefusedError):
        ending_server.connection().http.connect()


def test_a_supervisor_gives_up_when_no_worker_can_start(
    ending_server: WorkerServer, postgres_url: str, fresh_postgres: str
) -> None:
    """
    A few attempts for each worker, with a pause before each; then it says why, and ends with 1.
    """
    server = ending_server
    postgres_server.set_connections_allowed(postgres_url, fresh_postgres, False)
    for worker in (1, 2):
        os.kill(server.pid_of(worker), signal.SIGKILL)
    status = server.process.wait(timeout=PATIENCE)
    server.log.wait_for_end()
    ended = [server.log.of("worker_ended", worker=worker, ready=False) for worker in (1, 2)]
    [said] = server.log.plain

    assert 1 == status
    assert said.startswith("mission-control: no worker can start: "), said
    assert "not currently accepting connections" in said
    assert START_ATTEMPTS == min(map(len, ended))
    with pytest.raises(ConnectionRefusedError):
        server.connection().http.connect()


def test_a_key_that_is_revoked_through_one_worker_is_refused_by_every_worker(server: WorkerServer) -> None:
    """
    With the first request after the answer.
    """
    opened = server.connections_to_each(2)
    made = opened[1].call("POST", "/api/agents", {"name": "worker", "role": "coder"})[1]
    token = made["agent_token"]
    before = [each.call("GET", "/api/tasks", x_api_key=token)[0] for each in opened.values()]
    deleted, _ = opened[1].call("DELETE", f"/api/agents/{made['agent']['id']}")
    after = [each.call("GET", "/api/tasks", x_api_key=token)[0] for each in opened.values()]

    assert [200, 200] == before
    assert 200 == deleted
    assert [401, 401] == after


def test_a_lease_of_one_worker_is_completed_through_another(server: WorkerServer) -> None:
    """
    A claim, a heartbeat and the completion may each reach another worker.
    """
    opened = server.connections_to_each(2)
    token = opened[1].call("POST", "/api/agents", {"name": "shared", "role": "coder"})[1]["agent_token"]
    gates = {"require_approval_for_done": False}
    project = opened[2].call("POST", "/api/projects", {"name": "Shared", "gates": gates})[1]["project"]["id"]
    opened[1].call("POST", "/api/tasks", {"title": "Shared", "project_id": project})
    claimed = opened[2].call("POST", "/api/tasks/claim", {"project_id": project}, x_api_key=token)[1]
    lease = {"lease": claimed["lease"]["lease"]}
    path = f"/api/tasks/{claimed['task']['id']}"
    completed = opened[1].call("POST", f"{path}/complete", lease, x_api_key=token)
    seen = opened[2].call("GET", path)[1]["task"]

    assert 200 == completed[0], completed
    assert "done" == seen["status"]


def test_a_lease_that_runs_out_is_ended_by_a_worker(server: WorkerServer) -> None:
    """
    Without another claim, also after the worker that sweeps was killed and replaced.
    """
    ready = len(server.log.of("worker_ready", worker=1))
    os.kill(server.pid_of(1), signal.SIGKILL)
    server.log.wait_for("worker_ready", ready + 1, worker=1)
    opened = server.connection()
    token = opened.call("POST", "/api/agents", {"name": "forgetful", "role": "coder"})[1]["agent_token"]
    project = opened.call("POST", "/api/projects", {"name": "Forgotten"})[1]["project"]["id"]
    opened.call("POST", "/api/tasks", {"title": "Forgotten", "project_id": project})
    wish = {"project_id": project, "lease_seconds": 1}
    claimed = opened.call("POST", "/api/tasks/claim", wish, x_api_key=token)[1]["task"]
    task = f"/api/tasks/{claimed['id']}"
    ended = polled(lambda: opened.call("GET", task)[1]["task"]["status"], lambda each: each != "in_progress", PATIENCE)

    assert ("in_progress", "inbox") == (claimed["status"], ended)


def test_workers_count_rate_limits_together_in_a_redis(fresh_postgres: str, tmp_path: Path) -> None:
    """
    The quota is that of the deployment, however many workers count.
    """
    with redis_server.redis_server() as redis:
        limits = {
            "MC_DISABLE_RATE_LIMIT": "0", "RATE_LIMIT_BACKEND": "redis", "RATE_LIMIT_REDIS_URL": redis.url,
            "RATE_LIMIT_READ": "1000/60", "RATE_LIMIT_GENERAL": "30/60", "REQUEST_LOG_INCLUDE_HEALTH": "1",
        }  # fmt: skip
        with served_by_workers(fresh_postgres, tmp_path, workers=2, **limits) as server:
            opened = [server.connection() for _ in range(4)]
            counted = Counter(each.call("GET", "/api/health")[0] for _ in range(10) for each in opened)
            workers = {each["worker"] for each in server.log.wait_for("request", 40)}

    assert {200: 30, 429: 10} == counted
    assert {1, 2} == workers


@pytest.mark.parametrize(
    ("environment", "flags", "reasons"),
    [
        ({}, ("--workers", "2"), ["MC_WORKERS (or --workers): 2 workers need PostgreSQL", "DATABASE_URL"]),
        ({"MC_WORKERS": "3"}, (), ["MC_WORKERS (or --workers): 3 workers need PostgreSQL"]),
        ({"MC_WORKERS": "many"}, (), ["MC_WORKERS: expected a number of worker processes", "'many'"]),
        ({"MC_WORKERS": "0"}, (), ["MC_WORKERS: expected a number of worker processes"]),
        (
            {"DATABASE_URL": NOBODY_LISTENS},
            ("--workers", "2"),
            ["MC_WORKERS (or --workers): ", "rate limits", "RATE_LIMIT_BACKEND=redis", "MC_DISABLE_RATE_LIMIT=1"],
        ),
        ({"DATABASE_URL": NOBODY_LISTENS, **UNLIMITED}, ("--workers", "4"), ["DATABASE_URL (or --database-url): "]),
        (
            {
                "DATABASE_URL": NOBODY_LISTENS,
                "RATE_LIMIT_BACKEND": "redis",
                "RATE_LIMIT_REDIS_URL": "redis://127.0.0.1:1/0",
            },
            ("--workers", "2"),
            ["RATE_LIMIT_REDIS_URL: ", "set RATE_LIMIT_BACKEND=memory and MC_DISABLE_RATE_LIMIT=1"],
        ),
    ],
)
def test_a_start_that_fails_says_why_once(
    environment: dict[str, str], flags: tuple[str, ...], reasons: list[str], tmp_path: Path
) -> None:
    """
    In one line with the variable to change, whatever the number of workers.
    """
    failed = run("serve", "--port", "0", *flags, cwd=tmp_path, **environment)

    assert 2 == failed.returncode
    assert 1 == len(failed.stderr.splitlines()), failed.stderr
    assert failed.stderr.startswith(f"mission-control: {reasons[0]}")
    assert all(each in failed.stderr for each in reasons)


def test_one_worker_is_a_single_process(tmp_path: Path) -> None:
    """
    A flag wins over the variable, and one process serves SQLite with limits that it counts itself.
    """
    failed = run("serve", "--port", "0", "--workers", "1", "--host", "192.0.2.1", cwd=tmp_path, MC_WORKERS="2")

    assert "--host, --port: cannot listen on 192.0.2.1:0" in failed.stderr
