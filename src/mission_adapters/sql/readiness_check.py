"""
The readiness check of a database: whether it answers and accepts writes, within a few seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Final

from mission_adapters.sql.database_session import BoundStatement, Steps
from mission_core.errors import StoreFailed, StoreNotReady, StoreUnreachable

CHECK_TIMEOUT: Final = 5.0
"""The seconds after which a database without an answer counts as not ready."""


def write_unchanged_row() -> Steps[None]:
    """
    Write one row unchanged, to test that the database accepts writes.
    """
    yield BoundStatement("UPDATE alembic_version SET version_num = version_num", returns_rows=False)


async def run_check(check: Coroutine[None, None, None]) -> None:
    """
    Run a readiness check with a time limit. A check that hangs is cancelled but not awaited, because cancelling may
    take as long again.

    Raises:
        StoreUnreachable: If the check did not finish in time.
        StoreNotReady: If the database does not accept writes.
    """
    task = asyncio.get_running_loop().create_task(check)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        done, _ = await asyncio.wait([task], timeout=CHECK_TIMEOUT)
    finally:
        task.cancel()
    if not done:
        raise StoreUnreachable(f"no answer within {CHECK_TIMEOUT:.0f} seconds")
    try:
        task.result()
    except StoreFailed as failed:
        if type(failed) is not StoreFailed:
            raise
        raise StoreNotReady(failed.reason, lost=failed.lost) from failed
