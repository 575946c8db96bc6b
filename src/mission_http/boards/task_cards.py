"""
Task cards: tasks as a board snapshot shows them, encoded as JSON. A cached card is reused until a value that it shows
changes.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from attrs import field

from mission_core.lazy_attrs import define
from mission_core.tasks.queries import TaskRow
from mission_core.tasks.snapshots import NO_APPROVALS, ApprovalCounts, BoardView, TaskSurroundings
from mission_http.boards.card_cache import CachedCard, CardCache
from mission_http.boards.payloads import TaskRead
from mission_http.platform.shapes import Given

_encode: Final = msgspec.json.Encoder().encode


class TaskCardRead(TaskRead):
    approvals_count: Annotated[int, Given()] = 0
    approvals_pending_count: Annotated[int, Given()] = 0


def card_from(row: TaskRow, asked: ApprovalCounts = NO_APPROVALS) -> TaskCardRead:
    return TaskCardRead.of(row, approvals_count=asked.all, approvals_pending_count=asked.pending)


@define
class CardLookup:
    """
    A lookup of a board's cards in the cache. It holds the cards found until the response is complete, even if the cache
    drops them.

    The store calls `known` on its reading thread; there it changes this object only, not the cache.
    """

    cards: CardCache
    found: dict[bytes, msgspec.Raw] = field(factory=dict, init=False)
    to_keep: list[tuple[bytes, CachedCard]] = field(factory=list, init=False)

    def known(self, id: bytes, version: int, around: TaskSurroundings) -> bool:
        """
        Whether the cache has a card of a task at this version and with this other data that it shows.
        """
        card = self.cards.recent.get(id)
        if card is None:
            card = self.cards.aging.get(id)
            if card is not None:
                self.to_keep.append((id, card))
        if card is None or card[0] != version or card[1] != around:
            return False
        self.found[id] = card[2]
        return True

    def cards_of(self, view: BoardView) -> list[msgspec.Raw]:
        """
        The cards of all tasks on the board. Missing ones are encoded and cached.
        """
        for id, card in self.to_keep:
            self.cards.keep(id, card)
        for id, row in view.rows.items():
            asked = view.approvals.get(id, NO_APPROVALS)
            text = _encode(card_from(row, asked))
            card = CachedCard(row.version, TaskSurroundings.of(row, asked), msgspec.Raw(text), len(text))
            self.cards.keep(id, card)
            self.found[id] = card.text
        return [self.found[id] for id in view.tasks]
