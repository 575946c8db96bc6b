"""
Ports of accounts: API keys, credentials, passwords, tokens, identity providers and encryption.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mission_core.errors import Exhausted
from mission_core.lazy_attrs import define

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from mission_core.accounts.identity_claims import Claims, ProviderProfile
    from mission_core.accounts.invites import Invite
    from mission_core.accounts.members import BoardPermission, Member
    from mission_core.accounts.model import ApiKey, MemberPrincipal, Principal
    from mission_core.accounts.organizations import Organization
    from mission_core.ids import AgentId, ApiKeyId, ApiKeyNumber, BoardId, InviteId, OrganizationId, RunId, UserId
    from mission_core.values import Encrypted


class ApiKeyRepository(Protocol):
    """
    The repository of the API keys of the unit's organization.
    """

    async def get(self, key: ApiKeyId | ApiKeyNumber) -> ApiKey:
        """
        The key with this id or number.

        Raises:
            ApiKeyNotFound: If this organization has none.
        """

    async def list_of(self, agent: AgentId) -> list[ApiKey]:
        """
        The agent's keys, newest first. Empty if the principal may not see the agent.
        """

    def record_use(self, key: ApiKeyId, *, at: datetime) -> None:
        """
        Record that the key was used at this time. The latest time wins; the key's version does not change.
        """

    def add(self, key: ApiKey) -> ApiKey:
        """
        Add a new key when the unit commits.
        """

    def save(self, key: ApiKey) -> ApiKey:
        """
        Save the changed key, without its time of use, when the unit commits. Returns the key with its next version.
        """


class CredentialStore(Protocol):
    """
    Lookups of principals and organizations before a principal is known. This is the only port whose reads are not
    limited to a principal.
    """

    async def principal_of(self, digest: bytes, *, at: datetime) -> Principal | None:
        """
        The principal of the key with this SHA-256 if it is valid at *at*: the key of an existing agent, or a key that
        replaced the server's. At most one indexed lookup.
        """

    def is_operator_secret(self, digest: bytes) -> bool:
        """
        Whether this is the SHA-256 of a secret from the server's configuration. The store is not read.
        """

    async def session_principal(self, digest: bytes, *, at: datetime) -> MemberPrincipal | None:
        """
        The member whose session has a secret with this SHA-256, if the session is valid at *at* and the user is
        approved and still a member. At most one indexed lookup.
        """

    async def member(self, user: UserId, organization: OrganizationId | None = None) -> MemberPrincipal | None:
        """
        The user's principal in this organization, or in the active one, if the user is an approved member. At most one
        indexed lookup.
        """

    async def memberships(self, user: UserId) -> list[tuple[Organization, Member]]:
        """
        The user's organizations and memberships, oldest membership first.
        """

    async def board_permissions(self, member: Member) -> list[BoardPermission]:
        """
        The boards to which the member has individual access.
        """

    async def is_server_key_replaced(self, organization: OrganizationId, digest: bytes, *, at: datetime) -> bool:
        """
        Whether keys replaced the server's configured key, and none of those valid at *at* has this SHA-256. At most one
        indexed lookup.
        """

    async def organization(self, slug: str) -> Organization | None:
        """
        The organization with this slug, or None.
        """

    async def create_organization(self, organization: Organization) -> Organization:
        """
        Create the organization if its slug is free. Returns the organization that has the slug.

        Raises:
            OrganizationNameTaken: If the slug is free, but another organization has the name.
        """

    async def find_invite(self, invite: InviteId) -> Invite | None:
        """
        The invite with this id, in any organization.
        """

    async def invites_for(self, email: str) -> list[Invite]:
        """
        The pending invites for this e-mail address, oldest first.
        """

    async def organization_of(self, board: BoardId) -> OrganizationId | None:
        """
        The organization of a board, or None, for requests without a credential.
        """

    async def organizations(self) -> list[OrganizationId]:
        """
        The ids of all organizations, for background jobs.
        """


class PasswordHasher(Protocol):
    """
    Hashes passwords with a slow hash function.
    """

    async def hash(self, password: str) -> str:
        """
        The hash of a password, to be stored.
        """

    async def verify(self, password: str, kept: str | None) -> bool:
        """
        Whether the password matches the stored hash. Without a hash the result is False after the same time.
        """

    def needs_rehash(self, kept: str) -> bool:
        """
        Whether the hash uses weaker parameters than the current ones, so that the password should be hashed again.
        """


class TokenVerifier(Protocol):
    """
    Verifies ID tokens of an identity provider against its public keys. A token is never sent anywhere.
    """

    @property
    def accepts_clients(self) -> bool:
        """
        Whether a token of a client itself (client credentials), not of a person, may create a user.
        """

    async def claims_of(self, token: str) -> Claims:
        """
        The verified claims of a token that is valid now.

        Raises:
            TokenRefused: If the token is malformed, from another issuer, for another audience, or not valid now.
            SigningKeysUnavailable: If the issuer's keys are not available.
        """


@define(repr=False)
class ProviderAccountNotDeleted(Exhausted):
    """
    The identity provider could not delete its account of this person. Nothing was deleted here.
    """

    code = "account_remains"

    provider: str

    says = "the account at {self.provider} could not be deleted, so nothing was deleted here; try again soon"


class ProviderDirectory(Protocol):
    """
    The user directory of an identity provider. A person is named by the stored subject.
    """

    async def profile_of(self, subject: str) -> ProviderProfile | None:
        """
        The provider's profile of a person, at most a few minutes old; None if there is none. The provider is asked at
        most once in a few minutes for each person, with a timeout of seconds.
        """

    async def delete(self, subject: str) -> None:
        """
        Delete the person's account at the provider. A missing account, or one of another provider, is no error.

        Raises:
            ProviderAccountNotDeleted: If the deletion failed, or its outcome is unknown.
        """


class CodeExchange(Protocol):
    """
    Exchanges an OAuth authorization code for an ID token.
    """

    async def token_for(self, code: str, *, verifier: str, redirect: str) -> str:
        """
        The ID token for an authorization code that was issued for this *redirect* and for the challenge of this
        *verifier* (PKCE).

        Raises:
            TokenRefused: If the code is invalid or was used before.
            SigningKeysUnavailable: If the provider cannot be reached.
        """


class Secrets(Protocol):
    """
    Generates secrets, and derives the tokens of invites and leases.
    """

    def token(self) -> str:
        """
        A new secret of 256 random bits: 43 URL-safe characters.
        """

    def key(self) -> str:
        """
        A new agent key: `mca_` and 48 hexadecimal digits.
        """

    def server_key(self) -> str:
        """
        A new server key: `mc_` and 48 hexadecimal digits.
        """

    def invite_token(self, invite: InviteId) -> str:
        """
        The token of an invite: its id with an HMAC, 32 URL-safe characters. It is derived each time, not stored.
        """

    def invite_of_token(self, token: str) -> InviteId | None:
        """
        The id of the invite that the token belongs to; None if the HMAC is wrong.
        """

    def lease(self, run: RunId, fence: int) -> str:
        """
        The lease token of a run: its id with an HMAC over it and the fence. It is derived each time, not stored.
        """

    def run_of_lease(self, lease: str) -> RunId | None:
        """
        The id of the run in a lease token; None if the token is malformed. The signature is not checked: the caller
        compares the token with `lease` of the run and its fence.
        """


class DecryptionFailed(Exhausted):
    """
    A secret cannot be decrypted: it was encrypted with another key, for another row, or is damaged.
    """

    code = "seal_broken"
    says = "a stored secret was encrypted with another key than this server has; store the secret again"


class SecretEncryption(Protocol):
    """
    Encrypts secrets before they are stored, so that a copy of the store does not reveal them.
    """

    def encrypt(self, secret: str, *, about: UUID) -> Encrypted:
        """
        Encrypt a secret for the row *about*, whose id is needed to decrypt it. The result differs each time.
        """

    def decrypt(self, sealed: bytes, *, about: UUID) -> str:
        """
        Decrypt a secret of the row *about*.

        Raises:
            DecryptionFailed: If it cannot be decrypted, or belongs to another row.
        """
