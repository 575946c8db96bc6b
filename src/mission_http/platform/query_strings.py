"""
Query strings, validated as instances of attrs classes.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar, get_origin
from urllib.parse import parse_qsl

from starlette.requests import Request

from mission_http.platform.errors import FieldError, FieldsInvalid
from mission_http.platform.exchange import dialect_of
from mission_http.platform.field_annotations import bare_type, fields_of, present_type, wire_name

T = TypeVar("T")
MAX_PARAMETERS = 200


def query_of(request: Request, shape: type[T]) -> T:
    """
    Read the query string as an instance of an attrs class. The last value of a repeated parameter counts, unless the
    field is a list.

    Raises:
        FieldsInvalid: With every wrong parameter.
    """
    sent: dict[str, Any] = {}
    if request.scope["query_string"]:
        hashable: Any = shape
        sent = _parsed_query(request.scope["query_string"], _list_parameters(hashable))
    try:
        return dialect_of(request).query_converter.structure(sent, shape)
    except FieldsInvalid as refusal:
        raise FieldsInvalid(tuple(error.within("query") for error in refusal.errors)) from None


def _parsed_query(query: bytes, lists: frozenset[str]) -> dict[str, Any]:
    sent: dict[str, Any] = {}
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        said = f"Value error, at most {MAX_PARAMETERS} parameters can be sent"
        raise FieldsInvalid((FieldError((), "value_error", said, None, {"error": said}),)) from None
    for name, value in pairs:
        if name in lists:
            sent.setdefault(name, []).append(value)
        else:
            sent[name] = value
    return sent


@cache
def _list_parameters(shape: type) -> frozenset[str]:
    fields = ((wire_name(field), bare_type(present_type(field.type))) for field in fields_of(shape))
    return frozenset(name for name, kind in fields if get_origin(kind) in (list, tuple))
