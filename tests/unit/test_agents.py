"""
The laws of agents and their presence.
"""

from datetime import timedelta

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_core.agents.model import LIFECYCLE_STATUSES, OFFLINE, OFFLINE_AFTER, PROVISIONING, Presence


@given(some.agents(), some.moments, st.none() | some.names, st.none() | some.texts())
def test_a_sign_of_life_touches_nothing_but_presence(agent, at, status, activity):
    """
    And is told as a fact only if the derived status changed by it.
    """
    heard, fact = agent.after_heartbeat(at=at, status=status, activity=activity)
    was, now = agent.status(at=at), heard.status(at=at)

    assert agent == evolve(heard, presence=agent.presence)
    assert at == heard.presence.last_seen_at
    assert (fact is not None) is (was != now)
    if fact is not None:
        assert (agent.id, was, now) == (fact.agent, fact.was, fact.status)


@given(some.presences, some.moments, some.durations)
def test_who_is_silent_for_too_long_is_offline(presence, at, later):
    """
    Unless its lifecycle says otherwise.
    """
    seen = presence.after_heartbeat(at=at)
    silent = at + OFFLINE_AFTER + later
    expected = seen.reported if seen.reported in LIFECYCLE_STATUSES else OFFLINE

    assert expected == seen.status(at=silent)
    assert seen.reported == seen.status(at=at + OFFLINE_AFTER)


@given(some.moments)
def test_who_was_never_seen_is_being_provisioned(at):
    """
    And without a word is online from its first sign of life.
    """
    assert PROVISIONING == Presence().status(at=at)
    assert OFFLINE == Presence().status(at=at, as_made=True)
    assert "online" == Presence().after_heartbeat(at=at).status(at=at)


@given(some.presences, some.moments)
def test_who_was_seen_is_the_same_however_it_was_made(presence, at):
    """
    The status it was made with only tells of an agent that was never seen.
    """
    seen = presence.after_heartbeat(at=at)
    later = at + timedelta(seconds=1)

    assert seen.status(at=later) == seen.status(at=later, as_made=True)
