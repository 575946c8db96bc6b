"""
Request bodies: read up to a size limit, parsed once, and validated as a whole.
"""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import attrs
import msgspec
from starlette.requests import ClientDisconnect, Request

from mission_core.errors import InvalidField
from mission_core.values import MAX_JSON_NESTING, nests_too_deeply
from mission_http.platform.errors import (
    BodyMalformed,
    BodyMissing,
    BodyTooLarge,
    EncodingUnsupported,
    FieldError,
    FieldsInvalid,
)
from mission_http.platform.exchange import SCOPE_KEY, UNREAD, Exchange, dialect_of

T = TypeVar("T")
MAX_CONTENT_LENGTH_DIGITS: Final = 18
"""The longest `Content-Length` that is parsed; a longer one is over every limit."""
TOO_DEEP: Final = f"nested deeper than {MAX_JSON_NESTING} levels"

MAX_ENCODING_NAME: Final = 40
"""How many characters of an encoding's name are repeated in the error."""
SUPPORTED_ENCODINGS: Final = {b"content-encoding": (b"", b"identity"), b"transfer-encoding": (b"chunked",)}
"""The supported encodings of a body, by header."""
GZIP_ENCODINGS: Final = {**SUPPORTED_ENCODINGS, b"content-encoding": (b"", b"identity", b"gzip")}
SURROGATE: Final = re.compile("[\ud800-\udfff]")

_json_type: Final = re.compile(rb"application/(?:json|[^/]*\+json)")
_decode: Final = msgspec.json.Decoder().decode


async def raw_body_of(request: Request, *, limit: int | None = None, may_be_gzip: bool = False) -> bytes:
    """
    Read the bytes of the request body.

    Args:
        limit: The most bytes to read; the limit of the dialect by default.
        may_be_gzip: Whether a body that is compressed with gzip is accepted. It is returned as it is.

    Raises:
        BodyTooLarge: As soon as more bytes were announced or received than the limit.
        EncodingUnsupported: If the body is compressed or encoded in another way.
    """
    exchange: Exchange = request.scope[SCOPE_KEY]
    if exchange.body is None:
        most = dialect_of(request).http_options.body_limit if limit is None else limit
        exchange.body = await _read(request, most, GZIP_ENCODINGS if may_be_gzip else SUPPORTED_ENCODINGS)
    return exchange.body


async def parsed_body_of(request: Request) -> Any:
    """
    Parse the request body as JSON.

    Raises:
        BodyMissing: If there is no body.
        BodyMalformed: If it is not JSON.
    """
    exchange: Exchange = request.scope[SCOPE_KEY]
    if exchange.parsed is UNREAD:
        body = await raw_body_of(request)
        if not body:
            raise BodyMissing
        exchange.parsed = parse_json(body)
    return exchange.parsed


async def body_of(request: Request, shape: type[T]) -> T:
    """
    Read the request body as an instance of an attrs class. A missing body counts as `{}` where it is optional.

    Raises:
        FieldsInvalid: With every wrong field.
        BodyMissing: If there is no body.
        BodyMalformed: If it is not JSON.
    """
    exchange: Exchange = request.scope[SCOPE_KEY]
    dialect = dialect_of(request)
    if not await raw_body_of(request) and exchange.endpoint is not None and not exchange.endpoint.body_required:
        value: Any = {}
    elif not dialect.http_options.any_content_type and not is_json(request):
        text = (await raw_body_of(request)).decode("utf-8", "replace")
        said = "Input should be a valid dictionary or object to extract fields from"
        raise FieldsInvalid((FieldError(("body",), "model_attributes_type", said, text),))
    else:
        value = await parsed_body_of(request)
    try:
        return dialect.converter.structure(value, shape)
    except FieldsInvalid as refusal:
        raise FieldsInvalid(tuple(error.within("body") for error in refusal.errors)) from None


async def body_of_any(request: Request, shapes: Mapping[str, type]) -> Any:
    """
    Read the request body as an instance of the first attrs class in *shapes* that accepts it.

    Raises:
        FieldsInvalid: With the wrong fields for every class, each below its name in *shapes*.
        BodyMissing: If there is no body.
        BodyMalformed: If it is not JSON.
    """
    mistakes: list[FieldError] = []
    for name, shape in shapes.items():
        try:
            return await body_of(request, shape)
        except FieldsInvalid as refusal:
            mistakes += [attrs.evolve(error, loc=("body", name, *error.loc[1:])) for error in refusal.errors]
    raise FieldsInvalid(tuple(mistakes))


