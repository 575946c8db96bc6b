"""
The retention of the token ledger: a background task that folds old entries into carry-overs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from mission_core.errors import Refusal

if TYPE_CHECKING:
    from mission_core.ids import OrganizationId
    from mission_core.ports import Ports

ROUND_SECONDS: Final = 3600.0
logger = logging.getLogger("mission_adapters")


@asynccontextmanager
async def usage_retention(ports: Ports, kept: timedelta) -> AsyncIterator[None]:
    """
    Fold entries that are older than *kept*, at once and every hour, for the duration of the context.
    """
    task = asyncio.create_task(_fold_for_ever(ports, kept))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _fold_for_ever(ports: Ports, kept: timedelta) -> None:
    while True:
        await fold_all_organizations(ports, kept)
        await asyncio.sleep(ROUND_SECONDS)


async def fold_all_organizations(ports: Ports, kept: timedelta) -> None:
    """
    Fold the old entries of every organization once. A failure is logged, and skips the rest of its organization.
    """
    try:
        organizations = await ports.credentials.organizations()
    except Exception as error:
        _log_failure(error, None)
        return
    for organization in organizations:
        try:
            await fold_usage(ports, organization, kept)
        except Exception as error:
            _log_failure(error, organization)


async def fold_usage(ports: Ports, organization: OrganizationId, kept: timedelta) -> None:
    """
    Fold the entries of an organization that are older than *kept*, in small transactions.
    """
    now, since = ports.clock.now(), None
    while following := await ports.housekeeping.fold_usage(organization, since=since, before=now - kept, at=now):
        since = following


def _log_failure(error: Exception, organization: OrganizationId | None) -> None:
    where = f" organization={organization}" if organization else ""
    if isinstance(error, Refusal):
        logger.warning("usage_retention_failed%s reason=%s", where, error)
    else:
        logger.error("usage_retention_failed%s", where, exc_info=error)
