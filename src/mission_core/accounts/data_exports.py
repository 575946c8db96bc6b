"""
The record of an export of data in the event log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_core.events.model import Event
from mission_core.ids import OrganizationId
from mission_core.lazy_attrs import frozen
from mission_core.use_case import use_case

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ports import Ports


@frozen(kw_only=True, eq=False, repr=False)
class DataExported(Event):
    """
    Data of an organization were exported: what, and in which format.
    """

    kind = "data.exported"

    organization: OrganizationId
    what: str
    format: str


@frozen(kw_only=True)
class RecordDataExport:
    """
    Record that data are exported.
    """

    what: str
    format: str


@use_case
async def record_data_export(ports: Ports, principal: Principal, cmd: RecordDataExport) -> None:
    """
    Add an export of data to the event log, before the data are sent.
    """
    async with ports.unit(principal) as unit:
        unit.record(
            DataExported(organization=principal.organization, what=cmd.what, format=cmd.format, at=ports.clock.now())
        )
        await unit.commit()
