"""
Clients that are silent, slow or malformed, and many of them, against a server process.
"""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mission_http.connection_limits import ConnectionLimits
from tests.contract.short_timeout_server import FLOOD, PIECES

pytestmark = pytest.mark.real_time

ROOT = Path(__file__).parents[2]
HURRIED = {"headers": 1.0, "window": 1.0, "rate": 1000, "unread": 1.0, "stop": 1.0}
HOST = b"Host: localhost\r\nX-Api-Key: sesame\r\n"
UPLOAD = b"POST /api/upload HTTP/1.1\r\n" + HOST
HALF = UPLOAD + b"Content-Length: 100000\r\n\r\n{"
KEPT_ALIVE = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
CLOSING = b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
LATE = {"error": "the request did not arrive in time; send it again, and faster"}


@contextmanager
def impatient(
    tmp_path: Path, *, files: str = "true", loop: str = "", **limits: Any
) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """
    A hurried server, and the port it listens on.
    """
    arguments = f"'{json.dumps(HURRIED | limits)}' {loop}"
    command = ["bash", "-c", f"{files}; exec {sys.executable} -m tests.contract.short_timeout_server {arguments}"]
    environment = {"MISSION_CONTROL_DATA_DIR": str(tmp_path), "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:  # fmt: skip
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline().rpartition(":")[2]), server
        finally:
            server.kill()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with impatient(tmp_path_factory.mktemp("data")) as (listening, _):
        yield listening


OPENED: list[socket.socket] = []


@pytest.fixture(autouse=True)
def _hang_up() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


def told(port: int, sent: bytes = b"", *, buffer: int = 0) -> socket.socket:
    """
    A connection that says this, and no more.
    """
    made = socket.socket()
    OPENED.append(made)
    if buffer:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    made.settimeout(20)
    made.connect(("127.0.0.1", port))
    made.sendall(sent)
    return made


def heard(connection: socket.socket) -> bytes:
    """
    Everything that comes until the server closes the connection.
    """
    with connection, connection.makefile("rb") as stream:
        return stream.read()


def answer_in(heard: bytes) -> tuple[int, Any]:
    """
    The status and the JSON of an answer.
    """
    head, _, body = heard.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def stopped(server: subprocess.Popen[str]) -> tuple[int, float]:
    """
    With which status a server ends that is told to, and after how many seconds.
    """
    began = time.monotonic()
    server.terminate()
    return server.wait(20), time.monotonic() - began


