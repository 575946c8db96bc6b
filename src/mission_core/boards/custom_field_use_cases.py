"""
Use cases that create, change and delete custom fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import evolve

from mission_core.accounts.model import Principal
from mission_core.boards.custom_fields import (
    CUSTOM_FIELDS,
    CustomField,
    CustomFieldType,
    FieldBoardsUnknown,
    FieldCreated,
    FieldDeleted,
    FieldUpdated,
    FieldVisibility,
)
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.errors import InvalidField
from mission_core.ids import BoardId, FieldId
from mission_core.lazy_attrs import frozen
from mission_core.records import Draft, Records
from mission_core.use_case import use_case
from mission_core.values import ABSENT, Absent, JsonText

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork


@frozen(kw_only=True)
class CreateField:
    """
    Create a custom field for the tasks of these boards. Without a label, its key is the label.
    """

    field_key: str
    boards: tuple[BoardId, ...]
    label: str | None = None
    field_type: CustomFieldType = CustomFieldType.TEXT
    ui_visibility: FieldVisibility = FieldVisibility.ALWAYS
    validation_regex: str | None = None
    description: str | None = None
    required: bool = False
    default_value: JsonText | None = None


@frozen(kw_only=True)
class UpdateField:
    """
    Change the named attributes of a custom field. New boards replace the old ones; the values that tasks have are kept.
    """

    field: FieldId
    expects: int | None = None
    label: str | Absent = ABSENT
    field_type: CustomFieldType | Absent = ABSENT
    ui_visibility: FieldVisibility | Absent = ABSENT
    validation_regex: str | Absent | None = ABSENT
    description: str | Absent | None = ABSENT
    required: bool | Absent = ABSENT
    default_value: JsonText | Absent | None = ABSENT
    boards: tuple[BoardId, ...] | Absent = ABSENT


@frozen(kw_only=True)
class DeleteField:
    """
    Delete a custom field that no task has a value of.
    """

    field: FieldId
    expects: int | None = None


async def _normalize(draft: Draft[CustomField]) -> None:
    given, before = draft.given, draft.before
    if "boards" in given:
        given["boards"] = await _require_boards(draft.unit, given["boards"], before.boards if before else ())
    if before is None and not given["boards"]:
        raise InvalidField("board_ids", "must name at least one board")
    if "field_key" in given:
        given["field_key"] = given["field_key"].strip()
    if "label" in given:
        given["label"] = (given["label"] or "").strip() or given.get("field_key", "")
    if "validation_regex" in given:
        given["validation_regex"] = (given["validation_regex"] or "").strip() or None


FIELD_RECORDS: Final = Records(
    kind=CUSTOM_FIELDS, noun="field", events=(FieldCreated, FieldUpdated, FieldDeleted), prepare=_normalize
)


@use_case
async def create_field(ports: Ports, principal: Principal, cmd: CreateField) -> CustomField:
    """
    Create a custom field.

    Raises:
        FieldKeyTaken: If another field has its key.
        FieldBoardsUnknown: If the organization has no such board.
        DefaultInvalid: If the field does not accept its default.
        InvalidField: If it has no key or no board, or its regular expression is invalid.
    """
    return await FIELD_RECORDS.create(ports, principal, cmd)


@use_case
async def update_field(ports: Ports, principal: Principal, cmd: UpdateField) -> CustomField:
    """
    Change the named attributes of a custom field. Existing values of tasks are not validated again.

    Raises:
        FieldNotFound: If there is no such field.
        FieldBoardsUnknown: If the organization has no such board.
        DefaultInvalid: If the field does not accept its default, new or old.
        InvalidField: If its regular expression is invalid.
        VersionMismatch: If the caller expected another version.
    """
    return await FIELD_RECORDS.change(ports, principal, cmd.field, cmd)


@use_case
async def delete_field(ports: Ports, principal: Principal, cmd: DeleteField) -> CustomField:
    """
    Delete a custom field.

    Raises:
        FieldNotFound: If there is no such field.
        FieldInUse: If a task has a value of it.
        VersionMismatch: If the caller expected another version.
    """
    return await FIELD_RECORDS.remove(ports, principal, cmd.field, cmd)


async def remove_board_from_fields(unit: UnitOfWork, board: BoardId) -> None:
    """
    Remove a board that is being deleted from all custom fields.
    """
    for each in await unit.repository(CUSTOM_FIELDS).every():
        if board in each.boards:
            left = tuple(other for other in each.boards if other != board)
            unit.repository(CUSTOM_FIELDS).save(evolve(each, boards=left))


async def _require_boards(
    unit: UnitOfWork, named: tuple[BoardId, ...], already: tuple[BoardId, ...] = ()
) -> tuple[BoardId, ...]:
    """
    The boards without duplicates. Those not in *already* are checked and get a new version, so that a concurrent
    deletion of one of them fails and then finds the field.
    """
    wanted = tuple(dict.fromkeys(named))
    missing: list[BoardId] = []
    for each in wanted:
        if each in already:
            continue
        try:
            unit.rely_on(await unit.boards.get(each), bump=True)
        except (BoardNotFound, BoardDenied):
            missing.append(each)
    if missing:
        raise FieldBoardsUnknown(tuple(missing))
    return wanted
