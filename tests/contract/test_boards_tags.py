"""
Tags in the Boards API, and what the Fleet API shows of them.
"""

import pytest

from mission_http.boards.tags import TagRead
from tests.contract.boards_driver import field_refusal, refusal
from tests.contract.boards_examples import NOWHERE, names_of, patched

TAGS = "/api/v1/tags"


async def a_tag(boards, name="Bug", **fields):
    """
    A new tag.
    """
    return await boards.got("POST", TAGS, {"name": name, **fields})


def ref(tag):
    return {name: tag[name] for name in ("id", "name", "slug", "color")}


async def test_a_new_tag_has_the_documented_defaults(boards, world, clock):
    made = await boards.call("POST", TAGS, {"name": " Front End "})
    now = clock.now().replace(tzinfo=None).isoformat()
    expected = {
        "organization_id": str(world.me.organization), "name": "Front End", "slug": "front-end", "color": "9e9e9e",
        "description": None, "task_count": 0, "created_at": now, "updated_at": now, "version": 0,
    }  # fmt: skip

    assert names_of(TagRead) == made.json.keys() == expected.keys() | {"id"}
    assert expected == {name: made.json[name] for name in expected}
    assert '"0"' == made.headers["etag"]
    assert made.json == await boards.got("GET", f"{TAGS}/{made.json['id']}")


async def test_slug_and_color_go_by_their_one_spelling(boards):
    tag = await a_tag(boards, "Bug", slug="Bugs & Flaws", color=" #AbCdEf ", description="What is broken")

    assert ("bugs-flaws", "abcdef", "What is broken") == (tag["slug"], tag["color"], tag["description"])
    assert "chore" == (await a_tag(boards, "Chore", slug=" "))["slug"]


async def test_wrong_fields_are_named_one_by_one(boards):
    answer = await boards.call("POST", TAGS, {"name": " ", "color": "red", "slug": 1})
    shown = [(each["type"], each["loc"], each["msg"]) for each in answer.json["detail"]]

    assert [
        ("string_too_short", ["body", "name"], "String should have at least 1 character"),
        ("string_type", ["body", "slug"], "Input should be a valid string"),
        ("value_error", ["body", "color"], "Value error, color must be a 6-digit hex value"),
    ] == shown
    blank = await boards.call("POST", TAGS, {"name": "Bug", "color": "#"})
    assert ("value_error", ["body", "color"], "Value error, color is required") == field_refusal(blank)


async def test_a_slug_belongs_to_one_tag(boards):
    await a_tag(boards, "Bug")
    other = await a_tag(boards, "Other")
    taken = (409, "Tag slug already exists in this organization.")

    assert taken == refusal(await boards.call("POST", TAGS, {"name": "bug"}))
    assert taken == refusal(await boards.call("PATCH", f"{TAGS}/{other['id']}", {"slug": "BUG"}))


async def test_only_what_is_sent_changes(boards):
    tag = await a_tag(boards, "Bug", color="112233", description="x")
    renamed = await boards.got("PATCH", f"{TAGS}/{tag['id']}", {"name": "Flaw"})
    assert {**tag, "name": "Flaw", "version": 1} == renamed

    derived = await boards.got("PATCH", f"{TAGS}/{tag['id']}", {"slug": "", "description": None, "color": "#FFF000"})
    assert {**renamed, "slug": "flaw", "description": None, "color": "fff000", "version": 2} == derived


async def test_a_change_must_change_something_and_null_only_what_can_be_null(boards):
    tag = await a_tag(boards)
    empty = field_refusal(await boards.call("PATCH", f"{TAGS}/{tag['id']}", {}))

    assert ("value_error", ["body"], "Value error, At least one field is required") == empty
    for name in ("name", "color"):
        answer = field_refusal(await boards.call("PATCH", f"{TAGS}/{tag['id']}", {name: None}))
        assert ("string_type", ["body", name]) == answer[:2]


@pytest.mark.every_store
async def test_tags_are_listed_by_name_with_their_tasks_counted(boards):
    """
    Whatever the case of the name, in pages with an exact total.
    """
    tags = {name: await a_tag(boards, name) for name in ("b", "C", "a", "D")}
    await boards.task(tag_ids=[tags["b"]["id"], tags["C"]["id"]])
    await boards.task(tag_ids=[tags["C"]["id"]])
    listed = await boards.got("GET", TAGS)
    page = await boards.got("GET", f"{TAGS}?limit=2&offset=1")

    assert [("a", 0), ("b", 1), ("C", 2), ("D", 0)] == [(tag["name"], tag["task_count"]) for tag in listed["items"]]
    assert (4, 200, 0) == (listed["total"], listed["limit"], listed["offset"])
    assert (["b", "C"], 4) == ([tag["name"] for tag in page["items"]], page["total"])
    assert 2 == (await boards.got("GET", f"{TAGS}/{tags['C']['id']}"))["task_count"]


