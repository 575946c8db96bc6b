"""
Error codes, by which programs distinguish conflicts, limits and failures.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

from mission_core.errors import Conflict, Refusal

STATUSES_WITH_CODE: Final = frozenset({402, 409, 412, 429, 503})
"""The statuses whose errors carry a code, because several errors share each of them."""


class ErrorCode(str):
    """
    The type of an error code in a payload. Its JSON schema lists all codes of the dialect.
    """

    __slots__ = ()


def code_of(kind: type[Exception], status: int) -> str | None:
    """
    The error code in responses to this class of error; None unless it is a conflict or its status needs a code.
    """
    if issubclass(kind, Refusal) and (status in STATUSES_WITH_CODE or issubclass(kind, Conflict)):
        return kind.code
    return None


def codes_of(status_of: Callable[[type[Exception]], int], *, packages: tuple[str, ...]) -> list[str]:
    """
    The error codes of all refusals defined in these packages.
    """
    kinds, left = set[type[Refusal]](), [Refusal]
    while left:
        more = left.pop().__subclasses__()
        kinds.update(more)
        left += more
    # A decorator of attrs makes a second class, and the first one may live on.
    real = (kind for kind in kinds if getattr(sys.modules[kind.__module__], kind.__name__, None) is kind)
    told = (code_of(kind, status_of(kind)) for kind in real if kind.__module__.startswith(packages))
    return sorted({code for code in told if code is not None})
