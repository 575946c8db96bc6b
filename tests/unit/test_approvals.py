"""
The laws of approvals.
"""

import json

import pytest
from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_core.approvals.model import (
    AgentsCannotDecide,
    ApprovalAlreadyDecided,
    ApprovalLink,
    ApprovalStatus,
    digest_of,
)
from mission_core.events.model import Actor

APPROVED, PENDING = ApprovalStatus.APPROVED, ApprovalStatus.PENDING
DECISIONS = st.sampled_from([ApprovalStatus.APPROVED, ApprovalStatus.REJECTED])
pending = some.approvals(status=st.just(PENDING))
people = st.builds(Actor, st.sampled_from(["user", "system"]), some.maybe(some.ids), some.names)
an_agent = st.builds(Actor, st.just("agent"), some.ids, some.names)
named = st.lists(st.tuples(some.ids, some.counts), min_size=1, max_size=3)


@given(pending, DECISIONS, people, some.names, some.maybe(some.texts()), some.moments)
def test_a_decision_tells_who_when_why_and_through_what(approval, status, by, through, reason, at):
    """
    And leaves what was asked for as it was; the fact names it by its digest.
    """
    decided, fact = approval.decide(status, by=by, through=through, reason=reason, at=at)
    told = {
        "status": status, "decider": by.name, "decider_kind": by.kind, "decider_id": by.id,
        "decided_through": through, "reason": reason, "resolved_at": at,
    }  # fmt: skip

    assert evolve(approval, **told) == decided
    assert (approval.id, status, approval.digest.hex(), through, reason, at) == (
        fact.subject, fact.status, fact.digest, fact.through, fact.reason, fact.at
    )  # fmt: skip


@given(some.approvals(status=DECISIONS), DECISIONS, people, some.moments)
def test_what_is_decided_is_not_decided_again(approval, status, by, at):
    """
    The refusal names the first decision.
    """
    with pytest.raises(ApprovalAlreadyDecided) as refused:
        approval.decide(status, by=by, through="x", at=at)

    assert (approval.id, approval.status, approval.resolved_at) == (
        refused.value.approval, refused.value.status, refused.value.at
    )  # fmt: skip
    assert approval.status.value in str(refused.value)


@given(some.approvals(), DECISIONS, an_agent, some.moments)
def test_agents_neither_decide_nor_take_back(approval, status, by, at):
    """
    Neither what they asked for nor what others did.
    """
    with pytest.raises(AgentsCannotDecide):
        approval.decide(status, by=by, through="x", at=at)
    with pytest.raises(AgentsCannotDecide):
        approval.reopen(by=by, at=at)


@given(some.approvals(status=DECISIONS), DECISIONS, people, people, some.moments)
def test_a_decision_that_was_taken_back_can_be_made_anew(approval, status, back, by, at):
    """
    Until then the old one is told of, and it is pending.
    """
    reopened, fact = approval.reopen(by=back, at=at)
    decided, _ = reopened.decide(status, by=by, through="x", at=at)

    assert evolve(approval, status=PENDING) == reopened
    assert approval.status is fact.was
    assert (status, by.name) == (decided.status, decided.decider)


@given(some.approvals(), some.approvals(), some.ids, some.ids, some.counts)
def test_a_link_stands_like_its_approval(approval, later, task, id, fence):
    """
    From the beginning and whatever is decided; while that is pending, its task has no other.
    """
    link = ApprovalLink.of(approval, task, id=id, place=0, fence=fence)
    followed = link.with_status_of(evolve(approval, status=later.status))

    assert (approval.status, approval.board, approval.organization) == (link.status, link.board, link.organization)
    for each in (link, followed):
        assert (task if each.status is PENDING else None) == each.pending_for
    assert later.status is followed.status


@given(some.approval_links(status=st.just(APPROVED), used_at=st.none()), some.moments)
def test_an_approval_is_good_once_for_each_task(link, at):
    """
    Whatever becomes of it.
    """
    used, fact = link.use(at=at)

    assert (True, False) == (link.is_usable, used.is_usable)
    assert (link.approval, link.task, at) == (fact.approval, fact.passed, used.used_at)
    assert not any(evolve(used, status=status).is_usable for status in ApprovalStatus)


@given(some.approval_links(status=st.just(APPROVED)), pending, some.moments)
def test_what_is_asked_for_again_is_good_again(link, approval, at):
    """
    Once it is approved again.
    """
    again = link.with_status_of(approval)
    approved, _ = approval.decide(APPROVED, by=Actor("user", None, "me"), through="x", at=at)

    assert not again.is_usable
    assert again.with_status_of(approved).is_usable


@given(some.texts(), some.json_objects, named, st.integers(0, 3), st.data())
def test_a_digest_is_of_all_that_is_asked_for(action, arguments, tasks, part, data):
    """
    Another action, argument, task, fence or order makes another one.
    """
    digest = digest_of(action, arguments, tasks)
    others = [
        (action + "x", arguments, tasks),
        (action, json.dumps({**json.loads(arguments), "more": data.draw(some.json_values)}), tasks),
        (action, arguments, [*tasks, (data.draw(some.ids), 0)]),
        (action, arguments, [(task, fence + 1) for task, fence in tasks]),
    ]
    other = others[part]
    assume(json.loads(other[1]) != json.loads(arguments) or part != 1)

    assert digest == digest_of(action, arguments, tasks)
    assert digest != digest_of(*other)
