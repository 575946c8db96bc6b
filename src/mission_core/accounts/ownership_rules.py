"""
Ownership rules: which membership a role needs, who may change a member, and the last owner of an organization.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mission_core.accounts.members import ADMIN, MEMBER, MEMBERS, OWNER, ROLE_RANKS, Member, effective_role
from mission_core.accounts.model import AgentPrincipal, Principal, Role, SystemPrincipal
from mission_core.accounts.users import USERS, User
from mission_core.errors import Conflict, Denied

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork

MEMBERSHIP_OF_ROLE: Final[dict[Role, dict[str, Any]]] = {
    Role.VIEWER: {"role": MEMBER, "all_boards_read": True, "all_boards_write": False},
    Role.OPERATOR: {"role": MEMBER, "all_boards_read": True, "all_boards_write": True},
    Role.ADMIN: {"role": ADMIN, "all_boards_read": True, "all_boards_write": True},
}
"""The membership that each role corresponds to."""


class OwnerAboveAdmin(Denied):
    """
    Only an owner may change an owner or an owner's credentials.
    """

    says = "only an owner may change an owner"


class LastOwnerRequired(Conflict):
    """
    The organization would have no owner who can sign in.
    """

    code = "last_owner_stays"
    says = "this is the last owner of the organization; make somebody else an owner first"


async def require_rank_over_member(unit: UnitOfWork, principal: Principal, target: Member) -> None:
    """
    Require that the principal does not rank below the member it changes; the commit depends on that. An agent ranks as
    an admin at most. The server's own key may change anybody, so that the operator can restore an owner's access.

    Raises:
        OwnerAboveAdmin: If the member ranks higher.
    """
    if isinstance(principal, SystemPrincipal):
        return
    if isinstance(principal, AgentPrincipal):
        if target.rank > ROLE_RANKS[ADMIN]:
            raise OwnerAboveAdmin
        return
    if principal.member == target.id:
        return
    mine = await unit.repository(MEMBERS).find(id=principal.member)
    if mine is None or mine.rank < target.rank:
        raise OwnerAboveAdmin
    unit.rely_on(mine)


async def membership_changes(ports: Ports, member: Member, role: Role) -> dict[str, Any]:
    """
    The changes that give a membership this role; empty if it has that role already. A role applies to all boards, so
    setting the current role again keeps the board grants.
    """
    if effective_role(member, await ports.credentials.board_permissions(member)) is role:
        return {}
    return {name: value for name, value in MEMBERSHIP_OF_ROLE[role].items() if value != getattr(member, name)}


async def require_another_owner(unit: UnitOfWork, target: Member) -> None:
    """
    Before an owner loses the role or the approval, require that another owner remains. The commit depends on the other
    owner, so that two owners cannot resign at once.

    Raises:
        LastOwnerRequired: If there is no other owner who can sign in.
    """
    if target.role != OWNER:
        return
    for other in await unit.repository(MEMBERS).every(role=OWNER):
        if other.id == target.id:
            continue
        user: User = await unit.repository(USERS).get(other.user)
        if user.approved:
            unit.rely_on(other, user)
            return
    raise LastOwnerRequired
