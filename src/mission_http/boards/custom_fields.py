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

from mission_core.boards.custom_field_use_cases import (
    CreateField,
    DeleteField,
    UpdateField,
    create_field,
    delete_field,
    update_field,
)
from mission_core.boards.custom_fields import (
    CUSTOM_FIELDS,
    MAX_FIELD_NAME_LENGTH,
    CustomField,
    CustomFieldType,
    FieldInUse,
    FieldKeyTaken,
    FieldNotFound,
    FieldVisibility,
    field_type_from,
    sorted_by_label,
    visibility_from,
)
from mission_core.errors import InvalidField, VersionMismatch
from mission_core.ids import BoardId, FieldId
from mission_core.values import ABSENT, Absent, JsonText, canonical
from mission_http.boards.access import USER, path_id, require_admin, row_not_found_first
from mission_http.boards.payloads import OkResponse, sent_fields, stripped
from mission_http.boards.responses import versioned_response
from mission_http.boards.wire import naive, raw_json
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import CustomCheck, Length, SchemaOverride
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once, read_row_again
from mission_http.platform.json_responses import json_response

FIELD_ID_PARAMETER: Final = "task_custom_field_definition_id"
NOT_NULL: Final = ("field_type", "label", "required", "ui_visibility")

NameText = Annotated[str, CustomCheck(stripped), Length(1, MAX_FIELD_NAME_LENGTH)]
TypeName = Annotated[
    str,
    CustomCheck(field_type_from),
    SchemaOverride({"type": "string", "enum": [each.value for each in CustomFieldType]}),
]
VisibilityName = Annotated[
    str,
    CustomCheck(visibility_from),
    SchemaOverride({"type": "string", "enum": [each.value for each in FieldVisibility]}),
]


def reject_key_change(value: object) -> None:
    raise ValueError("field_key cannot be changed after creation.")


@frozen(kw_only=True)
class TaskCustomFieldDefinitionRead:
    id: UUID
    organization_id: UUID
    field_key: str
    label: str
    field_type: CustomFieldType
    ui_visibility: FieldVisibility
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
    field_key: NameText
    board_ids: Annotated[list[UUID], Length(1)]
    label: NameText | None = None
    field_type: TypeName = CustomFieldType.TEXT
    ui_visibility: VisibilityName = FieldVisibility.ALWAYS
    validation_regex: str | None = None
    description: str | None = None
    required: bool = False
    default_value: Any = None

    def command(self) -> CreateField:
        return CreateField(
            field_key=self.field_key,
            boards=tuple(map(BoardId, self.board_ids)),
            label=self.label,
            field_type=CustomFieldType(self.field_type),
            ui_visibility=FieldVisibility(self.ui_visibility),
            validation_regex=self.validation_regex,
            description=self.description,
            required=self.required,
            default_value=default_from(self.default_value),
        )


@frozen(kw_only=True)
class TaskCustomFieldDefinitionUpdate:
    label: NameText | Absent | None = ABSENT
    field_type: TypeName | Absent | None = ABSENT
    ui_visibility: VisibilityName | Absent | None = ABSENT
    validation_regex: str | Absent | None = ABSENT
    description: str | Absent | None = ABSENT
    required: bool | Absent | None = ABSENT
    default_value: Any = ABSENT
    board_ids: list[UUID] | Absent | None = ABSENT
    field_key: Annotated[Any, CustomCheck(reject_key_change), SchemaOverride({"not": {}})] = ABSENT

    def __attrs_post_init__(self) -> None:
        named = sent_fields(self)
        if not named:
            raise ValueError("At least one field is required")
        null = [name for name in NOT_NULL if named.get(name, ABSENT) is None]
        if null:
            raise ValueError(f"{', '.join(null)} cannot be null; omit the field to leave it unchanged")

    def command(self, field: FieldId, *, expects: int | None) -> UpdateField:
        named = sent_fields(self)
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
    fields = await ports_of(request).reads.entities.every(principal_of(request), CUSTOM_FIELDS)
    return json_response([field_from(each) for each in sorted_by_label(fields)])


async def create_org_custom_field(request: Request) -> Response:
    """
    Create a custom field for the tasks of some boards.

    A validation_regex must match the whole value. It may not contain lookaround, backreferences or possessive repeats.
    """
    require_admin(request)
    body = await body_of(request, TaskCustomFieldDefinitionCreate)
    return versioned_response(field_from(await perform_once(request, create_field, body.command(), _again)))


async def update_org_custom_field(request: Request) -> Response:
    """
    Change the named attributes of a custom field; its key cannot be changed.

    New boards replace the old ones. Values that tasks already have stay as they are.
    """
    principal, id = require_admin(request), FieldId(path_id(request, FIELD_ID_PARAMETER))
    async with row_not_found_first(request, CUSTOM_FIELDS, id):
        body = await body_of(request, TaskCustomFieldDefinitionUpdate)
        command = body.command(id, expects=expected_version_of(request))
        field = await update_field(ports_of(request), principal, command)
    return versioned_response(field_from(field))


async def delete_org_custom_field(request: Request) -> Response:
    """
    Delete a custom field that no task has a value of.
    """
    principal, id = require_admin(request), FieldId(path_id(request, FIELD_ID_PARAMETER))
    async with row_not_found_first(request, CUSTOM_FIELDS, id):
        await delete_field(ports_of(request), principal, DeleteField(field=id, expects=expected_version_of(request)))
    return json_response({"ok": True})


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


_again = read_row_again(CUSTOM_FIELDS)
FIELDS_PATH: Final = "/organizations/me/custom-fields"
ENDPOINTS = [
    Endpoint(
        "GET", FIELDS_PATH, list_org_custom_fields, gives=list[TaskCustomFieldDefinitionRead], who=USER,
        tags=("custom-fields",),
    ),
    Endpoint(
        "POST", FIELDS_PATH, create_org_custom_field, takes=TaskCustomFieldDefinitionCreate,
        gives=TaskCustomFieldDefinitionRead, who=USER, tags=("custom-fields",), headers=(IDEMPOTENCY_KEY,),
        refuses=(FieldKeyTaken,),
    ),
    Endpoint(
        "PATCH", f"{FIELDS_PATH}/{{{FIELD_ID_PARAMETER}}}", update_org_custom_field,
        takes=TaskCustomFieldDefinitionUpdate,
        gives=TaskCustomFieldDefinitionRead, who=USER, tags=("custom-fields",), headers=(IF_MATCH,),
        refuses=(FieldNotFound, VersionMismatch),
    ),
    Endpoint(
        "DELETE", f"{FIELDS_PATH}/{{{FIELD_ID_PARAMETER}}}", delete_org_custom_field, gives=OkResponse, who=USER,
        tags=("custom-fields",),
        headers=(IF_MATCH,), refuses=(FieldNotFound, FieldInUse, VersionMismatch),
    ),
]  # fmt: skip
