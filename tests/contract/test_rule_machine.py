"""
Every store and an independent model are driven by the same rules, and always agree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.contract.machine.machine import RuleMachine
from tests.contract.machine.worlds import World
from tests.examples import examples


def drive(worlds: Sequence[World], *, tries: int) -> None:
    """
    Run the machine over stores that stay open for all its examples.
    """
    with asyncio.Runner() as runner:
        machine = type("Machine", (RuleMachine,), {"worlds": worlds, "runner": runner})
        try:
            for world in worlds:
                runner.run(world.reopen())
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=tries,
                    stateful_step_count=40,
                    deadline=None,
                    report_multiple_bugs=False,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            for world in worlds:
                runner.run(world.close())


def test_stores_agree_with_the_model(tmp_path: Path, fresh_postgres: str) -> None:
    """
    Memory, SQLite and PostgreSQL answer like the model, also when they are closed and opened again.
    """
    sqlite = World("sqlite", f"sqlite:///{tmp_path / 'machine.db'}")
    drive([World("memory"), sqlite, World("postgres", fresh_postgres)], tries=examples(30))


def test_memory_agrees_with_the_model() -> None:
    """
    A store that was never restarted answers like the model, in many short lives.
    """
    drive([World("memory")], tries=examples(200))
