"""
A lock by which forked processes that share one log write whole lines.
"""

from __future__ import annotations

import os
import tempfile
import time
from typing import IO, Final, Self

from mission_core.lazy_attrs import frozen

RETRY_SECONDS: Final = 0.001
PARTIAL, COMPLETE = b"+", b"-"


@frozen(eq=False)
class LineLock:
    """
    A lock between this process and those forked from it. A process that ends releases it. Its file also tells whether
    the last line has no end.
    """

    file: IO[bytes]

    @classmethod
    def open(cls) -> Self:
        """
        Make a lock. On Linux its file is in memory, because a container may have no disk to write to.
        """
        in_memory = hasattr(os, "memfd_create")
        return cls(os.fdopen(os.memfd_create("log"), "wb") if in_memory else tempfile.TemporaryFile())

    def acquire(self, seconds: float) -> bool:
        """
        Take the lock, unless another process holds it for longer than this.
        """
        from fcntl import LOCK_EX, LOCK_NB, lockf  # not available on Windows

        until = time.monotonic() + seconds
        while True:
            try:
                lockf(self.file, LOCK_EX | LOCK_NB)
            except OSError:
                if time.monotonic() > until:
                    return False
                time.sleep(RETRY_SECONDS)  # a file lock of another process has nothing to wait on with a deadline
            else:
                return True

    def release(self) -> None:
        """
        Give the lock back.
        """
        from fcntl import LOCK_UN, lockf

        lockf(self.file, LOCK_UN)

    def has_partial_line(self) -> bool:
        """
        Whether the last line that any of the processes wrote has no end.
        """
        return os.pread(self.file.fileno(), 1, 0) == PARTIAL

    def note_partial_line(self, partial: bool) -> None:
        """
        Tell the other processes whether the last line has no end.
        """
        os.pwrite(self.file.fileno(), PARTIAL if partial else COMPLETE, 0)
