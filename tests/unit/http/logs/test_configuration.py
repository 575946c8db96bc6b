"""
The log of a process as it is read.
"""

import asyncio
import io
import json
import logging
import warnings

import pytest

from mission_http.logs.configuration import OWN_LOGGERS, configure_logging
from mission_http.logs.settings import LogSettings
from tests.unit.http.platform.sample_app import ask, sample_app

KEY = "mca_" + "0123456789abcdef" * 3
NAMES = [None, *OWN_LOGGERS]


@pytest.fixture
def written():
    """
    A file to log to; afterwards the log is as it was.
    """
    kept = [(logging.getLogger(name), logging.getLogger(name).level) for name in NAMES]
    handlers = logging.getLogger().handlers[:]
    yield io.StringIO()
    logging.captureWarnings(False)
    logging.getLogger().handlers[:] = handlers
    for logger, level in kept:
        logger.setLevel(level)


def lines_of(file):
    return [json.loads(line) for line in file.getvalue().splitlines()]


async def test_a_failure_and_its_request_are_told_under_one_id(written):
    """
    The failure with its traceback, whichever way it came to the log.
    """
    log = configure_logging(LogSettings(as_json=True, utc=True), file=written)
    app = sample_app(log=log)
    await ask(app, "GET", f"/api/broken?token={KEY}", x_request_id="one", authorization=f"Bearer {KEY}")
    log.flush()
    failure, request = lines_of(written)

    assert ["one", "one"] == [failure["request_id"], request["request_id"]]
    assert ("error", "mission_http") == (failure["level"], failure["logger"])
    assert failure["exception"].startswith("Traceback (most recent call last):\n")
    assert failure["exception"].endswith("ZeroDivisionError: the secret is 42")
    assert {
        "event": "request", "level": "info", "logger": "mission_http.requests", "method": "GET",
        "path": "/api/broken", "status": 500, "client": "127.0.0.1",
    }.items() <= request.items()  # fmt: skip
    assert KEY not in written.getvalue()


def test_whoever_logs_is_told_in_the_same_way(written):
    """
    The server below us, the event loop, drivers, and Python's own warnings.
    """
    configure_logging(LogSettings(as_json=True), file=written)
    for name in ("uvicorn.error", "asyncio", "anybody.else"):
        logging.getLogger(name).warning("it is %s", "late", extra={"color_message": "\x1b[1m", "by": 5})
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", FutureWarning, stacklevel=1)
    *told, warning = lines_of(written)

    assert [("it is late", "warning", name, 5) for name in ("uvicorn.error", "asyncio", "anybody.else")] == [
        (each["event"], each["level"], each["logger"], each["by"]) for each in told
    ]
    assert all("color_message" not in each and "timestamp" in each for each in told)
    assert ("py.warnings", True) == (warning["logger"], "FutureWarning: old" in warning["event"])


@pytest.mark.parametrize(
    ("level", "ours", "others"), [(5, 5, 20), (10, 10, 20), (20, 20, 30), (30, 30, 30), (40, 40, 40), (25, 25, 30)]
)
def test_others_are_heard_when_it_matters(written, level, ours, others):
    """
    Drivers repeat whole statements with all values when they debug.
    """
    configure_logging(LogSettings(as_json=True, level=level), file=written)
    for number in (5, 10, 20, 25, 30, 40):
        logging.getLogger("mission_adapters.sql").log(number, "ours")
        logging.getLogger("aiosqlite").log(number, "others")
    events = [each["event"] for each in lines_of(written)]

    assert [sum(number >= least for number in (5, 10, 20, 25, 30, 40)) for least in (ours, others)] == [
        events.count("ours"), events.count("others"),
    ]  # fmt: skip


def test_the_choices_reach_the_requests(written):
    log = configure_logging(LogSettings(slow_ms=250, health=True, level=25), file=written)

    assert (0.25, True, 25) == (log.slow, log.health, log.level)


async def test_no_secret_is_told_of_a_request(written):
    """
    Whether it looks like one or is known to be one, wherever the caller put it.
    """
    log = configure_logging(LogSettings(), secrets=["open sesame"], file=written)
    app = sample_app(log=log)
    await ask(app, "GET", f"/api/{KEY}/open sesame", x_request_id=f"{KEY} open sesame", key="open sesame")
    log.flush()
    line = written.getvalue()

    assert "path=/api/[secret]/[secret]" in line
    assert 'request_id="[secret] [secret]"' in line
    assert "sesame" not in line


def test_no_known_secret_is_told_by_anybody(written):
    """
    Not even in a traceback.
    """
    configure_logging(LogSettings(), secrets=["open sesame"], file=written)
    try:
        raise ValueError("no connection with open sesame")
    except ValueError:
        logging.getLogger("asyncpg").exception("failed with %r", {"password": "open sesame"})

    assert "ValueError: no connection with [secret]" in written.getvalue()
    assert "sesame" not in written.getvalue()


async def test_requests_at_the_same_time_keep_their_ids(written):
    """
    What is logged for one is told under its id, while the others go on.
    """
    log = configure_logging(LogSettings(as_json=True), file=written)
    app = sample_app(log=log)
    ids = [f"request {number}" for number in range(20)]
    await asyncio.gather(*(ask(app, "GET", "/api/broken", x_request_id=each) for each in ids))
    log.flush()
    told = lines_of(written)

    assert sorted(ids * 2) == sorted(each["request_id"] for each in told)


def test_setting_up_again_tells_nothing_twice(written):
    for _ in range(3):
        configure_logging(LogSettings(as_json=True), file=written)
    logging.getLogger("mission_http").warning("once")

    assert ["once"] == [each["event"] for each in lines_of(written)]
