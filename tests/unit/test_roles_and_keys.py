"""
The laws of roles and keys.
"""

from uuid import UUID

import pytest
from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_adapters.testing.strategies import maybe
from mission_core.accounts.model import (
    SCOPES,
    AgentPrincipal,
    ApiKeyNotFound,
    MemberPrincipal,
    Role,
    RoleTooLow,
    SystemPrincipal,
    board_of,
    may_read_board,
    may_write_board,
    require_role,
    role_from_scopes,
)
from mission_core.accounts.organizations import built_in_gateway
from mission_core.boards.model import BoardDenied, BoardReadOnly, require_grant
from mission_core.ids import AgentId, MemberId, OrganizationId, UserId, UserNumber

ORDER = [Role.VIEWER, Role.OPERATOR, Role.ADMIN]


@given(some.ids, st.sampled_from(Role), st.sampled_from(Role))
def test_each_role_may_all_that_those_before_it_may(organization, has, needs):
    """
    And nothing beyond.
    """
    principal = SystemPrincipal(organization=organization, role=has)
    if ORDER.index(has) < ORDER.index(needs):
        with pytest.raises(RoleTooLow):
            require_role(principal, needs)
    else:
        require_role(principal, needs)


@given(st.lists(st.sampled_from(SCOPES), unique=True).map(tuple))
def test_the_highest_scope_is_the_role(scopes):
    """
    Whatever else is among them, and in whichever order.
    """
    role = role_from_scopes(scopes)

    assert role is max((role for role in ORDER if role.value in scopes), key=ORDER.index, default=Role.VIEWER)
    assert role is role_from_scopes(scopes[::-1])


@given(some.keys(revoked_at=st.none()), some.ids, some.moments)
def test_a_key_is_revoked_once_and_by_its_own_agent_only(key, other, at):
    """
    Nothing but its end changes.
    """
    revoked, fact = key.revoke_for(key.agent, at=at)

    assert key == evolve(revoked, revoked_at=None, updated_at=key.updated_at)
    assert (key.id, key.agent, at) == (fact.key, fact.agent, revoked.revoked_at)
    with pytest.raises(ApiKeyNotFound):
        revoked.revoke_for(key.agent, at=at)
    assume(other != key.agent)
    with pytest.raises(ApiKeyNotFound):
        key.revoke_for(other, at=at)


@given(some.ids, some.ids, some.maybe(some.ids))
def test_only_an_agent_of_a_board_is_confined_to_it(organization, agent, board):
    """
    Systems and agents without a board see the organization.
    """
    principal = AgentPrincipal(organization=organization, agent=agent, name="ada", board=board)

    assert board == board_of(principal)
    assert board_of(SystemPrincipal(organization=organization)) is None


@given(some.ids, some.ids)
def test_an_organizations_gateway_is_made_of_its_id(one, other):
    """
    Always the same, and another one's is another.
    """
    assert built_in_gateway(one) == built_in_gateway(one)
    assert (built_in_gateway(one) == built_in_gateway(other)) is (one == other)


@given(some.keys())
def test_a_key_does_not_show_its_digest(key):
    """
    Not even in a log line.
    """
    assert repr(key.digest) not in repr(key)


boards = st.frozensets(some.ids, max_size=4)


@given(boards, boards, st.booleans(), st.booleans(), maybe(some.ids), st.data())
def test_a_grant_to_write_is_asked_for_where_something_belongs(reads, writes, all_reads, all_writes, stray, data):
    """
    Who may write on a board may change what belongs to it; others are told that they may only see it, or not even that.
    What belongs to no board is for who may see or write on all.
    """
    board = data.draw(st.sampled_from([*reads, *writes, stray]))
    member = MemberPrincipal(
        organization=OrganizationId(UUID(int=1)), user=UserId(UUID(int=2)), number=UserNumber(3),
        member=MemberId(UUID(int=4)), name="mia", display="Mia", role=Role.VIEWER,
        reads=None if all_reads else reads | writes, writes=None if all_writes else writes,
    )  # fmt: skip
    may_write, may_see = all_writes or board in writes, all_reads or board in reads | writes

    assert (may_see, may_write) == (may_read_board(member, board), may_write_board(member, board))
    if may_write:
        require_grant(member, board)
    else:
        with pytest.raises(BoardDenied) as refused:
            require_grant(member, board)
        assert (BoardReadOnly if may_see else BoardDenied) is refused.type


@given(boards, some.ids)
def test_of_what_belongs_to_several_boards_one_grant_is_enough(writes, other):
    """
    And what belongs to nothing that is known is for who may write on all.
    """
    organization, ada = OrganizationId(UUID(int=1)), AgentId(UUID(int=2))
    agent = AgentPrincipal(organization=organization, agent=ada, name="ada", board=other)
    require_grant(agent, *writes, other)
    require_grant(SystemPrincipal(organization=organization))
    assume(other not in writes)
    with pytest.raises(BoardDenied):
        require_grant(agent, *writes)
