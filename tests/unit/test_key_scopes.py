from uuid import UUID

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mission_core.accounts.key_scopes import INCLUDED_SCOPES, ScopeMissing, require_role_or_scope
from mission_core.accounts.model import ROLE_LEVELS, SCOPES, AgentPrincipal, Role, SystemPrincipal, role_from_scopes
from mission_core.errors import RoleTooLow

OWN = [scope for scope in SCOPES if scope.startswith("agent:")]
keys = st.lists(st.sampled_from(SCOPES), min_size=1, unique=True).map(tuple)
roles, needed = st.sampled_from(Role), st.none() | st.sampled_from(OWN)


def keyholder(scopes: tuple[str, ...]) -> AgentPrincipal:
    return AgentPrincipal(
        organization=UUID(int=1), agent=UUID(int=2), name="ada", role=role_from_scopes(scopes), scopes=frozenset(scopes)
    )


def names(scopes: tuple[str, ...], scope: str | None) -> bool:
    return scope is not None and (
        scope in scopes or (scope in INCLUDED_SCOPES["agent:self"] and "agent:self" in scopes)
    )


@given(keys, roles, needed)
def test_a_key_does_what_its_role_or_its_scopes_allow_and_nothing_else(scopes, role, scope):
    """
    A role allows what it always did; a scope allows what names it, as far as an operator; without a role that is all.
    """
    principal = keyholder(scopes)
    has_role = any(each in scopes for each in Role)
    allowed = (has_role and ROLE_LEVELS[principal.role] >= ROLE_LEVELS[role]) or (
        role is not Role.ADMIN and names(scopes, scope)
    )
    if allowed:
        acting = require_role_or_scope(principal, role, scope)

        assert ROLE_LEVELS[acting.role] == max(ROLE_LEVELS[principal.role], ROLE_LEVELS[role])
        assert principal == evolve(acting, role=principal.role)
    else:
        with pytest.raises((RoleTooLow, ScopeMissing)):
            require_role_or_scope(principal, role, scope)


@given(st.lists(st.sampled_from(OWN), unique=True).map(tuple), roles)
def test_a_key_without_a_role_does_nothing_that_no_scope_names(scopes, role):
    """
    Not even look around.
    """
    assert keyholder(scopes).confined
    with pytest.raises((RoleTooLow, ScopeMissing)):
        require_role_or_scope(keyholder(scopes), role)


@given(roles, roles, needed)
def test_scopes_are_for_agents(has, role, scope):
    """
    Whoever is none has a role, and no more.
    """
    principal = SystemPrincipal(organization=UUID(int=1), role=has)
    if ROLE_LEVELS[has] < ROLE_LEVELS[role]:
        with pytest.raises(RoleTooLow):
            require_role_or_scope(principal, role, scope)
    else:
        assert principal is require_role_or_scope(principal, role, scope)


def test_who_is_made_by_hand_has_the_role_alone():
    """
    An embedding program names a role, and means it.
    """
    principal = AgentPrincipal(organization=UUID(int=1), agent=UUID(int=2), name="ada", role=Role.VIEWER)

    assert (False, frozenset({"viewer"})) == (principal.confined, principal.scopes)
