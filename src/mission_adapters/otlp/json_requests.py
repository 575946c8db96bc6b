"""
Export requests of OpenTelemetry in JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from mission_adapters.otlp.items import EventItem, Item, PointItem, Scalar, SpanItem
from mission_core.usage.telemetry import MalformedTelemetry, TelemetrySignal

DELTA: Final = frozenset({1, "1", "AGGREGATION_TEMPORALITY_DELTA"})
CUMULATIVE: Final = frozenset({2, "2", "AGGREGATION_TEMPORALITY_CUMULATIVE"})
OBJECT: Final = frozenset({dict})
LONGEST_NUMBER: Final = 40
"""The most characters of a number in a text."""


def items_in_json(signal: TelemetrySignal, body: bytes) -> Iterator[Item]:
    """
    Yield the spans, events or data points of a request.

    Raises:
        MalformedTelemetry: If it is no such request.
    """
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as e:
        raise MalformedTelemetry(f"it is not JSON ({e})"[:200]) from None
    if not isinstance(told, dict):
        raise MalformedTelemetry("it is not a JSON object")
    yield from READERS[signal](told)


def _spans(told: dict[str, Any]) -> Iterator[Item]:
    for resource, span in _items(told, "resourceSpans", "scopeSpans", "spans"):
        yield SpanItem(
            resource, _attributes(span), _text(span, "name"), _text(span, "traceId").lower(),
            _text(span, "spanId").lower(), _text(span, "parentSpanId").lower(), _number(span, "startTimeUnixNano"),
            _number(span, "endTimeUnixNano"),
        )  # fmt: skip


def _events(told: dict[str, Any]) -> Iterator[Item]:
    for resource, log in _items(told, "resourceLogs", "scopeLogs", "logRecords"):
        body = _object(log, "body").get("stringValue")
        yield EventItem(
            resource, _attributes(log), _text(log, "eventName"), body if isinstance(body, str) else "",
            _text(log, "traceId").lower(), _text(log, "spanId").lower(),
            _number(log, "timeUnixNano") or _number(log, "observedTimeUnixNano"),
        )  # fmt: skip


def _points(told: dict[str, Any]) -> Iterator[Item]:
    for resource, metric in _items(told, "resourceMetrics", "scopeMetrics", "metrics"):
        for kind in ("sum", "histogram", "exponentialHistogram"):
            data = _object(metric, kind)
            temporality = data.get("aggregationTemporality")
            if not isinstance(temporality, int | str) or temporality not in DELTA | CUMULATIVE:
                continue
            for point in _objects(data, "dataPoints"):
                yield PointItem(
                    resource, _attributes(point), _text(metric, "name"), _number(point, "startTimeUnixNano"),
                    _number(point, "timeUnixNano"), _value(point, kind), temporality in DELTA,
                )  # fmt: skip


READERS: Final = {
    TelemetrySignal.TRACES: _spans, TelemetrySignal.METRICS: _points, TelemetrySignal.LOGS: _events,
}  # fmt: skip


def _items(
    told: dict[str, Any], resources: str, scopes: str, items: str
) -> Iterator[tuple[dict[str, Scalar], dict[str, Any]]]:
    for each in _objects(told, resources):
        resource = _attributes(_object(each, "resource"))
        for scope in _objects(each, scopes):
            for item in _objects(scope, items):
                yield resource, item


def _attributes(told: dict[str, Any]) -> dict[str, Scalar]:
    found: dict[str, Scalar] = {}
    for each in _objects(told, "attributes"):
        name, value = _text(each, "key"), _object(each, "value")
        for kind, inner in value.items():
            if kind == "stringValue" and inner.__class__ is str:  # most are
                found[name] = inner
            elif kind == "intValue":
                found[name] = _number(value, kind)
            elif kind in ("stringValue", "boolValue", "doubleValue") and isinstance(inner, str | bool | int | float):
                found[name] = inner
    return found


def _value(point: dict[str, Any], kind: str) -> int | float:
    if kind != "sum":
        return _float(point, "sum")
    return _number(point, "asInt") if point.get("asInt") is not None else _float(point, "asDouble")


def _object(told: dict[str, Any], name: str) -> dict[str, Any]:
    found = told.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise MalformedTelemetry(f"{name} is not an object")
    return found


def _objects(told: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = told.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or not {*map(type, found)} <= OBJECT:
        raise MalformedTelemetry(f"{name} is not a list of objects")
    return found


def _text(told: dict[str, Any], name: str) -> str:
    found = told.get(name)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise MalformedTelemetry(f"{name} is not a text")
    return found


def _number(told: dict[str, Any], name: str) -> int:
    """
    Read a whole number of 64 bits, which JSON may hold as a text.
    """
    found = told.get(name)
    if found is None:
        return 0
    if isinstance(found, str) and len(found) <= LONGEST_NUMBER and found.lstrip("-").isdecimal():
        found = int(found)
    if not isinstance(found, int) or isinstance(found, bool) or not -(2**63) <= found < 2**64:
        raise MalformedTelemetry(f"{name} is not a whole number of 64 bits")
    return found


def _float(told: dict[str, Any], name: str) -> float:
    found = told.get(name)
    if found is None:
        return 0.0
    if isinstance(found, str):  # NaN and Infinity are texts
        try:
            return float(found)
        except ValueError:
            pass
    if not isinstance(found, int | float) or isinstance(found, bool):
        raise MalformedTelemetry(f"{name} is not a number")
    return float(found) if abs(found) < 2**63 else float("inf")
