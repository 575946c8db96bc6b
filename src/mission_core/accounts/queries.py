"""
Reads of an organization's members.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mission_core.accounts.members import MemberWithUser
    from mission_core.accounts.model import Principal
    from mission_core.ids import UserId, UserNumber


class MemberReads(Protocol):
    """
    Reads the members of the principal's organization.
    """

    async def every(self, principal: Principal) -> list[MemberWithUser]:
        """
        All members with their users, ordered by user number. One query.
        """

    async def get(self, principal: Principal, user: UserId | UserNumber) -> MemberWithUser:
        """
        The member who is this user.

        Raises:
            UserNotFound: If no member of the organization is this user.
        """
