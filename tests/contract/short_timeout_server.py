"""
A server process over two small dialects whose clients have little time: the first argument holds its limits as JSON, a
second one says `asyncio` where the loop is to be that of the standard library.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator

from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mission_http.app import create_app
from mission_http.connection_limits import ConnectionLimits
from mission_http.logs.configuration import configure_logging
from mission_http.main import event_loop
from mission_http.platform.bodies import raw_body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.json_responses import json_response
from mission_http.server import Server, bind_sockets
from mission_http.settings import settings_from
from tests.unit.http.platform.sample_app import KIND, PLAIN, wire

PIECES = 18
FLOOD = 65_536_000


async def upload(request: Request) -> Response:
    """
    Tell how long the body was.
    """
    return json_response({"bytes": len(await raw_body_of(request, limit=10**7))})


async def trickle(request: Request) -> Response:
    """
    Answer in pieces, over two seconds.
    """

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(PIECES):
            yield b"piece\n"
            await asyncio.sleep(0.1)

    return StreamingResponse(pieces())


async def flood(request: Request) -> Response:
    """
    Answer with more than any buffer takes.
    """

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b"x" * (FLOOD // 1000)

    return StreamingResponse(pieces())


ENDPOINTS = [
    Endpoint("POST", "/upload", upload), Endpoint("GET", "/trickle", trickle), Endpoint("GET", "/flood", flood),
]  # fmt: skip


async def serve() -> None:
    settings = evolve(settings_from(), connections=ConnectionLimits(**json.loads(sys.argv[1])))
    plain = evolve(PLAIN, endpoints=[*PLAIN.endpoints, *ENDPOINTS], precheck=None)
    app = create_app(wire, (plain, KIND), log=configure_logging(settings.logs))
    await Server(app, settings).serve(bind_sockets("127.0.0.1", 0))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=asyncio.new_event_loop if "asyncio" in sys.argv else event_loop()) as runner:
        runner.run(serve())
