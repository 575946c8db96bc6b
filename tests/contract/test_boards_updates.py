"""
Editing tasks in the Boards API, as people do it.
"""

import pytest

from mission_core.tasks.model import Status
from tests.contract.boards_driver import field_refusal, refusal

NOWHERE = "0195a000-0000-7000-8000-000000000000"


async def patched(boards, task, change, **headers):
    return await boards.got("PATCH", f"{boards.tasks}/{task['id']}", change, **headers)


async def refused(boards, task, change, **headers):
    return await boards.call("PATCH", f"{boards.tasks}/{task['id']}", change, **headers)


@pytest.mark.every_store
async def test_an_update_changes_what_it_names(boards, clock):
    task = await boards.task(description="d", due_at="2027-01-01")
    clock.advance(seconds=1)
    answer = await refused(boards, task, {"title": "New", "due_at": None, "priority": "high", "max_attempts": 3})
    now = clock.now().replace(tzinfo=None).isoformat()
    expected = {
        "title": "New", "due_at": None, "priority": "high", "max_attempts": 3, "updated_at": now, "version": 1,
    }  # fmt: skip

    assert task | expected == answer.json
    assert '"1"' == answer.headers["etag"]


async def test_an_empty_update_changes_nothing(boards):
    task = await boards.task()

    assert task == await patched(boards, task, {})


@pytest.mark.parametrize(
    ("change", "loc", "said"),
    [
        ({"status": None}, ["body"], "Value error, status is required"),
        ({"title": None}, ["body", "title"], "Input should be a valid string"),
        ({"priority": None}, ["body", "priority"], "Input should be a valid string"),
        ({"max_attempts": None}, ["body", "max_attempts"], None),
        ({"status": "failed"}, ["body", "status"], "Input should be 'inbox', 'in_progress', 'review' or 'done'"),
        ({"comment": 5}, ["body", "comment"], "Input should be a valid string"),
        ({"depends_on_task_ids": "x"}, ["body", "depends_on_task_ids"], "Input should be a valid list"),
        ({"title": "T" * 501}, ["body", "title"], None),
    ],
)
async def test_a_wrong_field_is_named(boards, change, loc, said):
    found = field_refusal(await refused(boards, await boards.task(), change))

    assert (loc, said or found[2]) == found[1:]


@pytest.mark.every_store
async def test_null_leaves_lists_alone_and_clears_what_may_be_empty(boards):
    first = await boards.task("First", status="done")
    task = await boards.task(description="d", depends_on_task_ids=[first["id"]], not_before="2031-01-01")
    change = {
        "description": None, "not_before": None, "depends_on_task_ids": None, "tag_ids": None,
        "custom_field_values": None, "comment": None, "depends_on": None,
    }  # fmt: skip
    changed = await patched(boards, task, change)

    assert (None, None, [first["id"]]) == (
        changed["description"], changed["not_before"], changed["depends_on_task_ids"],
    )  # fmt: skip


async def test_an_update_of_another_version_is_refused(boards):
    task = await boards.task()

    assert 412 == refusal(await refused(boards, task, {"title": "N"}, **{"if-match": '"4"'}))[0]
    assert 1 == (await patched(boards, task, {"title": "N"}, **{"if-match": '"0"'}))["version"]
    assert ["header", "If-Match"] == field_refusal(await refused(boards, task, {}, **{"if-match": "0"}))[1]


async def test_assigning_and_unassigning(boards):
    agent, task = await boards.agent(), await boards.task()
    assigned = await patched(boards, task, {"assigned_agent_id": agent["id"]})
    freed = await patched(boards, task, {"assigned_agent_id": None})

    assert (agent["id"], "inbox", "assigned") == (
        assigned["assigned_agent_id"], assigned["status"], assigned["core_status"],
    )  # fmt: skip
    assert (None, "inbox", "inbox") == (freed["assigned_agent_id"], freed["status"], freed["core_status"])


async def test_an_assignee_must_exist_and_be_of_the_board_or_of_none(boards, world):
    task = await boards.task()
    other = await world.agent("far", board=(await world.another_board()).id)
    main = await world.agent("max")

    assert (404, "Not Found") == refusal(await refused(boards, task, {"assigned_agent_id": NOWHERE}))
    assert (409, "Conflict") == refusal(await refused(boards, task, {"assigned_agent_id": str(other.id)}))
    assert str(main.id) == (await patched(boards, task, {"assigned_agent_id": str(main.id)}))["assigned_agent_id"]


async def test_progress_sets_the_clock_and_leaving_it_stops_it(boards, clock):
    agent, task = await boards.agent(), await boards.task()
    begun = await patched(boards, task, {"status": "in_progress", "assigned_agent_id": agent["id"]})
    back = await patched(boards, task, {"status": "inbox"})

    assert clock.now().replace(tzinfo=None).isoformat() == begun["in_progress_at"]
    assert (agent["id"], "in_progress") == (begun["assigned_agent_id"], begun["status"])
    assert (None, None, "inbox") == (back["in_progress_at"], back["assigned_agent_id"], back["status"])


