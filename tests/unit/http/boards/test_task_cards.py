"""
Cards are kept as long as they are asked for, and never shown of a task that looks otherwise by now.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Raw, json

from mission_core.tasks.queries import TaskRow
from mission_core.tasks.snapshots import BoardView, TaskSurroundings
from mission_http.boards.card_cache import CachedCard, CardCache
from mission_http.boards.task_cards import CardLookup, card_from
from tests.unit.http.boards.task_rows import a_row

ALONE = TaskSurroundings(None, (), (), ())


def a_view(*tasks: bytes, rows: Sequence[TaskRow] = ()) -> BoardView:
    """
    What is seen of a board with these tasks, when *rows* were read. Cards are not made of the board itself.
    """
    board: Any = None
    return BoardView(board, [], list(tasks), {row.id: row for row in rows}, {})


def seen(cards: CardCache, *rows: TaskRow) -> list[Raw]:
    """
    The cards of a board with these tasks, read whole.
    """
    return CardLookup(cards).cards_of(a_view(*(row.id for row in rows), rows=rows))


def shown_again(cards: CardCache, id: bytes) -> bytes:
    """
    The card of a task that is known.
    """
    look = CardLookup(cards)
    assert look.known(id, 1, ALONE)
    (card,) = look.cards_of(a_view(id))
    return bytes(card)


def test_a_task_that_was_seen_is_known() -> None:
    """
    And shown with the same bytes again, which are its card's.
    """
    cards, row = CardCache(), a_row(1, version=1)
    (first,) = seen(cards, row)

    assert json.encode(card_from(row)) == bytes(first) == shown_again(cards, row.id)


def test_a_task_that_looks_otherwise_is_not_known() -> None:
    """
    At another version, with something else around it, or another task.
    """
    cards, row = CardCache(), a_row(1, version=1)
    seen(cards, row)
    look = CardLookup(cards)

    assert not look.known(row.id, 2, ALONE)
    assert not look.known(row.id, 1, ALONE._replace(assignee_agent=b"a"))
    assert not look.known(a_row(2, version=1).id, 1, ALONE)
    assert look.known(row.id, 1, ALONE)


def test_what_is_not_asked_for_goes_when_cards_are_full() -> None:
    """
    And what is stays.
    """
    rows = [a_row(number, version=1) for number in range(20)]
    size = len(bytes(seen(CardCache(), rows[0])[0]))
    cards = CardCache(max_bytes=size * 10)
    for row in rows:
        seen(cards, row)
        shown_again(cards, rows[0].id)
    known = [number for number, row in enumerate(rows) if CardLookup(cards).known(row.id, 1, ALONE)]

    assert {0, 19} <= set(known)
    assert 10 >= len(known)


def test_a_card_is_held_through_a_look_whatever_goes_meanwhile() -> None:
    """
    Another board's cards may push it out before it is shown.
    """
    row = a_row(1, version=1)
    cards = CardCache(max_bytes=2)
    seen(cards, row)
    look = CardLookup(cards)
    assert look.known(row.id, 1, ALONE)
    for number in range(5):
        cards.keep(bytes([number]), CachedCard(1, ALONE, Raw(b"0"), 1))
    shown = look.cards_of(a_view(row.id))

    assert [json.encode(card_from(row))] == [bytes(card) for card in shown]


def test_a_changed_task_counts_once() -> None:
    """
    However often it changes, its card takes the place of the one before.
    """
    cards = CardCache()
    for version in range(5):
        seen(cards, a_row(1, version=version))

    assert cards.size == sum(card.size for card in cards.recent.values())
    assert 1 == len(cards.recent)
