"""
Usage that programs tell by OpenTelemetry, on every store: what is counted once, and which kind of telemetry counts.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest
from attrs import define, evolve, field, frozen

from mission_adapters.otlp import decode_telemetry
from mission_adapters.testing.contracts.token_ledger import PRICES, fold, ledger, report, total
from mission_core.accounts.model import AgentPrincipal, Role
from mission_core.agents.model import AgentNotFound
from mission_core.agents.use_cases import CreateAgent, create_agent
from mission_core.errors import InvalidField, RoleTooLow
from mission_core.usage.model import UsageOfAnotherAgent
from mission_core.usage.prices import PriceQuery, Quote
from mission_core.usage.telemetry import RecordTelemetry, TelemetrySignal, record_telemetry
from mission_core.usage.use_cases import CorrectUsage, RecordUsage, UsageOutcome, correct_usage, record_usage
from mission_core.values import micros
from tests.contract.conftest import World
from tests.unit.otlp_requests import SECOND, counter, event, histogram, logs, metrics, point, span, traces

MODEL = "large"


@frozen
class Program:
    """
    A program that tells its usage of a model by telemetry. *began* is when it started, in nanoseconds since 1970.
    """

    world: World
    session: str = "s1"
    by: Any = None
    began: int = field(init=False)
    resource: dict[str, Any] = field(factory=dict)

    @began.default
    def _now(self) -> int:
        return micros(self.world.clock.now()) * 1000

    async def send(self, signal: TelemetrySignal, told: dict[str, Any]) -> list[UsageOutcome]:
        """
        The outcomes of a request.
        """
        records = decode_telemetry(signal, json.dumps(told).encode(), is_json=True).records
        world = self.world
        return await record_telemetry(world.ports, self.by or world.me, RecordTelemetry(records=records))

    async def count(
        self, input: int, output: int = 0, *, after: int, since: int = 0, delta: bool = False, **more: Any
    ) -> list[UsageOutcome]:
        """
        The values of the counter of Claude Code, *after* seconds.
        """
        own = {"model": MODEL, **more} | ({"session.id": self.session} if self.session else {})
        times = {"since": self.began + since * SECOND, "at": self.began + after * SECOND}
        points = [
            point({**own, "type": name}, value, **times) for name, value in (("input", input), ("output", output))
        ]
        told = metrics(counter("claude_code.token.usage", *points, delta=delta), **self.resource)
        return await self.send(TelemetrySignal.METRICS, told)

    async def log(self, input: int, *, after: int) -> list[UsageOutcome]:
        """
        An event of Claude Code about a request.
        """
        own = {"session.id": self.session, "model": MODEL, "input_tokens": input, "output_tokens": 0}
        told = event("claude_code.api_request", own, at=self.began + after * SECOND)
        return await self.send(TelemetrySignal.LOGS, logs(told, **self.resource))

    async def span(self, input: int, *, after: int, id: int = 1, model: str = MODEL) -> list[UsageOutcome]:
        """
        A span of a request.
        """
        own = {"gen_ai.request.model": model, "gen_ai.usage.input_tokens": input}
        own |= {"session.id": self.session} if self.session else {}
        told = traces(span(own, id=id, at=self.began + after * SECOND), **self.resource)
        return await self.send(TelemetrySignal.TRACES, told)


@pytest.fixture
def world(world: World) -> World:
    """
    A fresh organization with prices of two models.
    """
    return evolve(world, ports=evolve(world.ports, prices=PRICES))


async def counted(world: World) -> tuple[int, int]:
    """
    The tokens and the nano-dollars of the ledger, which equal the sums over its entries.
    """
    entries, sums = await ledger(world), await total(world)
    folded = fold(entries, 24, ()) or {(): sums}

    assert folded[()] == sums
    return sums.tokens, sums.cost


async def test_a_counter_since_the_start_adds_only_its_growth(world: World) -> None:
    program = Program(world)
    for after, value in ((60, 100), (120, 100), (180, 250)):
        await program.count(value, value // 10, after=after)

    assert (275, 250 * 3000 + 25 * 15_000) == await counted(world)


async def test_a_counter_since_the_last_reading_adds_its_value(world: World) -> None:
    program = Program(world)
    for minute in range(3):
        await program.count(100, since=minute * 60, after=minute * 60 + 60, delta=True)

    assert 300 == (await counted(world))[0]


@pytest.mark.parametrize("delta", [True, False])
async def test_a_repeated_reading_is_not_counted_again(world: World, delta: bool) -> None:
    program = Program(world)
    for _ in range(3):
        await program.count(100, after=60, delta=delta)

    assert 100 == (await counted(world))[0]


async def test_a_counter_that_began_again_adds_all_of_its_value(world: World) -> None:
    """
    It says when it began; or it does not, and is smaller than before.
    """
    program = Program(world)
    await program.count(100, after=60)
    await program.count(30, since=100, after=120)
    await program.count(20, since=100, after=180)

    assert 150 == (await counted(world))[0]


async def test_two_processes_that_look_the_same_are_told_apart_by_their_starts(world: World) -> None:
    program = Program(world)
    for after, since, value in ((60, 0, 100), (61, 5, 10), (120, 0, 150), (121, 5, 40)):
        await program.count(value, since=since, after=after)

    assert 190 == (await counted(world))[0]


async def test_a_late_reading_adds_nothing(world: World) -> None:
    program = Program(world)
    await program.count(100, after=120)
    await program.count(40, after=60)

    assert 100 == (await counted(world))[0]


async def test_counters_with_other_attributes_are_counters_of_their_own(world: World) -> None:
    program = Program(world)
    for source in ("main", "subagent"):
        await program.count(100, after=60, query_source=source)

    assert 200 == (await counted(world))[0]


async def test_a_repeated_span_or_event_is_not_counted_again(world: World) -> None:
    program, other = Program(world), Program(world, session="s2")
    for _ in range(2):
        await program.span(100, after=1)
        await other.log(7, after=1)

    assert 107 == (await counted(world))[0]


async def test_a_better_kind_of_telemetry_replaces_a_worse_one(world: World) -> None:
    """
    Each tells the same requests. The entries of the worse kind are reversed, not changed.
    """
    program = Program(world)
    await program.count(100, after=60)
    await program.log(60, after=10)
    by_events = await counted(world)
    await program.log(40, after=20)
    await program.span(60, after=10, id=1)
    await program.span(40, after=20, id=2)

    assert (60, 60 * 3000) == by_events
    assert (100, 100 * 3000) == await counted(world)
    assert 3 == len([each for each in await ledger(world) if each.reverses])


async def test_a_worse_kind_of_telemetry_adds_nothing_later(world: World) -> None:
    program = Program(world)
    await program.span(60, after=10)
    outcomes = [
        *await program.log(60, after=10),
        *await program.count(60, after=60),
        *await program.count(90, after=90),
    ]

    assert [UsageOutcome()] * 3 == outcomes
    assert 60 == (await counted(world))[0]


async def test_the_kinds_of_another_session_model_or_reporter_do_not_matter(world: World) -> None:
    created = await create_agent(world.ports, world.me, CreateAgent(name="ada"))
    ada = _principal(world, created.agent)
    await Program(world).span(1, after=1)
    await Program(world).span(10, after=1, model="small", id=2)
    await Program(world, session="s2").log(100, after=1)
    await Program(world, by=ada).count(1000, after=60)

    assert 1111 == (await counted(world))[0]


async def test_a_release_in_the_name_of_a_model_makes_no_other_model(world: World) -> None:
    program = Program(world)
    await program.span(60, after=1, model="large-20260101")
    await program.count(60, after=60)

    assert 60 == (await total(world)).tokens


async def test_counters_without_a_session_give_way_to_the_events_of_their_process(world: World) -> None:
    """
    In either order.
    """
    first, second = ({"service__instance__id": name} for name in ("a", "b"))
    await Program(world, session="", resource=first).count(100, after=60)
    await Program(world, session="s1", resource=first).log(100, after=10)
    await Program(world, session="s2", resource=second).log(50, after=10)
    await Program(world, session="", resource=second).count(50, after=60)

    assert 150 == (await counted(world))[0]


async def test_a_products_own_counter_counts_instead_of_the_general_one_beside_it(world: World) -> None:
    program = Program(world)
    at = {"since": program.began, "at": program.began + 60 * SECOND}
    own = {"session.id": "s1", "model": MODEL}
    told = metrics(
        histogram("gen_ai.client.token.usage", point({**own, "gen_ai.token.type": "input"}, 90.0, **at)),
        counter("gemini_cli.token.usage", point({**own, "type": "input"}, 90, **at)),
    )
    await program.send(TelemetrySignal.METRICS, told)
    await program.send(TelemetrySignal.METRICS, told)

    assert 90 == (await counted(world))[0]


async def test_what_an_admin_corrected_is_replaced_too(world: World) -> None:
    program = Program(world)
    (told,) = await program.count(100, after=60)
    (kept,) = await program.count(200, after=120)
    assert told.entry is not None
    assert kept.entry is not None
    await correct_usage(world.ports, world.me, CorrectUsage(usage=told.entry.id, reason="wrong", input_tokens=70))
    await correct_usage(world.ports, world.me, CorrectUsage(usage=kept.entry.id, reason="wrong", void=True))
    await program.log(55, after=10)

    assert 55 == (await counted(world))[0]


async def test_other_reports_of_the_session_stay(world: World) -> None:
    program = Program(world)
    await record_usage(world.ports, world.me, RecordUsage(report=report(session="s1", input=5, output=0)))
    await program.count(100, after=60)
    await program.log(100, after=10)

    assert 105 == (await counted(world))[0]


async def test_a_refused_record_replaces_nothing_and_is_counted_once_it_is_right(world: World) -> None:
    program = Program(world, resource={"mission__agent": "nobody"})
    await Program(world).count(100, after=60)
    (refused,) = await program.log(60, after=10)
    refused_counter = await program.count(30, after=60, since=1)
    before = await counted(world)
    await create_agent(world.ports, world.me, CreateAgent(name="nobody"))
    await program.count(50, after=120, since=1)

    assert [AgentNotFound, AgentNotFound] == [type(each.refusal) for each in (refused, *refused_counter)]
    assert (100, 100 * 3000) == before
    assert 150 == (await counted(world))[0]


async def test_an_agent_reports_for_itself_only(world: World) -> None:
    ada, bob = [(await create_agent(world.ports, world.me, CreateAgent(name=name))).agent for name in ("ada", "bob")]
    own = await Program(world, by=_principal(world, ada)).span(10, after=1)
    told = Program(world, by=_principal(world, ada), resource={"mission__agent": "bob"})
    (refused,) = await told.span(10, after=1, id=2)
    (named,) = await Program(world, resource={"mission__agent": str(bob.id)}).span(5, after=1, id=3)

    assert ["ada", "bob"] == [each.entry.agent_name for each in (*own, named) if each.entry]
    assert isinstance(refused.refusal, UsageOfAnotherAgent)


async def test_a_viewer_records_nothing(world: World) -> None:
    with pytest.raises(RoleTooLow):
        await Program(world, by=evolve(world.me, role=Role.VIEWER)).span(10, after=1)


@pytest.mark.parametrize("value", [-5, 10**11])
async def test_a_counter_out_of_range_is_refused(world: World, value: int) -> None:
    program = Program(world)
    if value < 0:
        told = metrics(counter("claude_code.token.usage", point({"model": MODEL, "type": "input"}, value)))
        batch = decode_telemetry(TelemetrySignal.METRICS, json.dumps(told).encode(), is_json=True)

        assert 1 == len(batch.rejected)
        return
    (refused,) = await program.count(value, after=60)

    assert isinstance(refused.refusal, InvalidField)


async def test_kinds_and_repetitions_that_come_at_once_are_counted_once(world: World) -> None:
    """
    The same requests come as counters, events and spans, each twice, in one moment.
    """
    program = Program(world)
    told = [
        lambda: program.count(100, after=60),
        lambda: program.log(100, after=10),
        lambda: program.span(100, after=1),
    ]
    await asyncio.gather(*(send() for send in told * 2))

    assert 100 == (await counted(world))[0]


async def test_a_better_kind_that_comes_while_a_worse_one_is_recorded_replaces_it(world: World) -> None:
    """
    The worse one was read before the better one came, and is kept after it.
    """
    program = Program(world)
    await program.count(100, after=60)
    slow = Program(evolve(world, ports=evolve(world.ports, prices=Meanwhile(program.log(150, after=10)))))
    await slow.count(150, after=120)

    assert 150 == (await counted(world))[0]


@define
class Meanwhile:
    """
    A book of prices during whose first quotes something else happens.
    """

    other: Coroutine[Any, Any, Any] | None

    async def quotes(self, queries: Sequence[PriceQuery]) -> list[Quote | None]:
        if self.other is not None:
            other, self.other = self.other, None
            await asyncio.create_task(other)
        return await PRICES.quotes(queries)


def _principal(world: World, agent: Any) -> AgentPrincipal:
    return AgentPrincipal(organization=world.me.organization, agent=agent.id, name=agent.name, role=Role.OPERATOR)
