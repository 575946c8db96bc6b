"""
Comparing what an agent did with the time before.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_core.reports.agent_activity import (
    ActivityPeriod,
    AgentTasks,
    HourlyEventCount,
    activity_alerts,
    compared_periods,
    events_by_hour,
    events_by_kind,
    failure_count,
    percent_change,
    tasks_per_day,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
amounts = st.lists(
    st.builds(
        HourlyEventCount, late=st.booleans(), hour=st.integers(0, 5),
        kind=st.sampled_from(["run.failed", "task.moved"]),
        amount=st.integers(1, 9),
    )
)  # fmt: skip


def period(activities=0, errors=0, tasks_completed=0):
    """
    A period with so much in it.
    """
    return ActivityPeriod(NOW - timedelta(hours=1), NOW, activities, errors, tasks_completed)


@given(amounts)
def test_two_periods_share_out_all_that_happened(found):
    """
    Nothing is counted twice or left out, by kind, by hour or together.
    """
    now, before = compared_periods(found, AgentTasks([], 2, 3, []), hours=7, until=NOW)
    late = sum(each.amount for each in found if each.late)

    assert sum(each.amount for each in found) == now.activities + before.activities
    assert (late, late) == (now.activities, sum(amount for _, amount in events_by_hour(found)))
    assert sum(each.amount for each in found if each.kind == "run.failed") == now.errors + before.errors
    assert failure_count(events_by_kind(found)) == now.errors
    assert (3, 2) == (now.tasks_completed, before.tasks_completed)
    assert (before.until, now.until, timedelta(hours=14)) == (now.since, NOW, NOW - before.since)


@pytest.mark.parametrize(
    ("current", "previous", "grown"), [(0, 0, 0), (3, 0, 100), (0, 3, -100), (3, 2, 50), (1, 3, -66.67), (2, 2, 0)]
)
def test_growth_is_told_in_percent(current, previous, grown):
    """
    What begins from nothing grew by a hundred.
    """
    assert grown == percent_change(current, previous)


@pytest.mark.parametrize(
    ("current", "previous", "levels"),
    [
        (period(), period(), []),
        (period(errors=3), period(errors=2), []),
        (period(errors=4), period(errors=2), ["warning"]),
        (period(errors=3), period(), []),
        (period(errors=4), period(), ["warning"]),
        (period(tasks_completed=0), period(tasks_completed=1), ["warning"]),
        (period(tasks_completed=1), period(tasks_completed=2), []),
        (period(tasks_completed=1), period(tasks_completed=3), ["info"]),
        (period(tasks_completed=2), period(tasks_completed=4), []),
        (period(activities=1), period(activities=5), []),
        (period(activities=1), period(activities=6), ["info"]),
        (period(activities=2), period(activities=8), []),
    ],
)
def test_only_what_changed_much_gives_cause_to_look(current, previous, levels):
    """
    Of small numbers nothing is made.
    """
    found = activity_alerts(current, previous)

    assert levels == [alert.level for alert in found]
    assert all(alert.message for alert in found)


def test_less_than_a_day_counts_as_one():
    """
    Three tasks in an hour are three a day, not seventy-two.
    """
    assert [3.0, 3.0, 1.5] == [tasks_per_day(3, hours=hours) for hours in (1, 24, 48)]
    assert Counter() == events_by_kind([])