@pytest.mark.every_store
async def test_back_in_the_inbox_with_an_assignee_stays_with_it(boards):
    agent, task = await boards.agent(), await boards.task(status="in_progress")
    back = await patched(boards, task, {"status": "inbox", "assigned_agent_id": agent["id"]})

    assert (agent["id"], "assigned") == (back["assigned_agent_id"], back["core_status"])


async def test_a_status_sent_again_means_nothing(boards, clock):
    """
    The task dialog always sends the status; saving a title must not restart the clock.
    """
    agent, task = await boards.agent(), await boards.task()
    begun = await patched(boards, task, {"status": "in_progress", "assigned_agent_id": agent["id"]})
    clock.advance(minutes=1)
    saved = await patched(boards, task, {"status": "in_progress", "title": "New", "assigned_agent_id": agent["id"]})

    assert (begun["in_progress_at"], agent["id"], "New") == (
        saved["in_progress_at"], saved["assigned_agent_id"], saved["title"],
    )  # fmt: skip


@pytest.mark.parametrize("status", Status)
async def test_a_status_that_the_task_shows_already_leaves_the_core_status_alone(boards, world, status):
    made = await world.task(status=status)
    (shown,) = (await boards.got("GET", boards.tasks))["items"]
    saved = await patched(boards, shown, {"status": shown["status"], "title": "New", "assigned_agent_id": None})

    assert (str(made.id), status.value, "New") == (saved["id"], saved["core_status"], saved["title"])


async def test_null_clears_an_assignee_that_no_agent_is(boards, world):
    made = await world.task(assignee="ghost")
    before = await boards.got("GET", f"{boards.tasks}/{made.id}/explain")
    (shown,) = (await boards.got("GET", boards.tasks))["items"]
    saved = await patched(boards, shown, {"assigned_agent_id": None})
    after = await boards.got("GET", f"{boards.tasks}/{made.id}/explain")

    assert ("blocked", True) == (before["state"], "ghost, which is not registered" in before["why"])
    assert (None, "inbox", "claimable") == (saved["assignee"], saved["core_status"], after["state"])


async def test_the_same_assignee_is_no_change_however_its_name_was_written(boards, world):
    agent = await boards.agent("ada")
    claimed = await world.claim(await world.task(), agent="ADA")
    (shown,) = (await boards.got("GET", boards.tasks))["items"]
    saved = await patched(boards, shown, {"title": "New", "assigned_agent_id": agent["id"]})

    assert agent["id"] == shown["assigned_agent_id"] == saved["assigned_agent_id"]
    assert ("ADA", claimed.task.fence) == (saved["assignee"], saved["fence"])


async def test_failed_work_is_tried_again_from_review(boards, world):
    await world.task(status=Status.FAILED)
    (shown,) = (await boards.got("GET", boards.tasks))["items"]

    assert "review" == shown["status"]
    assert "inbox" == (await patched(boards, shown, {"status": "inbox"}))["core_status"]


@pytest.mark.every_store
async def test_what_enters_review_goes_to_the_lead(boards, world):
    agent, task = await boards.agent(), await boards.task(status="in_progress")
    without = await patched(boards, task, {"status": "review", "assigned_agent_id": agent["id"]})
    await boards.lead()
    second = await boards.task("Second", status="in_progress")
    with_lead = await patched(boards, second, {"status": "review", "assigned_agent_id": agent["id"]})

    assert (agent["id"], None) == (without["assigned_agent_id"], without["in_progress_at"])
    assert "lea" == with_lead["assignee"]


async def test_what_enters_review_without_a_lead_belongs_to_nobody(boards):
    agent, task = await boards.agent(), await boards.task()
    await patched(boards, task, {"status": "in_progress", "assigned_agent_id": agent["id"]})

    assert (await patched(boards, task, {"status": "review"}))["assigned_agent_id"] is None


@pytest.mark.every_store
@pytest.mark.parametrize("status", ["in_progress", "review", "done"])
async def test_what_is_blocked_settles_in_the_inbox(boards, status):
    agent, first, task = await boards.agent(), await boards.task("First"), await boards.task()
    change = {"status": status, "assigned_agent_id": agent["id"], "depends_on_task_ids": [first["id"]], "title": "New"}
    changed = await patched(boards, task, change)

    assert ("inbox", None, None, "New") == (
        changed["status"], changed["assigned_agent_id"], changed["in_progress_at"], changed["title"],
    )  # fmt: skip
    assert ([first["id"]], True) == (changed["blocked_by_task_ids"], changed["is_blocked"])


async def test_what_is_parked_and_blocked_stays_parked(boards, world):
    first = await world.task()
    await world.task(status=Status.BACKLOG, depends_on=(first.id,))
    (shown, _) = (await boards.got("GET", boards.tasks))["items"]

    assert "backlog" == (await patched(boards, shown, {"title": "New"}))["core_status"]


