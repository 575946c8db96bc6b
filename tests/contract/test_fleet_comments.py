"""
Comments in the Fleet API: threads of them, who is called, and messages to all who follow a task.
"""

import json
from typing import Any

import pytest
from attrs import evolve

from mission_adapters.testing import ManualClock
from mission_core.accounts.members import MEMBERS, Member
from mission_core.accounts.users import USERS, User
from mission_core.ids import MemberId, UserId
from mission_core.kinds import DEPLOYMENT
from mission_core.tasks.comment_creation import AddComment, add_comment
from mission_core.tasks.comments import COMMENTS
from mission_core.values import name_key
from tests.contract.boards_driver import boards_over
from tests.contract.conftest import World
from tests.contract.fleet_driver import KEY, FleetDriver, refusal, wrong_fields
from tests.unit.http.platform.sample_app import ask


async def said(fleet: FleetDriver, task: Any, content: str = "Hello", **fields: Any) -> Any:
    made = await fleet.got("POST", f"/tasks/{task['id']}/comments", {"content": content, **fields}, 201)
    return made["comment"]


async def a_person(world: World, login: str, name: str | None = None) -> None:
    """
    A person whom the organization knows.
    """
    now = world.clock.now()
    (number,) = await world.ports.numbers.next((DEPLOYMENT, "user"))
    # User names are unique in the deployment, which all tests share.
    await forget_user(world, login)
    user = User(
        id=UserId(world.ports.ids.new()), number=number, username=login, username_key=name_key(login), name=name,
        created_at=now, updated_at=now,
    )  # fmt: skip
    place = Member(
        id=MemberId(world.ports.ids.new()), organization=world.me.organization, user=user.id, role="member",
        created_at=now, updated_at=now,
    )  # fmt: skip
    async with world.ports.unit(world.me) as unit:
        unit.repository(USERS).add(user)
        unit.repository(MEMBERS).add(place)
        await unit.commit()


async def forget_user(world: World, login: str) -> None:
    """
    Free a user name that another test took.
    """
    async with world.ports.unit(world.me) as unit:
        users = unit.repository(USERS)
        if taken := await users.find(username_key=name_key(login)):
            users.save(taken.renamed(f"{login}-{taken.id}"))
            await unit.commit()


def printed(*texts: Any, **meta: Any) -> str:
    """
    What a runtime prints.
    """
    return json.dumps({"payloads": [{"text": text} for text in texts], "meta": meta})


async def test_a_comment_reads_back_as_it_was_answered(fleet: FleetDriver, clock: ManualClock) -> None:
    await fleet.agent("ada")
    task = await fleet.task()
    made = await said(fleet, task, "Look, @ADA", author="somebody else")

    assert {
        "id": made["id"], "task_id": task["id"], "author": "API Access", "content": "Look, @ADA",
        "created_at": int(clock.now().timestamp()), "parent_id": None, "mentions": ["ada"], "workspace_id": 1,
        "replies": [],
    } == made  # fmt: skip
    assert {"comments": [made], "total": 1} == await fleet.got("GET", f"/tasks/{task['id']}/comments")


@pytest.mark.every_store
async def test_replies_stand_below_what_they_answer_oldest_first(fleet: FleetDriver) -> None:
    task, other = await fleet.task(), await fleet.task()
    first = await said(fleet, task, "1")
    second = await said(fleet, task, "2")
    below = await said(fleet, task, "1.1", parent_id=first["id"])
    await said(fleet, task, "1.1.1", parent_id=below["id"])
    await said(fleet, task, "1.2", parent_id=first["id"])
    await said(fleet, other, "else")
    listed = await fleet.got("GET", f"/tasks/{task['id']}/comments")

    def outline(comments: Any) -> Any:
        return [(each["content"], each["parent_id"], outline(each["replies"])) for each in comments]

    assert 5 == listed["total"]
    assert [
        ("1", None, [("1.1", first["id"], [("1.1.1", below["id"], [])]), ("1.2", first["id"], [])]),
        ("2", None, []),
    ] == outline(listed["comments"])
    assert second["id"] > first["id"]


async def test_a_thread_may_be_as_deep_as_it_likes(fleet: FleetDriver, world: World) -> None:
    """
    Beyond what a recursive writer could follow.
    """
    task = await world.task()
    depth = 3_000
    latest = await add_comment(world.ports, world.me, AddComment(task=task.id, content="["))
    async with world.ports.unit(world.me) as unit:
        for _ in range(depth):
            latest = evolve(latest, id=world.ports.ids.new(), number=latest.number + 1, parent=latest.id)
            unit.repository(COMMENTS).add(latest)
        await unit.commit()
    answer = await ask(fleet.app, "GET", f"/api/tasks/{task.number}/comments", key=KEY)

    assert 200 == answer.status
    assert answer.body.endswith(b'"replies":[' + b"]}" * (depth + 1) + b'],"total":%d}' % (depth + 1))


