"""
Operations on the custom fields of the caller's organization.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from mission_core.boards.custom_fields import (
    CUSTOM_FIELDS,
    LONGEST_NAME,
    CustomField,
    FieldInUse,
    FieldKeyTaken,
    FieldNotFound,
    FieldType,
    Visibility,
    field_type_from,
    in_order,
    visibility_from,
)
from mission_core.boards.defining import CreateField, DeleteField, UpdateField, create_field, delete_field, update_field
from mission_core.errors import InvalidField, VersionMismatch
from mission_core.ids import BoardId, FieldId
from mission_core.values import ABSENT, Absent, JsonText, canonical
from mission_http.boards.access import USER, admin_of, path_id, there
from mission_http.boards.answers import one
from mission_http.boards.payloads import OkResponse, named_in, stripped
from mission_http.boards.wire import naive, raw_json
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, expects_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, once, row_again
from mission_http.platform.json import json_of
from mission_http.platform.shapes import Length, Rule, Schema

KEY: Final = "task_custom_field_definition_id"
NOT_NULL: Final = ("field_type", "label", "required", "ui_visibility")

Words = Annotated[str, Rule(stripped), Length(1, LONGEST_NAME)]
TypeName = Annotated[str, Rule(field_type_from), Schema({"type": "string", "enum": [each.value for each in FieldType]})]
VisibilityName = Annotated[
    str, Rule(visibility_from), Schema({"type": "string", "enum": [each.value for each in Visibility]})
]


def fixed(value: object) -> None:
    raise ValueError("field_key cannot be changed after creation.")


@frozen(kw_only=True)
class TaskCustomFieldDefinitionRead:
    id: UUID
    organization_id: UUID
    field_key: str
    label: str
    field_type: FieldType
    ui_visibility: Visibility
    validation_regex: str | None
    description: str | None
    required: bool
    default_value: Any
    board_ids: list[UUID]
    created_at: datetime
    updated_at: datetime
    version: int


@frozen(kw_only=True)
class TaskCustomFieldDefinitionCreate:
    field_key: Words
    board_ids: Annotated[list[UUID], Length(1)]
    label: Words | None = None
    field_type: TypeName = FieldType.TEXT
    ui_visibility: VisibilityName = Visibility.ALWAYS
    validation_regex: str | None = None
    description: str | None = None
    required: bool = False
    default_value: Any = None

    def command(self) -> CreateField:
        return CreateField(
            field_key=self.field_key,
            boards=tuple(map(BoardId, self.board_ids)),
            label=self.label,
            field_type=FieldType(self.field_type),
            ui_visibility=Visibility(self.ui_visibility),
            validation_regex=self.validation_regex,
            description=self.description,
            required=self.required,
            default_value=default_from(self.default_value),
        )


@frozen(kw_only=True)
class TaskCustomFieldDefinitionUpdate:
    label: Words | Absent | None = ABSENT
    field_type: TypeName | Absent | None = ABSENT
    ui_visibility: VisibilityName | Absent | None = ABSENT
    validation_regex: str | Absent | None = ABSENT
    description: str | Absent | None = ABSENT
    required: bool | Absent | None = ABSENT
    default_value: Any = ABSENT
    board_ids: list[UUID] | Absent | None = ABSENT
    field_key: Annotated[Any, Rule(fixed), Schema({"not": {}})] = ABSENT

    def __attrs_post_init__(self) -> None:
        named = named_in(self)
        if not named:
            raise ValueError("At least one field is required")
        null = [name for name in NOT_NULL if named.get(name, ABSENT) is None]
        if null:
            raise ValueError(f"{', '.join(null)} cannot be null; omit the field to leave it unchanged")

    def command(self, field: FieldId, *, expects: int | None) -> UpdateField:
        named = named_in(self)
        boards = named.pop("board_ids", None)
        if boards is not None:
            named["boards"] = tuple(map(BoardId, boards))
        if "default_value" in named:
            named["default_value"] = default_from(named["default_value"])
        return UpdateField(field=field, expects=expects, **named)


def default_from(value: object) -> JsonText | None:
    """
    The default value as canonical JSON; null means no default.

    Raises:
        InvalidField: If it cannot be stored.
    """
    if value is None:
        return None
    try:
        return canonical(value)
    except InvalidField as e:
        raise InvalidField("default_value", e.reason) from None


async def list_org_custom_fields(request: Request) -> Response:
    """
    List the custom fields of the organization, sorted by label.
    """
    fields = await ports_of(request).reads.rows.every(principal_of(request), CUSTOM_FIELDS)
    return json_of([field_from(each) for each in in_order(fields)])


async def create_org_custom_field(request: Request) -> Response:
    """
    Create a custom field for the tasks of some boards.

    A validation_regex must match the whole value. It may not contain lookaround, backreferences or possessive repeats.
    """
    admin_of(request)
    body = await body_of(request, TaskCustomFieldDefinitionCreate)
    return one(field_from(await once(request, create_field, body.command(), _again)))


async def update_org_custom_field(request: Request) -> Response:
    """
    Change the named attributes of a custom field; its key cannot be changed.

    New boards replace the old ones. Values that tasks already have stay as they are.
    """
    principal, id = admin_of(request), FieldId(path_id(request, KEY))
    async with there(request, CUSTOM_FIELDS, id):
        body = await body_of(request, TaskCustomFieldDefinitionUpdate)
        command = body.command(id, expects=expects_of(request))
        field = await update_field(ports_of(request), principal, command)
    return one(field_from(field))


async def delete_org_custom_field(request: Request) -> Response:
    """
    Delete a custom field that no task has a value of.
    """
    principal, id = admin_of(request), FieldId(path_id(request, KEY))
    async with there(request, CUSTOM_FIELDS, id):
        await delete_field(ports_of(request), principal, DeleteField(field=id, expects=expects_of(request)))
    return json_of({"ok": True})


def field_from(field: CustomField) -> dict[str, Any]:
    """
    A custom field as `TaskCustomFieldDefinitionRead`.
    """
    return {
        "id": str(field.id),
        "organization_id": str(field.organization),
        "field_key": field.field_key,
        "label": field.label,
        "field_type": field.field_type.value,
        "ui_visibility": field.ui_visibility.value,
        "validation_regex": field.validation_regex,
        "description": field.description,
        "required": field.required,
        "default_value": raw_json(field.default_value),
        "board_ids": sorted(str(board) for board in field.boards),
        "created_at": naive(field.created_at),
        "updated_at": naive(field.updated_at),
        "version": field.version,
    }


_again = row_again(CUSTOM_FIELDS)
PLACE: Final = "/organizations/me/custom-fields"
ENDPOINTS = [
    Endpoint(
        "GET", PLACE, list_org_custom_fields, gives=list[TaskCustomFieldDefinitionRead], who=USER,
        tags=("custom-fields",),
    ),
    Endpoint(
        "POST", PLACE, create_org_custom_field, takes=TaskCustomFieldDefinitionCreate,
        gives=TaskCustomFieldDefinitionRead, who=USER, tags=("custom-fields",), headers=(IDEMPOTENCY_KEY,),
        refuses=(FieldKeyTaken,),
    ),
    Endpoint(
        "PATCH", f"{PLACE}/{{{KEY}}}", update_org_custom_field, takes=TaskCustomFieldDefinitionUpdate,
        gives=TaskCustomFieldDefinitionRead, who=USER, tags=("custom-fields",), headers=(IF_MATCH,),
        refuses=(FieldNotFound, VersionMismatch),
    ),
    Endpoint(
        "DELETE", f"{PLACE}/{{{KEY}}}", delete_org_custom_field, gives=OkResponse, who=USER, tags=("custom-fields",),
        headers=(IF_MATCH,), refuses=(FieldNotFound, FieldInUse, VersionMismatch),
    ),
]  # fmt: skip