async def test_what_is_done_stays_done_when_its_title_changes(boards):
    first = await boards.task("First", status="done")
    task = await boards.task(status="done", depends_on_task_ids=[first["id"]])
    await patched(boards, first, {"status": "inbox"})
    saved = await patched(boards, task, {"title": "New"})

    assert ("done", [], False) == (saved["status"], saved["blocked_by_task_ids"], saved["is_blocked"])


async def test_reopening_sends_dependents_back_to_rest(boards):
    agent = await boards.agent()
    first = await boards.task("First", status="done")
    task = await boards.task(depends_on_task_ids=[first["id"]])
    await patched(boards, task, {"status": "in_progress", "assigned_agent_id": agent["id"]})
    await patched(boards, first, {"status": "in_progress"})
    (shown, _) = (await boards.got("GET", boards.tasks))["items"]

    assert ("inbox", None, [first["id"]]) == (
        shown["status"], shown["assigned_agent_id"], shown["blocked_by_task_ids"],
    )  # fmt: skip


async def test_dependencies_that_cannot_be_are_refused(boards):
    first = await boards.task("First")
    second = await boards.task("Second", depends_on_task_ids=[first["id"]])
    done = await boards.task("Done", status="done")
    said = "One or more dependency tasks were not found on this board."

    for task, named, expected in (
        (first, first["id"], (422, "Task cannot depend on itself.")),
        (first, second["id"], (409, "Dependency cycle detected. Remove the cycle before saving.")),
        (done, first["id"], (409, "Cannot change task dependencies after a task is done.")),
        (first, NOWHERE, (404, {"message": said, "missing_task_ids": [NOWHERE]})),
    ):
        assert expected == refusal(await refused(boards, task, {"depends_on_task_ids": [named]}))


async def test_dependencies_are_replaced(boards):
    first, second = await boards.task("First"), await boards.task("Second")
    task = await boards.task(depends_on_task_ids=[first["id"]])

    assert [second["id"]] == (await patched(boards, task, {"depends_on_task_ids": [second["id"]]}))["depends_on"]
    assert [] == (await patched(boards, task, {"depends_on": []}))["depends_on_task_ids"]


async def test_tags_and_custom_fields_there_are_not_are_listed(boards):
    task = await boards.task()
    tags = await refused(boards, task, {"tag_ids": [NOWHERE]})
    values = await refused(boards, task, {"custom_field_values": {"key": 1}})

    assert (404, [NOWHERE]) == (tags.status, tags.json["detail"]["missing_tag_ids"])
    assert (422, ["key"]) == (values.status, values.json["detail"]["unknown_field_keys"])


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("require_approval_for_done", "Task can only be marked done when a linked approval has been approved."),
        ("require_review_before_done", "Task can only be marked done from review when the board rule is enabled."),
    ],
)
async def test_a_gate_keeps_a_task_from_done(boards, rule, said):
    await boards.got("PATCH", f"/api/v1/boards/{boards.board}", {rule: True})
    task = await boards.task()

    assert (409, {"message": said, "blocked_by_task_ids": []}) == refusal(
        await refused(boards, task, {"status": "done"})
    )
    assert "in_progress" == (await patched(boards, task, {"status": "in_progress"}))["status"]


async def test_a_review_opens_its_gate(boards):
    await boards.got("PATCH", f"/api/v1/boards/{boards.board}", {"require_review_before_done": True})
    task = await boards.task()
    await patched(boards, task, {"status": "review"})

    assert "done" == (await patched(boards, task, {"status": "done"}))["status"]


async def test_a_review_may_need_a_comment(boards, world):
    await boards.got("PATCH", f"/api/v1/boards/{boards.board}", {"comment_required_for_review": True})
    task = await boards.task()

    assert (422, "Comment is required.") == refusal(await refused(boards, task, {"status": "review"}))
    assert (422, "Comment is required.") == refusal(await refused(boards, task, {"status": "review", "comment": " "}))
    assert "review" == (await patched(boards, task, {"status": "review", "comment": "Look at it"}))["status"]
    assert "review" == (await patched(boards, task, {"status": "review", "title": "New"}))["status"]
    assert "task.commented" in await world.event_kinds()


async def test_a_comment_alone_is_kept(boards, world):
    task = await boards.task()
    await patched(boards, task, {"comment": "  Well done  "})
    entries = await world.ports.log.read(world.me.organization, limit=1000)

    assert ['"Well done"' in str(e.payload) for e in entries if e.kind == "task.commented"] == [True]


async def test_a_status_written_by_hand_ends_a_lease(boards):
    token = (await boards.agent())["agent_token"]
    task = await boards.task()
    claimed = await boards.got("POST", f"{boards.agent_tasks}/claim", agent=token)
    await patched(boards, task, {"status": "inbox"})
    path = f"{boards.agent_tasks}/{task['id']}/complete"

    assert 409 == refusal(await boards.call("POST", path, {"lease": claimed["lease"]["lease"]}, agent=token))[0]