@pytest.mark.parametrize("parent", [999_999, 0, -1])
async def test_a_reply_to_nothing_is_refused(fleet: FleetDriver, parent: int) -> None:
    task, other = await fleet.task(), await fleet.task()
    elsewhere = await said(fleet, other)
    place = f"/tasks/{task['id']}/comments"

    for number in (parent, elsewhere["id"]):
        answer = await fleet.call("POST", place, {"content": "Hi", "parent_id": number})
        assert (404, "Parent comment not found") == refusal(answer)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "content: Comment content is required"),
        ({"content": ""}, "content: Comment content is required"),
        ({"content": 5}, None), ({"content": "\0"}, None), ({"content": None}, None),
    ],
)  # fmt: skip
async def test_a_comment_says_something(fleet: FleetDriver, body: Any, said: str | None) -> None:
    task = await fleet.task()
    answer = await fleet.call("POST", f"/tasks/{task['id']}/comments", body)

    assert ["content"] == wrong_fields(answer)
    assert said in (None, *answer.json["details"])
    assert ["parent_id"] == wrong_fields(
        await fleet.call("POST", f"/tasks/{task['id']}/comments", {"content": "x", "parent_id": "1"})
    )


async def test_a_comment_may_be_long(fleet: FleetDriver) -> None:
    """
    As long as a body can be.
    """
    task = await fleet.task()

    assert 900_000 == len((await said(fleet, task, "x" * 900_000))["content"])


async def test_what_is_not_there_has_no_comments(fleet: FleetDriver) -> None:
    for path, refused in (("999999", (404, "Task not found")), ("x", (400, "Invalid task ID"))):
        for method, body in (("GET", None), ("POST", {"content": "Hi"})):
            assert refused == refusal(await fleet.call(method, f"/tasks/{path}/comments", body))
    assert (400, "Invalid task ID") == refusal(await fleet.call("POST", "/tasks/x/comments", {}))


async def test_an_agents_key_comments_on_its_own_tasks_only(fleet: FleetDriver) -> None:
    _, token = await fleet.agent("ada")
    own, other = await fleet.task(assigned_to="ada"), await fleet.task(assigned_to="bob")
    said = "Access denied: agent key may only access its own tasks."

    for method, body, status in (("GET", None, 200), ("POST", {"content": "Hi"}, 201)):
        answer = await fleet.call(method, f"/tasks/{other['id']}/comments", body, key=token)
        assert (403, said) == refusal(answer)
        answer = await fleet.call(method, f"/tasks/{own['id']}/comments", body, key=token)
        assert status == answer.status
    assert "ada" == answer.json["comment"]["author"]


async def test_whom_nobody_knows_cannot_be_called(fleet: FleetDriver) -> None:
    """
    In a comment, or in the description of a task, new or changed.
    """
    await fleet.agent("Ada Lovelace", config={"openclawId": "engine-1"})
    task = await fleet.task()
    text = "@ada-lovelace, @Eve and @engine-1: ask @eve, @mallory"
    for method, path, body in (
        ("POST", f"/tasks/{task['id']}/comments", {"content": text}),
        ("POST", "/tasks", {"title": "x", "description": text}),
        ("PUT", f"/tasks/{task['id']}", {"description": text}),
    ):
        answer = await fleet.call(method, path, body)
        assert (400, {"error": "Unknown mentions: @Eve, @mallory", "missing_mentions": ["Eve", "mallory"]}) == (
            answer.status, answer.json,
        )  # fmt: skip
    assert 0 == (await fleet.got("GET", f"/tasks/{task['id']}/comments"))["total"]
    assert "ask me@example.com" == (await fleet.task(description="ask me@example.com"))["description"]


