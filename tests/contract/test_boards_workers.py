"""
Workers of a board: what they may do to its tasks, and what a move of theirs does then.
"""

import pytest
from attrs import evolve

from mission_core.boards.custom_field_use_cases import CreateField, create_field
from mission_core.boards.custom_fields import CustomFieldType
from mission_core.tasks.model import Status
from mission_core.tasks.team_rules import OnlyLeadMovesTasks
from mission_core.tasks.use_cases import UpdateTask, update_task
from tests.contract.boards_driver import refusal
from tests.contract.boards_team import set_rules, start_task, status_and_assignee, task_in_list

NOT_YOURS = {
    "message": "Agents can only change status on tasks assigned to them.", "code": "task_assignee_mismatch",
}  # fmt: skip
NOT_THAT = {
    "message": "Agents may only update status, comment, and custom field values.",
    "code": "task_update_field_forbidden",
}


async def test_a_worker_begins_what_nobody_has(boards, team, clock):
    begun = await team.ada.does(await boards.task(), status="in_progress")

    assert ("in_progress", team.ada.id, True) == status_and_assignee(begun)
    assert clock.now().replace(tzinfo=None).isoformat() == begun["in_progress_at"]
    assert begun == await task_in_list(boards, begun)


async def test_a_worker_begins_what_was_assigned_to_it(boards, team):
    task = await boards.task(assigned_agent_id=team.ada.id)

    assert ("in_progress", team.ada.id, True) == status_and_assignee(await team.ada.does(task, status="in_progress"))


async def test_a_worker_takes_what_is_in_progress_but_nobodys(boards, team):
    task = await boards.task(status="in_progress")

    assert ("in_progress", team.ada.id) == status_and_assignee(await team.ada.does(task, status="in_progress"))[:2]
    assert (403, NOT_YOURS) == await team.bob.refused(task, status="review")


async def test_what_a_worker_puts_down_is_nobodys(boards, team):
    task = await start_task(boards, team)

    assert ("inbox", None, False) == status_and_assignee(await team.ada.does(task, status="inbox"))


async def test_what_a_worker_brings_to_review_is_the_leads(boards, team):
    assert ("review", team.lea.id, False) == status_and_assignee(await start_task(boards, team, "review"))


@pytest.mark.every_store
async def test_without_a_lead_a_review_is_nobodys(boards):
    token = (await boards.agent())["agent_token"]
    path = f"{boards.agent_tasks}/{(await boards.task())['id']}"
    await boards.got("PATCH", path, {"status": "in_progress"}, agent=token)

    assert ("review", None, False) == status_and_assignee(
        await boards.got("PATCH", path, {"status": "review"}, agent=token)
    )


@pytest.mark.every_store
async def test_what_a_worker_finishes_is_its_own(boards, team):
    assert ("done", team.ada.id) == status_and_assignee(await start_task(boards, team, "done"))[:2]
    assert ("done", team.bob.id) == status_and_assignee(await team.bob.does(await boards.task(), status="done"))[:2]


async def runs_of(boards, task):
    return [each["state"] for each in (await boards.got("GET", f"{boards.tasks}/{task['id']}/runs"))["items"]]


@pytest.mark.every_store
async def test_what_a_worker_begins_is_under_a_lease_until_it_says_more(boards, team):
    task = await start_task(boards, team)
    begun = await runs_of(boards, task)
    await team.ada.does(task, status="review")
    submitted = await runs_of(boards, task)
    await team.lea.does(task, status="inbox")
    await team.ada.does(task, status="in_progress")
    await team.lea.does(task, assigned_agent_id=team.bob.id)

    assert [["leased"], ["completed"], ["revoked", "completed"]] == [begun, submitted, await runs_of(boards, task)]
    assert ("in_progress", team.bob.id) == status_and_assignee(await task_in_list(boards, task))[:2]


async def test_a_worker_that_was_silent_for_long_still_brings_its_work_to_review(boards, team, clock):
    task = await start_task(boards, team)
    clock.advance(minutes=11)

    assert ("review", team.lea.id, False) == status_and_assignee(await team.ada.does(task, status="review"))
    assert ("inbox", team.ada.id, False) == status_and_assignee(await team.lea.does(task, status="inbox"))


async def test_a_worker_that_was_silent_for_long_loses_its_work_to_who_takes_it(boards, team, clock):
    task = await start_task(boards, team)
    clock.advance(minutes=11)
    claimed = await boards.got("POST", f"{boards.agent_tasks}/claim", {}, agent=team.bob.token)

    assert task["id"] == claimed["task"]["id"]
    assert (403, NOT_YOURS) == await team.ada.refused(task, status="review")


