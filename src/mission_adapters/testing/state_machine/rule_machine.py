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
from mission_adapters.testing.state_machine.reference_model import (
    DAY,
    MINUTE,
    PRINCIPALS,
    SECOND,
    Answer,
    ReferenceModel,
    Row,
)
from mission_adapters.testing.state_machine.step_strategies import STEPS, StepArguments, instances, picks, time_steps
from mission_adapters.testing.state_machine.store_under_test import SerialOutcome, Step, StoreUnderTest
from mission_core.tasks.explanations import Explanation

R = TypeVar("R")
StepCall = tuple[str, str, dict[str, Any]]

MAX_TASKS = 7
UNUSED_NUMBER = 99
UNKNOWN_ID = 5_000_000_000
IDS_PER_STEP = 32
WORKERS = ("Ada", "Bob", "Carl", "Dora", "Gus", "Lea")
RACING_STEPS = ("edit", "team", "delete", "claim", "heartbeat", "complete", "fail", "release", "order")
NO_GATES = {"approval": False, "review": False, "comment": False, "leads": False}


def require_equal(name: str, expected: object, answered: object) -> None:
    """
    Fail with the difference unless both are equal.
    """
    if expected != answered:
        raise AssertionError(difference(name, expected, answered))


def difference(name: str, expected: object, answered: object) -> str:
    """
    The difference as a unified diff.
    """
    model, store = (pformat(each, width=100).splitlines() for each in (expected, answered))
    return "\n".join(unified_diff(model, store, "model", name, n=1, lineterm=""))