@pytest.mark.every_store
async def test_a_task_of_nobody_goes_to_the_first_agent_that_is_called(fleet: FleetDriver, world: World) -> None:
    await a_person(world, "carl")
    for name in ("ada", "bob"):
        await fleet.agent(name)
    task = await fleet.task()
    place, body = f"/tasks/{task['id']}/comments", {"content": "@carl: ask @bob or @ada"}
    made, again = [await fleet.got("POST", place, body, 201, idempotency_key="k") for _ in range(2)]
    given = (await fleet.got("GET", f"/tasks/{task['id']}"))["task"]

    assert ("bob", ["carl", "bob", "ada"]) == (made["auto_assigned_to"], made["comment"]["mentions"])
    assert made == again
    assert ("bob", "assigned") == (given["assigned_to"], given["status"])
    assert "auto_assigned_to" not in await fleet.got("POST", place, body, 201)
    assert 2 == (await fleet.got("GET", place))["total"]


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (printed("One", "Two"), "One\nTwo"),
        (
            printed("One", agentMeta={"model": "opus", "usage": {"total": 1234}}, durationMs=12_345),
            "One\n\n_opus · 1234 tokens · 12.3s_",
        ),
        (printed("One", durationMs=0), "One\n\n_0.0s_"),
        (f"\x1b[32m{printed('One', agentMeta={'model': 'opus'})}\x1b[0m", "One\n\n_opus_"),
        (printed("One", None, 5, "", agentMeta=5, durationMs="soon"), "One"),
        (printed("One", agentMeta={"model": 1, "usage": {"total": True}}, durationMs=float("inf")), "One"),
        (json.dumps({"payloads": [5, {}, {"text": "One"}], "meta": []}), "One"),
        (printed(), printed()),
        ('{"payloads": 5}', '{"payloads": 5}'),
        ('{"payloads": [', '{"payloads": ['),
        ('[{"payloads": []}]', '[{"payloads": []}]'),
        ('{"a":' * 50_000, '{"a":' * 50_000),
        ("\x1b[1mbold\x1b[0m", "\x1b[1mbold\x1b[0m"),
    ],
)
async def test_what_a_runtime_prints_is_kept_as_people_read_it(fleet: FleetDriver, content: str, kept: str) -> None:
    assert kept == (await said(fleet, await fleet.task(), content))["content"]


async def test_what_a_runtime_prints_must_be_keepable_too(fleet: FleetDriver) -> None:
    task = await fleet.task()
    for text in ("\0", "\ud800"):
        body = {"content": '{"payloads": [{"text": ' + json.dumps(text) + "}]}"}
        assert ["content"] == wrong_fields(await fleet.call("POST", f"/tasks/{task['id']}/comments", body))


@pytest.mark.every_store
async def test_who_can_be_called_is_listed_people_first(fleet: FleetDriver, world: World) -> None:
    for login, name in (("zoe", "Zoe Z"), ("Carl", None)):
        await a_person(world, login, name)
    for name, id in (("bob", "carl"), ("Ada Lovelace", "engine-1"), ("@!", "@!")):
        await fleet.agent(name, config={"openclawId": id})
    listed = await fleet.got("GET", "/mentions")
    agent = {"type": "agent", "role": "coder"}

    assert [
        {"handle": "carl", "recipient": "Carl", "type": "user", "display": "Carl"},
        {"handle": "zoe", "recipient": "zoe", "type": "user", "display": "Zoe Z"},
        {"handle": "engine-1", "recipient": "Ada Lovelace", "display": "Ada Lovelace", **agent},
        {"handle": "bob", "recipient": "bob", "display": "bob", **agent},
    ] == [each for each in listed["mentions"] if each.get("role") in (None, "coder")]
    assert (len(listed["mentions"]), "") == (listed["total"], listed["q"])
    for query, handles in {
        "q=LOVE": ["engine-1"], "q=%20zoe%20z": ["zoe"], "q=arl&type=agent": [], "type=user&limit=1": ["carl"],
        "q=bo&limit=x": ["bob"], "type=user&limit=0": ["carl"], "type=user&limit=-5": ["carl"],
        "type=user&limit=999": ["carl", "zoe"],
    }.items():  # fmt: skip
        found = await fleet.got("GET", f"/mentions?{query}")
        assert handles == [each["handle"] for each in found["mentions"]], query
        assert len(handles) == found["total"]
    assert "love" == (await fleet.got("GET", "/mentions?q=%20LOVE"))["q"]
    assert ["type"] == wrong_fields(await fleet.call("GET", "/mentions?type=robot"))


