"""
Statements that select single entities, and functions that make entities from driver rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Executable, Select, Table, select

from mission_adapters.sql import tables
from mission_adapters.sql.agents import agent_from
from mission_adapters.sql.api_keys import key_from
from mission_adapters.sql.boards import board_from
from mission_adapters.sql.runs import run_from
from mission_adapters.sql.session import Ask
from mission_adapters.sql.statements import shaped, value
from mission_adapters.sql.tasks import task_from
from mission_core.accounts.model import ApiKey
from mission_core.agents.model import Agent
from mission_core.boards.model import Board
from mission_core.ids import OrganizationId
from mission_core.tasks.model import Task
from mission_core.tasks.runs import Run

T = TypeVar("T")
ASSIGNEE_AGENT: Final[ColumnElement[Any]] = (
    select(tables.agents.c.id)
    .where(
        tables.agents.c.organization == tables.tasks.c.organization,
        tables.agents.c.name_key == tables.tasks.c.assignee_key,
    )
    .scalar_subquery()
    .label("assignee_agent")
)
"""The agent with the assignee's name. A join, without statistics, would make PostgreSQL scan all agents per task."""
TASK: Final[tuple[ColumnElement[Any], ...]] = (*tables.tasks.c, ASSIGNEE_AGENT)
RUN: Final[tuple[ColumnElement[Any], ...]] = (*tables.runs.c,)


def maker(columns: Iterable[ColumnElement[Any]], make: Callable[[dict[str, Any]], T]) -> Callable[[Any], T]:
    """
    Return a function that makes an entity from a driver row of these columns.
    """
    names = [str(column.key) for column in columns]
    return lambda row: make(dict(zip(names, row, strict=False)))


a_board = maker(tables.boards.c, board_from)
an_agent = maker(tables.agents.c, agent_from)
a_key = maker(tables.api_keys.c, key_from)
a_task = maker(TASK, task_from)
a_run = maker(RUN, run_from)


def selected(kind: type) -> tuple[Select[Any], Table]:
    """
    Return the select statement of an entity class, and its table.
    """
    if kind is Task:
        return select(*TASK), tables.tasks
    table = {Board: tables.boards, Agent: tables.agents, ApiKey: tables.api_keys, Run: tables.runs}[kind]
    return select(*table.c), table


@shaped
def _one_by(kind: type, column: str, locked: bool) -> Executable:
    found, table = selected(kind)
    key = table.c[column]
    found = found.where(table.c.organization == value("organization"), key == value("key", key.type.python_type))
    return found.with_for_update(of=table) if locked else found


def one(
    kind: type, dialect: str, organization: OrganizationId, key: UUID | int | str, *, by: str = "", locked: bool = False
) -> Ask:
    """
    Return the statement that selects an entity of the organization by id, by number, or by the column *by*.
    """
    if isinstance(key, UUID):
        statement, plain = _one_by(kind, by or "id", locked), key.bytes
        return statement(dialect, organization=organization.bytes, key=plain)
    statement = _one_by(kind, by or "number", locked)
    return statement(dialect, organization=organization.bytes, key=key)
