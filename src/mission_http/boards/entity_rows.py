"""
The row of a task that was just written, so that the response need not read it.
"""

from __future__ import annotations

from mission_core.boards.custom_fields import CustomField
from mission_core.tasks import rows
from mission_core.tasks.model import Task
from mission_core.tasks.queries import TaskRow


def is_complete_without_read(task: Task) -> bool:
    """
    Whether a response can be rendered from the task alone: it has no dependencies, no tags, and no assignee whose name
    must be looked up.
    """
    return not task.depends_on and not task.tag_ids and (task.assignee is None or task.assignee.agent is not None)


def task_row(task: Task, fields: tuple[CustomField, ...]) -> TaskRow:
    """
    The row of a task that can be rendered alone, without what this dialect does not show: the board's number and names,
    and the number of comments. *fields* are the custom fields of its board.
    """
    shown: TaskRow = rows.task_row(
        task, board_number=0, board_name="", ticket_prefix="", comment_count=0, fields=fields
    )
    return shown