def test_a_client_that_does_not_go_on_is_let_go(port: int) -> None:
    """
    Silent, within the headers, within the body, or with an answer that it does not read; who began to ask is told.
    """
    began = time.monotonic()
    silent, headers, body = told(port), told(port, b"GET /api/things HTTP/1.1\r\nHost"), told(port, HALF)
    again = told(port, KEPT_ALIVE + b"GET /api/v1/things HTTP/1.1\r\n")
    chunked = told(port, UPLOAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab")
    unread = told(port, b"GET /api/flood HTTP/1.1\r\n" + HOST + b"\r\n", buffer=4096)

    assert b"" == heard(silent)
    assert [(408, LATE)] * 3 == [answer_in(heard(each)) for each in (headers, body, chunked)]
    assert heard(again).count(b"HTTP/1.1") in (1, 2)
    assert time.monotonic() - began < 8
    time.sleep(max(0.0, began + 3.5 - time.monotonic()))  # it lets go of what nobody reads, without a word to anybody
    assert len(heard(unread)) < FLOOD


def test_a_client_that_is_slow_is_served(port: int) -> None:
    """
    A body that comes in pieces and an answer that does, each for longer than any deadline.
    """
    trickled = told(port, b"GET /api/trickle HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    sending = told(port, UPLOAD + b"Connection: close\r\nContent-Length: 15000\r\n\r\n")
    for _ in range(30):
        sending.sendall(b"x" * 500)
        time.sleep(0.06)

    assert (200, {"bytes": 15_000}) == answer_in(heard(sending))
    assert PIECES == heard(trickled).count(b"piece\n")


def test_a_server_that_is_told_to_stop_waits_for_nobody_for_long(tmp_path: Path) -> None:
    """
    Whatever its clients are at; who is idle is let go at once.
    """
    with impatient(tmp_path, headers=60.0, window=60.0, unread=60.0) as (port, server):
        asked = b"GET /api/flood HTTP/1.1\r\n" + HOST + b"\r\n"
        for each in (b"", b"GET", HALF, asked, asked * 3, KEPT_ALIVE) * 5:
            told(port, each, buffer=4096)
        assert heard(told(port, CLOSING))
        status, seconds = stopped(server)

    assert (0, True) == (status, 0.5 < seconds < 4), seconds


def test_the_usual_deadline_of_a_stop_leaves_room_within_ten_seconds() -> None:
    """
    For the requests that it ends, and for closing the store.
    """
    assert ConnectionLimits().stop <= 7


def test_beyond_the_limit_an_idle_client_makes_room(tmp_path: Path) -> None:
    """
    The one that is idle for longest; where all are at work a newcomer is refused, and may come back.
    """
    busy = b"GET /api/trickle HTTP/1.1\r\n" + HOST + b"\r\n"
    with impatient(tmp_path, maximum=3) as (port, server):
        idle = [told(port, KEPT_ALIVE) for _ in range(2)]
        for each in idle:
            while not each.recv(4096).endswith(b"}"):
                pass
        working = [told(port, busy) for _ in range(3)]
        assert all(each.recv(4096) for each in working)
        assert [b"", b""] == [each.recv(4096) for each in idle]
        refused = heard(told(port, b"GET /api/v1/things HTTP/1.1\r\n" + HOST + b"\r\n"))
        server.terminate()
        _, log = server.communicate(timeout=20)

    assert 503 == answer_in(refused)[0]
    assert {"detail", "request_id"} == answer_in(refused)[1].keys()
    assert b"\r\nretry-after: 1\r\n" in refused
    assert ["limit=3"] == re.findall(r"connection_limit_reached (\S+)", log)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_more_silent_clients_than_files_do_not_stop_the_service(loop: str, tmp_path: Path) -> None:
    """
    Those that said nothing for longest make room for who asks.
    """
    with impatient(tmp_path, files="ulimit -n 128", loop=loop, headers=60.0) as (port, server):
        for _ in range(150):
            told(port)
        assert heard(told(port, CLOSING)).startswith(b"HTTP/1.1 200 ")
        server.terminate()
        _, log = server.communicate(timeout=20)

    assert ["limit=64"] == re.findall(r"connection_limit_reached (\S+)", log)
    assert "Too many open files" not in log


def test_the_limit_of_open_files_is_raised(tmp_path: Path) -> None:
    """
    To what the system lets the process raise it to.
    """
    with impatient(tmp_path, files="ulimit -Sn 100; ulimit -Hn 150") as (_, server):
        limits = Path(f"/proc/{server.pid}/limits")
        if not limits.exists():
            pytest.skip("this system does not tell")
        found = re.search(r"Max open files\s+(\d+)\s+(\d+)", limits.read_text())

    assert found is not None
    assert ("150", "150") == found.groups()


def post(headers: bytes, body: bytes = b"") -> bytes:
    return b"POST /api/v1/sealed HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n" + headers + b"\r\n" + body


CHUNKED = b"Transfer-Encoding: chunked\r\n"
MALFORMED = {
    "two lengths": post(b"Content-Length: 2\r\nContent-Length: 3\r\n", b"{}x"),
    "a list of lengths": post(b"Content-Length: 2, 2\r\n", b"{}"),
    "a length with a sign": post(b"Content-Length: +2\r\n", b"{}"),
    "a length beyond all numbers": post(b"Content-Length: " + b"9" * 40 + b"\r\n"),
    "a length and chunks": post(b"Content-Length: 2\r\n" + CHUNKED, b"2\r\n{}\r\n0\r\n\r\n"),
    "an unknown coding": post(b"Transfer-Encoding: xchunked\r\n", b"2\r\n{}\r\n0\r\n\r\n"),
    "a chunk of no size": post(CHUNKED, b"zz\r\n{}\r\n0\r\n\r\n"),
    "a chunk of another size": post(CHUNKED, b"1\r\n{}\r\n0\r\n\r\n"),
    "lines without a carriage return": post(CHUNKED, b"2\n{}\n0\n\n"),
    "NUL in a header": post(b"X: a\0b\r\n"),
    "NUL in the path": b"GET /api/v1/thi\0ngs HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space before the colon": post(b"X : a\r\n"),
    "a folded header": post(b"X: a\r\n b\r\n"),
    "bytes beyond ASCII in the path": b"GET /api/v1/\xc3\xa9 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a version that there is not": b"GET /api/v1/things HTTP/1.7\r\n" + HOST + b"\r\n",
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_http_is_refused_in_the_shape_of_its_path(port: int, sent: bytes) -> None:
    """
    With what is wrong, and with all that every answer carries.
    """
    answer = heard(told(port, sent))
    status, said = answer_in(answer)

    assert (400, {"detail", "request_id"}) == (status, said.keys())
    assert said["detail"].startswith("the request is not HTTP: ")
    assert b"\r\nx-content-type-options: nosniff\r\n" in answer


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\x01\x00", b"FOO /api HTTP/1.1\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n", b"\0"]
)
def test_what_has_no_path_is_refused_too(port: int, sent: bytes) -> None:
    """
    In the shape of the first dialect.
    """
    status, said = answer_in(heard(told(port, sent)))

    assert (400, ["error"]) == (status, list(said))


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"PROPFIND /api/v1/things", 405), (b"TRACE /api/v1/things", 405), (b"OPTIONS /api/v1/things", 405),
        (b"OPTIONS *", 404), (b"GET //api/v1/things", 404), (b"GET /api/v1/things%2f1%2fclaim", 405),
        (b"GET /api/v1/%00", 404), (b"GET /api/v1/%ff%ed%a0%80", 404), (b"GET /api/v1/../v1/things", 404),
        (b"GET http://elsewhere/api/v1/nothing", 404),
    ],
)  # fmt: skip
def test_what_nobody_asks_for_is_refused_like_anything_else(port: int, line: bytes, status: int) -> None:
    """
    Methods that few know, and targets in all the ways in which they can be written.
    """
    found, said = answer_in(heard(told(port, line + b" HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")))

    assert (status, True) == (found, {"detail", "request_id"} == said.keys() or list(said) == ["error"])


