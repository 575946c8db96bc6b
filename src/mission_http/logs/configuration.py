"""
Configuration of logging for a server process. An embedded application leaves logging to its host.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import Final, TextIO, cast

import structlog
from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level, add_logger_name
from structlog.typing import Processor

from mission_http.logs.log_stream import LogStream
from mission_http.logs.processors import TimestampProcessor, add_request_id, drop_color_message, render_text
from mission_http.logs.redaction import SecretRedactor
from mission_http.logs.settings import LogSettings
from mission_http.platform.request_logs import RequestLog

OWN_LOGGERS: Final = ("mission_core", "mission_adapters", "mission_http")
STRUCTLOG_LEVELS: Final = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)
REQUEST_LOGGER: Final = "mission_http.requests"


def configure_logging(logs: LogSettings, *, secrets: Iterable[str] = (), file: TextIO | None = None) -> RequestLog:
    """
    Configure structlog and the root logger to write to this file, by default standard error.

    Other libraries are logged from `WARNING`, or from `INFO` if the configured level is lower: database drivers log
    statements with their values at `DEBUG`.

    Returns:
        The log of requests, which bypasses the standard library's logging for speed.
    """
    stream = cast(TextIO, LogStream.over(file or sys.stderr))
    scrubber = SecretRedactor.of(secrets)
    moment = TimestampProcessor(logs.utc)
    show: Processor = structlog.processors.JSONRenderer() if logs.as_json else render_text
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=(ExtraAdder(), add_log_level, add_logger_name),
            processors=(
                ProcessorFormatter.remove_processors_meta, drop_color_message, add_request_id, moment,
                structlog.processors.StackInfoRenderer(), structlog.processors.format_exc_info,
                scrubber.redact_event, show,
            ),
        )
    )  # fmt: skip
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logs.level, logging.WARNING if logs.level >= logging.INFO else logging.INFO))
    for name in OWN_LOGGERS:
        logging.getLogger(name).setLevel(logs.level)
    logging.captureWarnings(True)
    lines = structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=(add_log_level, moment, scrubber.redact_request_event, show),
        wrapper_class=structlog.make_filtering_bound_logger(_structlog_level(logs.level)),
        context_class=dict,
    )
    return RequestLog(logger=lines.bind(logger=REQUEST_LOGGER), slow=logs.slow_ms / 1000, health=logs.health)


def _structlog_level(level: int) -> int:
    """
    The lowest level of structlog that is not below this one.
    """
    return min((each for each in STRUCTLOG_LEVELS if each >= level), default=logging.CRITICAL)
