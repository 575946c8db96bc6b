"""
Polling the queue of the Fleet API, and plain writes of those who poll.
"""

import asyncio
from typing import Any

import pytest

from mission_adapters.testing import ManualClock
from tests.contract.boards_driver import BoardsDriver
from tests.contract.conftest import World
from tests.contract.fleet_driver import FleetDriver, refusal, without, wrong_fields

SHOWN_OF_PROJECTS = ("project_name", "project_prefix", "ticket_ref")


async def poll(fleet: FleetDriver, query: str = "agent=ada", **more: Any) -> tuple[str, Any]:
    """
    The reason of a poll's answer, and the task's number.
    """
    answer = await fleet.got("GET", f"/tasks/queue?{query}", **more)
    return answer["reason"], answer["task"] and answer["task"]["id"]


async def run_states(fleet: FleetDriver, task: int) -> list[str]:
    return [run["state"] for run in (await fleet.got("GET", f"/tasks/{task}/runs"))["runs"]]


@pytest.mark.every_store
async def test_a_poll_hands_out_the_next_task_and_then_goes_on_with_it(fleet: FleetDriver, clock: ManualClock) -> None:
    made = await fleet.task(priority="low", tags=["a"], metadata={"b": 1})
    first, second = [await fleet.got("GET", "/tasks/queue?agent=ada") for _ in range(2)]
    task = (await fleet.got("GET", f"/tasks/{made['id']}"))["task"]

    assert {"task", "reason", "agent", "timestamp"} == first.keys()
    assert ("assigned", "ada", int(clock.now().timestamp())) == (first["reason"], first["agent"], first["timestamp"])
    assert "continue_current" == second["reason"]
    assert ("in_progress", "ada", ["a"], {"b": 1}) == tuple(
        task[name] for name in ("status", "assigned_to", "tags", "metadata")
    )
    assert first["task"] == second["task"] == without(task, *SHOWN_OF_PROJECTS)


async def test_with_nothing_to_do_a_poll_is_empty(fleet: FleetDriver) -> None:
    await fleet.task(status="backlog")
    await fleet.task(assigned_to="bob")

    assert ("no_tasks_available", None) == await poll(fleet)


@pytest.mark.every_store
async def test_the_queue_spans_all_projects_in_its_order(fleet: FleetDriver) -> None:
    made = [
        await fleet.task(priority="medium"),
        await fleet.task(priority="critical", due_date=2_000_000_000),
        await fleet.task(priority="critical", due_date=1_900_000_000, project_id=999_999),
        await fleet.task(priority="critical"),
    ]
    polled = [await poll(fleet, f"agent=a{i}") for i in range(5)]

    assert [made[i]["id"] for i in (2, 1, 3, 0)] == [task for _, task in polled[:4]]
    assert "no_tasks_available" == polled[4][0]


async def test_the_query_goes_before_the_header(fleet: FleetDriver) -> None:
    one, other = await fleet.task(assigned_to="ada"), await fleet.task(assigned_to="bob")

    assert ("assigned", other["id"]) == await poll(fleet, "agent=bob", x_agent_name="ada")
    assert ("assigned", one["id"]) == await poll(fleet, "agent=", x_agent_name="ada")
    said = (400, "Missing agent. Provide ?agent=... or x-agent-name header.")
    assert said == refusal(await fleet.call("GET", "/tasks/queue"))


async def test_an_agents_key_polls_for_itself(fleet: FleetDriver) -> None:
    _, token = await fleet.agent("ada")
    await fleet.agent("root")
    task = await fleet.task(assigned_to="ada")
    said = (403, "Access denied: agent key may only queue tasks for itself.")

    for method in ("GET", "HEAD"):
        assert 403 == (await fleet.call(method, "/tasks/queue?agent=bob", key=token)).status
    assert said == refusal(await fleet.call("GET", "/tasks/queue?agent=bob", key=token))
    assert ("assigned", task["id"]) == await poll(fleet, "agent=ADA", key=token)
    assert ("continue_current", task["id"]) == await poll(fleet, "", key=token)
    admin = await fleet.key("root", "admin")
    assert "no_tasks_available" == (await poll(fleet, "agent=bob", key=admin))[0]


async def test_viewers_do_not_poll(fleet: FleetDriver) -> None:
    await fleet.agent("ada")
    answer = await fleet.call("GET", "/tasks/queue", key=await fleet.key("ada", "viewer"))

    assert (403, "Requires operator role or higher") == refusal(answer)


@pytest.mark.parametrize("value", ["0", "21", "-1", "1.5", "x", "", "٣"])
async def test_a_capacity_is_a_number_from_1_to_20(fleet: FleetDriver, value: str) -> None:
    answer = await fleet.call("GET", f"/tasks/queue?agent=ada&max_capacity={value}")

    assert (400, "Invalid max_capacity. Expected integer 1..20.") == refusal(answer)


