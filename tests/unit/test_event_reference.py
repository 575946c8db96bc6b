"""
The page that lists all events.
"""

from tests.event_reference import COMMAND, PAGE, events, reference


def test_the_page_lists_every_event_as_it_is():
    """
    A reader of the log finds each kind with its payload.
    """
    assert reference() == PAGE.read_text(), f"{PAGE.name} is out of date; to write it again: {COMMAND}"


def test_each_kind_is_that_of_one_class():
    """
    A kind tells which fields a payload has.
    """
    kinds = [each.kind for own in events().values() for each in own]

    assert len(set(kinds)) == len(kinds)
