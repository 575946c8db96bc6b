"""
The tools for the tests of other programs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from attrs import evolve

from mission_adapters.clocks import SystemClock
from mission_adapters.memory import MemoryStore, memory_ports
from mission_adapters.testing import CountingIds, make_world, ports_over, predictable_ports
from mission_adapters.testing.state_machine import CheckedStore, check_against_model
from mission_core.events.model import ChainHead
from mission_core.ports import Ports


async def test_predictable_ports_that_are_used_alike_hold_the_same() -> None:
    """
    Ids, moments, leases and the log.
    """
    answers = []
    for _ in range(2):
        world = await make_world(predictable_ports(), "same")
        task = await world.task()
        answers.append((await world.claim(task), await world.ports.log.read(world.me.organization)))

    assert answers[0] == answers[1]
    assert CountingIds().new().version == task.id.version


async def test_any_port_can_be_replaced() -> None:
    """
    Of a store as well as of a new memory store.
    """
    clock, ids = SystemClock(), CountingIds(99)

    assert (clock, ids) == (predictable_ports(clock=clock).clock, predictable_ports(ids=ids).ids)
    assert (clock, ids) == (ports_over(MemoryStore(), clock=clock).clock, ports_over(MemoryStore(), ids=ids).ids)


async def test_a_world_says_what_is_wrong_with_a_clock_that_it_cannot_move() -> None:
    """
    A clock of the system cannot be moved.
    """
    world = await make_world(memory_ports())
    with pytest.raises(TypeError, match=r"a test moves a ManualClock, and these ports have SystemClock\(\)"):
        world.clock.advance(hours=1)


class LyingLog:
    """
    A log whose head is always the beginning.
    """

    def __init__(self, log: Any) -> None:
        self.log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self.log, name)

    async def head(self, organization: Any) -> ChainHead:
        return evolve(await self.log.head(organization), position=0)


def test_a_store_that_breaks_a_promise_is_reported_by_the_state_machine() -> None:
    """
    With what differs, and the commands that show it.
    """

    @asynccontextmanager
    async def open_ports() -> AsyncIterator[Ports]:
        store = MemoryStore()
        yield ports_over(store, log=LyingLog(store.log))

    with pytest.raises(AssertionError, match=r"--- model\n\+\+\+ mine, log\n") as failed:
        check_against_model(CheckedStore("mine", open_ports, persistent=False), max_examples=2)

    assert "state.create_organizations()" in "".join(failed.value.__notes__)
