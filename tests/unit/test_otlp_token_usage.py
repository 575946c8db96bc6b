"""
The usage of tokens in requests of OpenTelemetry.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from mission_adapters.otlp import decode_telemetry
from mission_core.usage.counters import COUNTS
from mission_core.usage.telemetry import (
    MalformedTelemetry,
    TelemetryBatch,
    TelemetryEncodingMissing,
    TelemetryKind,
    TelemetryRecord,
    TelemetrySignal,
    source_keys,
)
from mission_core.values import moment
from tests.unit.otlp_requests import NOW, SAMPLES, counter, event, logs, metrics, point, protobuf, span, traces

USAGE = {"gen_ai.request.model": "gpt-5", "gen_ai.usage.input_tokens": 9, "gen_ai.usage.output_tokens": 1}


def in_json(signal: TelemetrySignal, told: Any) -> TelemetryBatch:
    """
    The usage in a request in JSON.
    """
    return decode_telemetry(signal, json.dumps(told).encode(), is_json=True)


def counts_of(record: TelemetryRecord) -> dict[str, int]:
    """
    The counts that a record tells, without zeros.
    """
    found: Counter[str] = Counter({name: getattr(record.report, name) for name in COUNTS})
    for reading in record.readings:
        found.update(dict.fromkeys(reading.counts, reading.value))
    return {name: count for name, count in found.items() if count}


@pytest.mark.parametrize("name", SAMPLES)
def test_each_producer_is_understood(name: str) -> None:
    signal, told, counts = SAMPLES[name]
    batch = in_json(signal, told)

    assert [counts] == [counts_of(each) for each in batch.records]
    assert () == batch.rejected


@pytest.mark.parametrize("name", SAMPLES)
def test_both_encodings_tell_the_same(name: str) -> None:
    signal, told, _ = SAMPLES[name]

    assert in_json(signal, told) == decode_telemetry(signal, protobuf(signal, told), is_json=False)


def test_a_span_tells_its_request() -> None:
    own = {
        **USAGE,
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.conversation.id": "c1",
        "gen_ai.operation.name": "chat",
    }
    resource = {"mission__agent": "ada", "mission__task": "7", "mission__board": "0195a000-0000-7000-8000-000000000001"}
    (record,) = in_json(TelemetrySignal.TRACES, traces(span(own), **resource)).records
    told = record.report

    assert ("gpt-5", "aws", "c1", "chat", 500) == (
        told.model, told.provider, told.session, told.operation, told.duration_ms,
    )  # fmt: skip
    assert ("ada", 7, "0195a000-0000-7000-8000-000000000001") == (told.agent, told.task, str(told.board))
    assert moment(NOW // 1000) == told.used_at
    assert TelemetryKind.SPAN is record.kind


def test_an_event_of_claude_code_tells_its_cost_and_duration() -> None:
    signal, told, _ = SAMPLES["an event of Claude Code"]
    (record,) = in_json(signal, told).records

    assert (50_000_000, 1521, "s1") == (record.report.reported_cost, record.report.duration_ms, record.report.session)


@pytest.mark.parametrize(
    "told",
    [
        traces(span({"http.request.method": "GET"})),
        traces(span({**USAGE, "gen_ai.operation.name": "invoke_agent"})),
        traces(span({"gen_ai.usage.input_tokens": 5}), service__name="codex_exec"),
        traces(),
        {},
    ],
)
def test_spans_without_tokens_of_their_own_are_left_out(told: dict[str, Any]) -> None:
    """
    A span of an agent sums up those of its requests. Codex has spans that tell no model; its events tell the same.
    """
    assert TelemetryBatch() == in_json(TelemetrySignal.TRACES, told)


def test_of_nested_spans_with_the_same_tokens_the_innermost_counts() -> None:
    """
    One that sums up several is left out, too. A child with other tokens is a request of its own, as is a span with the
    same tokens that is no child.
    """

    def within(parent: int, id: int, input: int) -> dict[str, Any]:
        told = {"gen_ai.request.model": "gpt-5", "gen_ai.usage.input_tokens": input, "gen_ai.usage.output_tokens": 1}
        return span(told, id=id) | {"parentSpanId": f"{parent:016x}" if parent else ""}

    chain = [within(0, 1, 5), within(1, 2, 5), within(2, 3, 5), within(0, 4, 5)]
    parts = [within(0, 5, 30), within(5, 6, 10), within(5, 7, 20)]
    parts[0]["attributes"][-1]["value"]["intValue"] = 2  # its parts have one token of output each
    others = [within(0, 8, 9), within(8, 9, 7)]
    for told in (traces(*chain, *parts, *others), traces(*chain[::-1], *parts, *others)):
        signal = TelemetrySignal.TRACES
        in_protobuf = decode_telemetry(signal, protobuf(signal, told), is_json=False)
        for decoded in (in_json(signal, told), in_protobuf):
            assert [5, 5, 7, 9, 10, 20] == sorted(each.report.input_tokens for each in decoded.records)


def test_other_events_and_counters_are_left_out() -> None:
    events = logs(
        event("claude_code.tool_result", {"input_tokens": 5}),
        event("codex.sse_event", {"event.kind": "response.created", "input_token_count": 5, "model": "gpt-5"}),
    )
    counters = metrics(
        counter("claude_code.cost.usage", point({"model": "claude"}, 0.5)),
        counter("claude_code.token.usage", point({"model": "claude", "type": "someday"}, 5)),
    )

    assert TelemetryBatch() == in_json(TelemetrySignal.LOGS, events)
    assert TelemetryBatch() == in_json(TelemetrySignal.METRICS, counters)


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        ({"gen_ai.usage.input_tokens": 9}, "gen_ai.request.model is missing beside the tokens"),
        ({**USAGE, "gen_ai.usage.input_tokens": 1.5}, "gen_ai.usage.input_tokens is not a whole number of tokens"),
        ({**USAGE, "gen_ai.usage.input_tokens": -1}, "gen_ai.usage.input_tokens is not a whole number of tokens"),
        ({**USAGE, "gen_ai.usage.input_tokens": "many"}, "gen_ai.usage.input_tokens is not a whole number of tokens"),
        ({**USAGE, "mission.task": "seven"}, "mission.task is neither an id nor a number"),
    ],
)
def test_a_bad_span_is_rejected_and_its_neighbour_is_not(own: dict[str, Any], reason: str) -> None:
    batch = in_json(TelemetrySignal.TRACES, traces(span(own), span(USAGE, id=2)))

    assert [(1, reason)] == list(batch.rejected)
    assert 1 == len(batch.records)


def test_a_repeated_request_has_the_same_keys() -> None:
    for signal, told, _ in SAMPLES.values():
        first, second = (in_json(signal, told).records for _ in range(2))

        assert [each.key for each in first] == [each.key for each in second]


def test_requests_of_the_same_size_have_keys_of_their_own() -> None:
    spans = in_json(TelemetrySignal.TRACES, traces(span(USAGE, id=1), span(USAGE, id=2))).records
    own = {"event.kind": "response.completed", "model": "m", "input_token_count": 1}
    told = [event("codex.sse_event", own, at=NOW + later) for later in range(2)]
    events = in_json(TelemetrySignal.LOGS, logs(*told)).records

    assert [2, 2] == [len({each.key for each in records}) for records in (spans, events)]


def test_a_process_without_an_instance_is_another_one_each_day() -> None:
    day = 86_400 * 10**9
    told = [traces(span(USAGE, at=NOW)), traces(span(USAGE, at=NOW + day))]
    named = [traces(span(USAGE, at=at), service__instance__id="i") for at in (NOW, NOW + day)]

    assert [2, 1] == [
        len({source_keys(in_json(TelemetrySignal.TRACES, each).records[0]) for each in both}) for both in (told, named)
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{", b'{"resourceSpans": {}}', b'{"resourceSpans": [1]}', b"[" * 100_000, b"\xff",
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": 5}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "soon"}]}]}]}',
    ],
)  # fmt: skip
def test_another_body_in_json_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedTelemetry):
        decode_telemetry(TelemetrySignal.TRACES, body, is_json=True)


def test_another_body_in_protobuf_is_malformed() -> None:
    for signal in TelemetrySignal:
        with pytest.raises(MalformedTelemetry):
            decode_telemetry(signal, b"\xff\xff\xff", is_json=False)


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.proto.collector.logs.v1.logs_service_pb2", None)
    with pytest.raises(TelemetryEncodingMissing, match=r"install .*\[otlp\].*http/json"):
        decode_telemetry(TelemetrySignal.LOGS, b"", is_json=False)
