"""
Every answer that a contract test gets over HTTP is held against the document: its status must be told there, and its
body must be what is told for it. Where several errors share its status, a code must tell them apart.
"""

import re
from functools import cache
from typing import Any

import jsonschema_rs
import msgspec

from mission_http.app import MissionApp
from mission_http.platform.error_codes import STATUSES_WITH_CODE
from tests.unit.http.platform.sample_app import Answer


def checked_against_openapi(app: MissionApp, method: str, path: str, answer: Answer) -> Answer:
    """
    The answer, which must be as the served document tells. What no operation answers is not told there.
    """
    document = document_of(app)
    operation = _operation(document, method, path.partition("?")[0])
    if operation is not None and not 300 <= answer.status < 400:
        told = _validators(document, *operation)
        assert str(answer.status) in told, f"{method} {path} is not documented to answer {answer.status}"
        validator = told[str(answer.status)]
        kind = answer.headers.get("content-type", "").partition(";")[0]
        if kind in _other_media_types(document, *operation, str(answer.status)):
            return answer
        if validator is not None:
            validator.validate(answer.json)
            assert answer.status not in STATUSES_WITH_CODE or answer.json.get("code"), f"{method} {path} tells no code"
    return answer


_documents: dict[Any, bytes] = {}


def document_of(app: MissionApp) -> bytes:
    """
    The document of an application, made once for all that serve the same operations: a test makes many, and each
    document is a megabyte.
    """
    key = tuple(
        (
            each.prefix,
            *each.openapi_metadata.security_schemes,
            *each.refuses_callers,
            *each.refuses_changes,
            *((one.method, one.path) for one in each.endpoints),
        )
        for each in app.documents.dialects
    )
    if key not in _documents:
        _documents[key] = app.documents.encoded()
    return _documents[key]


@cache
def _decoded(document: bytes) -> Any:
    return msgspec.json.decode(document)


@cache
def _operation(document: bytes, method: str, path: str) -> tuple[str, str] | None:
    """
    Path and method as the document has them. A literal segment goes before a parameter.
    """
    found = [
        told
        for told, methods in _decoded(document)["paths"].items()
        if method.lower() in methods and re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(told)), path)
    ]
    return (min(found, key=lambda told: told.count("{")), method.lower()) if found else None


@cache
def _validators(document: bytes, path: str, method: str) -> dict[str, Any]:
    """
    A validator of the body by status, None where no body is told.
    """
    whole = _decoded(document)
    return {
        status: _validator(document, msgspec.json.encode(content["application/json"]["schema"]))
        if "application/json" in content
        else None
        for status, response in whole["paths"][path][method]["responses"].items()
        for content in [response.get("content", {})]
    }


@cache
def _other_media_types(document: bytes, path: str, method: str, status: str) -> frozenset[str]:
    """
    The media types but JSON that a successful answer may have.
    """
    content = _decoded(document)["paths"][path][method]["responses"][status].get("content", {})
    return frozenset(content) - {"application/json"} if status == "200" else frozenset()


@cache
def _validator(document: bytes, schema: bytes) -> Any:
    """
    The validator of one schema, which many operations share, with the components that it leads to and no others: each
    one is compiled.
    """
    components = _decoded(document)["components"]["schemas"]
    needed: dict[str, Any] = {}
    texts = [schema.decode()]
    while texts:
        for name in set(re.findall(r'"#/components/schemas/([^"]+)"', texts.pop())) - needed.keys():
            needed[name] = components[name]
            texts.append(msgspec.json.encode(components[name]).decode())
    return jsonschema_rs.Draft202012Validator({**msgspec.json.decode(schema), "components": {"schemas": needed}})