async def test_a_name_that_is_too_long_is_refused(fleet: FleetDriver) -> None:
    assert ["agent"] == wrong_fields(await fleet.call("GET", f"/tasks/queue?agent={'x' * 101}"))
    assert 400 == (await fleet.call("GET", "/tasks/queue", x_agent_name="x" * 101)).status


async def test_one_running_task_goes_before_any_capacity(fleet: FleetDriver) -> None:
    task = await fleet.task()
    await fleet.task()
    await poll(fleet)

    assert ("continue_current", task["id"]) == await poll(fleet, "agent=ada&max_capacity=20")


async def test_instances_work_side_by_side_up_to_the_capacity(fleet: FleetDriver) -> None:
    made = [(await fleet.task())["id"] for _ in range(3)]
    one, two = {"x_agent_instance": "one"}, {"x_agent_instance": "two"}

    assert ("assigned", made[0]) == await poll(fleet, **one)
    assert ("at_capacity", None) == await poll(fleet, "agent=ada&max_capacity=1", **two)
    assert ("assigned", made[1]) == await poll(fleet, "agent=ada&max_capacity=2", **two)
    assert ("continue_current", made[0]) == await poll(fleet, "agent=ada&max_capacity=1", **one)
    assert ("continue_current", made[1]) == await poll(fleet, **two)
    assert ("assigned", made[2]) == await poll(fleet)


@pytest.mark.parametrize("instance", ["", "  ", "x" * 101, "a\tb", "\x7f"])
async def test_an_instance_is_printable_and_not_too_long(fleet: FleetDriver, instance: str) -> None:
    task = await fleet.task()

    for method, path, body in (("GET", "/tasks/queue?agent=ada", None), ("PUT", f"/tasks/{task['id']}", {})):
        answer = await fleet.call(method, path, body, x_agent_instance=instance)
        assert ["X-Agent-Instance"] == wrong_fields(answer)
    assert 200 == (await fleet.call("GET", "/tasks", x_agent_instance=instance)).status
    assert "inbox" == (await fleet.got("GET", f"/tasks/{task['id']}"))["task"]["status"]


async def test_a_head_request_takes_nothing(fleet: FleetDriver) -> None:
    task = await fleet.task()
    empty = await fleet.call("HEAD", "/tasks/queue?agent=ada")
    untouched = await fleet.got("GET", f"/tasks/{task['id']}")
    got = await fleet.call("GET", "/tasks/queue?agent=ada")
    again, head = [await fleet.call(method, "/tasks/queue?agent=ada") for method in ("GET", "HEAD")]

    assert (200, b"", {"task": task}) == (empty.status, empty.body, untouched)
    assert "content-length" not in empty.headers
    assert "assigned" == got.json["reason"]
    assert (200, again.headers["content-length"]) == (head.status, head.headers["content-length"])
    assert 400 == (await fleet.call("HEAD", "/tasks/queue")).status


@pytest.mark.every_store
async def test_polls_at_once_hand_out_each_task_once(fleet: FleetDriver) -> None:
    made = {(await fleet.task())["id"] for _ in range(5)}
    polled = await asyncio.gather(*(poll(fleet, f"agent=a{i % 7}") for i in range(14)))
    handed = {task for _, task in polled if task}

    assert made == handed
    assert 5 == sum(reason == "assigned" for reason, _ in polled)


async def test_the_holders_plain_write_hands_the_work_in(fleet: FleetDriver) -> None:
    _, token = await fleet.agent("ada")
    for who in ({"key": token}, {"x_agent_name": "ada"}, {}):
        task = await fleet.task()
        query = "agent=ada" if not who else ""
        assert ("assigned", task["id"]) == await poll(fleet, query, **who)
        kept = await fleet.got("PUT", f"/tasks/{task['id']}", {"status": "in_progress"}, **who)
        done = await fleet.got("PUT", f"/tasks/{task['id']}", {"status": "done", "outcome": "partial"}, **who)

        assert ("in_progress", "done", 1) == (kept["task"]["status"], done["task"]["status"], done["task"]["fence"])
        (run,) = (await fleet.got("GET", f"/tasks/{task['id']}/runs"))["runs"]
        assert ("completed", "partial") == (run["state"], run["outcome"])


async def test_an_agents_move_to_in_progress_begins_its_work(fleet: FleetDriver, clock: ManualClock) -> None:
    _, token = await fleet.agent("ada")
    task = await fleet.task(assigned_to="ada")
    place = f"/tasks/{task['id']}"
    taken = (await fleet.got("PUT", place, {"status": "in_progress"}, key=token))["task"]
    explained = await fleet.got("GET", f"{place}/explain")

    assert (1, "leased") == (taken["fence"], explained["state"])
    assert ("continue_current", task["id"]) == await poll(fleet, "", key=token)


