"""
Use cases that create, change and delete custom fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import asdict, evolve, frozen

from mission_core.accounts.model import Principal, require_organization_admin
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
from mission_core.entity_changes import require_version, with_changes
from mission_core.errors import InvalidField
from mission_core.ids import BoardId, FieldId
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
    require_organization_admin(principal)
    now = ports.clock.now()
    key = cmd.field_key.strip()
    async with ports.unit(principal) as unit:
        boards = await _require_boards(unit, cmd.boards)
        if not boards:
            raise InvalidField("board_ids", "must name at least one board")
        made = unit.repository(CUSTOM_FIELDS).add(
            CustomField(
                id=FieldId(ports.ids.new()),
                organization=principal.organization,
                field_key=key,
                label=(cmd.label or "").strip() or key,
                field_type=cmd.field_type,
                ui_visibility=cmd.ui_visibility,
                validation_regex=(cmd.validation_regex or "").strip() or None,
                description=cmd.description,
                required=cmd.required,
                default_value=cmd.default_value,
                boards=boards,
                created_at=now,
                updated_at=now,
            )
        )
        unit.record(FieldCreated(custom_field=made.id, field_key=made.field_key, at=now))
        unit.result(made.id)
        await unit.commit()
    return made


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
    require_organization_admin(principal)
    async with ports.unit(principal) as unit:
        before = await _get_field(unit, cmd)
        named: dict[str, Any] = {
            name: value
            for name, value in asdict(cmd, recurse=False).items()
            if name not in ("field", "expects") and not isinstance(value, Absent)
        }
        if "label" in named:
            named["label"] = named["label"].strip()
        if named.get("validation_regex") is not None:
            named["validation_regex"] = named["validation_regex"].strip() or None
        if "boards" in named:
            named["boards"] = await _require_boards(unit, named["boards"], before.boards)
        now = ports.clock.now()
        after, changed = with_changes(before, named, at=now)
        if not changed:
            return before
        after = unit.repository(CUSTOM_FIELDS).save(after)
        unit.record(FieldUpdated(custom_field=after.id, field_key=after.field_key, changed=changed, at=now))
        unit.result(after.id)
        await unit.commit()
    return after


@use_case
async def delete_field(ports: Ports, principal: Principal, cmd: DeleteField) -> CustomField:
    """
    Delete a custom field.

    Raises:
        FieldNotFound: If there is no such field.
        FieldInUse: If a task has a value of it.
        VersionMismatch: If the caller expected another version.
    """
    require_organization_admin(principal)
    async with ports.unit(principal) as unit:
        gone = await _get_field(unit, cmd)
        unit.repository(CUSTOM_FIELDS).remove(gone)
        unit.record(FieldDeleted(custom_field=gone.id, field_key=gone.field_key, at=ports.clock.now()))
        await unit.commit()
    return gone


async def remove_board_from_fields(unit: UnitOfWork, board: BoardId) -> None:
    """
    Remove a board that is being deleted from all custom fields.
    """
    for each in await unit.repository(CUSTOM_FIELDS).every():
        if board in each.boards:
            left = tuple(other for other in each.boards if other != board)
            unit.repository(CUSTOM_FIELDS).save(evolve(each, boards=left))


async def _get_field(unit: UnitOfWork, cmd: UpdateField | DeleteField) -> CustomField:
    found = require_version(await unit.repository(CUSTOM_FIELDS).get(cmd.field), cmd.expects)
    return found


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
