"""
Runs use cases concurrently, so that each has finished its reads before any of them commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from attrs import evolve, field

from mission_adapters.testing.world import World
from mission_core.accounts.model import Principal
from mission_core.extras import missing_extra_named
from mission_core.lazy_attrs import frozen
from mission_core.ports import IdempotencyKey, Ports

with missing_extra_named():
    import pytest

UseCaseCall = tuple[Callable[[Ports, Any, Any], Awaitable[Any]], Any]
"""A use case and its command."""
BOTH_ORDERS = pytest.mark.parametrize("last", [False, True])


@frozen
class FirstCommitBarrier:
    """
    A barrier before the first commit of each participant: no commit begins until all participants have reached theirs.
    A use case that is repeated after a conflict does not wait again.
    """

    participants: int
    arrived: list[None] = field(factory=list)
    complete: asyncio.Event = field(factory=asyncio.Event)

    def ports(self, ports: Ports, wrap: Callable[[Any], Any] | None = None) -> Ports:
        """
        Ports whose first unit of work waits at the barrier before its commit. With *wrap*, that function wraps the
        first unit instead.
        """
        opened: list[Any] = []

        def unit(principal: Principal, *, once: IdempotencyKey | None = None) -> Any:
            made = ports.unit(principal, once=once)
            if opened:
                return made
            opened.append(made)
            return wrap(made) if wrap else _UnitAtBarrier(made, self)

        return evolve(ports, unit=unit)

    async def arrive(self) -> None:
        """
        Wait until every participant has reached its commit.
        """
        self.arrived.append(None)
        if len(self.arrived) == self.participants:
            self.complete.set()
        await self.complete.wait()


@frozen
class _UnitAtBarrier:
    unit: Any
    barrier: FirstCommitBarrier

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unit, name)

    async def commit(self) -> Any:
        await self.barrier.arrive()
        return await self.unit.commit()

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.unit.__aexit__(*exc)


@frozen
class _OrderedUnit(_UnitAtBarrier):
    own: asyncio.Event
    next: asyncio.Event

    async def commit(self) -> Any:
        await self.barrier.arrive()
        await self.own.wait()
        try:
            return await self.unit.commit()
        finally:
            self.next.set()


async def at_once(world: World, *calls: UseCaseCall, me: Principal | None = None, last: bool = False) -> list[Any]:
    """
    Perform the use cases concurrently; each has finished its reads before any of them commits. With *last*, the last
    one is started first.

    Returns:
        The answers and errors, in the order of *calls*.
    """
    if last:
        return (await at_once(world, *calls[::-1], me=me))[::-1]
    barrier = FirstCommitBarrier(len(calls))
    performed = (use_case(barrier.ports(world.ports), me or world.me, command) for use_case, command in calls)
    return await asyncio.wait_for(asyncio.gather(*performed, return_exceptions=True), 30)


async def in_turn(world: World, *calls: UseCaseCall, me: Principal | None = None, last: bool = False) -> list[Any]:
    """
    Perform the use cases concurrently; each has finished its reads before any of them commits, and they commit one
    after the other in the order of *calls*. With *last*, that order is reversed.

    Returns:
        The answers and errors, in the order of *calls*.
    """
    if last:
        return (await in_turn(world, *calls[::-1], me=me))[::-1]
    barrier, turns = FirstCommitBarrier(len(calls)), [asyncio.Event() for _ in range(len(calls) + 1)]
    turns[0].set()

    def ports_at(index: int) -> Ports:
        return barrier.ports(world.ports, lambda unit: _OrderedUnit(unit, barrier, turns[index], turns[index + 1]))

    performed = (use_case(ports_at(index), me or world.me, command) for index, (use_case, command) in enumerate(calls))
    return await asyncio.wait_for(asyncio.gather(*performed, return_exceptions=True), 30)


def kinds(answers: Iterable[Any]) -> list[str]:
    """
    The class names of the answers, sorted.
    """
    return sorted(type(answer).__name__ for answer in answers)
