"""
What is told of requests.
"""

import time

import pytest

from mission_http.network_settings import NetworkSettings
from mission_http.platform.exchange import REQUEST_ID, Exchange
from mission_http.platform.request_logs import MAX_PATH_LENGTH, RequestLog
from tests.unit.http.platform.sample_app import ask, sample_app


def tell(*, path="/api/things", waited=0.0, **choices):
    """
    The lines that are logged of a request.
    """
    told = []
    exchange = Exchange("one", client="9.9.9.9")
    exchange.status = 200
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"token=sesame"}
    RequestLog(add=told.append, **choices).write(scope, exchange, waited=waited, took=2.00049)
    return told


def test_a_line_tells_what_was_asked_what_came_of_it_and_who_asked():
    """
    And when. Nothing of the query, for secrets may stand there.
    """
    before = time.time()
    (line,) = tell()

    assert (False, "GET", "/api/things", 200, 2000.5, "9.9.9.9", "one") == line[1:]
    assert before <= line.at <= time.time()


@pytest.mark.parametrize(
    ("slow", "waited", "is_slow"), [(1.0, 0.99, False), (1.0, 1.0, True), (0, 60.0, False), (0.01, 0.02, True)]
)
def test_a_request_that_waits_for_long_is_slow(slow, waited, is_slow):
    """
    For its answer to begin; a stream may last.
    """
    (line,) = tell(slow=slow, waited=waited)

    assert is_slow == line.is_slow


@pytest.mark.parametrize(("level", "told"), [(5, [1, 1]), (20, [1, 1]), (25, [0, 1]), (30, [0, 1]), (40, [0, 0])])
def test_slow_requests_are_warnings_and_others_are_information(level, told):
    assert told == [len(tell(level=level, waited=waited)) for waited in (0.0, 2.0)]


@pytest.mark.parametrize("path", ["/health", "/healthz", "/readyz", "/api/health"])
def test_health_is_told_only_where_it_is_wanted_or_slow(path):
    """
    Probes ask every few seconds.
    """
    assert [0, 1, 1] == [len(tell(path=path, **more)) for more in ({}, {"health": True}, {"slow": 1.0, "waited": 2.0})]


def test_a_path_is_told_up_to_a_length():
    (line,) = tell(path="/" + "x" * 60_000)

    assert MAX_PATH_LENGTH == len(line.path)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/things/special", 200), ("GET", "/api/v1/nowhere", 404), ("DELETE", "/api/things", 405),
        ("GET", "/api/broken", 500), ("GET", "/api/v1/things/", 308), ("HEAD", "/api/things/special", 200),
    ],
)  # fmt: skip
async def test_every_request_is_told_once_however_it_ends(method, path, status):
    told = []
    await ask(sample_app(log=RequestLog(add=told.append)), method, path, x_request_id="one", peer="9.9.9.9")
    (line,) = told

    assert (False, method, path, status, "9.9.9.9", "one") == (*line[1:5], *line[6:])
    assert 0 <= line.duration_ms < 60_000


async def test_a_refused_host_and_a_failed_stream_are_told_too():
    told = []
    app = sample_app(fronting=NetworkSettings(allowed_hosts=("here",)), log=RequestLog(add=told.append))
    await ask(app, "GET", "/api/things", host="there")
    with pytest.raises(ZeroDivisionError):
        await ask(app, "GET", "/api/stream", host="here")

    assert [403, 200] == [line.status for line in told]


async def test_a_client_that_leaves_has_no_status():
    told = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        raise AssertionError(message)

    scope = {"type": "http", "method": "POST", "path": "/api/v1/sealed", "headers": [], "query_string": b""}
    await sample_app(log=RequestLog(add=told.append))(scope, receive, send)

    assert [None] == [line.status for line in told]


async def test_the_id_is_forgotten_after_the_request():
    """
    What is logged afterwards is not about it.
    """
    await ask(sample_app(), "GET", "/healthz", x_request_id="one")

    assert REQUEST_ID.get() is None