async def object_body_of(request: Request) -> dict[str, Any]:
    """
    Read a JSON object from the request body; a missing body or another JSON value counts as an empty object.

    Raises:
        BodyMalformed: If it is not JSON.
    """
    value = await parsed_body_of(request) if await raw_body_of(request) else None
    return value if isinstance(value, dict) else {}


async def check_syntax(request: Request) -> None:
    """
    Parse the body before the caller is authenticated, so that malformed JSON is refused first.
    """
    if await raw_body_of(request) and (dialect_of(request).http_options.any_content_type or is_json(request)):
        await parsed_body_of(request)


def is_json(request: Request) -> bool:
    """
    Whether the `Content-Type` of the request is JSON or missing.
    """
    for name, value in request.scope["headers"]:
        if name == b"content-type":
            kind = value.partition(b";")[0].strip().lower()
            return not kind or _json_type.fullmatch(kind) is not None
    return True


def parse_json(body: bytes) -> Any:
    """
    Parse bytes as JSON.

    Raises:
        BodyMalformed: If they are not JSON, or nested too deeply.
        FieldsInvalid: If a text in it holds half of a surrogate pair.
    """
    body = body.removeprefix(BOM_UTF8)
    try:
        value = _decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as reason:
        raise _malformed(body, reason) from None
    if body.count(b"[") + body.count(b"{") > MAX_JSON_NESTING and nests_too_deeply(value):
        raise BodyMalformed(0, TOO_DEEP)
    return value


async def _read(request: Request, limit: int, encodings: Mapping[bytes, tuple[bytes, ...]]) -> bytes:
    for name, value in request.scope["headers"]:
        if (
            name == b"content-length"
            and value.isdigit()
            and (len(value) > MAX_CONTENT_LENGTH_DIGITS or int(value) > limit)
        ):
            raise BodyTooLarge(limit)
        if name in encodings and value.strip().lower() not in encodings[name]:
            named = value.decode("latin-1")[:MAX_ENCODING_NAME]
            raise EncodingUnsupported(named, "gzip, identity" if encodings is GZIP_ENCODINGS else "identity")
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise BodyTooLarge(limit)
        if not message.get("more_body", False):
            return b"".join((*chunks, chunk)) if chunks else bytes(chunk)
        chunks.append(chunk)


def _malformed(body: bytes, reason: Exception) -> BodyMalformed | FieldsInvalid:
    # The standard library reports the position and the reason. It accepts NaN and lone surrogates; msgspec does not.
    try:
        value = json.loads(body)
    except json.JSONDecodeError as error:
        return BodyMalformed(error.pos, error.msg)
    except RecursionError:
        return BodyMalformed(0, TOO_DEEP)
    except ValueError:
        pass
    else:
        if nests_too_deeply(value):
            return BodyMalformed(0, TOO_DEEP)
        if lone := _lone_surrogate(value):
            return FieldsInvalid((lone,))
    where = re.search(r"\(byte (\d+)\)", str(reason))
    return BodyMalformed(int(where[1]) if where else 0, str(reason))


def _lone_surrogate(value: Any) -> FieldError | None:
    """
    Find the first text with an unpaired UTF-16 surrogate, and where it is in the body.
    """
    # Each part refers to its parent instead of holding its whole path: a body may have many parts, deeply nested.
    within: list[tuple[Any, str | int, Any]] = [(None, "body", value)]
    while within:
        part = within.pop()
        found = part[2]
        if isinstance(found, dict):
            within += [(part, name, inner) for name, inner in reversed(found.items())]
            within += [(part, name, name) for name in found if SURROGATE.search(name)]
        elif isinstance(found, list):
            within += [(part, index, found[index]) for index in range(len(found) - 1, -1, -1)]
        elif isinstance(found, str) and (lone := SURROGATE.search(found)):
            said = f"must not hold U+{ord(lone[0]):04X} (character {lone.start()}), a surrogate without its other half"
            place = tuple(_printable(step) if isinstance(step, str) else step for step in _path_to(part))
            return FieldError(place, "value_error", f"Value error, {said}", _printable(found), {"error": said})
    return None


def _path_to(part: tuple[Any, str | int, Any]) -> list[str | int]:
    steps = []
    while part is not None:
        steps.append(part[1])
        part = part[0]
    return steps[::-1]


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


@contextmanager
def fields_named(names: Mapping[str, str]) -> Iterator[None]:
    """
    Context manager in which an error of a field names the field of the request.

    Args:
        names: The fields of requests that have another name, by the name in the core.
    """
    try:
        yield
    except InvalidField as refusal:
        raise attrs.evolve(refusal, field=names.get(refusal.field, refusal.field)) from None