@pytest.mark.parametrize(
    "sent", [b"X: " + b"a" * 70_000 + b"\r\n\r\n", b"X: a\r\n" * 12_000 + b"\r\n", b"X: " + b"a" * 70_000]
)
def test_headers_that_are_too_long_are_refused(port: int, sent: bytes) -> None:
    """
    One, many, or one without an end.
    """
    status, said = answer_in(heard(told(port, b"GET /api/things HTTP/1.1\r\n" + HOST + sent)))

    assert (431, {"error": "the headers are longer than 65536 bytes"}) == (status, said)


def test_a_trailer_is_no_header(port: int) -> None:
    """
    A proxy in front did not see it, so it tells nothing of who calls.
    """
    head = b"POST /api/v1/things HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + CHUNKED + b"\r\n"
    answer = heard(told(port, head + b"2\r\n{}\r\n0\r\nX-Api-Key: sesame\r\n\r\n"))

    assert answer.startswith(b"HTTP/1.1 401 ")


def test_a_client_that_waits_to_be_told_to_go_on_is(port: int) -> None:
    """
    And the time that the server takes for it is not held against the client.
    """
    connection = told(
        port, UPLOAD + b"Connection: close\r\nExpect: 100-continue\r\n"
        b"Content-Length: 2\r\n\r\n",
    )  # fmt: skip
    assert connection.recv(4096).startswith(b"HTTP/1.1 100 ")
    connection.sendall(b"{}")

    assert (200, {"bytes": 2}) == answer_in(heard(connection))


def test_a_whole_request_is_answered_whatever_comes_after_it(port: int) -> None:
    """
    And then the connection is closed.
    """
    answer = heard(told(port, b"GET /api/trickle HTTP/1.1\r\n" + HOST + b"\r\nGARBAGE\r\n\r\n"))

    assert (1, PIECES) == (answer.count(b"HTTP/1.1 "), answer.count(b"piece\n"))
