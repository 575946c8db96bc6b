"""
Deletion of an organization in SQL: its rows, rows that refer to it and rows that depend on those, by statements that
are generated from the tables.

Its rows are locked in the lock order of flushes, then its head row. A flush that held the head row earlier has
committed, so the statements see its rows. A later flush finds neither a head row nor the organization.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Delete, Table, Update, delete, func, null, or_, select, update

from mission_adapters.decision_operations import DeleteOrganizationOperation
from mission_adapters.kind_registry import KINDS, lock_order
from mission_adapters.organization_references import organization_references
from mission_adapters.sql.database_session import Steps
from mission_adapters.sql.event_log import lock_head
from mission_adapters.sql.row_writes import ENTITY_MAPPINGS, lock_row
from mission_adapters.sql.statements import Statement, parameter
from mission_adapters.sql.tables import (
    MAPPINGS,
    boards,
    dependencies,
    marks,
    numbers,
    once,
    organizations,
    tasks,
    whole_metadata,
)
from mission_core.accounts.organizations import Organization
from mission_core.errors import StaleWrite
from mission_core.kinds import kind_of

# These parameter names occur nowhere else in a flush, because statements of a flush may be combined into one.
_deleted: Final = parameter("ended")
_tasks: Final = select(tasks.c.id).where(tasks.c.organization == _deleted)
_boards: Final = select(boards.c.id).where(boards.c.organization == _deleted)
_shared: Final = {mapping.table for kind, mapping in MAPPINGS.items() if kind.shared}


def _rows_of_organization(kind: type) -> ColumnElement[bool] | None:
    """
    Return the condition for the rows of a class that the deletion changes, or None if it changes none.
    """
    table, plain = ENTITY_MAPPINGS[kind].table, kind_of(kind)
    if plain is None or not plain.shared:
        return table.c.organization == _deleted
    names = organization_references(plain)
    return or_(*(table.c[name] == _deleted for name in names)) if names else None


def _lock_statement(table: Table, condition: ColumnElement[bool]) -> Statement:
    found = select(table.c.id).where(condition).order_by(table.c.id).with_for_update()
    return Statement(select(func.count()).select_from(found.subquery("held")))


LOCKS: Final = {
    kind: _lock_statement(ENTITY_MAPPINGS[kind].table, condition)
    for kind in lock_order()
    if (condition := _rows_of_organization(kind)) is not None
}


def _reference_statements() -> list[Delete | Update]:
    """
    Return the statements for deployment-wide rows that refer to the organization: they lose the reference if the field
    may be empty, and are deleted otherwise.
    """
    found: list[Delete | Update] = []
    for kind, names in ((kind, organization_references(kind)) for kind in KINDS):
        table = MAPPINGS[kind].table
        for name, may_be_empty in names.items():
            left: dict[str, Any] = {name: null(), "version": table.c.version + 1}
            change = update(table).values(left) if may_be_empty else delete(table)
            found.append(change.where(table.c[name] == _deleted))
    return found


DELETES: Final = tuple(
    Statement(each)
    for each in (
        delete(dependencies).where(dependencies.c.task.in_(_tasks)),
        delete(marks).where(marks.c.task.in_(_tasks)),
        delete(numbers).where(or_(numbers.c.scope == _deleted, numbers.c.scope.in_(_boards))),
        delete(once).where(or_(once.c.principal.like(parameter("ended_keys", str)), once.c.result == _deleted)),
        *_reference_statements(),
        *(
            delete(table).where(table.c.organization == _deleted)
            for table in whole_metadata().sorted_tables
            if "organization" in table.c and table not in _shared
        ),
        delete(organizations).where(organizations.c.id == _deleted),
    )
)


def delete_organization(dialect: str, operation: DeleteOrganizationOperation) -> Steps[None]:
    """
    Delete an organization.

    Raises:
        StaleWrite: If the organization, its log or a row that the deletion relies on has changed.
    """
    organization = operation.organization
    given = {"ended": organization.id.bytes, "ended_keys": f"{organization.id.hex}:%"}
    for kind in lock_order():
        if kind is Organization:
            yield from lock_row(dialect, Organization, organization.id, organization.version, exclusive=True)
        elif kind in LOCKS:
            yield LOCKS[kind](dialect, **given)
    for each in operation.relied_on:
        yield from lock_row(dialect, type(each), each.id, each.version)
    head = yield from lock_head(dialect, organization.id)
    if operation.since is not None and operation.since != head.position:
        raise StaleWrite("organizations", organization.id)
    for removal in DELETES:
        yield removal.count(dialect, **given)
