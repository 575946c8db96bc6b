"""
What accounts ask of a store and of whoever keeps secrets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.accounts.model import ApiKey, Organization, Principal
    from mission_core.ids import AgentId, ApiKeyId, ApiKeyNumber, OrganizationId, RunId


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
        The agent's keys, newest first.
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
        The principal of the key with this SHA-256, if it is live at *at* and its agent exists; one indexed lookup.
        """

    async def organization(self, slug: str) -> Organization | None:
        """
        The organization with this slug, if there is one.
        """

    async def found(self, organization: Organization) -> Organization:
        """
        Keep the organization if its slug is free; the answer is the one that is kept.
        """

    async def organizations(self) -> list[OrganizationId]:
        """
        All organizations; for jobs that work through them.
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

    def lease(self, run: RunId, fence: int) -> str:
        """
        The lease of a run: an HMAC over run and fence, so that it can be told again and needs no keeping.
        """

    def run_of(self, lease: str) -> RunId | None:
        """
        The run a lease was made for, if it is one of ours. The fence must still be compared by `lease`.
        """
