"""
Requests that any operation may get, made from what the served document says it takes.
"""

import json
from functools import cache
from typing import Any
from urllib.parse import quote

import msgspec
from attrs import frozen
from hypothesis import strategies as st

from mission_http.platform.endpoints import Dialect, Endpoint
from mission_http.platform.field_annotations import fields_of, union_members, wire_name
from mission_http.platform.openapi import document_of
from tests.contract.populated_app import DIALECTS, parameters_of

Operation = tuple[Dialect, Endpoint]
DEEP = 3
USUAL = ("name", "title", "role", "content", "message")
"""What most operations want that have such a field, whether or not the document requires it."""
WORDS = ("ada", "lea", "one", "idle", "done", "in_progress", "high", "work", "x")


@frozen
class Id:
    """
    A place for the id of something: one of the caller's own, one of somebody else's, or one of nothing.
    """

    whose: str
    which: int


@frozen
class RequestDraft:
    """
    A request with places for ids, so that it can be sent in two worlds whose ids differ.
    """

    method: str
    path: str
    body: Any
    ids: tuple[Id, ...]

    def written(self, ids: dict[Id, str]) -> tuple[str, bytes]:
        """
        The path and the body, with these ids in their places.
        """
        path = self.path
        for each in self.ids:
            path = path.replace("{}", ids[each], 1)
        raw = b"" if self.body is None else json.dumps(_filled(self.body, ids)).encode()
        return path, raw

    def places(self) -> set[Id]:
        """
        All ids that it wants.
        """
        return {*self.ids, *_ids_in(self.body)}


def _filled(value: Any, ids: dict[Id, str]) -> Any:
    if isinstance(value, Id):
        return ids[value]
    if isinstance(value, dict):
        return {name: _filled(each, ids) for name, each in value.items()}
    return [_filled(each, ids) for each in value] if isinstance(value, list) else value


def _ids_in(value: Any) -> set[Id]:
    if isinstance(value, Id):
        return {value}
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {id for each in parts for id in _ids_in(each)}


@cache
def _document() -> Any:
    return msgspec.json.decode(msgspec.json.encode(document_of(DIALECTS)))


@cache
def request_drafts(operation: Operation, whose: tuple[str, ...]) -> st.SearchStrategy[RequestDraft]:
    """
    Requests of one operation, whose ids are of these kinds.
    """
    dialect, endpoint = operation
    path = dialect.path_of(endpoint)
    told = _document()["paths"].get(path, {}).get(endpoint.method.lower(), {})
    fleet = dialect.name == "Fleet"
    ids = st.builds(Id, st.sampled_from(whose), st.integers(0, 30))
    numbers = st.integers(1, 9).map(str)
    names = [name for _, name in parameters_of(operation)]
    segments = st.tuples(*(st.one_of(numbers, ids) if fleet else ids for _ in names))
    query = {
        each["name"]: _values(each["schema"], ids, DEEP) for each in told.get("parameters", ()) if each["in"] == "query"
    }
    schema = told.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    body = st.none() if schema is None else _values(schema, ids, DEEP)
    return st.builds(
        lambda segments, query, body: _draft(endpoint.method, path, names, segments, query, body),
        segments,
        st.fixed_dictionaries({}, optional=query),
        body,
    )


def _draft(method: str, path: str, names: list[str], segments: Any, query: dict[str, Any], body: Any) -> RequestDraft:
    placed: list[Id] = []
    for name, segment in zip(names, segments, strict=True):
        path = path.replace(f"{{{name}}}", "{}" if isinstance(segment, Id) else segment, 1)
        placed += [segment] if isinstance(segment, Id) else []
    pairs = []
    for name, value in query.items():
        pairs.append(f"{name}={'{}' if isinstance(value, Id) else quote(_plain(value))}")
        placed += [value] if isinstance(value, Id) else []
    return RequestDraft(method, f"{path}?{'&'.join(pairs)}" if pairs else path, body, tuple(placed))


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else "x" if _ids_in(value) else json.dumps(value)


def _values(schema: dict[str, Any], ids: st.SearchStrategy[Id], deep: int) -> st.SearchStrategy[Any]:
    """
    Values that fit a schema, more or less: what does not is refused, and must be refused alike.
    """
    if "$ref" in schema:
        return _values(_document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]], ids, deep)
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return st.one_of(*(_values(each, ids, deep) for each in schema[several]))
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    kind = schema.get("type", "object")
    if kind == "string":
        return ids if schema.get("format") == "uuid" else st.sampled_from(WORDS)
    if kind == "array":
        if deep == 0:
            return st.just([])
        return st.lists(_values(schema.get("items", {}), ids, deep - 1), max_size=2)
    plainly: dict[str, st.SearchStrategy[Any]] = {
        "integer": st.integers(0, 9), "number": st.integers(0, 9), "boolean": st.booleans(), "null": st.none(),
    }  # fmt: skip
    if kind in plainly:
        return plainly[kind]
    if deep == 0:
        return st.just({})
    known = {name: _values(each, ids, deep - 1) for name, each in schema.get("properties", {}).items()}
    needed = {name: known.pop(name) for name in (*schema.get("required", ()), *USUAL) if name in known}
    # What nobody has to send is left out half of the time, for the more is sent, the more is refused.
    return st.one_of(st.fixed_dictionaries(needed), st.fixed_dictionaries(needed, optional=known))


def names_in(shape: Any) -> list[str]:
    """
    The fields that a body may have, in any of its forms.
    """
    return list(dict.fromkeys(wire_name(field) for form in union_members(shape) for field in fields_of(form)))
