"""
Custom fields in the Boards API.
"""

import pytest

from mission_http.boards.custom_fields import TaskCustomFieldDefinitionRead
from tests.contract.boards_driver import field_refusal, refusal
from tests.contract.boards_examples import NOWHERE, names_of, patched

FIELDS = "/api/v1/organizations/me/custom-fields"


async def a_field(boards, key="size", **fields):
    """
    A new field of the board.
    """
    return await boards.got("POST", FIELDS, {"field_key": key, "board_ids": [str(boards.board)], **fields})


async def refused(boards, **fields):
    """
    The answer to a field that must not be made.
    """
    body = {"field_key": "size", "board_ids": [str(boards.board)], **fields}
    answer = await boards.call("POST", FIELDS, body)
    assert 200 != answer.status, answer.json
    return answer


async def test_a_new_field_has_the_documented_defaults(boards, world, clock):
    made = await boards.call("POST", FIELDS, {"field_key": " Size ", "board_ids": [str(boards.board)] * 2})
    now = clock.now().replace(tzinfo=None).isoformat()
    expected = {
        "organization_id": str(world.me.organization), "field_key": "Size", "label": "Size", "field_type": "text",
        "ui_visibility": "always", "validation_regex": None, "description": None, "required": False,
        "default_value": None, "board_ids": [str(boards.board)], "created_at": now, "updated_at": now, "version": 0,
    }  # fmt: skip

    assert names_of(TaskCustomFieldDefinitionRead) == made.json.keys() == expected.keys() | {"id"}
    assert expected == {name: made.json[name] for name in expected}
    assert '"0"' == made.headers["etag"]
    assert [made.json] == await boards.got("GET", FIELDS)


async def test_types_and_visibilities_may_be_spelled_as_forms_do(boards):
    field = await a_field(boards, field_type=" Date & Time", ui_visibility="If Set", validation_regex=" ")

    assert ("date_time", "if_set", None) == (field["field_type"], field["ui_visibility"], field["validation_regex"])


async def test_wrong_fields_are_named_one_by_one(boards):
    body = {"field_key": " ", "board_ids": [], "field_type": "number", "ui_visibility": "never", "required": "maybe"}
    answer = await boards.call("POST", FIELDS, body)
    shown = {each["loc"][1]: each["type"] for each in answer.json["detail"]}
    types = next(each["msg"] for each in answer.json["detail"] if each["loc"] == ["body", "field_type"])

    assert {
        "field_key": "string_too_short", "board_ids": "too_short", "field_type": "value_error",
        "ui_visibility": "value_error", "required": "bool_parsing",
    } == shown  # fmt: skip
    assert types.endswith("text, text_long, integer, decimal, boolean, date, date_time, url, json")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"validation_regex": "x", "field_type": "integer"}, "is only supported for string field types."),
        ({"validation_regex": "("}, "is not a regular expression: missing ), unterminated subpattern at position 0"),
        ({"validation_regex": r"(a)\1"}, "must not contain backreferences"),
        ({"validation_regex": "x" * 501}, "must have at most 500 characters"),
    ],
)
async def test_a_pattern_that_cannot_be_asked_is_refused(boards, fields, said):
    place = ["body", "validation_regex"]

    assert ("value_error", place, f"Value error, validation_regex {said}") == field_refusal(
        await refused(boards, **fields)
    )


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"field_type": "integer", "default_value": "3"}, "must be an integer"),
        ({"field_type": "json", "default_value": 3}, "must be a JSON object or array"),
        ({"default_value": "abc", "validation_regex": "[0-9]+"}, "does not match validation_regex"),
    ],
)
async def test_a_default_that_does_not_fit_is_refused_with_the_reason(boards, fields, reason):
    assert (422, reason) == refusal(await refused(boards, **fields))


async def test_what_no_store_can_hold_is_refused(boards):
    answer = field_refusal(await refused(boards, field_type="json", default_value={"a": "\x00"}))

    assert ("value_error", ["body", "default_value"]) == answer[:2]


async def test_boards_that_are_not_there_are_listed(boards, elsewhere):
    strange = [NOWHERE, str(elsewhere.board.id)]
    field = await a_field(boards)
    message = "Some selected boards are invalid for this organization."
    answers = (
        await refused(boards, board_ids=[str(boards.board), *strange]),
        await boards.call("PATCH", f"{FIELDS}/{field['id']}", {"board_ids": strange}),
    )

    assert [(422, {"message": message, "invalid_board_ids": strange})] * 2 == [refusal(each) for each in answers]


async def test_a_key_belongs_to_one_field(boards):
    await a_field(boards)

    assert (409, "Field key already exists in this organization.") == refusal(await refused(boards))


@pytest.mark.every_store
async def test_fields_are_listed_by_label(boards, world):
    """
    Whatever its case, with their boards in order.
    """
    other = str((await world.another_board()).id)
    both = sorted([str(boards.board), other])
    for label in ("b", "C", "a"):
        await a_field(boards, label * 2, label=label, board_ids=both[::-1])
    listed = await boards.got("GET", FIELDS)

    assert [("a", both), ("b", both), ("C", both)] == [(each["label"], each["board_ids"]) for each in listed]


