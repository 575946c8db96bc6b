"""
JSON objects that SQLite makes: the bytes of payloads that are rendered in Python.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType
from sqlalchemy import Column, MetaData, Table, select
from sqlalchemy.schema import CreateTable

from mission_adapters.sql.columns import DOUBLE, ID, INTEGER, TEXT
from mission_adapters.sql.json_objects import column, json_object
from mission_adapters.sql.statements import DIALECTS, Statement
from mission_adapters.testing import strategies as some
from mission_core.projections import Choice, Constant, EncodedField, JsonEncoding, Projection
from mission_core.values import JsonText
from mission_http.boards.wire import BoardsPayload
from mission_http.fleet.wire import FleetPayload, UnixSeconds
from mission_http.platform.projections import projection_of
from mission_http.platform.shapes import Computed, DatabaseValue, Fixed, Given, Of

ODD_TEXT = "".join(map(chr, range(1, 0x20))) + "\x7f\x80\"'\\/<>&%s \u2028\ufeff\ufffe é 👩‍🚀 𝕹"


class ValuesRow(NamedTuple):
    id: bytes | None
    text: str | None
    whole: int | None
    number: float | None
    flag: int | None
    kind: str
    document: JsonText | None
    moment: int | None
    names: str


def kind_words(row: ValuesRow) -> str | None:
    return {"a": "first", "b": row.text}.get(row.kind, "'")


def text_or_unset(row: ValuesRow) -> str | UnsetType:
    return UNSET if row.text is None else row.text


def names_of(row: ValuesRow) -> list[str]:
    return row.names.split()


NO_NAMES = DatabaseValue(Constant([]), while_empty=("names",))
KIND = DatabaseValue(
    Choice("kind", {"a": Constant("first"), "b": EncodedField("text", JsonEncoding.TEXT)}, Constant("'"))
)


class FleetValues(FleetPayload[ValuesRow]):
    text: str | None
    whole: int | None
    number: float | None
    flag: bool | None
    document: dict[str, Any] | None
    seconds: Annotated[UnixSeconds | None, Of("moment")]
    kind: Annotated[str | None, Computed(kind_words, reads=("kind", "text")), KIND]
    names: Annotated[list[str], Computed(names_of, reads=("names",)), NO_NAMES]
    none: Annotated[int | None, Fixed(None)]
    one: Annotated[int, Fixed(1)]
    word: Annotated[str, Fixed("it's")]
    given: Annotated[int | UnsetType | None, Given()] = UNSET
    absent: Annotated[int | UnsetType, Given()] = UNSET


class BoardsValues(BoardsPayload[ValuesRow]):
    id: UUID | None
    moment: datetime | None
    flag: bool | None
    document: dict[str, Any] | None


class OptionalText(FleetPayload[ValuesRow]):
    text: Annotated[
        str | UnsetType,
        Computed(text_or_unset, reads=("text",)),
        DatabaseValue(EncodedField("text", JsonEncoding.TEXT)),
    ]


TYPES = (ID, TEXT, INTEGER, DOUBLE, INTEGER, TEXT, TEXT, INTEGER, TEXT)
TABLE = Table(
    "shown", MetaData(), *(Column(name, each) for name, each in zip(ValuesRow._fields, TYPES, strict=True)),
    sqlite_strict=True,
)  # fmt: skip
FLEET = projection_of(FleetValues, given=Of("whole"))
BOARDS = projection_of(BoardsValues)
OPTIONAL = projection_of(OptionalText)
STATEMENTS = {
    each: Statement(select(json_object(each.members, {one.name: column(one) for one in TABLE.c})))
    for each in (FLEET, BOARDS, OPTIONAL)
}
ORDINARY = ValuesRow(UUID(int=7).bytes, "x", 1, 0.25, 1, "a", JsonText('{"a":[1.5]}'), 1_700_000_000_000_000, "")
rows = st.builds(
    ValuesRow,
    id=some.maybe(some.ids.map(lambda each: each.bytes)),
    text=some.maybe(some.titles),
    whole=some.maybe(st.integers(-(2**63), 2**63 - 1)),
    number=some.maybe(
        st.floats(allow_nan=False, allow_infinity=False)
        | st.floats(0, 10_000)
        | st.integers(0, 40_000).map(lambda quarters: quarters / 4)
        | st.decimals(0, 2_000_000_000, places=4).map(float)
    ),
    flag=some.maybe(st.integers(0, 1)),
    kind=st.sampled_from(["a", "b", "c", ""]),
    document=some.maybe(some.json_objects | st.sampled_from(['{"a": 1}', '{"a":1.50e2,"b":"\\u00e9\\/"}'])),
    moment=some.maybe(
        st.integers(0, 253_402_300_799_999_999)
        | st.integers(-62_135_596_800_000_000, 2**40)
        | st.integers(0, 4_000_000_000).map(lambda seconds: seconds * 1_000_000)
    ),
    names=st.just("") | st.sampled_from(["ada", "ada bob"]),
)


@pytest.fixture(scope="module")
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(str(CreateTable(TABLE).compile(dialect=DIALECTS["sqlite"])))
        yield connection


def stored(connection: sqlite3.Connection, row: ValuesRow) -> ValuesRow:
    """
    The row as it is read back: SQLite has no negative zero.
    """
    connection.execute("DELETE FROM shown")
    connection.execute(f"INSERT INTO shown VALUES ({', '.join('?' * len(row))})", row)
    return ValuesRow._make(connection.execute("SELECT * FROM shown").fetchone())


def made(connection: sqlite3.Connection, projection: Projection) -> str | None:
    """
    The object that the database makes of the stored row.
    """
    ask = STATEMENTS[projection]("sqlite")
    ((text,),) = connection.execute(ask.text, ask.values).fetchall()
    found: str | None = text
    return found


@given(row=rows)
@example(row=ORDINARY._replace(text=ODD_TEXT))
@example(row=ORDINARY._replace(moment=1))
@example(row=ORDINARY._replace(moment=1_700_000_000_999_999))
@example(row=ORDINARY._replace(moment=-1))
@example(row=ORDINARY._replace(number=0.1 + 0.2))
@example(row=ORDINARY._replace(number=1e-5))
@example(row=ORDINARY._replace(number=1e-4))
@example(row=ORDINARY._replace(number=6071.6305535826305))
@example(row=ORDINARY._replace(number=400.241654034266))
@example(row=ORDINARY._replace(number=-0.0))
def test_the_database_writes_the_bytes_that_python_writes(connection: sqlite3.Connection, row: ValuesRow) -> None:
    """
    Or null, so that the row is rendered.
    """
    kept = stored(connection, row)
    for projection in STATEMENTS:
        text = made(connection, projection)

        assert text is None or text.encode() == msgspec.json.encode(projection.render(kept)), projection


@pytest.mark.parametrize(
    "changed",
    [
        {}, {"text": ODD_TEXT}, {"number": None}, {"number": 7.0}, {"number": 0.1}, {"number": 0.0}, {"flag": 0},
        {"flag": None}, {"document": None}, {"document": "{}"}, {"moment": None}, {"moment": 1}, {"id": None},
        {"kind": "b"}, {"whole": 2**63 - 1},
    ],
    ids=str,
)  # fmt: skip
def test_ordinary_rows_need_no_rendering(connection: sqlite3.Connection, changed: dict[str, Any]) -> None:
    stored(connection, ORDINARY._replace(**changed))

    assert None not in [made(connection, projection) for projection in STATEMENTS]


@pytest.mark.parametrize(
    ("projection", "changed"),
    [
        (FLEET, {"number": 0.1 + 0.2}), (FLEET, {"number": 1e22}), (FLEET, {"document": '{"a": 1}'}),
        (FLEET, {"moment": -1}), (FLEET, {"names": "ada"}), (OPTIONAL, {"text": None}),
    ],
    ids=lambda each: str(each) if isinstance(each, dict) else "",
)  # fmt: skip
def test_rows_that_the_database_would_write_differently_are_rendered(
    connection: sqlite3.Connection, projection: Projection, changed: dict[str, Any]
) -> None:
    stored(connection, ORDINARY._replace(**changed))

    assert made(connection, projection) is None


def test_a_payload_with_a_function_that_only_python_has_is_always_rendered() -> None:
    class Shouted(FleetPayload[ValuesRow]):
        text: Annotated[str | None, Computed(kind_words)]

    class ShoutedText(FleetPayload[ValuesRow]):
        names: Annotated[str, Of("names", str.upper)]

    assert ((), None) == (projection_of(Shouted).members, projection_of(Shouted).fields)
    assert ((), {"names"}) == (projection_of(ShoutedText).members, projection_of(ShoutedText).fields)
