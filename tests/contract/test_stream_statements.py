"""
The statements that event streams cost: none while nothing happens, and for a change as many as one client costs.
"""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.contract.stream_client import OpenStream, opened
from tests.statement_counts import counted_app


async def all_have(streams: list[OpenStream], title: str) -> None:
    """
    Wait until every client has an event with this title.
    """
    for stream in streams:
        while (event := await stream.event()) is not None and title not in str(event):
            pass


@pytest.mark.parametrize("path", ["/api/events", "/api/v1/boards/{board}/tasks/stream"])
async def test_many_clients_cost_the_statements_of_one(database_url: str, tmp_path: Path, path: str) -> None:
    """
    A change costs one read of the log and one of the changed tasks, and on SQLite the log's position is read where
    commits are noticed. While nothing happens there is no statement.
    """
    async with counted_app(database_url, tmp_path) as counted, AsyncExitStack() as stack:
        headers = {"x-api-key": counted.key, "authorization": f"Bearer {counted.key}"}
        change = "PUT", f"/api/tasks/{counted.tasks[0].number}"
        for title in ("One", "Two", "Three"):  # the first one fills memories
            _, alone = await counted.call(*change, {"title": title})
        target = path.format(board=counted.board)
        streams = [await stack.enter_async_context(opened(counted.app, target, **headers)) for _ in range(50)]
        await counted.call(*change, {"title": "Four"})
        await all_have(streams, "Four")
        counted.texts.clear()
        for _ in range(100):
            await asyncio.sleep(0)
        idle = list(counted.texts)
        await counted.call(*change, {"title": "Five"})
        await all_have(streams, "Five")
        found = [text for text in counted.texts if not text.startswith("SELECT position FROM heads")]

    assert [] == idle
    assert len(alone) + 2 == len(found), found
