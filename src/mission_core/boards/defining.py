"""
Making, editing and removing custom fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import asdict, evolve, frozen

from mission_core.accounts.model import Principal, require_over_all
from mission_core.boards.custom_fields import (
    CUSTOM_FIELDS,
    CustomField,
    FieldBoardsUnknown,
    FieldCreated,
    FieldDeleted,
    FieldType,
    FieldUpdated,
    Visibility,
)
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.changes import edited
from mission_core.errors import InvalidField, VersionMismatch
from mission_core.ids import BoardId, FieldId
from mission_core.use_case import use_case
from mission_core.values import ABSENT, Absent, JsonText

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork


@frozen(kw_only=True)
class CreateField:
    """
    Ask something of the tasks of these boards. Without a label it is called by its key.
    """

    field_key: str
    boards: tuple[BoardId, ...]
    label: str | None = None
    field_type: FieldType = FieldType.TEXT
    ui_visibility: Visibility = Visibility.ALWAYS
    validation_regex: str | None = None
    description: str | None = None
    required: bool = False
    default_value: JsonText | None = None


@frozen(kw_only=True)
class UpdateField:
    """
    Change what is named of a custom field. The boards that are named replace those it had; values stay where they are.
    """

    field: FieldId
    expects: int | None = None
    label: str | Absent = ABSENT
    field_type: FieldType | Absent = ABSENT
    ui_visibility: Visibility | Absent = ABSENT
    validation_regex: str | Absent | None = ABSENT
    description: str | Absent | None = ABSENT
    required: bool | Absent = ABSENT
    default_value: JsonText | Absent | None = ABSENT
    boards: tuple[BoardId, ...] | Absent = ABSENT


@frozen(kw_only=True)
class DeleteField:
    """
    Remove a custom field of which no task has a value.
    """

    field: FieldId
    expects: int | None = None


@use_case
async def create_field(ports: Ports, principal: Principal, cmd: CreateField) -> CustomField:
    """
    Make a custom field.

    Raises:
        FieldKeyTaken: If another field has its key.
        FieldBoardsUnknown: If the organization lacks a named board.
        DefaultInvalid: If the default is none of its values.
        InvalidField: If it has no key or no board, or its regular expression cannot be kept.
    """
    require_over_all(principal)
    now = ports.clock.now()
    key = cmd.field_key.strip()
    async with ports.unit(principal) as unit:
        boards = await _bound(unit, cmd.boards)
        if not boards:
            raise InvalidField("board_ids", "must name at least one board")
        made = unit.rows(CUSTOM_FIELDS).add(
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
    Change what is named of a custom field. Values that tasks have already are not held against it again.

    Raises:
        FieldNotFound: If there is no such field.
        FieldBoardsUnknown: If the organization lacks a named board.
        DefaultInvalid: If the default, new or old, is none of its values.
        InvalidField: If its regular expression cannot be kept.
        VersionMismatch: If the caller expected another version.
    """
    require_over_all(principal)
    async with ports.unit(principal) as unit:
        before = await _field_for(unit, cmd)
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
            named["boards"] = await _bound(unit, named["boards"], before.boards)
        now = ports.clock.now()
        after, changed = edited(before, named, at=now)
        if not changed:
            return before
        after = unit.rows(CUSTOM_FIELDS).save(after)
        unit.record(FieldUpdated(custom_field=after.id, field_key=after.field_key, changed=changed, at=now))
        unit.result(after.id)
        await unit.commit()
    return after


@use_case
async def delete_field(ports: Ports, principal: Principal, cmd: DeleteField) -> CustomField:
    """
    Remove a custom field.

    Raises:
        FieldNotFound: If there is no such field.
        FieldInUse: If some task has a value of it.
        VersionMismatch: If the caller expected another version.
    """
    require_over_all(principal)
    async with ports.unit(principal) as unit:
        gone = await _field_for(unit, cmd)
        unit.rows(CUSTOM_FIELDS).remove(gone)
        unit.record(FieldDeleted(custom_field=gone.id, field_key=gone.field_key, at=ports.clock.now()))
        await unit.commit()
    return gone


async def unbind_fields(unit: UnitOfWork, board: BoardId) -> None:
    """
    Ask nothing more of the tasks of a board that goes.
    """
    for each in await unit.rows(CUSTOM_FIELDS).every():
        if board in each.boards:
            left = tuple(other for other in each.boards if other != board)
            unit.rows(CUSTOM_FIELDS).save(evolve(each, boards=left))


async def _field_for(unit: UnitOfWork, cmd: UpdateField | DeleteField) -> CustomField:
    found = await unit.rows(CUSTOM_FIELDS).get(cmd.field)
    if cmd.expects is not None and cmd.expects != found.version:
        raise VersionMismatch(cmd.expects, found.version)
    return found


async def _bound(
    unit: UnitOfWork, named: tuple[BoardId, ...], already: tuple[BoardId, ...] = ()
) -> tuple[BoardId, ...]:
    """
    The boards, each once. Whoever removes one of the new ones meanwhile has to see that the field is bound to it.
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
