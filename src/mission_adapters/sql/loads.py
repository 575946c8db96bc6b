"""
Loading entities: the statements that select them, and rows made into entities.
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
"""The agent of the assignee's name. No join: without statistics PostgreSQL would walk all agents for each task."""
TASK: Final[tuple[ColumnElement[Any], ...]] = (*tables.tasks.c, ASSIGNEE_AGENT)
RUN: Final[tuple[ColumnElement[Any], ...]] = (*tables.runs.c,)


def maker(columns: Iterable[ColumnElement[Any]], make: Callable[[dict[str, Any]], T]) -> Callable[[Any], T]:
    """
    What makes an entity of a driver's row of these columns.
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
    The select of a kind of entity, and its table.
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
    Ask for the organization's entity of this id or number, or whose column *by* has this value.
    """
    if isinstance(key, UUID):
        statement, plain = _one_by(kind, by or "id", locked), key.bytes
        return statement(dialect, organization=organization.bytes, key=plain)
    statement = _one_by(kind, by or "number", locked)
    return statement(dialect, organization=organization.bytes, key=key)


