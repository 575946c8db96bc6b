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

from mission_http.logs.lines import Moments, as_text, with_request_id, without_color
from mission_http.logs.scrubbing import Scrubber
from mission_http.logs.settings import Logs
from mission_http.logs.stream import LogStream
from mission_http.platform.request_logs import RequestLog

OURS: Final = ("mission_core", "mission_adapters", "mission_http")
KNOWN: Final = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)
REQUESTS: Final = "mission_http.requests"


def set_up(logs: Logs, *, secrets: Iterable[str] = (), file: TextIO | None = None) -> RequestLog:
    """
    Configure structlog and the root logger to write to this file, by default standard error.

    Other libraries are logged from `WARNING`, or from `INFO` if the configured level is lower: database drivers log
    statements with their values at `DEBUG`.

    Returns:
        The log of requests, which bypasses the standard library's logging for speed.
    """
    stream = cast(TextIO, LogStream.over(file or sys.stderr))
    scrubber = Scrubber.of(secrets)
    moment = Moments(logs.utc)
    show: Processor = structlog.processors.JSONRenderer() if logs.as_json else as_text
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=(ExtraAdder(), add_log_level, add_logger_name),
            processors=(
                ProcessorFormatter.remove_processors_meta, without_color, with_request_id, moment,
                structlog.processors.StackInfoRenderer(), structlog.processors.format_exc_info,
                scrubber.everywhere, show,
            ),
        )
    )  # fmt: skip
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logs.level, logging.WARNING if logs.level >= logging.INFO else logging.INFO))
    for name in OURS:
        logging.getLogger(name).setLevel(logs.level)
    logging.captureWarnings(True)
    lines = structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=(add_log_level, moment, scrubber.in_requests, show),
        wrapper_class=structlog.make_filtering_bound_logger(_as_known(logs.level)),
        context_class=dict,
    )
    return RequestLog(lines=lines.bind(logger=REQUESTS), slow=logs.slow_ms / 1000, health=logs.health)


def _as_known(level: int) -> int:
    """
    The lowest level of structlog that is not below this one.
    """
    return min((each for each in KNOWN if each >= level), default=logging.CRITICAL)