async def test_a_message_skips_agents_that_cannot_be_reached(fleet: FleetDriver, world: World) -> None:
    """
    Whoever follows the task: made it, has it, worked on it, said something, or was called.
    """
    tokens = {name: (await fleet.agent(name))[1] for name in ("ada", "bob", "cyd", "dot", "eve", "fay")}
    body = {"title": "x", "description": "for @bob"}
    task = (await fleet.got("POST", "/tasks", body, 201, key=tokens["ada"]))["task"]
    await fleet.claim(task["id"], "cyd")
    await fleet.got("POST", f"/tasks/{task['id']}/orders", {"kind": "steal", "to": "dot"})
    await said(fleet, task, "@eve, look")
    place = f"/tasks/{task['id']}/broadcast"
    told = await fleet.got("POST", place, {"message": "Stop"})
    (fact,) = [each for each in await log(world) if each["kind"] == "task.broadcast"]

    assert {"sent": 0, "skipped": 5, "delivered_to": []} == told
    assert ("API Access", "Stop", [], ["ada", "bob", "cyd", "dot", "eve"]) == tuple(
        fact[name] for name in ("author", "message", "sent", "skipped")
    )
    assert 4 == (await fleet.got("POST", place, {"message": "Stop"}, key=tokens["dot"]))["skipped"]
    assert 1 == (await fleet.got("POST", place, {"message": "Stop", "agents": ["FAY", "nobody"]}))["skipped"]


async def log(world: World) -> list[Any]:
    entries = await world.ports.log.read(world.me.organization, limit=10_000)
    return [json.loads(entry.payload) | {"kind": entry.kind} for entry in entries if entry.payload]


async def test_a_message_to_nobody_is_none(fleet: FleetDriver, world: World) -> None:
    task = await fleet.task()
    before = len(await world.event_kinds())

    assert 0 == (await fleet.got("POST", f"/tasks/{task['id']}/broadcast", {"message": "Stop"}))["skipped"]
    assert before == len(await world.event_kinds())


async def test_a_message_that_is_sent_twice_under_one_key_is_told_once(fleet: FleetDriver, world: World) -> None:
    await fleet.agent("ada")
    task = await fleet.task(assigned_to="ada")
    for _ in range(2):
        told = await fleet.got("POST", f"/tasks/{task['id']}/broadcast", {"message": "Stop"}, idempotency_key="k")
        assert 1 == told["skipped"]
    assert 1 == (await world.event_kinds()).count("task.broadcast")


async def test_a_message_says_something_about_a_task(fleet: FleetDriver) -> None:
    _, token = await fleet.agent("ada")
    task = await fleet.task(assigned_to="bob")
    place = f"/tasks/{task['id']}/broadcast"
    for body in (None, {}, {"message": ""}, {"message": " "}, {"message": 5}, []):
        assert (400, "Message is required") == refusal(await fleet.call("POST", place, body))
    assert ["message"] == wrong_fields(await fleet.call("POST", place, {"message": "\0"}))
    assert 400 == (await fleet.call("POST", place, {"message": "x", "agents": "ada"})).status
    malformed = await fleet.call("POST", place, raw=b"{")
    assert (400, "Invalid request body") == (malformed.status, malformed.json["error"])
    assert (400, "Invalid task ID") == refusal(await fleet.call("POST", "/tasks/x/broadcast", {"message": "x"}))
    assert (404, "Task not found") == refusal(await fleet.call("POST", "/tasks/999999/broadcast", {"message": "x"}))
    assert 403 == (await fleet.call("POST", place, {"message": "x"}, key=token)).status


async def test_what_is_said_in_one_dialect_is_heard_in_the_other(fleet: FleetDriver, world: World) -> None:
    """
    Both ways, with who said it, whom it calls and what it answers.
    """
    async with boards_over(world.ports, world.me, world.board.id) as boards:
        ada = await boards.agent("ada")
        task = await boards.task()
        theirs = f"{boards.tasks}/{task['id']}/comments"
        ours = f"/tasks/{task['number']}/comments"
        first = await boards.got("POST", theirs, {"message": "Begin, @ada"})
        key = await fleet.key("ada", "admin")
        second = await fleet.got("POST", ours, {"content": "@ada begins", "parent_id": first["number"]}, 201, key=key)
        await boards.got("PATCH", f"{boards.tasks}/{task['id']}", {"comment": "Well"})
        listed = (await boards.got("GET", theirs))["items"]
    threads = (await fleet.got("GET", ours))["comments"]

    assert [
        ("Begin, @ada", None, "Local User", None, ["ada"]),
        ("@ada begins", ada["id"], "ada", first["id"], ["ada"]),
        ("Well", None, "Local User", None, []),
    ] == [tuple(each[name] for name in ("message", "agent_id", "author", "parent_id", "mentions")) for each in listed]
    assert [first["number"], listed[2]["number"]] == [each["id"] for each in threads]
    assert ("Begin, @ada", "Local User", ["ada"], [second["comment"]]) == tuple(
        threads[0][each] for each in ("content", "author", "mentions", "replies")
    )
