"""
The id factory: UUIDs of version 7.
"""

from __future__ import annotations

import os
import time
from threading import Lock
from uuid import UUID

VERSION = 7 << 76
VARIANT = 2 << 62
RANDOM = (1 << 62) - 1


class TimeOrderedIds:
    """
    Makes UUIDs of version 7. Within a process each sorts after the ones before it, also across threads.

    The first 48 bits are milliseconds, the next twelve a counter within the millisecond, the last 62 are random.
    """

    __slots__ = ("_last", "_lock")

    def __init__(self) -> None:
        self._last = 0
        self._lock = Lock()

    def new(self) -> UUID:
        """
        A new id.
        """
        milliseconds, rest = divmod(time.time_ns(), 1_000_000)
        tick = milliseconds << 12 | (rest << 12) // 1_000_000
        with self._lock:
            self._last = tick = max(tick, self._last + 1)
        random = int.from_bytes(os.urandom(8)) & RANDOM
        return UUID(int=(tick >> 12) << 80 | VERSION | (tick & 0xFFF) << 64 | VARIANT | random)
