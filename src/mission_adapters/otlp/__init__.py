"""
OpenTelemetry: the usage of tokens in export requests of its protocol (OTLP), in protobuf or JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mission_core.usage.telemetry import TelemetryBatch, TelemetrySignal


def decode_telemetry(signal: TelemetrySignal, body: bytes, *, is_json: bool) -> TelemetryBatch:
    """
    Return the usage of tokens in the body of an export request.

    Raises:
        MalformedTelemetry: If it is no such request.
        TelemetryEncodingMissing: If it is protobuf and the extra `otlp` is missing.
    """
    from mission_adapters.otlp.token_usage import usage_in

    if is_json:
        from mission_adapters.otlp.json_requests import items_in_json

        return usage_in(signal, items_in_json(signal, body))
    from mission_adapters.otlp.protobuf_requests import items_in_protobuf

    return usage_in(signal, items_in_protobuf(signal, body))
