"""
How a line of the log looks: processors of structlog, each a function of what is told so far.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from time import time
from typing import Any, Final

from attrs import define, field

from mission_http.platform.exchange import REQUEST_ID

Told = MutableMapping[str, Any]

_plain: Final = re.compile(r"[\w./:@,+-]+", re.ASCII)
_needs_quotes: Final = re.compile(r"[\s=\"'\\]|^$")


def with_request_id(_: object, __: str, told: Told) -> Told:
    """
    Tell for which request it happened, if it was for one.
    """
    request_id = REQUEST_ID.get()
    if request_id is not None:
        told.setdefault("request_id", request_id)
    return told


@define(eq=False)
class Moments:
    """
    Tells when it happened, in UTC or in the machine's zone. All but the milliseconds is kept for a second.
    """

    utc: bool
    now: Callable[[], float] = time
    _second: int = field(default=-1, init=False)
    _parts: tuple[str, str] = field(default=("", ""), init=False)

    def __call__(self, _: object, __: str, told: Told) -> Told:
        second, milliseconds = divmod(int(self.now() * 1000), 1000)
        if second != self._second:
            moment = datetime.fromtimestamp(second, UTC)
            zoned = moment if self.utc else moment.astimezone()
            self._second, self._parts = second, (zoned.isoformat()[:19], "Z" if self.utc else zoned.isoformat()[19:])
        before, after = self._parts
        told["timestamp"] = f"{before}.{milliseconds:03}{after}"
        return told


def without_color(_: object, __: str, told: Told) -> Told:
    """
    Leave out what uvicorn says a second time with colors.
    """
    told.pop("color_message", None)
    return told


def as_text(_: object, __: str, told: Told) -> str:
    """
    A line for people: when, how bad, where, what, and facts as `name=value`; below it the traceback, if there is one.

    Nothing in it can begin another line or move the cursor, whoever chose the values.
    """
    below = [line for name in ("exception", "stack") for line in str(told.pop(name, "")).splitlines()]
    moment, level, logger, event = told.pop("timestamp"), told.pop("level"), told.pop("logger"), told.pop("event")
    facts = "".join([f" {name}={_value(value)}" for name, value in told.items()])
    return "\n".join([f"{moment} {level:<8} {logger}: {_printable(str(event))}{facts}", *map(_printable, below)])


def _value(value: Any) -> str:
    text = "-" if value is None else str(value)
    if _plain.fullmatch(text):
        return text
    return text if text.isprintable() and not _needs_quotes.search(text) else _escaped(text)


def _printable(line: str) -> str:
    return line if line.isprintable() else _escaped(line)[1:-1]


def _escaped(text: str) -> str:
    return json.dumps(text).replace("\x7f", "\\u007f")