async def test_a_persons_move_to_in_progress_holds_the_task(fleet: FleetDriver) -> None:
    task = await fleet.task(assigned_to="ada")
    await fleet.got("PUT", f"/tasks/{task['id']}", {"status": "in_progress"})
    explained = await fleet.got("GET", f"/tasks/{task['id']}/explain")

    assert "held" == explained["state"]
    assert ("continue_current", task["id"]) == await poll(fleet)


@pytest.mark.every_store
async def test_every_request_of_the_pair_keeps_its_task(fleet: FleetDriver, clock: ManualClock) -> None:
    agent, token = await fleet.agent("ada")
    for who, path in (
        ({"key": token}, "/tasks"), ({"key": token}, f"/agents/{agent['id']}/heartbeat"),
        ({"x_agent_name": "ADA"}, "/agents"), ({}, "/agents/ada/heartbeat"), ({}, "/tasks/queue?agent=ada"),
    ):  # fmt: skip
        task = await fleet.task()
        await poll(fleet, **who)
        for _ in range(3):
            clock.advance(minutes=9)
            await fleet.got("GET", path, **who)

        assert "leased" == (await fleet.got("GET", f"/tasks/{task['id']}/explain"))["state"], path
        await fleet.got("PUT", f"/tasks/{task['id']}", {"status": "backlog"})


async def test_requests_of_others_keep_nothing(fleet: FleetDriver, clock: ManualClock) -> None:
    _, token = await fleet.agent("ada")
    task = await fleet.task()
    await poll(fleet, "", key=token, x_agent_instance="one")
    for _ in range(2):
        clock.advance(minutes=5)
        for who in ({}, {"x_agent_name": "ada"}, {"key": token}, {"key": token, "x_agent_instance": "two"}):
            await fleet.got("GET", "/tasks", **who)

    explained = await fleet.got("GET", f"/tasks/{task['id']}/explain")
    assert ("waiting", True) == (explained["state"], "delayed until" in explained["why"])


async def test_a_renewal_is_written_once_a_minute(fleet: FleetDriver, clock: ManualClock) -> None:
    _, token = await fleet.agent("ada")
    task = await fleet.task()
    await poll(fleet, "", key=token)
    ends = []
    for _ in range(6):
        clock.advance(seconds=25)
        await fleet.got("GET", "/tasks", key=token)
        (run,) = (await fleet.got("GET", f"/tasks/{task['id']}/runs"))["runs"]
        ends.append(run["expires_at"])

    assert 3 >= len(set(ends))
    assert ends[-1] >= int(clock.now().timestamp()) + 600 - 75


async def test_a_late_write_takes_the_task_again_or_is_told_who_has_it(fleet: FleetDriver, clock: ManualClock) -> None:
    _, token = await fleet.agent("ada")
    task = await fleet.task()
    place = f"/tasks/{task['id']}"
    await poll(fleet, "", key=token)
    clock.advance(minutes=11)
    again = (await fleet.got("PUT", place, {"status": "in_progress"}, key=token))["task"]
    clock.advance(minutes=11)
    assert ("assigned", task["id"]) == await poll(fleet, "agent=bob")
    answer = await fleet.call("PUT", place, {"status": "done"}, key=token)

    assert (2, "ada") == (again["fence"], again["assigned_to"])
    assert 409 == answer.status
    assert "bob holds this task" in answer.json["error"]
    assert ["leased", "expired", "expired"] == await run_states(fleet, task["id"])


async def test_a_plain_write_is_not_taken_from_whoever_has_a_lease(fleet: FleetDriver) -> None:
    _, token = await fleet.agent("ada")
    task = await fleet.task()
    lease = (await fleet.got("POST", "/tasks/claim", {}, key=token))["lease"]["lease"]
    answer = await fleet.call("PUT", f"/tasks/{task['id']}", {"status": "done"}, key=token)
    done = await fleet.got("POST", f"/tasks/{task['id']}/complete", {"lease": lease}, key=token)

    assert 409 == answer.status
    assert "complete, fail or release it with the lease" in answer.json["error"]
    assert "done" == done["task"]["status"]


async def test_many_moves_of_the_holder_hand_its_work_in(fleet: FleetDriver) -> None:
    _, token = await fleet.agent("ada")
    task = await fleet.task()
    await poll(fleet, "", key=token)
    await fleet.got("PUT", "/tasks", {"tasks": [{"id": task["id"], "status": "review"}]}, key=token)

    assert ["completed"] == await run_states(fleet, task["id"])


async def test_a_boards_request_keeps_the_pairs_task_too(
    world: World, fleet: FleetDriver, boards: BoardsDriver
) -> None:
    token = (await boards.agent("ada"))["agent_token"]
    task = await fleet.task()
    await poll(fleet, "", key=token)
    for _ in range(2):
        world.clock.advance(minutes=9)
        await boards.got("GET", boards.agent_tasks, agent=token)

    assert "leased" == (await fleet.got("GET", f"/tasks/{task['id']}/explain"))["state"]
