"""
The read of an organization's price overrides, with the number of their changes in its head row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from mission_adapters.sql.kind_tables import MAPPINGS
from mission_adapters.sql.statements import Statement, parameter
from mission_adapters.sql.tables import heads
from mission_core.usage.price_overrides import PRICE_OVERRIDES, PriceOverrides

if TYPE_CHECKING:
    from mission_adapters.sql.database_session import Steps
    from mission_core.ids import OrganizationId

MAPPING: Final = MAPPINGS[PRICE_OVERRIDES]
# Both are read by one statement, so that the number is that of these very rows.
SELECT_PRICES: Final = Statement(
    select(heads.c.price_changes, *MAPPING.table.c)
    .select_from(heads.outerjoin(MAPPING.table, MAPPING.table.c.organization == heads.c.organization))
    .where(heads.c.organization == parameter("organization"))
    .order_by(MAPPING.table.c.number)
)


def read_price_overrides(dialect: str, organization: OrganizationId) -> Steps[PriceOverrides]:
    """
    Return the price overrides of an organization, oldest first.
    """
    rows = yield SELECT_PRICES(dialect, organization=organization.bytes)
    prices = tuple(MAPPING.rows.entity_from(row[1:]) for row in rows if row[1] is not None)
    return PriceOverrides(prices=prices, changes=rows[0][0] if rows else 0)
