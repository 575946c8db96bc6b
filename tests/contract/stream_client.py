"""
A client of event streams that calls the application in-process.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, field

from mission_http.app import MissionApp


@define
class OpenStream:
    """
    An open stream: its status and headers, and the events that have come and were not taken yet.
    """

    status: int = 0
    headers: dict[str, str] = field(factory=dict)
    body: bytes = b""
    ended: bool = False
    changed: asyncio.Event = field(factory=asyncio.Event)
    last_id: str | None = None
    """The last id, also of blocks without data."""

    async def send(self, message: Any) -> None:
        """
        Receive a message of the application.
        """
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message.get("body", b"")
            self.ended = not message.get("more_body", False)
        self.changed.set()

    async def block(self) -> dict[str, str] | None:
        """
        The next block of lines, by field; None at the end of the stream.
        """
        while True:
            text = self.body.replace(b"\r\n", b"\n")
            block, end, rest = text.partition(b"\n\n")
            if end:
                self.body = rest
                lines = dict(line.split(": ", 1) for line in block.decode().split("\n"))
                self.last_id = lines.get("id", self.last_id)
                return lines
            if self.ended:
                return None
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), 10)

    async def event(self) -> Any:
        """
        The data of the next event; None at the end of the stream.
        """
        while (lines := await self.block()) is not None:
            if "data" in lines:
                return json.loads(lines["data"])
        return None

    async def events(self, amount: int) -> list[Any]:
        """
        The data of the next events.
        """
        return [await self.event() for _ in range(amount)]

    @property
    def json(self) -> Any:
        """
        The body of an error.
        """
        return json.loads(self.body)


@asynccontextmanager
async def opened(app: MissionApp, path: str, **headers: str) -> AsyncIterator[OpenStream]:
    """
    An open stream, from its first bytes on, until the context is left.
    """
    stream, left = OpenStream(), asyncio.Event()
    requested = False

    async def receive() -> Any:
        nonlocal requested
        if not requested:
            requested = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await left.wait()
        return {"type": "http.disconnect"}

    target, _, query = path.partition("?")
    scope = {
        "type": "http", "method": "GET", "path": target, "raw_path": target.encode(), "query_string": query.encode(),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1), "server": ("localhost", 80), "scheme": "http", "http_version": "1.1",
        "root_path": "",
    }  # fmt: skip
    task = asyncio.create_task(app(scope, receive, stream.send))
    try:
        while not stream.body and not stream.ended and not task.done():
            stream.changed.clear()
            changed = asyncio.create_task(stream.changed.wait())
            await asyncio.wait([changed, task], timeout=10, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
        yield stream
    finally:
        left.set()
        await asyncio.wait_for(task, 10)
