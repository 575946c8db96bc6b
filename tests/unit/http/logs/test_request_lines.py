"""
Lines of requests are written in batches, and none is lost.
"""

import asyncio
import io
import json
import logging
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_http.logs import request_lines
from mission_http.logs.log_stream import LogStream
from mission_http.logs.redaction import SecretRedactor
from mission_http.logs.request_lines import BATCH_SECONDS, MAX_BATCH, BatchingHandler, RequestLineRenderer
from mission_http.platform.request_logs import RequestLine

KEY = "mca_" + "0123456789abcdef" * 3


def line(path="/", *, is_slow=False, method="GET", status=200, duration=1.5, client="::1", request_id="one"):
    return RequestLine(1.0, is_slow, method, path, status, duration, client, request_id)


def paths(lines):
    return "".join(f"{each.path}\n" for each in lines)


@pytest.fixture
def written():
    return io.StringIO()


def render(*lines, as_json=False):
    return RequestLineRenderer("T{:g}".format, SecretRedactor.of(["open sesame"]), as_json)(lines)


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (line(), "T1 info     mission_http.requests: request method=GET path=/ status=200 duration_ms=1.5 client=::1 "
         "request_id=one\n"),
        (line(is_slow=True, status=None), "T1 warning  mission_http.requests: slow_request method=GET path=/ status=- "
         "duration_ms=1.5 client=::1 request_id=one\n"),
        (line("/a b\n\x1b", client="fe80::1%eth0", request_id="a=b"), "T1 info     mission_http.requests: request "
         'method=GET path="/a b\\n\\u001b" status=200 duration_ms=1.5 client=fe80::1%eth0 request_id="a=b"\n'),
        (line(f"/{KEY}", method=KEY, request_id="open sesame"), "T1 info     mission_http.requests: request "
         "method=[secret] path=/[secret] status=200 duration_ms=1.5 client=::1 request_id=[secret]\n"),
    ],
)  # fmt: skip
def test_lines_are_text(told, text):
    assert text == render(told)


def test_lines_are_json():
    told = render(line("/Zo\xeb"), line(f"/{KEY}", is_slow=True, status=None), as_json=True).splitlines()
    start = '{"logger": "mission_http.requests", "method": "GET", "path": '

    assert [
        start + r'"/Zo\u00eb", "status": 200, "duration_ms": 1.5, "client": "::1", "request_id": "one", '
        '"event": "request", "level": "info", "timestamp": "T1"}',
        start + '"/[secret]", "status": null, "duration_ms": 1.5, "client": "::1", "request_id": "one", '
        '"event": "slow_request", "level": "warning", "timestamp": "T1"}',
    ] == told
    assert all(map(json.loads, told))


@given(path=st.text(), client=st.text(), duration=st.floats(0, 1e9).map(lambda value: round(value, 1)))
def test_lines_are_the_json_that_python_writes(path, client, duration):
    told = RequestLineRenderer("T{:g}".format, SecretRedactor.of([]), as_json=True, worker=2)
    (text, end) = told([line(path, client=client, duration=duration)]).split("\n")

    assert (json.dumps(json.loads(text)), "") == (text, end)
    assert {"path": path, "client": client, "worker": 2}.items() <= json.loads(text).items()


async def test_lines_of_requests_wait_for_one_wake_up(written, monkeypatch):
    monkeypatch.setattr(request_lines, "BATCH_SECONDS", 0)
    batches = asyncio.Queue()
    handler = BatchingHandler(written, lambda lines: batches.put_nowait([each.path for each in lines]) or "")
    for number in range(10):
        handler.add(line(f"/{number}"))
    early = batches.qsize()
    async with asyncio.timeout(30):
        first = await batches.get()
        handler.add(line("/late"))
        second = await batches.get()

    assert (0, [f"/{number}" for number in range(10)], ["/late"]) == (early, first, second)


async def test_a_batch_has_a_largest_size(written):
    handler = BatchingHandler(written, paths)
    for number in range(2 * MAX_BATCH + 1):
        handler.add(line(f"/{number}"))

    assert [f"/{number}" for number in range(2 * MAX_BATCH)] == written.getvalue().splitlines()


async def test_a_record_comes_after_the_requests_before_it(written):
    """
    Also one from another thread.
    """
    handler = BatchingHandler(written, paths)
    logger = logging.Logger("test")
    logger.addHandler(handler)
    handler.add(line("/1"))
    await asyncio.to_thread(logger.warning, "two")
    handler.add(line("/3"))
    logger.warning("four")
    handler.add(line("/5"))
    handler.flush()

    assert ["/1", "two", "/3", "four", "/5"] == written.getvalue().splitlines()


async def test_what_nobody_reads_is_counted_by_lines(caplog):
    """
    A batch may end in the middle of a line, which is dropped with the rest of the batch.
    """
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(writing, "w") as file, os.fdopen(reading) as reader:
        handler = BatchingHandler(LogStream.over(file), paths)
        for number in range(4 * MAX_BATCH):
            handler.add(line(f"/{number:0>98}"))
        lost = handler.stream.dropped_lines
        early = reader.read()
        with caplog.at_level(logging.WARNING, "mission_http"):
            handler.add(line("/late"))
            handler.flush()
        late = reader.read()

    whole = 4 * MAX_BATCH - lost
    assert 0 < lost < 4 * MAX_BATCH
    assert early.startswith("".join(f"/{number:0>98}\n" for number in range(whole)))
    assert "\n" not in early[whole * 100 :]
    assert "/late" == late.splitlines()[-1]
    assert [f"log_lines_dropped lines={lost}"] == caplog.messages


def test_a_process_that_ends_writes_the_waiting_lines():
    """
    Long before they would be due.
    """
    code = f"""
import asyncio
from mission_http.logs import request_lines
from mission_http.logs.configuration import configure_logging
from mission_http.logs.settings import LogSettings
from mission_http.platform.request_logs import RequestLine
request_lines.BATCH_SECONDS = 1000
log = configure_logging(LogSettings())
async def main():
    for number in range(3):
        log.add(RequestLine(1.0, False, "GET", f"/{{number}}", 200, {BATCH_SECONDS}, "::1", "one"))
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert ["path=/0", "path=/1", "path=/2"] == [each.split()[5] for each in done.stderr.splitlines()]
