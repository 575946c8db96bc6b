"""
Runs the state machine over stores.
"""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from mission_adapters.testing.state_machine.checked_stores import CheckedStore
from mission_adapters.testing.state_machine.rule_machine import RuleMachine


def check_against_model(*stores: CheckedStore, max_examples: int = 30, steps: int = 40) -> None:
    """
    Run the state machine over these stores, which receive the same steps. A persistent store stays open for all
    examples, and each example has new organizations. Call it outside of an event loop.

    Args:
        max_examples: The number of random sequences of steps.
        steps: The number of steps in each sequence.

    Raises:
        AssertionError: If a store answers differently from the model, or breaks an invariant. Its notes are the
            shortest failing sequence of steps that Hypothesis found.
    """
    with asyncio.Runner() as runner:
        machine = type("StoreMachine", (RuleMachine,), {"stores": stores, "runner": runner})
        try:
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=max_examples,
                    stateful_step_count=steps,
                    deadline=None,
                    report_multiple_bugs=False,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            for store in stores:
                runner.run(store.close())
