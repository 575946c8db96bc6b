"""
Texts in CSV files, which spreadsheets may take for formulas.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Any, Final

import msgspec

FORMULA_SIGNS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def is_formula(text: str) -> bool:
    """
    Whether a spreadsheet would take a text for a formula.
    """
    return text.startswith(FORMULA_SIGNS)


def csv_lines(rows: Iterable[Sequence[Any]]) -> bytes:
    """
    Write rows as CSV (RFC 4180). None is empty, lists and objects are JSON, and formulas get an apostrophe before them.
    """
    written = StringIO()
    csv.writer(written).writerows([_cell(value) for value in row] for row in rows)
    return written.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, dict | list):
        value = msgspec.json.encode(value).decode()
    return f"'{value}" if isinstance(value, str) and is_formula(value) else value
