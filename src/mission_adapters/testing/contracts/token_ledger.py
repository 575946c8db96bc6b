"""
The contract of the token ledger: what a store keeps of the reports, and how its sums follow from the entries.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from anyio import create_task_group
from attrs import evolve, field
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.testing.contracts.base import StoreContract, contract_settings
from mission_adapters.testing.world import World, make_world
from mission_core.accounts.model import BoardAgentConfined, MemberPrincipal, Role
from mission_core.agents.update import UpdateAgent, update_agent
from mission_core.boards.model import BoardDenied
from mission_core.errors import InvalidField, RoleTooLow
from mission_core.ids import BoardId, MemberId, UsageId, UserId, UserNumber
from mission_core.lazy_attrs import frozen
from mission_core.tasks.agent_deletion import DeleteAgent, delete_agent
from mission_core.tasks.board_deletion import DeleteBoard, delete_board
from mission_core.tasks.leases import CompleteTask, complete_task
from mission_core.tasks.runs import LeaseTerms, Outcome, TaskResult
from mission_core.tasks.use_cases import DeleteTask, delete_task
from mission_core.usage.amounts import PriceBasis
from mission_core.usage.counters import HOUR_MICROS, SUMMED
from mission_core.usage.model import (
    USAGE,
    ReportIdReused,
    UsageEntry,
    UsageOfAnotherAgent,
    UsageOfAnotherBoard,
    UsageOfAnotherTask,
    UsageRebuildSuperseded,
    UsageVoided,
)
from mission_core.usage.price_overrides import (
    CreatePriceOverride,
    DeletePriceOverride,
    UpdatePriceOverride,
    create_price_override,
    delete_price_override,
    get_price_override,
    list_price_overrides,
    update_price_override,
)
from mission_core.usage.prices import ModelPrice, PriceList
from mission_core.usage.queries import UsageFilter, UsageTotals, UsageWindow
from mission_core.usage.use_cases import (
    CorrectUsage,
    RecordUsage,
    RecordUsageBatch,
    UsageReport,
    correct_usage,
    record_usage,
    record_usage_batch,
)
from mission_core.values import PageRequest, micros

FEW = contract_settings(15)
PRICES = PriceList(
    prices=(
        ModelPrice(model="large", input=3_000_000_000, output=15_000_000_000, cache_read=300_000_000),
        ModelPrice(model="small", input=250_000_001, output=2_000_000_000),
    ),
    version="1",
)
ALL = UsageWindow()
KEYS = ("slot", "board", "task", "session", "agent", "agent_name", "model")
PLACES = ("board", "agent", "agent_name", "model", "task", "session", "slot")


def report(model: str = "large", input: int = 1000, output: int = 100, **more: Any) -> UsageReport:
    """
    A report of tokens.
    """
    return UsageReport(model=model, input_tokens=input, output_tokens=output, **more)


def cheap(model: str) -> CreatePriceOverride:
    """
    A command that sets a price of one dollar for a million tokens of input, and two for output.
    """
    return CreatePriceOverride(model=model, input=10**9, output=2 * 10**9)


async def recorded(world: World, by: Any = None, **of: Any) -> UsageEntry:
    """
    The entry of a report.
    """
    return await record_usage(world.ports, by or world.me, RecordUsage(report=report(**of)))


async def ledger(world: World) -> list[UsageEntry]:
    """
    All entries of the organization.
    """
    found = await world.ports.reads.usage.entries(world.me, ALL, PageRequest(limit=10_000))
    assert len(found.rows) == found.total
    return list(found.rows)


async def total(world: World, by: Any = None, **wanted: Any) -> UsageTotals:
    """
    The sums over all entries that the principal may see.
    """
    found = await world.ports.reads.usage.sums(by or world.me, ALL, (), UsageFilter(**wanted))
    return found[0].totals if found else UsageTotals()


def member_of(world: World, role: Role, board: BoardId) -> MemberPrincipal:
    """
    A member with grants on one board.
    """
    return MemberPrincipal(
        organization=world.me.organization, user=UserId(world.ports.ids.new()), number=UserNumber(1),
        member=MemberId(world.ports.ids.new()), name="eve", display="Eve", role=role, reads=frozenset({board}),
        writes=frozenset({board}) if role is not Role.VIEWER else frozenset(),
    )  # fmt: skip


def fold(entries: list[UsageEntry], hours: int, by: tuple[str, ...]) -> dict[tuple[Any, ...], UsageTotals]:
    """
    The sums of entries by these values, computed here.
    """
    found: defaultdict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * len(SUMMED))
    for each in entries:
        slot = micros(each.at) // (HOUR_MICROS * hours)
        sums = found[tuple(slot if name == "slot" else getattr(each, name) for name in by)]
        for place, name in enumerate(SUMMED):
            sums[place] += getattr(each, name) or 0
    return {key: UsageTotals(*sums) for key, sums in found.items() if any(sums)}


@frozen(kw_only=True)
class Told:
    """
    A step of a generated test: a report, or a correction of an earlier entry.
    """

    model: str
    input: int
    output: int
    cached: int
    session: str
    agent: int | None
    task: int | None
    subscription: bool
    ago: timedelta
    corrects: int | None = field(default=None)
    void: bool = False


steps = st.builds(
    Told,
    model=st.sampled_from(["large", "small", "unheard-of"]),
    input=st.integers(0, 10**6),
    output=st.integers(0, 10**6),
    cached=st.integers(0, 100),
    session=st.sampled_from(["", "s1", "s2"]),
    agent=st.sampled_from([None, 0, 1]),
    task=st.sampled_from([None, 0, 1]),
    subscription=st.booleans(),
    ago=st.sampled_from([timedelta(0), timedelta(minutes=59), timedelta(hours=23), timedelta(days=40)]),
    corrects=st.none() | st.integers(0, 5),
    void=st.booleans(),
)


class TokenLedgerContract(StoreContract):
    """
    The contract of the token ledger. A subclass provides the fixture `ports` of `StoreContract`.
    """

    @pytest.fixture
    async def world(self, world: World) -> World:
        """
        A new organization with prices of two models.
        """
        return evolve(world, ports=evolve(world.ports, prices=PRICES))

    @FEW
    @given(life=st.lists(steps, min_size=1, max_size=8))
    async def test_the_sums_equal_the_fold_of_the_ledger(self, world: World, life: list[Told]) -> None:
        """
        By hour and by day, over each of their values and all of them, for reports, batches, corrections and voids; and
        a rebuild changes none.
        """
        agents = [await world.agent(f"agent-{UsageId(world.ports.ids.new())}") for _ in range(2)]
        tasks = [await world.task(), await world.task(board=(await world.another_board()).id)]
        before = {each.id for each in await ledger(world)}
        ids: list[UsageId] = []
        for told in life:
            if told.corrects is not None and ids:
                changed: dict[str, Any] = {"model": told.model, "input_tokens": told.input + 100}
                correction = CorrectUsage(
                    usage=ids[told.corrects % len(ids)], reason="as asked", void=told.void, **changed
                )
                try:
                    ids.append((await correct_usage(world.ports, world.me, correction)).id)
                except UsageVoided:
                    continue
                if told.void:
                    ids.pop()
                continue
            of = report(
                told.model, told.input + 100, told.output, cache_read_tokens=told.cached, session=told.session,
                agent=None if told.agent is None else agents[told.agent].id,
                task=None if told.task is None else tasks[told.task].id, subscription=told.subscription,
                used_at=world.clock.now() - told.ago,
            )  # fmt: skip
            for outcome in await record_usage_batch(world.ports, world.me, RecordUsageBatch(reports=(of, of))):
                assert outcome.entry is not None
                ids.append(outcome.entry.id)
        entries = await ledger(world)

        assert before < {each.id for each in entries}
        for _ in range(2):
            for hours, since in ((1, None), (1, 0), (24, None), (24, 0)):
                for by in (KEYS, (), *((each,) for each in PLACES)):
                    window = UsageWindow(hours=hours, since=since)
                    found = await world.ports.reads.usage.sums(world.me, window, by)
                    assert fold(entries, hours, by) == {each.key: each.totals for each in found}
            assert (len(entries), 0) == await world.ports.housekeeping.rebuild_usage(world.me.organization)

    async def test_a_cost_is_computed_once_and_stays(self, world: World) -> None:
        """
        Another price applies to later reports only.
        """
        first = await recorded(world, cache_read_tokens=400, reasoning_tokens=40)
        dearer = PriceList(prices=(ModelPrice(model="large", input=10**10, output=10**10),), version="2")
        later = evolve(world, ports=evolve(world.ports, prices=dearer))
        second = await recorded(later)

        assert (600 * 3_000 + 400 * 300 + 100 * 15_000) == first.cost == first.list_cost
        assert ("operator", "1", PriceBasis.EXACT) == (first.price_source, first.price_version, first.basis)
        assert 1100 * 10_000 == second.cost
        assert [second, first] == sorted(await ledger(world), key=lambda each: each.id, reverse=True)

    async def test_prices_of_the_organization_come_first(self, world: World) -> None:
        """
        From the next report on, also for reports and corrections of earlier use; no entry changes. A price that is
        deleted leaves those of the other price books.
        """
        other = await make_world(world.ports)
        before = await recorded(world)
        price = await create_price_override(world.ports, world.me, cheap("lar*"))
        own = await recorded(world, used_at=before.at - timedelta(days=1))
        corrected = await correct_usage(
            world.ports, world.me, CorrectUsage(usage=before.id, reason="wrong", batch=True)
        )
        await update_price_override(world.ports, world.me, UpdatePriceOverride(price=price.number, input=2 * 10**9))
        changed = await recorded(world)
        await delete_price_override(world.ports, world.me, DeletePriceOverride(price=price.id))
        deleted = await recorded(world)

        assert [4_500_000, 1_200_000, 1_200_000, 2_200_000, 4_500_000] == [
            each.cost for each in (before, own, corrected, changed, deleted)
        ]
        assert [("operator", "1"), *[("override", f"{price.id}@{at}") for at in (0, 0, 1)], ("operator", "1")] == [
            (each.price_source, each.price_version) for each in (before, own, corrected, changed, deleted)
        ]
        assert before in await ledger(world)
        assert "operator" == (await recorded(evolve(other, ports=world.ports))).price_source

    async def test_who_sees_and_sets_prices_of_the_organization(self, world: World) -> None:
        """
        A reader of all boards sees them, and an admin of all boards sets them.
        """
        price = await create_price_override(world.ports, world.me, cheap("large"))
        of_board = await world.principal("ada", board=world.board.id)
        eve, reader = member_of(world, Role.ADMIN, world.board.id), evolve(world.me, role=Role.VIEWER)

        assert [price] == await list_price_overrides(world.ports, reader)
        assert price == await get_price_override(world.ports, reader, price.number)
        for by, refused in ((eve, BoardDenied), (of_board, BoardAgentConfined)):
            with pytest.raises(refused):
                await list_price_overrides(world.ports, by)
            with pytest.raises(refused):
                await get_price_override(world.ports, by, price.id)
        with pytest.raises(RoleTooLow):
            await delete_price_override(world.ports, reader, DeletePriceOverride(price=price.id))

    async def test_an_unknown_price_stays_unknown(self, world: World) -> None:
        """
        The cost is None, never zero, and the tokens are told beside each sum.
        """
        entry = await recorded(world, model="unheard-of")
        await recorded(world)

        assert (None, None, PriceBasis.UNKNOWN, 1100) == (
            entry.cost, entry.list_cost, entry.basis, entry.unpriced_tokens,
        )  # fmt: skip
        assert (1100, 1, 2) == ((found := await total(world)).unpriced_tokens, found.unpriced_requests, found.requests)
        assert 4_500_000 == found.known_cost
        assert (await total(world, model="unheard-of")).known_cost is None

    async def test_a_subscription_is_kept_at_list_price_and_bills_nothing(self, world: World) -> None:
        """
        By the report, or because the operator named the provider.
        """
        subscribed = evolve(world, ports=evolve(world.ports, subscribed_providers=frozenset({"acme"})))
        entries = [
            await recorded(world, subscription=True),
            await recorded(subscribed, provider="ACME"),
            await recorded(subscribed, provider="other"),
        ]

        assert [(4_500_000, 0), (4_500_000, 0), (4_500_000, 4_500_000)] == [
            (each.list_cost, each.cost) for each in entries
        ]
        assert (13_500_000, 4_500_000) == ((found := await total(world)).list_cost, found.cost)

    async def test_a_report_with_the_same_id_counts_once(self, world: World) -> None:
        """
        In one call and in several; with other content it is refused, and another reporter's id is another.
        """
        ada = await world.principal("ada")
        first = await recorded(world, report_id="r1")
        again = await recorded(world, report_id="r1")
        other = await recorded(world, by=ada, report_id="r1")
        outcomes = await record_usage_batch(
            world.ports, world.me, RecordUsageBatch(reports=(report(report_id="r2"), report(report_id="r2")))
        )
        with pytest.raises(ReportIdReused):
            await recorded(world, report_id="r1", input=7)

        assert first == again != other
        assert [False, True] == [each.repeated for each in outcomes]
        assert outcomes[0].entry == outcomes[1].entry
        assert 3 == (await total(world)).requests

    @pytest.mark.parametrize("more", [{"provider": "other"}, {"subscription": True}, {"ago": 1}, {"task": 1}])
    async def test_the_same_id_with_other_content_is_refused(self, world: World, more: dict[str, Any]) -> None:
        """
        Also where the content is told in one of the reports only.
        """
        if "task" in more:
            more = {"task": (await world.task()).id}
        if "ago" in more:
            more = {"used_at": world.clock.now() - timedelta(hours=1)}
        await recorded(world, report_id="r1", provider="acme" if "provider" in more else None)

        with pytest.raises(ReportIdReused):
            await recorded(world, report_id="r1", **more)

    async def test_a_repeat_is_recognized_after_its_agent_was_renamed(self, world: World) -> None:
        ada = await world.agent("ada")
        first = await recorded(world, report_id="r1", agent=ada.id)
        await update_agent(world.ports, world.me, UpdateAgent(agent=ada.id, name="eve"))

        assert first == await recorded(world, report_id="r1", agent=ada.id)

    async def test_a_correction_of_the_provider_ends_what_its_plan_covered(self, world: World) -> None:
        """
        A subscription that the report told stays, until the correction says otherwise.
        """
        subscribed = evolve(world, ports=evolve(world.ports, subscribed_providers=frozenset({"acme"})))
        covered, told = await recorded(subscribed, provider="acme"), await recorded(world, subscription=True)
        corrections = [
            CorrectUsage(usage=covered.id, reason="a typo", input_tokens=1),
            CorrectUsage(usage=covered.id, reason="billed by another", provider="other", input_tokens=1000),
            CorrectUsage(usage=covered.id, reason="by acme", provider="acme"),
            CorrectUsage(usage=covered.id, reason="beyond its plan", subscription=False),
            CorrectUsage(usage=told.id, reason="a typo", provider="other"),
        ]
        entries = [await correct_usage(subscribed.ports, world.me, each) for each in corrections]

        assert [(0, True), (4_500_000, False), (0, True), (4_500_000, False), (0, True)] == [
            (each.cost, each.subscription) for each in entries
        ]

    async def test_reports_that_meet_count_once(self, world: World) -> None:
        """
        Several requests record the same report, and correct the same entry, at the same time. The sums are right,
        though a rebuild goes on meanwhile.
        """

        async def report_it() -> None:
            reported.append(await recorded(world, report_id="r1"))

        async def correct_it(count: int) -> None:
            command = CorrectUsage(usage=reported[0].id, reason="as asked", input_tokens=count)
            corrected.append(await correct_usage(world.ports, world.me, command))

        async def report_another() -> None:
            await recorded(world, model="small")

        async def rebuild() -> None:
            with suppress(UsageRebuildSuperseded):
                assert 0 == (await world.ports.housekeeping.rebuild_usage(world.me.organization)).corrected

        reported: list[UsageEntry] = []
        corrected: list[UsageEntry] = []
        async with create_task_group() as together:
            for work in (report_it, report_it, rebuild, report_another, report_it, rebuild, report_another):
                together.start_soon(work)
        async with create_task_group() as together:
            for count in (1, 2, 3):
                together.start_soon(correct_it, count)
            together.start_soon(rebuild)
            together.start_soon(report_another)
        entries = await ledger(world)
        (last,) = {each.id for each in corrected} - {each.corrects for each in corrected}

        assert 1 == len({each.id for each in reported})
        assert 1 + 3 * 2 + 3 == len(entries)
        assert fold(entries, 24, ()) == {(): await total(world)}
        assert fold(entries, 24, KEYS) == {
            each.key: each.totals for each in await world.ports.reads.usage.sums(world.me, ALL, KEYS)
        }
        assert (4, 3000 + next(each.input_tokens for each in entries if each.id == last)) == (
            (await total(world)).requests, (await total(world)).input_tokens
        )  # fmt: skip

    async def test_a_batch_records_what_a_member_with_grants_may_report(self, world: World) -> None:
        """
        Tokens of no board are refused, alone.
        """
        agent = await world.agent("ada", board=world.board.id)
        eve = member_of(world, Role.ADMIN, world.board.id)
        reports = (report(), report(agent=agent.id), report(report_id="r1"))
        outcomes = await record_usage_batch(world.ports, eve, RecordUsageBatch(reports=reports))

        assert [BoardDenied, type(None), BoardDenied] == [type(each.refusal) for each in outcomes]
        assert [outcomes[1].entry] == await ledger(world)

    async def test_the_latest_use_of_each_name_is_found(self, world: World) -> None:
        """
        On the boards that the principal may see.
        """
        far = await world.task(board=(await world.another_board()).id)
        near, now = await world.task(), world.clock.now()
        for name, task, ago in (("ada", near, 2), ("ada", near, 1), ("ada", far, 0), ("eve", far, 3)):
            await recorded(world, label=name, task=task.id, used_at=now - timedelta(hours=ago))
        asked, reads = ["ada", "eve", "", "'?"], world.ports.reads.usage
        eve = member_of(world, Role.VIEWER, world.board.id)

        assert {"ada": now, "eve": now - timedelta(hours=3)} == await reads.last_used(world.me, asked)
        assert {"ada": now - timedelta(hours=1)} == await reads.last_used(eve, asked)

    async def test_a_batch_records_what_is_valid_and_says_why_not(self, world: World) -> None:
        """
        Each report is counted wholly or not at all.
        """
        now = world.clock.now()
        bad = [
            report(cache_read_tokens=600, cache_write_tokens=500), report(reasoning_tokens=101),
            report(input=-1), report(input=10**11), report(used_at=now + timedelta(hours=1)),
            report(used_at=now - timedelta(days=500)), report(agent="nobody"), report(task=10**6), report(model=""),
            report(session="\x00"), report(reported_cost=-1), report(output=10**10),
        ]  # fmt: skip
        outcomes = await record_usage_batch(
            world.ports, world.me, RecordUsageBatch(reports=(report(), *bad, report("small")))
        )
        codes = [each.refusal.code if each.refusal else None for each in outcomes]

        assert [
            None, *["invalid_field"] * 6, "agent_not_found", "task_not_found", *["invalid_field"] * 4, None,
        ] == codes  # fmt: skip
        assert 2 == (await total(world)).requests == len(await ledger(world))

    async def test_an_agent_reports_no_old_use(self, world: World) -> None:
        """
        It would count in a period of a budget that is over. Who recorded the use elsewhere may, as an admin.
        """
        ada, ago = await world.principal("ada"), world.clock.now() - timedelta(days=8)
        refused, late = await record_usage_batch(
            world.ports, ada, RecordUsageBatch(reports=(report(used_at=ago), report(used_at=ago + timedelta(days=2))))
        )

        assert isinstance(refused.refusal, InvalidField)
        assert "used_at" == refused.refusal.field
        assert late.entry is not None
        await recorded(world, used_at=ago)

    async def test_a_use_whose_entries_may_be_folded_is_refused(self, world: World) -> None:
        """
        Its report may be the repetition of one that is forgotten.
        """
        kept = evolve(world.ports, usage_kept_for=timedelta(days=32))
        ago = world.clock.now() - timedelta(days=33)
        (refused,) = await record_usage_batch(kept, world.me, RecordUsageBatch(reports=(report(used_at=ago),)))

        assert "more than 32 days ago" in str(refused.refusal)

    async def test_an_agent_reports_for_itself_on_tasks_that_it_holds_or_held(self, world: World) -> None:
        """
        Only an admin's key names another agent, task or board.
        """
        ada, admin = await world.principal("ada"), await world.principal("root", role=Role.ADMIN)
        await world.agent("bob")
        held, foreign = await world.task(), await world.task()
        lease = await world.claimed(held, "ada")
        own = await recorded(world, by=ada, task=held.id)
        done = CompleteTask(task=held.id, lease=lease.lease, outcome=Outcome(result=TaskResult.SUCCESS))
        await complete_task(world.ports, world.me, done)
        after = await recorded(world, by=ada, task=held.number)
        for refused, of in (
            (UsageOfAnotherAgent, {"agent": "bob"}),
            (UsageOfAnotherTask, {"task": foreign.id}),
            (UsageOfAnotherBoard, {"board": (await world.another_board()).id}),
        ):
            with pytest.raises(refused):
                await recorded(world, by=ada, **of)
        named = await recorded(world, by=admin, agent="bob", task=foreign.id)

        assert ("ada", held.id, held.board, lease.run.id, False) == (
            own.agent_name, own.task, own.board, own.run, own.late,
        )  # fmt: skip
        assert (held.number, False) == (after.task_number, after.late)
        assert ("bob", foreign.id) == (named.agent_name, named.task)
        assert 3 == len(await ledger(world))

    async def test_a_report_after_the_lease_was_lost_is_marked_late(self, world: World) -> None:
        """
        It is accepted, since the tokens were used.
        """
        ada, task = await world.principal("ada"), await world.task()
        lease = await world.claimed(task, "ada", terms=LeaseTerms(term=timedelta(minutes=1)))
        in_time = await recorded(world, by=ada, task=task.id)
        world.clock.advance(minutes=2)
        late = await recorded(world, by=ada, task=task.id)

        assert [(False, lease.run.id), (True, lease.run.id)] == [(each.late, each.run) for each in (in_time, late)]

    async def test_entries_outlive_their_task_agent_and_board(self, world: World) -> None:
        """
        Deleting what the tokens were used for changes no entry and no sum.
        """
        board = await world.another_board()
        agent, task = await world.agent("ada"), await world.task(board=board.id)
        entry = await recorded(world, agent=agent.id, task=task.id)
        before = await total(world)
        await delete_task(world.ports, world.me, DeleteTask(task=task.id))
        await delete_agent(world.ports, world.me, DeleteAgent(agent=agent.id))
        await delete_board(world.ports, world.me, DeleteBoard(board=board.id))

        assert [entry] == await ledger(world)
        assert [] == await world.ports.reads.usage.tasks(world.me, [task.id])
        assert before == await total(world, board=board.id, task=task.id, agent=agent.id)

    async def test_a_member_with_grants_sees_the_sums_of_those_boards(self, world: World) -> None:
        """
        Neither entries of other boards, nor those without a board.
        """
        other = await world.another_board()
        near, far = await world.task(), await world.task(board=other.id)
        mine = await recorded(world, task=near.id)
        hidden = await recorded(world, task=far.id)
        await recorded(world)
        eve = member_of(world, Role.VIEWER, world.board.id)
        reads = world.ports.reads

        assert (1, 3) == ((await total(world, eve)).requests, (await total(world)).requests)
        assert ([mine], 1) == await reads.usage.entries(eve, ALL, PageRequest())
        assert ([], 0) == await reads.usage.entries(world.me, ALL, PageRequest(), UsageFilter(model=""))
        assert UsageTotals() == await total(world, eve, board=other.id)
        assert [near.id] == [each.id for each in await reads.usage.tasks(eve, [near.id, far.id])]
        with pytest.raises(BoardDenied):
            await reads.entities.get(eve, USAGE, hidden.id)

    async def test_a_correction_adds_entries_and_keeps_the_wrong_one(self, world: World) -> None:
        """
        The sums are those of the right entry; a void leaves nothing, and cannot be corrected. Only an admin corrects.
        """
        wrong = await recorded(world, report_id="r1")
        with pytest.raises(RoleTooLow):
            await correct_usage(world.ports, await world.principal("ada"), CorrectUsage(usage=wrong.id, reason="mine"))
        right = await correct_usage(
            world.ports, world.me, CorrectUsage(usage=wrong.id, reason="typo", input_tokens=10, model="small")
        )
        again = await correct_usage(world.ports, world.me, CorrectUsage(usage=wrong.id, reason="typo", input_tokens=20))
        found = await total(world)
        await correct_usage(world.ports, world.me, CorrectUsage(usage=right.id, reason="never was", void=True))
        with pytest.raises(UsageVoided):
            await correct_usage(world.ports, world.me, CorrectUsage(usage=wrong.id, reason="late"))

        assert (wrong.id, right.id) == (right.corrects, again.corrects)
        assert ("small", 20, wrong.at) == (again.model, again.input_tokens, again.at)
        assert (1, 20, 100, again.cost) == (found.requests, found.input_tokens, found.output_tokens, found.cost)
        assert wrong in await ledger(world)
        assert UsageTotals() == await total(world)
        assert 3 == (await world.event_kinds()).count("usage.corrected")

    async def test_the_largest_sums_come_first(self, world: World) -> None:
        """
        By their tokens and then by their keys: of all sessions, of those of some tasks or sessions, and of those that a
        member with grants may see.
        """
        near, far = await world.task(), await world.task(board=(await world.another_board()).id)
        for session, task, tokens in (("b", near, 5), ("a", near, 5), ("c", far, 9), ("c", near, 1), ("d", far, 2)):
            await recorded(world, session=session, task=task.id, input=tokens, output=0)
        eve, reads = member_of(world, Role.VIEWER, world.board.id), world.ports.reads.usage

        async def largest(by: Any, most: int, **wanted: Any) -> list[tuple[str, int]]:
            found = await reads.sums(by, ALL, ("session",), UsageFilter(**wanted), most=most)
            return [(each.key[0], each.totals.tokens) for each in found]

        assert [("c", 10), ("a", 5), ("b", 5)] == await largest(world.me, 3)
        assert [("a", 5), ("b", 5)] == await largest(eve, 2)
        assert [("a", 5), ("b", 5), ("c", 1)] == await largest(world.me, 9, tasks=(near.id,))
        assert [("c", 9)] == await largest(world.me, 9, tasks=(near.id, far.id), task=far.id, sessions=("a", "c"))
        assert [] == await largest(world.me, 9, tasks=())
        assert 3 == (await reads.entries(world.me, ALL, PageRequest(), UsageFilter(sessions=("a", "c")))).total
        assert 2 == (await reads.entries(world.me, ALL, PageRequest(), UsageFilter(tasks=(far.id,)))).total

    async def test_pages_are_newest_use_first_and_within_the_window(self, world: World) -> None:
        """
        With the total count; also the time of an agent's latest use.
        """
        now: datetime = world.clock.now()
        await world.agent("ada")
        old, new, oldest = [
            await recorded(world, agent="ada", used_at=now - timedelta(hours=hours)) for hours in (5, 1, 30)
        ]
        reads, window = world.ports.reads.usage, UsageWindow(hours=1, since=micros(now) // HOUR_MICROS - 6)

        assert ([new, old, oldest], 3) == await reads.entries(world.me, ALL, PageRequest())
        assert ([old], 2) == await reads.entries(world.me, window, PageRequest(limit=1, offset=1))
        assert 2 == (await reads.sums(world.me, window, ("agent_name",)))[0].totals.requests
        assert {"ada": new.at} == await reads.last_used(world.me, ["ada", "bob"])
