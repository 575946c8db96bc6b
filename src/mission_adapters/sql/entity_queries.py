"""
Statements that select single entities.
"""

from __future__ import annotations

from collections.abc import Mapping
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

COLUMNS: Final[Mapping[type, tuple[ColumnElement[Any], ...]]] = {
    kind: tuple(each.table.c[name] for name in each.rows.columns) for kind, each in ENTITY_MAPPINGS.items()
}
"""The columns of each entity class, in the order of its mapping."""
TASK_COLUMNS: Final = (*COLUMNS[Task], ASSIGNEE_AGENT)
RUN_COLUMNS: Final = COLUMNS[Run]


def select_entities(kind: type) -> tuple[Select[Any], Table]:
    """
    Return the select statement of an entity class, and its table.
    """
    return select(*(TASK_COLUMNS if kind is Task else COLUMNS[kind])), ENTITY_MAPPINGS[kind].table


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
