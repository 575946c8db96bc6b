"""
The state machine: its rules give every store and its model the same steps, one at a time or several at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from difflib import unified_diff
from itertools import count
from pprint import pformat
from typing import Any, ClassVar, TypeVar

from attrs import evolve
from hypothesis import event, note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from mission_adapters.testing.state_machine import invariants
from mission_adapters.testing.state_machine.checked_stores import CheckedStore
from mission_adapters.testing.state_machine.reference_model import DAY, MINUTE, SECOND, WHO, Answer, ReferenceModel, Row
from mission_adapters.testing.state_machine.step_strategies import STEPS, StepArguments, instances, picks, steps
from mission_adapters.testing.state_machine.store_under_test import Ending, Step, StoreUnderTest
from mission_core.tasks.explanations import Explanation

R = TypeVar("R")
Asked = tuple[str, str, dict[str, Any]]

MOST_TASKS = 7
NEVER = 99
UNKNOWN = 5_000_000_000
BLOCK = 32
WORKERS = ("Ada", "Bob", "Carl", "Dora", "Gus", "Lea")
ANYTHING = ("edit", "team", "delete", "claim", "heartbeat", "complete", "fail", "release", "order")
FREE = {"approval": False, "review": False, "comment": False, "leads": False}


def require_equal(who: str, expected: object, answered: object) -> None:
    """
    Fail with the difference unless both are equal.
    """
    if expected != answered:
        raise AssertionError(difference(who, expected, answered))


def difference(who: str, expected: object, answered: object) -> str:
    """
    The difference as a unified diff.
    """
    model, store = (pformat(each, width=100).splitlines() for each in (expected, answered))
    return "\n".join(unified_diff(model, store, "model", who, n=1, lineterm=""))


def brief(answer: Answer) -> str:
    """
    A short text of the answer for Hypothesis' notes.
    """
    kind, facts = answer
    if kind == "ClaimResult":
        return f"Claimed {brief(('Task', facts['task']))} {facts['run']['id']}"
    if kind == "Task":
        return f"Task #{facts['number']} {facts['status']}, version {facts['version']}, fence {facts['fence']}"
    if kind == "HeartbeatResult":
        return f"Beat {facts['run']['state']} {facts['order'] or ''}"
    return f"{kind} {facts or ''}"


def log_entries(log: Sequence[tuple[str, int, str]]) -> list[tuple[str, int, str]]:
    """
    The entries of the log without `task.dependency_toggled`.
    """
    return [entry for entry in log if entry[0] != "task.dependency_toggled"]


class RuleMachine(RuleBasedStateMachine):
    """
    Compares stores with their reference models: every store must answer like its model, whatever the steps and their
    order.
    """

    stores: ClassVar[Sequence[CheckedStore]]
    runner: ClassVar[asyncio.Runner]
    blocks: ClassVar[count[int]] = count(1)

    def __init__(self) -> None:
        super().__init__()
        self.judged: list[StoreUnderTest] = []
        self.split = False
        self.sound = False

    @initialize()
    def found(self) -> None:
        """
        Create an organization in each store.
        """
        start = self.block()
        for store in self.stores:
            self.run(store.begin())
        self.judged = [self.run(StoreUnderTest.found(store, ids=start)) for store in self.stores]
        self.look()

    def run(self, awaitable: Awaitable[R]) -> R:
        """
        Run the awaitable on the runner's loop. `Runner.run` is avoided because its signal handling formats the whole
        task.
        """
        return self.runner.get_loop().run_until_complete(awaitable)

    def block(self) -> int:
        """
        The first id of a new block of ids.
        """
        return next(type(self).blocks) * BLOCK

    @property
    def lead(self) -> ReferenceModel:
        """
        The reference model of the first store; the drawn arguments of a step are resolved with it.
        """
        return self.judged[0].model

    # Asking.

    def ask(self, name: str, who: str, **facts: Any) -> tuple[Step, Answer]:
        """
        Perform a step in every store. Each must answer like its model, and show the same rows.
        """
        self.sound = False
        op = Step(name, who, facts, self.block())
        note(f"{op.who}: {op.name} {op.facts}")
        answers = []
        for judged in self.judged:
            expected = judged.model.answer(op.name, op.who, op.facts, ids=op.ids)
            answered = self.run(judged.ask(op))
            answers.append(answered)

            require_equal(judged.store.name, expected, answered)
        note(f"    {brief(answers[0])}")
        event(f"{op.name}: {answers[0][0]}")
        self.look(invariants.taken_only_from_nobody if name == "edit" else invariants.handed_out_only_what_is_free)
        return op, answers[0]

    def race(self, *asked: Asked, order: Sequence[int]) -> None:
        """
        Perform several steps concurrently. The answers and rows of each store must be those of some serial order of the
        steps.
        """
        self.sound = False
        ops = [Step(name, who, facts, self.block()) for name, who, facts in asked]
        order = [each for each in order if each < len(ops)]
        for op in ops:
            note(f"at once, {op.who}: {op.name} {op.facts}")
        for judged in self.judged:
            outcomes = judged.serial(ops)
            answers = self.run(judged.race(ops, order))
            note(f"    {judged.store.name}: {'; '.join(map(brief, answers))}")
            shown = judged.shown(self.run(judged.look()))
            event(f"race of {', '.join(op.name for op in ops)}: {', '.join(kind for kind, _ in answers)}")
            judged.model = self.outcome(judged, ops, outcomes, answers, shown)
        self.look()

    def outcome(
        self, judged: StoreUnderTest, ops: Sequence[Step], outcomes: Sequence[Ending], answers: list[Answer], shown: Row
    ) -> ReferenceModel:
        """
        The model after a serial order of the steps that gives the answers and rows of the store.
        """
        apart = judged.store.skips_locked_rows and any(op.name in ("claim_next", "poll") for op in ops)
        fits = [world for expected, world in outcomes if judged.told_as(expected) == judged.told_as(answers)]
        if not fits:
            raise AssertionError(min((difference(judged.store.name, each, answers) for each, _ in outcomes), key=len))
        for world in fits:
            expected = judged.expected(world)
            if apart and sorted(expected["log"]) == sorted(shown["log"]):
                # Who is passed over for what another one is deciding about may well be done before that one.
                expected["log"] = world.log[judged.seen :] = shown["log"]
            if log_entries(expected["log"]) == log_entries(shown["log"]):
                # Those that wait for a task are told of it as far as they did when it was decided.
                expected["log"] = world.log[judged.seen :] = shown["log"]
            if expected == shown:
                return world
        name = judged.store.name
        raise AssertionError(min((difference(name, judged.expected(each), shown) for each in fits), key=len))

    def look(self, *more: Callable[[StoreUnderTest, dict[str, Any]], None]) -> None:
        """
        Read all stores. Each must show the rows of its model and keep the invariants.
        """
        self.sound = False
        texts: list[dict[int, Explanation]] = []
        for judged in self.judged:
            view = self.run(judged.look())
            expected, shown = judged.expected(judged.model), judged.shown(view)
            for part in expected:
                require_equal(f"{judged.store.name}, {part}", expected[part], shown[part])
            for law in (*invariants.ALWAYS, *more):
                law(judged, view)
            self.run(judged.follow(view["log"]))
            judged.seen, judged.last = len(judged.model.log), view
            # Late results name runs, which are others where another caller won; each store's agree with its model's.
            texts.append({task: evolve(each, late_results=()) for task, each in view["explained"].items()})
        self.split = self.split or any(each != texts[0] for each in texts)
        states = [judged.model.tasks for judged in self.judged]
        if self.split and all(state == states[0] for state in states):
            assert all(each == texts[0] for each in texts), texts
        self.sound = True

    # What a wish means.

    def number(self, pick: int) -> int:
        """
        The number of a task: an existing one, a deleted one, or one that never existed.
        """
        born = sorted(self.lead.born)
        return NEVER if pick == 30 or not born else born[pick % len(born)]

    def task(self, number: int) -> Row | None:
        """
        The task with the number, or None.
        """
        return self.lead.tasks.get(self.lead.born.get(number, 0))

    def meant(self, wish: StepArguments) -> dict[str, Any]:
        """
        The fields of a step from its drawn arguments.
        """
        facts = dict(wish)
        if "lease" in facts:
            facts |= self.leased(facts["lease"], facts["task"])
        elif facts.pop("held", False) and (live := self.live()):
            facts["task"] = self.lead.tasks[live[facts["task"] % len(live)]["task"]]["number"]
        elif "task" in facts:
            facts["task"] = self.number(facts["task"])
        found = self.task(facts.get("task", NEVER))
        if expects := facts.pop("expects", None):
            facts["expects"] = (found["version"] if found else 0) + (expects == "stale")
        if on := facts.pop("on", None):
            own = found["board"] if found else "open"
            facts["on"] = own if on == "own" else "gated" if own != "gated" else "open"
        if "acknowledges" in facts:
            facts["acknowledges"] = self.order(facts["lease"], facts["acknowledges"])
        if WHO[facts["who"]]["agent"] and facts.get("agent") in ("Ada", "ADA"):
            facts["agent"] = None
        self.meant_values(facts)
        if "changes" in facts:
            facts["changes"] = self.meant_values(dict(facts["changes"]))
        return facts

    def meant_values(self, facts: dict[str, Any]) -> dict[str, Any]:
        """
        The fields with dependencies as task numbers and times relative to now.
        """
        if "depends_on" in facts:
            facts["depends_on"] = tuple(map(self.number, facts["depends_on"]))
        for name in ("due_at", "not_before"):
            if facts.get(name) is not None:
                facts[name] += self.lead.now
        return facts

    def live(self) -> list[Row]:
        """
        The runs with a live lease.
        """
        return [run for task in self.lead.tasks.values() if (run := self.lead.live(task))]

    def pairs(self) -> list[Row]:
        """
        The runs under implicit leases of existing tasks.
        """
        return [run for run in self.lead.runs.values() if run["holder"] and run["task"] in self.lead.tasks]

    def claimable(self) -> list[Row]:
        """
        The claimable tasks.
        """
        return [task for task in self.lead.tasks.values() if self.lead.stands(task)[0] == "claimable"]

    def leased(self, kind: str, pick: int) -> dict[str, Any]:
        """
        A task and a lease: the task's own or another one's, live or not, unknown or malformed.
        """
        live = [run for run in self.live() if run["holder"] is None] if kind == "live" else None
        runs = live or list(self.lead.runs.values())
        if kind == "malformed" or kind == "unknown" or not runs:
            return {"task": self.number(pick), "lease": 0 if kind == "malformed" else UNKNOWN}
        run = runs[pick % len(runs)]
        if kind == "foreign":
            return {"task": self.number(pick + 1), "lease": run["id"]}
        numbers = {id: number for number, id in self.lead.born.items()}
        return {"task": numbers[run["task"]], "lease": run["id"]}

    def order(self, lease: int, which: str) -> int | None:
        """
        The id of an order that waits for the holder of the lease, or an unknown one.
        """
        orders = self.lead.runs[lease]["orders"] if lease in self.lead.runs else ()
        if which == "wrong":
            return UNKNOWN
        return orders[0 if which == "first" else -1][0] if orders else None

    def wish(self, name: str, wish: StepArguments) -> None:
        """
        Perform the step with its drawn arguments.
        """
        facts = self.meant(wish)
        self.ask(name, facts.pop("who"), **facts)

    # One thing at a time.

    @precondition(lambda self: len(self.lead.tasks) < MOST_TASKS)
    @rule(wish=STEPS["create"])
    def create(self, wish: StepArguments) -> None:
        self.wish("create", wish)

    @precondition(lambda self: len(self.lead.tasks) < MOST_TASKS)
    @rule(depends_on=st.lists(picks, max_size=1))
    def create_work(self, depends_on: list[int]) -> None:
        self.wish("create", {"who": "boss", "board": "open", "title": "one", "depends_on": depends_on})

    @precondition(lambda self: self.lead.tasks)
    @rule(wish=STEPS["edit"])
    def edit(self, wish: StepArguments) -> None:
        self.wish("edit", wish)

    @precondition(lambda self: self.lead.tasks)
    @rule(wish=STEPS["team"])
    def work_as_a_team(self, wish: StepArguments) -> None:
        self.wish("edit", {"team": True, **wish})

    @precondition(lambda self: len(self.lead.tasks) < MOST_TASKS)
    @rule(
        worker=st.sampled_from(["Carl", "Carl", "Dora"]),
        steps=st.lists(st.sampled_from(["in_progress", "review"]), min_size=1, max_size=2),
        verdict=st.sampled_from(["inbox", "inbox", "done", "in_progress"]),
    )
    def bring_to_review(self, worker: str, steps: list[str], verdict: str) -> None:
        task = self.fresh()
        for who, status in (*((worker, step) for step in steps), ("Lea", verdict)):
            self.ask("edit", who, task=task, team=True, changes={"status": status})

    @precondition(lambda self: self.lead.tasks)
    @rule(wish=STEPS["delete"])
    def delete(self, wish: StepArguments) -> None:
        self.wish("delete", wish)

    @rule(wish=STEPS["gates"])
    def gates(self, wish: StepArguments) -> None:
        self.wish("gates", wish)

    @rule(wish=STEPS["claim_next"])
    def claim_next(self, wish: StepArguments) -> None:
        self.wish("claim_next", wish)

    @precondition(lambda self: self.lead.tasks)
    @rule(wish=STEPS["claim"])
    def claim(self, wish: StepArguments) -> None:
        self.wish("claim", wish)

    @precondition(lambda self: self.claimable())
    @rule(pick=picks, term=st.sampled_from([MINUTE, 5 * MINUTE, DAY]))
    def claim_work(self, pick: int, term: int) -> None:
        free = self.claimable()
        task = free[pick % len(free)]
        self.ask("claim", "boss", task=task["number"], agent=task["assignee"] or "Bob", term=term)

    @rule(wish=STEPS["poll"])
    def poll(self, wish: StepArguments) -> None:
        self.wish("poll", wish)

    @rule(wish=STEPS["renew"])
    def renew(self, wish: StepArguments) -> None:
        self.wish("renew", wish)

    @precondition(lambda self: self.pairs())
    @rule(
        pick=picks,
        status=st.sampled_from(["done", "review", "failed", "in_progress", "inbox", "backlog", "awaiting_owner"]),
        late=st.sampled_from([0, 0, MINUTE, 11 * MINUTE]),
        swept=st.booleans(),
        own=st.booleans(),
    )
    def write_as_a_pair(self, pick: int, status: str, late: int, swept: bool, own: bool) -> None:
        """
        The holder of an implicit lease updates the task's status, in time or after the expiry.
        """
        pairs = self.pairs()
        run = pairs[pick % len(pairs)]
        if late:
            self.advance(late)
        if swept:
            self.ask("sweep", "boss")
        who, _, instance = run["holder"]
        agent = None if WHO[who]["agent"] else run["by"]
        task = self.lead.tasks[run["task"]]["number"]
        self.ask("edit", who, task=task, agent=agent, instance=instance, own=own, changes={"status": status})

    @precondition(lambda self: self.lead.runs)
    @rule(wish=STEPS["heartbeat"])
    def heartbeat(self, wish: StepArguments) -> None:
        self.wish("heartbeat", wish)

    @precondition(lambda self: self.lead.runs)
    @rule(wish=STEPS["complete"], again=st.booleans())
    def complete(self, wish: StepArguments, again: bool) -> None:
        self.twice("complete", wish, again)

    @precondition(lambda self: self.lead.runs)
    @rule(wish=STEPS["fail"], again=st.booleans())
    def fail(self, wish: StepArguments, again: bool) -> None:
        self.twice("fail", wish, again)

    @precondition(lambda self: self.lead.runs)
    @rule(wish=STEPS["release"], again=st.booleans())
    def release(self, wish: StepArguments, again: bool) -> None:
        self.twice("release", wish, again)

    def twice(self, name: str, wish: StepArguments, again: bool) -> None:
        """
        Perform a step, and optionally repeat it unchanged.
        """
        op, _ = self.ask(name, **self.meant(wish))
        if again:
            self.ask(name, op.who, **op.facts)

    @precondition(lambda self: self.lead.tasks)
    @rule(wish=STEPS["order"], times=st.sampled_from([1, 1, 1, 1, 18]))
    def give_orders(self, wish: StepArguments, times: int) -> None:
        facts = self.meant(wish)
        for _ in range(times if facts["kind"] == "steer" else 1):
            self.ask("order", **facts)

    @rule()
    def sweep(self) -> None:
        self.ask("sweep", "boss")

    @rule(step=steps)
    def advance(self, step: int) -> None:
        note(f"advance {step / SECOND} s")
        for judged in self.judged:
            judged.advance(step)
        self.look()

    @precondition(lambda self: any(self.lead.live(task) for task in self.lead.tasks.values()))
    @rule(past=st.sampled_from([-1, 0, 1]))
    def advance_to_the_end_of_a_lease(self, past: int) -> None:
        self.advance(max(min(run["expires_at"] for run in self.live()) - self.lead.now + past, 0))

    @rule()
    def restart(self) -> None:
        """
        Persistent stores are closed and opened again.
        """
        note("restart")
        for judged in self.judged:
            self.run(judged.store.reopen())
            judged.ports = evolve(judged.store.ports, clock=judged.clock, ids=judged.ports.ids)
        self.look()

    # Several at once.

    def fresh(self, **facts: Any) -> int:
        """
        Create a task on the open board, whose gates are opened, and return its number.
        """
        if any(judged.model.boards["open"] | FREE != judged.model.boards["open"] for judged in self.judged):
            self.ask("gates", "boss", board="open", **FREE)
        _, (_, task) = self.ask("create", "boss", board="open", title="one", **facts)
        return int(task["number"])

    def taken(self, number: int, agent: str = "Ada") -> int:
        """
        Claim the task, and return the lease.
        """
        op, (kind, _) = self.ask("claim", "boss", task=number, agent=agent)
        assert kind == "ClaimResult"
        return op.ids

    def finished(self, number: int) -> None:
        """
        Claim and complete the task.
        """
        self.ask("complete", "boss", task=number, lease=self.taken(number))

    @precondition(lambda self: len(self.lead.tasks) < MOST_TASKS)
    @rule(order=st.permutations(range(3)))
    def race_for_one_task(self, order: list[int]) -> None:
        task = self.fresh()
        claims: list[Asked] = [("claim", "boss", {"task": task, "agent": name}) for name in WORKERS[:3]]
        self.race(*claims, order=order)

    @precondition(lambda self: len(self.lead.tasks) < MOST_TASKS)
    @rule(
        order=st.permutations(range(2)),
        changes=st.sampled_from(
            [{"title": "three"}, {"status": "backlog"}, {"assignee": "Bob"}, {"status": "done"}, {"priority": "low"}]
        ),
        expects=st.sampled_from([None, 0]),
    )
    def race_claim_and_edit(self, order: list[int], changes: dict[str, Any], expects: int | None) -> None:
        task = self.fresh()
        edit = {"task": task, "changes": changes, "expects": expects}
        self.race(("claim", "boss", {"task": task, "agent": "Ada"}), ("edit", "boss", edit), order=order)

    @precondition(lambda self: len(self.lead.tasks) < MOST_TASKS)
    @rule(order=st.permutations(range(3)), others=st.lists(st.integers(0, 7), min_size=1, max_size=2))
    def race_complete(self, order: list[int], others: list[int]) -> None:
        task = self.fresh()
        lease = self.taken(task)
        own = {"task": task, "lease": lease}
        against: list[Asked] = [
            ("complete", "boss", own),
            ("complete", "boss", own | {"resolution": "two"}),
            ("fail", "boss", own | {"reason": "crashed"}),
            ("release", "boss", own | {"note": "one"}),
            ("order", "boss", {"task": task, "kind": "steal", "to": "Bob"}),
            ("edit", "boss", {"task": task, "changes": {"status": "awaiting_owner"}}),
            ("gates", "boss", {"board": "open"} | FREE | {"approval": True}),
            ("delete", "boss", {"task": task}),
        ]
        self.race(("complete", "boss", own), *(against[each] for each in others), order=order)

    @precondition(lambda self: len(self.lead.tasks) < MOST_TASKS - 1)
    @rule(order=st.permutations(range(3)), claimed=st.booleans())
    def race_dependency_and_finish(self, order: list[int], claimed: bool) -> None:
        first, task = self.fresh(), self.fresh()
        lease = self.taken(first)
        depend = ("edit", "boss", {"task": task, "changes": {"depends_on": (first,)}, "team": True})
        finish = ("complete", "boss", {"task": first, "lease": lease})
        claim = ("claim", "boss", {"task": task, "agent": "Bob"})
        self.race(depend, finish, *([claim] if claimed else []), order=order)

    @precondition(lambda self: len(self.lead.tasks) < MOST_TASKS - 2)
    @rule(order=st.permutations(range(3)), size=st.integers(2, 3))
    def race_round_a_circle(self, order: list[int], size: int) -> None:
        circle = [self.fresh() for _ in range(size)]
        edits = [
            ("edit", "boss", {"task": each, "changes": {"depends_on": (circle[i - 1],)}})
            for i, each in enumerate(circle)
        ]
        self.race(*edits, order=order)

    @precondition(lambda self: len(self.lead.tasks) < MOST_TASKS - 1)
    @rule(order=st.permutations(range(2)), what=st.sampled_from(["claim", "complete", "edit", "free", "depend"]))
    def race_reopening(self, order: list[int], what: str) -> None:
        first, task = self.fresh(), self.fresh()
        self.finished(first)
        if what == "depend":
            self.taken(task)
            other = ("edit", "boss", {"task": task, "changes": {"depends_on": (first,)}})
        else:
            self.ask("edit", "boss", task=task, changes={"depends_on": (first,)})
        if what == "complete":
            other = ("complete", "boss", {"task": task, "lease": self.taken(task)})
        elif what == "claim":
            other = ("claim", "boss", {"task": task, "agent": "Bob"})
        elif what != "depend":
            changes = {"status": "review"} if what == "edit" else {"depends_on": ()}
            other = ("edit", "boss", {"task": task, "team": True, "changes": changes})
        self.race(other, ("edit", "boss", {"task": first, "changes": {"status": "inbox"}}), order=order)

    @precondition(lambda self: len(self.lead.tasks) < MOST_TASKS - 1)
    @rule(order=st.permutations(range(2)), what=st.sampled_from(["depend", "claim", "heartbeat", "order"]))
    def race_deleting(self, order: list[int], what: str) -> None:
        task, other = self.fresh(), self.fresh()
        if what == "depend":
            against = ("edit", "boss", {"task": other, "changes": {"depends_on": (task,)}, "by_id": True})
        elif what == "claim":
            against = ("claim", "boss", {"task": task, "agent": "Bob"})
        elif what == "heartbeat":
            against = ("heartbeat", "boss", {"task": task, "lease": self.taken(task)})
        else:
            self.taken(task)
            against = ("order", "boss", {"task": task, "kind": "pause"})
        self.race(against, ("delete", "boss", {"task": task}), order=order)

    @precondition(lambda self: len(self.lead.tasks) < MOST_TASKS)
    @rule(
        order=st.permutations(range(3)),
        before=st.sampled_from([None, "pause", "cancel", "wait"]),
        orders=st.lists(st.sampled_from(["pause", "resume", "cancel", "steer", "steal"]), min_size=1, max_size=2),
        beat=st.sampled_from([{}, {"progress": '{"done":3}'}, {"waiting_for": "two"}]),
    )
    def race_heartbeat_and_orders(
        self, order: list[int], before: str | None, orders: list[str], beat: dict[str, Any]
    ) -> None:
        task = self.fresh()
        lease = self.taken(task)
        if before == "wait":
            self.ask("heartbeat", "boss", task=task, lease=lease, waiting_for="one", wait=DAY)
        elif before is not None:
            op, _ = self.ask("order", "boss", task=task, kind=before)
            beat = beat | {"acknowledges": op.ids}
        self.advance(MINUTE)
        given = [("order", "boss", {"task": task, "kind": kind, "message": "one"}) for kind in orders]
        self.race(("heartbeat", "boss", {"task": task, "lease": lease, **beat}), *given, order=order)

    @precondition(lambda self: len(self.lead.tasks) < MOST_TASKS)
    @rule(order=st.permutations(range(3)), others=st.lists(st.integers(0, 4), min_size=1, max_size=2))
    def race_after_the_end(self, order: list[int], others: list[int]) -> None:
        self.ask("sweep", "boss")
        task = self.fresh()
        lease = self.taken(task)
        self.advance(6 * MINUTE)
        against: list[Asked] = [
            ("claim", "boss", {"task": task, "agent": "Bob"}),
            ("heartbeat", "boss", {"task": task, "lease": lease}),
            ("edit", "boss", {"task": task, "changes": {"title": "two"}}),
            ("edit", "boss", {"task": task, "changes": {"status": "inbox"}}),
            ("complete", "boss", {"task": task, "lease": lease}),
        ]
        self.race(("sweep", "boss", {}), *(against[each] for each in others), order=order)

    @precondition(lambda self: len(self.lead.tasks) < MOST_TASKS - 1)
    @rule(order=st.permutations(range(3)), agents=st.lists(st.sampled_from(WORKERS), min_size=2, max_size=3))
    def race_for_the_next(self, order: list[int], agents: list[str]) -> None:
        self.fresh()
        self.fresh(priority="high")
        self.ask("sweep", "boss")
        claims: list[Asked] = [("claim_next", "boss", {"agent": agent}) for agent in agents]
        self.race(*claims, order=order)

    @precondition(lambda self: len(self.lead.tasks) < MOST_TASKS - 1)
    @rule(
        order=st.permutations(range(3)),
        polls=st.lists(st.tuples(st.sampled_from(["Ada", "ADA", "Bob"]), instances), min_size=2, max_size=3),
        max_in_progress=st.sampled_from([None, None, 1, 2]),
    )
    def race_polls(self, order: list[int], polls: list[tuple[str, str | None]], max_in_progress: int | None) -> None:
        self.fresh()
        self.fresh(priority="high")
        self.ask("sweep", "boss")
        for name, instance in polls:  # or a renewal would be a step of its own in the race
            self.ask("renew", "boss", agent=name, instance=instance)
        asked: list[Asked] = [
            ("poll", "boss", {"agent": name, "instance": instance, "max_in_progress": max_in_progress})
            for name, instance in polls
        ]
        self.race(*asked, order=order)

    @precondition(lambda self: len(self.lead.tasks) < MOST_TASKS)
    @rule(
        order=st.permutations(range(3)),
        status=st.sampled_from(["done", "in_progress", "review", "inbox"]),
        late=st.sampled_from([0, 11 * MINUTE]),
        others=st.lists(st.integers(0, 4), min_size=1, max_size=2),
    )
    def race_write_of_a_pair(self, order: list[int], status: str, late: int, others: list[int]) -> None:
        task = self.fresh(priority="critical", assignee="Ada")
        self.ask("sweep", "boss")
        self.ask("edit", "clerk", task=task, agent="Ada", changes={"status": "in_progress"})
        self.advance(late)
        against: list[Asked] = [
            ("sweep", "boss", {}),
            ("edit", "boss", {"task": task, "changes": {"assignee": "Bob"}}),
            ("edit", "clerk", {"task": task, "agent": "Ada", "changes": {"status": "done"}}),
            ("claim", "boss", {"task": task, "agent": "Ada"}),
            ("delete", "boss", {"task": task}),
        ]
        mine: Asked = ("edit", "clerk", {"task": task, "agent": "Ada", "changes": {"status": status}})
        self.race(mine, *(against[each] for each in others), order=order)

    @rule(
        order=st.permutations(range(2)),
        first=st.sampled_from(ANYTHING),
        second=st.sampled_from(ANYTHING),
        data=st.data(),
    )
    def race_anything(self, order: list[int], first: str, second: str, data: st.DataObject) -> None:
        asked = []
        for name in (first, second):
            facts = self.meant(data.draw(STEPS[name], label=name))
            facts.get("changes", {}).pop("board", None)  # a move that is tried again draws another ticket
            if name == "team":
                name, facts["team"] = "edit", True
            asked.append((name, facts.pop("who"), facts))
        self.race(*asked, order=order)

    # The end.

    def teardown(self) -> None:
        if self.sound:
            self.work_it_all_off()

    def work_it_all_off(self) -> None:
        """
        Complete all claimable tasks in every store, with agents of all names, while time passes.
        """
        for judged in self.judged:
            self.run(self.worked_off(judged))

    async def worked_off(self, judged: StoreUnderTest) -> None:
        """
        Claim and complete tasks until none becomes claimable.
        """
        idle = 0
        while idle < 2:
            idle += 1
            judged.advance(40 * DAY)
            for agent in WORKERS:
                while (await self.one_done(judged, agent)) != "None":
                    idle = 0
        view = await judged.look()
        invariants.no_limbo(view)
        await judged.follow(view["log"])

    async def one_done(self, judged: StoreUnderTest, agent: str) -> str:
        """
        Claim the next task and complete it. Returns the kind of the claim's answer.
        """
        op = Step("claim_next", "boss", {"agent": agent}, self.block())
        expected = judged.model.answer(op.name, op.who, op.facts, ids=op.ids)
        kind, facts = answered = await judged.ask(op)
        require_equal(judged.store.name, expected, answered)
        if kind == "ClaimResult":
            done = Step("complete", "boss", {"task": facts["task"]["number"], "lease": op.ids}, self.block())
            expected = judged.model.answer(done.name, done.who, done.facts, ids=done.ids)
            require_equal(judged.store.name, expected, await judged.ask(done))
        return kind
