"""
Codes of errors: what a program tells conflicts, limits and failures apart by.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mission_core.errors import Conflict, Refusal

CODED: Final = frozenset({409, 412, 429, 503})
"""The statuses that do not tell enough by themselves."""


class ErrorCode(str):
    """
    The type of codes in payloads. The schema lists all that a dialect has.
    """

    __slots__ = ()


def code_of(kind: type[Exception], status: int) -> str | None:
    """
    The code that stands beside the text of an error of this class: of every conflict, and where the status needs it.
    """
    if issubclass(kind, Refusal) and (status in CODED or issubclass(kind, Conflict)):
        return kind.code
    return None


def codes_of(status_of: Callable[[type[Exception]], int], *, packages: tuple[str, ...]) -> list[str]:
    """
    The codes of all errors that these packages have.
    """
    kinds, left = set[type[Refusal]](), [Refusal]
    while left:
        more = left.pop().__subclasses__()
        kinds.update(more)
        left += more
    told = (code_of(kind, status_of(kind)) for kind in kinds if kind.__module__.startswith(packages))
    return sorted({code for code in told if code is not None})
