"""
Which boards are granted to which members.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from attrs import field, frozen

from mission_core.accounts.members import Member, MemberNotFound
from mission_core.boards.model import Board
from mission_core.ids import BoardId, GrantId, MemberId, OrganizationId
from mission_core.kinds import Kind
from mission_core.values import aware


@frozen(kw_only=True)
class Grant:
    """
    One board that a member may see, and perhaps write on.
    """

    id: GrantId
    organization: OrganizationId
    member: MemberId
    on_board: BoardId
    can_read: bool
    can_write: bool
    created_at: datetime = field(validator=aware)
    updated_at: datetime = field(validator=aware)
    version: int = 1


GRANTS: Final = Kind(
    entity=Grant,
    name="grants",
    missing=MemberNotFound,
    found_by=(("member",),),
    goes_with={"member": Member, "on_board": Board},
)
