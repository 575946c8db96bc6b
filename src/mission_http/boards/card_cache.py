"""
A cache of cards: entities encoded as JSON. A card is reused until a value that it shows changes.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec
from attrs import field

from mission_core.lazy_attrs import define

MEGABYTE: Final = 1024 * 1024


class CachedCard(NamedTuple):
    """
    An encoded card, with the version of its entity and the other values that it shows.
    """

    version: int
    surroundings: Any
    text: msgspec.Raw
    size: int


@define
class CardCache:
    """
    A cache of encoded cards by the ids of their entities. A card is valid for every caller who may see the entity,
    until its version or the other values that the card shows change.

    Args:
        max_bytes: The approximate size of the cache in bytes. The cards used last, up to half of this size, are in
            *recent*. When that half is full, they become *aging*, and the previous *aging* cards are dropped.
    """

    max_bytes: int = 32 * MEGABYTE
    recent: dict[bytes, CachedCard] = field(factory=dict, init=False)
    aging: dict[bytes, CachedCard] = field(factory=dict, init=False)
    size: int = field(default=0, init=False)

    def keep(self, id: bytes, card: CachedCard) -> None:
        """
        Store a card, replacing the entity's previous one.
        """
        before = self.recent.get(id)
        self.size += card.size - (before.size if before else 0)
        if self.size > self.max_bytes // 2:
            self.aging, self.recent, self.size = self.recent, {}, card.size
        self.recent[id] = card
