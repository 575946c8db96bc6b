"""
Tags: their slugs and colours.
"""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_core.boards.tags import color_from, name_order, slug_from
from mission_core.errors import InvalidField


@given(words=some.texts())
def test_a_slug_is_of_small_letters_digits_and_single_hyphens(words: str) -> None:
    """
    Or nothing is left; and a slug's slug is itself.
    """
    slug = slug_from(words)

    assert re.fullmatch("([a-z0-9]+(-[a-z0-9]+)*)?", slug)
    assert slug == slug_from(slug)


@given(color=st.from_regex("[0-9a-f]{6}", fullmatch=True))
def test_a_color_is_read_in_all_its_spellings(color: str) -> None:
    assert {color} == {color_from(each) for each in (color, color.upper(), f"#{color}", f" #{color.upper()} ")}


@pytest.mark.parametrize(
    ("words", "said"),
    [("", "color is required"), (" # ", "color is required"), ("red", "6-digit hex"), ("##abcdef", "6-digit hex"),
     ("abcde", "6-digit hex"), ("ábcdef", "6-digit hex"), ("abcdef0", "6-digit hex")],
)  # fmt: skip
def test_what_is_no_color_is_refused(words: str, said: str) -> None:
    with pytest.raises(InvalidField, match=said):
        color_from(words)


@given(tags=st.lists(some.tags(), max_size=5, unique_by=lambda tag: tag.id))
def test_tags_stand_in_the_order_of_their_names(tags: list) -> None:
    """
    However they came.
    """
    line, other = (sorted(each, key=name_order) for each in (tags, tags[::-1]))

    assert [tag.name.lower() for tag in line] == sorted(tag.name.lower() for tag in tags)
    assert line == other
