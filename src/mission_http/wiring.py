"""
The composition root: opens the adapters for the settings and yields `Ports`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID

from attrs import evolve

from mission_adapters.clocks import SystemClock
from mission_adapters.database import database_ports, secret_keys
from mission_adapters.lease_sweeper import lease_sweeper
from mission_adapters.rate_limits import MemoryRateLimiter, RedisRateLimiter
from mission_adapters.sql.database_lock import RESTORE_SUFFIX
from mission_adapters.sql.migrations import migrate, path_in
from mission_adapters.sql.secret_fingerprint import SecretMismatch
from mission_core.accounts.first_admin import CreateFirstAdmin, SetupDone, SetupRaced, create_first_admin, needs_setup
from mission_core.accounts.model import SERVER_PRINCIPAL, SystemPrincipal, secret_digest
from mission_core.accounts.passwords import MIN_PASSWORD_LENGTH, is_common
from mission_core.accounts.profiles import ensure_local_user
from mission_core.accounts.users import IdentityProvider, UsernameTaken
from mission_core.agents.organization_creation import ensure_organization
from mission_core.database_urls import UNREADABLE, without_credentials
from mission_core.errors import InvalidField, StoreFailed
from mission_core.extras import install_command
from mission_core.lazy_attrs import frozen
from mission_core.ports import Ports
from mission_core.rate_limits import LimiterFailed
from mission_http.identity_provider_settings import AuthMode, IssuerInspection
from mission_http.rate_limit_settings import BACKEND, DISABLE
from mission_http.settings import (
    PRICES_FILE_VARIABLE,
    SECRETS_FILE,
    SettingsError,
    default_database_url,
    save_auth_secret,
)

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from mission_adapters.clerk import ClerkDirectory
    from mission_adapters.oidc_tokens import OidcTokenVerifier
    from mission_adapters.outbound_http import OutboundClient
    from mission_core.accounts.invites import Invite
    from mission_core.accounts.members import BoardPermission, Member
    from mission_core.accounts.model import MemberPrincipal, Principal
    from mission_core.accounts.organizations import Organization
    from mission_core.accounts.ports import CodeExchange, CredentialStore, ProviderDirectory, TokenVerifier
    from mission_core.ids import BoardId, InviteId, OrganizationId, UserId
    from mission_core.ports import Clock
    from mission_core.rate_limits import RateLimiter
    from mission_core.usage.prices import PriceBook
    from mission_core.usage.telemetry import TelemetryBatch, TelemetrySignal
    from mission_http.identity_provider_settings import (
        ClerkApiSettings,
        GoogleSettings,
        IdentityProviderSettings,
        OidcIssuerSettings,
    )
    from mission_http.settings import Settings

R = TypeVar("R")

RETRY_SECONDS: Final = 3.0
"""Seconds for which an unreachable database is tried again."""
RETRY_INTERVAL_SECONDS: Final = 0.3
"""Seconds between two tries."""
logger = logging.getLogger("mission_http")


@frozen
class ServerSecretCredentials:
    """
    Credentials that also accept the secrets in the settings (`API_KEY`, `LOCAL_AUTH_TOKEN`), which no store holds.

    Args:
        credentials: The credentials in the store.
        known: The principal or user of each secret in the settings, by SHA-256. The `API_KEY` is accepted until a key
            that replaces it is made.
    """

    credentials: CredentialStore
    known: Mapping[bytes, Principal | UserId]
    ensure_active_organization: Callable[[UserId], Awaitable[MemberPrincipal | None]] | None = None
    """Chooses the active organization of a user who has none any more."""

    async def principal_of(self, digest: bytes, *, at: datetime) -> Principal | None:
        known = self.known.get(digest)
        if known is None:
            return await self.credentials.principal_of(digest, at=at)
        if isinstance(known, UUID):
            member = await self.credentials.member(known)
            if member is not None or self.ensure_active_organization is None:
                return member
            return await self.ensure_active_organization(known)
        if isinstance(known, SystemPrincipal) and await self.credentials.is_server_key_replaced(
            known.organization, digest, at=at
        ):
            return None
        return known

    def is_operator_secret(self, digest: bytes) -> bool:
        return digest in self.known

    async def session_principal(self, digest: bytes, *, at: datetime) -> MemberPrincipal | None:
        return await self.credentials.session_principal(digest, at=at)

    async def member(self, user: UserId, organization: OrganizationId | None = None) -> MemberPrincipal | None:
        return await self.credentials.member(user, organization)

    async def memberships(self, user: UserId) -> list[tuple[Organization, Member]]:
        return await self.credentials.memberships(user)

    async def board_permissions(self, member: Member) -> list[BoardPermission]:
        return await self.credentials.board_permissions(member)

    async def is_server_key_replaced(self, organization: OrganizationId, digest: bytes, *, at: datetime) -> bool:
        return await self.credentials.is_server_key_replaced(organization, digest, at=at)

    async def organization(self, slug: str) -> Organization | None:
        return await self.credentials.organization(slug)

    async def create_organization(self, organization: Organization) -> Organization:
        return await self.credentials.create_organization(organization)

    async def find_invite(self, invite: InviteId) -> Invite | None:
        return await self.credentials.find_invite(invite)

    async def invites_for(self, email: str) -> list[Invite]:
        return await self.credentials.invites_for(email)

    async def organization_of(self, board: BoardId) -> OrganizationId | None:
        return await self.credentials.organization_of(board)

    async def organizations(self) -> list[OrganizationId]:
        return await self.credentials.organizations()


@asynccontextmanager
async def ports_from_settings(settings: Settings, *, sweeps: bool = True) -> AsyncIterator[Ports]:
    """
    Open the ports over the configured database: migrated, and with the default organization.

    Args:
        sweeps: Whether to run the lease sweeper and the retention of the token ledger. One process of several that
            share a port is enough.
    """

    async def founded(stack: AsyncExitStack) -> Ports:
        ports = await _open_ports(settings, stack)
        organization = await ensure_organization(ports, slug="default")
        local = await ensure_local_user(ports, organization.id)
        await make_configured_admin(settings, ports)
        known: dict[bytes, Principal | UserId] = {
            secret_digest(settings.api_key): evolve(SERVER_PRINCIPAL, organization=organization.id)
        }
        if settings.identity_providers.mode is AuthMode.LOCAL:
            known[secret_digest(settings.local_auth_token)] = local
        return evolve(
            ports,
            credentials=ServerSecretCredentials(ports.credentials, known, partial(_ensure_active_organization, ports)),
        )

    async with (
        _open_with_retries(settings, founded) as ports,
        with_identity_providers(settings.identity_providers, ports) as ports,
        lease_sweeper(ports) if sweeps else nullcontext(),
        _usage_retention(settings, ports) if sweeps else nullcontext(),
    ):
        yield ports


def _usage_retention(settings: Settings, ports: Ports) -> AbstractAsyncContextManager[None]:
    if settings.usage_retention is None:
        return nullcontext()
    from mission_adapters.usage_retention import usage_retention

    return usage_retention(ports, settings.usage_retention)


async def _ensure_active_organization(ports: Ports, user: UserId) -> MemberPrincipal | None:
    from mission_core.agents.active_organization import ensure_active_organization  # few users have lost theirs

    return await ensure_active_organization(ports, user)


async def make_configured_admin(settings: Settings, ports: Ports) -> None:
    """
    Create the first admin that the settings name, if there are no users yet. Problems are logged as warnings.
    """
    first = settings.first_admin
    if not (first.variable or first.base64_is_malformed) or not await needs_setup(ports):
        return
    if first.base64_is_malformed:
        logger.warning("AUTH_PASS_B64: is not valid base64 and is ignored; AUTH_PASS is used if it is set")
    if is_common(first.password):
        logger.warning("%s: this password is too common, so no admin was created; set another one", first.variable)
    elif first.variable:
        if len(first.password) < MIN_PASSWORD_LENGTH:
            logger.warning("%s: a password should have %d characters", first.variable, MIN_PASSWORD_LENGTH)
        if first.has_unusual_name:
            logger.warning("AUTH_USER: a name should have 2 to 64 letters, digits, dots, hyphens and underscores")
        try:
            await create_first_admin(ports, CreateFirstAdmin(username=first.username, password=first.password))
        except (SetupDone, SetupRaced):
            return  # another process created it
        except (UsernameTaken, InvalidField) as refusal:
            logger.warning("AUTH_USER: no admin was created: %s", refusal)


@asynccontextmanager
async def with_identity_providers(identities: IdentityProviderSettings, ports: Ports) -> AsyncIterator[Ports]:
    """
    Add the token verifiers and user directories of the configured identity providers to the ports.
    """
    if identities.issuer is None and identities.google is None:
        yield ports
        return
    async with outbound_client_for(identities) as outbound:
        verifiers: dict[IdentityProvider, TokenVerifier] = {}
        directories: dict[IdentityProvider, ProviderDirectory] = {}
        codes: CodeExchange | None = None
        if identities.issuer is not None:
            verifiers[IdentityProvider.OIDC] = issuer_verifier(identities.issuer, outbound, ports.clock)
            if identities.clerk is not None:
                directories[IdentityProvider.OIDC] = clerk_directory(
                    identities.clerk, identities.issuer, outbound, ports.clock
                )
        if identities.google is not None:
            google = identities.google
            verifiers[IdentityProvider.GOOGLE] = google_verifier(google, outbound, ports.clock)
            if google.client_secret is not None:
                from mission_adapters.oidc_tokens import TokenEndpoint

                codes = TokenEndpoint(google.token_url, google.client_id, google.client_secret, outbound)
        yield evolve(ports, verifiers=verifiers, codes=codes, directories=directories)


async def inspect_issuers(identities: IdentityProviderSettings) -> IssuerInspection:
    """
    Fetch the keys and the configuration of each configured issuer, for the doctor.
    """
    clock, seen = SystemClock(), IssuerInspection()
    if identities.issuer is None and identities.google is None:
        return seen
    async with outbound_client_for(identities) as outbound:
        if identities.issuer is not None:
            verifier = issuer_verifier(identities.issuer, outbound, clock)
            await _inspect_keys(verifier, seen)
            await _inspect_name(verifier, seen)
        if identities.google is not None:
            await _inspect_keys(google_verifier(identities.google, outbound, clock), seen)
    return seen


async def _inspect_keys(verifier: OidcTokenVerifier, seen: IssuerInspection) -> None:
    from mission_adapters.outbound_http import OutboundRequestFailed

    name = verifier.keys.issuer
    try:
        seen.keys[name] = await verifier.keys.fetch()
    except OutboundRequestFailed as e:
        seen.keys[name] = str(e)
        return
    fitting = verifier.keys.algorithms()
    if verifier.algorithms.isdisjoint(fitting):
        allowed = ", ".join(sorted(verifier.algorithms))
        seen.unusable[name] = f"its keys are for {', '.join(fitting)}, and allowed is {allowed}"


async def _inspect_name(verifier: OidcTokenVerifier, seen: IssuerInspection) -> None:
    from mission_adapters.outbound_http import OutboundRequestFailed

    if verifier.issuers:
        try:
            itself = (await verifier.keys.configuration())["issuer"]
        except OutboundRequestFailed:
            return  # not every issuer publishes its configuration
        if itself not in verifier.issuers:
            seen.misnamed[verifier.keys.issuer] = verifier.keys.issuer_mismatch(itself)


def google_verifier(google: GoogleSettings, outbound: OutboundClient, clock: Clock) -> OidcTokenVerifier:
    """
    Build the verifier of Google's ID tokens.
    """
    from mission_adapters.oidc_tokens import IssuerKeys, OidcTokenVerifier  # most servers have no issuer

    return OidcTokenVerifier(
        IssuerKeys(google.issuer, outbound, clock, url=google.keys_url, setting="GOOGLE_ISSUER"),
        clock,
        google.issuers,
        google.client_id,
        algorithms=frozenset({"RS256"}),
    )


def clerk_directory(
    clerk: ClerkApiSettings, issuer: OidcIssuerSettings, outbound: OutboundClient, clock: Clock
) -> ClerkDirectory:
    """
    Build the directory that reads user profiles from Clerk.
    """
    from mission_adapters.clerk import ClerkDirectory

    return ClerkDirectory(clerk.url, clerk.secret, outbound, clock, issuer.name)


def outbound_client_for(identities: IdentityProviderSettings) -> AbstractAsyncContextManager[OutboundClient]:
    """
    Open the client for outbound requests to the configured URLs and to public addresses.
    """
    from mission_adapters.outbound_http import OutboundClient  # most servers send no requests

    return OutboundClient.open(identities.urls, anywhere=identities.allow_private_outbound)


def issuer_verifier(issuer: OidcIssuerSettings, outbound: OutboundClient, clock: Clock) -> OidcTokenVerifier:
    """
    Build the verifier of the tokens of an OpenID Connect issuer.
    """
    from mission_adapters.oidc_tokens import IssuerKeys, OidcTokenVerifier

    headers = {"authorization": f"Bearer {issuer.secret}"} if issuer.secret else {}
    return OidcTokenVerifier(
        IssuerKeys(
            issuer.log_name, outbound, clock, url=issuer.keys_url, headers=headers, setting=issuer.setting
        ),
        clock, (issuer.name,) if issuer.name else (), issuer.audiences, algorithms=issuer.algorithms,
        leeway=issuer.leeway, requires_iat=issuer.check_issued, accepts_clients=issuer.clients,
    )  # fmt: skip


@asynccontextmanager
async def ports_over_database(settings: Settings, *, read_only: bool = False) -> AsyncIterator[Ports]:
    """
    Open the ports over the configured database, after its migrations.

    Args:
        read_only: Whether a database that cannot be written to is accepted.

    Raises:
        SettingsError: If the database cannot be opened or written to, or has another secret.
    """
    async with _open_with_retries(settings, partial(_open_ports, settings, read_only=read_only)) as ports:
        yield ports


async def _open_ports(settings: Settings, stack: AsyncExitStack, *, read_only: bool = False) -> Ports:
    prices, subscribed = price_book(settings), frozenset(name.lower() for name in settings.subscriptions)
    return await stack.enter_async_context(
        database_ports(
            settings.database_url, secret=settings.auth_secret, read_only=read_only, prices=prices,
            subscribed_providers=subscribed, usage_kept_for=settings.usage_retention,
        )
    )  # fmt: skip


def decode_telemetry(signal: TelemetrySignal, body: bytes, *, is_json: bool) -> TelemetryBatch:
    """
    The usage of tokens in the body of an OpenTelemetry export request. Most servers receive none.

    Raises:
        MalformedTelemetry: If it is no such request.
        TelemetryEncodingMissing: If this server cannot read protobuf.
    """
    from mission_adapters import otlp

    return otlp.decode_telemetry(signal, body, is_json=is_json)


def price_book(settings: Settings) -> PriceBook | None:
    """
    Build the book of prices: those of the operator first, then those of the package `genai-prices` if it is installed.

    Raises:
        SettingsError: If the file of the operator's prices is not valid.
    """
    books: list[PriceBook] = []
    if settings.prices_file is not None:
        from mission_adapters.price_files import InvalidPriceFile, read_price_file

        try:
            books.append(read_price_file(settings.prices_file))
        except InvalidPriceFile as e:
            raise SettingsError(f"{PRICES_FILE_VARIABLE}: {e}") from e
    if find_spec("genai_prices") is not None:
        from mission_adapters.genai_prices import GenaiPrices

        books.append(GenaiPrices())
    if len(books) < 2:
        return books[0] if books else None
    from mission_core.usage.prices import LayeredPrices

    return LayeredPrices(tuple(books))


@asynccontextmanager
async def _open_with_retries(settings: Settings, attempt: Callable[[AsyncExitStack], Awaitable[R]]) -> AsyncIterator[R]:
    """
    Call *attempt* to open the database, and close its exit stack at the end of the context.

    An unreachable database is tried again for a few seconds, because it may be starting at the same time.

    Raises:
        SettingsError: If the database cannot be opened.
    """
    until = time.monotonic() + RETRY_SECONDS
    async with AsyncExitStack() as stack:
        async with database_errors_as_settings_errors(settings):
            made = await _try_to_open(attempt, stack)
            while isinstance(made, StoreFailed):
                if not made.lost or time.monotonic() > until:
                    raise made
                await asyncio.sleep(RETRY_INTERVAL_SECONDS)
                made = await _try_to_open(attempt, stack)
        yield made


async def _try_to_open(attempt: Callable[[AsyncExitStack], Awaitable[R]], stack: AsyncExitStack) -> R | StoreFailed:
    try:
        async with AsyncExitStack() as own:
            made = await attempt(own)
            await stack.enter_async_context(own.pop_all())
            return made
    except StoreFailed as failed:
        return failed


async def with_current_auth_secret(settings: Settings) -> Settings:
    """
    The settings with the next secret as `auth_secret`, if the database uses it already after an interrupted rotation.
    """
    following = settings.next_auth_secret
    if following is None:
        return settings
    from mission_adapters.sql.database_inspection import inspect_database

    found = await inspect_database(settings.database_url)
    if not secret_keys(following).has_fingerprint(found.fingerprint):
        return settings
    if "AUTH_SECRET" not in settings.given:
        save_auth_secret(settings, following)
    return evolve(settings, auth_secret=following, next_auth_secret=None)


def is_restore_interrupted(settings: Settings) -> bool:
    """
    Whether a restore was interrupted before its last step.
    """
    try:
        path = path_in(settings.database_url)
    except ValueError:  # opening the database reports the error
        return False
    return path is not None and os.path.isdir(path + RESTORE_SUFFIX)


def run_migrations(settings: Settings) -> str:
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
        async with _open_with_retries(settings, attempt) as revision:
            return revision

    return asyncio.run(run())


def database_location(settings: Settings) -> str:
    """
    The URL of the database without credentials, for messages.
    """
    return without_credentials(settings.database_url)


@asynccontextmanager
async def rate_limiter_from_settings(settings: Settings) -> AsyncIterator[RateLimiter]:
    """
    Open the rate limiter: in this process, or in the configured Redis.

    Raises:
        SettingsError: If Redis cannot be used.
    """
    redis = settings.rate_limits.redis
    if redis is None:
        yield MemoryRateLimiter()
        return
    # Without Redis, several workers must lift the limits (`check_workers`).
    without = f"set {BACKEND}=memory" if settings.workers == 1 else f"set {BACKEND}=memory and {DISABLE}=1"
    async with AsyncExitStack() as stack:
        try:
            limiter = await stack.enter_async_context(RedisRateLimiter.open(redis.url))
        except ModuleNotFoundError as e:
            advice = f"{install_command('redis')}, or {without}"
            raise SettingsError(f"{BACKEND}: redis needs the extra", advice) from e
        except (LimiterFailed, ValueError) as e:
            reason = e.reason if isinstance(e, LimiterFailed) else UNREADABLE
            told = f"{redis.variable}: {without_credentials(redis.url)} cannot be used ({reason})"
            advice = f"start it, or correct {redis.variable}; or {without}"
            raise SettingsError(told, advice) from e
        yield limiter


@asynccontextmanager
async def database_errors_as_settings_errors(settings: Settings) -> AsyncIterator[None]:
    """
    Convert database errors to settings errors that name the variable to change and give advice.
    """
    own = settings.database_url == default_database_url(settings.data_dir)
    variable = "MISSION_CONTROL_DATA_DIR (or --data-dir)" if own else "DATABASE_URL (or --database-url)"
    try:
        yield
    except ModuleNotFoundError as e:
        raise SettingsError(f"{variable}: PostgreSQL needs the extra: {install_command('postgres')}") from e
    except SecretMismatch as e:
        kept_in = None if "AUTH_SECRET" in settings.given else settings.data_dir / SECRETS_FILE
        raise SettingsError(*secret_mismatch_message(e, database_location(settings), kept_in=kept_in)) from e
    except (StoreFailed, ValueError) as e:
        reason = " ".join((e.reason if isinstance(e, StoreFailed) else str(e)).split())
        told = f"{variable}: {database_location(settings)} cannot be used ({reason})"
        raise SettingsError(told, await _advice(settings)) from e


def secret_mismatch_message(mismatch: SecretMismatch, place: str, *, kept_in: Path | None) -> tuple[str, str]:
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
    from mission_http.doctor.database import DatabaseState, database_advice  # circular import

    return database_advice(await DatabaseState.inspect(settings))
