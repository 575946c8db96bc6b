"""
Who may change whom, and what an invite adds: pure decisions.
"""

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_core.accounts.invites import InviteForAnother, InviteNotFound
from mission_core.accounts.member_admin import (
    OwnersOnly,
    normalized_role,
    require_rank_for_role,
)
from mission_core.accounts.members import ADMIN, MEMBER, OWNER, ROLE_RANKS, BoardPermission, accessible_boards
from mission_core.boards.board_access import BoardAccess, merge_grants, merge_invite
from mission_core.entity_changes import require_version
from mission_core.errors import Denied, RoleTooLow, VersionMismatch
from mission_core.values import name_key

grants = st.lists(st.builds(BoardPermission, some.ids, st.booleans(), st.booleans()), max_size=6)


@given(some.members(), some.invites(), some.moments)
def test_an_invite_takes_nothing(member, invite, now):
    """
    The role only moves up, flags are joined, and who may write everywhere may read everywhere.
    """
    after = merge_invite(member, invite, at=now)

    assert after.rank == max(member.rank, invite.rank)
    assert after.all_boards_read or not member.all_boards_read
    assert after.all_boards_write is (member.all_boards_write or invite.all_boards_write)
    assert after.all_boards_read or not after.all_boards_write
    assert evolve(after, role=member.role, all_boards_read=member.all_boards_read,
                  all_boards_write=member.all_boards_write, updated_at=member.updated_at) == member  # fmt: skip


@given(some.members(), some.invites(), some.moments)
def test_accepting_twice_adds_nothing(member, invite, now):
    """
    What was given is there already.
    """
    once = merge_invite(member, invite, at=now)

    assert once == merge_invite(once, invite, at=now)


@given(grants, grants)
def test_grants_are_joined_whatever_their_order(one, other):
    """
    Each board once, with all that was granted on it.
    """
    both = merge_grants([*one, *other])

    assert both == merge_grants([*other, *one]) == merge_grants(both.values())
    assert {each.board for each in (*one, *other)} == both.keys()
    for each in (*one, *other):
        assert both[each.board].can_read or not each.can_read
        assert both[each.board].can_write or not each.can_write


@given(some.members(), grants, grants)
def test_more_grants_never_show_less(member, some_grants, more):
    """
    And whoever writes on a board sees it.
    """
    reads, writes = accessible_boards(member, some_grants)
    wider_reads, wider_writes = accessible_boards(member, [*some_grants, *more])

    assert wider_reads is None or (reads is not None and reads <= wider_reads)
    assert wider_writes is None or (writes is not None and writes <= wider_writes)
    assert reads is None or (writes is not None and writes <= reads)


@given(grants, st.booleans(), st.booleans())
def test_who_may_everywhere_needs_no_board_named(named, read, write):
    """
    Then none is kept; else each once.
    """
    kept = BoardAccess(all_boards_read=read, all_boards_write=write, boards=tuple(named)).per_board

    assert () == kept if read or write else merge_grants(named) == {each.board: each for each in kept}


@given(st.sampled_from([MEMBER, ADMIN, OWNER]), st.sampled_from([MEMBER, ADMIN, OWNER, "guest"]), some.members())
def test_nobody_gives_more_than_they_have(own, role, target):
    """
    Nor changes who stands above; below an admin nobody changes anything.
    """
    standing = ROLE_RANKS[own]
    may = own == OWNER or (own == ADMIN and OWNER not in (role, target.role))

    if may:
        require_rank_for_role(standing, role=role, of=target)
    else:
        with pytest.raises(Denied) as refused:
            require_rank_for_role(standing, role=role, of=target)
        assert (RoleTooLow if own == MEMBER else OwnersOnly) is type(refused.value)


@given(some.members())
def test_a_member_of_another_version_is_refused(member):
    """
    Where the caller named one.
    """
    assert member == require_version(member, None) == require_version(member, member.version)
    with pytest.raises(VersionMismatch):
        require_version(member, member.version + 1)


@given(some.invites(accepted_at=st.none(), email=st.just("a@x.io")), some.users(email=st.just(" A@X.io ")), some.ids,
       some.moments)  # fmt: skip
def test_an_invite_is_good_once_and_for_its_address(invite, user, member, now):
    """
    Whatever the case of the address; who has none has shown the token.
    """
    accepted, fact = invite.accept(user, member, at=now)

    assert (user.id, now) == (accepted.accepted_by, accepted.accepted_at)
    assert (invite.id, user.id, member) == (fact.invite, fact.user, fact.member)
    with pytest.raises(InviteNotFound):
        accepted.accept(user, member, at=now)
    with pytest.raises(InviteForAnother):
        invite.accept(evolve(user, email="b@x.io"), member, at=now)
    assert invite.accept(evolve(user, email=None), member, at=now)


@given(some.organizations(), some.names)
def test_a_name_is_ones_own_or_shared(organization, name):
    """
    A shared one is compared with none.
    """
    assert name_key(name) == organization.renamed(name).name_key
    assert organization.renamed(name, shared=True).name_key is None


@pytest.mark.parametrize(("sent", "kept"), [(" Admin ", "admin"), ("", "member"), ("  ", "member"), ("Chief", "chief")])
def test_a_role_is_kept_in_lower_case(sent, kept):
    """
    And `member` where none is named.
    """
    assert kept == normalized_role(sent)
