"""
Cards: tasks as a snapshot shows them, encoded once for as long as they look the same.
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
    How a task looked at some version, with that around it.
    """

    version: int
    around: Around
    text: msgspec.Raw
    size: int


@define
class Cards:
    """
    The cards that were encoded last. A card is good for whoever may see its task, as long as neither that nor what is
    around it has changed.

    Args:
        most: How many bytes of cards are kept, about. When they are full, those go that were not asked for since the
            last time.
    """

    most: int = 32 * MEGABYTE
    young: dict[bytes, Card] = field(factory=dict, init=False)
    old: dict[bytes, Card] = field(factory=dict, init=False)
    size: int = field(default=0, init=False)

    def keep(self, id: bytes, card: Card) -> None:
        """
        Keep a card, in place of the one of the same task.
        """
        before = self.young.get(id)
        self.size += card.size - (before.size if before else 0)
        if self.size > self.most // 2:
            self.old, self.young, self.size = self.young, {}, card.size
        self.young[id] = card


@define
class Look:
    """
    One look at a board: the cards that are known of it are held until it is over, whatever is forgotten meanwhile.

    It is asked on whatever thread the store reads on, and changes nothing but itself there.
    """

    cards: Cards
    held: dict[bytes, msgspec.Raw] = field(factory=dict, init=False)
    aged: list[tuple[bytes, Card]] = field(factory=list, init=False)

    def known(self, id: bytes, version: int, around: Around) -> bool:
        """
        Whether there is a card of a task that looks like this.
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
        The cards of the board that was looked at.
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
