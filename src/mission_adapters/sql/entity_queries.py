"""
Statements that select single entities.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Executable, Select, Table, select

from mission_adapters.sql.database_session import BoundStatement
from mission_adapters.sql.row_writes import ENTITY_MAPPINGS
from mission_adapters.sql.statements import cached_statement, parameter
from mission_adapters.sql.task_contexts import ASSIGNEE_AGENT
from mission_core.ids import OrganizationId
from mission_core.tasks.model import Task
from mission_core.tasks.runs import Run


def columns_of_entity(kind: type) -> tuple[ColumnElement[Any], ...]:
    """
    Return the columns of an entity class, in the order of its mapping.
    """
    mapping = ENTITY_MAPPINGS[kind]
    return tuple(mapping.table.c[name] for name in mapping.rows.columns)


TASK_COLUMNS: Final = (*columns_of_entity(Task), ASSIGNEE_AGENT)
RUN_COLUMNS: Final = columns_of_entity(Run)


def select_entities(kind: type) -> tuple[Select[Any], Table]:
    """
    Return the select statement of an entity class, and its table.
    """
    return select(*(TASK_COLUMNS if kind is Task else columns_of_entity(kind))), ENTITY_MAPPINGS[kind].table


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
