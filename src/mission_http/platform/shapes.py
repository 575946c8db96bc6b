"""
Payload classes: one declaration of the fields gives the JSON schema, the struct that is encoded, and the function that
renders a row.

    class TagRead(BoardsPayload[Tag]):
        id: UUID
        organization_id: Annotated[UUID, Of("organization")]
        name: str
        task_count: Annotated[int, Given()]

`TagRead.of(tag, task_count=3)` fills the struct by position. A field shows the attribute of the row that has its name,
unless an annotation says otherwise: `Of`, `Computed`, `Given` or `Fixed`. The dialect's base class has the conversions
from types in rows to types on the wire. The code of `of` is generated on the first call.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from types import NoneType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    ForwardRef,
    Generic,
    Literal,
    TypeVar,
    cast,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)
from uuid import UUID

import msgspec
from attrs import NOTHING, field
from msgspec import UNSET

from mission_core.lazy_attrs import define, frozen
from mission_core.projections import JsonEncoding, JsonValue
from mission_http.platform.field_annotations import annotations_of, present_type, union_members

RowT = TypeVar("RowT")
PayloadT = TypeVar("PayloadT", bound="RowPayload[Any]")


@frozen
class Of:
    """
    The attribute of the row that a field shows, dotted for an attribute of an attribute; null if the latter is null.
    Without a name it is the row itself. *convert* replaces the dialect's conversion.
    """

    path: str = ""
    convert: Callable[[Any], Any] | None = None


@frozen
class Computed:
    """
    The function that computes a field. Its first parameter is the row. A further one is the payload's field of that
    name, or else an argument of `of`. The result is converted by its type, if the function declares one. *reads* are
    the attributes of the row that it reads; without it, lists read all of them.
    """

    function: Callable[..., Any]
    reads: tuple[str, ...] | None = None


@frozen
class Given:
    """
    A field that is an argument of `of`. It is optional if the field has a default.
    """


@frozen
class Fixed:
    """
    The value that a field always has.
    """

    value: Any


@frozen
class DatabaseValue:
    """
    The value that a field has in JSON made by a database, for a field that Python computes with a function. It is right
    only for rows in which the attributes *while_empty* are null or empty; Python renders the other rows.
    """

    value: JsonValue
    while_empty: tuple[str, ...] = ()


class Inline:
    """
    A conversion that is written into the generated code, with `{}` for the value and with the names that it uses.
    *encoding* is the same conversion for databases that make JSON.
    """

    def __init__(self, code: str, encoding: JsonEncoding | None = None, /, **names: Any) -> None:
        self.code, self.encoding, self.names = code, encoding, names


Conversion = Callable[[Any], Any] | Inline
Conversions = Mapping[tuple[Any, Any], Conversion]
"""Conversions by the type in the row and the type on the wire. `Any` on the wire stands for every type."""

UNCHANGED: Final = frozenset({
    (str, str), (int, int), (bool, bool), (float, float), (int, float), (dict, dict), (UUID, UUID), (str, UUID),
    (UUID, str), (Enum, Enum), (Enum, str), (str, Enum), (datetime, datetime),
})  # fmt: skip
"""Pairs of types that need no conversion, because msgspec encodes the value as it is."""


@frozen
class PayloadField:
    """
    A field of a payload class. The default is `NOTHING` if the field is required.
    """

    name: str
    type: Any
    default: Any


class PayloadMeta(msgspec.StructMeta):
    """
    The metaclass of payload classes. Fields stand in the order of their declaration, with and without defaults, and can
    be filled by position.
    """

    declared_defaults: dict[str, Any]
    row_type: Any

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], /, **options: Any) -> PayloadMeta:
        defaults: dict[str, Any] = {}
        for base in reversed(bases):
            defaults |= getattr(base, "declared_defaults", {})
        for each, told in namespace.get("__annotations__", {}).items():
            if str(told).startswith(("ClassVar", "typing.ClassVar")):
                continue
            if each in namespace:
                defaults[each] = namespace[each]
            elif defaults:
                # A struct refuses a required field behind an optional one. The type checker and `of` still require it.
                namespace[each] = UNSET
        namespace["declared_defaults"] = defaults
        for declared in namespace.get("__orig_bases__", ()):
            shown = [each for each in get_args(declared) if not isinstance(each, TypeVar)]
            if shown and "of" in dir(get_origin(declared)):
                namespace |= {"row_type": shown[0], "of": classmethod(_compiled_of)}
        if "of" not in namespace and any(getattr(base, "row_type", None) for base in bases):
            namespace["of"] = classmethod(_compiled_of)
        return super().__new__(mcls, name, bases, namespace, **options)


@dataclass_transform(kw_only_default=True, field_specifiers=(msgspec.field,))
class Payload(msgspec.Struct, metaclass=PayloadMeta, gc=False):
    """
    A JSON object in a response. A field that is `UNSET` is omitted.
    """


class RowPayload(Payload, Generic[RowT]):
    """
    A payload that is rendered from a row or an entity.
    """

    conversions: ClassVar[Conversions] = {}

    @classmethod
    def of(cls: type[PayloadT], row: RowT, /, **context: Any) -> PayloadT:
        """
        Render a row. *context* has the given fields and what computed ones need.
        """
        raise NotImplementedError(f"{cls.__name__} does not declare its row")


def payload_fields(cls: Any) -> tuple[PayloadField, ...]:
    """
    The fields of a payload class, with their types resolved.
    """
    hints, defaults = get_type_hints(cls, include_extras=True), cls.declared_defaults
    return tuple(PayloadField(name, hints[name], defaults.get(name, NOTHING)) for name in cls.__struct_fields__)


def is_payload(cls: Any) -> bool:
    return isinstance(cls, PayloadMeta)


def renderer_of(cls: Any) -> Callable[..., Any]:
    """
    The function that renders a row as a payload of this class. It is compiled the first time.
    """
    found = cls.__dict__.get("of")
    if not isinstance(found, staticmethod):
        found = staticmethod(RendererSource(cls).compiled())
        cls.of = found
    made: Callable[..., Any] = found.__func__
    return made


def _compiled_of(cls: Any, row: Any, /, **context: Any) -> Any:
    return renderer_of(cls)(row, **context)


@define
class RendererSource:
    """
    The generated source of a payload class's `of`. A field in *given* is read from the row as its `Of` says, instead of
    being an argument.
    """

    cls: Any
    given: Mapping[str, Of] = field(factory=dict)
    fields: dict[str, PayloadField] = field(init=False)
    scope: dict[str, Any] = field(factory=dict, init=False)
    lines: list[str] = field(factory=list, init=False)
    parameters: dict[str, Any] = field(factory=dict, init=False)
    """The keyword parameters of `of`, with their defaults, or `NOTHING`."""
    known: dict[Any, str] = field(factory=dict, init=False)
    """Local variables by the computing function or the field that they hold."""
    columns: tuple[str, ...] = field(init=False)
    """The names of the columns, if the row is a named tuple."""

    def __attrs_post_init__(self) -> None:
        self.fields = {each.name: each for each in payload_fields(self.cls)}
        self.columns = getattr(self.cls.row_type, "_fields", ())

    def compiled(self) -> Callable[..., Any]:
        """
        Compile the function `of` from the source.
        """
        values = self._shared([self._value(each) for each in self.fields.values()])
        keywords = [
            name if default is NOTHING else f"{name}={self._named(default, 'default')}"
            for name, default in self.parameters.items()
        ]
        signature = ", ".join(["row", "/", *(["*", *keywords] if keywords else [])])
        used = "\n".join([*self.lines, *values])
        # One unpacking is faster than an attribute for each column.
        unpacked = ", ".join(f"row_{name}" for name in self.columns) + ", = row" if "row_" in used else "pass"
        self.scope["made"] = self.cls
        body = [unpacked, *self.lines, f"return made({', '.join(values)})"]
        exec("\n    ".join([f"def of({signature}):", *body]), self.scope)
        made: Callable[..., Any] = self.scope["of"]
        return made

    def _shared(self, values: list[str]) -> list[str]:
        """
        The expressions, with local variables for calls that stand in several fields.
        """
        for value in dict.fromkeys(each for each in values if "(" in each and values.count(each) > 1):
            kept = self._kept(value, value)
            values = [kept if each == value else each for each in values]
        return values

    def _value(self, one: PayloadField) -> str:
        """
        The expression in the generated code for the value of a field.
        """
        if one.name in self.known:
            return self.known[one.name]
        source = self.source_of(one)
        if isinstance(source, Fixed):
            return self._named(source.value, "fixed")
        if isinstance(source, Given):
            self.parameters[one.name] = one.default
            return one.name
        if isinstance(source, Computed):
            return self._computed(one, source)
        value, kind = self.attribute(source.path)
        if source.convert is not None:
            return f"{self._named(source.convert, 'convert')}({value})"
        return self._converted(value, kind, one)

    def source_of(self, one: PayloadField) -> Of | Computed | Given | Fixed:
        """
        The annotation that says what a field shows.
        """
        sources = (word for word in annotations_of_field(one) if isinstance(word, Of | Computed | Given | Fixed))
        source = next(sources, Of(one.name))
        return self.given.get(one.name, source) if isinstance(source, Given) else source

    def _computed(self, one: PayloadField, source: Computed) -> str:
        function = source.function
        value = self.known.get(function)
        if value is None:
            names = list(inspect.signature(function).parameters)[1:]
            arguments = ["row", *(f"{name}={self._argument(name)}" for name in names)]
            value = self._kept(function, f"{self._named(function, 'compute')}({', '.join(arguments)})")
        told = function.__annotations__.get("return", Any)
        return self._converted(value, _resolved(told, function.__module__, function.__name__), one)

    def _argument(self, name: str) -> str:
        """
        The expression in the generated code for a further parameter of a computing function.
        """
        if name in self.fields:
            if name not in self.known:
                value = self._value(self.fields[name])
                self.known[name] = value if value.isidentifier() else self._kept(name, value)
            return self.known[name]
        self.parameters.setdefault(name, NOTHING)
        return name

    def _kept(self, key: Any, value: str) -> str:
        """
        Assign the value to a local variable.
        """
        self.known[key] = f"kept_{len(self.known)}"
        self.lines.append(f"{self.known[key]} = {value}")
        return self.known[key]

    def attribute(self, path: str) -> tuple[str, Any]:
        """
        The expression for an attribute of the row, and its type.
        """
        value, kind, nullable = "row", self.cls.row_type, ""
        for name in path.split(".") if path else ():
            if NoneType in union_members(kind):
                nullable = value
            kind = _attribute_type(present_type(kind), name)
            value = f"row_{name}" if value == "row" and name in self.columns else f"{value}.{name}"
        return (f"(None if {nullable} is None else {value})", kind | None) if nullable else (value, kind)

    def _converted(self, value: str, kind: Any, one: PayloadField) -> str:
        """
        The expression in the generated code that converts a value of the row to the type of the field.
        """
        choices = union_members(kind)
        nullable = NoneType in choices
        if nullable and NoneType not in union_members(without_annotations(one.type)):
            raise TypeError(f"{self.cls.__name__}.{one.name} may be null in the row and must not be on the wire")
        conversion = self._conversion(present_type(kind), present_type(without_annotations(one.type)), one.name)
        if conversion is None:
            return value
        if not nullable:
            return conversion.format(value)
        if value.isidentifier():
            return f"None if {value} is None else {conversion.format(value)}"
        return f"None if (value := {value}) is None else {conversion.format('value')}"

    def _conversion(self, kind: Any, wire: Any, name: str) -> str | None:
        """
        The code of the conversion between two types that are not null, with `{}` for the value; None if the value
        remains as it is.
        """
        kinds, wires = types_of(kind), types_of(wire)
        found, unchanged = self.conversion_between(kinds, wires)
        if isinstance(found, Inline):
            self.scope |= found.names
            return found.code
        if found is not None:
            return f"{self._named(found, 'convert')}({{}})"
        if unchanged:
            return None
        if is_payload(wires[0]):
            return self._nested(wires[0])
        if list in wires and (list in kinds or tuple in kinds):
            inner = self._conversion(present_type(get_args(kind)[0]), present_type(get_args(wire)[0]), name)
            return None if inner is None else f"[{inner.format('each')} for each in {{}}]"
        raise TypeError(f"{self.cls.__name__}.{name}: no conversion from {kind} to {wire}")

    def conversion_between(self, kinds: list[Any], wires: list[Any]) -> tuple[Conversion | None, bool]:
        """
        The dialect's conversion between two types, and whether a value without one remains as it is.
        """
        pairs = [(one, other) for one in kinds for other in (*wires, Any)]
        found = next((self.cls.conversions[pair] for pair in pairs if pair in self.cls.conversions), None)
        return found, Any in kinds or Any in wires or bool(UNCHANGED.intersection(pairs))

    def _nested(self, cls: Any) -> str:
        """
        The code that renders a payload in this one. It is called with the same context.
        """
        renderer = renderer_of(cls)
        wanted = inspect.signature(renderer).parameters.values()
        names = [each.name for each in wanted if each.kind is each.KEYWORD_ONLY and each.default is each.empty]
        self.parameters |= dict.fromkeys(names, NOTHING)
        arguments = ["{}", *(f"{name}={name}" for name in names)]
        return f"{self._named(renderer, 'render')}({', '.join(arguments)})"

    def _named(self, value: Any, kind: str) -> str:
        """
        The name of a value in the scope of the generated code.
        """
        name = f"{kind}_{len(self.scope)}"
        self.scope[name] = value
        return name


def types_of(kind: Any) -> list[Any]:
    """
    A type and the more general ones that conversions may name: the supertype of a `NewType`, the origin of a generic
    type, the type of a literal's values, and `Enum`.
    """
    kind = without_annotations(kind)
    if hasattr(kind, "__supertype__"):
        return [kind, *types_of(kind.__supertype__)]
    if get_origin(kind) is Literal:
        return [type(get_args(kind)[0])]
    origin = get_origin(kind) or kind
    return [Enum] if isinstance(origin, type) and issubclass(origin, Enum) else [dict if origin is Mapping else origin]


def annotations_of_field(one: PayloadField) -> tuple[Any, ...]:
    return (*annotations_of(one.type), *annotations_of(present_type(one.type)))


def without_annotations(kind: Any) -> Any:
    return kind.__origin__ if get_origin(kind) is Annotated else kind


def _attribute_type(cls: Any, name: str) -> Any:
    """
    The type of an attribute or a property of a class.
    """
    for each in cls.__mro__:
        told = inspect.get_annotations(each).get(name)
        read = each.__dict__.get(name)
        if told is None and isinstance(read, property):
            told = cast(Any, read.fget).__annotations__.get("return")
        if told is not None:
            return _resolved(told, each.__module__, f"{each.__name__}.{name}")
    raise TypeError(f"{cls.__name__} has no attribute {name}")


def _resolved(told: Any, module: str, where: str) -> Any:
    """
    The type that an annotation names.
    """
    text = told.__forward_arg__ if isinstance(told, ForwardRef) else told
    if not isinstance(text, str):
        return text
    try:
        return eval(text, dict(vars(sys.modules[module])))
    except NameError as error:
        raise TypeError(f"the type of {where} is not known when the program runs: {error}") from error
