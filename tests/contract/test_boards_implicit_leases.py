"""
Implicit leases in the Boards API: what a worker's plain moves take, keep and hand in.
"""

import pytest

from tests.contract.boards_driver import refusal
from tests.contract.boards_team import set_rules, start_task, status_and_assignee


async def runs_of(boards, task):
    return [run["state"] for run in (await boards.got("GET", f"{boards.tasks}/{task['id']}/runs"))["items"]]


async def explained(boards, task):
    return (await boards.got("GET", f"{boards.tasks}/{task['id']}/explain"))["state"]


async def test_what_a_worker_begins_is_leased_to_it(boards, team):
    task = await start_task(boards, team)

    assert ("leased", ["leased"]) == (await explained(boards, task), await runs_of(boards, task))


async def test_what_a_person_begins_is_held(boards, team):
    task = await boards.task(assigned_agent_id=team.ada.id)
    await team.me.does(task, status="in_progress")

    assert ("held", []) == (await explained(boards, task), await runs_of(boards, task))


@pytest.mark.every_store
async def test_taking_over_what_nobody_has_leases_it(boards, team):
    task = await boards.task(status="in_progress")
    await team.ada.does(task, status="in_progress")

    assert ["leased"] == await runs_of(boards, task)


@pytest.mark.parametrize(("status", "state"), [("review", "completed"), ("done", "completed"), ("inbox", "released")])
async def test_a_workers_move_ends_its_run_as_it_says(boards, team, status, state):
    task = await start_task(boards, team, status)

    assert [state] == await runs_of(boards, task)
    assert task["fence"] == 1


async def test_a_closed_gate_leaves_the_worker_at_work(boards, team):
    await set_rules(boards, require_approval_for_done=True)
    task = await start_task(boards, team)

    assert 409 == (await team.ada.refused(task, status="done"))[0]
    assert ["leased"] == await runs_of(boards, task)


async def test_every_request_of_a_worker_keeps_its_task(boards, team, clock):
    task = await start_task(boards, team)
    for path in (boards.agent_tasks, "/api/v1/agent/healthz"):
        clock.advance(minutes=9)
        await boards.got("GET", path, agent=team.ada.token)
    clock.advance(minutes=9)
    assert "leased" == await explained(boards, task)

    await team.ada.does(task, status="in_progress")
    clock.advance(minutes=10)
    assert "waiting" == await explained(boards, task)


@pytest.mark.every_store
async def test_a_late_worker_takes_its_task_again(boards, team, clock):
    task = await start_task(boards, team)
    clock.advance(minutes=11)
    again = await team.ada.does(task, status="in_progress")
    clock.advance(minutes=11)
    brought = await team.ada.does(task, status="review")

    assert ("in_progress", team.ada.id, True) == status_and_assignee(again)
    assert ("review", team.lea.id) == status_and_assignee(brought)[:2]
    assert ["completed", "expired", "expired"] == await runs_of(boards, task)


async def test_a_late_worker_is_told_that_another_has_the_task(boards, team, clock):
    task = await start_task(boards, team)
    clock.advance(minutes=11)
    await boards.got("POST", f"{boards.agent_tasks}/claim", agent=team.bob.token)

    assert 403 == (await team.ada.refused(task, status="review"))[0]
    assert ["leased", "expired"] == await runs_of(boards, task)


async def test_a_lead_decides_over_a_lease(boards, team):
    task = await start_task(boards, team)
    await team.lea.does(task, assigned_agent_id=team.bob.id)

    assert ["revoked"] == await runs_of(boards, task)


async def test_a_secret_lease_is_used_not_written_past(boards, team):
    task = await boards.task()
    await boards.got("POST", f"{boards.agent_tasks}/{task['id']}/claim", agent=team.ada.token)
    status, detail = await team.ada.refused(task, status="review")

    assert 409 == status
    assert "complete, fail or release it with the lease" in str(detail)


async def test_instances_of_a_worker_have_leases_of_their_own(boards, team):
    task = await boards.task()
    path = f"{boards.agent_tasks}/{task['id']}"

    async def patch(status, **headers):
        return await boards.call("PATCH", path, {"status": status}, agent=team.ada.token, **headers)

    assert 200 == (await patch("in_progress", x_agent_instance="one")).status
    assert 409 == refusal(await patch("review", x_agent_instance="two"))[0]
    assert 200 == (await patch("review", x_agent_instance="one")).status
    wrong = await patch("inbox", x_agent_instance="x" * 101)
    assert (422, ["header", "X-Agent-Instance"]) == (wrong.status, wrong.json["detail"][0]["loc"])
