"""
A named reader of the log in a process that is killed and started again: it misses nothing, and repeats at most what it
had not acknowledged.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from mission_adapters.sql.store import SqlStore
from mission_adapters.testing import make_world, ports_over
from tests.contract.log_reader import READER
from tests.contract.polling import polled

pytestmark = pytest.mark.real_time

KILLS = 4
TASKS = 5


async def test_a_killed_reader_continues_where_it_was(database_url: str, tmp_path: Path) -> None:
    """
    Each start continues in order, and together they have every entry.
    """
    path = tmp_path / "positions"
    path.touch()
    async with SqlStore.open(database_url) as store:
        world = await make_world(ports_over(store))
        own, expected = world.me.organization, list[int]()
        command = [sys.executable, "-m", "tests.contract.log_reader", database_url, str(own), str(path)]
        for _ in range(KILLS):
            with started(command) as reader:
                for _ in range(TASKS):
                    await world.task()
                    expected.append((await store.log.head(own)).position)
                polled(lambda: positions(path), lambda seen: bool(seen) and seen[-1] >= expected[-2], 20)
                reader.kill()  # perhaps before it has acknowledged the last ones
        with started(command) as reader:
            polled(lambda: positions(path), lambda seen: seen[-1:] == expected[-1:], 20)
            reader.kill()
        reached = await store.log.cursor(own, READER.name)
    seen = positions(path)

    assert expected == sorted(set(seen))
    assert expected == list(dict.fromkeys(seen))
    assert reached is not None


def positions(path: Path) -> list[int]:
    """
    The positions that were handled, in order.
    """
    return [int(line) for line in path.read_text().splitlines()]


def started(command: list[str]) -> subprocess.Popen[bytes]:
    """
    A new process.
    """
    return subprocess.Popen(command)
