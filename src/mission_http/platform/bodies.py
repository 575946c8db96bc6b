"""
Request bodies: read under a limit, parsed once, and checked whole.
"""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import attrs
import msgspec
from starlette.requests import ClientDisconnect, Request

from mission_core.values import DEEPEST, nests_too_deeply
from mission_http.platform.exchange import UNREAD, dialect_of, exchange_of
from mission_http.platform.refusals import (
    BodyMalformed,
    BodyMissing,
    BodyTooLarge,
    EncodingUnsupported,
    FieldError,
    FieldsInvalid,
)

T = TypeVar("T")
MOST_DIGITS: Final = 18
"""Of a length that is worth reading."""
TOO_DEEP: Final = f"nested deeper than {DEEPEST} levels"

LONGEST_CODING: Final = 40
"""How much of an encoding's name is repeated to whoever used it."""
PLAIN_CODINGS: Final = {b"content-encoding": (b"", b"identity"), b"transfer-encoding": (b"chunked",)}
"""The encodings of a body that are read, by the header that tells of them."""
SURROGATE: Final = re.compile("[\ud800-\udfff]")

_json_type: Final = re.compile(rb"application/(?:json|[^/]*\+json)")
_decode: Final = msgspec.json.Decoder().decode


async def raw_body_of(request: Request, *, limit: int | None = None) -> bytes:
    """
    The bytes of the body.

    Raises:
        BodyTooLarge: As soon as more came, or was announced, than the *limit*, or else than the dialect reads.
        EncodingUnsupported: If the bytes are compressed, or encoded in any other way.
    """
    exchange = exchange_of(request)
    if exchange.body is None:
        exchange.body = await _read(request, dialect_of(request).manners.body_limit if limit is None else limit)
    return exchange.body


async def parsed_body_of(request: Request) -> Any:
    """
    The JSON value of the body.

    Raises:
        BodyMissing: If there is no body.
        BodyMalformed: If it is not JSON.
    """
    exchange = exchange_of(request)
    if exchange.parsed is UNREAD:
        body = await raw_body_of(request)
        if not body:
            raise BodyMissing
        exchange.parsed = parse(body)
    return exchange.parsed


async def body_of(request: Request, shape: type[T]) -> T:
    """
    The body as an instance of an attrs class. Where the endpoint does not require one, none is read as `{}`.

    Raises:
        FieldsInvalid: With every wrong field.
        BodyMissing: If there is none.
        BodyMalformed: If it is not JSON.
    """
    exchange = exchange_of(request)
    dialect = dialect_of(request)
    if not await raw_body_of(request) and exchange.endpoint is not None and not exchange.endpoint.body_required:
        value: Any = {}
    elif not dialect.manners.any_content_type and not is_json(request):
        text = (await raw_body_of(request)).decode("utf-8", "replace")
        said = "Input should be a valid dictionary or object to extract fields from"
        raise FieldsInvalid((FieldError(("body",), "model_attributes_type", said, text),))
    else:
        value = await parsed_body_of(request)
    try:
        return dialect.converter.structure(value, shape)
    except FieldsInvalid as refusal:
        raise FieldsInvalid(tuple(error.within("body") for error in refusal.errors)) from None


async def either_body_of(request: Request, shapes: Mapping[str, type]) -> Any:
    """
    The body as an instance of the first of several attrs classes that it fits.

    Raises:
        FieldsInvalid: With what is wrong with each, below its name.
        BodyMissing: If there is none.
        BodyMalformed: If it is not JSON.
    """
    mistakes: list[FieldError] = []
    for name, shape in shapes.items():
        try:
            return await body_of(request, shape)
        except FieldsInvalid as refusal:
            mistakes += [attrs.evolve(error, loc=("body", name, *error.loc[1:])) for error in refusal.errors]
    raise FieldsInvalid(tuple(mistakes))


async def loose_body_of(request: Request) -> dict[str, Any]:
    """
    The body where it is an object, and an empty one where it is something else, or nothing.

    Raises:
        BodyMalformed: If it is not JSON.
    """
    value = await parsed_body_of(request) if await raw_body_of(request) else None
    return value if isinstance(value, dict) else {}


async def check_syntax(request: Request) -> None:
    """
    Parse the body now, so that what is no JSON is refused before the caller is looked at.
    """
    if await raw_body_of(request) and (dialect_of(request).manners.any_content_type or is_json(request)):
        await parsed_body_of(request)


def is_json(request: Request) -> bool:
    """
    Whether the request says that its body is JSON, or says nothing.
    """
    for name, value in request.scope["headers"]:
        if name == b"content-type":
            kind = value.partition(b";")[0].strip().lower()
            return not kind or _json_type.fullmatch(kind) is not None
    return True


def parse(body: bytes) -> Any:
    """
    The JSON value that the bytes stand for.

    Raises:
        BodyMalformed: If they stand for none.
        FieldsInvalid: If a text in it holds half of a character.
    """
    body = body.removeprefix(BOM_UTF8)
    try:
        value = _decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as reason:
        raise _malformed(body, reason) from None
    if body.count(b"[") + body.count(b"{") > DEEPEST and nests_too_deeply(value):
        raise BodyMalformed(0, TOO_DEEP)
    return value


async def _read(request: Request, limit: int) -> bytes:
    for name, value in request.scope["headers"]:
        if name == b"content-length" and value.isdigit() and (len(value) > MOST_DIGITS or int(value) > limit):
            raise BodyTooLarge(limit)
        if name in PLAIN_CODINGS and value.strip().lower() not in PLAIN_CODINGS[name]:
            raise EncodingUnsupported(value.decode("latin-1")[:LONGEST_CODING])
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
    # The standard library tells where and why; it forgives some things (NaN, lone surrogates) that msgspec does not.
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
    The first text with half of a character that is written as two (UTF-16), with its place.
    """
    # Each part knows what it is in, and not its whole place: a body may hold many, far inside.
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
            place = tuple(_printable(step) if isinstance(step, str) else step for step in _steps_to(part))
            return FieldError(place, "value_error", f"Value error, {said}", _printable(found), {"error": said})
    return None


def _steps_to(part: tuple[Any, str | int, Any]) -> list[str | int]:
    steps = []
    while part is not None:
        steps.append(part[1])
        part = part[0]
    return steps[::-1]


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
