"""
The cache of encoded approvals.
"""

import msgspec
import pytest

from mission_core.approvals.queries import ApprovalRow, LinkedTask
from mission_http.boards.approval_cards import approval_cards
from mission_http.boards.approval_payloads import ApprovalRead
from mission_http.boards.card_cache import CardCache

ROW = ApprovalRow(
    id=b"a" * 16, number=1, board=b"b" * 16, action="deploy", arguments=None, confidence=70.0, scores=None, agent=None,
    digest=b"d", status="pending", asker="ada", decider=None, decided_through=None, reason=None, created_at=0,
    resolved_at=None, version=1, tasks=(LinkedTask(b"t" * 16, "first", used=False),),
)  # fmt: skip


def test_an_equal_row_is_encoded_once() -> None:
    cards = CardCache()
    (first,) = approval_cards([ROW], cards)
    (second,) = approval_cards([ROW._replace(tasks=(*ROW.tasks,))], cards)

    assert first is second
    assert msgspec.json.encode(ApprovalRead.of(ROW)) == bytes(first)


@pytest.mark.parametrize(
    "changed",
    [
        {"version": 2, "status": "approved"}, {"board": b"c" * 16}, {"agent": b"e" * 16},
        {"tasks": (LinkedTask(b"t" * 16, "renamed", used=False),)},
        {"tasks": (LinkedTask(b"t" * 16, "first", used=True),)}, {"tasks": ()},
    ],
)  # fmt: skip
def test_a_row_that_differs_in_what_it_shows_is_encoded_again(changed: dict[str, object]) -> None:
    """
    Whether or not it has another version.
    """
    cards, row = CardCache(), ROW._replace(**changed)
    approval_cards([ROW], cards)
    (shown,) = approval_cards([row], cards)

    assert msgspec.json.encode(ApprovalRead.of(row)) == bytes(shown)


def test_the_cache_drops_what_was_not_used_lately() -> None:
    cards = CardCache(max_bytes=8 * len(msgspec.json.encode(ApprovalRead.of(ROW))))
    rows = [ROW._replace(id=bytes([number]) * 16) for number in range(9)]
    (first,) = approval_cards(rows[:1], cards)
    for row in rows[1:]:
        approval_cards([rows[0], row], cards)

    assert [first] == approval_cards(rows[:1], cards)
    assert len(cards.recent) + len(cards.aging) < len(rows)
