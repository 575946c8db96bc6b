"""
Where a user stands in an organization: what a role gives, who may change whom, and that an owner is always left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mission_core.accounts.members import ADMIN, MEMBER, MEMBERS, OWNER, STANDING, Member, role_shown
from mission_core.accounts.model import AgentPrincipal, Principal, Role, System
from mission_core.accounts.users import USERS, User
from mission_core.errors import Conflict, Denied

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork

GIVES: Final[dict[Role, dict[str, Any]]] = {
    Role.VIEWER: {"role": MEMBER, "all_boards_read": True, "all_boards_write": False},
    Role.OPERATOR: {"role": MEMBER, "all_boards_read": True, "all_boards_write": True},
    Role.ADMIN: {"role": ADMIN, "all_boards_read": True, "all_boards_write": True},
}
"""What a membership is like that stands for a role."""


class OwnerAboveAdmin(Denied):
    """
    An admin, or an agent, would change an owner, or what an owner signs in with.
    """

    def __str__(self) -> str:
        return "only an owner may change an owner"


class LastOwnerStays(Conflict):
    """
    The organization would be left without an owner who can sign in.
    """

    def __str__(self) -> str:
        return "this is the last owner of the organization; make somebody else an owner first"


async def check_reach(unit: UnitOfWork, principal: Principal, target: Member) -> None:
    """
    Let nobody change those who stand above them, as both stand now. What decides is relied on. An agent stands no
    higher than an admin. Whoever has the server's own key operates the deployment, and lets in again an owner who
    cannot sign in any more, so nobody stands above that.

    Raises:
        OwnerAboveAdmin: If the target stands above.
    """
    if isinstance(principal, System):
        return
    if isinstance(principal, AgentPrincipal):
        if target.standing > STANDING[ADMIN]:
            raise OwnerAboveAdmin
        return
    if principal.member == target.id:
        return
    mine = await unit.rows(MEMBERS).find(id=principal.member)
    if mine is None or mine.standing < target.standing:
        raise OwnerAboveAdmin
    unit.rely_on(mine)


async def place_for(ports: Ports, member: Member, role: Role) -> dict[str, Any]:
    """
    What changes about a membership that is to stand for a role: nothing where it is worth that role already. For a role
    stands for all boards, and whoever repeats the one they see says nothing about boards.
    """
    if role_shown(member, await ports.credentials.granted(member)) is role:
        return {}
    return {name: value for name, value in GIVES[role].items() if value != getattr(member, name)}


async def leave_an_owner(unit: UnitOfWork, target: Member) -> None:
    """
    Before an owner ceases to be one, or to be let in: see to it that another one is left. Two owners who step down at
    once exclude each other, for each changes what the other relies on.

    Raises:
        LastOwnerStays: If there is no other who can sign in.
    """
    if target.role != OWNER:
        return
    for other in await unit.rows(MEMBERS).every(role=OWNER):
        if other.id == target.id:
            continue
        user: User = await unit.rows(USERS).get(other.user)
        if user.approved:
            unit.rely_on(other, user)
            return
    raise LastOwnerStays
