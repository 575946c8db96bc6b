"""
Custom fields, and the values that tasks have of them.
"""

import json

import pytest

from mission_adapters.testing.concurrent_writes import at_once
from mission_core.boards.custom_field_use_cases import (
    CreateField,
    DeleteField,
    UpdateField,
    create_field,
    delete_field,
    remove_board_from_fields,
    update_field,
)
from mission_core.boards.custom_fields import (
    CUSTOM_FIELDS,
    CustomFieldType,
    DefaultInvalid,
    FieldBoardsUnknown,
    FieldInUse,
    FieldKeyTaken,
)
from mission_core.errors import InvalidField
from mission_core.tasks.queries import TaskFilter
from mission_core.tasks.tags_and_custom_fields import CustomFieldsRequired, CustomFieldsUnknown, CustomFieldValueInvalid
from mission_core.tasks.use_cases import CreateTask, DeleteTask, UpdateTask, create_task, delete_task, update_task
from mission_core.values import PageRequest, canonical


async def a_field(world, key="size", *, on=(), **fields):
    """
    A new field of the world's board, and of others.
    """
    boards = (world.board.id, *(board.id for board in on))
    if "default" in fields:
        fields["default_value"] = canonical(fields.pop("default"))
    return await create_field(world.ports, world.me, CreateField(field_key=key, boards=boards, **fields))


async def edited(world, field, **fields):
    """
    The field after a change.
    """
    return await update_field(world.ports, world.me, UpdateField(field=field.id, **fields))


async def given(world, task, values):
    """
    The task after its values were written to.
    """
    return await update_task(world.ports, world.me, UpdateTask(task=task.id, values=values))


async def kept(world, task):
    """
    The values that are kept with a task, by the ids of their fields.
    """
    return json.loads((await world.ports.reads.tasks.get(world.me, task.id)).field_values)


async def asked(world, task):
    """
    The keys of the fields a task is read with.
    """
    return [each.field_key for each in (await world.ports.reads.tasks.get(world.me, task.id)).fields]


async def test_a_field_is_kept_as_it_was_made(world):
    """
    Its key trimmed, its label the key if it has none.
    """
    field = await a_field(world, " Size ", field_type=CustomFieldType.INTEGER, default=3, required=True)

    assert ("Size", "Size", "3", (world.board.id,)) == (field.field_key, field.label, field.default_value, field.boards)
    assert field == await world.ports.reads.entities.get(world.me, CUSTOM_FIELDS, field.id)
    assert ["field.created"] == (await world.event_kinds())[-1:]


async def test_a_key_belongs_to_one_field_of_the_organization(world, elsewhere):
    """
    In its case; another organization has its own.
    """
    await a_field(world, "size")
    await a_field(world, "Size")
    await a_field(elsewhere, "size")

    with pytest.raises(FieldKeyTaken):
        await a_field(world, "size")


async def test_boards_that_are_not_the_organizations_are_listed(world, elsewhere):
    field = await a_field(world)
    strange = (elsewhere.board.id, world.ports.ids.new())

    for call in (
        create_field(world.ports, world.me, CreateField(field_key="x", boards=(world.board.id, *strange))),
        edited(world, field, boards=strange),
    ):
        with pytest.raises(FieldBoardsUnknown) as refused:
            await call
        assert strange == refused.value.missing


async def test_a_new_field_needs_a_board_and_a_key(world):
    for wrong in ({"boards": ()}, {"field_key": " "}):
        with pytest.raises(InvalidField):
            await create_field(
                world.ports, world.me, CreateField(**({"field_key": "x", "boards": (world.board.id,)} | wrong))
            )


async def test_a_default_must_be_one_of_the_values(world):
    """
    When the field is made, and as a whole whenever it changes.
    """
    with pytest.raises(DefaultInvalid, match="must be an integer"):
        await a_field(world, field_type=CustomFieldType.INTEGER, default="three")

    field = await a_field(world, default="three")
    with pytest.raises(DefaultInvalid, match="must be an integer"):
        await edited(world, field, field_type=CustomFieldType.INTEGER)
    with pytest.raises(DefaultInvalid, match="does not match validation_regex"):
        await edited(world, field, validation_regex="[0-9]+")
    with pytest.raises(InvalidField, match="only supported for string field types"):
        await edited(world, field, field_type=CustomFieldType.JSON, validation_regex="[0-9]+", default_value=None)


async def test_a_task_is_read_with_the_fields_of_its_board(world):
    """
    In the order of their labels, wherever it moves; values that nobody asks for stay where they are.
    """
    other = await world.another_board()
    here = await a_field(world, "here", label="B")
    await a_field(world, "both", label="a", on=[other])
    task = await world.task(values={"here": "x"})
    assert ["both", "here"] == await asked(world, task)

    await update_task(world.ports, world.me, UpdateTask(task=task.id, board=other.id))
    assert ["both"] == await asked(world, task)
    assert {str(here.id): "x"} == await kept(world, task)
    listed = await world.ports.reads.tasks.page(world.me, TaskFilter(board=other.id), PageRequest())
    assert [["both"]] == [[each.field_key for each in row.fields] for row in listed.rows]


