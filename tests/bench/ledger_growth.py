"""
Growth of the token ledger: what its operations cost with 10,000 entries and with many, in CPU of this process and of
PostgreSQL's.

    python -m tests.bench.ledger_growth [DATABASE_URL] [--entries N] [--keep FOLDER]

Both databases have the same days, and on each day the same pairs of an agent and a task, each with its model; the
large one has more entries of each, and more sessions: one for every ten entries. So what is shown by day, agent, model
or task is as long in both. Rows are put in by SQL, as copies of one that the product wrote, and the rebuild of the
product makes the sums.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mission_core.agents.organization_creation import ensure_organization
from tests.bench.growth import (
    GROWTH,
    Cost,
    GrowingDatabase,
    Operation,
    Rows,
    costs_of,
    settled,
    small_url,
    template_rows,
    told,
)
from tests.statement_counts import counted_app

SMALL = 10_000
AGENTS = 20
MODELS = ("claude-sonnet-4", "gpt-5", "gemini-2.5-pro", "o3")
RARE_MODEL = "rare-model"
RARE = 10
"""How many entries have the rare model."""
TASKS = 60
DAYS = 90
DAY = 86_400_000_000
PER_SESSION = 10


async def fill(database: GrowingDatabase, entries: int) -> None:
    """
    Add this number of entries, and compute the sums.
    """
    template = await template_rows(database, "usage_entries", "agent_name = 'template'")
    now, new_id = int(time.time() * 1e6), database.ports.ids.new
    rare = {n * entries // RARE for n in range(RARE)}
    agents = [(new_id().bytes, f"agent-{n}") for n in range(AGENTS)]
    tasks = database.counted.tasks[:TASKS]

    def rows() -> Rows:
        for n in range(entries):
            place = n % TASKS
            session = n // (TASKS * PER_SESSION) * TASKS + place
            agent, name = agents[place % AGENTS]
            task = tasks[place] if place % 3 else None
            yield template | {
                "id": new_id().bytes,
                "report_id": f"report-{n}",
                "at": now - DAYS * DAY * (entries - n) // entries,
                "agent": agent,
                "agent_name": name,
                "session": f"{name}:{session}",
                "model": RARE_MODEL if n in rare else MODELS[place % 4],
                "task": task and task.id.bytes,
                "task_number": task and task.number,
                "board": task and task.board.bytes,
            }

    began = time.monotonic()
    await database.insert("usage_entries", rows())
    told(f"{entries:,} entries: took {time.monotonic() - began:.0f} s")
    began = time.monotonic()
    await database.ports.housekeeping.rebuild_usage(database.organization)
    told(f"{entries:,} entries: the sums took {time.monotonic() - began:.0f} s")


def operations(database: GrowingDatabase) -> dict[str, Operation]:
    """
    What is measured, by name.
    """
    counted = database.counted

    def ask(method: str, path: str, body: Any = None) -> Operation:
        async def asked(n: int) -> Any:
            return await counted.call(method, path, body)

        return asked

    report = {"model": "gpt-5", "sessionId": "agent-1:new", "inputTokens": 900, "outputTokens": 90}
    entry = {"model": "gpt-5", "session": "batch", "input_tokens": 900, "output_tokens": 90}
    tokens, usage = "/api/tokens?action=", "/api/v1/usage"
    task = counted.tasks[1].id
    return {
        "report": ask("POST", "/api/tokens", report),
        "batch of 100 reports": ask("POST", f"{usage}/batch", {"entries": [entry] * 100}),
        "list": ask("GET", f"{tokens}list"),
        "list of a day": ask("GET", f"{tokens}list&timeframe=day"),
        "boards list 50": ask("GET", f"{usage}?limit=50"),
        "boards list 50 of a model": ask("GET", f"{usage}?limit=50&model=gpt-5"),
        "boards list of a rare model": ask("GET", f"{usage}?limit=50&model={RARE_MODEL}"),
        "boards list of a task": ask("GET", f"{usage}?limit=50&task_id={task}"),
        "boards summary by model": ask("GET", usage + "/summary?group_by=model"),
        "boards summary by day": ask("GET", usage + "/summary?group_by=day"),
        "boards summary of a task": ask("GET", f"{usage}/summary?group_by=model&task_id={task}"),
        "boards summary by task": ask("GET", f"{usage}/summary?group_by=task"),
        "boards summary by session (more)": ask("GET", f"{usage}/summary?group_by=session"),
        "stats": ask("GET", f"{tokens}stats"),
        "stats of a week (more sessions)": ask("GET", f"{tokens}stats&timeframe=week"),
        "agent costs (lists the sessions)": ask("GET", f"{tokens}agent-costs"),
        "task costs": ask("GET", f"{tokens}task-costs"),
        "trends": ask("GET", f"{tokens}trends"),
        "by agent": ask("GET", "/api/tokens/by-agent"),
    }


@asynccontextmanager
async def database_of(url: str, folder: Path, entries: int) -> AsyncIterator[GrowingDatabase]:
    """
    The database of an application with this many entries.
    """
    kept = folder / f"ledger-{'postgresql' if url.startswith('postgres') else 'sqlite'}-{entries}.json"
    again = f" {time.time_ns()}" if kept.exists() else ""
    names = {"board_name": f"Counted{again}", "agent_name": f"ada{again}".replace(" ", "")}
    async with counted_app(url, folder, measures=True, **names) as counted:
        organization = (await ensure_organization(counted.ports)).id
        database = GrowingDatabase(counted, organization)
        if not kept.exists():
            template = {"model": "gpt-5", "sessionId": "template", "inputTokens": 900, "outputTokens": 90}
            await counted.call("POST", "/api/tokens", template)
            await fill(database, entries)
            kept.write_text(json.dumps(entries))
            await settled(url)
        yield database


async def main(database_url: str | None, entries: int, keep: str | None) -> None:
    """
    Measure and print.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(keep or name)
        url = database_url or f"sqlite:///{folder / f'ledger-{entries}.db'}"
        found: dict[str, tuple[Cost, Cost]] = {}
        async with (
            database_of(url, folder, entries) as large,
            small_url(url, Path(name)) as other,
            database_of(other, Path(name), SMALL) as small,
        ):
            in_large = operations(large)
            for operation, ask in operations(small).items():
                before, after = await costs_of((small, ask), (large, in_large[operation]))
                found[operation] = before, after
    print(f"{'CPU in ms, + that of the database':<38}{SMALL:>18,}{entries:>18,}{'ratio':>8}")
    for operation, (before, after) in found.items():
        ratio = after.both / before.both
        print(
            f"{operation:<38}{before.here:>10.2f} +{before.there:>6.2f}{after.here:>10.2f} +{after.there:>6.2f}"
            f"{ratio:>8.2f}{'  grows' if ratio > GROWTH else ''}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Compare what the token ledger costs with few entries and with many.")
    parser.add_argument("database_url", nargs="?", help="an empty database; by default a new SQLite file")
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--keep", metavar="FOLDER", help="keep the large database's files and keys here")
    given = parser.parse_args()
    asyncio.run(main(given.database_url, given.entries, given.keep))
