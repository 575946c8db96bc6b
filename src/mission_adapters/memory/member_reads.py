"""
The read model of members in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_core.accounts.members import MEMBERS, MemberWithUser
from mission_core.accounts.users import USERS, UserNotFound
from mission_core.lazy_attrs import frozen

if TYPE_CHECKING:
    from mission_adapters.memory.kind_tables import KindTables
    from mission_core.accounts.model import Principal
    from mission_core.ids import UserId, UserNumber


@frozen
class MemoryMemberReads:
    """
    Reads the members of the principal's organization.
    """

    kind_tables: KindTables

    async def every(self, principal: Principal) -> list[MemberWithUser]:
        """
        All members with their users, ordered by the users' numbers.
        """
        users = self.kind_tables[USERS].rows
        found = [MemberWithUser(each, users[each.user]) for each in self.kind_tables[MEMBERS].matching(principal, {})]
        return sorted(found, key=lambda each: each.user.number)

    async def get(self, principal: Principal, user: UserId | UserNumber) -> MemberWithUser:
        """
        The member with this user id or user number.
        """
        found = await self.every(principal)
        for each in found:
            if user in (each.user.id, each.user.number):
                return each
        raise UserNotFound
