"""
Predictable ids for tests.
"""

from __future__ import annotations

from itertools import count
from uuid import UUID

from mission_adapters.ids import VARIANT, VERSION


class CountingIds:
    """
    Makes ids for tests: consecutive UUIDs of version 7.
    """

    __slots__ = ("_count",)

    def __init__(self, start: int = 1) -> None:
        self._count = count(start)

    def new(self) -> UUID:
        """
        The next id.
        """
        return UUID(int=VERSION | VARIANT | next(self._count))
