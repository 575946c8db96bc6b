"""
Leads of a board: what they may do to its tasks, and what they delegate.
"""

import pytest

from mission_core.agents.update import UpdateAgent, update_agent
from mission_core.agents.use_cases import CreateAgent, create_agent
from mission_core.tasks.model import Status
from mission_core.tasks.use_cases import UpdateTask, update_task
from tests.contract.boards_driver import refusal
from tests.contract.boards_team import set_rules, start_task, status_and_assignee, task_in_list

NOWHERE = "0195a000-0000-7000-8000-000000000000"


async def test_a_lead_comments_elsewhere(boards, team):
    said = (
        "Lead comment gate failed: board leads cannot include `comment` in task PATCH. "
        "Use the task comments endpoint instead."
    )
    task = await start_task(boards, team, "review")

    assert (403, said) == await team.lea.refused(task, comment="Well", status="done", title="New")
    assert "done" == (await team.lea.does(task, comment="  ", status="done"))["status"]


async def test_a_lead_leaves_alone_what_a_task_is(boards, team):
    task = await boards.task()
    change = {
        "title": "New", "priority": "high", "due_at": None, "description": "d", "not_before": None, "max_attempts": 2,
        "status": "done", "assigned_agent_id": team.ada.id,
    }  # fmt: skip
    said = (
        "Lead field gate failed: unsupported fields for board leads: description, due_at, max_attempts, not_before, "
        "priority, title. Allowed fields: assigned_agent_id, custom_field_values, depends_on_task_ids, status, tag_ids."
    )

    assert (403, said) == await team.lea.refused(task, **change)
    assert task == await task_in_list(boards, task)


@pytest.mark.parametrize("was", ["inbox", "in_progress", "done"])
@pytest.mark.parametrize("to", ["inbox", "in_progress", "review", "done"])
async def test_a_lead_moves_what_is_in_review(boards, team, was, to):
    task = await boards.task(status=was)
    said = (
        "Lead status gate failed: board leads can only change status when the current task status is `review` "
        f"(current: `{was}`)."
    )
    expected = (200, None) if was == to else (403, said)
    answer = await team.lea.call(task, status=to)

    assert expected == (answer.status, answer.json.get("detail"))
    assert task == await task_in_list(boards, task)


@pytest.mark.parametrize("status", [Status.REVIEW, Status.QUALITY_REVIEW, Status.FAILED])
async def test_a_lead_sends_a_review_back_or_accepts_it(boards, team, world, status):
    made = await world.task(status=status)
    (task,) = (await boards.got("GET", boards.tasks))["items"]
    said = "Lead status target gate failed: review tasks can only move to `done` or `inbox` (requested: `in_progress`)."

    assert (403, said) == await team.lea.refused(task, status="in_progress")
    assert "inbox" == (await team.lea.does(task, status="inbox"))["core_status"]
    await update_task(world.ports, world.me, UpdateTask(task=made.id, status=status))
    assert "done" == (await team.lea.does(task, status="done"))["core_status"]


async def test_what_a_lead_accepts_stays_as_it_is(boards, team):
    task = await start_task(boards, team, "review")

    assert ("done", team.lea.id, False) == status_and_assignee(await team.lea.does(task, status="done"))


async def test_what_a_lead_sends_back_returns_to_whoever_submitted_it(boards, team):
    task = await start_task(boards, team, "review")
    first = await team.lea.does(task, status="inbox")
    await team.me.does(task, status="inbox", assigned_agent_id=team.bob.id)
    await team.bob.does(task, status="in_progress")
    await team.bob.does(task, status="review")
    second = await team.lea.does(task, status="inbox")

    assert ("inbox", team.ada.id, False) == status_and_assignee(first)
    assert "assigned" == first["core_status"]
    assert ("inbox", team.bob.id, False) == status_and_assignee(second)
    assert second == await task_in_list(boards, task)


async def test_what_was_handed_in_under_a_lease_returns_too(boards, team):
    await set_rules(boards, require_review_before_done=True)
    task = await boards.task()
    path = f"{boards.agent_tasks}/{task['id']}"
    claimed = await boards.got("POST", f"{path}/claim", {}, agent=team.ada.token)
    handed = await boards.got("POST", f"{path}/complete", {"lease": claimed["lease"]["lease"]}, agent=team.ada.token)

    assert "review" == handed["status"]
    assert ("inbox", team.ada.id, False) == status_and_assignee(await team.lea.does(task, status="inbox"))


