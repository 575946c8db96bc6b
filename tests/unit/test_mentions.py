"""
Whom a text calls.
"""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_core.accounts.members import MemberWithUser
from mission_core.agents.queries import AgentNameRow
from mission_core.tasks.mentions import (
    UnknownMentions,
    handles_in,
    index_by_handle,
    mentioned_by_handle,
    mentioned_by_name,
    names_in,
)
from mission_core.values import JsonText


def agent(name, *, lead=False, openclaw=None):
    config = "{}" if openclaw is None else f'{{"openclawId":"{openclaw}"}}'
    return AgentNameRow(name, "coder", int(lead), JsonText(config))


ADA = agent("Ada Lovelace", openclaw="Engine-1")
BOB = agent("bob")
LEA = agent("Lea", lead=True)


@pytest.mark.parametrize(
    ("text", "handles"),
    [
        ("@bob, look", ("bob",)),
        ("(@bob)", ("bob",)),
        ("@bob @BOB @ada @Bob", ("bob", "ada")),
        ("@a.b_c-d", ("a.b_c-d",)),
        ("mail bob@example.com or josé@example.com", ()),
        ("a.@b _@b -@b", ()),
        ("@ bob @-bob @_bob @.bob", ()),
        ("@9", ("9",)),
        ("@" + "x" * 70, ("x" * 64,)),
        ("@@bob", ("bob",)),
        ("no one", ()),
    ],
)
def test_a_handle_begins_after_an_at_that_belongs_to_no_word(text, handles):
    assert handles == handles_in(text)


@pytest.mark.parametrize(
    ("text", "called", "missing"),
    [
        ("@bob and @engine-1", ["bob", "Ada Lovelace"], ()),
        ("@ADA-Lovelace @engine-1", ["Ada Lovelace"], ()),
        ("@ada", [], ("ada",)),
        ("@Eve @bob @eve @mallory", ["bob"], ("Eve", "mallory")),
        ("thanks, @bob.", ["bob"], ()),
        ("thanks, @eve.", [], ("eve.",)),
        ("@山田さん確認してください", [], ()),
    ],
)
def test_a_handle_calls_whoever_has_it(text, called, missing):
    """
    By the id it was given elsewhere or by its name, with hyphens for its spaces; a full stop may end the sentence.
    """
    found, unknown = mentioned_by_handle(text, index_by_handle([], [ADA, BOB, LEA]))

    assert (called, missing) == ([each.recipient for each in found], unknown)


def test_a_handle_with_a_full_stop_of_its_own_goes_before_one_without():
    found, _ = mentioned_by_handle("@bob.", index_by_handle([], [agent("bob."), BOB]))

    assert ["bob."] == [each.recipient for each in found]


@given(some.members(), some.users(username=st.just("Lea"), username_key=st.just("lea"), name=st.just("Lea Person")))
def test_of_those_who_share_a_handle_the_first_has_it(member, user):
    """
    People go before agents, and both by name.
    """
    lea = MemberWithUser(member, user)
    known = index_by_handle([lea], [agent("zoe", openclaw="bob"), BOB, agent("amy", openclaw="zoe"), LEA])

    assert ("bob", "amy") == (known["bob"].recipient, known["zoe"].recipient)
    assert ("user", "Lea", "Lea Person") == (known["lea"].kind, known["lea"].recipient, known["lea"].display)


def test_unknown_handles_are_told_as_they_are_spelled():
    assert "Unknown mentions: @Eve, @mallory" == str(UnknownMentions(("Eve", "mallory")))


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ("@lead please", ["Lea"]),
        ("@LEAD @bob", ["bob", "Lea"]),
        ("@ada", ["Ada Lovelace"]),
        ("@lovelace", []),
        ("@ada-lovelace", []),
        ("@nobody @9 mail me@bob.org", ["bob"]),
        ("@bobby", []),
        ("bob", []),
    ],
)
def test_a_name_calls_agents_by_name_first_word_or_office(text, called):
    assert called == [each.recipient for each in mentioned_by_name(text, [ADA, BOB, LEA])]


@given(st.text(), st.lists(some.names.map(agent), max_size=5))
def test_any_text_calls_somebody_known_or_is_told_of(text, agents):
    """
    Every handle of ASCII in a text leads to somebody or is missed; nobody is called twice.
    """
    known = index_by_handle([], agents)
    found, missing = mentioned_by_handle(text, known)

    assert len({each.recipient for each in found}) == len(found)
    assert set(missing) <= set(handles_in(text))
    assert all(re.fullmatch(r"[A-Za-z0-9][\w.-]{0,63}", each, re.ASCII) for each in missing)
    assert len(found) + len(missing) <= len(handles_in(text))


@given(st.from_regex(r"[A-Za-z][\w-]{0,31}", fullmatch=True))
def test_whoever_has_a_name_that_can_be_called_is_called_by_it(name):
    assert [name] == [each.recipient for each in mentioned_by_name(f"hey @{name}!", [agent(name)])]
    assert names_in(f"@{name}")
