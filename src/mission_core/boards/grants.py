"""
Board grants of members and of invites.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from attrs import field

from mission_core.accounts.invites import Invite, InviteNotFound
from mission_core.accounts.members import Member, MemberNotFound
from mission_core.boards.model import Board
from mission_core.field_types import with_type_validators
from mission_core.ids import BoardId, GrantId, InviteId, MemberId, OrganizationId
from mission_core.kinds import Kind
from mission_core.lazy_attrs import frozen
from mission_core.values import utc_moment


@frozen(kw_only=True, field_transformer=with_type_validators)
class Grant:
    """
    A member's permission to read one board, and possibly to write on it.
    """

    id: GrantId
    organization: OrganizationId
    member: MemberId
    on_board: BoardId
    can_read: bool
    can_write: bool
    created_at: datetime = field(validator=utc_moment)
    updated_at: datetime = field(validator=utc_moment)
    version: int = 1


GRANTS: Final = Kind(
    entity=Grant,
    name="grants",
    missing=MemberNotFound,
    indexed_by=(("member",),),
    cascades_from={"member": Member, "on_board": Board},
)


@frozen(kw_only=True, field_transformer=with_type_validators)
class InviteGrant:
    """
    The permission to read one board, and possibly to write on it, that an accepted invite gives.
    """

    id: GrantId
    organization: OrganizationId
    invite: InviteId
    on_board: BoardId
    can_read: bool
    can_write: bool
    created_at: datetime = field(validator=utc_moment)
    updated_at: datetime = field(validator=utc_moment)
    version: int = 1


INVITE_GRANTS: Final = Kind(
    entity=InviteGrant,
    name="invite_grants",
    missing=InviteNotFound,
    indexed_by=(("invite",),),
    cascades_from={"invite": Invite, "on_board": Board},
)
