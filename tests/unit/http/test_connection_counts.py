"""
The counts by which workers share new connections.
"""

from mission_http.connection_counts import STALE_SECONDS, ConnectionCounts


def test_the_excess_is_over_the_worker_with_the_fewest() -> None:
    """
    A worker that has ended has no count.
    """
    counts = ConnectionCounts.of(3)
    alone = counts.excess(5)
    counts.store(0, 5)
    counts.store(1, 3)
    counts.store(2, 1)
    over_all = counts.excess(5)
    counts.clear(2)

    assert (0, 4, 2, -1) == (alone, over_all, counts.excess(5), counts.excess(2))


def test_a_worker_that_hangs_is_not_waited_for() -> None:
    """
    Its count is too old.
    """
    now = [100.0]
    counts = ConnectionCounts.of(2, lambda: now[0])
    counts.store(1, 0)
    before = counts.excess(4)
    now[0] += STALE_SECONDS
    counts.store(0, 4)

    assert (4, 0) == (before, counts.excess(4))
