"""
Text search: normalization, relevance of a match, and the excerpt around it.
"""

from __future__ import annotations

from typing import Final

ASCII_LOWERCASE: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
IN_TITLE, ELSEWHERE, NOWHERE = 2, 1, 0
EXCERPT_BEFORE: Final = 40
EXCERPT_AFTER: Final = 80
"""The number of characters that an excerpt shows before and after a match."""


def ascii_lowercased(text: str) -> str:
    """
    The text with A to Z in lower case. Other characters stay, so that every database compares alike.
    """
    return text.translate(ASCII_LOWERCASE)


def relevance(wanted: str, title: str, *others: str | None) -> int:
    """
    The relevance of an item for the folded search text: 2 for a match in its title, 1 for a match elsewhere, 0 for
    none.
    """
    if wanted in ascii_lowercased(title):
        return IN_TITLE
    return ELSEWHERE if any(other is not None and wanted in ascii_lowercased(other) for other in others) else NOWHERE


def excerpt(text: str | None, wanted: str) -> str | None:
    """
    The text around the first match, or None if there is none.
    """
    at = -1 if text is None else ascii_lowercased(text).find(ascii_lowercased(wanted))
    if text is None or at < 0:
        return None
    start, end = max(at - EXCERPT_BEFORE, 0), at + len(wanted) + EXCERPT_AFTER
    return f"{'...' if start else ''}{text[start:end]}{'...' if end < len(text) else ''}"
