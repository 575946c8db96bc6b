from typing import Any

import pytest

from mission_core.tasks.model import Status
from mission_core.tasks.snapshots import statuses_needed

ORDER = (
    (Status.IN_PROGRESS,), (Status.REVIEW, Status.QUALITY_REVIEW, Status.FAILED),
    (Status.BACKLOG, Status.INBOX, Status.ASSIGNED, Status.AWAITING_OWNER), (Status.DONE,),
)  # fmt: skip


@pytest.mark.parametrize(
    ("counts", "limit", "statuses"),
    [
        ({}, 5, []), ({"inbox": 3}, 5, ["inbox"]), ({"in_progress": 5, "inbox": 3}, 5, ["in_progress"]),
        ({"in_progress": 4, "review": 0, "failed": 1, "inbox": 3}, 5, ["in_progress", "failed"]),
        ({"in_progress": 1, "done": 9}, 5, ["in_progress", "done"]), ({"in_progress": 1}, 0, []),
    ],
)  # fmt: skip
def test_no_more_statuses_are_looked_through_than_are_needed(counts: Any, limit: int, statuses: list[str]) -> None:
    """
    Where earlier ones have enough tasks, later ones are left alone.
    """
    assert statuses == statuses_needed(counts, ORDER, limit=limit)
