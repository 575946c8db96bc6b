from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_core.values import EPOCH
from mission_http.platform.errors import FieldsInvalid
from mission_http.platform.value_parsers import LAX, STRICT

anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.none())
KINDS = ["text", "integer", "number", "boolean", "uuid", "moment"]


@given(anything, st.sampled_from(KINDS), st.sampled_from([STRICT, LAX]))
def test_a_reading_answers_or_refuses(value, kind, reading):
    """
    No value brings a reading to its knees.
    """
    with suppress(FieldsInvalid):
        getattr(reading, kind)(value)


@pytest.mark.parametrize("sent", [5, 5.0, "5", " 5 ", "+5", "5.0", "05"], ids=repr)
def test_a_lax_integer_may_be_spelled(sent):
    assert 5 == LAX.integer(sent)


@pytest.mark.parametrize(("sent", "kind"), [(5.5, "int_from_float"), ("5.5", "int_parsing"), (None, "int_type")])
def test_a_lax_integer_says_what_it_is_not(sent, kind):
    with pytest.raises(FieldsInvalid) as caught:
        LAX.integer(sent)

    assert kind == caught.value.errors[0].kind


@pytest.mark.parametrize("sent", [True, "yes", "ON", "1", 1, 1.0, "t"], ids=repr)
def test_a_lax_boolean_may_be_spelled(sent):
    assert True is LAX.boolean(sent)


@pytest.mark.parametrize("sent", [1, "true", 1.0, None], ids=repr)
def test_a_strict_boolean_may_not(sent):
    with pytest.raises(FieldsInvalid):
        STRICT.boolean(sent)


@pytest.mark.parametrize("sent", [True, "5", 5.5])
def test_a_strict_integer_is_a_number_without_fraction(sent):
    with pytest.raises(FieldsInvalid):
        STRICT.integer(sent)


@given(st.uuids())
def test_a_uuid_is_read_in_all_its_spellings(uuid):
    """
    Hyphens, case, braces and prefix make no difference.
    """
    spellings = [str(uuid), uuid.hex, str(uuid).upper(), f"urn:uuid:{uuid}", f"{{{uuid}}}", uuid.urn.upper()]

    assert [uuid] * len(spellings) == [LAX.uuid(spelling) for spelling in spellings]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ("abc", "invalid length: expected length 32 for simple format, found 3"),
        ("zz", "found `z` at 1"),
        (str(UUID(int=1))[:-1], "invalid group length in group 4: expected 12, found 11"),
        ("a-b", "invalid group count: expected 5, found 2"),
    ],
)
def test_a_uuid_that_is_none_says_why(sent, reason):
    with pytest.raises(FieldsInvalid) as caught:
        LAX.uuid(sent)

    assert caught.value.errors[0].message.startswith("Input should be a valid UUID, ")
    assert reason in caught.value.errors[0].message


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("2027-05-05", datetime(2027, 5, 5, tzinfo=UTC)),
        ("2027-01-02T03:04:05+02:00", datetime(2027, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("2027-01-02T03:04:05", datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2027-01-02T03:04:05.5Z", datetime(2027, 1, 2, 3, 4, 5, 500_000, tzinfo=UTC)),
        (1760000000, datetime(2025, 10, 9, 8, 53, 20, tzinfo=UTC)),
        (1760000000000, datetime(2025, 10, 9, 8, 53, 20, tzinfo=UTC)),
        ("1760000000", datetime(2025, 10, 9, 8, 53, 20, tzinfo=UTC)),
    ],
    ids=repr,
)
def test_a_lax_moment_may_be_spelled(sent, read):
    assert read == LAX.moment(sent)


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)), st.integers(-840, 840))
def test_a_zone_shifts_a_moment_to_utc(local, minutes):
    """
    The moment read is the moment written, in UTC.
    """
    written = local.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    read = LAX.moment(written.isoformat())

    assert (written, timedelta(0)) == (read, read.utcoffset())


@given(st.integers(-(10**10), 10**11))
def test_a_strict_moment_is_whole_seconds(seconds):
    """
    A strict moment counts Unix seconds and nothing else.
    """
    assert EPOCH + timedelta(seconds=seconds) == STRICT.moment(seconds)


@pytest.mark.parametrize("sent", ["2027-01-01", True, 1.5, 10**20])
def test_a_strict_moment_is_nothing_else(sent):
    with pytest.raises(FieldsInvalid):
        STRICT.moment(sent)
