"""
The sweeper: notices leases that ran out while nobody claimed. Without it they are noticed at the next claim.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from mission_core.accounts.model import System
from mission_core.errors import Refusal
from mission_core.tasks.work import sweep

if TYPE_CHECKING:
    from mission_core.ports import Ports

AT_ONCE: Final = 64
logger = logging.getLogger("mission_http")


@asynccontextmanager
async def sweeping(ports: Ports, *, every: float = 5.0) -> AsyncIterator[None]:
    """
    Sweep every organization's leases every so many seconds, for as long as the context lasts.
    """
    task = asyncio.create_task(_sweep_for_ever(ports, every))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _sweep_for_ever(ports: Ports, every: float) -> None:
    while True:
        await asyncio.sleep(every)
        try:
            for organization in await ports.credentials.organizations():
                sweeper = System(organization=organization, name="sweeper")
                while await sweep(ports, sweeper, limit=AT_ONCE) == AT_ONCE:
                    pass  # many lapsed at once, and more may be left
        except Refusal as refusal:
            logger.warning("the sweeper could not work: %s", refusal)
        except Exception:
            logger.exception("the sweeper failed and goes on")
