"""
The parts of a log line: its timestamp, and its text from the values of the event.
"""

from __future__ import annotations

import json
import re
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, Final

from attrs import field

from mission_core.lazy_attrs import define

EventDict = MutableMapping[str, Any]

_unquoted_value: Final = re.compile(r"[\w./:@,+-]+", re.ASCII)
_needs_quotes: Final = re.compile(r"[\s=\"'\\]|^$")


@define(eq=False)
class Timestamps:
    """
    Timestamps in UTC or local time. Their text, except for the milliseconds, is cached for one second.
    """

    utc: bool
    _second: int = field(default=-1, init=False)
    _parts: tuple[str, str] = field(default=("", ""), init=False)

    def text_of(self, at: float) -> str:
        """
        The timestamp of a moment in Unix seconds.
        """
        second, milliseconds = divmod(int(at * 1000), 1000)
        if second != self._second:
            moment = datetime.fromtimestamp(second, UTC)
            zoned = moment if self.utc else moment.astimezone()
            self._second, self._parts = second, (zoned.isoformat()[:19], "Z" if self.utc else zoned.isoformat()[19:])
        before, after = self._parts
        return f"{before}.{milliseconds:03}{after}"


def render_text(told: EventDict) -> str:
    """
    Format an event as one line of text: timestamp, level, logger, event and `name=value` pairs, then the traceback.

    Control characters in values are escaped, so no value can begin another line or move the cursor.
    """
    below = [line for name in ("exception", "stack") for line in str(told.pop(name, "")).splitlines()]
    moment, level, logger, event = told.pop("timestamp"), told.pop("level"), told.pop("logger"), told.pop("event")
    facts = "".join([f" {name}={text_value(value)}" for name, value in told.items()])
    return "\n".join([f"{moment} {level:<8} {logger}: {_printable(str(event))}{facts}", *map(_printable, below)])


def text_value(value: Any) -> str:
    """
    Format a value for a line of text, in quotation marks if it needs them.
    """
    text = "-" if value is None else str(value)
    if _unquoted_value.fullmatch(text):
        return text
    return text if text.isprintable() and not _needs_quotes.search(text) else _escaped(text)


def _printable(line: str) -> str:
    return line if line.isprintable() else _escaped(line)[1:-1]


def _escaped(text: str) -> str:
    return json.dumps(text).replace("\x7f", "\\u007f")
