"""
The lease sweeper: a background task that ends expired leases, makes notifications and does the housekeeping of the
store. Without it leases end at the next claim, and notifications are made when somebody lists them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from mission_core.accounts.model import SystemPrincipal
from mission_core.conversations.notifications import make_notifications
from mission_core.errors import Refusal, StoreFailed
from mission_core.tasks.leases import expire_leases

if TYPE_CHECKING:
    from mission_core.ids import OrganizationId
    from mission_core.ports import Ports

BATCH_SIZE: Final = 64
INDEXED_AT_ONCE: Final = 256
"""The number of tasks that one transaction adds to the index of text search."""
DELETED_AT_ONCE: Final = 256
"""The number of expired idempotency keys and sessions that one transaction deletes."""
logger = logging.getLogger("mission_adapters")


@asynccontextmanager
async def lease_sweeper(ports: Ports, *, every: float = 5.0) -> AsyncIterator[None]:
    """
    Run the lease sweeper in the background for the duration of the context.

    Args:
        every: Seconds between two sweeps.
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
        await sweep_all_organizations(ports)


async def sweep_all_organizations(ports: Ports) -> None:
    """
    End the expired leases of every organization once, make its notifications, and do the housekeeping of the store. A
    failure is logged, and skips only the rest of its organization.
    """
    try:
        organizations = await ports.credentials.organizations()
    except Exception as error:
        _log_failure(error, None)
        return
    for organization in organizations:
        sweeper = SystemPrincipal(organization=organization, name="sweeper")
        try:
            while await expire_leases(ports, sweeper, limit=BATCH_SIZE) == BATCH_SIZE:
                pass  # a full batch: more expired leases may be left
            await make_notifications(ports, organization)
            while await ports.housekeeping.index_tasks(organization, limit=INDEXED_AT_ONCE):
                pass  # in small transactions, so that other writes come between
        except Exception as error:
            _log_failure(error, organization)
    try:
        while await ports.housekeeping.delete_expired(at=ports.clock.now(), limit=DELETED_AT_ONCE):
            pass
    except Exception as error:
        _log_failure(error, None)


def _log_failure(error: Exception, organization: OrganizationId | None) -> None:
    where = f" organization={organization}" if organization else ""
    if isinstance(error, Refusal):
        reason = error.reason if isinstance(error, StoreFailed) else error
        logger.warning("sweep_failed%s error=%s reason=%s", where, type(error).__name__, reason)
    else:
        logger.error("sweep_failed%s", where, exc_info=error)
