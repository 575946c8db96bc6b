"""
Readiness of a database: whether it answers and takes changes, found out in a few seconds and with hardly a write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Final

from mission_adapters.sql.session import Ask, Steps
from mission_core.errors import StoreFailed, StoreNotReady, StoreUnreachable

DEADLINE: Final = 5.0
"""After how many seconds without an answer a database is not ready."""


def change_nothing() -> Steps[None]:
    """
    The smallest change: a row is written as it is, so that the disk must take it.
    """
    yield Ask("UPDATE alembic_version SET version_num = version_num", rows=False)


async def in_time(check: Coroutine[None, None, None]) -> None:
    """
    Run a check, for a few seconds. One that hangs is left to itself, for giving it up may take as long again.

    Raises:
        StoreUnreachable: If it was not through by then.
        StoreNotReady: If the store takes no changes.
    """
    task = asyncio.get_running_loop().create_task(check)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        done, _ = await asyncio.wait([task], timeout=DEADLINE)
    finally:
        task.cancel()
    if not done:
        raise StoreUnreachable(f"no answer within {DEADLINE:.0f} seconds")
    try:
        task.result()
    except StoreFailed as failed:
        if type(failed) is not StoreFailed:
            raise
        raise StoreNotReady(failed.reason, lost=failed.lost) from failed
