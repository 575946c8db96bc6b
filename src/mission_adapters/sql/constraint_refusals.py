"""
The refusals for violated constraints.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mission_adapters.sql.kind_tables import refusals_of_kinds
from mission_adapters.sql.row_writes import ENTITY_MAPPINGS
from mission_adapters.write_buffer import WriteBuffer
from mission_core.agents.model import AgentNameTaken, SessionKeyTaken
from mission_core.boards.model import HandleTaken, TicketPrefixTaken
from mission_core.errors import Conflict, StaleWrite

UNIQUENESS_REFUSALS: Final[dict[str, Callable[[], Conflict]]] = {
    "uq_boards_organization_handle": HandleTaken,
    "uq_boards_organization_ticket_prefix": TicketPrefixTaken,
    "uq_agents_organization_name_key": AgentNameTaken,
    "uq_agents_organization_session_key": SessionKeyTaken,
}
"""The refusal for each unique constraint of the tables of entities without a kind, by the constraint's name."""


def refusal_of_constraint(constraint: str, buffer: WriteBuffer) -> Conflict:
    """
    Return the refusal for a violated constraint. A duplicate id is a stale write: another unit inserted the row first,
    and the next attempt will read it.
    """
    kind = next((kind for kind, each in ENTITY_MAPPINGS.items() if constraint == f"pk_{each.table.name}"), None)
    if kind is None:
        return (UNIQUENESS_REFUSALS.get(constraint) or refusals_of_kinds().get(constraint, Conflict))()
    added = (id for id, write in buffer.writes.items() if isinstance(write.after, kind) and write.before is None)
    return StaleWrite(ENTITY_MAPPINGS[kind].name, next(added, buffer.principal.organization))
