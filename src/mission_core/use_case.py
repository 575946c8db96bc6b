"""
Use cases: repeated from their reads when somebody else was faster.
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
_repeated: Final[ContextVar[bool]] = ContextVar("repeated", default=False)


class Backoff(Protocol):
    """
    Waits between two tries of a use case.
    """

    async def __call__(self, attempt: int) -> None:
        """
        Wait before the next try, when so many (1 or more) have failed: longer each time, and not as long as others.
        """


def use_case(function: Callable[Concatenate[Ports, P], Coroutine[Any, Any, R]]) -> Callable[
    Concatenate[Ports, P], Coroutine[Any, Any, R]
]:  # fmt: skip
    """
    Run the function again from its reads when its commit raises `StaleWrite`, `TRIES` times at most.

    It belongs on every function that opens a unit of work and commits it. A use case that calls another repeats as a
    whole, so that tries do not multiply: it commits one unit only, or what it repeats is harmless.

    A command whose values are not of its fields' types, or that no store can keep, is refused before.

    Raises (from the function):
        InvalidField: If the command has such a value.
        StaleWrite: If it lost every time.
    """

    @wraps(function)
    async def repeating(ports: Ports, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if _repeated.get():
            return await function(ports, *args, **kwargs)
        for each in (*args, *kwargs.values()):
            check_fields(each)
        token = _repeated.set(True)
        try:
            for attempt in range(1, TRIES):
                try:
                    return await function(ports, *args, **kwargs)
                except StaleWrite:
                    if ports.backoff is not None:
                        await ports.backoff(attempt)
            return await function(ports, *args, **kwargs)
        finally:
            _repeated.reset(token)

    return repeating
