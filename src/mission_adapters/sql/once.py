"""
Idempotency keys in SQL: the principal and operation of each key, the digest of the request body, and the result.

A flush inserts its key before any other row. Of two units with the same key, the slower one fails on the key itself.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import delete, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from mission_adapters.remembered import Remembered
from mission_adapters.sql.mapping import maybe_bytes, maybe_id
from mission_adapters.sql.session import Steps
from mission_adapters.sql.statements import DIALECTS, Statement, value
from mission_adapters.sql.tables import once
from mission_core.accounts.model import Principal, identity_of
from mission_core.errors import KeyReused, StaleWrite
from mission_core.ports import REMEMBERED, AlreadyDone, Once
from mission_core.values import micros

AT_ONCE: Final = 16
"""The number of expired keys that are deleted with each new key."""
_this: Final = (
    once.c.principal == value("whose", str),
    once.c.operation == value("what", str),
    once.c.key == value("which", str),
)


def _taking(dialect: str) -> Statement:
    insert = postgresql.insert(once) if dialect == "postgresql" else sqlite.insert(once)
    return Statement(
        insert.on_conflict_do_update(
            index_elements=[once.c.principal, once.c.operation, once.c.key],
            set_={name: insert.excluded[name] for name in ("body_digest", "result", "at")},
            where=once.c.at <= value("over", int),
        )
    )


TAKE: Final = {dialect: _taking(dialect) for dialect in DIALECTS}
WINNER: Final = Statement(select(once.c.body_digest, once.c.result).where(*_this))
USED: Final = Statement(select(once.c.body_digest, once.c.result).where(*_this, once.c.at > value("since", int)))
RESULT: Final = Statement(update(once).where(*_this).values(result=value("result")))
LEAVE: Final = Statement(delete(once).where(*_this))
_name: Final = (once.c.principal, once.c.operation, once.c.key)
_old: Final = select(*_name).where(once.c.at <= value("over", int)).order_by(once.c.at).limit(AT_ONCE)
FORGET: Final = Statement(delete(once).where(tuple_(*_name).in_(_old.with_for_update(skip_locked=True))))


def take_key(dialect: str, buffer: Remembered, *, at: datetime) -> Steps[None]:
    """
    Insert the unit's idempotency key, if it has one, and delete some expired keys.

    Raises:
        AlreadyDone: If the key was used in the last day. The error carries the first result.
        KeyReused: If the key was used with another body.
    """
    if buffer.once is None:
        return
    used = buffer.once
    taken = yield TAKE[dialect].count(
        dialect,
        principal=name_of(used.whose or buffer.principal),
        operation=used.operation,
        key=used.key,
        body_digest=used.body_digest,
        result=maybe_bytes(buffer.result),
        at=micros(at),
        over=micros(at - REMEMBERED),
    )
    if taken:
        yield FORGET.count(dialect, over=micros(at - REMEMBERED))
        return
    found = yield WINNER(dialect, **_named(buffer.principal, used))
    result = result_in(found, used)
    if result is None:
        raise StaleWrite("idempotency key", buffer.principal.organization)
    raise AlreadyDone(result)


def settle_key(dialect: str, buffer: Remembered, result: UUID | None) -> Steps[None]:
    """
    Store the result of the unit with its key, or delete the key if there is no result.
    """
    if buffer.once is None or (result is not None and result == buffer.result):
        return
    this = _named(buffer.principal, buffer.once)
    if result is None:
        yield LEAVE.count(dialect, **this)
    else:
        yield RESULT.count(dialect, result=result.bytes, **this)


def used_key(dialect: str, principal: Principal, used: Once, *, since: datetime) -> Steps[UUID | None]:
    """
    Return the result of a key that was used after *since*, or None.

    Raises:
        KeyReused: If the key was used with another body.
    """
    found = yield USED(dialect, since=micros(since), **_named(principal, used))
    return result_in(found, used)


def result_in(found: list[tuple[bytes, bytes | None]], used: Once) -> UUID | None:
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
    result_id: UUID | None = maybe_id(result)
    return result_id


def name_of(principal: Principal) -> str:
    """
    Return the owner of a principal's keys. It does not depend on how the principal signed in.
    """
    return f"{principal.organization.hex}:{identity_of(principal)}"


def _named(principal: Principal, used: Once) -> dict[str, str]:
    return {"whose": name_of(used.whose or principal), "what": used.operation, "which": used.key}
