"""
Values in the tables of a Boards database, as they are read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mission_adapters.importing.report import Report
from mission_core.values import EMPTY_OBJECT, JsonText, canonical

Row = Mapping[str, Any]


def moment_of(value: datetime) -> datetime:
    """
    A moment, which the database keeps without a zone.
    """
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def maybe_moment(value: datetime | None) -> datetime | None:
    """
    A moment, if there is one.
    """
    return None if value is None else moment_of(value)


def json_of(value: Any) -> Any:
    """
    A JSON value, whether the column's type made the driver leave it as text or not.
    """
    return json.loads(value) if isinstance(value, str) else value


def object_of(value: Any) -> JsonText | None:
    """
    A JSON object, if there is one.
    """
    found = json_of(value)
    return canonical(found) if isinstance(found, dict) and found else (EMPTY_OBJECT if found == {} else None)


def cut(report: Report, row: Row, table: str, name: str, most: int) -> str | None:
    """
    A text, cut where it is too long for us; the report tells.
    """
    value = row.get(name)
    if value is None:
        return None
    if len(value) > most:
        report.change(table, row["id"], f"{name} is cut at {most} characters")
    return str(value)[:most]
