"""
Payload classes: their struct, their schema and their renderer are one declaration.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Generic, NamedTuple, TypeVar

import pytest
from attrs import frozen
from msgspec import UNSET, UnsetType, json

from mission_http.boards.dialect import boards_dialect
from mission_http.fleet.dialect import fleet_dialect
from mission_http.platform.json_schemas import SchemaComponents
from mission_http.platform.shapes import (
    Computed,
    Conversions,
    Fixed,
    Given,
    Inline,
    Of,
    Payload,
    RowPayload,
    payload_fields,
    renderer_of,
)

RowT = TypeVar("RowT")
MORNING = datetime(2026, 1, 1, tzinfo=UTC)


class Mark(NamedTuple):
    name: str
    size: int | None


class ThingRow(NamedTuple):
    id: bytes
    name: str
    live: int
    seen_at: datetime | None
    marks: tuple[Mark, ...]


@frozen
class Owner:
    name: str

    @property
    def initial(self) -> str:
        return self.name[0]


@frozen
class Thing:
    owner: Owner


class ThingPayload(RowPayload[RowT], Generic[RowT]):
    conversions: ClassVar[Conversions] = {
        (bytes, str): bytes.hex,
        (int, bool): Inline("{} != 0"),
        (datetime, int): Inline("{}.year"),
    }


class MarkRead(ThingPayload[Mark]):
    name: str
    width: Annotated[int | None, Of("size")]
    zoom: Annotated[int, Computed(lambda mark, factor: factor)]


def shouted(row: ThingRow, label: str, ending: str) -> str:
    return label.upper() + ending


class ThingRead(ThingPayload[ThingRow]):
    id: str
    token: Annotated[str | UnsetType, Given()] = UNSET
    label: Annotated[str, Of("name")]
    live: bool
    year: Annotated[int | None, Of("seen_at")]
    kind: Annotated[str, Fixed("thing")]
    loud: Annotated[str, Computed(shouted)]
    marks: list[MarkRead]
    number: Annotated[int, Given()]


class LargeThingRead(ThingRead):
    large: Annotated[bool, Given()] = True


THING = ThingRow(b"\1", "a", 1, MORNING, (Mark("x", None),))
CONTEXT: dict[str, Any] = {"ending": "!", "number": 7, "factor": 2}


class NotedRow(NamedTuple):
    note: str | None


def test_a_row_becomes_a_struct_in_the_declared_order() -> None:
    assert (
        b'{"id":"01","label":"a","live":true,"year":2026,"kind":"thing","loud":"A!",'
        b'"marks":[{"name":"x","width":null,"zoom":2}],"number":7}'
    ) == json.encode(ThingRead.of(THING, **CONTEXT))


def test_an_optional_field_is_sent_when_it_is_given() -> None:
    class TokenThing(ThingPayload[ThingRow]):
        token: Annotated[str | UnsetType, Given()] = UNSET
        name: str

    assert [b'{"name":"a"}', b'{"token":"t","name":"a"}'] == [
        json.encode(TokenThing.of(THING)), json.encode(TokenThing.of(THING, token="t")),
    ]  # fmt: skip


def test_a_subclass_renders_its_own_fields() -> None:
    class Named(ThingPayload[ThingRow]):
        name: str

    class NamedLive(Named):
        live: bool

    assert Named(name="a") == Named.of(THING)
    assert NamedLive(name="a", live=True) == NamedLive.of(THING)


def test_attributes_of_attributes_and_properties_are_shown() -> None:
    class OwnedThing(ThingPayload[Thing]):
        owner: Annotated[str, Of("owner.name")]
        initial: Annotated[str, Of("owner.initial")]
        loud: Annotated[str, Of("owner.name", str.upper)]

    assert OwnedThing(owner="ada", initial="a", loud="ADA") == OwnedThing.of(Thing(Owner("ada")))


def test_a_call_without_what_must_be_given_is_refused() -> None:
    class NumberedThing(ThingPayload[ThingRow]):
        number: Annotated[int, Given()]

    with pytest.raises(TypeError, match="number"):
        NumberedThing.of(THING)


def test_a_field_that_the_row_cannot_fill_is_refused_by_its_name() -> None:
    class Unknown(ThingPayload[ThingRow]):
        color: str

    class Nullable(ThingPayload[NotedRow]):
        note: str

    class Unconverted(ThingPayload[ThingRow]):
        year: Annotated[list[int], Of("live")]

    for cls, words in ((Unknown, "color"), (Nullable, "Nullable.note"), (Unconverted, "Unconverted.year")):
        with pytest.raises(TypeError, match=words):
            renderer_of(cls)


def test_the_schema_requires_what_has_no_default() -> None:
    schemas = SchemaComponents(lambda cls: str(cls.__name__))
    schemas.of(LargeThingRead)
    shown = schemas.components["LargeThingRead"]

    assert ["id", "label", "live", "year", "kind", "loud", "marks", "number"] == shown["required"]
    assert {"type": "boolean", "default": True} == shown["properties"]["large"]
    assert {"anyOf": [{"type": "integer"}, {"type": "null"}]} == shown["properties"]["year"]
    assert {"type": "array", "items": {"$ref": "#/components/schemas/MarkRead"}} == shown["properties"]["marks"]


def served_payloads(cls: type[Any]) -> Iterator[type[Any]]:
    """
    The payload classes of the server.
    """
    for each in cls.__subclasses__():
        if each.__module__.startswith("mission_http."):
            yield each
        yield from served_payloads(each)


def test_every_payload_of_the_server_can_be_rendered() -> None:
    """
    The dialects import all of them.
    """
    assert {fleet_dialect.__module__, boards_dialect.__module__} <= sys.modules.keys()
    rendered = [each for each in served_payloads(Payload) if getattr(each, "row_type", None)]

    assert rendered
    for each in rendered:
        assert callable(renderer_of(each)), each
        assert payload_fields(each)
