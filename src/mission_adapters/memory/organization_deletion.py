"""
Organization deletion in memory: every row that belongs to the organization or refers to it is deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from mission_adapters.organization_references import organization_references
from mission_core.accounts.organizations import Organization
from mission_core.errors import StaleWrite

if TYPE_CHECKING:
    from mission_adapters.decision_operations import DeleteOrganizationOperation
    from mission_adapters.memory.store import MemoryStore


def delete_organization(store: MemoryStore, operation: DeleteOrganizationOperation) -> None:
    """
    Delete an organization.

    Raises:
        StaleWrite: If the organization, a row in *relied_on* or its log has changed since it was read.
    """
    own = operation.organization.id
    for each in (operation.organization, *operation.relied_on):
        store.tables[type(each)].expect(each.id, each.version)
    if operation.since is not None and store.log.position(own) != operation.since:
        raise StaleWrite("organizations", own)
    boards = [each.id for each in store.boards.rows.values() if each.organization == own]
    for table in reversed(store.tables.values()):
        for id in [id for id, row in table.rows.items() if row.organization == own]:
            table.drop(id)
    store.tasks.changed.clear()  # the organization's counters are gone with it
    for table in store.kind_tables.used():
        for name, may_be_empty in organization_references(table.kind_declaration).items():
            for row in [row for row in table.rows.values() if getattr(row, name) == own]:
                if may_be_empty:
                    table.put(evolve(row, **{name: None}, version=row.version + 1))
                else:
                    table.drop(row.id)
    store.tables[Organization].drop(own)
    store.log.drop(own)
    store.counters.drop(own)
    store.idempotency_keys.drop(own)
    store.numbers.drop({own, *boards})
