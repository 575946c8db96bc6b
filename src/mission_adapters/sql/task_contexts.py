"""
The contexts of tasks: the fields of `TaskRow` that other tables hold.

A statement that writes a task returns them, so that the answer to the request need not read the task again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from attrs import field
from sqlalchemy import ColumnElement, case, exists, literal_column, select

from mission_adapters.sql.kind_tables import MAPPINGS
from mission_adapters.sql.tables import agents, boards, tasks
from mission_core.boards.custom_fields import CUSTOM_FIELDS
from mission_core.lazy_attrs import define
from mission_core.tasks.model import Task

MAX_KEPT: Final = 512
custom_fields: Final = MAPPINGS[CUSTOM_FIELDS].table


class TaskContext(NamedTuple):
    """
    The fields of a task's row that its board and the agent with its assignee's name have, and whether its organization
    has custom fields.
    """

    board_number: int
    board_name: str
    ticket_prefix: str
    assignee_agent: bytes | None
    has_fields: int


def _own(name: str) -> ColumnElement[Any]:
    """
    Return a column of the task for a subquery. As a plain column, SQLAlchemy would select from all tasks in the
    RETURNING clause of an INSERT, and leave out the name of the table on SQLite.
    """
    return literal_column(f"tasks.{tasks.c[name].name}", tasks.c[name].type)


def assignee_agent(convert: Callable[[ColumnElement[Any]], ColumnElement[Any]] = lambda id: id) -> ColumnElement[Any]:
    """
    Return the expression for the id, converted, of the agent with the assignee's name.
    """
    # A join, without statistics, would make PostgreSQL scan all agents per task. A subquery for no name could, too.
    agent = select(convert(agents.c.id)).where(
        agents.c.organization == _own("organization"), agents.c.name_key == _own("assignee_key")
    )
    return case((_own("assignee_key").is_not(None), agent.scalar_subquery()))


def _of_board(name: str) -> ColumnElement[Any]:
    return select(boards.c[name]).where(boards.c.id == _own("board")).scalar_subquery().label(name)


ASSIGNEE_AGENT: Final[ColumnElement[Any]] = assignee_agent().label("assignee_agent")
CONTEXT_COLUMNS: Final[tuple[ColumnElement[Any], ...]] = (
    *map(_of_board, ("number", "name", "ticket_prefix")),
    ASSIGNEE_AGENT,
    exists().where(custom_fields.c.organization == _own("organization")).label("has_fields"),
)
"""The columns of a context, for the RETURNING clause of a statement that writes tasks."""


@define
class TaskContexts:
    """
    The contexts of tasks that this process has just committed, until their answers are rendered. At most `MAX_KEPT`
    are kept, the latest ones.
    """

    kept: dict[int, tuple[Task, TaskContext]] = field(factory=dict)
    """By the identity of the entity, so that a context is never taken for that of another write."""

    def keep(self, written: Iterable[tuple[Task, TaskContext]]) -> None:
        """
        Keep the contexts of these written tasks.
        """
        for task, context in written:
            self.kept[id(task)] = task, context
        while len(self.kept) > MAX_KEPT:
            del self.kept[next(iter(self.kept))]

    def take(self, task: Task) -> TaskContext | None:
        """
        Return the context of a task as its commit saw it, once; None if it is not known.
        """
        found = self.kept.pop(id(task), None)
        return found[1] if found else None
