"""
The reports of the Fleet API: how work turned out, whether it goes better, and how much there is of it.
"""

from typing import Any

import pytest

from mission_core.agents.use_cases import RecordAgentHeartbeat, record_agent_heartbeat
from mission_core.reports.workload_thresholds import WorkloadThresholds
from mission_core.tasks.leases import CompleteTask, FailTask, complete_task, fail_task
from mission_core.tasks.runs import Failure, FailureReason, Outcome, TaskResult
from mission_core.values import micros
from tests.contract.conftest import World
from tests.contract.fleet_driver import FleetDriver, fleet_over, refusal, wrong_fields

pytestmark = pytest.mark.every_store

HOUR = 3600


@pytest.fixture
def start(world: World) -> int:
    """
    The present moment in Unix seconds, at the beginning of an hour.
    """
    world.clock.advance(hours=1, seconds=-(micros(world.clock.now()) % 3_600_000_000) / 1e6)
    return micros(world.clock.now()) // 1_000_000


async def done(
    world: World, *, after: float = 0, agent: str = "ada", result: TaskResult = TaskResult.SUCCESS, **fields: Any
) -> None:
    """
    A task that an agent finished so many seconds after it was made.
    """
    task = await world.task(**fields)
    world.clock.advance(seconds=after)
    lease = (await world.claim(task, agent=agent)).lease
    outcome = Outcome(result=result)
    await complete_task(world.ports, world.me, CompleteTask(task=task.id, lease=lease, outcome=outcome))


async def failed(world: World) -> None:
    """
    A run that failed.
    """
    task = await world.task()
    lease = (await world.claim(task)).lease
    failure = Failure(reason=FailureReason.CRASHED, message="boom")
    await fail_task(world.ports, world.me, FailTask(task=task.id, lease=lease, failure=failure))


NONE = {"success": 0, "failed": 0, "partial": 0, "abandoned": 0, "unknown": 0}


async def test_without_finished_work_every_number_is_0(fleet: FleetDriver) -> None:
    answer = await fleet.got("GET", "/tasks/outcomes")

    assert {
        "timeframe": "all",
        "summary": {
            "total_done": 0, "with_outcome": 0, "by_outcome": NONE, "avg_retry_count": 0.0,
            "avg_time_to_resolution_seconds": 0.0, "success_rate": 0.0,
        },
        "by_agent": {}, "by_priority": {}, "common_errors": [], "record_count": 0,
    } == answer  # fmt: skip


async def test_outcomes_are_told_of_all_of_agents_and_of_priorities(fleet: FleetDriver, world: World) -> None:
    await done(world, after=10, priority="high")
    await done(world, after=20, agent="Ada", result=TaskResult.PARTIAL)
    await fleet.task(status="done", error_message="boom", retry_count=3)
    await fleet.task(status="done", outcome="failed", error_message="boom", assigned_to="bob")
    await fleet.task()
    answer = await fleet.got("GET", "/tasks/outcomes?timeframe=week")

    assert ("week", 4) == (answer["timeframe"], answer["record_count"])
    assert {
        "total_done": 4, "with_outcome": 3,
        "by_outcome": NONE | {"success": 1, "partial": 1, "failed": 1, "unknown": 1},
        "avg_retry_count": 0.75, "avg_time_to_resolution_seconds": 7.5, "success_rate": 1 / 3,
    } == answer["summary"]  # fmt: skip
    (ada,) = (name for name in answer["by_agent"] if name.lower() == "ada")
    assert {ada, "bob", "unassigned"} == answer["by_agent"].keys()
    assert NONE | {"success": 1, "partial": 1, "total": 2, "success_rate": 0.5} == answer["by_agent"][ada]
    assert NONE | {"unknown": 1, "total": 1, "success_rate": 0.0} == answer["by_agent"]["unassigned"]
    assert {"high": 1, "medium": 3} == {name: each["total"] for name, each in answer["by_priority"].items()}
    assert [{"error_message": "boom", "count": 2}] == answer["common_errors"]


@pytest.mark.parametrize(
    ("timeframe", "expected"), [("day", 1), ("week", 2), ("month", 3), ("all", 4), ("", 4), ("fortnight", 4)]
)
async def test_a_timeframe_counts_back_from_now(fleet: FleetDriver, start: int, timeframe: str, expected: int) -> None:
    for days in (0, 6, 29, 400):
        await fleet.task(status="done", completed_at=start - days * 24 * HOUR)
    answer = await fleet.got("GET", f"/tasks/outcomes?timeframe={timeframe}")

    assert (timeframe or "all", expected) == (answer["timeframe"], answer["record_count"])


