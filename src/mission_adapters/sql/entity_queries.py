"""
Statements that select single entities, and functions that make entities from driver rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Executable, Select, Table, select

from mission_adapters.sql import tables
from mission_adapters.sql.agent_mapping import agent_of_row
from mission_adapters.sql.api_key_mapping import api_key_of_row
from mission_adapters.sql.board_mapping import board_of_row
from mission_adapters.sql.database_session import BoundStatement
from mission_adapters.sql.run_mapping import run_of_row
from mission_adapters.sql.statements import cached_statement, parameter
from mission_adapters.sql.task_mapping import task_of_row
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
TASK_COLUMNS: Final[tuple[ColumnElement[Any], ...]] = (*tables.tasks.c, ASSIGNEE_AGENT)
RUN_COLUMNS: Final[tuple[ColumnElement[Any], ...]] = (*tables.runs.c,)


def entity_maker(columns: Iterable[ColumnElement[Any]], make: Callable[[dict[str, Any]], T]) -> Callable[[Any], T]:
    """
    Return a function that makes an entity from a driver row of these columns.
    """
    names = [str(column.key) for column in columns]
    return lambda row: make(dict(zip(names, row, strict=False)))


board_of_tuple = entity_maker(tables.boards.c, board_of_row)
agent_of_tuple = entity_maker(tables.agents.c, agent_of_row)
api_key_of_tuple = entity_maker(tables.api_keys.c, api_key_of_row)
task_of_tuple = entity_maker(TASK_COLUMNS, task_of_row)
run_of_tuple = entity_maker(RUN_COLUMNS, run_of_row)


def select_entities(kind: type) -> tuple[Select[Any], Table]:
    """
    Return the select statement of an entity class, and its table.
    """
    if kind is Task:
        return select(*TASK_COLUMNS), tables.tasks
    table = {Board: tables.boards, Agent: tables.agents, ApiKey: tables.api_keys, Run: tables.runs}[kind]
    return select(*table.c), table


@cached_statement
def _select_by(kind: type, column: str, locked: bool) -> Executable:
    found, table = select_entities(kind)
    key = table.c[column]
    found = found.where(
        table.c.organization == parameter("organization"), key == parameter("key", key.type.python_type)
    )
    return found.with_for_update(of=table) if locked else found


def select_entity(
    kind: type, dialect: str, organization: OrganizationId, key: UUID | int | str, *, by: str = "", locked: bool = False
) -> BoundStatement:
    """
    Return the statement that selects an entity of the organization by id, by number, or by the column *by*.
    """
    if isinstance(key, UUID):
        statement, plain = _select_by(kind, by or "id", locked), key.bytes
        return statement(dialect, organization=organization.bytes, key=plain)
    statement = _select_by(kind, by or "number", locked)
    return statement(dialect, organization=organization.bytes, key=key)
