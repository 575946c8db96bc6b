"""
Histograms of the durations of requests, by operation and class of status.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from attrs import Factory, evolve, field

from mission_core.lazy_attrs import define

if TYPE_CHECKING:
    from mission_http.platform.endpoints import Dialect, Endpoint
    from mission_http.platform.exchange import Exchange

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The upper bounds of the buckets in seconds; one more bucket has no bound."""
WIDTH: Final = len(BUCKETS) + 1
MAX_OPERATIONS: Final = 1024
STATUS_CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")
SERIES: Final = MAX_OPERATIONS * len(STATUS_CLASSES)
UNKNOWN_OPERATION: Final = ("other", "other")
"""The method and path of requests that match no operation."""


class DurationHistogram(NamedTuple):
    """
    The durations of the requests to one operation with one class of status.

    Args:
        path: The path of the operation, with the names of its parameters.
        counts: The number of requests in each bucket, not cumulated.
        total: The sum of the durations in seconds.
    """

    method: str
    path: str
    status: str
    counts: list[int]
    total: float


@define(eq=False)
class RequestDurations:
    """
    The durations of requests until their responses began, in memory that processes share after a fork.

    Each process counts at a place of its own, so that none waits for another. A process that follows another one at its
    place goes on with its counts, so they only grow.
    """

    _counts: memoryview[int]
    _totals: memoryview[float]
    place: int = 0
    operations: dict[tuple[str, str], int] = field(factory=lambda: {UNKNOWN_OPERATION: 0})
    """The number of each operation, by method and path."""
    is_complete: bool = False
    """Whether *operations* has all that there are, so that each process numbers them alike."""
    _numbers: dict[Endpoint | None, int] = field(factory=lambda: {None: 0}, init=False)
    _first: int = field(init=False, default=Factory(lambda self: self.place * SERIES, takes_self=True))

    @classmethod
    def of(cls, processes: int) -> Self:
        """
        Empty histograms for this number of processes.
        """
        size = 8 * SERIES * processes  # pages that nobody writes to take no memory
        return cls(memoryview(mmap.mmap(-1, size * WIDTH)).cast("Q"), memoryview(mmap.mmap(-1, size)).cast("d"))

    def number(self, dialects: Iterable[Dialect]) -> None:
        """
        Number all operations, before the processes that count them are forked.
        """
        for dialect in dialects:
            for endpoint in dialect.endpoints:
                self._number_of(endpoint, dialect)
        self.is_complete = True

    def at(self, place: int) -> RequestDurations:
        """
        The same histograms, for the process that counts at this place.
        """
        return evolve(self, place=place)

    def observe(self, exchange: Exchange, seconds: float) -> None:
        """
        Count a request whose response began after this many seconds.
        """
        number = self._numbers.get(exchange.endpoint)
        if number is None:
            assert exchange.endpoint is not None
            assert exchange.dialect is not None
            number = self._numbers[exchange.endpoint] = self._number_of(exchange.endpoint, exchange.dialect)
        assert exchange.status is not None
        series = self._first + number * len(STATUS_CLASSES) + exchange.status // 100 - 1
        self._counts[series * WIDTH + bisect_left(BUCKETS, seconds)] += 1
        self._totals[series] += seconds

    def histograms(self) -> Iterator[DurationHistogram]:
        """
        The histograms that have any request, over all processes.
        """
        firsts = range(0, len(self._totals), SERIES)
        for (method, path), number in list(self.operations.items()):
            for place, status in enumerate(STATUS_CLASSES, number * len(STATUS_CLASSES)):
                each = [first + place for first in firsts]
                rows = [self._counts[series * WIDTH : (series + 1) * WIDTH] for series in each]
                counts = [sum(column) for column in zip(*rows, strict=True)]
                if any(counts):
                    yield DurationHistogram(method, path, status, counts, sum(self._totals[series] for series in each))

    def _number_of(self, endpoint: Endpoint, dialect: Dialect) -> int:
        name = (endpoint.method, dialect.path_of(endpoint))
        if name not in self.operations and not self.is_complete and len(self.operations) < MAX_OPERATIONS:
            self.operations[name] = len(self.operations)
        return self.operations.get(name, 0)