def summary(answer: Answer) -> str:
    """
    A short text of the answer for Hypothesis' notes.
    """
    kind, fields = answer
    if kind == "ClaimResult":
        return f"Claimed {summary(('Task', fields['task']))} {fields['run']['id']}"
    if kind == "Task":
        return f"Task #{fields['number']} {fields['status']}, version {fields['version']}, fence {fields['fence']}"
    if kind == "HeartbeatResult":
        return f"Beat {fields['run']['state']} {fields['order'] or ''}"
    return f"{kind} {fields or ''}"


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
        self.tested_stores: list[StoreUnderTest] = []
        self.diverged = False
        self.consistent = False

    @initialize()
    def create_organizations(self) -> None:
        """
        Create an organization in each store.
        """
        start = self.next_ids()
        for store in self.stores:
            self.run(store.begin())
        self.tested_stores = [self.run(StoreUnderTest.create(store, ids=start)) for store in self.stores]
        self.compare_all()

    def run(self, awaitable: Awaitable[R]) -> R:
        """
        Run the awaitable on the runner's loop. `Runner.run` is avoided because its signal handling formats the whole
        task.
        """
        return self.runner.get_loop().run_until_complete(awaitable)

    def next_ids(self) -> int:
        """
        The first id of a new block of ids.
        """
        return next(type(self).blocks) * IDS_PER_STEP

    @property
    def model(self) -> ReferenceModel:
        """
        The reference model of the first store; the drawn arguments of a step are resolved with it.
        """
        return self.tested_stores[0].model

    # Performing steps.

    def ask(self, name: str, who: str, **fields: Any) -> tuple[Step, Answer]:
        """
        Perform a step in every store. Each must answer like its model, and show the same rows.
        """
        self.consistent = False
        step = Step(name, who, fields, self.next_ids())
        note(f"{step.who}: {step.name} {step.fields}")
        answers = []
        for tested in self.tested_stores:
            expected = tested.model.answer(step.name, step.who, step.fields, ids=step.ids)
            answered = self.run(tested.ask(step))
            answers.append(answered)

            require_equal(tested.store.name, expected, answered)
        note(f"    {summary(answers[0])}")
        event(f"{step.name}: {answers[0][0]}")
        self.compare_all(
            invariants.updates_claim_only_free_tasks if name == "edit" else invariants.only_claimable_tasks_are_claimed
        )
        return step, answers[0]

    def race(self, *asked: StepCall, order: Sequence[int]) -> None:
        """
        Perform several steps concurrently. The answers and rows of each store must be those of some serial order of the
        steps.
        """
        self.consistent = False
        steps = [Step(name, who, fields, self.next_ids()) for name, who, fields in asked]
        order = [each for each in order if each < len(steps)]
        for step in steps:
            note(f"at once, {step.who}: {step.name} {step.fields}")
        for tested in self.tested_stores:
            outcomes = tested.serial_outcomes(steps)
            answers = self.run(tested.race(steps, order))
            note(f"    {tested.store.name}: {'; '.join(map(summary, answers))}")
            observed = tested.observed(self.run(tested.read_state()))
            event(f"race of {', '.join(step.name for step in steps)}: {', '.join(kind for kind, _ in answers)}")
            tested.model = self.outcome(tested, steps, outcomes, answers, observed)
        self.compare_all()

    def outcome(
        self,
        tested: StoreUnderTest,
        steps: Sequence[Step],
        outcomes: Sequence[SerialOutcome],
        answers: list[Answer],
        observed: Row,
    ) -> ReferenceModel:
        """
        The model after a serial order of the steps that gives the answers and rows of the store.
        """
        skips = tested.store.skips_locked_rows and any(step.name in ("claim_next", "poll") for step in steps)
        matching = [model for expected, model in outcomes if tested.comparable(expected) == tested.comparable(answers)]
        if not matching:
            raise AssertionError(min((difference(tested.store.name, each, answers) for each, _ in outcomes), key=len))
        for model in matching:
            expected = tested.expected(model)
            if skips and sorted(expected["log"]) == sorted(observed["log"]):
                # A claim that skips a locked row may be logged before the step that holds the lock.
                expected["log"] = model.log[tested.compared_entries :] = observed["log"]
            if log_entries(expected["log"]) == log_entries(observed["log"]):
                # Which dependents are notified depends on the dependencies when the step was decided.
                expected["log"] = model.log[tested.compared_entries :] = observed["log"]
            if expected == observed:
                return model
        name = tested.store.name
        raise AssertionError(min((difference(name, tested.expected(each), observed) for each in matching), key=len))

    def compare_all(self, *more: Callable[[StoreUnderTest, dict[str, Any]], None]) -> None:
        """
        Read all stores. Each must show the rows of its model and keep the invariants.
        """
        self.consistent = False
        explanations: list[dict[int, Explanation]] = []
        for tested in self.tested_stores:
            view = self.run(tested.read_state())
            expected, observed = tested.expected(tested.model), tested.observed(view)
            for part in expected:
                require_equal(f"{tested.store.name}, {part}", expected[part], observed[part])
            for invariant in (*invariants.ALWAYS, *more):
                invariant(tested, view)
            self.run(tested.verify_log(view["log"]))
            tested.compared_entries, tested.previous_view = len(tested.model.log), view
            # Late results contain ids of runs, which differ between stores where different callers won a race.
            explanations.append({task: evolve(each, late_results=()) for task, each in view["explained"].items()})
        self.diverged = self.diverged or any(each != explanations[0] for each in explanations)
        states = [tested.model.tasks for tested in self.tested_stores]
        if self.diverged and all(state == states[0] for state in states):
            assert all(each == explanations[0] for each in explanations), explanations
        self.consistent = True

    # Resolving the drawn arguments of a step.

    def number(self, pick: int) -> int:
        """
        The number of a task: an existing one, a deleted one, or one that never existed.
        """
        born = sorted(self.model.ids_by_number)
        return UNUSED_NUMBER if pick == 30 or not born else born[pick % len(born)]

    def task(self, number: int) -> Row | None:
        """
        The task with the number, or None.
        """
        return self.model.tasks.get(self.model.ids_by_number.get(number, 0))

    def resolve(self, arguments: StepArguments) -> dict[str, Any]:
        """
        The fields of a step from its drawn arguments.
        """
        fields = dict(arguments)
        if "lease" in fields:
            fields |= self.task_and_lease(fields["lease"], fields["task"])
        elif fields.pop("held", False) and (live := self.live_runs()):
            fields["task"] = self.model.tasks[live[fields["task"] % len(live)]["task"]]["number"]
        elif "task" in fields:
            fields["task"] = self.number(fields["task"])
        found = self.task(fields.get("task", UNUSED_NUMBER))
        if expects := fields.pop("expects", None):
            fields["expects"] = (found["version"] if found else 0) + (expects == "stale")
        if on := fields.pop("on", None):
            own = found["board"] if found else "open"
            fields["on"] = own if on == "own" else "gated" if own != "gated" else "open"
        if "acknowledges" in fields:
            fields["acknowledges"] = self.order(fields["lease"], fields["acknowledges"])
        if PRINCIPALS[fields["who"]]["agent"] and fields.get("agent") in ("Ada", "ADA"):
            fields["agent"] = None
        self.resolve_values(fields)
        if "changes" in fields:
            fields["changes"] = self.resolve_values(dict(fields["changes"]))
        return fields

    def resolve_values(self, fields: dict[str, Any]) -> dict[str, Any]:
        """
        The fields with dependencies as task numbers and times relative to now.
        """
        if "depends_on" in fields:
            fields["depends_on"] = tuple(map(self.number, fields["depends_on"]))
        for name in ("due_at", "not_before"):
            if fields.get(name) is not None:
                fields[name] += self.model.now
        return fields

    def live_runs(self) -> list[Row]:
        """
        The runs with a live lease.
        """
        return [run for task in self.model.tasks.values() if (run := self.model.live_run(task))]

    def implicit_runs(self) -> list[Row]:
        """
        The runs under implicit leases of existing tasks.
        """
        return [run for run in self.model.runs.values() if run["holder"] and run["task"] in self.model.tasks]

    def claimable(self) -> list[Row]:
        """
        The claimable tasks.
        """
        return [task for task in self.model.tasks.values() if self.model.state_and_start(task)[0] == "claimable"]

    def task_and_lease(self, kind: str, pick: int) -> dict[str, Any]:
        """
        A task and a lease: the task's own or another one's, live or not, unknown or malformed.
        """
        live = [run for run in self.live_runs() if run["holder"] is None] if kind == "live" else None
        runs = live or list(self.model.runs.values())
        if kind == "malformed" or kind == "unknown" or not runs:
            return {"task": self.number(pick), "lease": 0 if kind == "malformed" else UNKNOWN_ID}
        run = runs[pick % len(runs)]
        if kind == "foreign":
            return {"task": self.number(pick + 1), "lease": run["id"]}
        numbers = {id: number for number, id in self.model.ids_by_number.items()}
        return {"task": numbers[run["task"]], "lease": run["id"]}

    def order(self, lease: int, which: str) -> int | None:
        """
        The id of an order that waits for the holder of the lease, or an unknown one.
        """
        orders = self.model.runs[lease]["orders"] if lease in self.model.runs else ()
        if which == "wrong":
            return UNKNOWN_ID
        return orders[0 if which == "first" else -1][0] if orders else None

    def run_step(self, name: str, arguments: StepArguments) -> None:
        """
        Perform the step with its drawn arguments.
        """
        fields = self.resolve(arguments)
        self.ask(name, fields.pop("who"), **fields)

    # Rules of one step at a time.

    @precondition(lambda self: len(self.model.tasks) < MAX_TASKS)
    @rule(arguments=STEPS["create"])
    def create(self, arguments: StepArguments) -> None:
        self.run_step("create", arguments)

    @precondition(lambda self: len(self.model.tasks) < MAX_TASKS)
    @rule(depends_on=st.lists(picks, max_size=1))
    def create_work(self, depends_on: list[int]) -> None:
        self.run_step("create", {"who": "boss", "board": "open", "title": "one", "depends_on": depends_on})

    @precondition(lambda self: self.model.tasks)
    @rule(arguments=STEPS["edit"])
    def edit(self, arguments: StepArguments) -> None:
        self.run_step("edit", arguments)

    @precondition(lambda self: self.model.tasks)
    @rule(arguments=STEPS["team"])
    def edit_as_a_team(self, arguments: StepArguments) -> None:
        self.run_step("edit", {"team": True, **arguments})

    @precondition(lambda self: len(self.model.tasks) < MAX_TASKS)
    @rule(
        worker=st.sampled_from(["Carl", "Carl", "Dora"]),
        steps=st.lists(st.sampled_from(["in_progress", "review"]), min_size=1, max_size=2),
        verdict=st.sampled_from(["inbox", "inbox", "done", "in_progress"]),
    )
    def bring_to_review(self, worker: str, steps: list[str], verdict: str) -> None:
        task = self.new_task()
        for who, status in (*((worker, step) for step in steps), ("Lea", verdict)):
            self.ask("edit", who, task=task, team=True, changes={"status": status})

    @precondition(lambda self: self.model.tasks)
    @rule(arguments=STEPS["delete"])
    def delete(self, arguments: StepArguments) -> None:
        self.run_step("delete", arguments)

    @rule(arguments=STEPS["gates"])
    def gates(self, arguments: StepArguments) -> None:
        self.run_step("gates", arguments)

    @rule(arguments=STEPS["claim_next"])
    def claim_next(self, arguments: StepArguments) -> None:
        self.run_step("claim_next", arguments)

    @precondition(lambda self: self.model.tasks)
    @rule(arguments=STEPS["claim"])
    def claim(self, arguments: StepArguments) -> None:
        self.run_step("claim", arguments)

    @precondition(lambda self: self.claimable())
    @rule(pick=picks, term=st.sampled_from([MINUTE, 5 * MINUTE, DAY]))
    def claim_work(self, pick: int, term: int) -> None:
        free = self.claimable()
        task = free[pick % len(free)]
        self.ask("claim", "boss", task=task["number"], agent=task["assignee"] or "Bob", term=term)

    @rule(arguments=STEPS["poll"])
    def poll(self, arguments: StepArguments) -> None:
        self.run_step("poll", arguments)

    @rule(arguments=STEPS["renew"])
    def renew(self, arguments: StepArguments) -> None:
        self.run_step("renew", arguments)

    @precondition(lambda self: self.implicit_runs())
    @rule(
        pick=picks,
        status=st.sampled_from(["done", "review", "failed", "in_progress", "inbox", "backlog", "awaiting_owner"]),
        late=st.sampled_from([0, 0, MINUTE, 11 * MINUTE]),
        swept=st.booleans(),
        own=st.booleans(),
    )
    def write_under_implicit_lease(self, pick: int, status: str, late: int, swept: bool, own: bool) -> None:
        """
        The holder of an implicit lease updates the task's status, in time or after the expiry.
        """
        runs = self.implicit_runs()
        run = runs[pick % len(runs)]
        if late:
            self.advance(late)
        if swept:
            self.ask("sweep", "boss")
        who, _, instance = run["holder"]
        agent = None if PRINCIPALS[who]["agent"] else run["by"]
        task = self.model.tasks[run["task"]]["number"]
        self.ask("edit", who, task=task, agent=agent, instance=instance, own=own, changes={"status": status})

    @precondition(lambda self: self.model.runs)
    @rule(arguments=STEPS["heartbeat"])
    def heartbeat(self, arguments: StepArguments) -> None:
        self.run_step("heartbeat", arguments)

    @precondition(lambda self: self.model.runs)
    @rule(arguments=STEPS["complete"], again=st.booleans())
    def complete(self, arguments: StepArguments, again: bool) -> None:
        self.run_twice("complete", arguments, again)

    @precondition(lambda self: self.model.runs)
    @rule(arguments=STEPS["fail"], again=st.booleans())
    def fail(self, arguments: StepArguments, again: bool) -> None:
        self.run_twice("fail", arguments, again)

    @precondition(lambda self: self.model.runs)
    @rule(arguments=STEPS["release"], again=st.booleans())
    def release(self, arguments: StepArguments, again: bool) -> None:
        self.run_twice("release", arguments, again)

    def run_twice(self, name: str, arguments: StepArguments, again: bool) -> None:
        """
        Perform a step, and optionally repeat it unchanged.
        """
        step, _ = self.ask(name, **self.resolve(arguments))
        if again:
            self.ask(name, step.who, **step.fields)

    @precondition(lambda self: self.model.tasks)
    @rule(arguments=STEPS["order"], times=st.sampled_from([1, 1, 1, 1, 18]))
    def give_orders(self, arguments: StepArguments, times: int) -> None:
        fields = self.resolve(arguments)
        for _ in range(times if fields["kind"] == "steer" else 1):
            self.ask("order", **fields)

    @rule()
    def sweep(self) -> None:
        self.ask("sweep", "boss")

    @rule(step=time_steps)
    def advance(self, step: int) -> None:
        note(f"advance {step / SECOND} s")
        for tested in self.tested_stores:
            tested.advance(step)
        self.compare_all()

    @precondition(lambda self: any(self.model.live_run(task) for task in self.model.tasks.values()))
    @rule(past=st.sampled_from([-1, 0, 1]))
    def advance_to_the_end_of_a_lease(self, past: int) -> None:
        self.advance(max(min(run["expires_at"] for run in self.live_runs()) - self.model.now + past, 0))

    @rule()
    def restart(self) -> None:
        """
        Persistent stores are closed and opened again.
        """
        note("restart")
        for tested in self.tested_stores:
            self.run(tested.store.reopen())
            tested.ports = evolve(tested.store.ports, clock=tested.clock, ids=tested.ports.ids)
        self.compare_all()

    # Rules of concurrent steps.

    def new_task(self, **fields: Any) -> int:
        """
        Create a task on the open board, whose gates are opened, and return its number.
        """
        if any(tested.model.boards["open"] | NO_GATES != tested.model.boards["open"] for tested in self.tested_stores):
            self.ask("gates", "boss", board="open", **NO_GATES)
        _, (_, task) = self.ask("create", "boss", board="open", title="one", **fields)
        return int(task["number"])

    def claim_lease(self, number: int, agent: str = "Ada") -> int:
        """
        Claim the task, and return the lease.
        """
        step, (kind, _) = self.ask("claim", "boss", task=number, agent=agent)
        assert kind == "ClaimResult"
        return step.ids

    def claim_and_complete(self, number: int) -> None:
        """
        Claim and complete the task.
        """
        self.ask("complete", "boss", task=number, lease=self.claim_lease(number))

    @precondition(lambda self: len(self.model.tasks) < MAX_TASKS)
    @rule(order=st.permutations(range(3)))
    def race_for_one_task(self, order: list[int]) -> None:
        task = self.new_task()
        claims: list[StepCall] = [("claim", "boss", {"task": task, "agent": name}) for name in WORKERS[:3]]
        self.race(*claims, order=order)

    @precondition(lambda self: len(self.model.tasks) < MAX_TASKS)
    @rule(
        order=st.permutations(range(2)),
        changes=st.sampled_from(
            [{"title": "three"}, {"status": "backlog"}, {"assignee": "Bob"}, {"status": "done"}, {"priority": "low"}]
        ),
        expects=st.sampled_from([None, 0]),
    )
    def race_claim_and_edit(self, order: list[int], changes: dict[str, Any], expects: int | None) -> None:
        task = self.new_task()
        edit = {"task": task, "changes": changes, "expects": expects}
        self.race(("claim", "boss", {"task": task, "agent": "Ada"}), ("edit", "boss", edit), order=order)

    @precondition(lambda self: len(self.model.tasks) < MAX_TASKS)
    @rule(order=st.permutations(range(3)), others=st.lists(st.integers(0, 7), min_size=1, max_size=2))
    def race_complete(self, order: list[int], others: list[int]) -> None:
        task = self.new_task()
        lease = self.claim_lease(task)
        own = {"task": task, "lease": lease}
        against: list[StepCall] = [
            ("complete", "boss", own),
            ("complete", "boss", own | {"resolution": "two"}),
            ("fail", "boss", own | {"reason": "crashed"}),
            ("release", "boss", own | {"note": "one"}),
            ("order", "boss", {"task": task, "kind": "steal", "to": "Bob"}),
            ("edit", "boss", {"task": task, "changes": {"status": "awaiting_owner"}}),
            ("gates", "boss", {"board": "open"} | NO_GATES | {"approval": True}),
            ("delete", "boss", {"task": task}),
        ]
        self.race(("complete", "boss", own), *(against[each] for each in others), order=order)

    @precondition(lambda self: len(self.model.tasks) < MAX_TASKS - 1)
    @rule(order=st.permutations(range(3)), claimed=st.booleans())
    def race_dependency_and_finish(self, order: list[int], claimed: bool) -> None:
        first, task = self.new_task(), self.new_task()
        lease = self.claim_lease(first)
        depend = ("edit", "boss", {"task": task, "changes": {"depends_on": (first,)}, "team": True})
        finish = ("complete", "boss", {"task": first, "lease": lease})
        claim = ("claim", "boss", {"task": task, "agent": "Bob"})
        self.race(depend, finish, *([claim] if claimed else []), order=order)

    @precondition(lambda self: len(self.model.tasks) < MAX_TASKS - 2)
    @rule(order=st.permutations(range(3)), size=st.integers(2, 3))
    def race_dependency_cycle(self, order: list[int], size: int) -> None:
        tasks = [self.new_task() for _ in range(size)]
        edits = [
            ("edit", "boss", {"task": each, "changes": {"depends_on": (tasks[i - 1],)}}) for i, each in enumerate(tasks)
        ]
        self.race(*edits, order=order)

    @precondition(lambda self: len(self.model.tasks) < MAX_TASKS - 1)
    @rule(order=st.permutations(range(2)), what=st.sampled_from(["claim", "complete", "edit", "free", "depend"]))
    def race_reopening(self, order: list[int], what: str) -> None:
        first, task = self.new_task(), self.new_task()
        self.claim_and_complete(first)
        if what == "depend":
            self.claim_lease(task)
            other = ("edit", "boss", {"task": task, "changes": {"depends_on": (first,)}})
        else:
            self.ask("edit", "boss", task=task, changes={"depends_on": (first,)})
        if what == "complete":
            other = ("complete", "boss", {"task": task, "lease": self.claim_lease(task)})
        elif what == "claim":
            other = ("claim", "boss", {"task": task, "agent": "Bob"})
        elif what != "depend":
            changes = {"status": "review"} if what == "edit" else {"depends_on": ()}
            other = ("edit", "boss", {"task": task, "team": True, "changes": changes})
        self.race(other, ("edit", "boss", {"task": first, "changes": {"status": "inbox"}}), order=order)

    @precondition(lambda self: len(self.model.tasks) < MAX_TASKS - 1)
    @rule(order=st.permutations(range(2)), what=st.sampled_from(["depend", "claim", "heartbeat", "order"]))
    def race_deleting(self, order: list[int], what: str) -> None:
        task, other = self.new_task(), self.new_task()
        if what == "depend":
            against = ("edit", "boss", {"task": other, "changes": {"depends_on": (task,)}, "by_id": True})
        elif what == "claim":
            against = ("claim", "boss", {"task": task, "agent": "Bob"})
        elif what == "heartbeat":
            against = ("heartbeat", "boss", {"task": task, "lease": self.claim_lease(task)})
        else:
            self.claim_lease(task)
            against = ("order", "boss", {"task": task, "kind": "pause"})
        self.race(against, ("delete", "boss", {"task": task}), order=order)

    @precondition(lambda self: len(self.model.tasks) < MAX_TASKS)
    @rule(
        order=st.permutations(range(3)),
        before=st.sampled_from([None, "pause", "cancel", "wait"]),
        orders=st.lists(st.sampled_from(["pause", "resume", "cancel", "steer", "steal"]), min_size=1, max_size=2),
        beat=st.sampled_from([{}, {"progress": '{"done":3}'}, {"waiting_for": "two"}]),
    )
    def race_heartbeat_and_orders(
        self, order: list[int], before: str | None, orders: list[str], beat: dict[str, Any]
    ) -> None:
        task = self.new_task()
        lease = self.claim_lease(task)
        if before == "wait":
            self.ask("heartbeat", "boss", task=task, lease=lease, waiting_for="one", wait=DAY)
        elif before is not None:
            step, _ = self.ask("order", "boss", task=task, kind=before)
            beat = beat | {"acknowledges": step.ids}
        self.advance(MINUTE)
        given = [("order", "boss", {"task": task, "kind": kind, "message": "one"}) for kind in orders]
        self.race(("heartbeat", "boss", {"task": task, "lease": lease, **beat}), *given, order=order)

    @precondition(lambda self: len(self.model.tasks) < MAX_TASKS)
    @rule(order=st.permutations(range(3)), others=st.lists(st.integers(0, 4), min_size=1, max_size=2))
    def race_after_expiry(self, order: list[int], others: list[int]) -> None:
        self.ask("sweep", "boss")
        task = self.new_task()
        lease = self.claim_lease(task)
        self.advance(6 * MINUTE)
        against: list[StepCall] = [
            ("claim", "boss", {"task": task, "agent": "Bob"}),
            ("heartbeat", "boss", {"task": task, "lease": lease}),
            ("edit", "boss", {"task": task, "changes": {"title": "two"}}),
            ("edit", "boss", {"task": task, "changes": {"status": "inbox"}}),
            ("complete", "boss", {"task": task, "lease": lease}),
        ]
        self.race(("sweep", "boss", {}), *(against[each] for each in others), order=order)

    @precondition(lambda self: len(self.model.tasks) < MAX_TASKS - 1)
    @rule(order=st.permutations(range(3)), agents=st.lists(st.sampled_from(WORKERS), min_size=2, max_size=3))
    def race_for_the_next(self, order: list[int], agents: list[str]) -> None:
        self.new_task()
        self.new_task(priority="high")
        self.ask("sweep", "boss")
        claims: list[StepCall] = [("claim_next", "boss", {"agent": agent}) for agent in agents]
        self.race(*claims, order=order)

    @precondition(lambda self: len(self.model.tasks) < MAX_TASKS - 1)
    @rule(
        order=st.permutations(range(3)),
        polls=st.lists(st.tuples(st.sampled_from(["Ada", "ADA", "Bob"]), instances), min_size=2, max_size=3),
        max_in_progress=st.sampled_from([None, None, 1, 2]),
    )
    def race_polls(self, order: list[int], polls: list[tuple[str, str | None]], max_in_progress: int | None) -> None:
        self.new_task()
        self.new_task(priority="high")
        self.ask("sweep", "boss")
        for name, instance in polls:  # or a renewal would be a step of its own in the race
            self.ask("renew", "boss", agent=name, instance=instance)
        asked: list[StepCall] = [
            ("poll", "boss", {"agent": name, "instance": instance, "max_in_progress": max_in_progress})
            for name, instance in polls
        ]
        self.race(*asked, order=order)

    @precondition(lambda self: len(self.model.tasks) < MAX_TASKS)
    @rule(
        order=st.permutations(range(3)),
        status=st.sampled_from(["done", "in_progress", "review", "inbox"]),
        late=st.sampled_from([0, 11 * MINUTE]),
        others=st.lists(st.integers(0, 4), min_size=1, max_size=2),
    )
    def race_implicit_lease_write(self, order: list[int], status: str, late: int, others: list[int]) -> None:
        task = self.new_task(priority="critical", assignee="Ada")
        self.ask("sweep", "boss")
        self.ask("edit", "clerk", task=task, agent="Ada", changes={"status": "in_progress"})
        self.advance(late)
        against: list[StepCall] = [
            ("sweep", "boss", {}),
            ("edit", "boss", {"task": task, "changes": {"assignee": "Bob"}}),
            ("edit", "clerk", {"task": task, "agent": "Ada", "changes": {"status": "done"}}),
            ("claim", "boss", {"task": task, "agent": "Ada"}),
            ("delete", "boss", {"task": task}),
        ]
        mine: StepCall = ("edit", "clerk", {"task": task, "agent": "Ada", "changes": {"status": status}})
        self.race(mine, *(against[each] for each in others), order=order)

    @rule(
        order=st.permutations(range(2)),
        first=st.sampled_from(RACING_STEPS),
        second=st.sampled_from(RACING_STEPS),
        data=st.data(),
    )
    def race_anything(self, order: list[int], first: str, second: str, data: st.DataObject) -> None:
        asked = []
        for name in (first, second):
            fields = self.resolve(data.draw(STEPS[name], label=name))
            fields.get("changes", {}).pop("board", None)  # a move that is tried again draws another ticket
            if name == "team":
                name, fields["team"] = "edit", True
            asked.append((name, fields.pop("who"), fields))
        self.race(*asked, order=order)

    # The end.

    def teardown(self) -> None:
        if self.consistent:
            self.complete_all_tasks()

    def complete_all_tasks(self) -> None:
        """
        Complete all claimable tasks in every store, with agents of all names, while time passes.
        """
        for tested in self.tested_stores:
            self.run(self.complete_tasks_of(tested))

    async def complete_tasks_of(self, tested: StoreUnderTest) -> None:
        """
        Claim and complete tasks until none becomes claimable.
        """
        idle = 0
        while idle < 2:
            idle += 1
            tested.advance(40 * DAY)
            for agent in WORKERS:
                while (await self.complete_next(tested, agent)) != "None":
                    idle = 0
        view = await tested.read_state()
        invariants.all_claimable_work_is_done(view)
        await tested.verify_log(view["log"])

    async def complete_next(self, tested: StoreUnderTest, agent: str) -> str:
        """
        Claim the next task and complete it. Returns the kind of the claim's answer.
        """
        step = Step("claim_next", "boss", {"agent": agent}, self.next_ids())
        expected = tested.model.answer(step.name, step.who, step.fields, ids=step.ids)
        kind, fields = answered = await tested.ask(step)
        require_equal(tested.store.name, expected, answered)
        if kind == "ClaimResult":
            done = Step("complete", "boss", {"task": fields["task"]["number"], "lease": step.ids}, self.next_ids())
            expected = tested.model.answer(done.name, done.who, done.fields, ids=done.ids)
            require_equal(tested.store.name, expected, await tested.ask(done))
        return kind
