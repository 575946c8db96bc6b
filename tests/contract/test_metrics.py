"""
The metrics of a server for Prometheus.
"""

import http.client
import os
import signal
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen
from prometheus_client.parser import text_string_to_metric_families

from mission_adapters.memory import MemoryStore
from mission_adapters.sql.store import SqlStore
from mission_adapters.testing import ManualClock, World, make_world
from mission_core.ports import Ports
from mission_core.usage.prices import ModelPrice, PriceList
from mission_core.usage.use_cases import RecordUsage, UsageReport, record_usage
from mission_http.app import MissionApp
from mission_http.main import application
from tests.contract.conftest import ports_over
from tests.contract.fleet_driver import fleet_settings
from tests.contract.server_commands import run
from tests.contract.worker_supervisor import UNLIMITED, WorkerServer, served_by_workers
from tests.unit.http.platform.sample_app import Answer, ask

TOKEN = "a-token-of-thirty-two-characters"
BEARER = f"Bearer {TOKEN}"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples_in(text: str) -> Samples:
    families = text_string_to_metric_families(text)
    return {(each.name, frozenset(each.labels.items())): each.value for one in families for each in one.samples}


def value_of(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


@frozen
class MonitoredServer:
    """
    An application with metrics, over a store of its own.
    """

    app: MissionApp
    world: World

    async def scrape(self, authorization: str = BEARER, **headers: str) -> Answer:
        return await ask(self.app, "GET", "/metrics", key=None, authorization=authorization, **headers)

    async def samples(self) -> Samples:
        answer = await self.scrape()
        assert 200 == answer.status, answer
        return samples_in(answer.body.decode())


def application_over(ports: Ports, **settings: Any) -> MissionApp:
    return application(fleet_settings(**settings), lambda: nullcontext(ports), limiter=nullcontext)


@pytest.fixture
async def server() -> AsyncIterator[MonitoredServer]:
    clock = ManualClock()
    price = ModelPrice(model="large", input=1_000_000_000, output=2_000_000_000)
    prices = PriceList(prices=(price,), version="1")
    world = await make_world(evolve(ports_over(MemoryStore(clock), clock), prices=prices), "acme")
    app = application_over(world.ports, metrics_token=TOKEN)
    async with app.lifespan(None):
        yield MonitoredServer(app, world)


async def report(world: World, agent: str, model: str, tokens: int, **fields: Any) -> None:
    told = UsageReport(model=model, input_tokens=tokens, output_tokens=0, label=agent, **fields)
    await record_usage(world.ports, world.me, RecordUsage(report=told))


async def test_metrics_are_off_without_a_token(server: MonitoredServer) -> None:
    off = application_over(server.world.ports)
    async with off.lifespan(None):
        answer = await ask(off, "GET", "/metrics", key=None, authorization=BEARER)

    assert 404 == answer.status


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}é"])
async def test_metrics_need_their_own_token(server: MonitoredServer, authorization: str) -> None:
    answer = await server.scrape(authorization)

    assert 401 == answer.status
    assert b"mission_" not in answer.body
    assert "www-authenticate" in dict(answer.headers) or b"www-authenticate" in dict(answer.headers)


async def test_usage_is_told_by_organization_agent_and_model(server: MonitoredServer) -> None:
    await report(server.world, "ada", "large", 3_000_000)
    await report(server.world, "ada", "unheard-of", 50)
    found = await server.samples()
    large = {"organization": "acme", "agent": "ada", "model": "large"}
    unheard_of = {**large, "model": "unheard-of"}

    assert 3_000_000 == value_of(found, "mission_usage_tokens", **large, kind="input")
    assert 3 == value_of(found, "mission_usage_cost_dollars", **large)
    assert 50 == value_of(found, "mission_usage_unpriced_tokens", **unheard_of)
    assert value_of(found, "mission_usage_cost_dollars", **unheard_of) is None


async def test_what_waits_is_told(server: MonitoredServer) -> None:
    await server.world.task()
    server.world.clock.advance(minutes=3)
    found = await server.samples()

    assert 180 == value_of(found, "mission_oldest_ready_task_age_seconds")
    assert 0 == value_of(found, "mission_leases_lost_last_hour")
    assert 0 == value_of(found, "mission_approvals_waiting")
    assert 1 == value_of(found, "mission_database_up")


