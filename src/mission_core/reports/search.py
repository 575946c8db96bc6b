"""
Finding a text: what counts as a hit, and what is shown of it.
"""

from __future__ import annotations

from typing import Final

FOLDS: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
IN_TITLE, ELSEWHERE, NOWHERE = 2, 1, 0
BEFORE: Final = 40
AFTER: Final = 80
"""How many characters around a hit are shown."""


def folded(text: str) -> str:
    """
    The text with A to Z in lower case. All other characters are compared as they are, which every database can.
    """
    return text.translate(FOLDS)


def relevance(wanted: str, title: str, *others: str | None) -> int:
    """
    How well something fits the folded text that is wanted: in its title, elsewhere, or not at all.
    """
    if wanted in folded(title):
        return IN_TITLE
    return ELSEWHERE if any(other is not None and wanted in folded(other) for other in others) else NOWHERE


def excerpt(text: str | None, wanted: str) -> str | None:
    """
    What stands around the first place where the text holds what is wanted, or None where it does not.
    """
    at = -1 if text is None else folded(text).find(folded(wanted))
    if text is None or at < 0:
        return None
    start, end = max(at - BEFORE, 0), at + len(wanted) + AFTER
    return f"{'...' if start else ''}{text[start:end]}{'...' if end < len(text) else ''}"
