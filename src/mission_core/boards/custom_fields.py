"""
Custom fields: additional fields that an organization defines for the tasks of some of its boards.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import field
from attrs.validators import optional

from mission_core.boards.bounded_regex import MAX_PATTERN_LENGTH, BoundedRegex, StepLimitExceeded
from mission_core.errors import Conflict, Invalid, InvalidField, NotFound
from mission_core.field_types import with_type_validators
from mission_core.ids import BoardId, FieldId, OrganizationId
from mission_core.kinds import Kind
from mission_core.lazy_attrs import define, frozen
from mission_core.records import record_events
from mission_core.values import JsonText, canonical, storable_json, text, utc_moment

MAX_FIELD_NAME_LENGTH: Final = 200
MAX_FIELD_VALUE_LENGTH: Final = 20_000


class CustomFieldType(StrEnum):
    """
    The type of a custom field's values.
    """

    TEXT = "text"
    TEXT_LONG = "text_long"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"
    DATE_TIME = "date_time"
    URL = "url"
    JSON = "json"


class FieldVisibility(StrEnum):
    """
    Whether people are shown a custom field: always, only if it has a value, or never.
    """

    ALWAYS = "always"
    IF_SET = "if_set"
    HIDDEN = "hidden"


TYPE_ALIASES: Final = {
    "text (long)": CustomFieldType.TEXT_LONG,
    "long_text": CustomFieldType.TEXT_LONG,
    "true/false": CustomFieldType.BOOLEAN,
    "date & time": CustomFieldType.DATE_TIME,
    "datetime": CustomFieldType.DATE_TIME,
}
VISIBILITY_ALIASES: Final = {"if set": FieldVisibility.IF_SET}


def field_type_from(words: str) -> CustomFieldType:
    """
    Parse the name of a field type, ignoring case.

    Raises:
        InvalidField: If the name is unknown.
    """
    name = words.strip().lower()
    try:
        return TYPE_ALIASES.get(name) or CustomFieldType(name)
    except ValueError:
        raise InvalidField("field_type", f"must be one of: {', '.join(CustomFieldType)}", words) from None


def visibility_from(words: str) -> FieldVisibility:
    """
    Parse the name of a visibility, ignoring case.

    Raises:
        InvalidField: If the name is unknown.
    """
    name = words.strip().lower()
    try:
        return VISIBILITY_ALIASES.get(name) or FieldVisibility(name)
    except ValueError:
        raise InvalidField("ui_visibility", f"must be one of: {', '.join(FieldVisibility)}", words) from None


# A check returns the reason why a value is not of its type, or None.

ValueCheck = Callable[[Any], str | None]
ISO_DATE: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
SPACE_OR_CONTROL: Final = re.compile(r"[\x00-\x20\x7f]")


def _check_type(told: str, *types: type) -> ValueCheck:
    # In Python, bool is a subclass of int; in JSON, true is not a number.
    return lambda value: None if type(value) in types else told


def _check_text(told: str, read: Callable[[str], object]) -> ValueCheck:
    def check(value: Any) -> str | None:
        try:
            return None if isinstance(value, str) and read(value) else told
        except ValueError:
            return told

    return check


def _check_url(value: Any) -> str | None:
    if not isinstance(value, str):
        return "must be a URL string"
    try:
        parts = urlsplit(value)
        fits = (
            parts.scheme in ("http", "https")
            and parts.hostname
            and parts.port != 0
            and not SPACE_OR_CONTROL.search(value)
        )
    except ValueError:
        fits = False
    return None if fits else "must be a valid http/https URL"


CHECKS: Final[Mapping[CustomFieldType, ValueCheck]] = {
    CustomFieldType.TEXT: _check_type("must be a string", str),
    CustomFieldType.TEXT_LONG: _check_type("must be a string", str),
    CustomFieldType.INTEGER: _check_type("must be an integer", int),
    CustomFieldType.DECIMAL: _check_type("must be a decimal number", int, float),
    CustomFieldType.BOOLEAN: _check_type("must be true or false", bool),
    CustomFieldType.DATE: _check_text(
        "must be an ISO date string (YYYY-MM-DD)", lambda words: ISO_DATE.fullmatch(words) and date.fromisoformat(words)
    ),
    CustomFieldType.DATE_TIME: _check_text("must be an ISO datetime string", datetime.fromisoformat),
    CustomFieldType.URL: _check_url,
    CustomFieldType.JSON: _check_type("must be a JSON object or array", dict, list),
}
TEXT_TYPES: Final = frozenset(
    {
        CustomFieldType.TEXT,
        CustomFieldType.TEXT_LONG,
        CustomFieldType.DATE,
        CustomFieldType.DATE_TIME,
        CustomFieldType.URL,
    }
)
"""Types whose values a regular expression can validate."""


def value_error(field_type: CustomFieldType, pattern: str | None, value: object) -> str | None:
    """
    The reason why a field of this type and regular expression refuses a value, or None if it accepts it. Null means no
    value and is accepted.
    """
    if value is None:
        return None
    reason = CHECKS[field_type](value)
    if reason is not None:
        return reason
    try:
        if len(canonical(value)) > MAX_FIELD_VALUE_LENGTH:
            return f"must have at most {MAX_FIELD_VALUE_LENGTH} characters"
    except InvalidField as e:
        return e.reason
    try:
        fits = pattern is None or BoundedRegex.of(pattern).matches(str(value))
    except StepLimitExceeded:
        return "takes too long to match against validation_regex; shorten it"
    return None if fits else "does not match validation_regex"


class FieldNotFound(NotFound):
    """
    This organization has no such custom field.
    """

    says = "Custom field not found"


class FieldKeyTaken(Conflict):
    """
    Another field of the organization has this key.
    """

    says = "Field key already exists in this organization."


class FieldInUse(Conflict):
    """
    A task has a value of this field.
    """

    says = "Cannot delete a custom field definition while task values exist."


@define(repr=False)
class FieldBoardsUnknown(Invalid):
    """
    The organization does not have all of the named boards.
    """

    missing: tuple[BoardId, ...]

    says = "Some selected boards are invalid for this organization."


@define(repr=False)
class DefaultInvalid(Invalid):
    """
    The custom field does not accept its default value.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason


