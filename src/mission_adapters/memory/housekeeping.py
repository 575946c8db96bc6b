"""
The housekeeping of the memory store: it deletes expired sessions and idempotency keys.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from attrs import frozen

from mission_core.accounts.sessions import SESSIONS
from mission_core.ports import IDEMPOTENCY_KEY_LIFETIME

if TYPE_CHECKING:
    from datetime import datetime

    from mission_adapters.memory.idempotency_keys import IdempotencyKeys
    from mission_adapters.memory.kind_tables import KindTables
    from mission_adapters.memory.tables import UndoLog
    from mission_core.ids import OrganizationId


@frozen
class MemoryHousekeeping:
    """
    Deletes expired sessions and idempotency keys.
    """

    keys: IdempotencyKeys
    kind_tables: KindTables
    journal: UndoLog

    async def delete_expired(self, *, at: datetime, limit: int) -> bool:
        keys = self.keys.delete_expired(before=at - IDEMPOTENCY_KEY_LIFETIME, limit=limit)
        sessions = self.kind_tables[SESSIONS]
        ended = list(islice((each for each in sessions.rows.values() if each.expires_at <= at), limit))
        for each in ended:
            sessions.remove(each)
        self.journal.clear()
        return limit in (keys, len(ended))

    async def index_tasks(self, organization: OrganizationId, *, limit: int) -> bool:
        """
        Return that nothing is left to do: memory has no search index.
        """
        return False
