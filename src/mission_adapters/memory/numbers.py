"""
The short numbers in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from uuid import UUID

from attrs import define, field


@define
class MemoryNumbers:
    """
    The last number drawn in each scope.
    """

    drawn: Counter[tuple[UUID, str]] = field(factory=Counter)

    async def draw(self, *scopes: tuple[UUID, str]) -> tuple[int, ...]:
        """
        The next number of each scope.
        """
        return tuple(self._next(scope) for scope in scopes)

    async def reach(self, *scopes: tuple[UUID, str, int]) -> None:
        """
        From now on give out only numbers beyond these.
        """
        for owner, kind, number in scopes:
            self.drawn[owner, kind] = max(number, self.drawn[owner, kind])

    def drop(self, owners: Collection[UUID]) -> None:
        """
        Forget what was drawn for these: the organization or board is no more.
        """
        for scope in [scope for scope in self.drawn if scope[0] in owners]:
            del self.drawn[scope]

    def _next(self, scope: tuple[UUID, str]) -> int:
        self.drawn[scope] += 1
        return self.drawn[scope]

    def last(self, owner: UUID, kind: str) -> int:
        """
        The last number drawn, or 0.
        """
        return self.drawn[owner, kind]
