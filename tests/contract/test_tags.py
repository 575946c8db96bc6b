"""
Tags, and the tasks that have them.
"""

import pytest

from mission_adapters.testing.concurrent_writes import at_once, kinds
from mission_core.boards.tags import (
    TAGS,
    CreateTag,
    DeleteTag,
    TagNotFound,
    TagSlugTaken,
    UpdateTag,
    create_tag,
    delete_tag,
    update_tag,
)
from mission_core.errors import InvalidField
from mission_core.tasks.tags_and_custom_fields import TagsNotFound
from mission_core.tasks.use_cases import CreateTask, DeleteTask, UpdateTask, create_task, delete_task, update_task


async def a_tag(world, name="Bug", **fields):
    """
    A new tag.
    """
    return await create_tag(world.ports, world.me, CreateTag(name=name, **fields))


async def changed(world, task, **fields):
    """
    The task after a write.
    """
    return await update_task(world.ports, world.me, UpdateTask(task=task.id, **fields))


async def shown(world, task):
    """
    The names of the tags a task is read with, and its words.
    """
    row = await world.ports.reads.tasks.get(world.me, task.id)
    return [tag.name for tag in row.tagged], row.tags


async def counts(world, *tags):
    found = await world.ports.reads.tasks.count_by_tag(world.me, [tag.id for tag in tags])
    return [found.get(tag.id, 0) for tag in tags]


async def test_a_tag_is_kept_as_it_was_made(world):
    """
    Its name trimmed, its slug and colour in the one spelling.
    """
    tag = await a_tag(world, "  Front End ", color="#AB12cd", description="What shows")

    assert ("Front End", "front-end", "ab12cd") == (tag.name, tag.slug, tag.color)
    assert tag == await world.ports.reads.entities.get(world.me, TAGS, tag.id)
    assert ["tag.created"] == (await world.event_kinds())[-1:]


@pytest.mark.parametrize("word", ["", "  "])
async def test_a_nameless_tag_is_refused(world, word):
    with pytest.raises(InvalidField, match="name"):
        await a_tag(world, word)


async def test_a_slug_belongs_to_one_tag_of_the_organization(world, elsewhere):
    """
    Whether it was given or made of the name; another organization has its own.
    """
    tag = await a_tag(world, "Bug")
    other = await a_tag(world, "Chore")

    for refused in (create_tag, CreateTag(name="bug!")), (update_tag, UpdateTag(tag=other.id, slug="Bug")):
        with pytest.raises(TagSlugTaken):
            await refused[0](world.ports, world.me, refused[1])
    assert tag.slug == (await a_tag(elsewhere, "Bug")).slug


async def test_names_without_letters_get_slugs_of_their_own(world):
    """
    Whoever writes with other letters need not invent slugs.
    """
    assert ["tag", "tag-2", "tag-3"] == [(await a_tag(world, name)).slug for name in ("設計", "試験", "運用")]


async def test_a_slug_of_null_is_made_of_the_name_again(world):
    tag = await a_tag(world, "Bug", slug="defect")
    renamed = await update_tag(world.ports, world.me, UpdateTag(tag=tag.id, name="Flaw"))
    derived = await update_tag(world.ports, world.me, UpdateTag(tag=tag.id, slug=None))

    assert ["defect", "defect", "flaw"] == [tag.slug, renamed.slug, derived.slug]


async def test_another_organizations_tag_is_not_there(world, elsewhere):
    """
    Neither to change, nor to remove, nor for a task.
    """
    theirs = await a_tag(elsewhere)
    for use_case, command in (
        (update_tag, UpdateTag(tag=theirs.id, name="Mine")),
        (delete_tag, DeleteTag(tag=theirs.id)),
    ):
        with pytest.raises(TagNotFound):
            await use_case(world.ports, world.me, command)
    with pytest.raises(TagsNotFound) as refused:
        await world.task(tag_ids=(theirs.id,))
    assert (theirs.id,) == refused.value.missing
    assert {} == await world.ports.reads.tasks.count_by_tag(world.me, [theirs.id])


async def test_a_task_has_its_tags_in_the_order_it_got_them(world):
    """
    Each once.
    """
    a, b, c = [await a_tag(world, name) for name in "abc"]
    task = await world.task(tag_ids=(c.id, a.id, c.id))
    assert (["c", "a"], "[]") == await shown(world, task)

    await changed(world, task, tag_ids=(b.id, a.id, c.id))
    assert (["b", "a", "c"], "[]") == await shown(world, task)


