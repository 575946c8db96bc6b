"""
The mapping of boards to rows.
"""

from __future__ import annotations

from typing import Final

from mission_core.boards.model import Board, GateSet
from mission_core.boards.queries import BoardRow
from mission_core.row_mapping import NestedValue, row_mapping

BOARD_ROWS: Final = row_mapping(
    Board, nested={"gates": NestedValue(GateSet)}, derived={"name": {"name_key": "name_key"}}
)
board_row: Final = BOARD_ROWS.builder(BoardRow)
