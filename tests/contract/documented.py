"""
Every answer that a contract test gets over HTTP is held against the document: its status must be told there, and its
body must be what is told for it.
"""

import re
from functools import cache
from typing import Any

import jsonschema_rs
import msgspec

from mission_http.app import MissionApp
from tests.unit.http.platform.sample import Answer


def as_documented(app: MissionApp, method: str, path: str, answer: Answer) -> Answer:
    """
    The answer, which must be as the served document tells. What no operation answers is not told there.
    """
    document = app.documents.encoded()
    operation = _operation(document, method, path.partition("?")[0])
    if operation is not None and not 300 <= answer.status < 400:
        told = _validators(document, *operation)
        assert str(answer.status) in told, f"{method} {path} is not documented to answer {answer.status}"
        validator = told[str(answer.status)]
        if validator is not None:
            validator.validate(answer.json)
    return answer


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
        status: _validator(content["application/json"]["schema"], whole) if "application/json" in content else None
        for status, response in whole["paths"][path][method]["responses"].items()
        for content in [response.get("content", {})]
    }


def _validator(schema: dict[str, Any], document: dict[str, Any]) -> Any:
    return jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})
