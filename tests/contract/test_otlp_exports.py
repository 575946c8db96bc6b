"""
The OpenTelemetry receiver over HTTP: encodings, limits, keys, and answers in the protocol's shape.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from attrs import evolve, frozen
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from mission_adapters.testing.contracts.token_ledger import ledger
from mission_core.accounts.key_scopes import HEARTBEAT, SELF
from mission_core.accounts.model import Role
from mission_core.agents.use_cases import CreateAgent, CreateKey, create_agent, create_key, secret_digest
from mission_core.errors import Refusal, StaleWrite, StoreFailed
from mission_core.ports import Ports, UnitOfWork
from mission_core.usage.model import NO_ENTRY
from mission_core.usage.telemetry import TelemetrySignal
from mission_core.values import micros
from mission_http.app import MissionApp, create_app
from mission_http.otlp.dialect import otlp_dialect
from mission_http.otlp.exports import LARGEST_BODY
from mission_http.platform.rate_limits import DEFAULT_QUOTAS
from mission_http.wiring import ServerSecretCredentials, decode_telemetry, rate_limiter_from_settings
from tests.contract.boards_driver import run_lifespan
from tests.contract.conftest import World
from tests.contract.fleet_driver import KEY, fleet_settings
from tests.contract.openapi_check import checked_against_openapi
from tests.unit.http.platform.sample_app import Answer, ask
from tests.unit.otlp_requests import SECOND, counter, event, logs, metrics, point, protobuf, span, traces

pytestmark = pytest.mark.one_store
JSON, PROTOBUF = "application/json", "application/x-protobuf"
OWN = {"gen_ai.request.model": "large", "gen_ai.usage.input_tokens": 9, "gen_ai.usage.output_tokens": 1}
RESPONSES = {
    TelemetrySignal.TRACES: (ExportTraceServiceResponse, "rejected_spans", "rejectedSpans"),
    TelemetrySignal.METRICS: (ExportMetricsServiceResponse, "rejected_data_points", "rejectedDataPoints"),
    TelemetrySignal.LOGS: (ExportLogsServiceResponse, "rejected_log_records", "rejectedLogRecords"),
}


@frozen
class Receiver:
    """
    The receiver over one organization and its API key.
    """

    app: MissionApp
    world: World

    @property
    def now(self) -> int:
        """
        The time in nanoseconds since 1970.
        """
        return micros(self.world.clock.now()) * 1000

    async def send(self, path: str, body: bytes, sent: str = JSON, *, key: str | None = KEY, **headers: str) -> Answer:
        """
        The answer to a request, which is as the document tells.
        """
        answer = await ask(self.app, "POST", f"/v1/{path}", body, key=key, content_type=sent, **headers)
        return checked_against_openapi(self.app, "POST", f"/v1/{path}", answer) if sent == JSON else answer

    async def send_spans(self, *spans: Any, key: str | None = KEY, **resource: Any) -> Answer:
        """
        The answer to spans in JSON.
        """
        return await self.send("traces", json.dumps(traces(*spans, **resource)).encode(), key=key)

    def requests(self, **own: Any) -> dict[TelemetrySignal, dict[str, Any]]:
        """
        One request of each signal, each with one report.
        """
        told = {"model": "large", "session.id": "s1", **own}
        usage = {**told, "input_tokens": 9, "output_tokens": 1}
        counters = [point({**told, "session.id": "s3", "type": "input"}, 9, since=self.now - SECOND, at=self.now)]
        return {
            TelemetrySignal.TRACES: traces(span({**OWN, **own}, at=self.now)),
            TelemetrySignal.LOGS: logs(event("claude_code.api_request", usage, at=self.now)),
            TelemetrySignal.METRICS: metrics(counter("claude_code.token.usage", *counters)),
        }


@asynccontextmanager
async def receiver_over(world: World, ports: Ports | None = None, **more: Any) -> AsyncIterator[Receiver]:
    """
    The receiver, up for as long as the context lasts.
    """
    ports, me = ports or world.ports, evolve(world.me, name="api", display="API Access")
    ports = evolve(ports, credentials=ServerSecretCredentials(ports.credentials, {secret_digest(KEY): me}))

    @asynccontextmanager
    async def wire() -> AsyncIterator[Ports]:
        yield ports

    app = create_app(wire, (otlp_dialect(fleet_settings(), decode_telemetry),), **more)
    async with run_lifespan(app):
        yield Receiver(app, world)


@pytest.fixture
async def receiver(world: World) -> AsyncIterator[Receiver]:
    async with receiver_over(world) as found:
        yield found


async def key_of(world: World, name: str, *scopes: str) -> str:
    """
    The key of a new agent.
    """
    agent = (await create_agent(world.ports, world.me, CreateAgent(name=name))).agent
    return (await create_key(world.ports, world.me, CreateKey(agent=agent.id, scopes=scopes)))[1]


def status_of(answer: Answer) -> tuple[int, int, str]:
    """
    The HTTP status, the code and the message of an error in protobuf.
    """
    assert PROTOBUF == answer.headers["content-type"]
    told = Status.FromString(answer.body)
    return answer.status, told.code, told.message


async def test_all_signals_are_recorded_in_both_encodings(receiver: Receiver) -> None:
    """
    What was accepted as a whole is answered with an empty message.
    """
    for signal, told in receiver.requests().items():
        path = signal.name.lower()
        in_json = await receiver.send(path, json.dumps(told).encode())
        in_protobuf = await receiver.send(path, protobuf(signal, told), PROTOBUF)

        assert (200, {}) == (in_json.status, in_json.json)
        assert (200, b"", PROTOBUF) == (in_protobuf.status, in_protobuf.body, in_protobuf.headers["content-type"])
    entries = await ledger(receiver.world)

    assert [9, 9, 9] == [each.input_tokens for each in entries]
    assert {"", "s1", "s3"} == {each.session for each in entries}


async def test_a_partial_success_tells_how_many_and_why(receiver: Receiver) -> None:
    """
    The others of the request are recorded.
    """
    for signal, told in receiver.requests(**{"mission.agent": "nobody"}).items():
        message, field, name = RESPONSES[signal]
        path = signal.name.lower()
        in_json = await receiver.send(path, json.dumps(told).encode())
        in_protobuf = message.FromString((await receiver.send(path, protobuf(signal, told), PROTOBUF)).body)
        reason = in_json.json["partialSuccess"]["errorMessage"]

        assert "Agent not found (1)" == reason
        assert {"partialSuccess": {name: "1", "errorMessage": reason}} == in_json.json
        assert (1, reason) == (getattr(in_protobuf.partial_success, field), in_protobuf.partial_success.error_message)
    good, bad = span(OWN, id=7, at=receiver.now), span({"gen_ai.usage.input_tokens": 5}, id=8)
    answer = await receiver.send_spans(bad, good, bad)

    assert "2" == answer.json["partialSuccess"]["rejectedSpans"]
    assert 1 == len(await ledger(receiver.world))


async def test_telemetry_without_tokens_is_accepted(receiver: Receiver) -> None:
    assert {} == (await receiver.send_spans(span({"http.route": "/"}))).json
    assert [] == await ledger(receiver.world)


async def test_thousands_of_spans_are_recorded(receiver: Receiver) -> None:
    spans = [span(OWN, id=id, at=receiver.now) for id in range(1, 2502)]
    answers = [await receiver.send_spans(*spans) for _ in range(2)]

    assert [{}, {}] == [each.json for each in answers]
    assert 2501 == len(await ledger(receiver.world))


async def test_a_body_may_be_gzip(receiver: Receiver) -> None:
    body = gzip.compress(json.dumps(traces(span(OWN, at=receiver.now))).encode())
    answer = await receiver.send("traces", body, content_encoding="gzip")
    unknown = await receiver.send("traces", body, content_encoding="br")
    cut, more = [await receiver.send("traces", each, content_encoding="gzip") for each in (body[:-9], body + b"more")]

    assert {} == answer.json
    assert (415, "gzip, identity") == (unknown.status, unknown.headers["accept-encoding"])
    assert [400, 400] == [cut.status, more.status]
    assert 1 == len(await ledger(receiver.world))


@pytest.mark.parametrize("compressed", [True, False])
async def test_a_body_over_the_limit_is_refused(receiver: Receiver, compressed: bool) -> None:
    """
    Also one that is small until it is decompressed.
    """
    body = b" " * (LARGEST_BODY + 1)
    headers = {"content_encoding": "gzip"} if compressed else {}
    body = gzip.compress(body) if compressed else body
    answer = await receiver.send("traces", body, PROTOBUF, **headers)

    assert (413, 8, f"the body is longer than {LARGEST_BODY} bytes") == status_of(answer)


async def test_errors_have_the_encoding_of_the_request(receiver: Receiver) -> None:
    broken = await receiver.send("traces", b"\xff\xff", PROTOBUF)
    in_json = await receiver.send("traces", b"{")
    other = await receiver.send("traces", b"", "text/plain")

    assert (400, 3) == status_of(broken)[:2]
    assert (400, 3) == (in_json.status, in_json.json["code"])
    assert in_json.json["message"].startswith("the body is not an export request")
    assert (415, 3) == (other.status, other.json["code"])


async def test_a_request_needs_a_key(receiver: Receiver) -> None:
    for key in (None, "unknown"):
        answer = await receiver.send("traces", b"", PROTOBUF, key=key)

        assert (401, 16) == status_of(answer)[:2]
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("header", ["authorization", "x_api_key", "x_agent_token"])
async def test_each_header_of_a_key_is_accepted(receiver: Receiver, header: str) -> None:
    """
    The usage is that of the key's agent.
    """
    key = await key_of(receiver.world, "ada", SELF)
    headers = {header: f"Bearer {key}" if header == "authorization" else key}
    body = json.dumps(traces(span(OWN, at=receiver.now))).encode()
    answer = await receiver.send("traces", body, key=None, **headers)

    assert {} == answer.json
    assert ["ada"] == [each.agent_name for each in await ledger(receiver.world)]


async def test_a_key_without_the_right_to_write_is_refused(receiver: Receiver) -> None:
    keys = [await key_of(receiver.world, name, scope) for name, scope in (("ada", HEARTBEAT), ("bob", "viewer"))]
    answers = [await receiver.send("traces", b"", PROTOBUF, key=key) for key in keys]

    assert [(403, 7), (403, 7)] == [status_of(each)[:2] for each in answers]


async def test_resources_name_agent_task_and_board(receiver: Receiver) -> None:
    world = receiver.world
    await create_agent(world.ports, world.me, CreateAgent(name="ada"))
    task = await world.task("Ship it")
    resource = {"mission__agent": "ada", "mission__task": str(task.number), "mission__board": str(world.board.id)}
    answer = await receiver.send_spans(span(OWN, at=receiver.now), **resource)
    (entry,) = await ledger(world)

    assert {} == answer.json
    assert ("ada", task.id, world.board.id) == (entry.agent_name, entry.task, entry.board)


async def test_an_agent_that_names_another_one_is_rejected(receiver: Receiver) -> None:
    key = await key_of(receiver.world, "ada", Role.OPERATOR.value)
    await create_agent(receiver.world.ports, receiver.world.me, CreateAgent(name="bob"))
    answer = await receiver.send_spans(span(OWN, at=receiver.now), key=key, mission__agent="bob")

    assert "1" == answer.json["partialSuccess"]["rejectedSpans"]
    assert "another agent" in answer.json["partialSuccess"]["errorMessage"]


@pytest.mark.parametrize("error", [StoreFailed("the disk is full"), StaleWrite("telemetry source", NO_ENTRY)])
async def test_a_failed_store_asks_for_another_try(world: World, error: Refusal) -> None:
    """
    Also if other requests were faster each time: the protocol knows no conflict.
    """

    def failing(*given: Any, **more: Any) -> UnitOfWork:
        raise error

    async with receiver_over(world, evolve(world.ports, unit=failing)) as receiver:
        told = traces(span(OWN, at=receiver.now))
        answers = [
            await receiver.send("traces", json.dumps(told).encode()),
            await receiver.send("traces", protobuf(TelemetrySignal.TRACES, told), PROTOBUF),
        ]

    assert [("2", 503), ("2", 503)] == [(each.headers["retry-after"], each.status) for each in answers]
    assert 14 == answers[0].json["code"] == status_of(answers[1])[1]


async def test_requests_have_a_limit_of_their_own(world: World) -> None:
    quotas = {"otlp": evolve(DEFAULT_QUOTAS["otlp"], amount=2)}
    limiter = lambda: rate_limiter_from_settings(fleet_settings())  # noqa: E731
    async with receiver_over(world, quotas=quotas, limiter=limiter) as receiver:
        answers = [await receiver.send("logs", b"", PROTOBUF) for _ in range(3)]

    assert [200, 200, 429] == [each.status for each in answers]
    assert (429, 8) == status_of(answers[2])[:2]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 60


async def test_other_paths_and_methods_are_answered_in_the_protocols_shape(receiver: Receiver) -> None:
    unknown = await ask(receiver.app, "POST", "/v1/profiles", key=KEY, content_type=PROTOBUF)
    read = await ask(receiver.app, "GET", "/v1/traces", key=KEY)

    assert (404, 5) == status_of(unknown)[:2]
    assert (405, 12, "POST") == (read.status, read.json["code"], read.headers["allow"])
