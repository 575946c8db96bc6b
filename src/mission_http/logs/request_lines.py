"""
The lines of the request log: collected while requests are answered, and rendered and written in batches.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from json.encoder import encode_basestring_ascii as json_text
from typing import Final, TextIO

from mission_core.lazy_attrs import frozen
from mission_http.logs.line_text import text_value
from mission_http.logs.redaction import SecretRedactor
from mission_http.platform.request_logs import RequestLine

REQUEST_LOGGER: Final = "mission_http.requests"
BATCH_SECONDS: Final = 0.1
"""Seconds until the first line of a batch is written."""
EVENTS: Final = (("request", "info"), ("slow_request", "warning"))
"""The event and the level of a line: of a request, and of a slow one."""
MAX_BATCH: Final = 500
"""The number of lines that are written at once without waiting longer."""


class BatchingHandler(logging.StreamHandler[TextIO]):
    """
    A log handler that writes records at once, and lines of requests in batches, all in the order in which they came.

    A record writes the waiting lines first. So does `flush`, which `logging` calls when the process ends.
    """

    def __init__(self, stream: TextIO, render: Callable[[Sequence[RequestLine]], str]) -> None:
        super().__init__(stream)
        self._render = render
        self._waiting = deque[RequestLine]()

    def add(self, line: RequestLine) -> None:
        """
        Take a line of a request. It is written within `BATCH_SECONDS`, while the event loop runs.
        """
        self._waiting.append(line)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_later(BATCH_SECONDS, self.flush)
        elif len(self._waiting) >= MAX_BATCH:
            self.flush()

    def emit(self, record: logging.LogRecord) -> None:
        self._write_waiting()
        super().emit(record)

    def flush(self) -> None:
        # The lock keeps the order: records may come from other threads.
        self.acquire()
        try:
            self._write_waiting()
            super().flush()
        finally:
            self.release()

    def _write_waiting(self) -> None:
        lines = []
        while self._waiting:
            lines.append(self._waiting.popleft())
        if lines:
            self.stream.write(self._render(lines))


@frozen
class RequestLineRenderer:
    """
    Renders lines of requests as text or JSON, as the formatter of log records does.
    """

    timestamp: Callable[[float], str]
    redactor: SecretRedactor
    as_json: bool
    worker: int | None = None
    """The number of this worker process, if there are several."""

    def __call__(self, lines: Sequence[RequestLine]) -> str:
        render = self._json if self.as_json else self._text
        return "".join([f"{render(line)}\n" for line in self._redacted(lines)])

    def _redacted(self, lines: Sequence[RequestLine]) -> Iterable[RequestLine]:
        """
        Replace secrets: only three values of a line come from the client.
        """
        redact = self.redactor.redact_tokens
        told = "\n".join([f"{line.method}\n{line.path}\n{line.request_id}" for line in lines])
        if redact(told) == told:  # one search instead of three for each line
            return lines
        return [
            line._replace(method=redact(line.method), path=redact(line.path), request_id=redact(line.request_id))
            for line in lines
        ]

    def _text(self, line: RequestLine) -> str:
        at, is_slow, method, path, status, duration, client, request_id = line
        event, level = EVENTS[is_slow]
        return (
            f"{self.timestamp(at)} {level:<8} {REQUEST_LOGGER}: {event} method={text_value(method)}"
            f" path={text_value(path)} status={'-' if status is None else status} duration_ms={duration}"
            f" client={text_value(client)} request_id={text_value(request_id)}"
            f"{'' if self.worker is None else f' worker={self.worker}'}"
        )

    def _json(self, line: RequestLine) -> str:
        at, is_slow, method, path, status, duration, client, request_id = line
        event, level = EVENTS[is_slow]
        worker = "" if self.worker is None else f', "worker": {self.worker}'
        # As `json.dumps` writes it, which takes longer.
        return (
            f'{{"logger": "{REQUEST_LOGGER}", "method": {json_text(method)}, "path": {json_text(path)}'
            f', "status": {"null" if status is None else status}, "duration_ms": {duration}'
            f', "client": {json_text(client)}, "request_id": {json_text(request_id)}, "event": "{event}"'
            f', "level": "{level}", "timestamp": "{self.timestamp(at)}"'
            f"{worker}}}"
        )
