"""
What is told of requests.
"""

import pytest
from attrs import define, field

from mission_http.network_settings import NetworkSettings
from mission_http.platform.exchange import REQUEST_ID, Exchange
from mission_http.platform.request_logs import MAX_PATH_LENGTH, RequestLog
from tests.unit.http.platform.sample_app import ask, sample_app


@define
class Told:
    """
    Keeps what it is told.
    """

    lines: list = field(factory=list)

    def info(self, event, **facts):
        self.lines.append(("info", event, facts))

    def warning(self, event, **facts):
        self.lines.append(("warning", event, facts))


def tell(told, *, path="/api/things", waited=0.0, **choices):
    exchange = Exchange("one", client="9.9.9.9")
    exchange.status = 200
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"token=sesame"}
    RequestLog(logger=told, **choices).write(scope, exchange, waited=waited, took=2.00049)
    return told.lines


def test_a_line_tells_what_was_asked_what_came_of_it_and_who_asked():
    """
    Nothing of the query, for secrets may stand there.
    """
    facts = {
        "method": "GET", "path": "/api/things", "status": 200, "duration_ms": 2000.5, "client": "9.9.9.9",
        "request_id": "one",
    }  # fmt: skip

    assert [("info", "request", facts)] == tell(Told())


@pytest.mark.parametrize(
    ("slow", "waited", "level"),
    [(1.0, 0.99, "info"), (1.0, 1.0, "warning"), (0, 60.0, "info"), (0.01, 0.02, "warning")],
)
def test_a_request_that_waits_for_long_is_a_warning(slow, waited, level):
    """
    For its answer to begin; a stream may last.
    """
    ((told, event, _),) = tell(Told(), slow=slow, waited=waited)

    assert (level, "slow_request" if level == "warning" else "request") == (told, event)


@pytest.mark.parametrize("path", ["/health", "/healthz", "/readyz", "/api/health"])
def test_health_is_told_only_where_it_is_wanted_or_slow(path):
    """
    Probes ask every few seconds.
    """
    assert [0, 1, 1] == [
        len(tell(Told(), path=path, **more)) for more in ({}, {"health": True}, {"slow": 1.0, "waited": 2.0})
    ]


def test_a_path_is_told_up_to_a_length():
    ((_, _, facts),) = tell(Told(), path="/" + "x" * 60_000)

    assert MAX_PATH_LENGTH == len(facts["path"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/things/special", 200), ("GET", "/api/v1/nowhere", 404), ("DELETE", "/api/things", 405),
        ("GET", "/api/broken", 500), ("GET", "/api/v1/things/", 308), ("HEAD", "/api/things/special", 200),
    ],
)  # fmt: skip
async def test_every_request_is_told_once_however_it_ends(method, path, status):
    told = Told()
    await ask(sample_app(log=RequestLog(logger=told)), method, path, x_request_id="one", peer="9.9.9.9")
    ((level, _, facts),) = told.lines

    assert ("info", method, path, status, "9.9.9.9", "one") == (
        level, *(facts[name] for name in ("method", "path", "status", "client", "request_id"))
    )  # fmt: skip
    assert 0 <= facts["duration_ms"] < 60_000


async def test_a_refused_host_and_a_failed_stream_are_told_too():
    told = Told()
    app = sample_app(fronting=NetworkSettings(allowed_hosts=("here",)), log=RequestLog(logger=told))
    await ask(app, "GET", "/api/things", host="there")
    with pytest.raises(ZeroDivisionError):
        await ask(app, "GET", "/api/stream", host="here")

    assert [403, 200] == [facts["status"] for _, _, facts in told.lines]


async def test_a_client_that_leaves_has_no_status():
    told = Told()

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        raise AssertionError(message)

    scope = {"type": "http", "method": "POST", "path": "/api/v1/sealed", "headers": [], "query_string": b""}
    await sample_app(log=RequestLog(logger=told))(scope, receive, send)

    assert [None] == [facts["status"] for _, _, facts in told.lines]


async def test_the_id_is_forgotten_after_the_request():
    """
    What is logged afterwards is not about it.
    """
    await ask(sample_app(), "GET", "/healthz", x_request_id="one")

    assert REQUEST_ID.get() is None
