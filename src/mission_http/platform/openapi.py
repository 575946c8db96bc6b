"""
Generation of the OpenAPI 3.1 document from the endpoint tables of the dialects.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from mission_core.lazy_attrs import define
from mission_core.rate_limits import Quota
from mission_http.platform.endpoints import Dialect, Endpoint, RequestHeader
from mission_http.platform.error_codes import ErrorCode, codes_of
from mission_http.platform.errors import (
    BodyMalformed,
    BodyMissing,
    BodyTooLarge,
    EncodingUnsupported,
    FieldsInvalid,
    TooManyRequests,
)
from mission_http.platform.json_schemas import JsonSchema, SchemaComponents
from mission_http.platform.rate_limits import DEFAULT_QUOTAS, RATE_LIMIT_CLASSES, rate_limit_classes_of

HOST_REFUSED_DESCRIPTION: Final = "The `Host` of the request is not allowed; this error is plain text."
TOO_MANY: Final = int(HTTPStatus.TOO_MANY_REQUESTS)
RETRY_AFTER_HEADER: Final = {"Retry-After": ("The number of seconds until a request is accepted again.", 1)}
CHALLENGE_DESCRIPTION: Final = "`Bearer`, with `error` and `error_description` if a token is not accepted (RFC 6750)."
RATE_LIMIT_HEADERS: Final = {
    "X-RateLimit-Limit": ("The number of requests that are accepted in one window.", 1),
    "X-RateLimit-Remaining": ("The number of requests left in the current window.", 0),
    "X-RateLimit-Reset": ("The end of the current window in Unix seconds.", 0),
}
"""Rate-limit headers of responses: their description and smallest value."""
BODY_ERRORS: Final = (BodyMalformed, BodyMissing, FieldsInvalid)


def document_of(
    dialects: Iterable[Dialect],
    only: Dialect | None = None,
    quotas: Mapping[str, Quota] = DEFAULT_QUOTAS,
    *,
    server: str = "/",
) -> JsonSchema:
    """
    Generate the OpenAPI document of all dialects, or of one of them.

    Args:
        only: The one dialect to describe; its title and version replace those of the first dialect.
        quotas: The rate limits to describe, by class.
        server: The base URL of all paths.
    """
    spoken = list(dialects)
    shown = [only] if only else spoken
    for dialect in spoken:
        dialect.endpoints.import_modules()  # the error codes are those of all imported modules
    paths: dict[str, JsonSchema] = {}
    schemas: dict[str, JsonSchema] = {}
    schemes: dict[str, Mapping[str, Any]] = {}
    for dialect in shown:
        metadata = dialect.openapi_metadata
        overrides = {**metadata.schemas, ErrorCode: {"type": "string", "enum": _codes(dialect)}}
        components = SchemaComponents(metadata.schema_name, overrides, metadata.field_descriptions)
        writer = OperationWriter(dialect, components, quotas)
        for endpoint in dialect.endpoints:
            if endpoint.listed:
                path = paths.setdefault(dialect.path_of(endpoint), {})
                path[endpoint.method.lower()] = writer.operation(endpoint)
        _merge(schemas, writer.schemas.components)
        _merge(schemes, dialect.openapi_metadata.security_schemes)
    info = shown[0].openapi_metadata
    told = [(one.prefix, one.openapi_metadata.description) for one in shown if one.openapi_metadata.description]
    description = info.description if only else "\n\n".join(f"`{prefix}`: {text}" for prefix, text in told)
    about = {"title": info.title, "version": info.version, "description": description}
    return {
        "openapi": "3.1.0",
        "info": {name: text for name, text in about.items() if text},
        "servers": [{"url": server}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": schemes},
        "tags": [{"name": tag} for tag in dict.fromkeys(tag for one in shown for tag in one.openapi_metadata.tags)],
    }


def _codes(dialect: Dialect) -> list[str]:
    packages = ("mission_core.", "mission_http.platform.", f"{dialect.render.__module__.rpartition('.')[0]}.")
    return sorted({*codes_of(dialect.status_of, packages=packages), *dialect.openapi_metadata.codes})


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        if into.setdefault(name, value) != value:
            raise ValueError(f"two dialects have different schemas named {name}")


@define
class OperationWriter:
    """
    Generates the OpenAPI operations of one dialect.
    """

    dialect: Dialect
    schemas: SchemaComponents
    quotas: Mapping[str, Quota]

    def operation(self, endpoint: Endpoint) -> JsonSchema:
        """
        Generate the OpenAPI operation of an endpoint.
        """
        described: JsonSchema = {
            "operationId": endpoint.operation_id or self._default_id(endpoint),
            "summary": endpoint.summary,
            "description": endpoint.description or endpoint.summary,
            "tags": list(endpoint.tags),
            "parameters": self._parameters(endpoint),
            "responses": self._responses(endpoint),
        }
        if endpoint.takes is not None:
            described["requestBody"] = {
                "required": endpoint.body_required,
                "content": _json(self.schemas.of(endpoint.takes), self._example(endpoint, "request")),
            }
        described["x-access"] = self._access(endpoint)
        if endpoint.scope is not None:
            described["x-scope"] = endpoint.scope
        if endpoint.who.schemes:
            described["security"] = [{scheme: []} for scheme in endpoint.who.schemes]
        if limits := self._limits(endpoint):
            described["x-ratelimit"] = limits
        if not described["parameters"]:
            del described["parameters"]
        return {**described, **endpoint.extra}

    def _access(self, endpoint: Endpoint) -> JsonSchema:
        """
        Generate `x-access`: the role and the credentials in words, besides the security schemes.
        """
        who = endpoint.who
        told: JsonSchema = {"role": who.name, "who": who.description}
        if credentials := who.credentials or self._credentials(who.schemes):
            told["credentials"] = list(credentials)
        return told

    def _credentials(self, schemes: Iterable[str]) -> tuple[str, ...]:
        known = self.dialect.openapi_metadata.security_schemes
        return tuple(_credential(known[scheme]) for scheme in schemes)

    def _default_id(self, endpoint: Endpoint) -> str:
        path = re.sub(r"\W", "_", self.dialect.path_of(endpoint))
        return f"{endpoint.handler.__name__}{path}_{endpoint.method.lower()}"

    def _limits(self, endpoint: Endpoint) -> list[JsonSchema]:
        """
        Generate `x-ratelimit`: the rate limits that apply to an endpoint.
        """
        return [
            {"class": name, "limit": quota.amount, "seconds": quota.seconds, "per": RATE_LIMIT_CLASSES[name].per.name}
            | ({"sliding": True} if quota.sliding else {})
            for name in rate_limit_classes_of(self.dialect, endpoint)
            if (quota := self.quotas.get(name)) is not None
        ]

    def _parameters(self, endpoint: Endpoint) -> list[JsonSchema]:
        names = re.findall(r"([^/]*)/{(\w+)}", self.dialect.path_of(endpoint))
        told, described = self.dialect.openapi_metadata.path_schemas, self.dialect.openapi_metadata.field_descriptions
        parameters = []
        for before, name in names:
            schema = dict(told.get(f"{before}/{name}") or told.get(name, {"type": "string"}))
            parameters.append(_described(_parameter("path", name, schema, True), described.get(f"{before}/{name}")))
        if endpoint.query is not None:
            properties, required = self.schemas.properties(endpoint.query)
            for name, schema in properties.items():
                text = described.get(f"?{name}", schema.pop("description", None))
                parameters.append(_described(_parameter("query", name, schema, name in required), text))
        return parameters + [_header(header) for header in (*endpoint.who.headers, *endpoint.headers)]

    def _responses(self, endpoint: Endpoint) -> JsonSchema:
        shapes = {endpoint.status: endpoint.gives, **endpoint.also}
        errors = self._errors(endpoint)
        for status in sorted(errors):
            shapes.setdefault(
                status, self.dialect.openapi_metadata.errors.get(status, self.dialect.openapi_metadata.error)
            )
        told = {str(status): self._response(status, shape, errors.get(status, ())) for status, shape in shapes.items()}
        success = told[str(endpoint.status)]
        success.get("content", {}).get("application/json", {}).update(self._example(endpoint, "response"))
        if endpoint.media_types:
            others = {each: {"schema": {"type": "string"}} for each in endpoint.media_types}
            success["content"] = success.get("content", {}) | others
        _describe_refused_hosts(told.setdefault("403", {"description": "Forbidden"}))
        return told

    def _example(self, endpoint: Endpoint, of: str) -> JsonSchema:
        examples = self.dialect.openapi_metadata.examples.get(f"{endpoint.method} {endpoint.path}", {})
        return {"example": examples[of]} if of in examples else {}

    def _response(self, status: int, shape: Any, errors: Collection[type[Exception]]) -> JsonSchema:
        phrase, reasons = HTTPStatus(status).phrase, list(dict.fromkeys(map(_reason, errors)))
        told: JsonSchema = {"description": " ".join([f"{phrase}.", *reasons]) if reasons else phrase}
        if shape is not None:
            told["content"] = _json(self.schemas.of(shape))
        headers: JsonSchema = {}
        if any(hasattr(kind, "retry_after") for kind in errors):
            headers |= {name: _response_header(*about) for name, about in RETRY_AFTER_HEADER.items()}
        if status == TOO_MANY and self.dialect.limit:
            headers |= {name: _response_header(*about) for name, about in RATE_LIMIT_HEADERS.items()}
        if status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = {"description": CHALLENGE_DESCRIPTION, "schema": {"type": "string"}}
        if headers:
            told["headers"] = headers
        return told

    def _errors(self, endpoint: Endpoint) -> dict[int, list[type[Exception]]]:
        """
        Collect the errors that an endpoint may answer with, by status.
        """
        refused: set[type[Exception]] = set(endpoint.refuses)
        if endpoint.takes is not None:
            refused |= {*BODY_ERRORS, BodyTooLarge, EncodingUnsupported}
        if endpoint.query is not None or endpoint.headers or "{" in endpoint.path:
            refused.add(FieldsInvalid)
        if endpoint.is_change:
            refused.update(self.dialect.refuses_changes)
        if not endpoint.who.public:
            refused.update(self.dialect.refuses_callers)
        if self._limits(endpoint):
            refused.add(TooManyRequests)
        errors: dict[int, list[type[Exception]]] = {} if endpoint.who.public else {401: [], 403: []}
        for kind in sorted(refused, key=lambda each: each.__name__):
            errors.setdefault(self.dialect.status_of(kind), []).append(kind)
        return errors


def _describe_refused_hosts(forbidden: JsonSchema) -> None:
    """
    Add the refusal of a host that is not allowed, which any operation may answer with, to its 403.
    """
    forbidden["description"] = f"{forbidden['description'].removesuffix('.')}. {HOST_REFUSED_DESCRIPTION}"
    forbidden.setdefault("content", {})["text/plain"] = {
        "schema": {"type": "string", "pattern": "^Forbidden"},
        "example": 'Forbidden: host "mission.example.com" is not in MC_ALLOWED_HOSTS',
    }


def _credential(scheme: Mapping[str, Any]) -> str:
    """
    Describe the header or cookie of a security scheme.
    """
    if scheme["type"] == "apiKey":
        return f"{scheme['in']} {scheme['name']}"
    return f"header Authorization: {str(scheme['scheme']).title()}"


def _reason(refusal: type[Exception]) -> str:
    """
    The description of an error: the first paragraph of its class's docstring.
    """
    return " ".join((inspect.getdoc(refusal) or refusal.__name__).partition("\n\n")[0].split())


def _json(schema: JsonSchema, example: JsonSchema | None = None) -> JsonSchema:
    return {"application/json": {"schema": schema, **(example or {})}}


def _parameter(where: str, name: str, schema: JsonSchema, required: bool) -> JsonSchema:
    return {"name": name, "in": where, "required": required, "schema": schema}


def _response_header(description: str, least: int) -> JsonSchema:
    return {"description": description, "schema": {"type": "integer", "minimum": least}}


def _header(header: RequestHeader) -> JsonSchema:
    return _described(_parameter("header", header.name, dict(header.schema), False), header.description)


def _described(parameter: JsonSchema, description: str | None) -> JsonSchema:
    return {**parameter, "description": description} if description else parameter
