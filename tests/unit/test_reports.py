"""
The rules of reports, over plain rows.
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median as exact_median

import pytest
from attrs import fields
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_core.errors import InvalidField
from mission_core.reports.board_metrics import (
    METRICS_RANGES,
    NEXT_BUCKET,
    bucket_start,
    bucket_starts,
    error_rate_of,
    median,
    series_of,
    stages_of,
)
from mission_core.reports.hourly_counters import CYCLE_SECONDS, CYCLES, FAILURE_KINDS
from mission_core.reports.queries import (
    AgentWorkload,
    AgentWorkloads,
    BucketCount,
    DoneTaskGroup,
    DurationCount,
    MinuteCount,
    ReportCounts,
    StatusCount,
)
from mission_core.reports.task_outcomes import RESULTS, outcomes_of
from mission_core.reports.task_regression import MAX_LOOKBACK, MIN_LOOKBACK, percentile, window_bounds, window_of
from mission_core.reports.text_search import ascii_lowercased, excerpt, relevance
from mission_core.reports.workload import (
    AgentCapacity,
    QueueState,
    Throughput,
    WorkloadAction,
    WorkloadThresholds,
    agent_capacity_of,
    queue_of,
    recommend,
    throughput_of,
)
from mission_core.tasks.model import Status
from mission_core.tasks.runs import TaskResult
from mission_core.values import EPOCH, micros

NOW = datetime(2030, 5, 15, 13, 30, tzinfo=UTC)
amounts = st.integers(1, 50)
weighted = st.dictionaries(st.integers(0, 10_000), amounts, min_size=1, max_size=20)
groups = st.builds(
    DoneTaskGroup, st.sampled_from([None, "ada", "Ada", "bob"]), st.sampled_from(["low", "high"]),
    st.sampled_from([None, *(each.value for each in TaskResult)]), amounts, st.integers(0, 9), st.integers(0, 9),
    st.integers(0, 999),
)  # fmt: skip
kinds = st.sampled_from(["task.created", "task.moved", "run.failed", "run.expired", "run.completed"])


def spread(values):
    """
    Values that come with how often they are there, each as often as that.
    """
    return [value for value, amount in values.items() for _ in range(amount)]


@given(weighted, st.integers(1, 100))
def test_a_percentile_is_the_value_at_its_nearest_rank(values, percent):
    """
    At least so many percent are no greater, and fewer are smaller.
    """
    line = sorted(spread(values))
    found = percentile(sorted(values.items()), percent)

    assert 100 * sum(each <= found for each in line) >= percent * len(line)
    assert 100 * sum(each < found for each in line) < percent * len(line)
    assert percentile([], percent) is None


@given(weighted)
def test_the_median_is_that_of_all_values(values):
    """
    Of none there is none.
    """
    assert exact_median(spread(values)) == median(values.items())
    assert median([]) is None


@given(st.lists(groups, max_size=8))
def test_outcomes_add_up(found):
    """
    What is told of agents and of priorities is what is told of all; rates lie between 0 and 1.
    """
    outcomes = outcomes_of(found)

    assert sum(each.amount for each in found) == outcomes.total
    for parts in (outcomes.by_agent, outcomes.by_priority):
        sums = {name: sum(each.by_result[name] for each in parts.values()) for name in RESULTS}
        assert outcomes.by_result == sums
    assert outcomes.with_result + outcomes.by_result["unknown"] == outcomes.total
    assert 0 <= outcomes.success_rate <= 1
    assert (outcomes.success_rate > 0) is (outcomes.by_result["success"] > 0)
    assert not {"ada", "Ada"} <= outcomes.by_agent.keys()


def test_averages_of_outcomes_are_over_what_can_be_told() -> None:
    """
    Retries over all; time over those that were not done before they were made.
    """
    outcomes = outcomes_of(
        [DoneTaskGroup("ada", "low", "success", 3, 6, 2, 50), DoneTaskGroup(None, "low", None, 1, 0, 0, 0)]
    )

    assert (1.5, 25.0, 1.0) == (outcomes.average_retries, outcomes.average_seconds, outcomes.success_rate)
    assert ["ada", "unassigned"] == list(outcomes.by_agent)
    assert (0.0, 0.0, 0.0) == (
        outcomes_of([]).average_retries, outcomes_of([]).average_seconds, outcomes_of([]).success_rate
    )  # fmt: skip


@given(some.moments, st.timedeltas(timedelta(0), timedelta(days=4000)), st.timedeltas(MIN_LOOKBACK, MAX_LOOKBACK))
def test_the_window_before_is_as_long_as_the_one_after(since, passed, lookback):
    """
    But a minute at least, the lookback at most, and never before 1970.
    """
    start, end = window_bounds(since, lookback, now=since + passed)

    assert since + passed < end
    assert since - start == min(max(end - since, MIN_LOOKBACK), lookback)
    assert EPOCH == window_bounds(EPOCH, lookback, now=EPOCH + passed)[0]


@given(st.lists(st.builds(DurationCount, st.just(True), st.integers(0, 999), amounts, st.integers(0, 1)), max_size=9))
def test_a_window_tells_of_all_its_tasks(took):
    """
    Without any it tells no time, and a rate of 0.
    """
    window = window_of("post", NOW, NOW, took)

    assert sum(each.amount for each in took) == window.size
    assert (window.p50 is None) is (window.p95 is None) is (window.average is None) is (window.size == 0)
    assert 0 <= window.intervention_rate <= 1
    if window.size:
        assert min(each.seconds for each in took) <= window.p50 <= window.p95 <= max(each.seconds for each in took)


@given(some.moments, st.timedeltas(timedelta(0), timedelta(days=400)), st.sampled_from(sorted(NEXT_BUCKET)))
def test_buckets_follow_each_other_without_gaps(start, length, bucket):
    """
    The first holds the start, the last the end, and each begins where a bucket begins.
    """
    found = bucket_starts(start, start + length, bucket)

    assert found[0] <= start < NEXT_BUCKET[bucket](found[0])
    assert found[-1] <= start + length < NEXT_BUCKET[bucket](found[-1])
    assert all(NEXT_BUCKET[bucket](earlier) == later for earlier, later in pairwise(found))
    assert all(each == bucket_start(each, bucket) for each in found)


@pytest.mark.parametrize(
    ("name", "count"), [("24h", {25}), ("3d", {4}), ("7d", {8}), ("14d", {15}), ("1m", {31}), ("3m", {13, 14}),
                        ("6m", {26, 27}), ("1y", {12, 13})],
)  # fmt: skip
@given(now=some.moments)
def test_every_range_has_as_many_points_as_it_should(name, count, now):
    """
    Whenever it is asked for, and so has the range before it.
    """
    start = bucket_start(now - METRICS_RANGES[name].length, "hour")
    before = start - METRICS_RANGES[name].length

    assert len(bucket_starts(start, now, METRICS_RANGES[name].bucket)) in count
    assert len(bucket_starts(before, start, METRICS_RANGES[name].bucket)) in count


@given(st.sampled_from(sorted(METRICS_RANGES)), st.lists(st.tuples(st.integers(0, 365 * 24), amounts), max_size=9))
def test_what_happened_in_a_range_is_in_one_of_its_points(name, happened):
    """
    Nothing is lost and nothing is told twice; what is said to be done later is left out.
    """
    range = METRICS_RANGES[name]
    start = bucket_start(NOW - range.length, "hour")
    rows = [
        BucketCount(True, micros(start + timedelta(hours=hour)) // 3_600_000_000 // range.hours, "done", amount, amount)
        for hour, amount in happened
    ]
    points = series_of(rows, start, NOW, range).points
    within = sum(amount for hour, amount in happened if start + timedelta(hours=hour) <= NOW)
    done = sum(each.stages["done"] for each in points)

    assert within <= done <= sum(amount for _, amount in happened)


def test_a_point_tells_stages_cycles_and_failures() -> None:
    """
    Failures in percent of what is told of tasks, cycles in hours; what belongs to no board is left out.
    """
    hour = micros(NOW) // 3_600_000_000
    rows = [
        BucketCount(True, hour, what, amount, placed)
        for what, amount, placed in [
            ("assigned", 2, 2), ("backlog", 1, 1), ("failed", 3, 3), ("done", 4, 4), (CYCLES, 2, 2),
            (CYCLE_SECONDS, 5400, 5400), ("run.failed", 1, 1), ("task.moved", 3, 3), ("board.created", 9, 0),
        ]
    ]  # fmt: skip
    point = series_of(rows, bucket_start(NOW - timedelta(days=1), "hour"), NOW, METRICS_RANGES["24h"]).points[-1]

    assert {"inbox": 3, "in_progress": 0, "review": 3, "done": 4} == point.stages
    assert (0.75, 25.0) == (point.mean_cycle, point.error_rate)


@given(st.lists(st.tuples(kinds, amounts), max_size=9))
def test_an_error_rate_is_a_percentage(told):
    """
    0 where nothing is told.
    """
    rate = error_rate_of(BucketCount(True, 0, what, amount, amount) for what, amount in told)

    assert 0 <= rate <= 100
    assert (rate > 0) is any(what in FAILURE_KINDS for what, _ in told)


def test_every_status_is_a_stage() -> None:
    """
    So that no task is left out.
    """
    standing = [StatusCount(status.value, "low", 1) for status in Status]

    assert {"inbox": 4, "in_progress": 1, "review": 3, "done": 1} == stages_of(standing)


def test_capacity_tells_pace_and_errors() -> None:
    """
    Of the near minutes, the last hour, and the last day.
    """
    recent = [
        MinuteCount("task.created", 9, 4), MinuteCount("task.assigned", 2, 1), MinuteCount("run.failed", 5, 2),
        MinuteCount("run.expired", 1, 1), MinuteCount("agent.created", 1, 1), MinuteCount("done", 7, 0),
    ]  # fmt: skip
    happened = [BucketCount(True, 0, "done", 30, 30), BucketCount(True, 0, "task.created", 99, 99)]
    standing = [StatusCount(status.value, "low", 1) for status in Status]
    capacity = throughput_of(ReportCounts(standing, happened, recent, None))

    assert (4, 5, 3, 7, 1.25) == (
        capacity.active, capacity.arrived, capacity.errors, capacity.done_last_hour, capacity.done_per_hour,
    )  # fmt: skip
    assert round(3 / 9, 4) == capacity.error_rate
    assert 0.0 == throughput_of(ReportCounts([], [], [], None)).error_rate


def test_a_queue_tells_how_long_it_takes_at_this_pace() -> None:
    """
    Where nothing gets done nobody can tell.
    """
    standing = [StatusCount("inbox", "low", 3), StatusCount("review", "high", 1), StatusCount("done", "low", 9)]
    counts = ReportCounts(standing, [], [], micros(NOW - timedelta(minutes=1)))
    queue = queue_of(counts, pace=2, at=NOW)

    assert (4, 7200, timedelta(minutes=1)) == (queue.depth, queue.wait, queue.oldest)
    assert {"low": 3, "high": 1} == queue.by_priority
    assert {"inbox": 3, "assigned": 0, "in_progress": 0, "review": 1, "quality_review": 0} == queue.by_status
    assert queue_of(counts, pace=0, at=NOW).wait is None


statuses = st.sampled_from(["idle", "busy", "online", "error"])
staff = st.builds(AgentWorkload, st.text(max_size=5), statuses, st.integers(0, 9), st.integers(0, 9))


@given(st.lists(staff, max_size=9), st.integers(0, 9))
def test_a_crew_is_counted_whole(members, offline):
    """
    Who is there is listed, the heaviest load first; who says no more than online counts as busy or idle.
    """
    crew = agent_capacity_of(AgentWorkloads(members, len(members) + offline))
    loads = [each.assigned + each.in_progress for each in crew.agent_loads]

    assert len(members) + offline == crew.total
    assert sorted(members) == sorted(crew.agent_loads)
    assert offline == crew.offline
    assert crew.busy + crew.idle == crew.online <= len(crew.agent_loads)
    assert sorted(loads, reverse=True) == loads
    assert 0 <= crew.busy_ratio <= 1


@pytest.mark.parametrize(
    ("reported", "in_progress", "expected"),
    [("online", 1, (1, 0)), ("online", 0, (0, 1)), ("idle", 1, (0, 1)), ("busy", 0, (1, 0)), ("error", 1, (0, 0))],
)
def test_who_is_online_is_busy_with_work_under_way(reported, in_progress, expected) -> None:
    """
    Others are what they say.
    """
    crew = agent_capacity_of(AgentWorkloads([AgentWorkload("ada", reported, 0, in_progress)], 1))

    assert expected == (crew.busy, crew.idle)


def wish(*, errors=0.0, depth=0, busy=0, idle=1, total=1):
    """
    What is recommended.
    """
    capacity = Throughput(active=0, arrived=0, errors=0, error_rate=errors, done_last_hour=0, done_per_hour=0.0)
    queue = QueueState(by_status={"inbox": depth}, by_priority={}, oldest=None, wait=None)
    crew = AgentCapacity(total=total, busy=busy, idle=idle, offline=total - busy - idle, agent_loads=())
    return recommend(capacity, queue, crew, WorkloadThresholds())


@pytest.mark.parametrize(
    ("state", "action", "reason"),
    [
        ({}, WorkloadAction.NORMAL, "room"),
        ({"errors": 0.1}, WorkloadAction.THROTTLE, "Error rate"),
        ({"errors": 0.25}, WorkloadAction.SHED, "Error rate"),
        ({"depth": 49}, WorkloadAction.NORMAL, "room"),
        ({"depth": 50}, WorkloadAction.THROTTLE, "Queue depth"),
        ({"depth": 100, "errors": 0.1}, WorkloadAction.SHED, "Queue depth"),
        ({"busy": 8, "idle": 2, "total": 10}, WorkloadAction.THROTTLE, "Busy agent ratio"),
        ({"busy": 19, "idle": 1, "total": 20}, WorkloadAction.SHED, "Busy agent ratio"),
        ({"idle": 0, "errors": 0.9}, WorkloadAction.PAUSE, "No agents online"),
        ({"idle": 0, "total": 0}, WorkloadAction.PAUSE, "No agents registered"),
    ],
)
def test_the_worst_decides_what_is_recommended(state, action, reason) -> None:
    """
    And says why; the details name all that is not as it should be.
    """
    found = wish(**state)

    assert action is found.action
    assert reason in found.reason
    assert (action in (WorkloadAction.NORMAL, WorkloadAction.THROTTLE)) is found.submit
    assert {"normal": 0, "throttle": 2000, "shed": 10_000, "pause": 30_000}[action] == found.delay
    if action is WorkloadAction.NORMAL:
        assert ("All metrics within normal bounds",) == found.details
    else:
        assert found.reason in found.details


levels = st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.9]), min_size=2, max_size=2).map(sorted)


@given(levels, st.lists(st.sampled_from([0, 50, 100]), min_size=2, max_size=2).map(sorted))
def test_more_trouble_never_recommends_more_work(errors, depths):
    """
    Whatever gets worse, the advice does not get better.
    """
    order = list(WorkloadAction)
    better, worse = (
        order.index(wish(errors=rate, depth=depth).action) for rate, depth in zip(errors, depths, strict=True)
    )

    assert better <= worse


@pytest.mark.parametrize(
    "wrong",
    [
        {"queue_depth_throttle": 10}, {"queue_depth_shed": 49}, {"error_rate_shed": 0.05}, {"busy_ratio_shed": 1.5},
        {"recent_window_seconds": 59}, {"recent_window_seconds": 3601}, {"queue_depth_normal": -1},
    ],
)  # fmt: skip
def test_thresholds_that_make_no_sense_are_refused(wrong) -> None:
    """
    By the name of what would have to change.
    """
    with pytest.raises(InvalidField) as refused:
        WorkloadThresholds(**wrong)

    assert refused.value.field in {each.name for each in fields(WorkloadThresholds)}


texts = some.texts(most=300)


@given(texts, texts, texts, st.text("aBç%", min_size=1, max_size=3))
def test_an_excerpt_holds_what_was_found(before, after, title, wanted):
    """
    With some of what stands around it; there is one wherever something was found.
    """
    text = f"{before}{wanted}{after}"
    shown = excerpt(text, wanted.upper() if wanted.isascii() else wanted)

    assert ascii_lowercased(wanted) in ascii_lowercased(shown)
    assert len(shown) <= 40 + len(wanted) + 80 + 6
    assert shown.removeprefix("...").removesuffix("...") in text
    assert relevance(ascii_lowercased(wanted), title, None, text) == (
        2 if ascii_lowercased(wanted) in ascii_lowercased(title) else 1
    )
    assert excerpt(None, wanted) is None


@given(texts)
def test_folding_touches_nothing_but_a_to_z(text):
    """
    So that every place in a text stays where it is.
    """
    assert len(ascii_lowercased(text)) == len(text)
    for old, new in zip(text, ascii_lowercased(text), strict=True):
        assert new == old or (old.isascii() and new == old.lower())


def test_an_excerpt_says_where_it_was_cut() -> None:
    """
    By three dots on that side.
    """
    assert f"...{'a' * 40}b{'c' * 80}..." == excerpt(f"{'a' * 41}b{'c' * 81}", "B")
    assert f"{'a' * 40}b{'c' * 80}" == excerpt(f"{'a' * 40}b{'c' * 80}", "B")
    assert excerpt("abc", "d") is None