async def test_a_task_shows_its_tags_everywhere(boards):
    """
    In the order it got them, each once: when made, changed, listed and taken.
    """
    a, b = await a_tag(boards, "a"), await a_tag(boards, "b", color="00ff00")
    task = await boards.task(tag_ids=[b["id"], a["id"], b["id"]])
    assert ([b["id"], a["id"]], [ref(b), ref(a)]) == (task["tag_ids"], task["tags"])

    task = await patched(boards, task, {"tag_ids": [a["id"]]})
    assert [ref(a)] == task["tags"]
    task = await patched(boards, task, {"tag_ids": None, "title": "Renamed"})
    assert [ref(a)] == task["tags"]
    assert [task] == (await boards.got("GET", boards.tasks))["items"]

    agent = (await boards.agent())["agent_token"]
    taken = await boards.got("POST", f"{boards.agent_tasks}/claim", {}, agent=agent)
    assert [ref(a)] == taken["task"]["tags"]


@pytest.mark.every_store
async def test_a_removed_tag_is_on_no_task(boards):
    tag = await a_tag(boards)
    task = await boards.task(tag_ids=[tag["id"]])

    assert {"ok": True} == await boards.got("DELETE", f"{TAGS}/{tag['id']}")
    assert [] == (await boards.got("GET", boards.tasks))["items"][0]["tag_ids"]
    missing = {
        "message": "One or more tags do not exist in this organization.", "missing_tag_ids": [tag["id"]],
    }  # fmt: skip
    answer = await boards.call("PATCH", f"{boards.tasks}/{task['id']}", {"tag_ids": [tag["id"]]})
    assert (404, missing) == refusal(answer)


async def test_an_agent_sees_the_tags_its_tasks_may_have(boards, world):
    tags = [await a_tag(boards, name) for name in ("b", "A")]
    token = (await boards.agent())["agent_token"]
    place = "/api/v1/agent/boards/{}/tags"
    elsewhere = (await world.another_board()).id

    assert [ref(tags[1]), ref(tags[0])] == await boards.got("GET", place.format(boards.board), agent=token)
    assert (403, "Forbidden") == refusal(await boards.call("GET", place.format(elsewhere), agent=token))
    assert (404, "Not Found") == refusal(await boards.call("GET", place.format(NOWHERE), agent=token))
    assert 401 == (await boards.call("GET", place.format(boards.board))).status


@pytest.mark.every_store
async def test_a_tag_shows_its_name_through_the_other_api(boards, fleet):
    """
    Before the task's own words; renamed, under its new name, and removed, not at all.
    """
    tag = await a_tag(boards, "Bug")
    task = await boards.task(tag_ids=[tag["id"]])
    await fleet.got("PUT", f"/tasks/{task['number']}", {"tags": ["urgent", "BUG"]})

    async def words():
        return (await fleet.got("GET", f"/tasks/{task['number']}"))["task"]["tags"]

    assert ["Bug", "urgent"] == await words()
    await boards.got("PATCH", f"{TAGS}/{tag['id']}", {"name": "Flaw"})
    assert ["Flaw", "urgent"] == await words()
    assert [["Flaw", "urgent"]] == [each["tags"] for each in (await fleet.got("GET", "/tasks"))["tasks"]]
    await boards.got("DELETE", f"{TAGS}/{tag['id']}")
    assert ["urgent"] == await words()


async def test_a_word_that_names_a_tag_is_that_tag_through_the_other_api(boards, fleet):
    tag = await a_tag(boards, "Bug")
    made = await fleet.task(tags=["bug", "urgent"])

    (task,) = (await boards.got("GET", boards.tasks))["items"]
    assert ([ref(tag)], ["Bug", "urgent"]) == (task["tags"], made["tags"])
    await patched(boards, task, {"tag_ids": []})
    assert ["urgent"] == (await fleet.got("GET", f"/tasks/{made['id']}"))["task"]["tags"]


async def test_a_word_is_not_shown_beside_a_tag_of_its_name(boards, fleet):
    """
    Wherever the tag got that name.
    """
    tag = await a_tag(boards, "Flaw")
    made = await fleet.task(tags=["flaw", "bug"])
    await boards.got("PATCH", f"{TAGS}/{tag['id']}", {"name": "Bug"})

    assert ["Bug"] == (await fleet.got("GET", f"/tasks/{made['id']}"))["task"]["tags"]
