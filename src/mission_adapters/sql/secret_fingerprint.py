"""
The fingerprint of the deployment's secret (`AUTH_SECRET`) in the database, and the rotation of that secret.

The fingerprint is a key derived from the secret and does not reveal it. The first start stores it. Later starts with
another secret are refused, because that secret could neither decrypt stored values nor verify leases and sessions.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from attrs import field
from sqlalchemy import Executable, column, table, update
from sqlalchemy.dialects import postgresql, sqlite

from mission_adapters.sql.database_session import BoundStatement, DatabaseSession, Steps
from mission_adapters.sql.statements import Statement, parameter
from mission_adapters.sql.tables import secret_fingerprints
from mission_core.accounts.ports import DecryptionFailed, SecretEncryption
from mission_core.lazy_attrs import define, frozen

SECRET_NAME: Final = "AUTH_SECRET"
SELECT_FINGERPRINT: Final = f"SELECT digest FROM secret_fingerprints WHERE name = '{SECRET_NAME}'"
LOCK_TABLE: Final = "LOCK TABLE secret_fingerprints IN ACCESS EXCLUSIVE MODE"
COUNT_OTHER_CLIENTS: Final = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend'
AND application_name <> current_setting('application_name')
"""


ENCRYPTED_COLUMNS: Final = (("board_webhooks", "secret"),)
"""The tables and columns of encrypted values, which are the fields of kinds with the type `Encrypted`. Each value is
encrypted under a derived key and bound to the id of its row."""
SELECT_ENCRYPTED: Final = tuple(
    f'SELECT id, "{name}" FROM {table} WHERE "{name}" IS NOT NULL' for table, name in ENCRYPTED_COLUMNS
)
_inserts: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def _store_fingerprint(dialect: str, *, instead: bool) -> Statement:
    insert: Any = _inserts[dialect](secret_fingerprints).values(name=SECRET_NAME, digest=parameter("digest"))
    changed: Executable = (
        insert.on_conflict_do_update(index_elements=["name"], set_={"digest": insert.excluded.digest})
        if instead
        else insert.on_conflict_do_nothing()
    )
    return Statement(changed)


@define(repr=False)
class SecretMismatch(Exception):
    """
    The given secret is not the one the database was written with. Without a stored fingerprint, *broken* of the
    *sealed* values could not be decrypted.
    """

    sealed: int = 0
    broken: int = 0

    def __str__(self) -> str:
        if not self.broken:
            return "the database was written with another secret"
        return f"the secret does not decrypt {self.broken} of the {self.sealed} encrypted values in the database"


@define(repr=False)
class OtherClientsConnected(Exception):
    """
    Other clients are connected to the database.
    """

    count: int


@frozen
class DerivedKeys:
    """
    The keys derived from one secret: its fingerprint, and the vault that encrypts under it.
    """

    fingerprint: bytes = field(repr=False)
    encryption: SecretEncryption

    def has_fingerprint(self, fingerprint: bytes | None) -> bool:
        """
        Whether this is the fingerprint of the secret.
        """
        return fingerprint is not None and hmac.compare_digest(self.fingerprint, fingerprint)

    def decrypts(self, about: bytes, sealed: bytes) -> bool:
        """
        Whether the secret decrypts a value that belongs to the row *about*.
        """
        try:
            self.encryption.decrypt(sealed, about=UUID(bytes=about))
        except DecryptionFailed:
            return False
        return True

    def check(self, fingerprint: bytes | None, sealed: Iterable[tuple[bytes, bytes]]) -> None:
        """
        Check that a database with this fingerprint, or without one but with these encrypted values, has this secret.

        Raises:
            SecretMismatch: If the database has another secret.
        """
        if fingerprint is not None:
            if not self.has_fingerprint(fingerprint):
                raise SecretMismatch
            return
        opened = [self.decrypts(bytes(about), bytes(each)) for about, each in sealed]
        if not all(opened):
            raise SecretMismatch(len(opened), opened.count(False))


@frozen
class RotationResult:
    """
    The result of a rotation: the numbers of values that were encrypted again and that could not be decrypted.
    """

    reencrypted: int
    undecryptable: int


async def ensure_fingerprint(session: DatabaseSession, keys: DerivedKeys) -> None:
    """
    Check the secret against the stored fingerprint. If there is none, store it, provided that the secret decrypts the
    encrypted values. Two processes that start at once agree on one secret.

    Raises:
        SecretMismatch: If the database has another secret.
    """
    if not keys.has_fingerprint(await session.read(_read_fingerprint)):
        await session.write(lambda: _store_first_fingerprint(session.dialect, keys))


async def rotate_secret(session: DatabaseSession, old: DerivedKeys | None, new: DerivedKeys) -> RotationResult:
    """
    Encrypt all values under the new secret and change the fingerprint, in one transaction. If the *old* secret is lost
    (None), values are left as they are, and those that the new secret does not decrypt are counted.

    Raises:
        SecretMismatch: If the database has another secret than the old one.
        OtherClientsConnected: If other clients are connected to PostgreSQL.
    """
    return await session.write(lambda: _rotate(session.dialect, old, new))


def _read_fingerprint() -> Steps[bytes | None]:
    rows = yield BoundStatement(SELECT_FINGERPRINT)
    return bytes(rows[0][0]) if rows else None


def _read_encrypted() -> Steps[list[tuple[bytes, bytes]]]:
    found: list[Any] = []
    for each in SELECT_ENCRYPTED:
        found += yield BoundStatement(each)
    return [(bytes(about), bytes(sealed)) for about, sealed in found]


def _store_first_fingerprint(dialect: str, keys: DerivedKeys) -> Steps[None]:
    fingerprint = yield from _read_fingerprint()
    if fingerprint is None:
        keys.check(None, (yield from _read_encrypted()))
        yield _store_fingerprint(dialect, instead=False).count(dialect, digest=keys.fingerprint)
        fingerprint = yield from _read_fingerprint()
    keys.check(fingerprint, ())


def _rotate(dialect: str, old: DerivedKeys | None, new: DerivedKeys) -> Steps[RotationResult]:
    if dialect == "postgresql":
        # A server that starts now waits for this lock, and is refused when it then reads the new fingerprint.
        yield BoundStatement(LOCK_TABLE, returns_rows=False)
        ((others,),) = yield BoundStatement(COUNT_OTHER_CLIENTS)
        if others:
            raise OtherClientsConnected(others)
    if old is not None:
        fingerprint = yield from _read_fingerprint()
        if new.has_fingerprint(fingerprint):
            return RotationResult(0, 0)  # an earlier rotation was interrupted after its commit
        old.check(fingerprint, (yield from _read_encrypted()))
    resealed = closed = 0
    for (name_of_table, name), text in zip(ENCRYPTED_COLUMNS, SELECT_ENCRYPTED, strict=True):
        encrypted = table(name_of_table, column("id"), column(name))
        change = Statement(
            update(encrypted).where(encrypted.c.id == parameter("id")).values({name: parameter("sealed")})
        )
        for about, sealed in (yield BoundStatement(text)):
            if old is None:
                closed += not new.decrypts(bytes(about), bytes(sealed))
                continue
            row = UUID(bytes=bytes(about))
            anew = new.encryption.encrypt(old.encryption.decrypt(bytes(sealed), about=row), about=row)
            yield change.count(dialect, id=row.bytes, sealed=anew)
            resealed += 1
    yield _store_fingerprint(dialect, instead=True).count(dialect, digest=new.fingerprint)
    return RotationResult(resealed, closed)
