"""
Export requests of OpenTelemetry in protobuf. Needs the extra `otlp`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from mission_adapters.otlp.items import EventItem, Item, PointItem, Scalar, SpanItem
from mission_core.extras import missing_extra_named
from mission_core.usage.telemetry import MalformedTelemetry, TelemetryEncodingMissing, TelemetrySignal

DELTA: Final = 1
CUMULATIVE: Final = 2
SCALARS: Final = frozenset({"string_value", "bool_value", "int_value", "double_value"})


def items_in_protobuf(signal: TelemetrySignal, body: bytes) -> Iterator[Item]:
    """
    Yield the spans, events or data points of a request.

    Raises:
        MalformedTelemetry: If it is no such request.
        TelemetryEncodingMissing: If the extra is missing.
    """
    try:
        with missing_extra_named():
            from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
            from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
            from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        from google.protobuf.message import DecodeError
    except ModuleNotFoundError as e:
        raise TelemetryEncodingMissing(str(e)) from e
    try:
        match signal:
            case TelemetrySignal.TRACES:
                yield from _spans(ExportTraceServiceRequest.FromString(body))
            case TelemetrySignal.METRICS:
                yield from _points(ExportMetricsServiceRequest.FromString(body))
            case TelemetrySignal.LOGS:
                yield from _events(ExportLogsServiceRequest.FromString(body))
    except DecodeError as e:
        raise MalformedTelemetry(f"it is not protobuf ({e})"[:200]) from None


def _spans(told: Any) -> Iterator[Item]:
    for each in told.resource_spans:
        resource = _attributes(each.resource.attributes)
        for scope in each.scope_spans:
            for span in scope.spans:
                yield SpanItem(
                    resource, _attributes(span.attributes), span.name, span.trace_id.hex(), span.span_id.hex(),
                    span.parent_span_id.hex(), span.start_time_unix_nano, span.end_time_unix_nano,
                )  # fmt: skip


def _events(told: Any) -> Iterator[Item]:
    for each in told.resource_logs:
        resource = _attributes(each.resource.attributes)
        for scope in each.scope_logs:
            for log in scope.log_records:
                yield EventItem(
                    resource, _attributes(log.attributes), log.event_name, log.body.string_value, log.trace_id.hex(),
                    log.span_id.hex(), log.time_unix_nano or log.observed_time_unix_nano,
                )  # fmt: skip


def _points(told: Any) -> Iterator[Item]:
    for each in told.resource_metrics:
        resource = _attributes(each.resource.attributes)
        for scope in each.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                if kind not in ("sum", "histogram", "exponential_histogram"):
                    continue
                data = getattr(metric, kind)
                if data.aggregation_temporality not in (DELTA, CUMULATIVE):
                    continue
                for point in data.data_points:
                    yield PointItem(
                        resource, _attributes(point.attributes), metric.name, point.start_time_unix_nano,
                        point.time_unix_nano, _value(point, kind), data.aggregation_temporality == DELTA,
                    )  # fmt: skip


def _attributes(told: Iterable[Any]) -> dict[str, Scalar]:
    found: dict[str, Scalar] = {}
    for each in told:
        kind = each.value.WhichOneof("value")
        if kind in SCALARS:
            found[each.key] = getattr(each.value, kind)
    return found


def _value(point: Any, kind: str) -> int | float:
    if kind != "sum":
        return float(point.sum)
    return int(point.as_int) if point.WhichOneof("value") == "as_int" else float(point.as_double)