@pytest.mark.every_store
async def test_only_what_is_sent_changes(boards, world):
    other = str((await world.another_board()).id)
    field = await a_field(boards, description="x", default_value="a", validation_regex="[a-z]")
    changes = {"label": "Size", "required": True, "board_ids": [other], "default_value": None, "description": None}
    changed = await boards.got("PATCH", f"{FIELDS}/{field['id']}", changes)
    assert {**field, **changes, "version": 1} == changed

    typed = {"field_type": "json", "validation_regex": None, "default_value": {"b": [1, 2.5], "a": None}}
    assert {**changed, **typed, "version": 2} == await boards.got("PATCH", f"{FIELDS}/{field['id']}", typed)
    assert 2 == (await boards.got("PATCH", f"{FIELDS}/{field['id']}", {"board_ids": None}))["version"]


@pytest.mark.parametrize(
    ("body", "place", "said"),
    [
        ({}, ["body"], "At least one field is required"),
        ({"field_key": "size"}, ["body", "field_key"], "field_key cannot be changed after creation."),
        (
            {"required": None, "label": None},
            ["body"],
            "label, required cannot be null; omit the field to leave it unchanged",
        ),
    ],
)
async def test_what_cannot_change_is_refused(boards, body, place, said):
    field = await a_field(boards)
    answer = await boards.call("PATCH", f"{FIELDS}/{field['id']}", body)

    assert ("value_error", place, f"Value error, {said}") == field_refusal(answer)


@pytest.mark.every_store
async def test_a_task_shows_every_field_of_its_board(boards, fleet, world):
    """
    The value it has, else the default; whoever made it, and wherever it is shown.
    """
    await a_field(boards, "size", field_type="integer", default_value=3)
    await a_field(boards, "team")
    other = str((await world.another_board()).id)
    await boards.got("POST", FIELDS, {"field_key": "theirs", "board_ids": [other]})
    task = await boards.task(custom_field_values={"team": "red"})
    made = await fleet.task("Made elsewhere")
    assert {"size": 3, "team": "red"} == task["custom_field_values"]

    listed = {each["number"]: each["custom_field_values"] for each in (await boards.got("GET", boards.tasks))["items"]}
    assert {task["number"]: {"size": 3, "team": "red"}, made["id"]: {"size": 3, "team": None}} == listed
    agent = (await boards.agent())["agent_token"]
    taken = await boards.got("POST", f"{boards.agent_tasks}/claim", {}, agent=agent)
    assert {"size": 3, "team": "red"} == taken["task"]["custom_field_values"]


async def test_values_are_merged_by_key(boards):
    for key, kind in ("a", "json"), ("b", "decimal"), ("c", "boolean"):
        await a_field(boards, key, field_type=kind)
    task = await boards.task(custom_field_values={"a": {"x": [1, None]}, "b": 2.50})
    task = await patched(boards, task, {"custom_field_values": {"b": None, "c": False}})
    assert {"a": {"x": [1, None]}, "b": None, "c": False} == task["custom_field_values"]

    assert (
        task["custom_field_values"]
        == (await patched(boards, task, {"custom_field_values": None, "title": "x"}))["custom_field_values"]
    )


async def test_a_value_that_does_not_fit_is_refused_with_the_reason(boards):
    await a_field(boards, field_type="integer")
    task = await boards.task()
    told = {
        "message": "Invalid custom field value.", "field_key": "size", "field_type": "integer",
        "reason": "must be an integer",
    }  # fmt: skip
    values = {"custom_field_values": {"size": True}}

    assert (422, told) == refusal(await boards.call("POST", boards.tasks, {"title": "T", **values}))
    assert (422, told) == refusal(await boards.call("PATCH", f"{boards.tasks}/{task['id']}", values))


async def test_required_values_are_missed_by_name(boards):
    """
    On a PATCH only where values are written to.
    """
    task = await boards.task()
    for key in "zb":
        await a_field(boards, key, required=True)
    await a_field(boards, "d", required=True, default_value="stands in")
    told = {"message": "Required custom fields must have values.", "missing_field_keys": ["b", "z"]}

    assert (422, told) == refusal(await boards.call("POST", boards.tasks, {"title": "T"}))
    await patched(boards, task, {"title": "Renamed"})
    answer = await boards.call("PATCH", f"{boards.tasks}/{task['id']}", {"custom_field_values": {}})
    assert (422, told) == refusal(answer)
    await patched(boards, task, {"custom_field_values": {"b": "1", "z": "2"}})


@pytest.mark.every_store
async def test_a_field_goes_when_no_task_has_a_value_of_it(boards):
    field = await a_field(boards)
    task = await boards.task(custom_field_values={"size": "S"})
    told = "Cannot delete a custom field definition while task values exist."
    assert (409, told) == refusal(await boards.call("DELETE", f"{FIELDS}/{field['id']}"))

    await patched(boards, task, {"custom_field_values": {"size": None}})
    assert {"ok": True} == await boards.got("DELETE", f"{FIELDS}/{field['id']}")
    assert {} == (await boards.got("GET", boards.tasks))["items"][0]["custom_field_values"]
