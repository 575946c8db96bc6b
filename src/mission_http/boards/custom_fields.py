"""
Operations on the custom fields of the caller's organization.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

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
    FieldVisibility,
    field_type_from,
    label_order,
    visibility_from,
)
from mission_core.errors import InvalidField
from mission_core.ids import BoardId
from mission_core.values import ABSENT, Absent, JsonText, canonical
from mission_http.boards.payloads import sent_fields, stripped
from mission_http.boards.resources import Resource
from mission_http.boards.wire import BoardsPayload, raw_json
from mission_http.platform.field_annotations import Body, CustomCheck, Length, SchemaOverride
from mission_http.platform.shapes import Computed, Of

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


def sorted_boards(field: CustomField) -> list[BoardId]:
    return sorted(field.boards, key=str)


class TaskCustomFieldDefinitionRead(BoardsPayload[CustomField]):
    id: UUID
    organization_id: Annotated[UUID, Of("organization")]
    field_key: str
    label: str
    field_type: CustomFieldType
    ui_visibility: FieldVisibility
    validation_regex: str | None
    description: str | None
    required: bool
    default_value: Annotated[Any, Of("default_value", raw_json)]
    board_ids: Annotated[list[UUID], Computed(sorted_boards)]
    created_at: datetime
    updated_at: datetime
    version: int


class TaskCustomFieldDefinitionCreate(Body):
    field_key: NameText
    board_ids: Annotated[list[UUID], Length(1)]
    label: NameText | None = None
    field_type: TypeName = CustomFieldType.TEXT
    ui_visibility: VisibilityName = FieldVisibility.ALWAYS
    validation_regex: str | None = None
    description: str | None = None
    required: bool = False
    default_value: Any = None


class TaskCustomFieldDefinitionUpdate(Body):
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


def _core_values(given: dict[str, Any]) -> dict[str, Any]:
    """
    The fields of a body as those of a command.
    """
    boards = given.pop("board_ids", None)
    if boards is not None:
        given["boards"] = tuple(map(BoardId, boards))
    if "default_value" in given:
        given["default_value"] = default_from(given["default_value"])
    return given


FIELD_RESOURCE: Final = Resource(
    kind=CUSTOM_FIELDS, noun="org_custom_field", key="field", path="/organizations/me/custom-fields",
    parameter="task_custom_field_definition_id", tag="custom-fields", gives=TaskCustomFieldDefinitionRead,
    order=label_order,
)  # fmt: skip
ENDPOINTS = [
    FIELD_RESOURCE.list("List the custom fields of the organization, sorted by label.", paged=False),
    FIELD_RESOURCE.create(
        lambda **given: CreateField(**_core_values(given)), create_field,
        "Create a custom field for the tasks of some boards.\n\nA validation_regex must match the whole value. "
        "It may not contain lookaround, backreferences or possessive repeats.",
        takes=TaskCustomFieldDefinitionCreate, refuses=(FieldKeyTaken,),
    ),
    FIELD_RESOURCE.change(
        lambda **given: UpdateField(**_core_values(given)), update_field,
        "Change the named attributes of a custom field; its key cannot be changed.\n\n"
        "New boards replace the old ones. Values that tasks already have stay as they are.",
        takes=TaskCustomFieldDefinitionUpdate,
    ),
    FIELD_RESOURCE.delete(
        DeleteField, delete_field, "Delete a custom field that no task has a value of.", refuses=(FieldInUse,)
    ),
]  # fmt: skip
