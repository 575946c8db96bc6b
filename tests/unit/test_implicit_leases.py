"""
The laws of pairs: who works under which name, and whose an implicit lease is.
"""

import pytest
from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_core.accounts.model import AgentPrincipal, KeyOfAnotherAgent, Role, SystemPrincipal, identity_of
from mission_core.errors import InvalidField
from mission_core.tasks.implicit_leases import IMPLICIT_LEASE_TERMS, lease_caller_of
from mission_core.tasks.lease_ownership import task_writer_of
from mission_core.tasks.model import Status
from mission_core.tasks.runs import IMPLICIT_LEASE_TERM, LONGEST_INSTANCE, ImplicitHolder, SecretHolder
from mission_core.values import name_key

ORGANIZATION = some.UUID(int=1)
agents = st.builds(
    AgentPrincipal, organization=st.just(ORGANIZATION), agent=some.ids, name=some.names, lead=st.booleans(),
    role=st.sampled_from(Role),
)  # fmt: skip
operators = st.builds(SystemPrincipal, organization=st.just(ORGANIZATION), name=some.names, user=some.maybe(some.ids))
instances = some.maybe(some.names)


@given(agents, instances)
def test_an_agent_works_under_its_own_name(agent, instance):
    """
    Whether it says so or not, and however it spells it.
    """
    silent, said = lease_caller_of(agent, None, instance), lease_caller_of(agent, agent.name.swapcase(), instance)
    assume(name_key(agent.name) == name_key(agent.name.swapcase()))

    assert silent == said
    assert (agent.agent, True) == (silent.by.agent, silent.is_agent)
    assert ImplicitHolder(identity_of(agent), name_key(agent.name), instance) == silent.holder


@given(agents, some.names)
def test_only_an_admins_key_works_under_another_name(agent, name):
    """
    And is not that agent then.
    """
    assume(name_key(name) != name_key(agent.name))
    admin = lease_caller_of(evolve(agent, role=Role.ADMIN), name)
    with pytest.raises(KeyOfAnotherAgent):
        lease_caller_of(evolve(agent, role=Role.OPERATOR), name)

    assert (name, None, False) == (admin.by.name, admin.by.agent, admin.is_agent)


@given(operators, some.names)
def test_an_operator_works_under_the_name_it_gives(operator, name):
    """
    Without one it works under none.
    """
    assert lease_caller_of(operator) is None
    assert ImplicitHolder(identity_of(operator), name_key(name)) == lease_caller_of(operator, name).holder


@given(agents | operators, some.maybe(some.names))
def test_operators_and_leads_decide_and_who_speaks_for_another_does_not(principal, name):
    """
    A lead and an admin's key decide in their own name.
    """
    try:
        writer = task_writer_of(principal, name)
    except KeyOfAnotherAgent:
        return
    if isinstance(principal, SystemPrincipal):
        assert (name is None) is writer.overrides_leases
    else:
        own = name is None or name_key(name) == name_key(principal.name)
        assert (own and (principal.lead or principal.role is Role.ADMIN)) is writer.overrides_leases


@given(some.implicit_leases(), agents | operators, some.names, instances)
def test_a_lease_is_held_by_its_pair_alone(run, principal, name, instance):
    """
    A secret lease by no pair at all.
    """
    worker = lease_caller_of(principal, None if isinstance(principal, AgentPrincipal) else name, instance)
    own, secret = evolve(run, holder=worker.holder), evolve(run, holder=SecretHolder())
    elsewhere = evolve(run, holder=evolve(worker.holder, instance=f"not {instance}"[:LONGEST_INSTANCE]))

    assert worker.holds(own)
    assert not worker.holds(secret)
    assert not worker.holds(elsewhere)


@given(some.implicit_leases(), agents, agents, operators, instances)
def test_what_an_operator_took_in_an_agents_name_is_the_agents_too(run, agent, other, operator, instance):
    """
    But not what another agent did, nor the other way round.
    """
    assume(identity_of(agent) != identity_of(other))
    theirs = lease_caller_of(operator, agent.name, instance)
    run = evolve(run, holder=theirs.holder, actor=operator.actor)
    itself = lease_caller_of(agent, None, instance)
    by_other = lease_caller_of(evolve(other, role=Role.ADMIN), agent.name, instance)

    assert itself.holds(run)
    assert not theirs.holds(evolve(run, holder=itself.holder, actor=agent.actor))
    assert not itself.holds(evolve(run, holder=by_other.holder, actor=other.actor)) or by_other.is_agent


@given(some.implicit_leases(), operators, operators, some.names, instances)
def test_an_operator_who_names_nobody_holds_all_that_it_took(run, operator, other, name, instance):
    """
    And nothing that another took.
    """
    assume(identity_of(operator) != identity_of(other))
    run = evolve(run, holder=lease_caller_of(operator, name, instance).holder)

    assert task_writer_of(operator).holds_lease(run)
    assert task_writer_of(operator, None, instance).holds_lease(run)
    assert not task_writer_of(other).holds_lease(run)


@given(some.tasks(status=st.just(Status.IN_PROGRESS)), operators, some.names, instances, some.ids, some.moments)
def test_beginning_leases_for_ten_minutes_with_the_next_fence(task, operator, name, instance, id, now):
    """
    Nothing else of the task but what a lease needs is touched.
    """
    worker = lease_caller_of(operator, name, instance)
    taken, run, fact = worker.begin_run(task, id=id, was=task.status, at=now)
    touched = {"assignee", "fence", "attempts", "run", "not_before", "authors"}

    assert (task.fence + 1, task.attempts + 1, id) == (taken.fence, taken.attempts, taken.run)
    assert (now + IMPLICIT_LEASE_TERM, worker.holder, IMPLICIT_LEASE_TERMS.term) == (
        run.expires_at,
        run.holder,
        run.term,
    )
    assert task == evolve(taken, **{each: getattr(task, each) for each in touched})
    assert (task.id, run.id, run.fence) == (fact.task, fact.run, fact.fence)


@pytest.mark.parametrize("wrong", ["", "x" * 101, "\x00"])
def test_names_and_instances_that_cannot_be_kept_are_refused(wrong):
    """
    In every store the same, by their field.
    """
    operator = SystemPrincipal(organization=ORGANIZATION)
    with pytest.raises(InvalidField, match="instance"):
        assert lease_caller_of(operator, "ada", wrong).holder
    if wrong:
        with pytest.raises(InvalidField, match="name"):
            lease_caller_of(operator, wrong)