async def test_two_windows_meet_at_the_start_of_the_beta(fleet: FleetDriver, world: World, start: int) -> None:
    for after in (10, 30, 20):
        await done(world, after=after)
    beta = start + 60
    await done(world, after=100)
    await done(world, after=40, result=TaskResult.FAILED)
    now = micros(world.clock.now()) // 1_000_000
    answer = await fleet.got("GET", f"/tasks/regression?beta_start={beta}")

    assert {"beta_start": beta, "lookback_seconds": 604_800} == answer["params"]
    assert {
        "label": "baseline", "start": beta - (now + 1 - beta), "end": beta, "sample_size": 2,
        "latency_seconds": {"p50": 10, "p95": 30, "avg": 20.0}, "interventions": {"count": 0, "rate": 0.0},
    } == answer["windows"]["baseline"]  # fmt: skip
    assert {
        "label": "post", "start": beta, "end": now + 1, "sample_size": 3,
        "latency_seconds": {"p50": 40, "p95": 100, "avg": 160 / 3}, "interventions": {"count": 1, "rate": 1 / 3},
    } == answer["windows"]["post"]  # fmt: skip
    assert {"p95_latency_seconds": 70, "intervention_rate": 1 / 3} == answer["deltas"]
    assert {"p95_task_latency_seconds", "intervention_rate"} == answer["metric_definitions"].keys()


@pytest.mark.parametrize(
    ("asked", "told"), [("", 604_800), ("0", 60), ("100", 100), ("99999999999999999999999", 2_592_000)]
)
async def test_the_lookback_has_bounds(fleet: FleetDriver, start: int, asked: str, told: int) -> None:
    more = f"&lookback_seconds={asked}" if asked else ""
    answer = await fleet.got("GET", f"/tasks/regression?cutover={start}{more}")

    assert told == answer["params"]["lookback_seconds"]
    assert start - min(told, 60) == answer["windows"]["baseline"]["start"]
    assert (0, None) == (answer["windows"]["post"]["sample_size"], answer["deltas"]["p95_latency_seconds"])


@pytest.mark.one_store
@pytest.mark.parametrize("text", ["2020-01-02T03:04:05Z", "2020-01-02T04:04:05%2B01:00", "1577934245", "1577934245.9"])
async def test_the_start_of_the_beta_is_a_number_or_a_date(fleet: FleetDriver, text: str) -> None:
    assert 1_577_934_245 == (await fleet.got("GET", f"/tasks/regression?beta_start={text}"))["params"]["beta_start"]


NO_START = "beta_start query parameter is required (unix seconds or ISO timestamp)"


@pytest.mark.one_store
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", NO_START), ("?beta_start=", NO_START), ("?beta_start=soon", NO_START), ("?cutover=1e999", NO_START),
        ("?beta_start=4000000000", "beta_start must not be in the future"),
    ],
)  # fmt: skip
async def test_a_beta_that_has_no_start_is_refused(fleet: FleetDriver, query: str, said: str) -> None:
    assert (400, said) == refusal(await fleet.call("GET", f"/tasks/regression{query}"))


async def test_moments_before_1970_are_before_all_work(fleet: FleetDriver) -> None:
    answer = await fleet.got("GET", "/tasks/regression?beta_start=0001-01-01")

    assert 0 == answer["windows"]["baseline"]["sample_size"]


@pytest.mark.one_store
async def test_a_lookback_that_is_no_number_is_named(fleet: FleetDriver, start: int) -> None:
    answer = await fleet.call("GET", f"/tasks/regression?beta_start={start}&lookback_seconds=week")

    assert ["lookback_seconds"] == wrong_fields(answer)


async def test_a_fleet_without_agents_or_work_is_told_to_pause(fleet: FleetDriver, start: int) -> None:
    answer = await fleet.got("GET", "/workload")

    assert {
        "timestamp": start,
        "workspace_id": 1,
        "capacity": {
            "active_tasks": 0, "tasks_last_5m": 0, "errors_last_5m": 0, "error_rate_5m": 0.0,
            "completions_last_hour": 0, "avg_completion_rate_per_hour": 0.0,
        },
        "queue": {
            "total_pending": 0,
            "by_status": {"inbox": 0, "assigned": 0, "in_progress": 0, "review": 0, "quality_review": 0},
            "by_priority": {"low": 0, "medium": 0, "high": 0, "critical": 0, "urgent": 0},
            "oldest_pending_age_seconds": None, "estimated_wait_seconds": None,
            "estimated_wait_confidence": "unknown",
        },
        "agents": {
            "total": 0, "online": 0, "busy": 0, "idle": 0, "offline": 0, "busy_ratio": 0.0, "load_distribution": [],
        },
        "recommendation": {
            "action": "pause", "reason": "No agents registered", "details": ["No agents registered"],
            "submit_ok": False, "suggested_delay_ms": 30_000,
        },
        "thresholds": {
            "queue_depth_normal": 20, "queue_depth_throttle": 50, "queue_depth_shed": 100,
            "busy_agent_ratio_throttle": 0.8, "busy_agent_ratio_shed": 0.95, "error_rate_throttle": 0.1,
            "error_rate_shed": 0.25, "recent_window_seconds": 300,
        },
    } == answer  # fmt: skip


