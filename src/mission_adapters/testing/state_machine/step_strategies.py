"""
Hypothesis strategies of the steps' arguments. They are drawn before it is known which tasks exist, so a task is drawn
as a number that later selects one of the existing tasks.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from mission_adapters.testing.state_machine.reference_model import DAY, MINUTE, RETRY_CLASSES, SECOND

StepArguments = dict[str, Any]

NAMES = ("Ada", "ADA", "Bob", "Carl", "CARL")
INSTANCES = (None, None, None, "one", "two")
TEAM = ("Carl", "Carl", "Dora", "Gus", "Lea", "Ada")
STATUSES = (
    "inbox", "assigned", "backlog", "awaiting_owner", "in_progress", "review", "quality_review", "done", "failed",
)  # fmt: skip
picks = st.integers(0, 30)
texts = st.sampled_from(["one", "two", "ü🦆"])
whos = st.sampled_from([*["boss"] * 8, "clerk", "clerk", "Carl", "Carl", "Dora", "guest"])
team = st.sampled_from([*["Lea"] * 6, *["Carl"] * 5, "Dora", "Dora", "Gus", "boss", "boss", "clerk", "guest"])
operators = st.sampled_from([*["boss"] * 10, "clerk", "clerk", "Carl", "Lea", "guest"])
boards = st.sampled_from(["open", "open", "open", "gated", "strict"])
names = st.sampled_from(NAMES)
instances = st.sampled_from(INSTANCES)
priorities = st.sampled_from(["medium", "critical", "high", "low", "whenever"])
later = st.sampled_from([-MINUTE, 30 * SECOND, 10 * MINUTE, DAY, 3 * DAY])
time_steps = st.one_of(
    st.integers(1, 20 * SECOND),
    st.sampled_from([SECOND, 5 * SECOND, 30 * SECOND, 5 * MINUTE, 6 * MINUTE, 11 * MINUTE, DAY, 3 * DAY, 40 * DAY]),
)
terms = st.sampled_from([300 * SECOND, 300 * SECOND, 30 * SECOND, DAY])
expected = st.sampled_from([*[None] * 6, "current", "current", "stale"])
on = st.sampled_from([*[None] * 6, "own", "own", "other"])
leases = st.sampled_from([*["live"] * 10, "any", "any", "foreign", "unknown", "malformed"])
dependencies = st.lists(picks, max_size=3)


def step_arguments(
    needs: dict[str, st.SearchStrategy[Any]], may: dict[str, st.SearchStrategy[Any]]
) -> st.SearchStrategy[StepArguments]:
    """
    Arguments with these required parts and these optional parts.
    """
    return st.fixed_dictionaries(needs, optional=may)


usual = {"expects": expected, "on": on}
changes = st.fixed_dictionaries(
    {},
    optional={
        "title": texts,
        "status": st.sampled_from(STATUSES),
        "priority": priorities,
        "assignee": st.none() | names,
        "board": boards,
        "due_at": st.none() | later,
        "not_before": st.none() | later,
        "depends_on": dependencies,
        "max_attempts": st.integers(1, 3),
    },
)
team_changes = st.one_of(
    st.fixed_dictionaries({"status": st.sampled_from(["inbox", "in_progress", "review", "done"])}),
    st.fixed_dictionaries({"assignee": st.none() | st.sampled_from(TEAM)}),
    st.fixed_dictionaries(
        {"status": st.sampled_from(["inbox", "in_progress", "review", "done"])},
        optional={"assignee": st.none() | st.sampled_from(TEAM), "title": texts, "depends_on": dependencies},
    ),
    st.fixed_dictionaries({}, optional={"title": texts, "depends_on": dependencies}),
)

STEPS: dict[str, st.SearchStrategy[StepArguments]] = {
    "create": step_arguments(
        {"who": operators, "board": boards, "title": texts},
        {
            "status": st.sampled_from([*["inbox"] * 5, "backlog", "in_progress", "review", "done", "failed"]),
            "priority": priorities,
            "assignee": names | st.sampled_from(TEAM),
            "due_at": later,
            "not_before": later,
            "depends_on": dependencies,
            "by_id": st.booleans(),
            "team": st.booleans(),
            "max_attempts": st.integers(1, 3),
        },
    ),
    "edit": step_arguments(
        {"who": operators, "task": picks, "changes": changes},
        {
            "team": st.booleans(),
            "by_id": st.booleans(),
            "own": st.booleans(),
            "comment": texts,
            "agent": names,
            "instance": instances,
            **usual,
        },
    ),
    "team": step_arguments(
        {"who": team, "task": picks, "changes": team_changes},
        {"by_id": st.booleans(), "comment": texts, "instance": instances, **usual},
    ),
    "delete": step_arguments({"who": operators, "task": picks}, {"own": st.booleans(), **usual}),
    "gates": step_arguments(
        {
            "who": operators,
            "board": boards,
            "approval": st.sampled_from([False, False, False, True]),
            "review": st.sampled_from([False, False, False, True]),
            "comment": st.booleans(),
            "leads": st.sampled_from([False, False, True]),
        },
        {},
    ),
    "claim_next": step_arguments({"who": whos, "agent": names}, {"board": boards, "term": terms}),
    "claim": step_arguments({"who": whos, "task": picks, "agent": names}, {"term": terms, **usual}),
    "poll": step_arguments(
        {"who": whos, "agent": names}, {"instance": instances, "max_in_progress": st.integers(1, 3)}
    ),
    "renew": step_arguments({"who": whos, "agent": names}, {"instance": instances}),
    "heartbeat": step_arguments(
        {"who": whos, "task": picks, "lease": leases},
        {
            "progress": st.sampled_from(['{"done":1}', '{"done":2}']),
            "acknowledges": st.sampled_from(["first", "first", "last", "wrong"]),
            "waiting_for": texts,
            "wait": st.sampled_from([MINUTE, DAY]),
            **usual,
        },
    ),
    "complete": step_arguments(
        {"who": whos, "task": picks, "lease": leases},
        {
            "result": st.sampled_from(["success", "partial"]),
            "resolution": texts,
            "output": st.sampled_from(['{"sum":1}', "[1,2]"]),
            **usual,
        },
    ),
    "fail": step_arguments(
        {"who": whos, "task": picks, "lease": leases, "reason": st.sampled_from(sorted(RETRY_CLASSES))},
        {"message": texts, **usual},
    ),
    "release": step_arguments({"who": whos, "task": picks, "lease": leases}, {"note": texts, **usual}),
    "order": step_arguments(
        {
            "who": operators,
            "task": picks,
            "held": st.sampled_from([True, True, True, False]),
            "kind": st.sampled_from(["pause", "resume", "cancel", "steer", "steal"]),
        },
        {"message": texts, "to": names, **usual},
    ),
    "sweep": step_arguments({"who": st.just("boss")}, {}),
}
