"""
Every store and an independent model are driven by the same rules, and always agree.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import chain, repeat
from pathlib import Path

from mission_adapters.sql.store import SqlStore
from mission_adapters.testing import ports_over, predictable_ports
from mission_adapters.testing.state_machine import CheckedStore, check_against_model
from mission_core.ports import Ports
from tests.example_counts import max_examples


def memory() -> CheckedStore:
    """
    A memory store.
    """

    @asynccontextmanager
    async def open_ports() -> AsyncIterator[Ports]:
        yield predictable_ports()

    return CheckedStore("memory", open_ports, persistent=False, sees_one_state=True)


def database(url: str, *, skips_locked_rows: bool) -> CheckedStore:
    """
    A SQL store. Its migrations run when it is first opened.
    """
    migrated = chain([True], repeat(False))

    @asynccontextmanager
    async def open_ports() -> AsyncIterator[Ports]:
        async with SqlStore.open(url, migrated=next(migrated)) as store:
            yield ports_over(store)

    return CheckedStore(url.partition(":")[0], open_ports, skips_locked_rows=skips_locked_rows)


def test_stores_agree_with_the_model(tmp_path: Path, fresh_postgres: str) -> None:
    """
    Memory, SQLite and PostgreSQL answer like the model, also when they are closed and opened again.
    """
    sqlite = database(f"sqlite:///{tmp_path / 'machine.db'}", skips_locked_rows=False)
    postgres = database(fresh_postgres, skips_locked_rows=True)
    check_against_model(memory(), sqlite, postgres, max_examples=max_examples(30))


def test_memory_agrees_with_the_model() -> None:
    """
    A store that was never restarted answers like the model, in many short lives.
    """
    check_against_model(memory(), max_examples=max_examples(200))
