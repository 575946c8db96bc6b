"""
Every store and an independent model are driven by the same rules, and always agree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.contract.state_machine.reopened_stores import ReopenedStore
from tests.contract.state_machine.rule_machine import RuleMachine
from tests.example_counts import max_examples


def drive(worlds: Sequence[ReopenedStore], *, tries: int) -> None:
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
    sqlite = ReopenedStore("sqlite", f"sqlite:///{tmp_path / 'machine.db'}")
    drive([ReopenedStore("memory"), sqlite, ReopenedStore("postgres", fresh_postgres)], tries=max_examples(30))


def test_memory_agrees_with_the_model() -> None:
    """
    A store that was never restarted answers like the model, in many short lives.
    """
    drive([ReopenedStore("memory")], tries=max_examples(200))
