"""
Idempotency keys in memory.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from attrs import field

from mission_adapters.memory.tables import UndoLog
from mission_core.accounts.model import identity_of
from mission_core.errors import KeyReused
from mission_core.lazy_attrs import define
from mission_core.ports import IDEMPOTENCY_KEY_LIFETIME, AlreadyDone

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from mission_core.accounts.model import Principal
    from mission_core.ids import OrganizationId
    from mission_core.ports import IdempotencyKey


@define
class IdempotencyKeys:
    """
    The idempotency keys of the last 24 hours with their results, the oldest first.
    """

    journal: UndoLog
    results: dict[tuple[object, ...], tuple[bytes, UUID, datetime]] = field(factory=dict)

    def find(self, principal: Principal, once: IdempotencyKey, *, since: datetime) -> UUID | None:
        """
        The result stored for this idempotency key after *since*, or None.

        Raises:
            KeyReused: If the key was used with another request body.
        """
        digest, result, at = self.results.get(_key_name(principal, once), (b"", None, since))
        if at <= since:
            return None
        if digest != once.body_digest:
            raise KeyReused(once.key)
        return result

    def check(self, principal: Principal, once: IdempotencyKey, *, at: datetime) -> None:
        """
        Require that the idempotency key was not used in the last 24 hours.

        Raises:
            AlreadyDone: If it was used with the same request body.
            KeyReused: If it was used with another request body.
        """
        result = self.find(principal, once, since=at - IDEMPOTENCY_KEY_LIFETIME)
        if result is not None:
            raise AlreadyDone(result)

    def store(self, principal: Principal, once: IdempotencyKey, result: UUID, *, at: datetime) -> None:
        """
        Store the result of a new idempotency key, and delete expired keys.
        """
        name = _key_name(principal, once)
        self.delete_expired(before=at - IDEMPOTENCY_KEY_LIFETIME, limit=len(self.results))
        self.journal.note(lambda: self.results.pop(name, None))
        self.results[name] = (once.body_digest, result, at)

    def drop(self, organization: OrganizationId) -> None:
        """
        Delete the idempotency keys of an organization, and the key under which it was created.
        """
        for name in [name for name, kept in self.results.items() if organization in (name[0], kept[1])]:
            self.journal.note(partial(self.results.__setitem__, name, self.results.pop(name)))

    def delete_expired(self, *, before: datetime, limit: int) -> int:
        """
        Delete up to *limit* idempotency keys that were used at *before* or earlier. Return their number.
        """
        deleted = 0
        while self.results and deleted < limit:
            oldest = next(iter(self.results))
            if self.results[oldest][2] > before:
                break
            del self.results[oldest]
            deleted += 1
        return deleted


def _key_name(principal: Principal, once: IdempotencyKey) -> tuple[object, ...]:
    whose = once.principal or principal
    return whose.organization, identity_of(whose), once.operation, once.key
