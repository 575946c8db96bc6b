"""
The decision about gates, against a plain telling of the rules.
"""

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_core.accounts.model import AgentPrincipal, Role, SystemPrincipal
from mission_core.boards.model import GateSet, WeakerGates
from mission_core.tasks.authors import author_ids_of, author_of_assignee
from mission_core.tasks.gates import OwnReviewRefused, decide_departure, decide_move, status_after_work, with_authors
from mission_core.tasks.model import CommentRequired, GateClosed, Status
from mission_core.tasks.ports import GateContext
from mission_core.tasks.runs import Assignee
from mission_core.tasks.team_rules import OnlyLeadMovesTasks

RULES = (
    "require_approval_for_done", "require_review_before_done", "comment_required_for_review",
    "block_status_changes_with_pending_approval", "only_lead_can_change_status",
)  # fmt: skip
gate_sets = st.builds(GateSet, **{rule: st.booleans() for rule in RULES})
passages = st.builds(GateContext, rules=gate_sets, **{
    fact: st.booleans() for fact in ("approved", "pending", "has_comment", "sole_reviewer", "has_author_key")
})  # fmt: skip
operators = st.builds(SystemPrincipal, organization=some.ids)
agents = st.builds(
    AgentPrincipal, organization=some.ids, agent=some.ids, name=some.names, board=st.none() | some.ids,
    lead=st.booleans(), role=st.sampled_from([Role.OPERATOR, Role.ADMIN]),
)  # fmt: skip
askers = operators | agents
QUEUE = {"inbox", "assigned"}
REVIEWS = {"review", "quality_review"}


def refusal(was, to, passage, asker, *, own):
    """
    Why the gates keep a task, if they do, in the order in which a contract tells it.
    """
    new, rules = was is None, passage.rules
    arrives = new or was.board != to.board
    if not new and was.status is to.status and (not arrives or to.board in was.passed):
        return None
    if not arrives and {was.status.value, to.status.value} <= QUEUE:
        return None
    worker = isinstance(asker, AgentPrincipal) and not (asker.lead and asker.board)
    at_rest = arrives and to.status.value in {*QUEUE, "backlog"}
    in_review = not new and was.status.value in REVIEWS
    done, review = to.status is Status.DONE, to.status.value in REVIEWS
    agent, own = isinstance(asker, AgentPrincipal), not new and (own or passage.has_author_key)
    closed = [
        (rules.only_lead_can_change_status and worker and not at_rest, OnlyLeadMovesTasks),
        (rules.block_status_changes_with_pending_approval and passage.pending, GateClosed),
        (rules.require_review_before_done and done and not in_review, GateClosed),
        (rules.require_approval_for_done and done and not passage.approved, GateClosed),
        (rules.comment_required_for_review and review and not passage.has_comment, CommentRequired),
        (rules.require_review_before_done and done and own and (agent or not passage.sole_reviewer), OwnReviewRefused),
    ]  # fmt: skip
    return next((error for refused, error in closed if refused), None)


@given(st.none() | some.tasks(), some.tasks(), st.booleans(), passages, askers, st.booleans())
def test_a_write_meets_the_gates_or_is_refused(was, to, stays, passage, asker, own):
    """
    The five rules of the board where the task shall be, and nothing else.
    """
    if was is not None:
        to = evolve(to, id=was.id, board=was.board if stays else to.board)
        was = evolve(was, authors=(*was.authors, *sorted(author_ids_of(asker))[:1])) if own else was
    expected = refusal(was, to, passage, asker, own=own and was is not None)
    if expected is None:
        cleared = decide_move(was, to, passage, asker=asker)
        assert not (cleared.self_reviewed and isinstance(asker, AgentPrincipal))
    else:
        with pytest.raises(expected) as refused:
            decide_move(was, to, passage, asker=asker)
        assert type(refused.value) is expected
        assert str(refused.value)


@given(some.tasks(), passages, gate_sets, askers)
def test_leaving_a_board(was, left, arrival, asker):
    """
    Nobody leaves what an approval holds, and an agent below admin no rule behind.
    """
    held = left.rules.block_status_changes_with_pending_approval and left.pending
    weaker = any(getattr(left.rules, rule) and not getattr(arrival, rule) for rule in RULES)
    low = isinstance(asker, AgentPrincipal) and asker.role is not Role.ADMIN
    expected = GateClosed if held else WeakerGates if weaker and low else None
    if expected is None:
        decide_departure(was, left, arrival, asker=asker)
    else:
        with pytest.raises(expected):
            decide_departure(was, left, arrival, asker=asker)


@given(passages)
def test_finished_work_goes_to_review_where_somebody_is_to_look(passage):
    """
    Where a review is asked for, or an approval that is not there.
    """
    rules = passage.rules
    looked_at = rules.require_review_before_done or (rules.require_approval_for_done and not passage.approved)

    assert (Status.REVIEW if looked_at else Status.DONE) is status_after_work(passage)


@given(some.tasks(status=st.just(Status.IN_PROGRESS)), st.sampled_from([Status.REVIEW, Status.DONE]), askers)
def test_who_hands_work_in_is_its_author_beside_who_had_it(was, status, asker):
    """
    And they stay it, whatever follows.
    """
    handed_in = with_authors(was, evolve(was, status=status), asker=asker)
    decided = with_authors(
        handed_in, evolve(handed_in, status=Status.DONE), asker=SystemPrincipal(organization=was.organization)
    )

    assert not author_ids_of(asker).isdisjoint(handed_in.authors)
    assert was.assignee is None or author_of_assignee(was.assignee) in handed_in.authors
    assert handed_in.authors == decided.authors


@given(some.tasks(status=st.sampled_from([Status.REVIEW, Status.DONE])), some.assignees, askers)
def test_who_gets_work_to_review_is_no_author(was, reviewer, asker):
    """
    Nor who hands it to them.
    """
    assert was.authors == with_authors(was, evolve(was, assignee=reviewer), asker=asker, workers=[was.assignee]).authors


@given(agents)
def test_an_agent_is_known_by_its_name_from_before_it_was_registered(agent):
    """
    In whatever case.
    """
    assert author_of_assignee(Assignee(agent.name.upper())) in author_ids_of(evolve(agent, name=agent.name.lower()))
