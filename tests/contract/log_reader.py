"""
A process that follows a log under a name, and appends the positions of created tasks to a file.

`python -m tests.contract.log_reader DATABASE_URL ORGANIZATION FILE`
"""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from mission_adapters.sql.store import SqlStore
from mission_core.events.model import Entry
from mission_core.events.readers import Reader, follow_log
from mission_core.ids import OrganizationId

READER = Reader(name="scribe", kinds=frozenset({"task.created"}))


async def main(url: str, organization: str, path: Path) -> None:
    async def handle(entries: Sequence[Entry]) -> None:
        note(path, [entry.position for entry in entries])

    async with SqlStore.open(url) as store:
        await follow_log(store.log, OrganizationId(UUID(organization)), READER, handle)


def note(path: Path, positions: Sequence[int]) -> None:
    """
    Append positions to a file.
    """
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"{each}\n" for each in positions)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
