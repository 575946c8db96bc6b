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

    The fields of a command are checked first.

    Raises (from the function):
        InvalidField: If a field of the command has a value of the wrong type, or one that no store can keep.
        StaleWrite: If every try failed.
    """

    @wraps(function)
    async def repeating(ports: Ports, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if _inside_use_case.get():
            return await function(ports, *args, **kwargs)
        for each in (*args, *kwargs.values()):
            check_fields(each)
        token = _inside_use_case.set(True)
        try:
            for attempt in range(1, TRIES):
                try:
                    return await function(ports, *args, **kwargs)
                except StaleWrite:
                    if ports.backoff is not None:
                        await ports.backoff(attempt)
            return await function(ports, *args, **kwargs)
        finally:
            _inside_use_case.reset(token)

    return repeating
