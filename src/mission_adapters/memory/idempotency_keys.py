"""
Idempotency keys in memory.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from attrs import define, field

from mission_adapters.memory.tables import Journal
from mission_core.accounts.model import identity_of
from mission_core.errors import KeyReused
from mission_core.ports import REMEMBERED, AlreadyDone

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from mission_core.accounts.model import Principal
    from mission_core.ids import OrganizationId
    from mission_core.ports import Once


@define
class UsedKeys:
    """
    The idempotency keys of the last 24 hours with their results, the oldest first.
    """

    journal: Journal
    used: dict[tuple[object, ...], tuple[bytes, UUID, datetime]] = field(factory=dict)

    def find(self, principal: Principal, once: Once, *, since: datetime) -> UUID | None:
        """
        The result stored for this idempotency key after *since*, or None.

        Raises:
            KeyReused: If the key was used with another request body.
        """
        digest, result, at = self.used.get(_name(principal, once), (b"", None, since))
        if at <= since:
            return None
        if digest != once.body_digest:
            raise KeyReused(once.key)
        return result

    def check(self, principal: Principal, once: Once, *, at: datetime) -> None:
        """
        Require that the idempotency key was not used in the last 24 hours.

        Raises:
            AlreadyDone: If it was used with the same request body.
            KeyReused: If it was used with another request body.
        """
        result = self.find(principal, once, since=at - REMEMBERED)
        if result is not None:
            raise AlreadyDone(result)

    def keep(self, principal: Principal, once: Once, result: UUID, *, at: datetime) -> None:
        """
        Store the result of a new idempotency key, and delete expired keys.
        """
        name = _name(principal, once)
        self._forget(before=at - REMEMBERED)
        self.journal.note(lambda: self.used.pop(name, None))
        self.used[name] = (once.body_digest, result, at)

    def drop(self, organization: OrganizationId) -> None:
        """
        Delete the idempotency keys of an organization, and the key under which it was created.
        """
        for name in [name for name, kept in self.used.items() if organization in (name[0], kept[1])]:
            self.journal.note(partial(self.used.__setitem__, name, self.used.pop(name)))

    def _forget(self, *, before: datetime) -> None:
        while self.used:
            oldest = next(iter(self.used))
            if self.used[oldest][2] > before:
                return
            del self.used[oldest]


def _name(principal: Principal, once: Once) -> tuple[object, ...]:
    whose = once.whose or principal
    return whose.organization, identity_of(whose), once.operation, once.key
