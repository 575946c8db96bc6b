from uuid import UUID

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mission_core.accounts.model import RANK, SCOPES, AgentPrincipal, Role, System, role_from
from mission_core.accounts.scopes import COVERS, ScopeMissing, within_scopes
from mission_core.errors import RoleTooLow

OWN = [scope for scope in SCOPES if scope.startswith("agent:")]
keys = st.lists(st.sampled_from(SCOPES), min_size=1, unique=True).map(tuple)
roles, needed = st.sampled_from(Role), st.none() | st.sampled_from(OWN)


def keyholder(scopes: tuple[str, ...]) -> AgentPrincipal:
    return AgentPrincipal(
        organization=UUID(int=1), agent=UUID(int=2), name="ada", role=role_from(scopes), scopes=frozenset(scopes)
    )


def names(scopes: tuple[str, ...], scope: str | None) -> bool:
    return scope is not None and (scope in scopes or (scope in COVERS["agent:self"] and "agent:self" in scopes))


@given(keys, roles, needed)
def test_a_key_does_what_its_role_or_its_scopes_allow_and_nothing_else(scopes, role, scope):
    """
    A role allows what it always did; a scope allows what names it, as far as an operator; without a role that is all.
    """
    principal = keyholder(scopes)
    has_role = any(each in scopes for each in Role)
    allowed = (has_role and RANK[principal.role] >= RANK[role]) or (role is not Role.ADMIN and names(scopes, scope))
    if allowed:
        acting = within_scopes(principal, role, scope)

        assert RANK[acting.role] == max(RANK[principal.role], RANK[role])
        assert principal == evolve(acting, role=principal.role)
    else:
        with pytest.raises((RoleTooLow, ScopeMissing)):
            within_scopes(principal, role, scope)


@given(st.lists(st.sampled_from(OWN), unique=True).map(tuple), roles)
def test_a_key_without_a_role_does_nothing_that_no_scope_names(scopes, role):
    """
    Not even look around.
    """
    assert keyholder(scopes).confined
    with pytest.raises((RoleTooLow, ScopeMissing)):
        within_scopes(keyholder(scopes), role)


@given(roles, roles, needed)
def test_scopes_are_for_agents(has, role, scope):
    """
    Whoever is none has a role, and no more.
    """
    principal = System(organization=UUID(int=1), role=has)
    if RANK[has] < RANK[role]:
        with pytest.raises(RoleTooLow):
            within_scopes(principal, role, scope)
    else:
        assert principal is within_scopes(principal, role, scope)


def test_who_is_made_by_hand_has_the_role_alone():
    """
    An embedding program names a role, and means it.
    """
    principal = AgentPrincipal(organization=UUID(int=1), agent=UUID(int=2), name="ada", role=Role.VIEWER)

    assert (False, frozenset({"viewer"})) == (principal.confined, principal.scopes)
