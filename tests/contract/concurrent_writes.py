"""
Use cases whose commits meet: all have read before any of them commits.
"""

import asyncio

import pytest
from attrs import evolve, field, frozen

BOTH_ORDERS = pytest.mark.parametrize("last", [False, True])


@frozen
class Meeting:
    """
    Holds back the first commit of each party until all have come to theirs; whoever repeats its use case goes on.
    """

    parties: int
    arrived: list[None] = field(factory=list)
    everybody: asyncio.Event = field(factory=asyncio.Event)

    def ports(self, ports):
        """
        Ports whose first unit commits when everybody is ready to.
        """
        opened = []

        def unit(principal, *, once=None):
            made = ports.unit(principal, once=once)
            if not opened:
                opened.append(made)
                return _Late(made, self)
            return made

        return evolve(ports, unit=unit)

    async def arrive(self):
        self.arrived.append(None)
        if len(self.arrived) == self.parties:
            self.everybody.set()
        await self.everybody.wait()


@frozen
class _Late:
    unit: object
    meeting: Meeting

    def __getattr__(self, name):
        return getattr(self.unit, name)

    async def commit(self):
        await self.meeting.arrive()
        return await self.unit.commit()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        await self.unit.__aexit__(*exc)


async def at_once(world, *calls, me=None, last=False):
    """
    Perform these use cases so that all have read before any commits; with *last*, the last one is started first.
    Answers and refusals, in the order of calls.
    """
    if last:
        return (await at_once(world, *calls[::-1], me=me))[::-1]
    meeting = Meeting(len(calls))
    performed = (use_case(meeting.ports(world.ports), me or world.me, command) for use_case, command in calls)
    return await asyncio.wait_for(asyncio.gather(*performed, return_exceptions=True), 30)


@frozen
class _InTurn(_Late):
    own: asyncio.Event
    next: asyncio.Event

    async def commit(self):
        await self.meeting.arrive()
        await self.own.wait()
        try:
            return await self.unit.commit()
        finally:
            self.next.set()


async def in_turn(world, *calls, me=None, last=False):
    """
    Perform these use cases so that all have read before any commits, and each commits when the one before it has; with
    *last*, the last one first. Answers and refusals, in the order of calls.
    """
    if last:
        return (await in_turn(world, *calls[::-1], me=me))[::-1]
    meeting, turns = Meeting(len(calls)), [asyncio.Event() for _ in range(len(calls) + 1)]
    turns[0].set()

    def ports_at(place):
        opened = []

        def unit(principal, *, once=None):
            made = world.ports.unit(principal, once=once)
            if opened:
                return made
            opened.append(made)
            return _InTurn(made, meeting, turns[place], turns[place + 1])

        return evolve(world.ports, unit=unit)

    performed = (use_case(ports_at(place), me or world.me, command) for place, (use_case, command) in enumerate(calls))
    return await asyncio.wait_for(asyncio.gather(*performed, return_exceptions=True), 30)


def kinds(answers):
    return sorted(type(answer).__name__ for answer in answers)
