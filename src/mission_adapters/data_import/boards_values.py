"""
Conversion of values in the tables of a Boards database.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mission_adapters.data_import.import_report import ImportReport
from mission_adapters.data_import.row_repairs import InvalidRow, utc_datetime_from
from mission_core.values import JsonText, canonical

Row = Mapping[str, Any]


def optional_datetime(value: datetime | None) -> datetime | None:
    """
    The value as a datetime in UTC, or None.
    """
    return None if value is None else utc_datetime_from(value)


def json_of(value: Any) -> Any:
    """
    The JSON value of a column, which the driver gives as text or decoded, depending on the column's type.

    Raises:
        InvalidRow: If it is not JSON.
    """
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        raise InvalidRow("it is not JSON") from None


def object_of(value: Any) -> JsonText | None:
    """
    The JSON object of a column, or None.

    Raises:
        InvalidRow: If it is another JSON value.
    """
    found = json_of(value)
    if found is not None and not isinstance(found, dict):
        raise InvalidRow("it is not a JSON object")
    return None if found is None else canonical(found)


def truncated_text(report: ImportReport, row: Row, table: str, name: str, most: int) -> str | None:
    """
    The text of a column, cut at *most* characters. The cut is noted in the report.
    """
    value = row.get(name)
    if value is None:
        return None
    if len(str(value)) > most:
        report.change(table, row["id"], f"{name} is cut at {most} characters")
    return str(value)[:most]
