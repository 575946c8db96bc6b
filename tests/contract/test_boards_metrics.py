"""
The dashboard of the Boards API.
"""

from datetime import datetime, timedelta
from typing import Any

import pytest

from mission_core.agents.use_cases import RecordAgentHeartbeat, record_agent_heartbeat
from mission_core.boards.groups import CreateGroup, create_group
from mission_core.tasks.leases import FailTask, fail_task
from mission_core.tasks.model import Status
from mission_core.tasks.runs import Failure, FailureReason
from mission_core.tasks.use_cases import UpdateTask, update_task
from mission_core.values import micros
from tests.contract.boards_driver import BoardsDriver
from tests.contract.conftest import World

pytestmark = pytest.mark.every_store

PATH = "/api/v1/metrics/dashboard"
SERIES = ("throughput", "cycle_time", "error_rate", "wip")


@pytest.fixture
def start(world: World) -> datetime:
    """
    The present moment, at the beginning of an hour.
    """
    world.clock.advance(hours=1, seconds=-(micros(world.clock.now()) % 3_600_000_000) / 1e6)
    return world.clock.now()


async def move(world: World, task: Any, *statuses: Status, minutes: float = 0) -> None:
    """
    Move a task, with so many minutes before each step.
    """
    for status in statuses:
        world.clock.advance(minutes=minutes)
        await update_task(world.ports, world.me, UpdateTask(task=task.id, status=status))


def values(series: Any) -> dict[str, Any]:
    """
    The points of a series that are not 0, by their period.
    """
    return {each["period"]: each["value"] for each in series["points"] if each["value"]}


def hour(moment: datetime) -> str:
    """
    The hour of a moment, as it is told.
    """
    return moment.strftime("%Y-%m-%dT%H:00:00")


async def test_without_work_every_number_is_0(boards: BoardsDriver, start: datetime) -> None:
    answer = await boards.got("GET", PATH)

    assert "24h" == answer["range"]
    assert start.replace(tzinfo=None).isoformat() == answer["generated_at"]
    assert {
        "active_agents": 0, "tasks_in_progress": 0, "inbox_tasks": 0, "in_progress_tasks": 0, "review_tasks": 0,
        "done_tasks": 0, "error_rate_pct": 0.0, "median_cycle_time_hours_7d": None,
    } == answer["kpis"]  # fmt: skip
    assert {"total": 0, "items": []} == answer["pending_approvals"]
    for name in SERIES:
        for half in ("primary", "comparison"):
            series = answer[name][half]
            assert ("24h", "hour", 25) == (series["range"], series["bucket"], len(series["points"]))
            assert not any(value for point in series["points"] for key, value in point.items() if key != "period")


@pytest.mark.parametrize(
    ("key", "bucket", "count"),
    [
        ("24h", "hour", {25}), ("3d", "day", {4}), ("7d", "day", {8}), ("14d", "day", {15}), ("1m", "day", {31}),
        ("3m", "week", {13, 14}), ("6m", "week", {26, 27}), ("1y", "month", {12, 13}),
    ],
)  # fmt: skip
async def test_a_range_has_a_point_for_each_of_its_buckets(
    boards: BoardsDriver, world: World, start: datetime, key: str, bucket: str, count: set[int]
) -> None:
    await world.task(status=Status.DONE)
    answer = await boards.got("GET", f"{PATH}?range_key={key}")

    for name in SERIES:
        assert (key, bucket) == (answer[name]["primary"]["range"], answer[name]["primary"]["bucket"])
        assert {len(answer[name][half]["points"]) for half in ("primary", "comparison")} <= count
    assert 1 == sum(values(answer["throughput"]["primary"]).values())
    assert {} == values(answer["throughput"]["comparison"])


async def test_throughput_and_cycle_time_count_when_the_task_was_done(
    boards: BoardsDriver, world: World, start: datetime
) -> None:
    """
    By way of the review, and whatever is changed about it later.
    """
    quick, slow = await world.task("quick"), await world.task("slow")
    await move(world, quick, Status.IN_PROGRESS, Status.REVIEW, Status.DONE, minutes=15)
    done = world.clock.now()
    await move(world, slow, Status.IN_PROGRESS, minutes=30)
    await move(world, slow, Status.REVIEW, Status.DONE, minutes=75)
    world.clock.advance(hours=3)
    await update_task(world.ports, world.me, UpdateTask(task=quick.id, title="renamed"))
    answer = await boards.got("GET", PATH)

    assert {hour(done): 1, hour(start + timedelta(hours=3)): 1} == values(answer["throughput"]["primary"])
    assert {hour(done): 0.5, hour(start + timedelta(hours=3)): 2.5} == values(answer["cycle_time"]["primary"])
    assert 1.5 == answer["kpis"]["median_cycle_time_hours_7d"]


async def test_work_in_progress_counts_tasks_where_they_stand(
    boards: BoardsDriver, world: World, start: datetime
) -> None:
    """
    By when they came there; those that nobody has begun by when they were made.
    """
    for status in (Status.INBOX, Status.BACKLOG, Status.REVIEW, Status.FAILED, Status.DONE):
        await world.task(status=status)
    task = await world.task()
    world.clock.advance(hours=2)
    await move(world, task, Status.IN_PROGRESS)
    await move(world, await world.task(), Status.BACKLOG, minutes=60)
    answer = await boards.got("GET", PATH)
    found = {each.pop("period"): each for each in answer["wip"]["primary"]["points"]}
    none = {"inbox": 0, "in_progress": 0, "review": 0, "done": 0}

    assert {"inbox": 2, "in_progress": 0, "review": 2, "done": 1} == found[hour(start)]
    assert none | {"in_progress": 1, "inbox": 1} == found[hour(start + timedelta(hours=2))]
    assert none == found[hour(start + timedelta(hours=3))]
    assert (3, 1, 1, 2, 1) == tuple(
        answer["kpis"][name]
        for name in ("inbox_tasks", "in_progress_tasks", "tasks_in_progress", "review_tasks", "done_tasks")
    )


