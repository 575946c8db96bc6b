"""
Invariants of a store's tasks, runs and log after every step, checked without the reference model.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from mission_adapters.testing.state_machine.store_under_test import StoreUnderTest, number_of, payload_of
from mission_core.tasks.queries import RunRow, TaskRow

LIVE_STATES = ("leased", "suspended")
STATES = ("claimable", "leased", "held", "parked", "waiting", "blocked")
View = dict[str, Any]


def one_live_lease(tested: StoreUnderTest, view: View) -> None:
    """
    At most one lease of a task is live.
    """
    for rows in view["runs"].values():
        assert 1 >= sum(row.state in LIVE_STATES for row in rows)


def fences_increase(tested: StoreUnderTest, view: View) -> None:
    """
    Each run of a task has a greater fence than the earlier ones, and a run keeps its task and fence.
    """
    for id, rows in view["runs"].items():
        fences = [row.fence for row in reversed(rows)]

        assert fences == sorted(set(fences))
        assert all(fence <= view["tasks"][id].fence for fence in fences)
        for row in rows:
            assert tested.fences.setdefault(number_of(UUID(bytes=row.id)), (id, row.fence)) == (id, row.fence)
    assert len(set(tested.fences.values())) == len(tested.fences)


def completed_under_a_live_lease(tested: StoreUnderTest, view: View) -> None:
    """
    A completion is accepted only with the live lease, and once for each fence.
    """
    for entry in view["log"]:
        if entry.kind == "run.completed":
            fence = payload_of(entry)["fence"]
            key = number_of(entry.subject), fence

            assert key not in tested.completed
            tested.completed.add(key)
            run = next((row for row in tested.previous_view["runs"][key[0]] if row.fence == fence), None)
            if run is None:  # taken again and handed in by one late write
                assert any(each.kind == "task.claimed" and payload_of(each)["fence"] == fence for each in view["log"])
                continue
            assert run.state in LIVE_STATES
            assert view["at"] < run.expires_at


def only_claimable_tasks_are_claimed(tested: StoreUnderTest, view: View) -> None:
    """
    A task that is blocked, parked, delayed, finished or leased is not claimed.
    """
    for entry in view["log"]:
        if entry.kind == "task.claimed":
            id = number_of(entry.subject)
            row: TaskRow = tested.previous_view["tasks"][id]
            runs: list[RunRow] = tested.previous_view["runs"][id]
            lapsed = any(run.state in LIVE_STATES and run.expires_at <= view["at"] for run in runs)
            assert row.status in ("inbox", "assigned") or lapsed
            assert not any(run.state in LIVE_STATES and run.expires_at > view["at"] for run in runs)
            assert all(each.done for each in row.dependencies)
            assert row.not_before is None or row.not_before <= view["at"]


def updates_claim_only_free_tasks(tested: StoreUnderTest, view: View) -> None:
    """
    An update does not claim a task that is blocked or has a live lease.
    """
    for entry in view["log"]:
        if entry.kind == "task.claimed":
            id = number_of(entry.subject)
            assert not any(
                run.state in LIVE_STATES and run.expires_at > view["at"] for run in tested.previous_view["runs"][id]
            )
            assert all(each.done for each in view["tasks"][id].dependencies)


def each_task_has_one_state(tested: StoreUnderTest, view: View) -> None:
    """
    Every task has exactly one state, and its explanation gives that state: `finished` if it is done or failed.
    """
    for id, row in view["tasks"].items():
        state = view["explained"][id].state.value
        lapsed = any(run.state in LIVE_STATES and run.expires_at <= view["at"] for run in view["runs"][id])
        if not lapsed:
            assert (row.status in ("done", "failed")) == (state == "finished")
        assert state in (*STATES, "finished")


def dependencies_have_no_cycle(tested: StoreUnderTest, view: View) -> None:
    """
    Dependencies form no cycle.
    """
    dependencies = {row.id: {each.id for each in row.dependencies} for row in view["tasks"].values()}
    while free := [id for id, others in dependencies.items() if not others & dependencies.keys()]:
        for id in free:
            del dependencies[id]

    assert {} == dependencies


ALWAYS = (
    one_live_lease,
    fences_increase,
    completed_under_a_live_lease,
    each_task_has_one_state,
    dependencies_have_no_cycle,
)


def all_claimable_work_is_done(view: View) -> None:
    """
    After all claimable tasks are completed, every unfinished task waits for a person, is parked or in progress, or
    depends on such a task or a failed one.
    """
    rows: dict[bytes, TaskRow] = {row.id: row for row in view["tasks"].values()}
    states = {row.id: view["explained"][id].state.value for id, row in view["tasks"].items()}
    stuck = {id for id, row in rows.items() if states[id] in ("held", "parked") or _with_a_person(row)}
    final = stuck | {id for id, row in rows.items() if row.status == "failed"}
    while more := {
        id
        for id, row in rows.items()
        if id not in final and states[id] == "blocked" and any(each.id in final for each in row.dependencies)
    }:
        final |= more

    assert {id for id, row in rows.items() if row.status != "done"} == final


def _with_a_person(row: TaskRow) -> bool:
    return row.status in ("review", "quality_review", "awaiting_owner")
