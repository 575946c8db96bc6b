"""
From verified ID-token claims to the member who acts: just-in-time user provisioning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_core.accounts.user_provisioning import provision_user
from mission_core.errors import Denied
from mission_core.lazy_attrs import define

if TYPE_CHECKING:
    from mission_core.accounts.identity_claims import ProviderIdentity
    from mission_core.accounts.model import MemberPrincipal
    from mission_core.ports import Ports


@define(repr=False)
class UserNotApproved(Denied):
    """
    The user is known but may not sign in: an admin has not approved them yet, or has blocked them.
    """

    code = "not_let_in"

    username: str

    says = "an admin has not approved this user yet, or has blocked them"


async def provisioned_member(ports: Ports, person: ProviderIdentity, *, clients: bool = False) -> MemberPrincipal:
    """
    Find or create the user that verified ID-token claims identify, and return their membership in their active
    organization.

    Args:
        clients: Whether an OAuth client that authenticates as itself becomes a user like a person.

    Raises:
        UserNotApproved: If the user is not approved or is blocked.
        ClientCredentialsRefused: If it is a client, and *clients* is false.
    """
    from mission_core.agents.active_organization import ensure_active_organization  # servers without users need none

    user = await provision_user(ports, person, clients=clients)
    found = await ports.credentials.member(user.id) or await ensure_active_organization(
        ports, user.id, verified=user.email_verified
    )
    if found is None:
        raise UserNotApproved(user.username)
    return found
