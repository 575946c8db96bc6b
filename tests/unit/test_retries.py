"""
Use cases run again after a lost race, a bounded number of times.
"""

import inspect
from uuid import UUID

import pytest
from attrs import evolve

from mission_adapters.backoff import JitteredBackoff
from mission_adapters.memory import memory_ports
from mission_core.errors import StaleWrite
from mission_core.tasks.use_cases import create_task
from mission_core.use_case import TRIES, use_case

LOST = StaleWrite("task", UUID(int=1))


async def test_a_use_case_within_another_does_not_multiply_tries():
    """
    The outer one is run as often as one alone, with a wait between every two tries.
    """
    tried, waited = [], []

    async def backoff(attempt):
        waited.append(attempt)

    @use_case
    async def inner(ports):
        tried.append("inner")
        raise LOST

    @use_case
    async def outer(ports):
        await inner(ports)

    with pytest.raises(StaleWrite):
        await outer(evolve(memory_ports(), backoff=backoff))
    with pytest.raises(StaleWrite):
        await inner(memory_ports())

    assert ["inner"] * TRIES * 2 == tried
    assert [*range(1, TRIES)] == waited


def test_a_use_case_looks_as_it_was_written():
    """
    Name, signature and docstring.
    """
    assert ["ports", "principal", "cmd"] == [*inspect.signature(create_task).parameters]
    assert inspect.iscoroutinefunction(create_task)
    assert ("create_task", "mission_core.tasks.use_cases") == (create_task.__name__, create_task.__module__)
    assert create_task.__doc__


async def test_waits_between_tries_grow_differ_and_end():
    """
    Full jitter under an exponential bound, without reading the clock.
    """
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    for attempt in (1, 2, 3, 30):
        await JitteredBackoff(random=lambda: 0.5, sleep=sleep)(attempt)
    await JitteredBackoff(random=lambda: 0.0, sleep=sleep)(5)

    assert [0.005, 0.01, 0.02, 0.125, 0.0] == slept
