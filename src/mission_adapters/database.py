"""
`Ports` over a SQL database, for programs that embed the core and for the server. Needs the extra `sql`; PostgreSQL
needs `postgres`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from attrs import evolve

from mission_core.extras import missing_extra_named
from mission_core.key_derivation import derive_key
from mission_core.ports import Ports

if TYPE_CHECKING:
    from mission_adapters.sql.secret_fingerprint import DerivedKeys


@asynccontextmanager
async def database_ports(url: str, *, secret: str, read_only: bool = False, **overrides: Any) -> AsyncIterator[Ports]:
    """
    Open `Ports` over a database, after its migrations. Keyword arguments replace single ports.

    Args:
        url: `sqlite:///path` or `postgresql://user:password@host/name`.
        secret: The secret of the deployment, which every program on the database must use (the server calls it
            `AUTH_SECRET`). Leases are signed and stored secrets are encrypted under keys derived from it.
        read_only: Whether a database that cannot be written to is accepted.

    Raises:
        ModuleNotFoundError: If an extra is missing; the message names it.
        ValueError: If the URL is of another form.
        StoreFailed: If the database cannot be opened or written to.
        SecretMismatch: If the database has another secret.
    """
    async with AsyncExitStack() as stack:
        with missing_extra_named():
            ports = await stack.enter_async_context(_open_ports(url, secret, read_only, overrides.get("clock")))
        yield evolve(ports, **overrides)


@asynccontextmanager
async def _open_ports(url: str, secret: str, read_only: bool, clock: Any) -> AsyncIterator[Ports]:
    from mission_adapters.backoff import JitteredBackoff
    from mission_adapters.ids import TimeOrderedIds
    from mission_adapters.lease_signatures import HmacSecrets
    from mission_adapters.password_hashing import Argon2PasswordHasher
    from mission_adapters.sql.secret_fingerprint import ensure_fingerprint
    from mission_adapters.sql.store import SqlStore

    keys = secret_keys(secret)
    async with SqlStore.open(url, clock=clock) as store:
        if not read_only:
            await store.require_writable()
            await ensure_fingerprint(store.session, keys)
        yield Ports(
            unit=store.unit,
            reads=store.reads,
            log=store.log,
            credentials=store.credentials,
            numbers=store.numbers,
            housekeeping=store.housekeeping,
            clock=store.clock,
            ids=TimeOrderedIds(),
            secrets=HmacSecrets(derive_key(secret, "leases")),
            passwords=Argon2PasswordHasher.strong(),
            vault=keys.encryption,
            backoff=JitteredBackoff(),
        )


def secret_keys(secret: str) -> DerivedKeys:
    """
    Derive the keys for the fingerprint and the encrypted values of a database from its secret.
    """
    from mission_adapters.encryption import AesSecretEncryption
    from mission_adapters.sql.secret_fingerprint import DerivedKeys

    return DerivedKeys(derive_key(secret, "fingerprint"), AesSecretEncryption(derive_key(secret, "vault")))
