"""
The token ledger of each store.
"""

from typing import Any

import pytest

from mission_adapters.sql.database_session import BoundStatement, Steps
from mission_adapters.sql.usage_reads import select_reported
from mission_adapters.testing.contracts import TokenLedgerContract
from mission_adapters.testing.world import World
from mission_core.usage.use_cases import MOST_REPORTS, RecordUsageBatch, UsageReport, record_usage_batch


class TestTokenLedger(TokenLedgerContract):
    """
    On every store.
    """


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True, scope="session")
async def test_postgresql_looks_up_each_report_id(world: World) -> None:
    """
    So it does not read the other entries of the reporter, even before it has statistics.
    """
    reports = tuple(
        UsageReport(model="m", input_tokens=1, output_tokens=1, report_id=str(n)) for n in range(MOST_REPORTS)
    )
    await record_usage_batch(world.ports, world.me, RecordUsageBatch(reports=reports))
    session: Any = world.ports.numbers
    given = {"organization": world.me.organization.bytes, "reporter": "agent", "report_ids": ["one", "another"]}
    asked = select_reported("postgresql")("postgresql", **given)

    def steps() -> Steps[list[Any]]:
        found: list[Any] = yield BoundStatement(f"EXPLAIN {asked.text}", tuple(asked.values))
        return found

    plan = [step for (step,) in await session.session.read(steps)]

    assert any("Index Cond" in step and "report_id =" in step and "ANY" not in step for step in plan), plan
