"""
Text search: normalization, relevance of a match, and the excerpt around it.
"""

from __future__ import annotations

from typing import Final

FOLDS: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
IN_TITLE, ELSEWHERE, NOWHERE = 2, 1, 0
BEFORE: Final = 40
AFTER: Final = 80
"""The number of characters that an excerpt shows before and after a match."""


def folded(text: str) -> str:
    """
    The text with A to Z in lower case. Other characters stay, so that every database compares alike.
    """
    return text.translate(FOLDS)


def relevance(wanted: str, title: str, *others: str | None) -> int:
    """
    The relevance of an item for the folded search text: 2 for a match in its title, 1 for a match elsewhere, 0 for
    none.
    """
    if wanted in folded(title):
        return IN_TITLE
    return ELSEWHERE if any(other is not None and wanted in folded(other) for other in others) else NOWHERE


def excerpt(text: str | None, wanted: str) -> str | None:
    """
    The text around the first match, or None if there is none.
    """
    at = -1 if text is None else folded(text).find(folded(wanted))
    if text is None or at < 0:
        return None
    start, end = max(at - BEFORE, 0), at + len(wanted) + AFTER
    return f"{'...' if start else ''}{text[start:end]}{'...' if end < len(text) else ''}"
