"""
The contract of an id factory.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from mission_core.ports import IdFactory


class IdFactoryContract:
    """
    What an `IdFactory` must do. A subclass, its module or its `conftest.py` has a fixture `ids`.
    """

    def test_ids_are_uuids_of_version_seven(self, ids: IdFactory) -> None:
        """
        Of the variant of RFC 9562, whose name in Python is older.
        """
        made = ids.new()

        assert (7, "specified in RFC 4122") == (made.version, made.variant)

    def test_each_id_sorts_after_the_ones_before_it(self, ids: IdFactory) -> None:
        """
        So rows are stored in the order in which they were made.
        """
        made = [ids.new() for _ in range(2000)]

        assert made == sorted(set(made))

    def test_no_id_is_made_twice(self, ids: IdFactory) -> None:
        """
        Whichever threads ask.
        """
        with ThreadPoolExecutor(4) as pool:
            batches = list(pool.map(lambda _: [ids.new() for _ in range(2000)], range(4)))

        assert all(batch == sorted(batch) for batch in batches)
        assert 8000 == len({id for batch in batches for id in batch})
