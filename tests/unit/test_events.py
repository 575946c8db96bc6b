"""
Events: facts that are equal where their fields are.
"""

from datetime import UTC, datetime
from uuid import UUID

from attrs import evolve
from hypothesis import given

from mission_adapters.testing import strategies as some
from mission_core.boards.tags import TagCreated, TagDeleted
from mission_core.events.model import Event
from mission_core.ids import TagId
from tests.event_reference import events

TAG = TagId(UUID("0195a000-0000-7000-8000-000000000001"))
AT = datetime(2026, 1, 2, tzinfo=UTC)


@given(some.events)
def test_events_with_equal_fields_are_equal(event: Event) -> None:
    copy = evolve(event)

    assert (event, hash(event), repr(event)) == (copy, hash(copy), repr(copy))
    assert event != evolve(event, at=AT.replace(year=1970))


def test_events_of_two_classes_are_never_equal() -> None:
    assert TagCreated(tag=TAG, name="bug", at=AT) != TagDeleted(tag=TAG, name="bug", at=AT)


def test_an_event_shows_its_fields() -> None:
    assert f"TagDeleted(at={AT!r}, tag={TAG!r}, name='bug')" == repr(TagDeleted(tag=TAG, name="bug", at=AT))


def test_no_event_has_methods_of_its_own_that_all_share() -> None:
    """
    Generated for each class, they would make its first use longer.
    """
    shared = {name: getattr(Event, name) for name in ("__eq__", "__hash__", "__repr__")}
    kinds = [kind for own in events().values() for kind in own]

    assert [] == [kind for kind in kinds if shared != {name: getattr(kind, name) for name in shared}]
