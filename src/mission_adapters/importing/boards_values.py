"""
Values in the tables of a Boards database, as they are read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mission_adapters.importing.repairs import Unfit, moment_from
from mission_adapters.importing.report import Report
from mission_core.values import JsonText, canonical

Row = Mapping[str, Any]


def maybe_moment(value: datetime | None) -> datetime | None:
    """
    A moment, if there is one.
    """
    return None if value is None else moment_from(value)


def json_of(value: Any) -> Any:
    """
    A JSON value, whether the column's type made the driver leave it as text or not.

    Raises:
        Unfit: If it is none.
    """
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        raise Unfit("it is no JSON") from None


def object_of(value: Any) -> JsonText | None:
    """
    A JSON object, if there is one.

    Raises:
        Unfit: If there is something else.
    """
    found = json_of(value)
    if found is not None and not isinstance(found, dict):
        raise Unfit("it is no JSON object")
    return None if found is None else canonical(found)


def cut(report: Report, row: Row, table: str, name: str, most: int) -> str | None:
    """
    A text, cut where it is too long for us; the report tells.
    """
    value = row.get(name)
    if value is None:
        return None
    if len(str(value)) > most:
        report.change(table, row["id"], f"{name} is cut at {most} characters")
    return str(value)[:most]
