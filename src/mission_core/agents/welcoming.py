"""
From verified ID-token claims to the member who acts: just-in-time user provisioning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define

from mission_core.accounts.recognizing import known_person
from mission_core.agents.settling import settle
from mission_core.errors import Denied

if TYPE_CHECKING:
    from mission_core.accounts.model import MemberPrincipal
    from mission_core.accounts.vouching import Vouched
    from mission_core.ports import Ports


@define
class NotLetIn(Denied):
    """
    The user is known but may not sign in: an admin has not approved them yet, or has blocked them.
    """

    username: str

    def __str__(self) -> str:
        return "an admin has not approved this user yet, or has blocked them"


async def recognized(ports: Ports, person: Vouched, *, clients: bool = False) -> MemberPrincipal:
    """
    Find or create the user that verified ID-token claims identify, and return their membership in their active
    organization.

    Args:
        clients: Whether an OAuth client that authenticates as itself becomes a user like a person.

    Raises:
        NotLetIn: If the user is not approved or is blocked.
        ClientNotLetIn: If it is a client, and *clients* is false.
    """
    user = await known_person(ports, person, clients=clients)
    found = await ports.credentials.member(user.id) or await settle(ports, user.id, verified=user.email_verified)
    if found is None:
        raise NotLetIn(user.username)
    return found
