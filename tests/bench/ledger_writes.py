"""
What it costs to record usage of tokens, in CPU of this process and of PostgreSQL's, and as a ratio to a bare insert of
the same rows of the ledger through the same driver.

    python -m tests.bench.ledger_writes [DATABASE_URL]
"""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

from mission_core.agents.organization_creation import ensure_organization
from tests.bench.growth import GrowingDatabase, costs_of, template_rows
from tests.statement_counts import counted_app, usage_reports

LARGE_BATCH = 1000
SPANS = 512


async def main(database_url: str | None) -> None:
    """
    Measure and print.
    """
    with tempfile.TemporaryDirectory() as name:
        url = database_url or f"sqlite:///{Path(name) / 'ledger.db'}"
        async with counted_app(url, Path(name), measures=True) as counted:
            database = GrowingDatabase(counted, (await ensure_organization(counted.ports)).id)
            print(f"{'CPU in ms, + that of the database':<34}{'recorded':>18}{'bare insert':>18}{'ratio':>7}")
            for place, operation in enumerate(usage_reports(0, batch=LARGE_BATCH, spans=SPANS)):
                rows = (1, LARGE_BATCH, SPANS)[place]

                async def record(n: int, operation: str = operation) -> None:
                    path, body = usage_reports(n, batch=LARGE_BATCH, spans=SPANS)[operation]
                    await counted.call("POST", path, body, agent=True)

                async def insert(n: int, rows: int = rows) -> None:
                    await insert_entries(database, rows)

                ours, bare = await costs_of((database, record), (database, insert))
                ratio = ours.both / bare.both
                print(
                    f"{operation:<34}{ours.here:>10.2f} +{ours.there:>6.2f}{bare.here:>10.2f} +{bare.there:>6.2f}"
                    f"{ratio:>7.1f}"
                )


async def insert_entries(database: GrowingDatabase, rows: int) -> None:
    """
    Insert copies of an entry, of which more than a few hundred take several transactions.
    """
    new_id = database.ports.ids.new
    template: dict[str, Any] = database.templates.get("entry") or await template_rows(
        database, "usage_entries", "report_id IS NULL"
    )
    database.templates["entry"] = template
    await database.insert("usage_entries", [template | {"id": new_id().bytes} for _ in range(rows)])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
