"""
Idempotency keys in SQL: the principal and operation of each key, the digest of the request body, and the result.

A flush inserts its key before any other row. Of two units with the same key, the slower one fails on the key itself.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import delete, exists, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from mission_adapters.sql.conversions import optional_bytes, optional_uuid
from mission_adapters.sql.database_session import Steps
from mission_adapters.sql.statements import DIALECTS, Statement, parameter
from mission_adapters.sql.tables import once
from mission_adapters.write_buffer import WriteBuffer
from mission_core.accounts.model import Principal, identity_of
from mission_core.errors import KeyReused, StaleWrite
from mission_core.ports import IDEMPOTENCY_KEY_LIFETIME, AlreadyDone, IdempotencyKey
from mission_core.values import micros

EXPIRED_PER_STATEMENT: Final = 16
"""The number of expired keys that are deleted with each new key."""
_is_this_key: Final = (
    once.c.principal == parameter("whose", str),
    once.c.operation == parameter("what", str),
    once.c.key == parameter("which", str),
)


def _take_statement(dialect: str) -> Statement:
    insert = postgresql.insert(once) if dialect == "postgresql" else sqlite.insert(once)
    return Statement(
        insert.on_conflict_do_update(
            index_elements=[once.c.principal, once.c.operation, once.c.key],
            set_={name: insert.excluded[name] for name in ("body_digest", "result", "at")},
            where=once.c.at <= parameter("over", int),
        )
    )


TAKE_KEY: Final = {dialect: _take_statement(dialect) for dialect in DIALECTS}
SELECT_KEY: Final = Statement(select(once.c.body_digest, once.c.result).where(*_is_this_key))
SELECT_RECENT_KEY: Final = Statement(
    select(once.c.body_digest, once.c.result).where(*_is_this_key, once.c.at > parameter("since", int))
)
UPDATE_RESULT: Final = Statement(update(once).where(*_is_this_key).values(result=parameter("result")))
DELETE_KEY: Final = Statement(delete(once).where(*_is_this_key))
_key_columns: Final = (once.c.principal, once.c.operation, once.c.key)
_expired: Final = (
    select(*_key_columns).where(once.c.at <= parameter("over", int)).order_by(once.c.at).limit(parameter("most", int))
)
HAS_EXPIRED: Final = Statement(select(exists().where(once.c.at <= parameter("over", int))))
DELETE_EXPIRED: Final = Statement(
    delete(once).where(tuple_(*_key_columns).in_(_expired.with_for_update(skip_locked=True)))
)


def take_key(dialect: str, buffer: WriteBuffer, used: IdempotencyKey, *, at: datetime) -> Steps[None]:
    """
    Insert the unit's idempotency key, and delete some expired keys.

    Raises:
        AlreadyDone: If the key was used in the last day. The error carries the first result.
        KeyReused: If the key was used with another body.
    """
    taken = yield TAKE_KEY[dialect].count(
        dialect,
        principal=owner_of(used.principal or buffer.principal),
        operation=used.operation,
        key=used.key,
        body_digest=used.body_digest,
        result=optional_bytes(buffer.result),
        at=micros(at),
        over=micros(at - IDEMPOTENCY_KEY_LIFETIME),
    )
    if taken:
        yield DELETE_EXPIRED.count(dialect, over=micros(at - IDEMPOTENCY_KEY_LIFETIME), most=EXPIRED_PER_STATEMENT)
        return
    found = yield SELECT_KEY(dialect, **_key_parameters(buffer.principal, used))
    result = result_in(found, used)
    if result is None:
        raise StaleWrite("idempotency key", buffer.principal.organization)
    raise AlreadyDone(result)


def store_result(dialect: str, buffer: WriteBuffer, used: IdempotencyKey, result: UUID | None) -> Steps[None]:
    """
    Store the result of the unit with its key, or delete the key if there is no result.
    """
    if result is not None and result == buffer.result:
        return
    this = _key_parameters(buffer.principal, used)
    if result is None:
        yield DELETE_KEY.count(dialect, **this)
    else:
        yield UPDATE_RESULT.count(dialect, result=result.bytes, **this)


def read_result(dialect: str, principal: Principal, used: IdempotencyKey, *, since: datetime) -> Steps[UUID | None]:
    """
    Return the result of a key that was used after *since*, or None.

    Raises:
        KeyReused: If the key was used with another body.
    """
    found = yield SELECT_RECENT_KEY(dialect, since=micros(since), **_key_parameters(principal, used))
    return result_in(found, used)


def result_in(found: list[tuple[bytes, bytes | None]], used: IdempotencyKey) -> UUID | None:
    """
    Return the result in the row of a key, or None.

    Raises:
        KeyReused: If the key was used with another body.
    """
    if not found:
        return None
    body_digest, result = found[0]
    if body_digest != used.body_digest:
        raise KeyReused(used.key)
    result_id: UUID | None = optional_uuid(result)
    return result_id


def owner_of(principal: Principal) -> str:
    """
    Return the owner of a principal's keys. It does not depend on how the principal signed in.
    """
    return f"{principal.organization.hex}:{identity_of(principal)}"


def _key_parameters(principal: Principal, used: IdempotencyKey) -> dict[str, str]:
    return {"whose": owner_of(used.principal or principal), "what": used.operation, "which": used.key}
