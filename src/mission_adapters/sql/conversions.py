"""
Conversions between column values and values of the core that may be None.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from mission_core.values import micros, moment

ColumnValues = dict[str, Any]


def optional_uuid(value: bytes | None) -> Any:
    return None if value is None else UUID(bytes=value)


def optional_bytes(value: UUID | None) -> bytes | None:
    return None if value is None else value.bytes


def optional_moment(value: int | None) -> datetime | None:
    return None if value is None else moment(value)


def optional_micros(value: datetime | None) -> int | None:
    return None if value is None else micros(value)
