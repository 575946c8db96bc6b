"""
The event that records the import of rows from another system.
"""

from __future__ import annotations

from mission_core.events.model import Event
from mission_core.ids import OrganizationId
from mission_core.lazy_attrs import frozen


@frozen(kw_only=True, eq=False, repr=False)
class RowsImported(Event):
    """
    An organization imported *count* rows from a table of another system.
    """

    kind = "rows.imported"

    organization: OrganizationId
    source: str
    table: str
    count: int
