"""
A relay between a server process and its PostgreSQL, which can be cut at a chosen moment.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final
from urllib.parse import parse_qs, urlsplit

from attrs import define, field

from tests.sockets import close_writer, listening

COMMIT: Final = b"COMMIT\0"


@define(eq=False)
class Relay:
    """
    Passes bytes on. Before what a client sends is passed on, *cuts* is asked about all of its transaction so far: True
    ends all connections, and keeps others from being made until `mend`.

    Args:
        last: Whether the bytes at which the connections are cut still reach the database.
        away: Whether new connections are refused.
        refused: Set once one was.
        silent: Whether what the database says is swallowed.
    """

    database_url: str
    cuts: Callable[[bytes], bool] = lambda _: False
    last: bool = True
    away: bool = False
    silent: bool = False
    port: int = 0
    refused: threading.Event = field(factory=threading.Event)
    loop: asyncio.AbstractEventLoop = field(init=False)
    _writers: set[asyncio.StreamWriter] = field(factory=set)

    @property
    def url(self) -> str:
        parts = urlsplit(self.database_url)
        return f"postgresql://{parts.username}@127.0.0.1:{self.port}{parts.path}"

    def cut_at_commit_of(self, change: bytes) -> None:
        """
        Cut at the commit of the next transaction in which a client has sent this.
        """
        self.cuts = lambda sent: change in sent and COMMIT in sent

    def cut_after(self, times: int) -> None:
        """
        Cut once clients have sent something so many times.
        """
        left = iter(range(times))
        self.cuts = lambda _: next(left, None) is None

    def cut(self) -> None:
        """
        Cut now.
        """
        self.loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        self.away = True
        for each in self._writers:
            each.transport.abort()

    def mend(self) -> None:
        """
        Let everybody through again.
        """
        self.cuts, self.away, self.silent = lambda _: False, False, False

    async def _database(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self.database_url)
        if parts.hostname:
            return await asyncio.open_connection(parts.hostname, parts.port or 5432)
        return await asyncio.open_unix_connection(f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.away:
            self.refused.set()
            writer.transport.abort()
            return
        there, back = await self._database()
        pair = {writer, back}
        self._writers |= pair
        try:
            await asyncio.gather(self._asked(reader, back), self._answered(there, writer))
        finally:
            await close_writer(back)
            self._writers -= pair

    async def _asked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transaction = b""
        while sent := await _read(reader):
            transaction += sent
            cut = self.cuts(transaction)
            if COMMIT in sent:
                transaction = b""
            self.silent |= cut
            if not cut or self.last:
                writer.write(sent)
            if cut:
                await asyncio.sleep(0.2)  # the database shall have done it before it hears that nobody is there
                self._cut()
        writer.close()

    async def _answered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while sent := await _read(reader):
            if not self.silent:
                writer.write(sent)
        writer.close()


async def _read(reader: asyncio.StreamReader) -> bytes:
    with suppress(OSError):
        return await reader.read(65_536)
    return b""


@contextmanager
def relay_to(database_url: str) -> Iterator[Relay]:
    """
    A relay to this database, in a thread of its own.
    """
    relay, up, over = Relay(database_url), threading.Event(), asyncio.Event()

    async def serve() -> None:
        relay.loop = asyncio.get_running_loop()
        async with listening(relay.serve) as relay.port:
            up.set()
            await over.wait()
            relay._cut()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    up.wait(10)
    try:
        yield relay
    finally:
        relay.loop.call_soon_threadsafe(over.set)
        thread.join(10)