async def test_a_new_task_keeps_the_defaults_of_what_it_leaves_out(world):
    """
    So that another default, later, changes nothing about it; null leaves a value out on purpose.
    """
    size = await a_field(world, "size", field_type=CustomFieldType.INTEGER, default=3)
    await a_field(world, "team", default="red")
    task = await world.task(values={"team": None})
    assert {str(size.id): 3} == await kept(world, task)

    await edited(world, size, default_value=canonical(4))
    assert {str(size.id): 3} == await kept(world, task)


async def test_whoever_knows_nothing_of_fields_meets_none_of_their_rules(world):
    """
    A task that is made without values, not even none of them, keeps no default and lacks nothing.
    """
    await a_field(world, "size", field_type=CustomFieldType.INTEGER, default=3)
    await a_field(world, "team", required=True)

    assert {} == await kept(world, await world.task())


async def test_values_are_merged_by_key(world):
    """
    Null takes one away, and what is not named stays.
    """
    a, _, c = [await a_field(world, key) for key in "abc"]
    task = await world.task(values={"a": "1", "b": "2"})
    await given(world, task, {"b": None, "c": "3"})

    assert {str(a.id): "1", str(c.id): "3"} == await kept(world, task)


async def test_unknown_keys_are_listed(world):
    """
    Those of another board too, and nothing is written.
    """
    other = await world.another_board()
    await create_field(world.ports, world.me, CreateField(field_key="theirs", boards=(other.id,)))
    await a_field(world, "ours")
    task = await world.task(values={"ours": "1"})
    with pytest.raises(CustomFieldsUnknown) as refused:
        await given(world, task, {"z": 1, "theirs": None, "ours": "2"})

    assert ("theirs", "z") == refused.value.keys
    assert ["1"] == list((await kept(world, task)).values())


async def test_a_value_that_does_not_fit_is_named(world):
    await a_field(world, "size", field_type=CustomFieldType.INTEGER)
    with pytest.raises(CustomFieldValueInvalid) as refused:
        await world.task(values={"size": True})

    told = refused.value
    assert ("size", "integer", "must be an integer") == (told.field_key, told.field_type, told.reason)


async def test_required_values_are_missed_by_name(world):
    """
    On a new task, and on one whose values are written to; a default stands in.
    """
    task = await world.task(values={})
    await a_field(world, "z", required=True)
    await a_field(world, "a", required=True)
    await a_field(world, "b", required=True, default="stands in")
    for call in world.task(values={"b": None}), given(world, task, {}), given(world, task, {"a": None}):
        with pytest.raises(CustomFieldsRequired) as refused:
            await call
        assert ("a", "z") == refused.value.keys

    await update_task(world.ports, world.me, UpdateTask(task=task.id, title="No word of values"))
    await given(world, task, {"a": "1", "z": ""})


async def test_a_field_goes_when_no_task_has_a_value_of_it(world):
    """
    Not before, also where its board is no longer asked.
    """
    field = await a_field(world)
    task, another = await world.task(values={"size": "S"}), await world.task(values={"size": "M"})
    await edited(world, field, boards=())
    with pytest.raises(FieldInUse):
        await delete_field(world.ports, world.me, DeleteField(field=field.id))

    await edited(world, field, boards=(world.board.id,))
    await given(world, task, {"size": None})
    with pytest.raises(FieldInUse):
        await delete_field(world.ports, world.me, DeleteField(field=field.id))
    await delete_task(world.ports, world.me, DeleteTask(task=another.id))
    await delete_field(world.ports, world.me, DeleteField(field=field.id))
    assert [] == await asked(world, task)


@pytest.mark.parametrize("last", [False, True])
async def test_no_value_is_left_of_a_field_that_goes(world, last):
    """
    Whoever comes second is refused: the value or the removal.
    """
    field, task = await a_field(world), await world.task()
    calls = (
        (update_task, UpdateTask(task=task.id, values={"size": "S"})),
        (create_task, CreateTask(title="New", board=world.board.id, values={"size": "M"})),
        (delete_field, DeleteField(field=field.id)),
    )
    *tasks, gone = await at_once(world, *calls, last=last)

    if isinstance(gone, FieldInUse):
        assert not any(isinstance(answer, CustomFieldsUnknown) for answer in tasks)
    else:
        assert [CustomFieldsUnknown, CustomFieldsUnknown] == [type(answer) for answer in tasks]
        assert {} == await kept(world, task)


@pytest.mark.parametrize("last", [False, True])
async def test_a_value_fits_the_field_as_it_is(world, last):
    """
    Not as it was when the value was looked at.
    """
    field, task = await a_field(world), await world.task()
    calls = (
        (update_task, UpdateTask(task=task.id, values={"size": "S"})),
        (update_field, UpdateField(field=field.id, field_type=CustomFieldType.INTEGER)),
    )
    written, _ = await at_once(world, *calls, last=last)
    field = await world.ports.reads.entities.get(world.me, CUSTOM_FIELDS, field.id)

    assert CustomFieldType.INTEGER is field.field_type
    assert isinstance(written, CustomFieldValueInvalid) or {str(field.id): "S"} == await kept(world, task)


async def test_a_board_that_goes_is_asked_nothing_more(world):
    other = await world.another_board()
    field = await a_field(world, on=[other])
    async with world.ports.unit(world.me) as unit:
        await remove_board_from_fields(unit, other.id)
        await unit.commit()

    assert (world.board.id,) == (await world.ports.reads.entities.get(world.me, CUSTOM_FIELDS, field.id)).boards
