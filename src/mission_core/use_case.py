"""
The decorator of use cases, which repeats a use case after a concurrent change.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from mission_core.errors import StaleWrite
from mission_core.field_types import check_fields

if TYPE_CHECKING:
    from mission_core.ports import Ports

P = ParamSpec("P")
R = TypeVar("R")
TRIES: Final = 5
_inside_use_case: Final[ContextVar[bool]] = ContextVar("repeated", default=False)
may_use_remembered_rows: Final[ContextVar[bool]] = ContextVar("may_use_remembered_rows", default=False)
"""
Whether a unit of work may answer reads with rows that its store remembers: in the first try of a use case, because that
is repeated if such a row was outdated. It is not set in a use case that another one calls, which might catch the error.
"""


class Backoff(Protocol):
    """
    Waits between two tries of a use case.
    """

    async def __call__(self, attempt: int) -> None:
        """
        Wait before the next try after *attempt* (1 or more) failed tries: longer after each failure, with jitter.
        """


def use_case(function: Callable[Concatenate[Ports, P], Coroutine[Any, Any, R]]) -> Callable[
    Concatenate[Ports, P], Coroutine[Any, Any, R]
]:  # fmt: skip
    """
    Repeat the function from its reads when its commit raises `StaleWrite`, at most `TRIES` times in all.

    Decorate every function that opens a unit of work and commits it. When one use case calls another, only the outer
    one repeats, so that tries do not multiply. It must then commit one unit only, or be safe to repeat.

    A try that failed because a remembered row was outdated is repeated at once, with rows that are read, and is not
    counted.

    The fields of a command are checked first.

    Raises (from the function):
        InvalidField: If a field of the command has a value of the wrong type, or one that no store can keep.
        StaleWrite: If every try failed.
    """

    @wraps(function)
    async def repeating(ports: Ports, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if _inside_use_case.get():
            return await _without_remembered_rows(function, ports, *args, **kwargs)
        for each in (*args, *kwargs.values()):
            check_fields(each)
        token, remembering = _inside_use_case.set(True), may_use_remembered_rows.set(True)
        attempt = 1
        try:
            while True:
                try:
                    return await function(ports, *args, **kwargs)
                except StaleWrite as stale:
                    may_use_remembered_rows.set(False)
                    if stale.remembered:
                        continue
                    if attempt == TRIES:
                        raise
                    if ports.backoff is not None:
                        await ports.backoff(attempt)
                    attempt += 1
        finally:
            may_use_remembered_rows.reset(remembering)
            _inside_use_case.reset(token)

    return repeating


async def _without_remembered_rows(
    function: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
) -> R:
    token = may_use_remembered_rows.set(False)
    try:
        return await function(*args, **kwargs)
    finally:
        may_use_remembered_rows.reset(token)
