"""
Rows as a store would read them.
"""

from typing import Any
from uuid import UUID

from mission_core.tasks.queries import TaskRow
from mission_core.values import EMPTY_OBJECT, JsonText


def a_row(number: int, *, version: int) -> TaskRow:
    """
    The row of some task.
    """
    known: dict[str, Any] = dict.fromkeys(TaskRow._fields) | {
        "id": UUID(int=number).bytes, "number": number, "board": UUID(int=0).bytes, "version": version,
        "title": f"Task {number}", "status": "inbox", "priority": "medium", "creator_kind": "system",
        "field_values": EMPTY_OBJECT, "metadata": EMPTY_OBJECT, "tags": JsonText("[]"), "depends_on": b"",
        "created_at": 0, "updated_at": 0, "moved_at": 0, "dependencies": (), "tagged": (), "fields": (),
    }  # fmt: skip
    return TaskRow(**known)
