"""
The contract of reported runs: what a store keeps of them, and how the token ledger counts their tokens.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from anyio import create_task_group
from attrs import evolve

from mission_adapters.testing.contracts.base import StoreContract
from mission_adapters.testing.contracts.token_ledger import PRICES, ledger, member_of, recorded, total
from mission_adapters.testing.world import World
from mission_core.accounts.model import Role
from mission_core.boards.model import BoardDenied, BoardReadOnly
from mission_core.errors import InvalidField, Refusal, RoleTooLow
from mission_core.tasks.agent_deletion import DeleteAgent, delete_agent
from mission_core.tasks.board_deletion import DeleteBoard, delete_board
from mission_core.tasks.use_cases import DeleteTask, delete_task
from mission_core.usage.model import UsageOfAnotherAgent, UsageOfAnotherTask
from mission_core.usage.queries import UsageTotals
from mission_core.usage.reported_run_queries import EvaluatedRuns, ReportedRunFilter
from mission_core.usage.reported_run_use_cases import (
    EvaluateReportedRun,
    ReportRun,
    UpdateReportedRun,
    evaluate_reported_run,
    report_run,
    update_reported_run,
)
from mission_core.usage.reported_runs import (
    REPORTED_RUNS,
    ReportedRun,
    ReportedRunIdTaken,
    RunEvaluation,
    RunOfAnotherReporter,
    RunProvenance,
    TokensOfRun,
)
from mission_core.usage.use_cases import CorrectUsage, correct_usage
from mission_core.values import PageRequest

COST = 4_500_000
"""The cost in nano-dollars of 1,000 tokens of input and 100 of output of the model `large`."""
FIRST_PAGE = PageRequest()
TOKENS = TokensOfRun(input_tokens=1000, output_tokens=100)


async def reported(world: World, by: Any = None, **more: Any) -> ReportedRun:
    """
    A run that was reported.
    """
    now = world.clock.now()
    told: dict[str, Any] = {
        "agent_label": "ada", "status": "running", "started_at": now, "started_text": now.isoformat(),
        "provenance": RunProvenance(run_hash="h"), "model": "large", "tokens": TOKENS,
    }  # fmt: skip
    return await report_run(world.ports, by or world.me, ReportRun(**(told | more)))


async def changed(world: World, run: ReportedRun, by: Any = None, **more: Any) -> ReportedRun:
    """
    A reported run after a change.
    """
    return await update_reported_run(world.ports, by or world.me, UpdateReportedRun(run=run.id, **more))


async def kept(world: World, run: ReportedRun, by: Any = None) -> ReportedRun:
    """
    A reported run as it is stored.
    """
    return await world.ports.reads.entities.get(by or world.me, REPORTED_RUNS, run.id)


async def listed(world: World, by: Any = None, page: PageRequest = FIRST_PAGE, **wanted: Any) -> list[Any]:
    """
    The keys of the listed runs, and their total count.
    """
    found = await world.ports.reads.reported_runs.page(by or world.me, page, ReportedRunFilter(**wanted))
    return [*(each.key for each in found.rows), found.total]


class ReportedRunContract(StoreContract):
    """
    Promises about reported runs.
    """

    @pytest.fixture
    def world(self, world: World) -> World:
        """
        A fresh organization with prices of two models.
        """
        return evolve(world, ports=evolve(world.ports, prices=PRICES))

    async def test_its_tokens_are_one_entry_of_the_ledger(self, world: World) -> None:
        """
        It is attributed as a report is; the cost that was told is kept beside the computed one. Its task keeps its
        lease and version.
        """
        agent, task = await world.agent("ada"), await world.task()
        lease = await world.claimed(task, "ada")
        before = await world.ports.reads.tasks.runs(world.me, task.id)
        told = evolve(TOKENS, reported_cost=7)
        run = await reported(world, agent_label=str(agent.number), task_label=str(task.number), tokens=told)
        (entry,) = await ledger(world)

        assert run == await kept(world, run)
        assert (entry.id, COST, 0, 7) == (run.usage, run.cost, run.unpriced_tokens, run.tokens.reported_cost)
        assert ("ada", agent.id, task.id, task.board, lease.run.id) == (
            entry.agent_name, entry.agent, entry.task, entry.board, entry.run,
        )  # fmt: skip
        assert ("ada", agent.id, task.id, task.board) == (run.agent_name, run.agent, run.task, run.board)
        assert (COST, 7, run.key, "agent_run") == (entry.cost, entry.reported_cost, entry.session, entry.operation)
        assert before == await world.ports.reads.tasks.runs(world.me, task.id)

    async def test_a_run_without_tokens_adds_nothing(self, world: World) -> None:
        """
        Until a change tells some.
        """
        run = await reported(world, tokens=TokensOfRun())
        quiet = await changed(world, run, status="completed", model="small")
        none = await ledger(world)
        told = await changed(world, quiet, input_tokens=8)

        assert ([], None, None) == (none, quiet.usage, quiet.cost)
        assert [told.usage] == [each.id for each in await ledger(world)]
        assert ("small", 8, told.cost) == (told.model, told.tokens.input_tokens, (await total(world)).cost)

    async def test_a_change_of_its_tokens_corrects_the_ledger(self, world: World) -> None:
        """
        The wrong entry is reversed and replaced, as of the time of use, and the sums are those of the new one. The same
        values again change nothing.
        """
        run = await reported(world, tokens=evolve(TOKENS, cache_read_tokens=400))
        world.clock.advance(hours=1)
        more = await changed(world, run, input_tokens=2000, reported_cost=5)
        position = await world.ports.log.head(world.me.organization)
        same = await changed(world, run, input_tokens=2000, reported_cost=5)
        sums, entries = await total(world), await ledger(world)

        assert more == same == await kept(world, run)
        assert position == await world.ports.log.head(world.me.organization)
        assert [more.usage] == [each.id for each in entries if each.corrects == run.usage]
        assert {run.started_at} == {each.at for each in entries}
        assert (3, 1, 2000, 100, 400) == (
            len(entries), sums.requests, sums.input_tokens, sums.output_tokens, sums.cache_read_tokens,
        )  # fmt: skip
        assert (1600 * 3000 + 400 * 300 + 100 * 15000, 5) == (more.cost, more.tokens.reported_cost)
        assert more.cost == sums.cost

    async def test_another_model_is_priced_anew(self, world: World) -> None:
        """
        An unknown one has no cost, and its tokens stand beside the sum.
        """
        run = await reported(world, provider="acme")
        unknown = await changed(world, run, model="unheard-of")
        sums = await total(world)
        known = await changed(world, run, tokens_model="large")

        assert (None, 1100) == (unknown.cost, unknown.unpriced_tokens) == (sums.known_cost, sums.unpriced_tokens)
        assert (COST, 0, "unheard-of") == (known.cost, known.unpriced_tokens, known.model)
        assert (COST, 0) == ((await total(world)).cost, (await total(world)).unpriced_tokens)
        assert {"acme"} == {each.provider for each in await ledger(world)}

    async def test_a_run_without_a_model_is_unpriced(self, world: World) -> None:
        """
        Its model is never guessed.
        """
        run = await reported(world, model=None)

        assert (None, 1100) == (run.cost, run.unpriced_tokens)
        assert ["unknown"] == [each.model for each in await ledger(world)]

    async def test_an_admins_correction_shows_in_the_run(self, world: World) -> None:
        """
        So that a later change corrects the right entry. After a void, a change records the tokens anew.
        """
        run = await reported(world)
        assert run.usage is not None
        right = await correct_usage(
            world.ports, world.me, CorrectUsage(usage=run.usage, reason="typo", input_tokens=10, model="small")
        )
        shown = await kept(world, run)
        more = await changed(world, run, output_tokens=7)
        assert more.usage is not None
        await correct_usage(world.ports, world.me, CorrectUsage(usage=more.usage, reason="never was", void=True))
        void = await kept(world, run)
        nothing = await total(world)
        again = await changed(world, run, input_tokens=3)

        assert (right.id, right.cost, 10, "small") == (
            shown.usage, shown.cost, shown.tokens.input_tokens, shown.tokens.model,
        )  # fmt: skip
        assert (10, 7, "small") == (more.tokens.input_tokens, more.tokens.output_tokens, more.tokens.model)
        assert (None, None, 0, UsageTotals()) == (void.usage, void.cost, void.tokens.output_tokens, nothing)
        sums = await total(world)
        assert (1, 3, 0, again.cost) == (sums.requests, sums.input_tokens, sums.output_tokens, sums.cost)

    async def test_two_changes_at_once_leave_one_entry(self, world: World) -> None:
        """
        Whichever is later.
        """
        run = await reported(world)
        async with create_task_group() as group:
            for count in (10, 20, 30):
                group.start_soon(partial(changed, world, run, input_tokens=count, output_tokens=count))
        after, sums = await kept(world, run), await total(world)

        assert after.tokens.input_tokens in (10, 20, 30)
        assert (1, after.tokens.input_tokens, after.cost) == (sums.requests, sums.input_tokens, sums.cost)

    async def test_its_key_is_its_own(self, world: World, elsewhere: World) -> None:
        """
        A second run with the same key is refused, and its tokens are not counted. Another organization may use it.
        """
        run = await reported(world, key="nightly")
        with pytest.raises(ReportedRunIdTaken):
            await reported(world, key="nightly")
        await reported(elsewhere, key="nightly")

        assert ["nightly", 1] == await listed(world)
        assert [run.usage] == [each.id for each in await ledger(world)]

    async def test_who_may_report_and_change_what(self, world: World) -> None:
        """
        An agent for itself and on tasks that it holds or held, an admin for everybody; it is changed by its agent, by
        whoever reported it, and by an admin. A viewer reports nothing.
        """
        ada, bob = await world.principal("ada"), await world.principal("bob")
        foreign = await world.task()
        own = await reported(world, ada, agent_label="whatever it calls itself")
        of_bob = await reported(world, agent_label="bob")
        for refused, by, of in (
            (UsageOfAnotherAgent, ada, {"agent_label": "bob"}),
            (UsageOfAnotherAgent, ada, {"agent_label": "no name", "agent_name": "bob"}),
            (UsageOfAnotherTask, ada, {"task_label": str(foreign.id)}),
            (UsageOfAnotherTask, ada, {"task_label": str(foreign.number), "tokens": TokensOfRun()}),
            (RoleTooLow, evolve(world.me, role=Role.VIEWER), {}),
        ):
            with pytest.raises(refused):
                await reported(world, by, **of)
        for by in (ada, evolve(world.me, name="ops", role=Role.OPERATOR)):
            with pytest.raises(RunOfAnotherReporter):
                await changed(world, of_bob, by, status="failed")
        theirs = await changed(world, of_bob, bob, status="failed")
        mine = await changed(world, own, ada, input_tokens=1)

        assert ("ada", "whatever it calls itself") == (own.agent_name, own.agent_label)
        assert ("failed", 1) == (theirs.status, mine.tokens.input_tokens)
        assert 4 == len(await ledger(world))

    async def test_what_names_nothing_is_kept_as_a_name(self, world: World) -> None:
        """
        An unknown task counts for none, and an unknown agent as a name.
        """
        run = await reported(world, agent_label="999999", agent_name="Nobody", task_label="4711")

        assert (None, None, None) == (run.agent, run.task, run.board)
        assert ("999999", "Nobody", "4711") == (run.agent_label, run.agent_name, run.task_label)

    async def test_a_time_far_off_is_refused_only_where_tokens_are_counted(self, world: World) -> None:
        """
        A run may be as old as it likes.
        """
        old = {"started_at": world.clock.now() - timedelta(days=500)}
        with pytest.raises(InvalidField):
            await reported(world, **old)
        await reported(world, tokens=TokensOfRun(), **old)

        assert [] == await ledger(world)

    async def test_runs_are_listed_newest_first_by_what_was_told(self, world: World) -> None:
        """
        With their total count, page by page.
        """
        task, now = await world.task(), world.clock.now()
        named: dict[str, dict[str, Any]] = {
            "a": {"status": "completed"},
            "b": {"agent_label": "bob", "task_label": str(task.number)},
            "c": {"started_at": now - timedelta(hours=2), "tokens": TokensOfRun()},
        }
        for key, told in named.items():
            last = await reported(world, key=key, **told)

        assert ["c", "b", "a", 3] == await listed(world)
        assert ["b", 3] == await listed(world, page=PageRequest(limit=1, offset=1))
        assert ["b", "a", 3] == await listed(world, page=PageRequest(after=last.number))
        assert ["c", "a", 2] == await listed(world, agent_label="ada")
        assert ["a", 1] == await listed(world, status="completed")
        assert ["b", 1] == await listed(world, task_label=str(task.number))
        assert ["b", "a", 2] == await listed(world, since=now - timedelta(hours=1))
        assert [0] == await listed(world, status="\x00")

    async def test_the_leaderboard_says_what_it_knows(self, world: World) -> None:
        """
        Means over evaluated runs, and the cost over those with a known one, with what is unpriced beside it.
        """
        scores = (("ada", "large", 1.0), ("ada", "large", 0.5), ("bob", None, 0.875), ("ada", "odd", 0.75))
        for agent, model, score in scores:
            run = await reported(world, agent_label=agent, model=model)
            for benchmark in ("other", "b1"):
                evaluation = RunEvaluation(score=score, passed=score > 0.7, benchmark=benchmark)
                await evaluate_reported_run(
                    world.ports, world.me, EvaluateReportedRun(run=run.id, evaluation=evaluation)
                )
        await reported(world)
        last = RunEvaluation(score=-2, passed=False, benchmark="b2")
        await reported(world, agent_label="bob", evaluation=last, tokens=TokensOfRun())
        reads, runtime = world.ports.reads.reported_runs, "mission-control"
        of_bob = EvaluatedRuns("bob", "unknown", runtime, 1, 0.875, 1, 0, 0, 1100)
        of_ada = EvaluatedRuns("ada", "large", runtime, 2, 0.75, 1, 2, 2 * COST, 0)
        odd = EvaluatedRuns("ada", "odd", runtime, 1, 0.75, 1, 0, 0, 1100)
        worst = EvaluatedRuns("bob", "large", runtime, 1, -2, 0, 0, 0, 0)

        assert [of_bob, of_ada, odd, worst] == await reads.leaderboard(world.me, 50)
        assert [of_bob, of_ada, odd] == await reads.leaderboard(world.me, 50, "b1")
        assert [worst] == await reads.leaderboard(world.me, 50, "b2")
        assert [of_bob] == await reads.leaderboard(world.me, 1)
        assert [] == await reads.leaderboard(world.me, 50, "\x00")
        assert (None, COST) == (of_bob.mean_cost, of_ada.mean_cost)

    async def test_a_member_with_grants_sees_and_writes_the_runs_of_those_boards(self, world: World) -> None:
        """
        Neither runs of other boards, nor those without one.
        """
        other, score = await world.another_board(), RunEvaluation(score=1, passed=True)
        near, far = await world.task(), await world.task(board=other.id)
        mine = await reported(world, task_label=str(near.number), evaluation=score)
        hidden = await reported(world, task_label=str(far.number), evaluation=score, agent_label="bob")
        loose = await reported(world, evaluation=score, agent_label="bob")
        eve, reader = member_of(world, Role.ADMIN, world.board.id), member_of(world, Role.VIEWER, world.board.id)
        refused = []
        for run, by in ((hidden, eve), (loose, eve), (mine, evolve(reader, role=Role.OPERATOR))):
            with pytest.raises((BoardDenied, BoardReadOnly)) as refusal:
                await evaluate_reported_run(
                    world.ports, by, EvaluateReportedRun(run=run.id, evaluation=evolve(score, score=2))
                )
            refused.append(type(refusal.value))
        leaders = await world.ports.reads.reported_runs.leaderboard(eve, 9)

        assert [BoardDenied, BoardDenied, BoardReadOnly] == refused
        assert [mine.key, 1] == await listed(world, eve)
        assert [("ada", 1)] == [(each.agent_name, each.runs) for each in leaders]
        assert mine == await kept(world, mine, eve)
        for run in (hidden, loose):
            with pytest.raises(BoardDenied):
                await kept(world, run, eve)
        assert 1 == (await changed(world, mine, eve, input_tokens=1)).tokens.input_tokens

    async def test_runs_outlive_their_task_agent_and_board(self, world: World) -> None:
        """
        As their entries in the ledger do; they can still be changed.
        """
        board = await world.another_board()
        agent, task = await world.agent("ada"), await world.task(board=board.id)
        run = await reported(world, agent_label=str(agent.id), task_label=str(task.id))
        await delete_task(world.ports, world.me, DeleteTask(task=task.id))
        await delete_agent(world.ports, world.me, DeleteAgent(agent=agent.id))
        await delete_board(world.ports, world.me, DeleteBoard(board=board.id))

        assert run == await kept(world, run)
        assert 5 == (await changed(world, run, input_tokens=5)).tokens.input_tokens
        assert 5 == (await total(world, board=board.id, task=task.id, agent=agent.id)).input_tokens

    async def test_what_is_refused_leaves_nothing(self, world: World) -> None:
        """
        Neither a run nor an entry: parts above totals, too many tokens, and a change that does not fit.
        """
        run = await reported(world, tokens=evolve(TOKENS, cache_read_tokens=400))
        before = await ledger(world)
        for read, written in ((1001, None), (600, 600)):
            with pytest.raises(InvalidField):
                await reported(world, tokens=evolve(TOKENS, cache_read_tokens=read, cache_write_tokens=written))
        for wrong in ({"input_tokens": 300}, {"input_tokens": -1}, {"input_tokens": 10**9, "output_tokens": 10**9}):
            with pytest.raises(Refusal):
                await changed(world, run, **wrong)

        assert (before, run) == (await ledger(world), await kept(world, run))
        assert [run.key, 1] == await listed(world)

    async def test_reports_and_runs_are_summed_together(self, world: World) -> None:
        """
        The ledger knows one kind of entry.
        """
        await recorded(world)
        await reported(world)

        assert (2, 2 * COST) == ((await total(world)).requests, (await total(world)).cost)
