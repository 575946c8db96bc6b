"""
From an issuer's word about a person to who acts.
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
    A person is known, and may not act: nobody has approved them, or somebody shut them out.
    """

    username: str

    def __str__(self) -> str:
        return "an admin has yet to approve this user, or has shut them out"


async def recognized(ports: Ports, person: Vouched, *, clients: bool = False) -> MemberPrincipal:
    """
    Who acts when an issuer vouches for a person: the user they are, in the organization they act in.

    Args:
        clients: Whether a client of the issuer, by itself, becomes a user like a person.

    Raises:
        NotLetIn: If they are known and may not act.
        ClientNotLetIn: If it is a client and may become no user.
    """
    user = await known_person(ports, person, clients=clients)
    found = await ports.credentials.member(user.id) or await settle(ports, user.id, verified=user.email_verified)
    if found is None:
        raise NotLetIn(user.username)
    return found
