"""
What accounts ask of a store and of whoever keeps secrets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from attrs import define

from mission_core.errors import Exhausted

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from mission_core.accounts.invites import Invite
    from mission_core.accounts.members import Granted, Member
    from mission_core.accounts.model import ApiKey, MemberPrincipal, Principal
    from mission_core.accounts.organizations import Organization
    from mission_core.accounts.vouching import Claims, Profile
    from mission_core.ids import AgentId, ApiKeyId, ApiKeyNumber, BoardId, InviteId, OrganizationId, RunId, UserId
    from mission_core.values import Sealed


class ApiKeys(Protocol):
    """
    Keeps the API keys of the unit's organization.
    """

    async def get(self, key: ApiKeyId | ApiKeyNumber) -> ApiKey:
        """
        The key by id or number.

        Raises:
            ApiKeyNotFound: If this organization has none.
        """

    async def list_of(self, agent: AgentId) -> list[ApiKey]:
        """
        The agent's keys, newest first; none of one that the principal may not see.
        """

    def used(self, key: ApiKeyId, *, at: datetime) -> None:
        """
        Remember that the key was shown: a record beside it, without a version; the latest wins.
        """

    def add(self, key: ApiKey) -> ApiKey:
        """
        Remember a new key for the commit.
        """

    def save(self, key: ApiKey) -> ApiKey:
        """
        Remember the change for the commit, all but when it was used; the answer carries its next version.
        """


class Credentials(Protocol):
    """
    The only port that reads unscoped: who a secret stands for.
    """

    async def principal_of(self, digest: bytes, *, at: datetime) -> Principal | None:
        """
        The principal of the key with this SHA-256, if it is live at *at*: an agent's, which must exist, or one of the
        server's own that was made while it ran; one indexed lookup.
        """

    def is_operators(self, digest: bytes) -> bool:
        """
        Whether this is the SHA-256 of a secret of the operator's own, which no store keeps; nothing is asked for it.
        """

    async def signed_in(self, digest: bytes, *, at: datetime) -> MemberPrincipal | None:
        """
        The member whose session's secret has this SHA-256, if it is live at *at*, the user is approved and still a
        member; one indexed lookup.
        """

    async def member(self, user: UserId, organization: OrganizationId | None = None) -> MemberPrincipal | None:
        """
        The user as a member of this organization, or of the one they act in; if they are one, and approved. One
        indexed lookup.
        """

    async def memberships(self, user: UserId) -> list[tuple[Organization, Member]]:
        """
        Where the user is a member, the oldest membership first.
        """

    async def granted(self, member: Member) -> list[Granted]:
        """
        What a member may do on boards that are granted to them one by one.
        """

    async def superseded(self, organization: OrganizationId, digest: bytes, *, at: datetime) -> bool:
        """
        Whether the server has keys that were made while it ran, and none of those that are live at *at* has this
        SHA-256; one indexed lookup.
        """

    async def organization(self, slug: str) -> Organization | None:
        """
        The organization with this slug, if there is one.
        """

    async def found(self, organization: Organization) -> Organization:
        """
        Keep the organization if its slug is free; the answer is the one that is kept.

        Raises:
            OrganizationNameTaken: If the slug is free, and the name is another's.
        """

    async def invited(self, invite: InviteId) -> Invite | None:
        """
        The invite of this id, in whichever organization.
        """

    async def invites_for(self, email: str) -> list[Invite]:
        """
        The invites that wait for this e-mail address, the oldest first.
        """

    async def organization_of(self, board: BoardId) -> OrganizationId | None:
        """
        The organization that a board belongs to, if there is such a board; for what comes in without a credential.
        """

    async def organizations(self) -> list[OrganizationId]:
        """
        All organizations; for jobs that work through them.
        """


class Passwords(Protocol):
    """
    Hashes passwords, slowly.
    """

    async def hashed(self, password: str) -> str:
        """
        A hash to keep.
        """

    async def fits(self, password: str, kept: str | None) -> bool:
        """
        Whether the password has this hash. Where nothing is kept, the answer is no and takes as long.
        """

    def outdated(self, kept: str) -> bool:
        """
        Whether the hash was made by a weaker method than today's, and should be made anew from a password that fits.
        """


class TokenVerifier(Protocol):
    """
    Checks tokens in which somebody else vouches for a person. A token is checked here, against the keys of its issuer,
    and never sent anywhere.
    """

    @property
    def clients(self) -> bool:
        """
        Whether a client of the issuer that comes by itself, for no person, may become a user.
        """

    async def claims_of(self, token: str) -> Claims:
        """
        What the token says, all of which its issuer vouches for, and which is true now.

        Raises:
            TokenRefused: If it is none, is none of this issuer's, is meant for others, or is not good at this moment.
            KeysUnavailable: If it cannot be checked.
        """


@define
class AccountRemains(Exhausted):
    """
    The account that a provider keeps of a person could not be deleted there. Nothing was deleted here.
    """

    provider: str

    def __str__(self) -> str:
        return f"the account at {self.provider} could not be deleted, so nothing was deleted here; try again soon"


class Directory(Protocol):
    """
    The people as a provider keeps them, who can be asked for and deleted there. Each is named by the subject that is
    kept of a user.
    """

    async def profile_of(self, subject: str) -> Profile | None:
        """
        What the provider tells of a person, now or a few minutes ago; None if it tells nothing. It is asked for the
        same person once in a few minutes, however it answers, and waited for no longer than seconds.
        """

    async def delete(self, subject: str) -> None:
        """
        Delete the person's account there. It is no mistake if there is none, or it is another provider's.

        Raises:
            AccountRemains: If that was not done, as far as anybody knows.
        """


class CodeExchange(Protocol):
    """
    Turns the code that a browser brings back from a provider into a token.
    """

    async def token_for(self, code: str, *, verifier: str, redirect: str) -> str:
        """
        The ID token for a code that was given out for this *redirect* and the challenge made of *verifier*.

        Raises:
            TokenRefused: If the provider takes the code for none, or for one that was used.
            KeysUnavailable: If the provider cannot be asked.
        """


class Secrets(Protocol):
    """
    Makes secrets, and signs what must be shown again.
    """

    def token(self) -> str:
        """
        A fresh secret of 256 random bits: 43 characters, URL-safe.
        """

    def key(self) -> str:
        """
        A fresh agent API key: `mca_` and 48 hexadecimal digits.
        """

    def server_key(self) -> str:
        """
        A fresh key for the whole server: `mc_` and 48 hexadecimal digits.
        """

    def invitation(self, invite: InviteId) -> str:
        """
        The token of an invite: its id and an HMAC over it, so that it can be told again and needs no keeping; 32
        characters, URL-safe.
        """

    def invited_by(self, token: str) -> InviteId | None:
        """
        The invite that a token was made for, if it is one of ours.
        """

    def lease(self, run: RunId, fence: int) -> str:
        """
        The lease of a run: an HMAC over run and fence, so that it can be told again and needs no keeping.
        """

    def run_of(self, lease: str) -> RunId | None:
        """
        The run a lease was made for, if it is one of ours. The fence must still be compared by `lease`.
        """


class SealBroken(Exhausted):
    """
    What was sealed cannot be opened: it was sealed under another key, or for something else, or is damaged.
    """

    def __str__(self) -> str:
        return "a secret was kept under another key than this server has; set it anew"


class Vault(Protocol):
    """
    Seals secrets that must be used again, so that whoever reads a store learns none.
    """

    def seal(self, secret: str, *, about: UUID) -> Sealed:
        """
        The secret, to be kept with what it is *about*, a row, by
        whose id it is opened when it must be sealed anew. The same secret is sealed otherwise each time.
        """

    def open(self, sealed: bytes, *, about: UUID) -> str:
        """
        The secret that was sealed.

        Raises:
            SealBroken: If it cannot be opened, or was sealed for something else.
        """
