"""
Organization deletion in memory: every row that belongs to the organization or refers to it is deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from mission_adapters.kinds import NAMING
from mission_core.accounts.organizations import Organization
from mission_core.errors import StaleWrite

if TYPE_CHECKING:
    from mission_adapters.memory.store import MemoryStore
    from mission_adapters.operations import EndOf


def end(store: MemoryStore, wish: EndOf) -> None:
    """
    Delete an organization.

    Raises:
        StaleWrite: If the organization, a row in *relied_on* or its log has changed since it was read.
    """
    own = wish.organization.id
    for each in (wish.organization, *wish.relied_on):
        store.tables[type(each)].expect(each.id, each.version)
    if wish.since is not None and store.log.position(own) != wish.since:
        raise StaleWrite("organizations", own)
    boards = [each.id for each in store.boards.rows.values() if each.organization == own]
    for table in reversed(store.tables.values()):
        for id in [id for id, row in table.rows.items() if row.organization == own]:
            table.drop(id)
    store.tasks.touched.clear()  # the organization's counters are gone with it
    for kind, names in NAMING.items():
        table = store.plain[kind]
        for name, may_be_empty in names.items():
            for row in [row for row in table.rows.values() if getattr(row, name) == own]:
                if may_be_empty:
                    table.put(evolve(row, **{name: None}, version=row.version + 1))
                else:
                    table.drop(row.id)
    store.tables[Organization].drop(own)
    store.log.drop(own)
    store.pulses.end(own)
    store.used.drop(own)
    store.numbers.drop({own, *boards})