async def test_a_worker_leaves_other_ones_tasks_where_they_are(boards, team):
    task = await start_task(boards, team)
    for status in ("inbox", "review", "done"):
        assert (403, NOT_YOURS) == await team.bob.refused(task, status=status)
    ghostly = await boards.task("Second")
    await update_task(boards.ports, boards.me, UpdateTask(task=ghostly["number"], assignee="ghost"))

    assert (403, NOT_YOURS) == await team.bob.refused(ghostly, status="in_progress")
    assert task == await task_in_list(boards, task)


async def test_a_worker_comments_on_any_task_of_its_board(boards, team):
    task = await start_task(boards, team)
    said = await team.bob.does(task, comment="  Mind the gap  ", status="in_progress")
    (comment,) = (await boards.got("GET", f"{boards.tasks}/{task['id']}/comments"))["items"]

    assert ("Mind the gap", team.bob.id) == (comment["message"], comment["agent_id"])
    assert status_and_assignee(task) == status_and_assignee(said)


@pytest.mark.parametrize(
    "change",
    [
        {"title": "New"}, {"description": None}, {"priority": "high"}, {"due_at": None}, {"assigned_agent_id": None},
        {"depends_on_task_ids": []}, {"tag_ids": []}, {"not_before": None}, {"max_attempts": 3},
        {"status": "in_progress", "title": "New"}, {"comment": "c", "priority": "low"},
    ],
)  # fmt: skip
async def test_a_worker_changes_nothing_but_status_and_values(boards, team, change):
    task = await boards.task()

    assert (403, NOT_THAT) == await team.ada.refused(task, **change)
    assert task == await task_in_list(boards, task)


async def test_lists_that_a_worker_leaves_alone_are_no_wish(boards, team):
    task = await boards.task()

    assert task == await team.ada.does(task, depends_on_task_ids=None, tag_ids=None, depends_on=None)


async def test_a_worker_and_a_lead_fill_in_values(boards, team):
    field = CreateField(field_key="hours", field_type=CustomFieldType.INTEGER, boards=(boards.board,))
    await create_field(boards.ports, boards.me, field)
    task = await boards.task()
    first = await team.ada.does(task, custom_field_values={"hours": 3})
    second = await team.lea.does(task, custom_field_values={"hours": 4})

    assert [{"hours": 3}, {"hours": 4}] == [first["custom_field_values"], second["custom_field_values"]]


async def test_a_rule_leaves_moving_to_the_lead(boards, team):
    task = await boards.task()
    await set_rules(boards, only_lead_can_change_status=True)
    said = (403, "Only board leads can change task status.")

    assert said == await team.ada.refused(task, status="in_progress")
    assert said == await team.max.refused(task, status="done")
    assert 200 == (await team.ada.call(task, comment="May I?", status="inbox")).status
    assert 200 == (await team.lea.call(task, status="in_progress", assigned_agent_id=team.ada.id)).status
    assert "review" == (await team.me.does(task, status="review"))["status"]
    assert "inbox" == (await team.lea.does(task, status="inbox"))["status"]


async def test_the_rule_holds_for_agents_plain_writes_too(boards, world):
    await set_rules(boards, only_lead_can_change_status=True)
    ada, lea = await world.principal("ada", board=world.board.id), await world.principal("lea", board=world.board.id)
    task = await world.task(assignee="ada")
    with pytest.raises(OnlyLeadMovesTasks):
        await update_task(world.ports, ada, UpdateTask(task=task.id, status=Status.DONE))
    moved = await update_task(world.ports, evolve(lea, lead=True), UpdateTask(task=task.id, status=Status.BACKLOG))

    assert Status.BACKLOG is moved.status


async def test_a_worker_is_told_what_blocks_a_task(boards, team):
    first = await boards.task("First")
    task = await boards.task(depends_on_task_ids=[first["id"]])
    blocked = {
        "message": "Task is blocked by incomplete dependencies.", "code": "task_blocked_cannot_transition",
        "blocked_by_task_ids": [first["id"]],
    }  # fmt: skip
    for status in ("in_progress", "review", "done"):
        assert (409, blocked) == await team.ada.refused(task, status=status)

    assert task == await team.ada.does(task, status="inbox")
    await team.ada.does(first, status="done")
    assert "in_progress" == (await team.ada.does(task, status="in_progress"))["status"]


@pytest.mark.parametrize("status", [Status.BACKLOG, Status.AWAITING_OWNER])
async def test_what_people_hold_back_is_blocked_for_agents(boards, team, world, status):
    await world.task(status=status)
    (task,) = (await boards.got("GET", boards.tasks))["items"]

    for answer in (
        await team.ada.refused(task, status="in_progress"),
        await team.lea.refused(task, assigned_agent_id=team.ada.id),
        await team.lea.refused(task, status="in_progress", assigned_agent_id=team.ada.id),
    ):
        assert (409, "task_blocked_cannot_transition", []) == (
            answer[0], answer[1]["code"], answer[1]["blocked_by_task_ids"],
        )  # fmt: skip
    assert task == await team.ada.does(task, status="inbox")


