"""
Waiting for another process that tells nothing by itself.
"""

from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

T = TypeVar("T")
INTERVAL = 0.05


def polled(ask: Callable[[], T], accepts: Callable[[T], bool], seconds: float) -> T:
    """
    Ask again until an answer is accepted, for so many seconds at most. Return the last answer.
    """
    until = monotonic() + seconds
    while not accepts(answer := ask()) and monotonic() < until:
        sleep(INTERVAL)
    return answer
