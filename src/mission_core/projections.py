"""
Projections: the JSON object that a list shows of each row.

A store renders the rows of a list by the list's projection. It reads only the fields that the projection shows. If its
database has JSON functions that are faster than rows in Python, it may let the database make the JSON instead, with
equal bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

from mission_core.lazy_attrs import frozen


class JsonEncoding(Enum):
    """
    The JSON form of a row's field. Null is `null` in all of them.
    """

    TEXT = "text"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    """The integers 0 and 1."""
    JSON = "json"
    """Text that is JSON already."""
    UNIX_SECONDS = "unix_seconds"
    """Microseconds since 1970, as whole seconds."""
    NAIVE_TIME = "naive_time"
    """Microseconds since 1970, as ISO 8601 in UTC without a zone, and with microseconds only if they are not zero."""
    UUID = "uuid"
    """Sixteen bytes, as a lower-case hyphenated UUID."""


@frozen
class EncodedField:
    """
    The value of a field of the row.
    """

    field: str
    encoding: JsonEncoding


@frozen
class Constant:
    """
    The same JSON value for each row.
    """

    value: Any


@frozen
class Choice:
    """
    A value chosen by the value of a text field of the row.
    """

    field: str
    values: Mapping[str, JsonValue]
    otherwise: JsonValue


@frozen
class Nested:
    """
    The JSON object of a row that is the value of a field. Its members hold for every such row.
    """

    field: str
    members: tuple[JsonMember, ...]


JsonValue = EncodedField | Constant | Choice | Nested


@frozen
class JsonMember:
    """
    A member of a JSON object.

    Args:
        required: Whether the value is never null.
        while_empty: Fields of the row. The value holds only for rows in which these are null or empty.
    """

    name: str
    value: JsonValue
    required: bool = False
    while_empty: tuple[str, ...] = ()


@frozen(eq=False)
class Projection:
    """
    The JSON object that a list shows for each row, and the fields of the row that it needs.

    Args:
        render: Renders a row.
        fields: The fields of the row that *render* reads. A store may leave the others null. None for all fields.
        members: The members of the JSON object that *render* makes, for stores that do without it. Rows for which they
            do not hold, by `required` and `while_empty`, must be rendered. Without members, all rows must.
        of_json: Converts JSON text from the database to what *render* would return.
    """

    render: Callable[[Any], Any]
    fields: frozenset[str] | None = None
    members: tuple[JsonMember, ...] = ()
    of_json: Callable[[str], Any] = str

    def shows(self, name: str) -> bool:
        """
        Whether *render* reads this field of the row.
        """
        return self.fields is None or name in self.fields


WHOLE_ROWS: Final = Projection(render=lambda row: row)
"""The rows themselves."""
