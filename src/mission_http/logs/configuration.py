"""
Configuration of logging for a server process. An embedded application leaves logging to its host.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import Final, TextIO, cast

from mission_http.logs.line_formatter import LineFormatter
from mission_http.logs.line_locks import LineLock
from mission_http.logs.line_text import Timestamps
from mission_http.logs.log_stream import LogStream
from mission_http.logs.redaction import SecretRedactor
from mission_http.logs.request_lines import BatchingHandler, RequestLineRenderer
from mission_http.logs.settings import LogSettings
from mission_http.platform.request_logs import RequestLog

OWN_LOGGERS: Final = ("mission_core", "mission_adapters", "mission_http")


def configure_logging(
    logs: LogSettings,
    *,
    secrets: Iterable[str] = (),
    file: TextIO | None = None,
    lock: LineLock | None = None,
    worker: int | None = None,
) -> RequestLog:
    """
    Configure the root logger to write to this file, by default standard error.

    Other libraries are logged from `WARNING`, or from `INFO` if the configured level is lower: database drivers log
    statements with their values at `DEBUG`.

    Args:
        lock: The lock of processes that write to the same file.
        worker: The number of this worker process, which each line tells.

    Returns:
        The log of requests, which bypasses the standard library's records for speed.
    """
    stream = cast(TextIO, LogStream.over(file or sys.stderr, lock))
    redactor = SecretRedactor.of(secrets)
    timestamp = Timestamps(logs.utc).text_of
    handler = BatchingHandler(stream, RequestLineRenderer(timestamp, redactor, logs.as_json, worker))
    handler.setFormatter(LineFormatter(timestamp, redactor, as_json=logs.as_json, worker=worker))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logs.level, logging.WARNING if logs.level >= logging.INFO else logging.INFO))
    for name in OWN_LOGGERS:
        logging.getLogger(name).setLevel(logs.level)
    logging.captureWarnings(True)
    return RequestLog(
        add=handler.add, flush=handler.flush, slow=logs.slow_ms / 1000, health=logs.health, level=logs.level
    )