async def test_what_came_before_the_range_is_beside_it(boards: BoardsDriver, world: World, start: datetime) -> None:
    """
    And what came before that is nowhere.
    """
    await world.task(status=Status.DONE)
    world.clock.advance(hours=24)
    await world.task(status=Status.DONE)
    await world.task(status=Status.DONE)
    world.clock.advance(hours=23)
    answer = (await boards.got("GET", PATH))["throughput"]
    world.clock.advance(hours=2)
    later = (await boards.got("GET", PATH))["throughput"]

    assert {hour(start + timedelta(hours=24)): 2} == values(answer["primary"])
    assert {hour(start): 1} == values(answer["comparison"])
    assert ({}, {hour(start + timedelta(hours=24)): 2}) == (values(later["primary"]), values(later["comparison"]))


async def test_failures_are_a_part_of_what_is_told_of_tasks(
    boards: BoardsDriver, world: World, start: datetime
) -> None:
    task = await world.task()
    lease = (await world.claim(task)).lease
    failure = Failure(reason=FailureReason.CRASHED)
    await fail_task(world.ports, world.me, FailTask(task=task.id, lease=lease, failure=failure))
    log = await world.ports.log.read(world.me.organization)
    told = [entry for entry in log if entry.subject == task.id]
    answer = await boards.got("GET", f"{PATH}?range_key=7d")

    assert 100 / len(told) == answer["kpis"]["error_rate_pct"]
    assert {start.strftime("%Y-%m-%dT00:00:00"): 100 / len(told)} == values(answer["error_rate"]["primary"])


async def test_an_agent_of_a_board_is_active_if_it_was_seen(
    boards: BoardsDriver, world: World, start: datetime
) -> None:
    for name, board in (("ada", world.board.id), ("bob", world.board.id), ("carl", None)):
        agent = await world.agent(name, board=board)
        if name != "bob":
            await record_agent_heartbeat(world.ports, world.me, RecordAgentHeartbeat(agent=agent.id))
    now = (await boards.got("GET", PATH))["kpis"]["active_agents"]
    world.clock.advance(days=2)

    assert (1, 0) == (now, (await boards.got("GET", PATH))["kpis"]["active_agents"])
    assert 1 == (await boards.got("GET", f"{PATH}?range_key=3d"))["kpis"]["active_agents"]


async def test_a_board_or_a_group_can_be_asked_for(boards: BoardsDriver, world: World) -> None:
    group = (await create_group(world.ports, world.me, CreateGroup(name="G"))).id
    grouped = await world.another_board(group=group)
    for board in (world.board, grouped):
        agent = await world.agent(board.name, board=board.id)
        await record_agent_heartbeat(world.ports, world.me, RecordAgentHeartbeat(agent=agent.id))
        await move(world, await world.task(board=board.id), Status.IN_PROGRESS, Status.DONE)

    async def asked(query: str) -> tuple[int, int, float | None]:
        answer = await boards.got("GET", f"{PATH}?{query}")
        kpis = answer["kpis"]
        done = sum(values(answer["throughput"]["primary"]).values())
        assert done == kpis["done_tasks"]
        return done, kpis["active_agents"], kpis["median_cycle_time_hours_7d"]

    assert (2, 2, 0.0) == await asked("")
    assert (1, 1, 0.0) == await asked(f"board_id={world.board.id}")
    assert (1, 1, 0.0) == await asked(f"group_id={group}")
    assert (1, 1, 0.0) == await asked(f"group_id={group}&board_id={grouped.id}")
    assert (0, 0, None) == await asked(f"group_id={group}&board_id={world.board.id}")
    assert (0, 0, None) == await asked(f"group_id={world.ports.ids.new()}")


async def test_a_board_of_nobody_known_is_not_found(boards: BoardsDriver, elsewhere: World) -> None:
    for board in (elsewhere.board.id, elsewhere.ports.ids.new()):
        assert 404 == (await boards.call("GET", f"{PATH}?board_id={board}")).status


async def test_every_wrong_parameter_is_named(boards: BoardsDriver) -> None:
    answer = await boards.call("GET", f"{PATH}?range_key=2d&board_id=x&group_id=")

    assert 422 == answer.status
    assert [["query", "range_key"], ["query", "board_id"], ["query", "group_id"]] == [
        each["loc"] for each in answer.json["detail"]
    ]
    said = "Input should be '24h', '3d', '7d', '14d', '1m', '3m', '6m' or '1y'"
    assert ("literal_error", said) == (answer.json["detail"][0]["type"], answer.json["detail"][0]["msg"])


async def test_the_dashboard_is_for_people(boards: BoardsDriver) -> None:
    token = (await boards.agent())["agent_token"]

    assert 401 == (await boards.call("GET", PATH, user=None)).status
    assert 401 == (await boards.call("GET", PATH, agent=token)).status
