"""
What custom fields take, and how their words are read.
"""

import json

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_core.boards.custom_fields import (
    MAX_FIELD_VALUE_LENGTH,
    TEXT_TYPES,
    CustomField,
    CustomFieldType,
    DefaultInvalid,
    FieldVisibility,
    field_type_from,
    value_error,
    visibility_from,
)
from mission_core.errors import InvalidField
from mission_core.values import canonical

REASONS = {
    CustomFieldType.TEXT: "must be a string",
    CustomFieldType.TEXT_LONG: "must be a string",
    CustomFieldType.INTEGER: "must be an integer",
    CustomFieldType.DECIMAL: "must be a decimal number",
    CustomFieldType.BOOLEAN: "must be true or false",
    CustomFieldType.DATE: "must be an ISO date string (YYYY-MM-DD)",
    CustomFieldType.DATE_TIME: "must be an ISO datetime string",
    CustomFieldType.URL: "must be a URL string",
    CustomFieldType.JSON: "must be a JSON object or array",
}
types = st.sampled_from(CustomFieldType)


@given(field_type=types, data=st.data())
def test_a_value_of_a_type_is_taken(field_type: CustomFieldType, data: st.DataObject) -> None:
    """
    Also after it went through JSON, as it is kept.
    """
    value = data.draw(some.values_of[field_type])

    assert value_error(field_type, None, value) is None
    assert value_error(field_type, None, json.loads(canonical(value))) is None


@given(field_type=types, value=st.booleans() | st.integers() | st.floats() | st.lists(st.none()) | st.just({}))
def test_a_value_of_no_type_is_refused_with_the_types_reason(field_type: CustomFieldType, value: object) -> None:
    """
    Texts aside, which several types take. A truth value is no number.
    """
    own = {
        CustomFieldType.INTEGER: (int,), CustomFieldType.DECIMAL: (int, float), CustomFieldType.BOOLEAN: (bool,),
        CustomFieldType.JSON: (list, dict),
    }  # fmt: skip
    if type(value) not in own.get(field_type, ()):
        assert REASONS[field_type] == value_error(field_type, None, value)


@pytest.mark.parametrize("field_type", CustomFieldType)
def test_null_is_no_value_to_any_type(field_type: CustomFieldType) -> None:
    """
    Whatever its pattern.
    """
    assert value_error(field_type, "x" if field_type in TEXT_TYPES else None, None) is None


@pytest.mark.parametrize(
    ("field_type", "value", "reason"),
    [
        (CustomFieldType.DATE, "2030-02-30", REASONS[CustomFieldType.DATE]),
        (CustomFieldType.DATE, "20300101", REASONS[CustomFieldType.DATE]),
        (CustomFieldType.DATE, "2030-W01-1", REASONS[CustomFieldType.DATE]),
        (CustomFieldType.DATE, "٢٠٣٠-٠١-٠١", REASONS[CustomFieldType.DATE]),
        (CustomFieldType.DATE, "2030-01-01", None),
        (CustomFieldType.DATE_TIME, "2030-01-01T00:00:00Z", None),
        (CustomFieldType.DATE_TIME, "2030-01-01 10:00+02:00", None),
        (CustomFieldType.DATE_TIME, "tomorrow", REASONS[CustomFieldType.DATE_TIME]),
        (CustomFieldType.DATE_TIME, "", REASONS[CustomFieldType.DATE_TIME]),
        (CustomFieldType.URL, "ftp://a", "must be a valid http/https URL"),
        (CustomFieldType.URL, "https://", "must be a valid http/https URL"),
        (CustomFieldType.URL, "http://[::1", "must be a valid http/https URL"),
        (CustomFieldType.URL, "http://a:99999", "must be a valid http/https URL"),
        (CustomFieldType.URL, "http://a b", "must be a valid http/https URL"),
        (CustomFieldType.URL, "HTTPS://Example.org", None),
        (CustomFieldType.TEXT, "a\x00", "must not hold NUL or lone surrogates"),
        (CustomFieldType.JSON, ["\ud800"], "must not hold NUL or lone surrogates"),
        (
            CustomFieldType.TEXT,
            "x" * (MAX_FIELD_VALUE_LENGTH + 1),
            f"must have at most {MAX_FIELD_VALUE_LENGTH} characters",
        ),
    ],
)
def test_values_at_the_edge(field_type: CustomFieldType, value: object, reason: str | None) -> None:
    assert reason == value_error(field_type, None, value)


def test_a_pattern_must_match_the_whole_value() -> None:
    assert value_error(CustomFieldType.TEXT, "[a-c]+", "abc") is None
    assert "does not match validation_regex" == value_error(CustomFieldType.TEXT, "[a-c]+", "abcd")


def test_a_value_that_takes_too_long_is_refused() -> None:
    """
    Rather than kept unlooked at.
    """
    told = value_error(CustomFieldType.TEXT, "(a?){500}b", "a" * 5000)

    assert told is not None
    assert told.startswith("takes too long")


@given(field=some.custom_fields())
def test_a_default_is_one_of_the_fields_values(field: CustomField) -> None:
    """
    A field with another one cannot be built.
    """
    if field.default_value is not None:
        assert field.value_error(json.loads(field.default_value)) is None
    elif field.field_type not in (CustomFieldType.TEXT, CustomFieldType.TEXT_LONG):
        with pytest.raises(DefaultInvalid):
            evolve(field, default_value=canonical("no such value"))


@given(field=some.custom_fields(field_type=st.sampled_from(sorted(set(CustomFieldType) - TEXT_TYPES))))
def test_only_texts_have_patterns(field: CustomField) -> None:
    with pytest.raises(InvalidField, match=r"^validation_regex is only supported for string field types\.$"):
        evolve(field, validation_regex="x")


@given(field=some.custom_fields(field_type=st.just(CustomFieldType.TEXT)))
def test_a_pattern_that_cannot_be_kept_is_refused(field: CustomField) -> None:
    for pattern in ("(", r"(a)\1", "x" * 501):
        with pytest.raises(InvalidField, match="validation_regex"):
            evolve(field, validation_regex=pattern)


def test_types_and_visibilities_are_read_by_all_their_names() -> None:
    """
    Whatever their case, with what people see in forms.
    """
    read = {words: field_type_from(words) for words in (" TEXT ", "Text (long)", "long_text", "datetime")}

    assert [
        CustomFieldType.TEXT,
        CustomFieldType.TEXT_LONG,
        CustomFieldType.TEXT_LONG,
        CustomFieldType.DATE_TIME,
    ] == list(read.values())
    assert (CustomFieldType.BOOLEAN, CustomFieldType.DATE_TIME) == (
        field_type_from("true/false"),
        field_type_from("date & time"),
    )
    assert (FieldVisibility.IF_SET, FieldVisibility.HIDDEN) == (visibility_from("If Set"), visibility_from("hidden"))
    for read_one, words in (field_type_from, "number"), (visibility_from, "never"):
        with pytest.raises(InvalidField, match="must be one of: "):
            read_one(words)
