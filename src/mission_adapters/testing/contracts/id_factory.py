"""
The contract of the port `IdFactory`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from mission_core.ports import IdFactory


class IdFactoryContract:
    """
    The contract of the port `IdFactory`. A subclass, its module or its `conftest.py` provides a fixture `ids`.
    """

    def test_ids_are_uuids_of_version_seven(self, ids: IdFactory) -> None:
        """
        An id is a UUID of version 7 and of the variant of RFC 9562, which Python names after RFC 4122.
        """
        made = ids.new()

        assert (7, "specified in RFC 4122") == (made.version, made.variant)

    def test_ids_are_strictly_increasing(self, ids: IdFactory) -> None:
        """
        Ids are strictly increasing, so rows are stored in the order of their creation.
        """
        made = [ids.new() for _ in range(2000)]

        assert made == sorted(set(made))

    def test_ids_are_unique_across_threads(self, ids: IdFactory) -> None:
        """
        Ids are unique across threads, and increasing within each thread.
        """
        with ThreadPoolExecutor(4) as pool:
            batches = list(pool.map(lambda _: [ids.new() for _ in range(2000)], range(4)))

        assert all(batch == sorted(batch) for batch in batches)
        assert 8000 == len({id for batch in batches for id in batch})
