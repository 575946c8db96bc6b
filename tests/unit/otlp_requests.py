"""
Export requests of OpenTelemetry as programs send them, in JSON and in protobuf.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from mission_core.usage.telemetry import TelemetrySignal

SECOND = 10**9
NOW = 1_900_000_000 * SECOND
TRACE = "5b8efff798038103d269b633813fc60c"
MESSAGES = {
    TelemetrySignal.TRACES: ExportTraceServiceRequest,
    TelemetrySignal.METRICS: ExportMetricsServiceRequest,
    TelemetrySignal.LOGS: ExportLogsServiceRequest,
}


def attributes(told: dict[str, Any]) -> list[dict[str, Any]]:
    """
    Attributes as the protocol tells them.
    """
    kinds = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}
    return [{"key": name, "value": {kinds[type(each)]: each}} for name, each in told.items()]


def span(own: dict[str, Any], *, name: str = "chat", id: int = 1, at: int = NOW) -> dict[str, Any]:
    """
    A span of half a second.
    """
    return {
        "traceId": TRACE, "spanId": f"{id:016x}", "name": name, "startTimeUnixNano": str(at - SECOND // 2),
        "endTimeUnixNano": str(at), "attributes": attributes(own),
    }  # fmt: skip


def traces(*spans: dict[str, Any], **resource: Any) -> dict[str, Any]:
    """
    A request with spans.
    """
    return {"resourceSpans": [{"resource": _resource(resource), "scopeSpans": [{"spans": list(spans)}]}]}


def event(name: str, own: dict[str, Any], *, at: int = NOW, body: str = "") -> dict[str, Any]:
    """
    A log record with the name of an event among its attributes, as coding agents send it.
    """
    told = attributes({"event.name": name, **own})
    return {"timeUnixNano": str(at), "attributes": told, "body": {"stringValue": body or name}}


def logs(*events: dict[str, Any], **resource: Any) -> dict[str, Any]:
    """
    A request with log records.
    """
    return {"resourceLogs": [{"resource": _resource(resource), "scopeLogs": [{"logRecords": list(events)}]}]}


def point(own: dict[str, Any], value: int | float, *, since: int = NOW - 60 * SECOND, at: int = NOW) -> dict[str, Any]:
    """
    A data point of a counter.
    """
    told = {"asInt": str(value)} if isinstance(value, int) else {"asDouble": value}
    return {"startTimeUnixNano": str(since), "timeUnixNano": str(at), "attributes": attributes(own), **told}


def counter(name: str, *points: dict[str, Any], delta: bool = False) -> dict[str, Any]:
    """
    A counter.
    """
    return {
        "name": name,
        "sum": {"dataPoints": list(points), "aggregationTemporality": 1 if delta else 2, "isMonotonic": True},
    }


def histogram(name: str, *points: dict[str, Any], delta: bool = False) -> dict[str, Any]:
    """
    A histogram, of the data points of a counter.
    """
    kept = ("startTimeUnixNano", "timeUnixNano", "attributes")
    told = [{**{each: one[each] for each in kept}, "count": "1", "sum": one["asDouble"]} for one in points]
    return {"name": name, "histogram": {"dataPoints": told, "aggregationTemporality": 1 if delta else 2}}


def metrics(*found: dict[str, Any], **resource: Any) -> dict[str, Any]:
    """
    A request with metrics.
    """
    return {"resourceMetrics": [{"resource": _resource(resource), "scopeMetrics": [{"metrics": list(found)}]}]}


def _resource(told: dict[str, Any]) -> dict[str, Any]:
    return {"attributes": attributes({"service.name": "test", **{n.replace("__", "."): v for n, v in told.items()}})}


def protobuf(signal: TelemetrySignal, told: dict[str, Any]) -> bytes:
    """
    A request in protobuf.
    """
    sent: bytes = ParseDict(_with_base64(told), MESSAGES[signal]()).SerializeToString()
    return sent


def _with_base64(told: Any) -> Any:
    """
    The request with ids in base64, as the JSON of protobuf has all bytes. OpenTelemetry has them in hexadecimal digits.
    """
    if isinstance(told, list):
        return [_with_base64(each) for each in told]
    if not isinstance(told, dict):
        return told
    ids = {"traceId", "spanId", "parentSpanId"}
    return {
        name: b64encode(bytes.fromhex(each)).decode() if name in ids else _with_base64(each)
        for name, each in told.items()
    }


CLAUDE_CODE_POINTS = {"input": 10, "output": 40, "cacheRead": 500, "cacheCreation": 50}
SAMPLES: dict[str, tuple[TelemetrySignal, dict[str, Any], dict[str, int]]] = {
    "a span of today's conventions": (
        TelemetrySignal.TRACES,
        traces(
            span(
                {
                    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-5", "gen_ai.response.model": "gpt-5-2025-08-07",
                    "gen_ai.usage.input_tokens": 900, "gen_ai.usage.output_tokens": 120,
                    "gen_ai.usage.cache_read.input_tokens": 600, "gen_ai.usage.cache_creation.input_tokens": 100,
                    "gen_ai.usage.reasoning.output_tokens": 70,
                }
            )
        ),
        {
            "input_tokens": 900, "output_tokens": 120, "cache_read_tokens": 600, "cache_write_tokens": 100,
            "reasoning_tokens": 70,
        },
    ),
    "a span of older conventions": (
        TelemetrySignal.TRACES,
        traces(
            span(
                {
                    "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.prompt_tokens": 30,
                    "gen_ai.usage.completion_tokens": 5,
                }
            )
        ),
        {"input_tokens": 30, "output_tokens": 5},
    ),
    "a span whose input leaves out the cached tokens": (
        TelemetrySignal.TRACES,
        traces(
            span(
                {
                    "gen_ai.request.model": "claude-opus-4-5", "gen_ai.usage.input_tokens": 3,
                    "gen_ai.usage.output_tokens": 7, "gen_ai.usage.cache_read_input_tokens": 1000,
                }
            )
        ),
        {"input_tokens": 1003, "output_tokens": 7, "cache_read_tokens": 1000},
    ),
    "a span of Claude Code": (
        TelemetrySignal.TRACES,
        traces(
            span(
                {
                    "session.id": "s1", "span.type": "llm_request", "model": "claude-opus-4-5",
                    "gen_ai.system": "anthropic", "gen_ai.request.model": "claude-opus-4-5", "input_tokens": 2,
                    "output_tokens": 1200, "cache_read_tokens": 84_562, "cache_creation_tokens": 7096,
                },
                name="claude_code.llm_request",
            )
        ),
        {
            "input_tokens": 91_660, "output_tokens": 1200, "cache_read_tokens": 84_562, "cache_write_tokens": 7096,
        },
    ),
    "an event of Claude Code": (
        TelemetrySignal.LOGS,
        logs(
            event(
                "api_request",
                {
                    "session.id": "s1", "model": "claude-opus-4-5", "cost_usd": 0.05, "duration_ms": 1521,
                    "input_tokens": 10, "output_tokens": "40", "cache_read_tokens": 500, "cache_creation_tokens": 50,
                },
                body="claude_code.api_request",
            ),
            service__name="claude-code",
        ),
        {"input_tokens": 560, "output_tokens": 40, "cache_read_tokens": 500, "cache_write_tokens": 50},
    ),
    "an event of Codex": (
        TelemetrySignal.LOGS,
        logs(
            event(
                "codex.sse_event",
                {
                    "event.kind": "response.completed", "conversation.id": "c1", "model": "gpt-5",
                    "input_token_count": 800, "output_token_count": 90, "cached_token_count": 700,
                    "reasoning_token_count": 64, "tool_token_count": 890,
                },
            )
        ),
        {"input_tokens": 800, "output_tokens": 90, "cache_read_tokens": 700, "reasoning_tokens": 64},
    ),
    "an event of the Gemini CLI": (
        TelemetrySignal.LOGS,
        logs(
            event(
                "gemini_cli.api_response",
                {
                    "session.id": "g1", "model": "gemini-2.5-pro", "input_token_count": 550, "output_token_count": 107,
                    "cached_content_token_count": 50, "thoughts_token_count": 53, "tool_token_count": 3,
                    "total_token_count": 713, "duration_ms": 12,
                },
            )
        ),
        {"input_tokens": 553, "output_tokens": 160, "cache_read_tokens": 50, "reasoning_tokens": 53},
    ),
    "a general event": (
        TelemetrySignal.LOGS,
        logs(
            event(
                "gen_ai.client.inference.operation.details",
                {
                    "gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-5", "gen_ai.usage.input_tokens": 8,
                    "gen_ai.usage.output_tokens": 2,
                },
            )
        ),
        {"input_tokens": 8, "output_tokens": 2},
    ),
    "the counter of Claude Code": (
        TelemetrySignal.METRICS,
        metrics(
            counter(
                "claude_code.token.usage",
                *(
                    point({"session.id": "s1", "model": "claude-opus-4-5", "type": name}, float(value))
                    for name, value in CLAUDE_CODE_POINTS.items()
                ),
                delta=True,
            )
        ),
        {"input_tokens": 560, "output_tokens": 40, "cache_read_tokens": 500, "cache_write_tokens": 50},
    ),
    "the counter of the Gemini CLI": (
        TelemetrySignal.METRICS,
        metrics(
            counter(
                "gemini_cli.token.usage",
                *(
                    point({"session.id": "g1", "model": "gemini-2.5-pro", "type": name}, value)
                    for name, value in {"input": 550, "output": 107, "cache": 50, "thought": 53, "tool": 3}.items()
                ),
                delta=True,
            )
        ),
        {"input_tokens": 553, "output_tokens": 160, "cache_read_tokens": 50, "reasoning_tokens": 53},
    ),
    "the histogram of Codex": (
        TelemetrySignal.METRICS,
        metrics(
            histogram(
                "codex.turn.token_usage",
                *(
                    point({"model": "gpt-5", "token_type": name}, value)
                    for name, value in {
                        "input": 800.0, "output": 90.0, "cached_input": 700.0, "reasoning_output": 64.0, "total": 890.0,
                    }.items()
                ),
                delta=True,
            )
        ),
        {"input_tokens": 800, "output_tokens": 90, "cache_read_tokens": 700, "reasoning_tokens": 64},
    ),
    "the general histogram": (
        TelemetrySignal.METRICS,
        metrics(
            histogram(
                "gen_ai.client.token.usage",
                *(
                    point({"gen_ai.request.model": "gpt-5", "gen_ai.token.type": name}, value)
                    for name, value in {"input": 30.0, "output": 4.0}.items()
                ),
                delta=True,
            )
        ),
        {"input_tokens": 30, "output_tokens": 4},
    ),
}  # fmt: skip
"""Requests by their names, each with the counts that it tells."""
