"""
What it costs to record usage of tokens, in CPU of this process and of PostgreSQL's, and as a ratio to a bare insert of
the same rows of the ledger through the same driver; and what a claim and a heartbeat cost under a budget, beside those
without.

    python -m tests.bench.ledger_writes [DATABASE_URL]
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from mission_core.agents.organization_creation import ensure_organization
from tests.bench.growth import REPEATS, WARMING, Cost, GrowingDatabase, costs_of, template_rows
from tests.statement_counts import BUDGET, counted_app, usage_reports

HEADING = "CPU in ms, + that of the database"

LARGE_BATCH = 1000
SPANS = 512
TASKS = 2 * (REPEATS + WARMING)
Bodies = dict[int, tuple[str, bytes]]


async def main(database_url: str | None) -> None:
    """
    Measure and print.
    """
    with tempfile.TemporaryDirectory() as name:
        url = database_url or f"sqlite:///{Path(name) / 'ledger.db'}"
        async with counted_app(url, Path(name), measures=True) as counted:
            database = GrowingDatabase(counted, (await ensure_organization(counted.ports)).id)
            await measure_reports(database)
            for _ in range(TASKS):
                await counted.call("POST", "/api/tasks", {"title": "Counted", "project_id": counted.project})
            free = await costs_of_runs(database)
            await counted.call("POST", "/api/budgets", BUDGET)
            print(f"\n{HEADING:<34}{'under a budget':>18}{'without':>18}{'ratio':>7}")
            for operation, cost in (await costs_of_runs(database)).items():
                show(operation, cost, free[operation])


async def measure_reports(database: GrowingDatabase) -> None:
    """
    Measure reports beside a bare insert of the same rows. What a client does is done before.
    """
    print(f"{HEADING:<34}{'recorded':>18}{'bare insert':>18}{'ratio':>7}")
    for place, operation in enumerate(usage_reports(0, batch=LARGE_BATCH, spans=SPANS)):
        bodies: Bodies = {}
        for n in range(-WARMING, REPEATS):
            path, body = usage_reports(n, batch=LARGE_BATCH, spans=SPANS)[operation]
            bodies[n] = path, json.dumps(body).encode()

        async def record(n: int, bodies: Bodies = bodies) -> None:
            path, body = bodies[n]
            await database.counted.send("POST", path, body, agent=True)

        await record(-WARMING)
        template = await template_rows(database, "usage_entries", "report_id IS NULL")
        new_id, count = database.ports.ids.new, (1, LARGE_BATCH, SPANS)[place]
        rows = {n: [template | {"id": new_id().bytes} for _ in range(count)] for n in bodies}

        async def insert(n: int, rows: dict[int, list[dict[str, Any]]] = rows) -> None:
            await database.insert("usage_entries", rows[n])

        show(operation, *await costs_of((database, record), (database, insert)))


async def costs_of_runs(database: GrowingDatabase) -> dict[str, Cost]:
    """
    The costs of a claim, and of a heartbeat of its lease.
    """
    counted, taken = database.counted, {}

    async def claim(n: int) -> None:
        claimed, _ = await counted.call("POST", "/api/tasks/claim", {"project_id": counted.project}, agent=True)
        taken[n] = f"/api/tasks/{claimed['task']['id']}/lease/heartbeat", {"lease": claimed["lease"]["lease"]}

    async def renew(n: int) -> None:
        path, lease = taken[n]
        await counted.call("POST", path, lease, agent=True)

    operations = {"claim": claim, "lease heartbeat": renew}
    return {name: (await costs_of((database, operation)))[0] for name, operation in operations.items()}


def show(operation: str, cost: Cost, other: Cost) -> None:
    """
    Print two costs and their ratio.
    """
    print(
        f"{operation:<34}{cost.here:>10.2f} +{cost.there:>6.2f}{other.here:>10.2f} +{other.there:>6.2f}"
        f"{cost.both / other.both:>7.1f}"
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
