"""
Conversion of values between the core and the wire of the Boards dialect: ids, times, statuses and rows.

The payload classes are rendered from rows with the conversions of this module.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Generic, TypeVar
from uuid import UUID

import msgspec

from mission_core.errors import Invalid
from mission_core.projections import JsonEncoding
from mission_core.tasks.model import Status
from mission_core.tasks.runs import Run
from mission_core.tasks.team_rules import SHOWN_AS_BLOCKED, TEAM_STATUSES
from mission_core.values import EPOCH, JsonText, json_text
from mission_http.platform.converters import converter_of
from mission_http.platform.errors import single_value_error
from mission_http.platform.shapes import Conversions, Inline, RowPayload
from mission_http.platform.value_parsers import LAX

RowT = TypeVar("RowT")


class JsonObject(str):
    """
    A JSON object in a body, as its canonical text. In the OpenAPI document it is an object.
    """


def _object_read(value: object, _: object) -> JsonText:
    if not isinstance(value, dict):
        raise single_value_error("dict_type", "Input should be a valid dictionary", value)
    return json_text(value)


CONVERTER: Final = converter_of(LAX)
CONVERTER.register_structure_hook(JsonObject, _object_read)
RAW_VALUES: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
NAIVE_EPOCH: Final = EPOCH.replace(tzinfo=None)
"""Times are sent without a zone, and are UTC."""

FOLDED_STATUSES: Final = {status: place.value for status, place in TEAM_STATUSES.items()}
SHOWN_STATUSES: Final[dict[str, str]] = {status.value: shown for status, shown in FOLDED_STATUSES.items()}
CORE_STATUSES: Final = {
    shown: tuple(status for status in Status if FOLDED_STATUSES[status] == shown)
    for shown in dict.fromkeys(FOLDED_STATUSES.values())
}
"""The core statuses behind each of the four statuses of this dialect."""
BLOCKED_STATUSES: Final = frozenset(status.value for status in SHOWN_AS_BLOCKED)
"""Core statuses shown as a blocked task in the inbox: work on it cannot start."""


class StatusFilterUnknown(Invalid):
    """
    The filter of a task list names an unknown status.
    """

    says = "Unsupported task status filter."


def core_statuses_from(filtered: str | None) -> tuple[Status, ...] | None:
    """
    The core statuses of a comma-separated filter, or None if it is empty.

    Raises:
        StatusFilterUnknown: If it names an unknown status.
    """
    names = [name.strip() for name in (filtered or "").split(",") if name.strip()]
    if not names:
        return None
    if not CORE_STATUSES.keys() >= set(names):
        raise StatusFilterUnknown
    return tuple(status for name in dict.fromkeys(names) for status in CORE_STATUSES[name])


def uuid_from(raw: bytes) -> str:
    """
    Sixteen bytes as a lower-case hyphenated UUID.
    """
    pairs = raw.hex("-", 2)  # has most of the hyphens already, so that fewer parts are joined
    return f"{pairs[:4]}{pairs[5:29]}{pairs[30:34]}{pairs[35:]}"


def naive(value: datetime | None) -> datetime | None:
    """
    An aware UTC time as the naive time that this dialect sends.
    """
    return None if value is None else value.replace(tzinfo=None)


def raw_json(text: JsonText | None) -> msgspec.Raw | None:
    """
    A JSON column, embedded in the response as it is.
    """
    return None if text is None else msgspec.Raw(text.encode())


def maybe_json(value: JsonObject | None) -> JsonText | None:
    return None if value is None else JsonText(value)


def uuids_from(raw: bytes) -> list[str]:
    """
    The ids in a concatenation of 16-byte values.
    """
    return [uuid_from(raw[i : i + 16]) for i in range(0, len(raw), 16)]


CONVERSIONS: Final[Conversions] = {
    (bytes, UUID): Inline("uuid_from({})", JsonEncoding.UUID, uuid_from=uuid_from),
    (bytes, list): Inline("(uuids_from({0}) if {0} else [])", uuids_from=uuids_from),
    (int, bool): Inline("{} != 0", JsonEncoding.BOOLEAN),
    (int, datetime): Inline(
        "naive_epoch + timedelta(0, 0, {})", JsonEncoding.NAIVE_TIME, naive_epoch=NAIVE_EPOCH, timedelta=timedelta
    ),
    (datetime, datetime): Inline("{}.replace(tzinfo=None)"),
    (JsonText, Any): Inline("Raw({}.encode())", JsonEncoding.JSON, Raw=msgspec.Raw),
}


class BoardsPayload(RowPayload[RowT], Generic[RowT]):
    """
    A payload of the Boards API that is rendered from a row or an entity.
    """

    conversions: ClassVar[Conversions] = CONVERSIONS


def lease_heartbeat_seconds(run: Run) -> int:
    """
    The greatest interval between two heartbeats in seconds: a third of the lease's term, and at least one.
    """
    return max(1, int(run.term.total_seconds()) // 3)