async def test_requests_are_counted_by_the_template_of_their_path(server: MonitoredServer) -> None:
    for path in ("/api/v1/boards/1", "/api/v1/boards/2", "/api/v1/nothing/3", "/nothing/4", "/healthz"):
        await ask(server.app, "GET", path)
    text = (await server.scrape()).body.decode()
    found = samples_in(text)
    counted = {
        (dict(labels)["route"], dict(labels)["status"]): value
        for (name, labels), value in found.items()
        if name == "mission_http_request_duration_seconds_count"
    }
    board = {"method": "GET", "route": "/api/v1/boards/{board_id}", "status": "4xx"}

    assert {(board["route"], "4xx"): 2, ("other", "4xx"): 2, ("/healthz", "2xx"): 1} == counted
    assert 2 == value_of(found, "mission_http_request_duration_seconds_bucket", **board, le="10.0")
    assert 0 < (value_of(found, "mission_http_request_duration_seconds_sum", **board) or 0) < 10


async def test_figures_answer_further_scrapes_for_some_seconds(server: MonitoredServer) -> None:
    await server.samples()
    await server.world.task()
    server.world.clock.advance(seconds=4)
    soon = await server.samples()
    server.world.clock.advance(seconds=2)
    later = await server.samples()

    assert 0 == value_of(soon, "mission_oldest_ready_task_age_seconds")
    assert 6 == value_of(later, "mission_oldest_ready_task_age_seconds")


async def test_a_database_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    clock = ManualClock()
    async with SqlStore.open(f"sqlite:///{tmp_path / 'closed.db'}", clock=clock) as store:
        ports = ports_over(store, clock)
    app = application_over(ports, metrics_token=TOKEN)
    async with app.lifespan(None):
        answer = await ask(app, "GET", "/metrics", key=None, authorization=BEARER)
    found = samples_in(answer.body.decode())

    assert 200 == answer.status
    assert 0 == value_of(found, "mission_database_up")
    assert value_of(found, "mission_approvals_waiting") is None


async def test_openmetrics_is_sent_to_who_accepts_it(server: MonitoredServer) -> None:
    answer = await server.scrape(accept="application/openmetrics-text; version=1.0.0")

    assert answer.body.endswith(b"# EOF\n")


def test_a_start_without_the_extra_names_it(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['prometheus_client'] = None\n")
    ended = run("serve", "--port", "0", cwd=tmp_path, MC_METRICS_TOKEN=TOKEN, PYTHONPATH=str(tmp_path))

    assert 2 == ended.returncode
    assert ended.stderr.startswith("mission-control: MC_METRICS_TOKEN: "), ended.stderr
    assert "mission-control-plane[metrics]" in ended.stderr


def scraped_from(server: WorkerServer) -> Samples:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/metrics", headers={"authorization": BEARER})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    assert 200 == answer.status, text
    return samples_in(text)


TASKS = {"method": "GET", "route": "/api/tasks", "status": "2xx"}


@pytest.mark.real_time
def test_each_worker_tells_the_requests_of_all_and_of_those_before_them(fresh_postgres: str, tmp_path: Path) -> None:
    """
    Also after one of them was killed and replaced.
    """
    with served_by_workers(fresh_postgres, tmp_path, MC_METRICS_TOKEN=TOKEN, **UNLIMITED) as server:
        opened = server.connections_to_each(2)
        for each in opened.values():
            for _ in range(5):
                assert 200 == each.call("GET", "/api/tasks")[0]
        before = [scraped_from(server) for _ in range(6)]
        count = [value_of(each, "mission_http_request_duration_seconds_count", **TASKS) for each in before]
        ready = len(server.log.of("worker_ready", worker=1))
        server.log.wait_for("request", int(count[0]), path="/api/tasks")  # lines are written in batches
        os.kill(server.pid_of(1), signal.SIGKILL)
        server.log.wait_for("worker_ready", ready + 1, worker=1)
        after = [scraped_from(server) for _ in range(6)]
        kept = [value_of(each, "mission_http_request_duration_seconds_count", **TASKS) for each in after]
        pools = value_of(after[0], "mission_database_pool_size", pool="read")

    assert [len(server.log.of("request", path="/api/tasks"))] * 6 == count
    assert count == kept
    assert pools == 12
