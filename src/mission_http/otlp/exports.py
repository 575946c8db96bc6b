"""
Operations of the OpenTelemetry receiver: usage of tokens in exported spans, metrics and logs.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.key_scopes import SELF
from mission_core.errors import RoleTooLow, StaleWrite, StoreFailed
from mission_core.usage.telemetry import (
    MalformedTelemetry,
    RecordTelemetry,
    RejectedTelemetry,
    TelemetryBatch,
    TelemetryDecoder,
    TelemetryEncodingMissing,
    TelemetrySignal,
    record_telemetry,
)
from mission_core.usage.use_cases import MOST_REPORTS
from mission_http.otlp.access import EXPORTER
from mission_http.otlp.errors import ContentTypeUnsupported
from mission_http.otlp.messages import JSON, PROTOBUF, media_type_of, protobuf_bytes, protobuf_text, protobuf_varint
from mission_http.platform.bodies import raw_body_of
from mission_http.platform.endpoints import MEGABYTE, Endpoint
from mission_http.platform.errors import BodyTooLarge, EncodingUnsupported
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.json_responses import json_response
from mission_http.platform.shapes import Payload

LARGEST_BODY: Final = 8 * MEGABYTE
"""The most bytes of a request body, also after it is decompressed."""
LARGE_BODY: Final = 65_536
"""From this size on a body is read on another thread, so that other requests do not wait."""
MOST_REASONS: Final = 5
GZIP_WINDOW: Final = 31


class PartialSuccessPayload(Payload):
    rejectedSpans: str | UnsetType = UNSET
    rejectedDataPoints: str | UnsetType = UNSET
    rejectedLogRecords: str | UnsetType = UNSET
    errorMessage: str


class ExportPayload(Payload):
    partialSuccess: PartialSuccessPayload | UnsetType = UNSET


REJECTED: Final[Mapping[TelemetrySignal, str]] = {
    TelemetrySignal.TRACES: "rejectedSpans",
    TelemetrySignal.METRICS: "rejectedDataPoints",
    TelemetrySignal.LOGS: "rejectedLogRecords",
}


def export_endpoints(decode: TelemetryDecoder) -> list[Endpoint]:
    """
    Return the three operations, which read bodies with this decoder.
    """

    async def export_traces(request: Request) -> Response:
        """
        Record the tokens in spans.

        Spans with the usage attributes of the semantic conventions for generative AI are reports to the token ledger;
        all others are accepted and dropped. What is wrong with a span is told in `partialSuccess`.
        """
        return await _export(request, TelemetrySignal.TRACES, decode)

    async def export_metrics(request: Request) -> Response:
        """
        Record the tokens in metrics.

        The token counters of coding agents and `gen_ai.client.token.usage` are reports to the token ledger; all others
        are accepted and dropped. What is wrong with a data point is told in `partialSuccess`.
        """
        return await _export(request, TelemetrySignal.METRICS, decode)

    async def export_logs(request: Request) -> Response:
        """
        Record the tokens in log events.

        The events with which coding agents tell of requests are reports to the token ledger; all others are accepted
        and dropped. What is wrong with an event is told in `partialSuccess`.
        """
        return await _export(request, TelemetrySignal.LOGS, decode)

    return [_endpoint(each) for each in (export_traces, export_metrics, export_logs)]


def _endpoint(handler: Callable[[Request], Awaitable[Response]]) -> Endpoint:
    name = handler.__name__.removeprefix("export_")
    content = {
        JSON: {"schema": {"type": "object", "additionalProperties": True}},
        PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
    }
    return Endpoint(
        "POST", f"/{name}", handler, gives=ExportPayload, who=EXPORTER, scope=SELF, tags=("OpenTelemetry",),
        refuses=(
            BodyTooLarge, ContentTypeUnsupported, EncodingUnsupported, MalformedTelemetry, RoleTooLow, StaleWrite,
            StoreFailed, TelemetryEncodingMissing,
        ),
        operation_id=f"otlp_export{name.title()}", extra={"requestBody": {"required": True, "content": content}},
    )  # fmt: skip


async def _export(request: Request, signal: TelemetrySignal, decode: TelemetryDecoder) -> Response:
    is_json = _is_json(request)
    body = await _body_of(request)
    if len(body) < LARGE_BODY:
        batch = decode(signal, body, is_json=is_json)
    else:
        batch = await asyncio.to_thread(decode, signal, body, is_json=is_json)
    rejected = [*batch.rejected, *await _record(request, batch)]
    count = sum(each.points for each in rejected)
    if is_json:
        told = PartialSuccessPayload(**{REJECTED[signal]: str(count)}, errorMessage=_message(rejected))
        return json_response(ExportPayload(partialSuccess=told if rejected else UNSET))
    partial = protobuf_varint(1, count) + protobuf_text(2, _message(rejected))
    return Response(protobuf_bytes(1, partial) if rejected else b"", media_type=PROTOBUF)


def _is_json(request: Request) -> bool:
    sent = media_type_of(request)
    if sent not in (JSON, PROTOBUF):
        raise ContentTypeUnsupported(sent[:100])
    return sent == JSON


async def _body_of(request: Request) -> bytes:
    """
    Read the body, and decompress it up to the limit.

    Raises:
        BodyTooLarge: If it is longer than the limit, compressed or not.
        MalformedTelemetry: If it is not gzip.
    """
    body = await raw_body_of(request, limit=LARGEST_BODY, may_be_gzip=True)
    if request.headers.get("content-encoding", "").strip().lower() != "gzip":
        return body
    reader = zlib.decompressobj(GZIP_WINDOW)
    try:
        found = reader.decompress(body, LARGEST_BODY + 1)
    except zlib.error as e:
        raise MalformedTelemetry(f"it is not gzip ({e})") from None
    if len(found) > LARGEST_BODY:
        raise BodyTooLarge(LARGEST_BODY)
    if not reader.eof or reader.unused_data:
        raise MalformedTelemetry("its gzip data are cut, or have something after their end")
    return found


async def _record(request: Request, batch: TelemetryBatch) -> list[RejectedTelemetry]:
    """
    Record the usage, and return what the ledger refused. Each part is a transaction of its own: a client that sends all
    again after an error repeats those that were recorded.
    """
    rejected = []
    for start in range(0, len(batch.records), MOST_REPORTS):
        records = batch.records[start : start + MOST_REPORTS]
        outcomes = await record_telemetry(ports_of(request), principal_of(request), RecordTelemetry(records=records))
        for record, outcome in zip(records, outcomes, strict=True):
            if outcome.refusal is not None:
                rejected.append(RejectedTelemetry(record.points, str(outcome.refusal)))
    return rejected


def _message(rejected: Sequence[RejectedTelemetry]) -> str:
    """
    The reasons, the most frequent first, with the number of spans, data points or events of each.
    """
    counted: Counter[str] = Counter()
    for each in rejected:
        counted[each.reason[:300]] += each.points
    return "; ".join(f"{reason} ({count})" for reason, count in counted.most_common(MOST_REASONS))
