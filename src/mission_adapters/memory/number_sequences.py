"""
The sequences of short numbers in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from uuid import UUID

from attrs import field

from mission_core.lazy_attrs import define


@define
class MemoryNumberSequences:
    """
    The last number given out in each scope. A scope is an owner and a kind of number.
    """

    drawn: Counter[tuple[UUID, str]] = field(factory=Counter)

    async def next(self, *scopes: tuple[UUID, str]) -> tuple[int, ...]:
        """
        Give out the next number of each scope.
        """
        return tuple(self._next(scope) for scope in scopes)

    async def advance_to(self, *scopes: tuple[UUID, str, int]) -> None:
        """
        Raise the last number of each scope to at least this one.
        """
        for owner, kind, number in scopes:
            self.drawn[owner, kind] = max(number, self.drawn[owner, kind])

    def drop(self, owners: Collection[UUID]) -> None:
        """
        Delete the scopes of organizations and boards that were deleted.
        """
        for scope in [scope for scope in self.drawn if scope[0] in owners]:
            del self.drawn[scope]

    def _next(self, scope: tuple[UUID, str]) -> int:
        self.drawn[scope] += 1
        return self.drawn[scope]

    def last(self, owner: UUID, kind: str) -> int:
        """
        The last number given out in a scope, or 0.
        """
        return self.drawn[owner, kind]
