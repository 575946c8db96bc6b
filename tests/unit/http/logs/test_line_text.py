"""
How lines of the log look.
"""

import re

from hypothesis import given
from hypothesis import strategies as st

from mission_http.logs.line_text import Timestamps, render_text

HEAD = {"timestamp": "T", "level": "info", "logger": "l", "event": "request"}


def test_a_line_tells_when_how_bad_where_what_and_the_facts():
    facts = {"status": 200, "client": "::1", "by": None, "title": "Ship it", "quote": 'a"b\\', "empty": "", "z": "Zoë"}

    assert (
        r'T info     l: request status=200 client=::1 by=- title="Ship it" quote="a\"b\\" empty="" z=Zoë'
        == render_text({**HEAD, **facts})
    )


def test_a_traceback_stands_below():
    assert "T info     l: request\nTraceback\n  here\\u001b[2J" == render_text(
        {**HEAD, "exception": "Traceback\n  here\x1b[2J"}
    )


@given(event=st.text(), name=st.text(), value=st.text() | st.integers() | st.none())
def test_nobody_can_begin_a_line_or_move_the_cursor(event, name, value):
    """
    Whatever is told.
    """
    line = render_text({**HEAD, "event": event, "name": name, "value": value})

    assert line.isprintable()
    assert [line] == line.splitlines()


@given(value=st.text())
def test_a_value_ends_where_it_seems_to(value):
    """
    It is bare, or all of it is in quotation marks.
    """
    shown = render_text({**HEAD, "name": value, "next": 1}).partition(" name=")[2]

    assert re.fullmatch(r'([^\s"=\\]+|"([^"\\]|\\.)*") next=1', shown)


def test_a_moment_is_told_in_utc_or_with_its_zone():
    """
    To the millisecond, also in the second that was told before.
    """
    utc = Timestamps(True).text_of
    told = [utc(at) for at in (1_700_000_000.0, 1_700_000_000.0625, 1_700_000_001.9999)]
    here = Timestamps(False).text_of(1_700_000_000.0)

    assert ["2023-11-14T22:13:20.000Z", "2023-11-14T22:13:20.062Z", "2023-11-14T22:13:21.999Z"] == told
    assert re.fullmatch(r"2023-11-1[45]T\d\d:\d\d:20\.000[+-]\d\d:\d\d", here)