async def test_what_no_worker_of_the_board_submitted_returns_to_nobody(boards, team):
    by_person = await boards.task(status="review")
    task = await boards.task("Second")
    await team.max.does(task, status="in_progress")
    await team.max.does(task, status="review")

    assert ("inbox", None, False) == status_and_assignee(await team.lea.does(by_person, status="inbox"))
    assert ("inbox", None, False) == status_and_assignee(await team.lea.does(task, status="inbox"))


async def test_whoever_left_the_board_gets_nothing_back(boards, team, world):
    task = await start_task(boards, team, "review")
    await update_agent(world.ports, world.me, UpdateAgent(agent="ada", board=(await world.another_board()).id))

    assert ("inbox", None, False) == status_and_assignee(await team.lea.does(task, status="inbox"))


async def test_a_lead_who_names_somebody_means_it(boards, team):
    task = await start_task(boards, team, "review")

    assert ("inbox", team.bob.id, False) == status_and_assignee(
        await team.lea.does(task, status="inbox", assigned_agent_id=team.bob.id)
    )


@pytest.mark.every_store
async def test_a_lead_has_somebody_begin_without_starting_the_clock(boards, team):
    task = await boards.task()
    begun = await team.lea.does(task, status="in_progress", assigned_agent_id=team.ada.id)

    assert ("in_progress", team.ada.id, False) == status_and_assignee(begun)
    assert ("in_progress", team.ada.id) == status_and_assignee(await team.ada.does(task, status="in_progress"))[:2]


async def test_a_lead_begins_nothing_for_nobody(boards, team):
    task = await boards.task()
    for change in ({}, {"assigned_agent_id": None}):
        status, said = await team.lea.refused(task, status="in_progress", **change)

        assert 403 == status
        assert said.endswith("(current: `inbox`).")


async def test_a_lead_assigns_work_to_workers(boards, team, world):
    task = await boards.task()
    far = await world.agent("far", board=(await world.another_board()).id)
    chief = await world.agent("chief", board=(await world.another_board("Third")).id, lead=True)
    leads = (403, "Board leads cannot assign tasks to themselves.")
    assigned = await team.lea.does(task, assigned_agent_id=team.ada.id)

    assert ("inbox", team.ada.id, "assigned") == (
        assigned["status"], assigned["assigned_agent_id"], assigned["core_status"],
    )  # fmt: skip
    assert leads == await team.lea.refused(task, assigned_agent_id=team.lea.id)
    assert leads == await team.lea.refused(task, assigned_agent_id=str(chief.id))
    assert (409, "Conflict") == await team.lea.refused(task, assigned_agent_id=str(far.id))
    assert (404, "Not Found") == await team.lea.refused(task, assigned_agent_id=NOWHERE)
    assert team.max.id == (await team.lea.does(task, assigned_agent_id=team.max.id))["assigned_agent_id"]
    assert ("inbox", None, False) == status_and_assignee(await team.lea.does(task, assigned_agent_id=None))


async def test_a_lead_orders_dependencies_and_hands_out_what_is_free(boards, team):
    first, task = await boards.task("First"), await boards.task()
    waits = await team.lea.does(task, depends_on_task_ids=[first["id"]])
    blocked = {
        "message": "Task is blocked by incomplete dependencies.", "code": "task_blocked_cannot_transition",
        "blocked_by_task_ids": [first["id"]],
    }  # fmt: skip

    assert [first["id"]] == waits["blocked_by_task_ids"]
    assert (409, blocked) == await team.lea.refused(task, assigned_agent_id=team.ada.id)
    assert (409, blocked) == await team.lea.refused(task, assigned_agent_id=None)
    assert (409, blocked) == await team.lea.refused(task, status="done")
    assert [] == (await team.lea.does(task, depends_on_task_ids=[]))["depends_on_task_ids"]