def valid_regex(instance: object, attribute: Any, value: str) -> None:
    """
    Validate a regular expression, and that it can be matched in bounded time.
    """
    try:
        BoundedRegex.of(value)
    except ValueError as e:
        raise InvalidField(attribute.name, str(e), value) from None


@frozen(kw_only=True, field_transformer=with_type_validators)
class CustomField:
    """
    A custom field of the tasks of *boards*. Its key is unique in the organization and cannot be changed.

    Raises:
        InvalidField: If its regular expression is invalid, or its type is not textual.
        DefaultInvalid: If it does not accept its own default.
    """

    id: FieldId
    organization: OrganizationId
    field_key: str = field(validator=text(least=1, most=MAX_FIELD_NAME_LENGTH))
    label: str = field(validator=text(least=1, most=MAX_FIELD_NAME_LENGTH))
    field_type: CustomFieldType = CustomFieldType.TEXT
    ui_visibility: FieldVisibility = FieldVisibility.ALWAYS
    validation_regex: str | None = field(default=None, validator=optional([text(most=MAX_PATTERN_LENGTH), valid_regex]))
    description: str | None = field(default=None, validator=optional(text(most=5000)))
    required: bool = False
    default_value: JsonText | None = field(default=None, validator=optional(storable_json))
    boards: tuple[BoardId, ...] = ()
    created_at: datetime = field(validator=utc_moment)
    updated_at: datetime = field(validator=utc_moment)
    version: int = 0

    def __attrs_post_init__(self) -> None:
        if self.validation_regex is not None and self.field_type not in TEXT_TYPES:
            raise InvalidField("validation_regex", "is only supported for string field types.", self.validation_regex)
        if self.default_value is not None and (reason := self.value_error(json.loads(self.default_value))):
            raise DefaultInvalid(reason)

    def value_error(self, value: object) -> str | None:
        """
        The reason why the field refuses a value, or None if it accepts it.
        """
        return value_error(self.field_type, self.validation_regex, value)


CUSTOM_FIELDS: Final = Kind(
    entity=CustomField,
    name="custom_fields",
    missing=FieldNotFound,
    unique={("field_key",): FieldKeyTaken},
    held_by_tasks=True,
    in_use=FieldInUse,
)


def label_order(field: CustomField) -> tuple[str, datetime, FieldId]:
    """
    The key that sorts fields by label, ignoring case, then by age.
    """
    return field.label.lower(), field.created_at, field.id


def fields_by_board(fields: Iterable[CustomField]) -> dict[bytes, tuple[CustomField, ...]]:
    """
    The custom fields of each board in the order of their labels, keyed by the bytes of the board's id.
    """
    found: dict[bytes, tuple[CustomField, ...]] = {}
    for each in sorted(fields, key=label_order):
        for board in each.boards:
            found[board.bytes] = (*found.get(board.bytes, ()), each)
    return found


FieldCreated, FieldUpdated, FieldDeleted = record_events(
    "field", subject="custom_field", logs=("field_key",), logs_change=("field_key",)
)
