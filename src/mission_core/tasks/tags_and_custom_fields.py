"""
Tags and custom field values of a task.

The task stores ids only, so a renamed tag or field shows at once. A task that gets a tag or a value relies on that tag
or field, so a concurrent deletion is noticed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mission_core.boards.custom_fields import CUSTOM_FIELDS, CustomField
from mission_core.boards.tags import TAGS, Tag
from mission_core.entity_changes import evolve
from mission_core.errors import Invalid, InvalidField, NotFound
from mission_core.ids import TagId
from mission_core.lazy_attrs import define
from mission_core.tasks.model import MOST_TAGS, Task
from mission_core.values import ABSENT, Absent, canonical, name_key

if TYPE_CHECKING:
    from mission_core.ports import UnitOfWork
    from mission_core.tasks.use_cases import CreateTask, UpdateTask


@define(repr=False)
class TagsNotFound(NotFound):
    """
    The organization does not have these tags.
    """

    code = "tags_missing"

    missing: tuple[TagId, ...]

    says = "One or more tags do not exist in this organization."


@define(repr=False)
class CustomFieldsUnknown(Invalid):
    """
    The task's board does not have these custom fields.
    """

    code = "fields_unknown"

    keys: tuple[str, ...]

    says = "Unknown custom field keys for this board."


@define(repr=False)
class CustomFieldValueInvalid(Invalid):
    """
    The custom field does not accept the value.
    """

    code = "field_value_invalid"

    field_key: str
    field_type: str
    reason: str

    says = "Invalid custom field value."


@define(repr=False)
class CustomFieldsRequired(Invalid):
    """
    These custom fields are required and have no value.
    """

    code = "fields_required"

    keys: tuple[str, ...]

    says = "Required custom fields must have values."


async def with_tags_and_values(
    unit: UnitOfWork, task: Task, cmd: CreateTask | UpdateTask, *, new: bool = False
) -> Task:
    """
    Return the task with the tags and custom field values that the command names.

    Raises:
        TagsNotFound: If the organization lacks a named tag.
        CustomFieldsUnknown: If the task's board has no such custom field.
        CustomFieldValueInvalid: If a custom field does not accept the value.
        CustomFieldsRequired: If a required custom field has no value.
    """
    words, ids = (cmd.tags or ABSENT, cmd.tag_ids or ABSENT) if new else (cmd.tags, cmd.tag_ids)
    if not isinstance(words, Absent) or not isinstance(ids, Absent):
        task = await _with_tags(unit, task, words, ids)
    if not isinstance(cmd.values, Absent):
        task = await _with_values(unit, task, cmd.values, new=new)
    return task


async def _with_tags(
    unit: UnitOfWork, task: Task, words: tuple[str, ...] | Absent, ids: tuple[TagId, ...] | Absent
) -> Task:
    known = {tag.id: tag for tag in await unit.repository(TAGS).every()} if words or ids else {}
    wanted = () if isinstance(ids, Absent) else tuple(dict.fromkeys(ids))
    missing = tuple(each for each in wanted if each not in known)
    if missing:
        raise TagsNotFound(missing)
    if isinstance(words, Absent):
        named = {known[each].name_key for each in wanted}
        free = tuple(each for each in task.tags if name_key(each) not in named)
    else:
        meant, free = _match_tags(words, known.values(), task.tag_ids)
        wanted = tuple(dict.fromkeys((*wanted, *meant)))
    if len(wanted) + len(free) > MOST_TAGS:
        raise InvalidField("tag_ids", f"must have at most {MOST_TAGS} entries, words included", len(wanted))
    unit.rely_on(*(known[each] for each in wanted if each not in task.tag_ids))
    return evolve(task, tags=free, tag_ids=wanted)


def _match_tags(
    words: tuple[str, ...], known: Iterable[Tag], own: tuple[TagId, ...]
) -> tuple[tuple[TagId, ...], tuple[str, ...]]:
    """
    Return the tags that these words name, and the words that name none. Of tags with the same name, those of the task
    come first, then the oldest.
    """
    named: dict[str, list[TagId]] = {}
    for tag in sorted(known, key=lambda tag: tag.id not in own):
        named.setdefault(tag.name_key, []).append(tag.id)
    meant, free = [], []
    for word in words:
        fitting = named.get(name_key(word))
        if fitting is None:
            free.append(word)
        elif fitting:
            meant.append(fitting.pop(0))
    return tuple(meant), tuple(free)


async def _with_values(unit: UnitOfWork, task: Task, values: Mapping[str, Any], *, new: bool) -> Task:
    fields = {
        each.field_key: each for each in await unit.repository(CUSTOM_FIELDS).every() if task.board in each.boards
    }
    unknown = values.keys() - fields.keys()
    if unknown:
        raise CustomFieldsUnknown(tuple(sorted(unknown)))
    for key, value in values.items():
        reason = fields[key].value_error(value)
        if reason is not None:
            raise CustomFieldValueInvalid(key, fields[key].field_type.value, reason)
    wanted = {**_default_values(fields.values()), **values} if new else values
    kept = json.loads(task.field_values)
    for key, value in wanted.items():
        kept[str(fields[key].id)] = value
    kept = {id: value for id, value in kept.items() if value is not None}
    asked = (each for each in fields.values() if each.required and each.default_value is None)
    missing = tuple(sorted(each.field_key for each in asked if str(each.id) not in kept))
    if missing:
        raise CustomFieldsRequired(missing)
    unit.rely_on(*(fields[key] for key, value in wanted.items() if value is not None))
    return evolve(task, field_values=canonical(kept))


def _default_values(fields: Iterable[CustomField]) -> dict[str, Any]:
    return {each.field_key: json.loads(each.default_value) for each in fields if each.default_value is not None}
