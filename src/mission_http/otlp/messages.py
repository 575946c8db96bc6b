"""
The encodings of requests and responses of the OpenTelemetry protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.requests import Request

JSON: Final = "application/json"
PROTOBUF: Final = "application/x-protobuf"


def media_type_of(request: Request) -> str:
    """
    The media type in the `Content-Type` of the request. A request without one is taken for JSON.
    """
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() or JSON


def protobuf_varint(number: int, value: int) -> bytes:
    """
    A field with a whole number that is not negative.
    """
    return _varint(number << 3) + _varint(value)


def protobuf_text(number: int, value: str) -> bytes:
    """
    A field with a text.
    """
    return protobuf_bytes(number, value.encode("utf-8", "replace"))


def protobuf_bytes(number: int, value: bytes) -> bytes:
    """
    A field with bytes, or with another message.
    """
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
