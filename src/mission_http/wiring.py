"""
The composition root: opens the adapters for the settings and yields `Ports`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID

from attrs import evolve, frozen

from mission_adapters.backoff import JitteredBackoff
from mission_adapters.clocks import SystemClock
from mission_adapters.ids import TimeOrderedIds
from mission_adapters.limiting import MemoryLimiter, RedisLimiter
from mission_adapters.outbound import Outbound, OutboundFailed
from mission_adapters.passwords import Argon2Passwords
from mission_adapters.sealing import AesVault
from mission_adapters.signing import HmacSecrets
from mission_adapters.sql.database_lock import READY
from mission_adapters.sql.examining import examine
from mission_adapters.sql.fingerprint import SecretKeys, SecretMismatch, ensure_fingerprint
from mission_adapters.sql.migrations import migrate, path_in
from mission_adapters.sql.store import SqlStore
from mission_core.accounts.first_admin import MakeFirstAdmin, SetupDone, SetupRaced, make_first_admin, needs_setup
from mission_core.accounts.model import SERVER, System
from mission_core.accounts.passwords import LEAST_PASSWORD, is_common
from mission_core.accounts.people import ensure_local_user
from mission_core.accounts.users import Provider, UsernameTaken
from mission_core.agents.founding import found_organization
from mission_core.agents.settling import settle
from mission_core.agents.use_cases import digest_of
from mission_core.errors import InvalidField, StoreFailed
from mission_core.limiting import LimiterFailed
from mission_core.ports import Ports
from mission_core.urls import UNREADABLE, without_credentials
from mission_http.distribution import install
from mission_http.identities import AuthMode, IssuersSeen
from mission_http.limiting import BACKEND
from mission_http.settings import GENERATED, SettingsError, derived_key, keep_secret, own_database
from mission_http.sweeping import sweeping

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from mission_adapters.clerk import ClerkDirectory
    from mission_adapters.oidc import OidcVerifier
    from mission_core.accounts.invites import Invite
    from mission_core.accounts.members import Granted, Member
    from mission_core.accounts.model import MemberPrincipal, Principal
    from mission_core.accounts.organizations import Organization
    from mission_core.accounts.ports import CodeExchange, Credentials, Directory, TokenVerifier
    from mission_core.ids import BoardId, InviteId, OrganizationId, UserId
    from mission_core.limiting import RateLimiter
    from mission_core.ports import Clock
    from mission_http.identities import ClerkApi, Google, Identities, Issuer
    from mission_http.settings import Settings

R = TypeVar("R")

PATIENCE: Final = 3.0
"""Seconds for which an unreachable database is tried again."""
PAUSE: Final = 0.3
"""Seconds between two tries."""
logger = logging.getLogger("mission_http")


@frozen
class KnownKeys:
    """
    Credentials that also accept the secrets in the settings (`API_KEY`, `LOCAL_AUTH_TOKEN`), which no store holds.

    Args:
        credentials: The credentials in the store.
        known: The principal or user of each secret in the settings, by SHA-256. The `API_KEY` is accepted until a key
            that replaces it is made.
    """

    credentials: Credentials
    known: Mapping[bytes, Principal | UserId]
    settle: Callable[[UserId], Awaitable[MemberPrincipal | None]] | None = None
    """Chooses the active organization of a user who has none any more."""

    async def principal_of(self, digest: bytes, *, at: datetime) -> Principal | None:
        known = self.known.get(digest)
        if known is None:
            return await self.credentials.principal_of(digest, at=at)
        if isinstance(known, UUID):
            member = await self.credentials.member(known)
            return member if member is not None or self.settle is None else await self.settle(known)
        if isinstance(known, System) and await self.credentials.superseded(known.organization, digest, at=at):
            return None
        return known

    def is_operators(self, digest: bytes) -> bool:
        return digest in self.known

    async def signed_in(self, digest: bytes, *, at: datetime) -> MemberPrincipal | None:
        return await self.credentials.signed_in(digest, at=at)

    async def member(self, user: UserId, organization: OrganizationId | None = None) -> MemberPrincipal | None:
        return await self.credentials.member(user, organization)

    async def memberships(self, user: UserId) -> list[tuple[Organization, Member]]:
        return await self.credentials.memberships(user)

    async def granted(self, member: Member) -> list[Granted]:
        return await self.credentials.granted(member)

    async def superseded(self, organization: OrganizationId, digest: bytes, *, at: datetime) -> bool:
        return await self.credentials.superseded(organization, digest, at=at)

    async def organization(self, slug: str) -> Organization | None:
        return await self.credentials.organization(slug)

    async def found(self, organization: Organization) -> Organization:
        return await self.credentials.found(organization)

    async def invited(self, invite: InviteId) -> Invite | None:
        return await self.credentials.invited(invite)

    async def invites_for(self, email: str) -> list[Invite]:
        return await self.credentials.invites_for(email)

    async def organization_of(self, board: BoardId) -> OrganizationId | None:
        return await self.credentials.organization_of(board)

    async def organizations(self) -> list[OrganizationId]:
        return await self.credentials.organizations()


@asynccontextmanager
async def from_settings(settings: Settings) -> AsyncIterator[Ports]:
    """
    Open the ports over the configured database: migrated, with the default organization, and with the lease sweeper.
    """
    async def founded(stack: AsyncExitStack) -> Ports:
        ports = await _ports_over(settings, stack)
        organization = await found_organization(ports, slug="default")
        local = await ensure_local_user(ports, organization.id)
        await make_admin_of(settings, ports)
        known: dict[bytes, Principal | UserId] = {
            digest_of(settings.api_key): evolve(SERVER, organization=organization.id)
        }
        if settings.identities.mode is AuthMode.LOCAL:
            known[digest_of(settings.local_auth_token)] = local
        return evolve(ports, credentials=KnownKeys(ports.credentials, known, partial(settle, ports)))

    async with _opened(settings, founded) as ports, believing(settings.identities, ports) as ports, sweeping(ports):
        yield ports


async def make_admin_of(settings: Settings, ports: Ports) -> None:
    """
    Create the first admin that the settings name, if there are no users yet. Problems are logged as warnings.
    """
    first = settings.first_admin
    if not (first.variable or first.garbled) or not await needs_setup(ports):
        return
    if first.garbled:
        logger.warning("AUTH_PASS_B64: is not valid base64 and is ignored; AUTH_PASS is used if it is set")
    if is_common(first.password):
        logger.warning("%s: this password is too common, so no admin was created; set another one", first.variable)
    elif first.variable:
        if len(first.password) < LEAST_PASSWORD:
            logger.warning("%s: a password should have %d characters", first.variable, LEAST_PASSWORD)
        if first.unusually_named:
            logger.warning("AUTH_USER: a name should have 2 to 64 letters, digits, dots, hyphens and underscores")
        try:
            await make_first_admin(ports, MakeFirstAdmin(username=first.username, password=first.password))
        except (SetupDone, SetupRaced):
            return  # another process created it
        except (UsernameTaken, InvalidField) as refusal:
            logger.warning("AUTH_USER: no admin was created: %s", refusal)


@asynccontextmanager
async def believing(identities: Identities, ports: Ports) -> AsyncIterator[Ports]:
    """
    Add the token verifiers and user directories of the configured identity providers to the ports.
    """
    if identities.issuer is None and identities.google is None:
        yield ports
        return
    async with outbound_for(identities) as outbound:
        verifiers: dict[Provider, TokenVerifier] = {}
        directories: dict[Provider, Directory] = {}
        codes: CodeExchange | None = None
        if identities.issuer is not None:
            verifiers[Provider.OIDC] = issuer_verifier(identities.issuer, outbound, ports.clock)
            if identities.clerk is not None:
                directories[Provider.OIDC] = clerk_directory(identities.clerk, identities.issuer, outbound, ports.clock)
        if identities.google is not None:
            google = identities.google
            verifiers[Provider.GOOGLE] = google_verifier(google, outbound, ports.clock)
            if google.client_secret is not None:
                from mission_adapters.oidc import TokenEndpoint

                codes = TokenEndpoint(google.token_url, google.client_id, google.client_secret, outbound)
        yield evolve(ports, verifiers=verifiers, codes=codes, directories=directories)


async def issuers_seen(identities: Identities) -> IssuersSeen:
    """
    Fetch the keys and the configuration of each configured issuer, for the doctor.
    """
    clock, seen = SystemClock(), IssuersSeen()
    if identities.issuer is None and identities.google is None:
        return seen
    async with outbound_for(identities) as outbound:
        if identities.issuer is not None:
            verifier = issuer_verifier(identities.issuer, outbound, clock)
            await _see_keys(verifier, seen)
            await _see_name(verifier, seen)
        if identities.google is not None:
            await _see_keys(google_verifier(identities.google, outbound, clock), seen)
    return seen


async def _see_keys(verifier: OidcVerifier, seen: IssuersSeen) -> None:
    name = verifier.keys.issuer
    try:
        seen.keys[name] = await verifier.keys.fetched()
    except OutboundFailed as e:
        seen.keys[name] = str(e)
        return
    fitting = verifier.keys.algorithms()
    if verifier.algorithms.isdisjoint(fitting):
        allowed = ", ".join(sorted(verifier.algorithms))
        seen.unfit[name] = f"its keys are for {', '.join(fitting)}, and allowed is {allowed}"


async def _see_name(verifier: OidcVerifier, seen: IssuersSeen) -> None:
    if verifier.issuers:
        try:
            itself = (await verifier.keys.configuration())["issuer"]
        except OutboundFailed:
            return  # not every issuer publishes its configuration
        if itself not in verifier.issuers:
            seen.misnamed[verifier.keys.issuer] = verifier.keys.misnamed(itself)


def google_verifier(google: Google, outbound: Outbound, clock: Clock) -> OidcVerifier:
    """
    Build the verifier of Google's ID tokens.
    """
    from mission_adapters.oidc import OidcVerifier, PublishedKeys  # most servers have no issuer

    return OidcVerifier(
        PublishedKeys(google.issuer, outbound, clock, url=google.keys_url, setting="GOOGLE_ISSUER"), clock,
        google.issuers, google.client_id, algorithms=frozenset({"RS256"}),
    )


def clerk_directory(clerk: ClerkApi, issuer: Issuer, outbound: Outbound, clock: Clock) -> ClerkDirectory:
    """
    Build the directory that reads user profiles from Clerk.
    """
    from mission_adapters.clerk import ClerkDirectory

    return ClerkDirectory(clerk.url, clerk.secret, outbound, clock, issuer.name)


def outbound_for(identities: Identities) -> AbstractAsyncContextManager[Outbound]:
    """
    Open the client for outbound requests to the configured URLs and to public addresses.
    """
    return Outbound.open(identities.urls, anywhere=identities.anywhere)


def issuer_verifier(issuer: Issuer, outbound: Outbound, clock: Clock) -> OidcVerifier:
    """
    Build the verifier of the tokens of an OpenID Connect issuer.
    """
    from mission_adapters.oidc import OidcVerifier, PublishedKeys

    headers = {"authorization": f"Bearer {issuer.secret}"} if issuer.secret else {}
    return OidcVerifier(
        PublishedKeys(
            issuer.called, outbound, clock, url=issuer.keys_url, headers=headers, setting=issuer.setting
        ),
        clock, (issuer.name,) if issuer.name else (), issuer.audiences, algorithms=issuer.algorithms,
        leeway=issuer.leeway, check_issued=issuer.check_issued, clients=issuer.clients,
    )  # fmt: skip


@asynccontextmanager
async def store_ports(settings: Settings, *, read_only: bool = False) -> AsyncIterator[Ports]:
    """
    Open the ports over the configured database, after its migrations.

    Args:
        read_only: Whether a database that cannot be written to is accepted.

    Raises:
        SettingsError: If the database cannot be opened or written to, or has another secret.
    """
    async with _opened(settings, partial(_ports_over, settings, read_only=read_only)) as ports:
        yield ports


async def _ports_over(settings: Settings, stack: AsyncExitStack, *, read_only: bool = False) -> Ports:
    store = await stack.enter_async_context(SqlStore.open(settings.database_url))
    if not read_only:
        await store.must_take_changes()
        await ensure_fingerprint(store.session, secret_keys(settings.auth_secret))
    return Ports(
        unit=store.unit,
        reads=store.reads,
        log=store.log,
        credentials=store.credentials,
        numbers=store.numbers,
        clock=store.clock,
        ids=TimeOrderedIds(),
        secrets=HmacSecrets(derived_key(settings.auth_secret, "leases")),
        passwords=Argon2Passwords.strong(),
        vault=secret_keys(settings.auth_secret).vault,
        backoff=JitteredBackoff(),
    )


@asynccontextmanager
async def _opened(settings: Settings, attempt: Callable[[AsyncExitStack], Awaitable[R]]) -> AsyncIterator[R]:
    """
    Call *attempt* to open the database, and close its exit stack at the end of the context.

    An unreachable database is tried again for a few seconds, because it may be starting at the same time.

    Raises:
        SettingsError: If the database cannot be opened.
    """
    until = time.monotonic() + PATIENCE
    async with AsyncExitStack() as stack:
        async with naming_the_setting(settings):
            made = await _attempted(attempt, stack)
            while isinstance(made, StoreFailed):
                if not made.lost or time.monotonic() > until:
                    raise made
                await asyncio.sleep(PAUSE)
                made = await _attempted(attempt, stack)
        yield made


async def _attempted(attempt: Callable[[AsyncExitStack], Awaitable[R]], stack: AsyncExitStack) -> R | StoreFailed:
    try:
        async with AsyncExitStack() as own:
            made = await attempt(own)
            await stack.enter_async_context(own.pop_all())
            return made
    except StoreFailed as failed:
        return failed


def secret_keys(auth_secret: str) -> SecretKeys:
    """
    Derive the keys for the fingerprint and the encrypted values of the database from `AUTH_SECRET`.
    """
    return SecretKeys(derived_key(auth_secret, "fingerprint"), AesVault(derived_key(auth_secret, "vault")))


async def with_secret_in_force(settings: Settings) -> Settings:
    """
    The settings with the next secret as `auth_secret`, if the database uses it already after an interrupted rotation.
    """
    following = settings.next_auth_secret
    if following is None:
        return settings
    found = await examine(settings.database_url)
    if not secret_keys(following).is_known_as(found.fingerprint):
        return settings
    if "AUTH_SECRET" not in settings.given:
        keep_secret(settings, following)
    return evolve(settings, auth_secret=following, next_auth_secret=None)


def is_restore_interrupted(settings: Settings) -> bool:
    """
    Whether a restore was interrupted before its last step.
    """
    try:
        path = path_in(settings.database_url)
    except ValueError:  # opening the database reports the error
        return False
    return path is not None and os.path.isdir(path + READY)


def migrated(settings: Settings) -> str:
    """
    Run the missing migrations of the database.

    Returns:
        The new revision of the database.

    Raises:
        SettingsError: If the database cannot be opened.
    """

    async def attempt(_: AsyncExitStack) -> str:
        return await asyncio.to_thread(migrate, settings.database_url)

    async def run() -> str:
        async with _opened(settings, attempt) as revision:
            return revision

    return asyncio.run(run())


def place_of(settings: Settings) -> str:
    """
    The URL of the database without credentials, for messages.
    """
    return without_credentials(settings.database_url)


@asynccontextmanager
async def limiter_from(settings: Settings) -> AsyncIterator[RateLimiter]:
    """
    Open the rate limiter: in this process, or in the configured Redis.

    Raises:
        SettingsError: If Redis cannot be used.
    """
    redis = settings.limiting.redis
    if redis is None:
        yield MemoryLimiter()
        return
    async with AsyncExitStack() as stack:
        try:
            limiter = await stack.enter_async_context(RedisLimiter.open(redis.url))
        except ModuleNotFoundError as e:
            advice = f"{install('redis')}, or set {BACKEND}=memory"
            raise SettingsError(f"{BACKEND}: redis needs the extra", advice) from e
        except (LimiterFailed, ValueError) as e:
            reason = e.reason if isinstance(e, LimiterFailed) else UNREADABLE
            told = f"{redis.variable}: {without_credentials(redis.url)} cannot be used ({reason})"
            advice = f"start it, or correct {redis.variable}; or set {BACKEND}=memory"
            raise SettingsError(told, advice) from e
        yield limiter


@asynccontextmanager
async def naming_the_setting(settings: Settings) -> AsyncIterator[None]:
    """
    Convert database errors to settings errors that name the variable to change and give advice.
    """
    own = settings.database_url == own_database(settings.data_dir)
    variable = "MISSION_CONTROL_DATA_DIR (or --data-dir)" if own else "DATABASE_URL (or --database-url)"
    try:
        yield
    except ModuleNotFoundError as e:
        raise SettingsError(f"{variable}: PostgreSQL needs the extra: {install('postgres')}") from e
    except SecretMismatch as e:
        kept_in = None if "AUTH_SECRET" in settings.given else settings.data_dir / GENERATED
        raise SettingsError(*mismatch_told(e, place_of(settings), kept_in=kept_in)) from e
    except (StoreFailed, ValueError) as e:
        reason = " ".join((e.reason if isinstance(e, StoreFailed) else str(e)).split())
        told = f"{variable}: {place_of(settings)} cannot be used ({reason})"
        raise SettingsError(told, await _advice(settings)) from e


def mismatch_told(mismatch: SecretMismatch, place: str, *, kept_in: Path | None) -> tuple[str, str]:
    """
    The message and the advice about an `AUTH_SECRET` that is not the secret of the database.

    Args:
        kept_in: The file of generated secrets; None if the environment set `AUTH_SECRET`.
    """
    source = f" in {kept_in}" if kept_in else ""
    told = f"AUTH_SECRET{source}: is not the secret of {place}: {mismatch}"
    restored = f"restore {kept_in}, or set AUTH_SECRET to what stood in it" if kept_in else "set AUTH_SECRET to that"
    return told, f"{restored}; if it is lost, run mission-control secret rotate --lost"


async def _advice(settings: Settings) -> str:
    from mission_http.doctor.database import Database, advice_about  # circular import

    return advice_about(await Database.seen(settings))
