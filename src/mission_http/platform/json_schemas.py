"""
JSON schemas of attrs classes and payload classes, from the same types and annotations that the converters and renderers
read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from types import NoneType
from typing import Any, Final, Literal, TypeVar, get_args, get_origin
from uuid import UUID

import attrs
from attrs import NOTHING, Attribute, field

from mission_core.lazy_attrs import define
from mission_core.values import Absent
from mission_http.platform.field_annotations import (
    Length,
    NumberRange,
    SchemaOverride,
    TextPattern,
    annotations_of,
    bare_type,
    fields_of,
    union_members,
    wire_name,
)
from mission_http.platform.shapes import PayloadField, is_payload, payload_fields

JsonSchema = dict[str, Any]
SCALAR_SCHEMAS: Final[Mapping[Any, Mapping[str, Any]]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    NoneType: {"type": "null"},
    UUID: {"type": "string", "format": "uuid"},
    datetime: {"type": "string", "format": "date-time"},
}


@define
class SchemaComponents:
    """
    Generates JSON schemas, and collects those of classes as OpenAPI components under the dialect's names for them.
    """

    name_of: Callable[[Any], str]
    overrides: Mapping[Any, Mapping[str, Any]] = field(factory=dict)
    descriptions: Mapping[str, str] = field(factory=dict)
    """The descriptions of fields, by `Component.field` or by the name of the field alone."""
    components: dict[str, JsonSchema] = field(factory=dict)
    _named: dict[str, Any] = field(factory=dict, init=False)

    def of(self, kind: Any, types: Mapping[Any, Any] | None = None) -> JsonSchema:
        """
        The JSON schema of a type; *types* has the types of its type variables.
        """
        types = types or {}
        words = annotations_of(kind)
        told = next((word.schema for word in words if isinstance(word, SchemaOverride)), None)
        if told is not None:
            return dict(told)
        if words:
            return _bounded(self.of(kind.__origin__, types), words)
        several = union_members(kind)
        if len(several) > 1:
            return {"anyOf": [self.of(choice, types) for choice in several]}
        if several[0] is not kind:
            return self.of(several[0], types)
        return self._one(bare_type(kind), types)

    def properties(self, cls: Any, types: Mapping[Any, Any] | None = None) -> tuple[dict[str, JsonSchema], list[str]]:
        """
        The JSON schemas of a class's fields by name, and the names of the required ones.
        """
        fields = {wire_name(one): one for one in declared_fields(cls)}
        component = self.name_of(cls)
        properties = {
            name: self.of(one.type, types) | _default(one) | self._description(component, name)
            for name, one in fields.items()
        }
        return properties, [name for name, one in fields.items() if one.default is NOTHING]

    def _description(self, component: str, name: str) -> JsonSchema:
        told = self.descriptions.get(f"{component}.{name}") or self.descriptions.get(name)
        return {"description": told} if told else {}

    def _one(self, kind: Any, types: Mapping[Any, Any]) -> JsonSchema:
        if isinstance(kind, TypeVar):
            return self.of(types.get(kind, Any), types)
        if kind in self.overrides:
            return dict(self.overrides[kind])
        if kind in SCALAR_SCHEMAS:
            return dict(SCALAR_SCHEMAS[kind])
        origin, arguments = get_origin(kind) or kind, get_args(kind)
        if origin is Literal:
            return _enumeration(list(arguments))
        if origin in (list, tuple):
            return {"type": "array", "items": self.of(arguments[0], types) if arguments else {}}
        if origin in (dict, Mapping):
            return {"type": "object", "additionalProperties": self.of(arguments[1], types) if arguments else True}
        if isinstance(kind, type) and issubclass(kind, Enum):
            return _enumeration([member.value for member in kind])
        if attrs.has(origin) or is_payload(origin):
            return self._component(kind, origin, arguments, types)
        return {}

    def _component(self, kind: Any, cls: Any, arguments: tuple[Any, ...], types: Mapping[Any, Any]) -> JsonSchema:
        name = self.name_of(kind)
        if self._named.setdefault(name, kind) != kind:
            raise ValueError(f"{kind} and {self._named[name]} would both be the component {name}")
        if name not in self.components:
            self.components[name] = {}
            bound = dict(zip(getattr(cls, "__parameters__", ()), arguments, strict=False))
            properties, required = self.properties(cls, bound)
            schema: JsonSchema = {"type": "object", "properties": properties}
            if required:
                schema["required"] = required
            if getattr(cls, "forbids_unknown", False):
                schema["additionalProperties"] = False
            self.components[name] = schema | getattr(cls, "schema_extra", {})
        return {"$ref": f"#/components/schemas/{name}"}


def declared_fields(cls: Any) -> tuple[Attribute[Any] | PayloadField, ...]:
    """
    The fields of an attrs class or a payload class, with their types resolved.
    """
    return payload_fields(cls) if is_payload(cls) else fields_of(cls)


def _enumeration(values: list[Any]) -> JsonSchema:
    kind = "string" if all(isinstance(value, str) for value in values) else "integer"
    return {"type": kind, "enum": values} if len(values) > 1 else {"type": kind, "const": values[0]}


def _bounded(schema: JsonSchema, words: tuple[Any, ...]) -> JsonSchema:
    bounds: JsonSchema = {}
    # The bounds of a nullable value apply to the schema of its other type.
    inner = schema["anyOf"][0] if "anyOf" in schema else schema
    least, most = ("minItems", "maxItems") if inner.get("type") == "array" else ("minLength", "maxLength")
    for word in words:
        if isinstance(word, Length):
            bounds |= {least: word.least or None, most: word.most}
        elif isinstance(word, NumberRange):
            bounds |= {"minimum": word.least, "maximum": word.most}
        elif isinstance(word, TextPattern):
            bounds["pattern"] = f"^(?:{word.regex})$"  # JSON schema searches for a pattern; ours match the whole text
    inner |= {name: bound for name, bound in bounds.items() if bound is not None}
    return schema


def _default(one: Attribute[Any] | PayloadField) -> JsonSchema:
    if one.default is NOTHING or isinstance(one.default, Absent):
        return {}
    default = one.default.value if isinstance(one.default, Enum) else one.default
    return {"default": default} if isinstance(default, str | int | float) else {}