def advice(answer: Any) -> tuple[Any, ...]:
    """
    What is recommended, whether more may be sent, and after how many milliseconds.
    """
    return tuple(answer["recommendation"][name] for name in ("action", "submit_ok", "suggested_delay_ms"))


async def test_workload_tells_queue_pace_and_crew(fleet: FleetDriver, world: World, start: int) -> None:
    for name, status in (("ada", "idle"), ("bob", "busy"), ("carl", "online")):
        agent = await world.agent(name)
        await record_agent_heartbeat(world.ports, world.me, RecordAgentHeartbeat(agent=agent.id, status=status))
    await fleet.agent("dora")
    await fleet.task(priority="low")
    world.clock.advance(minutes=2)
    await fleet.task(assigned_to="carl", status="in_progress")
    await fleet.task(assigned_to="carl")
    await fleet.task(assigned_to="bob", status="review")
    await done(world)
    await done(world, after=60)
    answer = await fleet.got("GET", "/workload")

    assert (3, 6, 0, 0.0, 2, 0.08) == tuple(answer["capacity"].values())
    assert 4 == answer["queue"]["total_pending"]
    assert [1, 1, 1, 1, 0] == list(answer["queue"]["by_status"].values())
    assert {"low": 1, "medium": 3, "high": 0, "critical": 0, "urgent": 0} == answer["queue"]["by_priority"]
    assert (180, 7200, "calculated") == tuple(answer["queue"].values())[-3:]
    assert {
        "total": 4, "online": 3, "busy": 2, "idle": 1, "offline": 1, "busy_ratio": 0.67,
        "load_distribution": [
            {"agent": "carl", "assigned": 1, "in_progress": 1}, {"agent": "ada", "assigned": 0, "in_progress": 0},
            {"agent": "bob", "assigned": 0, "in_progress": 0},
        ],
    } == answer["agents"]  # fmt: skip
    assert ("normal", True, 0) == advice(answer)
    assert ["All metrics within normal bounds"] == answer["recommendation"]["details"]


async def test_failures_are_told_and_slow_down(fleet: FleetDriver, world: World, start: int) -> None:
    await fleet.agent()
    await fleet.got("POST", "/agents/ada/heartbeat")
    for _ in range(4):
        await failed(world)
    capacity = (now := await fleet.got("GET", "/workload"))["capacity"]
    world.clock.advance(minutes=6)
    later = await fleet.got("GET", "/workload")

    assert 4 == capacity["errors_last_5m"]
    assert 0.1 < capacity["error_rate_5m"] < 0.25
    assert ("throttle", True, 2000) == advice(now)
    assert (0, 0.0, "normal") == (
        later["capacity"]["errors_last_5m"], later["capacity"]["error_rate_5m"], later["recommendation"]["action"],
    )  # fmt: skip


async def test_thresholds_are_the_operators(world: World) -> None:
    thresholds = WorkloadThresholds(
        queue_depth_normal=0, queue_depth_throttle=1, queue_depth_shed=2, recent_window_seconds=60
    )
    async with fleet_over(world.ports, world.me, world.board.number, workload=thresholds) as fleet:
        await fleet.agent()
        await fleet.got("POST", "/agents/ada/heartbeat")
        await fleet.task()
        one = await fleet.got("GET", "/workload")
        await fleet.task()
        two = await fleet.got("GET", "/workload")

    assert ["throttle", "shed"] == [each["recommendation"]["action"] for each in (one, two)]
    assert (1, 2, 60) == tuple(
        one["thresholds"][name] for name in ("queue_depth_throttle", "queue_depth_shed", "recent_window_seconds")
    )


@pytest.mark.one_store
async def test_reports_need_a_key_and_no_more(fleet: FleetDriver) -> None:
    await fleet.agent()
    viewer = await fleet.key("ada", "viewer")

    for path in ("/tasks/outcomes", "/tasks/regression?beta_start=0", "/workload", "/search?q=ada"):
        assert (401, "Unauthorized") == refusal(await fleet.call("GET", path, key=None))
        assert 200 == (await fleet.call("GET", path, key=viewer)).status