@pytest.mark.parametrize("status", Status)
async def test_a_status_that_a_task_shows_already_asks_for_nothing(boards, team, world, status):
    await world.task(status=status, assignee="bob")
    (task,) = (await boards.got("GET", boards.tasks))["items"]

    assert task == await team.ada.does(task, status=task["status"])
    assert task == await team.lea.does(task, status=task["status"])


async def test_an_agent_without_a_board_is_a_worker_everywhere(boards, team):
    task = await boards.task()

    assert (403, NOT_THAT) == await team.max.refused(task, title="New")
    assert ("in_progress", team.max.id, True) == status_and_assignee(await team.max.does(task, status="in_progress"))
    assert (403, NOT_YOURS) == await team.ada.refused(task, status="done")


async def test_an_agent_keeps_to_its_board(boards, team, world):
    other = await world.another_board()
    there = await world.task(board=other.id)
    far = team.ada.tasks.replace(str(boards.board), str(other.id))
    body = {"status": "in_progress"}
    for token in (team.ada.token, team.lea.token):
        assert (403, "Forbidden") == refusal(await boards.call("PATCH", f"{far}/{there.id}", body, agent=token))
    here = f"{team.ada.tasks}/{there.id}"

    assert (404, "Not Found") == refusal(await boards.call("PATCH", here, body, agent=team.ada.token))
    assert (404, "Not Found") == refusal(await boards.call("PATCH", here, body, agent=team.max.token))
    assert 200 == (await boards.call("PATCH", f"{far}/{there.id}", body, agent=team.max.token)).status


async def test_another_organization_has_no_tasks_here(boards, team, elsewhere):
    task = await elsewhere.task()
    path = f"{team.max.tasks.replace(str(boards.board), str(elsewhere.board.id))}/{task.id}"

    assert (404, "Not Found") == refusal(await boards.call("PATCH", path, {"status": "done"}, agent=team.max.token))


async def test_a_user_goes_before_an_agent_unless_the_agents_header_is_there(boards, team):
    task = await boards.task()
    path = f"{boards.tasks}/{task['id']}"
    as_bearer = await boards.call("PATCH", path, {"title": "N"}, authorization=f"Bearer {team.ada.token}")
    as_user = await boards.call("PATCH", path, {"title": "N"})
    neither = await boards.call("PATCH", path, {"title": "N"}, agent="nobody's")

    assert [403, 200, 401] == [as_bearer.status, as_user.status, neither.status]


async def test_an_agents_update_of_another_version_is_refused(boards, team):
    path = f"{team.ada.tasks}/{(await boards.task())['id']}"
    late = await boards.call("PATCH", path, {"status": "in_progress"}, agent=team.ada.token, **{"if-match": '"4"'})
    moved = await boards.call("PATCH", path, {"status": "in_progress"}, agent=team.ada.token, **{"if-match": '"0"'})

    assert [412, 200] == [late.status, moved.status]
    assert f'"{moved.json["version"]}"' == moved.headers["etag"]


async def test_gates_stand_before_agents_in_their_order(boards, team):
    await set_rules(boards, require_approval_for_done=True, require_review_before_done=True)
    task = await start_task(boards, team)
    review = "Task can only be marked done from review when the board rule is enabled."
    approval = "Task can only be marked done when a linked approval has been approved."

    assert (409, {"message": review, "blocked_by_task_ids": []}) == await team.ada.refused(task, status="done")
    await team.ada.does(task, status="review")
    assert (409, {"message": approval, "blocked_by_task_ids": []}) == await team.lea.refused(task, status="done")
    assert status_and_assignee(await task_in_list(boards, task)) == ("review", team.lea.id, False)


@pytest.mark.every_store
async def test_a_worker_says_something_about_a_review(boards, team, clock):
    await set_rules(boards, comment_required_for_review=True)
    task = await start_task(boards, team)
    said = (422, "Comment is required.")

    assert said == await team.ada.refused(task, status="review")
    assert said == await team.ada.refused(task, status="review", comment="  ")
    assert "review" == (await team.ada.does(task, status="review", comment="Look"))["status"]


@pytest.mark.every_store
async def test_what_a_worker_said_since_it_started_counts_in_a_review(boards, team, clock):
    await set_rules(boards, comment_required_for_review=True)
    task = await boards.task()
    await team.ada.does(task, comment="I may do it")
    clock.advance(seconds=1)
    await team.ada.does(task, status="in_progress")
    early = await team.ada.refused(task, status="review")
    await team.ada.does(task, comment="It is done")

    assert (422, "Comment is required.") == early
    assert "review" == (await team.ada.does(task, status="review"))["status"]
