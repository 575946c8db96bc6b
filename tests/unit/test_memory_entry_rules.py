"""
Entries of memory: when they are chat, when they speak to others, and what they must say.
"""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_core.conversations.memory_entries import MAX_TAGS, BoardMemoryEntry, is_addressed, is_chat
from mission_core.errors import InvalidField

tags = st.none() | st.lists(some.names | st.sampled_from(["chat", "Chat", " chat", "chats", "broadcast"])).map(tuple)


@given(tags)
def test_chat_is_what_has_exactly_that_tag(given_tags):
    """
    In no other spelling.
    """
    assert is_chat(given_tags) is (given_tags is not None and "chat" in set(given_tags))


@given(some.texts().filter(lambda words: "@" not in words), tags)
def test_an_entry_that_calls_nobody_speaks_by_its_tags(words, given_tags):
    """
    To others as chat or as a broadcast.
    """
    assert is_addressed(words, given_tags) is bool({"chat", "broadcast"} & set(given_tags or ()))


@pytest.mark.parametrize(
    ("words", "expected"),
    [("@all: stop", True), ("Stop, @ALL!", True), ("@allison", False), ("all", False), ("@al", False)],
)
def test_calling_everybody_speaks_to_others(words, expected):
    """
    By that name, whatever its case.
    """
    assert is_addressed(words, None) is expected


@pytest.mark.parametrize("fixed", [{"content": " \n"}, {"content": ""}, {"content": "a\0"}, {"source": "\ud800"}])
def test_an_entry_says_something_that_can_be_kept(fixed):
    """
    Not only blanks, and nothing that a store cannot hold.
    """
    with pytest.raises(InvalidField, match=next(iter(fixed))):
        an_entry(**fixed)


@pytest.mark.parametrize("wrong", [("x" * 201,), ("\0",), ("x",) * (MAX_TAGS + 1)])
def test_tags_are_few_and_short(wrong):
    """
    And of words that can be kept.
    """
    with pytest.raises(InvalidField, match="tags"):
        an_entry(tags=wrong)


@given(some.board_entries())
def test_the_fact_of_an_entry_has_none_of_its_words(entry):
    """
    They go with the board, and what happened is kept for ever.
    """
    fact = entry.written_event()

    assert "content" not in fact.payload()
    assert (entry.board, entry.chat, len(entry.content)) == (fact.board, fact.chat, fact.length)


def an_entry(**fixed):
    own = {
        "id": UUID(int=1), "number": 1, "organization": UUID(int=2), "board": UUID(int=3), "content": "x",
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    return BoardMemoryEntry(**(own | fixed))
