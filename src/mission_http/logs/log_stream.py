"""
The stream that the log is written to, which never blocks the server.
"""

from __future__ import annotations

import logging
import os
import select
from time import monotonic
from typing import Final, Self, TextIO

from attrs import field

from mission_core.lazy_attrs import define
from mission_http.logs.line_locks import LineLock

WRITE_TIMEOUT_MS: Final = 250
"""Milliseconds that one write may wait for a full stream."""
CHUNK_BYTES: Final = getattr(select, "PIPE_BUF", 512)
"""Bytes that a stream with room takes without blocking."""
logger = logging.getLogger("mission_http")


@define(eq=False)
class LogStream:
    """
    A stream that drops lines instead of blocking the server while its reader is slow or gone. The number of dropped
    lines is logged once there is room again.
    """

    file: TextIO
    descriptor: int
    lock: LineLock | None = None
    """Held while lines are written, if several processes write to the stream."""
    dropped_lines: int = field(default=0, init=False)
    _line_is_partial: bool = field(default=False, init=False)
    _lock_is_stuck: bool = field(default=False, init=False)
    """Whether another process did not give the lock back in time, as if it was stopped while it wrote."""
    _room: select.poll = field(factory=lambda: select.poll(), init=False)

    def __attrs_post_init__(self) -> None:
        self._room.register(self.descriptor, select.POLLOUT)

    @classmethod
    def over(cls, file: TextIO, lock: LineLock | None = None) -> Self | TextIO:
        """
        Wrap a file; return the file itself if it cannot be polled for room.
        """
        try:
            return cls(file, file.fileno(), lock) if hasattr(select, "poll") else file
        except OSError:
            return file

    def write(self, text: str) -> None:
        """
        Write whole lines. Drop those for which there is no room, or no turn among the processes.
        """
        if self.dropped_lines and self._has_room() and self._may_write():
            lost, self.dropped_lines = self.dropped_lines, 0
            logger.warning("log_lines_dropped lines=%d", lost)
        data = text.encode(self.file.encoding or "utf-8", "backslashreplace")
        written = 0 if self.dropped_lines else self._write_locked(data)
        self.dropped_lines += data.count(b"\n", written)

    def flush(self) -> None:
        """
        Do nothing, as nothing is buffered.
        """

    def _write_locked(self, data: bytes) -> int:
        """
        Write what `_write_chunks` writes, and no line into one of another process.
        """
        if self.lock is None:
            return self._write_chunks(data)
        self._lock_is_stuck = not self.lock.acquire(WRITE_TIMEOUT_MS / 1000)
        if self._lock_is_stuck:
            return 0
        try:
            return self._write_chunks(data)
        finally:
            self.lock.release()

    def _may_write(self) -> bool:
        """
        Whether no other process holds the lock any more, for which a line has waited in vain.
        """
        if self._lock_is_stuck and self.lock is not None and self.lock.acquire(0):
            self.lock.release()
            self._lock_is_stuck = False
        return not self._lock_is_stuck

    def _write_chunks(self, data: bytes) -> int:
        """
        Write as many bytes as there is room for within `WRITE_TIMEOUT_MS`, and return their number.
        """
        deadline = monotonic() + WRITE_TIMEOUT_MS / 1000
        if self._has_partial_line():
            if not self._write_chunk(b"\n", deadline):
                return 0
            self._note_partial_line(False)
        for start in range(0, len(data), CHUNK_BYTES):
            if not self._write_chunk(data[start : start + CHUNK_BYTES], deadline):
                self._note_partial_line(start > 0 and not data.endswith(b"\n", 0, start))
                return start
        return len(data)

    def _has_partial_line(self) -> bool:
        return self._line_is_partial if self.lock is None else self.lock.has_partial_line()

    def _note_partial_line(self, partial: bool) -> None:
        if self.lock is None:
            self._line_is_partial = partial
        else:
            self.lock.note_partial_line(partial)

    def _write_chunk(self, chunk: bytes, deadline: float) -> bool:
        if not self._has_room() and not self._has_room(max(0, int((deadline - monotonic()) * 1000))):
            return False
        try:
            os.write(self.descriptor, chunk)
        except OSError:  # the reader is gone, or the disk is full
            return False
        return True

    def _has_room(self, patience: int = 0) -> bool:
        return bool(self._room.poll(patience))
