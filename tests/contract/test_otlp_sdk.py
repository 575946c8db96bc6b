"""
The SDK of OpenTelemetry exports to a served instance, and repeats what the server could not keep.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from attrs import define, field
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.contract.server_process import Server, served
from tests.documentation import sample

pytestmark = pytest.mark.real_time
MINUTE = 60_000
VARIABLE = re.compile(r"(\w+)=\"?([^\s\"]+)")


@define
class DatabaseLock:
    """
    A lock on the database, so that the server cannot write, until it has answered a client with a 503.
    """

    path: Path
    statuses: list[int] = field(factory=list)
    holder: sqlite3.Connection | None = None

    def take(self) -> None:
        self.holder = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self.holder.execute("BEGIN IMMEDIATE")

    def release(self) -> None:
        if self.holder is not None:
            self.holder.rollback()
            self.holder.close()
            self.holder = None

    def answered(self, response: requests.Response, *given: Any, **more: Any) -> None:
        self.statuses.append(response.status_code)
        if response.status_code == 503:
            self.release()

    def session(self) -> requests.Session:
        """
        A client that tells this lock its answers.
        """
        made = requests.Session()
        made.hooks["response"].append(self.answered)
        return made


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "data").mkdir()
    with served(f"sqlite:///{tmp_path / 'mission.db'}", tmp_path / "data") as found:
        yield found


def test_spans_and_metrics_of_the_sdk_are_counted_once_also_after_a_503(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A process counts its tokens since its start, and tells its spans compressed. The first spans and the second values
    of the counter meet a database that takes no changes. The variables are those that the documentation shows.
    """
    key = server.credential("API_KEY")
    server.call("POST", "/api/agents", {"name": "ada", "role": "coder"}, **{"x-api-key": key})
    task = server.call("POST", "/api/tasks", {"title": "Ship it"}, **{"x-api-key": key})["task"]
    lock = DatabaseLock(tmp_path / "mission.db")
    variables = dict(VARIABLE.findall(sample("docs/costs.md", "## OpenTelemetry", "sh")))
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_RESOURCE_ATTRIBUTES"):
        value = variables[name].replace("$AGENT_KEY", key).replace("http://127.0.0.1:8000", server.base)
        monkeypatch.setenv(name, value)
    resource = Resource.create({"service.name": "coder", "mission.agent": "ada"})
    reader = PeriodicExportingMetricReader(
        OTLPMetricExporter(timeout=60, session=lock.session()),
        export_interval_millis=60 * MINUTE, export_timeout_millis=2 * MINUTE,
    )  # fmt: skip
    exporter = OTLPSpanExporter(timeout=60, session=lock.session(), compression=Compression.Gzip)
    meters = MeterProvider([reader], resource=resource)
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=60 * MINUTE))
    counter = meters.get_meter("test").create_counter("claude_code.token.usage")
    tracer = tracers.get_tracer("test")

    for input, output, failing in ((100, 10, tracers), (300, 30, meters)):
        counter.add(input, {"model": "counted", "session.id": "s1", "type": "input"})
        counter.add(output, {"model": "counted", "session.id": "s1", "type": "output"})
        with tracer.start_as_current_span("chat") as span:
            span.set_attribute("gen_ai.response.model", "traced")
            span.set_attribute("gen_ai.usage.input_tokens", input)
            span.set_attribute("gen_ai.usage.output_tokens", output)
        with tracer.start_as_current_span("execute_tool"):
            pass
        for provider in (tracers, meters):
            if provider is failing:
                lock.take()
            assert provider.force_flush(2 * MINUTE)
    meters.shutdown()
    tracers.shutdown()
    stats = server.call("GET", "/api/tokens?action=stats", **{"x-api-key": key})
    costs = server.call("GET", "/api/tokens?action=task-costs", **{"x-api-key": key})
    tokens = {name: (each["inputTokens"], each["outputTokens"]) for name, each in stats["models"].items()}

    assert {"counted": (400, 40), "traced": (400, 40)} == tokens
    assert ["ada"] == list(stats["agents"])
    assert [task["id"]] == [each["taskId"] for each in costs["tasks"]]
    assert 2 == lock.statuses.count(503)
    assert {200, 503} == set(lock.statuses)
