"""
Servers of tests that speak bytes, and leave no connection open when they end.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve, port: int = 0) -> AsyncIterator[int]:
    """
    A server on this machine, for as long as the context lasts: its port. *serve* is called with each connection.
    """
    connections: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections[asyncio.current_task()] = writer
        try:
            await serve(reader, writer)
        finally:
            await close_writer(writer)
            del connections[asyncio.current_task()]

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        for each in server.sockets:
            asyncio.get_running_loop().remove_reader(each.fileno())
        for _ in range(5):
            await asyncio.sleep(0)  # a connection that was accepted just now has a task after some turns of the loop
        server.close()  # not before: asyncio loses a connection that it has accepted for a server that is closed
        tasks = dict(connections)
        for task, writer in tasks.items():
            writer.transport.abort()
            if task is not None:
                task.cancel()
        await asyncio.gather(*filter(None, tasks), return_exceptions=True)


async def close_writer(writer: asyncio.StreamWriter) -> None:
    """
    Close a connection, and wait until its socket is.
    """
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
