"""
A cache of task cards: tasks as a board snapshot shows them, encoded as JSON. A card is reused until the task looks
different.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec
from attrs import define, field

from mission_core.tasks.overviews import NOT_ASKED, Around, Asked, BoardView
from mission_core.tasks.queries import TaskRow
from mission_http.boards.wire import task_from

MEGABYTE: Final = 1024 * 1024

_encode: Final = msgspec.json.Encoder().encode


def card_from(row: TaskRow, asked: Asked = NOT_ASKED) -> dict[str, Any]:
    """
    A task as `TaskCardRead`.
    """
    return task_from(row) | {"approvals_count": asked.all, "approvals_pending_count": asked.pending}


class Card(NamedTuple):
    """
    An encoded card, with the task's version and the other values that it shows.
    """

    version: int
    around: Around
    text: msgspec.Raw
    size: int


@define
class Cards:
    """
    A cache of encoded cards. A card is valid for every caller who may see its task, until the task's version or the
    values around it change.

    Args:
        most: The approximate size of the cache in bytes. When it is full, the cards that were not used since the
            last time are dropped.
    """

    most: int = 32 * MEGABYTE
    young: dict[bytes, Card] = field(factory=dict, init=False)
    old: dict[bytes, Card] = field(factory=dict, init=False)
    size: int = field(default=0, init=False)

    def keep(self, id: bytes, card: Card) -> None:
        """
        Store a card, replacing the task's previous one.
        """
        before = self.young.get(id)
        self.size += card.size - (before.size if before else 0)
        if self.size > self.most // 2:
            self.old, self.young, self.size = self.young, {}, card.size
        self.young[id] = card


@define
class Look:
    """
    A lookup of a board's cards in the cache. It holds the cards found until the response is complete, even if the cache
    drops them.

    The store calls `known` on its reading thread; there it changes this object only, not the cache.
    """

    cards: Cards
    held: dict[bytes, msgspec.Raw] = field(factory=dict, init=False)
    aged: list[tuple[bytes, Card]] = field(factory=list, init=False)

    def known(self, id: bytes, version: int, around: Around) -> bool:
        """
        Whether the cache has a card of a task at this version and with these values around it.
        """
        card = self.cards.young.get(id)
        if card is None:
            card = self.cards.old.get(id)
            if card is not None:
                self.aged.append((id, card))
        if card is None or card[0] != version or card[1] != around:
            return False
        self.held[id] = card[2]
        return True

    def all_of(self, view: BoardView) -> list[msgspec.Raw]:
        """
        The cards of all tasks on the board. Missing ones are encoded and cached.
        """
        for id, card in self.aged:
            self.cards.keep(id, card)
        for id, row in view.rows.items():
            asked = view.asked.get(id, NOT_ASKED)
            text = _encode(card_from(row, asked))
            card = Card(row.version, Around.of(row, asked), msgspec.Raw(text), len(text))
            self.cards.keep(id, card)
            self.held[id] = card.text
        return [self.held[id] for id in view.tasks]
