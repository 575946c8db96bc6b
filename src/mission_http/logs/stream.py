"""
Where the log is written: a stream that may be slow, or that nobody reads any more.
"""

from __future__ import annotations

import logging
import os
import select
from typing import Final, Self, TextIO

from attrs import define, field

PATIENCE: Final = 250
"""For how many milliseconds a full stream is waited for, once."""
AT_ONCE: Final = getattr(select, "PIPE_BUF", 512)
"""How many bytes a stream with room takes without a pause."""
logger = logging.getLogger("mission_http")


@define(eq=False)
class LogStream:
    """
    A stream that never stops the server: while nobody reads what was written, lines are left out. How many is told as
    soon as there is room again.
    """

    file: TextIO
    descriptor: int
    left_out: int = field(default=0, init=False)
    _cut: bool = field(default=False, init=False)
    _room: select.poll = field(factory=lambda: select.poll(), init=False)

    def __attrs_post_init__(self) -> None:
        self._room.register(self.descriptor, select.POLLOUT)

    @classmethod
    def over(cls, file: TextIO) -> Self | TextIO:
        """
        A stream over this file; the file itself where nobody can ask whether there is room.
        """
        try:
            return cls(file, file.fileno()) if hasattr(select, "poll") else file
        except OSError:
            return file

    def write(self, text: str) -> None:
        """
        Write whole lines, or leave them out.
        """
        if self.left_out and self._has_room():
            lost, self.left_out = self.left_out, 0
            logger.warning("%d lines of the log were left out, for nobody read them", lost)
        if self.left_out or not self._put(f"\n{text}" if self._cut else text):
            self.left_out += 1

    def flush(self) -> None:
        """
        Nothing was kept back.
        """

    def _put(self, text: str) -> bool:
        data = text.encode(self.file.encoding or "utf-8", "backslashreplace")
        for start in range(0, len(data), AT_ONCE):
            self._cut = start > 0
            if not self._has_room(PATIENCE):
                return False
            try:
                os.write(self.descriptor, data[start : start + AT_ONCE])
            except OSError:  # the reader is gone, or the disk is full
                return False
        self._cut = False
        return True

    def _has_room(self, patience: int = 0) -> bool:
        return bool(self._room.poll(patience))