async def test_a_person_assigns_leads_and_those_of_no_board(boards, team):
    task = await boards.task(assigned_agent_id=team.lea.id)

    assert team.lea.id == task["assigned_agent_id"]
    assert team.max.id == (await team.me.does(task, assigned_agent_id=team.max.id))["assigned_agent_id"]


async def test_a_new_task_goes_to_nobody_of_another_board(boards, world):
    far = await world.agent("far", board=(await world.another_board()).id)
    answer = await boards.call("POST", boards.tasks, {"title": "T", "assigned_agent_id": str(far.id)})

    assert (409, "Conflict") == refusal(answer)


async def delegated(boards, member, **fields):
    return await boards.call("POST", boards.agent_tasks, {"title": "T"} | fields, agent=member.token)


async def test_a_lead_delegates_work(boards, team):
    made = await delegated(boards, team.lea, assigned_agent_id=team.ada.id, description="d", priority="high")
    task = made.json

    assert (200, '"0"') == (made.status, made.headers["etag"])
    assert ("inbox", team.ada.id, "d", "high", None) == (
        task["status"], task["assigned_agent_id"], task["description"], task["priority"], task["created_by_user_id"],
    )  # fmt: skip
    assert task == await task_in_list(boards, task)


async def test_a_lead_delegates_to_workers(boards, team, world):
    far = await world.agent("far", board=(await world.another_board()).id)

    for assignee, expected in (
        (NOWHERE, (404, "Not Found")),
        (team.lea.id, (403, "Board leads cannot assign tasks to themselves.")),
        (str(far.id), (409, "Conflict")),
    ):
        assert expected == refusal(await delegated(boards, team.lea, assigned_agent_id=assignee))


async def test_what_is_delegated_and_blocked_waits_for_nobody(boards, team):
    first = await boards.task("First")
    named = {"depends_on_task_ids": [first["id"]]}
    blocked = {"message": "Task is blocked by incomplete dependencies.", "blocked_by_task_ids": [first["id"]]}

    assert (409, blocked) == refusal(await delegated(boards, team.lea, assigned_agent_id=team.ada.id, **named))
    assert (409, blocked) == refusal(await delegated(boards, team.lea, status="in_progress", **named))
    assert 200 == (await delegated(boards, team.lea, **named)).status


async def test_nothing_is_delegated_as_done(boards, team):
    status, said = refusal(await delegated(boards, team.lea, status="done"))

    assert 403 == status
    assert "admin" in said


async def test_a_repeated_delegation_makes_one_task(boards, team):
    for _ in range(2):
        await boards.got("POST", boards.agent_tasks, {"title": "T"}, agent=team.lea.token, **{"idempotency-key": "k"})

    assert 1 == (await boards.got("GET", boards.tasks))["total"]


async def test_only_leads_delegate_and_remove(boards, team, world):
    task = await boards.task()
    said = (403, "Only board leads can perform this action")
    path = f"{boards.agent_tasks}/{task['id']}"
    for member in (team.ada, team.max):
        assert said == refusal(await delegated(boards, member, title=5))
        assert said == refusal(await boards.call("DELETE", path, agent=member.token))
    chief = await create_agent(
        boards.ports, boards.me, CreateAgent(name="chief", board=(await world.another_board()).id, lead=True)
    )

    assert (403, "Forbidden") == refusal(await boards.call("DELETE", path, agent=chief.token))
    assert 401 == refusal(await boards.call("DELETE", path))[0]
    assert (404, "Not Found") == refusal(
        await boards.call("DELETE", f"{boards.agent_tasks}/{NOWHERE}", agent=team.lea.token)
    )
    assert 412 == (await boards.call("DELETE", path, agent=team.lea.token, **{"if-match": '"7"'})).status
    assert {"ok": True} == await boards.got("DELETE", path, agent=team.lea.token)
    assert 0 == (await boards.got("GET", boards.tasks))["total"]


async def test_a_lead_without_a_board_leads_nothing(boards):
    made = await create_agent(boards.ports, boards.me, CreateAgent(name="lost", lead=True))
    answer = await boards.call("POST", boards.agent_tasks, {"title": "T"}, agent=made.token)

    assert (403, "Board lead must be assigned to a board") == refusal(answer)
