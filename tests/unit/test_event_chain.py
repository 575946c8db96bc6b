"""
The laws of the chain.
"""

import json
from hashlib import sha256

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_core.agents.model import AgentCreated
from mission_core.events.model import GENESIS, ChainBreak, ChainHead, Entry, verify_chain
from mission_core.values import canonical


@st.composite
def chains(draw, least=1):
    """
    A chain of entries from the first position.
    """
    organization, entries, digest = draw(some.ids), [], GENESIS
    for position, fact in enumerate(draw(st.lists(some.events, min_size=least, max_size=5)), 1):
        actor = draw(some.actors)
        entries.append(Entry.of(fact, organization=organization, actor=actor, position=position, previous=digest))
        digest = entries[-1].digest
    return entries


@given(chains())
def test_an_honest_chain_verifies(entries):
    """
    To its last position and digest.
    """
    assert ChainHead(len(entries), entries[-1].digest) == verify_chain(entries)


@given(chains(), st.data())
def test_a_chain_verifies_in_pieces(entries, data):
    """
    From wherever one got to before.
    """
    cut = data.draw(st.integers(0, len(entries)))
    reached = verify_chain(entries[:cut])

    assert verify_chain(entries) == verify_chain(entries[cut:], reached)


@given(chains(), st.data())
def test_any_change_is_found_at_the_entry_that_changed(entries, data):
    """
    Whichever field it was.
    """
    place = data.draw(st.integers(0, len(entries) - 1))
    entry = entries[place]
    changed = data.draw(
        st.sampled_from(
            [
                evolve(entry, kind=entry.kind + "x"),
                evolve(entry, at=entry.at.replace(microsecond=entry.at.microsecond ^ 1)),
                evolve(entry, actor=evolve(entry.actor, name=entry.actor.name + "x")),
                evolve(entry, subject=type(entry.subject)(int=entry.subject.int ^ 1)),
                evolve(entry, payload=canonical({"other": entry.payload})),
                evolve(entry, payload_digest=sha256(entry.payload_digest).digest()),
                evolve(entry, digest=sha256(entry.digest).digest()),
            ]
        )
    )
    found = verify_chain([*entries[:place], changed, *entries[place + 1 :]])

    assert isinstance(found, ChainBreak)
    assert place + 1 == found.position


@given(chains(least=2), st.data())
def test_a_missing_entry_is_found(entries, data):
    """
    Unless it was the last; that the head of the log knows.
    """
    place = data.draw(st.integers(0, len(entries) - 2))
    found = verify_chain(entries[:place] + entries[place + 1 :])

    assert isinstance(found, ChainBreak)
    assert place + 1 == found.position


@given(chains(), st.data())
def test_an_erased_payload_leaves_a_hole_that_verifies(entries, data):
    """
    Its digest stands.
    """
    place = data.draw(st.integers(0, len(entries) - 1))
    erased = [*entries[:place], evolve(entries[place], payload=None), *entries[place + 1 :]]

    assert verify_chain(entries) == verify_chain(erased)


@given(some.events)
def test_a_payload_is_canonical_json(fact):
    """
    The same fields give the same bytes.
    """
    payload = fact.payload()

    assert payload == canonical(json.loads(payload))
    assert "at" not in json.loads(payload)


@given(some.agents(), some.moments)
def test_an_event_repeats_the_values_of_its_entity_unless_others_are_given(agent, at):
    """
    A field that only the event has keeps its default.
    """
    known = AgentCreated(
        agent=agent.id, number=agent.number, name=agent.name, role="given", board=agent.board, registered=False, at=at
    )

    assert known == AgentCreated.of(agent, role="given", at=at)


@given(some.boards(), some.moments)
def test_an_event_about_an_entity_that_lacks_a_value_is_refused(board, at):
    with pytest.raises(AttributeError, match="role"):
        AgentCreated.of(board, at=at)