async def test_a_renamed_tag_shows_at_once(world):
    tag = await a_tag(world, "Bug")
    task = await world.task(tag_ids=(tag.id,))
    await update_tag(world.ports, world.me, UpdateTag(tag=tag.id, name="Flaw", color="000000"))
    row = await world.ports.reads.tasks.get(world.me, task.id)

    assert [("Flaw", "bug", "000000")] == [(each.name, each.slug, each.color) for each in row.tagged]


async def test_a_removed_tag_is_on_no_task_any_more(world):
    """
    And the task keeps the others.
    """
    gone, stays = await a_tag(world, "gone"), await a_tag(world, "stays")
    task = await world.task(tag_ids=(gone.id, stays.id), tags=("word",))
    await delete_tag(world.ports, world.me, DeleteTag(tag=gone.id))

    assert (["stays"], '["word"]') == await shown(world, task)
    with pytest.raises(TagsNotFound):
        await changed(world, task, tag_ids=(gone.id,))
    await changed(world, task, title="Still to be written to")
    assert [0, 1] == await counts(world, gone, stays)


async def test_the_tasks_of_a_tag_are_counted(world):
    """
    As they get it, lose it, and go.
    """
    tag, other = await a_tag(world, "a"), await a_tag(world, "b")
    first, second = await world.task(tag_ids=(tag.id,)), await world.task(tag_ids=(tag.id, other.id))
    assert [2, 1] == await counts(world, tag, other)

    await changed(world, first, tag_ids=())
    assert [1, 1] == await counts(world, tag, other)

    await delete_task(world.ports, world.me, DeleteTask(task=second.id))
    assert [0, 0] == await counts(world, tag, other)


async def test_words_that_name_tags_stand_for_them(world):
    """
    Whatever their case; the others stay words.
    """
    tag = await a_tag(world, "Straße")
    task = await world.task(tags=("x", "STRASSE", "y"))
    assert (["Straße"], '["x","y"]') == await shown(world, task)

    await changed(world, task, tags=("y",))
    assert ([], '["y"]') == await shown(world, task)
    assert [0] == await counts(world, tag)


async def test_tags_are_replaced_beside_the_words(world):
    """
    A word that names a tag the task gets becomes that tag.
    """
    task = await world.task(tags=("bug", "word"))
    tag, other = await a_tag(world, "Bug"), await a_tag(world, "Other")
    await changed(world, task, tag_ids=(other.id,))
    assert (["Other"], '["bug","word"]') == await shown(world, task)

    await changed(world, task, tag_ids=(tag.id,))
    assert (["Bug"], '["word"]') == await shown(world, task)


async def test_of_two_tags_of_one_name_a_task_keeps_the_one_it_has(world):
    """
    A task that has none of them gets the older one.
    """
    old = await a_tag(world, "Twin")
    new = await a_tag(world, "Twin", slug="twin-2")
    task, another = await world.task(tag_ids=(new.id,)), await world.task(tags=("twin",))
    await changed(world, task, tags=("Twin", "word"))

    assert ((new.id,), (old.id,)) == ((await world.fresh(task)).tag_ids, (await world.fresh(another)).tag_ids)


async def test_words_and_tags_together_have_a_bound(world):
    tags = [(await a_tag(world, f"t{number}")).id for number in range(3)]
    task = await world.task(tags=tuple(f"w{number}" for number in range(48)))
    await changed(world, task, tag_ids=tuple(tags[:2]))

    with pytest.raises(InvalidField, match="tag_ids"):
        await changed(world, task, tag_ids=tuple(tags))


@pytest.mark.parametrize("last", [False, True])
async def test_a_task_gets_no_tag_that_goes_meanwhile(world, last):
    """
    Either the task comes first and loses the tag again, or the tag is missing: the log knows which.
    """
    tag, task = await a_tag(world), await world.task()
    calls = (
        (update_task, UpdateTask(task=task.id, tag_ids=(tag.id,))),
        (create_task, CreateTask(title="New", board=world.board.id, tag_ids=(tag.id,))),
        (delete_tag, DeleteTag(tag=tag.id)),
    )
    *tasks, gone = await at_once(world, *calls, last=last)

    assert tag.id == gone.id
    assert {"Task", "TagsNotFound"} >= set(kinds(tasks))
    assert "tag.deleted" == (await world.event_kinds())[-1]
    assert [0] == await counts(world, tag)
    assert ([], "[]") == await shown(world, task)
