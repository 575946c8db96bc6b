"""
Responses on a connection are written as uvicorn writes them.
"""

import asyncio
import logging
from typing import Any

import pytest
from attrs import define, field
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from mission_http.request_cycles import ConstantHeaders, HttpCycle
from tests.unit.http.transports import Transport

DATE = (b"date", b"Mon, 30 Nov 2026 15:00:00 GMT")
JSON = (b"content-type", b"application/json")
CONSTANT = [JSON, (b"x-frame-options", b"DENY"), (b"content-length", b"3"), (b"connection", b"close")]
Message = dict[str, Any]


@define
class Written:
    """
    What became of a response.
    """

    transport: Transport = field(factory=Transport)
    completions: int = 0
    error: type[Exception] | None = None
    is_complete: bool = False


async def write(kind: type[RequestResponseCycle], messages: list[Message], method: str, keep_alive: bool) -> Written:
    written = Written()

    def completed() -> None:
        written.completions += 1

    more: Any = {"constants": ConstantHeaders(CONSTANT)} if kind is HttpCycle else {}
    transport: Any = written.transport
    logger = logging.getLogger("test")
    scope: Any = {"type": "http", "method": method}
    cycle: Any = kind(
        scope=scope, transport=transport, flow=FlowControl(transport),
        logger=logger, access_logger=logger, access_log=False, default_headers=[DATE], message_event=asyncio.Event(),
        expect_100_continue=False, keep_alive=keep_alive, on_response=completed, **more,
    )  # fmt: skip
    try:
        for message in messages:
            await cycle.send(message)
    except RuntimeError as error:
        written.error = type(error)
    written.is_complete = cycle.response_complete
    return written


def start(*headers: tuple[bytes, bytes], status: int = 200) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data: bytes = b"", *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


LENGTH = (b"content-length", b"3")
RESPONSES = {
    "a whole body": [start(LENGTH, JSON, (b"X-Frame-Options", b"DENY"), (b"etag", b'"1"')), body(b"abc")],
    "a body in pieces": [start(LENGTH), body(b"a", more=True), body(b"bc")],
    "a body without its length": [start(JSON), body(b"abc", more=True), body()],
    "no body": [start((b"content-length", b"0")), body()],
    "nothing but a status": [start(status=204), body()],
    "chunks that are announced": [start((b"transfer-encoding", b"Chunked")), body(b"abc")],
    "the end of the connection": [start(LENGTH, (b"Connection", b"x, Close")), body(b"abc")],
    "too long a body": [start(LENGTH), body(b"abcd")],
    "too short a body": [start(LENGTH), body(b"ab")],
    "a second body": [start(LENGTH), body(b"abc"), body(b"abc")],
    "a body first": [body(b"abc")],
    "a second start": [start(LENGTH), start(LENGTH)],
    "a value that ends its line": [start((b"etag", b"1\r\nset-cookie: a=b"))],
    "a name that ends early": [start((b"etag: 1", b"1"))],
    "an unknown status": [start(LENGTH, status=599), body(b"abc")],
}


@pytest.mark.parametrize("keep_alive", [True, False])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("messages", RESPONSES.values(), ids=RESPONSES)
async def test_a_response_is_written_as_uvicorn_writes_it(
    messages: list[Message], method: str, keep_alive: bool
) -> None:
    theirs = await write(RequestResponseCycle, messages, method, keep_alive)
    ours = await write(HttpCycle, messages, method, keep_alive)

    assert theirs == ours


def test_the_lines_of_headers_that_are_replaced_are_renewed() -> None:
    constants = ConstantHeaders()
    later = [(b"date", b"Mon, 30 Nov 2026 15:00:01 GMT")]

    assert [b"date: " + DATE[1] + b"\r\n", b"date: " + later[0][1] + b"\r\n"] == [
        constants.lines_of(each) for each in ([DATE], later)
    ]
