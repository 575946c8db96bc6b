"""
Approvals encoded as JSON, from a cache. A cached one is reused while the row that is read is equal to its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from mission_core.approvals.queries import ApprovalRow
from mission_http.boards.approval_payloads import ApprovalRead
from mission_http.boards.card_cache import CachedCard, CardCache

_encode: Final = msgspec.json.Encoder().encode


def approval_cards(rows: Iterable[ApprovalRow], cards: CardCache) -> list[msgspec.Raw]:
    """
    Return the rows as encoded `ApprovalRead`. Those that the cache lacks are encoded and cached.
    """
    found = []
    for row in rows:
        card = cards.recent.get(row.id)
        if card is None or card.surroundings != row:
            card = cards.aging.get(row.id)
            if card is None or card.surroundings != row:
                text = _encode(ApprovalRead.of(row))
                card = CachedCard(row.version, row, msgspec.Raw(text), 2 * len(text))  # the row is as long again
            cards.keep(row.id, card)
        found.append(card.text)
    return found
