"""
The formatter of log records: one structured line for each, as text or JSON.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from time import time
from typing import Final

from mission_http.logs.line_text import EventDict, render_text
from mission_http.logs.redaction import SecretRedactor
from mission_http.platform.exchange import REQUEST_ID

RECORD_ATTRIBUTES: Final = frozenset(
    {
        *vars(logging.makeLogRecord({})), "message", "asctime", "taskName",
        "color_message",  # a colored copy of the message, which uvicorn adds
    }
)  # fmt: skip
"""The attributes of a record that are not keys of its line."""


class LineFormatter(logging.Formatter):
    """
    Formats a record with its `extra` values, the id of the request that is being handled, and its traceback.
    """

    def __init__(
        self, timestamp: Callable[[float], str], redactor: SecretRedactor, *, as_json: bool, worker: int | None = None
    ) -> None:
        super().__init__()
        self._timestamp = timestamp
        self._redactor = redactor
        self._as_json = as_json
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        told: EventDict = {"event": record.getMessage()}
        told.update((name, value) for name, value in vars(record).items() if name not in RECORD_ATTRIBUTES)
        told.update(level=record.levelname.lower(), logger=record.name)
        if (request_id := REQUEST_ID.get()) is not None:
            told.setdefault("request_id", request_id)
        if self._worker is not None:
            told["worker"] = self._worker
        told["timestamp"] = self._timestamp(time())
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            told["stack"] = record.stack_info
        told = self._redactor.redact_event(told)
        return json.dumps(told, default=repr) if self._as_json else render_text(told)
