"""
Log records as lines.
"""

import json
import logging
from datetime import UTC, datetime

import pytest

from mission_http.logs.line_formatter import LineFormatter
from mission_http.logs.redaction import REPLACEMENT, SecretRedactor
from mission_http.platform.exchange import REQUEST_ID

KEY = "mca_" + "0123456789abcdef" * 3


def formatted(as_json: bool = True, worker: int | None = None, **extra: object) -> str:
    formatter = LineFormatter(lambda _: "T", SecretRedactor.of([]), as_json=as_json, worker=worker)
    return formatter.format(logging.makeLogRecord({"name": "n", "levelname": "INFO", "msg": "told", **extra}))


def test_a_line_has_the_extra_values_of_its_record_and_no_more() -> None:
    """
    A value that JSON does not know is shown as Python shows it.
    """
    at = datetime(2026, 1, 1, tzinfo=UTC)

    assert {
        "event": "told",
        "level": "info",
        "logger": "n",
        "timestamp": "T",
        "count": 3,
        "at": repr(at),
    } == json.loads(formatted(count=3, at=at, color_message="colored"))
    assert "T info     n: told count=3 worker=2" == formatted(as_json=False, worker=2, count=3)


def test_a_line_tells_for_which_request_it_is() -> None:
    """
    Unless it is for none, or says so itself.
    """
    outside = json.loads(formatted())
    token = REQUEST_ID.set("one")
    inside, own = json.loads(formatted()), json.loads(formatted(request_id="other"))
    REQUEST_ID.reset(token)

    assert (None, "one", "other") == tuple(each.get("request_id") for each in (outside, inside, own))


@pytest.mark.parametrize("as_json", [True, False])
def test_no_part_of_a_line_shows_a_secret(as_json: bool) -> None:
    """
    Neither the message nor a value, a traceback or a stack.
    """
    try:
        raise ValueError(KEY)
    except ValueError as error:
        raised = (type(error), error, error.__traceback__)
    line = formatted(as_json, msg=f"got {KEY}", value=KEY, exc_info=raised, stack_info=f"Stack:\n  {KEY}")

    assert KEY not in line
    assert 4 == line.count(REPLACEMENT)
