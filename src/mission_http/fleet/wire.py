"""
Wire format of the Fleet API: numbers as ids, Unix seconds, and the conversions that render rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Generic, NewType, TypeVar
from uuid import UUID

import msgspec
from attrs import evolve
from msgspec import UNSET, UnsetType

from mission_core.agents.queries import AgentRow, ToolConnectionRow, status_of_row
from mission_core.entity_changes import field_values
from mission_core.projections import JsonEncoding
from mission_core.tasks.queries import TaskRow
from mission_core.values import ABSENT, EPOCH, MAX_INTEGER, JsonText, micros, name_key
from mission_http.platform.converters import converter_of
from mission_http.platform.errors import single_value_error
from mission_http.platform.shapes import Conversions, Inline, RowPayload
from mission_http.platform.value_parsers import LAX, STRICT

WORKSPACE_NUMBER: Final = 1
"""The `workspace_id` that every payload shows."""
MAX_UNIX_SECONDS: Final = 4_102_444_800
MICROSECONDS_PER_SECOND: Final = 1_000_000

T = TypeVar("T")
RowT = TypeVar("RowT")
UnixSeconds = NewType("UnixSeconds", int)

_leading: Final = re.compile(r"\s*(\d+)", re.ASCII)


def leading_integer(value: object) -> int:
    """
    Parse the whole number that a text begins with, and ignore the rest.
    """
    found = _leading.match(value) if isinstance(value, str) else None
    if found is None:
        raise single_value_error("int_parsing", "must be a whole number, 0 or more", value)
    return clamped_number(found[1])


def clamped_number(digits: str) -> int:
    """
    Convert digits to a number, at most the greatest that a store can hold, which no row has.
    """
    return min(int(digits[:20]), MAX_INTEGER) if len(digits) < 21 else MAX_INTEGER


CONVERTER: Final = converter_of(STRICT)
QUERY_CONVERTER: Final = converter_of(evolve(LAX, integer=leading_integer))


def moment_of(seconds: int) -> datetime:
    """
    Convert Unix seconds to a datetime.
    """
    return EPOCH + timedelta(seconds=seconds)


def seconds_of(moment: datetime) -> UnixSeconds:
    """
    Convert a datetime to whole Unix seconds.
    """
    return UnixSeconds(micros(moment) // MICROSECONDS_PER_SECOND)


def iso_of(moment: datetime) -> str:
    """
    Format a datetime as ISO 8601 in UTC, with milliseconds.
    """
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def command_arguments(body: Any, names: Mapping[str, str], moments: frozenset[str]) -> dict[str, Any]:
    """
    Convert the fields that a body has to arguments of a command.

    Args:
        names: The argument's name for a field, where they differ; an empty one leaves the field out.
        moments: Fields with Unix seconds, which become datetimes.
    """
    found: dict[str, Any] = {}
    for field, value in field_values(body):
        name = names.get(field, field)
        if value is ABSENT or not name:
            continue
        if value is not None and field in moments:
            value = moment_of(value)
        found[name] = tuple(value) if isinstance(value, list) else value
    return found


def unset_if_none(value: T | None) -> T | UnsetType:
    """
    Omit a field without a value.
    """
    return UNSET if value is None else value


def page_number(offset: int, limit: int) -> int | None:
    """
    Compute the number of the page at an offset, counted from 1.
    """
    return offset // limit + 1 if limit else None


def uuid_text(raw: bytes) -> str:
    return str(UUID(bytes=raw))


CONVERSIONS: Final[Conversions] = {
    (bytes, str): uuid_text,
    (int, bool): Inline("{} != 0", JsonEncoding.BOOLEAN),
    (bool, int): Inline("int({})"),
    (int, UnixSeconds): Inline("{} // 1000000", JsonEncoding.UNIX_SECONDS),
    (datetime, UnixSeconds): seconds_of,
    (JsonText, Any): Inline("Raw({}.encode())", JsonEncoding.JSON, Raw=msgspec.Raw),
}


class FleetPayload(RowPayload[RowT], Generic[RowT]):
    """
    A payload of the Fleet API that is rendered from a row or an entity.
    """

    conversions: ClassVar[Conversions] = CONVERSIONS


def tag_names_of(row: TaskRow) -> list[str]:
    """
    Return the names of a task's tags, then its tag words that belong to no defined tag.
    """
    names = [tag.name for tag in row.tagged]
    known = {tag.name_key for tag in row.tagged}
    return [*names, *(word for word in msgspec.json.decode(row.tags) if name_key(word) not in known)]


def heartbeat_seconds(term: timedelta) -> int:
    """
    Compute the interval between heartbeats of a lease: a third of its term, at least one second.
    """
    return max(1, int(term.total_seconds()) // 3)


def shown_status(row: AgentRow | ToolConnectionRow, *, at: datetime) -> str:
    """
    Compute an agent's status: the created one until its first heartbeat, and offline after a silence.
    """
    return status_of_row(row, at=at, as_made=True)
