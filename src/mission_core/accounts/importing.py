"""
What the log says of rows that another system brought.
"""

from __future__ import annotations

from attrs import frozen

from mission_core.events.model import Fact
from mission_core.ids import OrganizationId


@frozen(kw_only=True)
class RowsImported(Fact):
    """
    An organization took in *count* rows of a table of another system.
    """

    kind = "rows.imported"
    about = "organization"

    organization: OrganizationId
    source: str
    table: str
    count: int
