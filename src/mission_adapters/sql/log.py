"""
The event log in SQL: its entries, and the head row of each organization.

The head row holds the position and digest of the last entry. A flush locks it before it appends entries, so positions
have no gaps and follow the order of commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen
from sqlalchemy import cast, insert, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite

from mission_adapters.sql.columns import ID
from mission_adapters.sql.mapping import Row, id_from, maybe_bytes, maybe_id
from mission_adapters.sql.parts import Change, Part
from mission_adapters.sql.session import Session, Steps
from mission_adapters.sql.statements import DIALECTS, Statement, value
from mission_adapters.sql.tables import events, heads, organizations
from mission_core.accounts.organizations import OrganizationNotFound
from mission_core.events.model import GENESIS, Actor, Entry, Fact, Verified
from mission_core.ids import OrganizationId
from mission_core.values import micros, moment

AT_ONCE: Final = 8
"""The number of entries that one statement inserts at most."""
COLUMNS: Final = tuple(column.name for column in events.c)


def row_from(entry: Entry) -> Row:
    """
    Return the column values of a log entry.
    """
    return {
        "organization": entry.organization.bytes,
        "position": entry.position,
        "kind": entry.kind,
        "at": micros(entry.at),
        "actor_kind": entry.actor.kind,
        "actor_id": maybe_bytes(entry.actor.id),
        "actor_name": entry.actor.name,
        "subject": entry.subject.bytes,
        "payload": entry.payload,
        "payload_digest": entry.payload_digest,
        "digest": entry.digest,
    }


def entry_from(row: Mapping[str, Any]) -> Entry:
    """
    Return the log entry that a row holds.
    """
    return Entry(
        organization=id_from(row["organization"]),
        position=row["position"],
        kind=row["kind"],
        at=moment(row["at"]),
        actor=Actor(row["actor_kind"], maybe_id(row["actor_id"]), row["actor_name"]),
        subject=id_from(row["subject"]),
        payload=row["payload"],
        payload_digest=row["payload_digest"],
        digest=row["digest"],
    )


_head: Final = select(heads.c.position, heads.c.digest).where(heads.c.organization == value("organization"))
HEAD: Final = Statement(_head)
LOCKED_HEAD: Final = Statement(_head.with_for_update())
_first: Final = select(organizations.c.id, literal_column("0"), cast(value("genesis"), ID)).where(
    organizations.c.id == value("organization")
)
FIRST: Final = {
    dialect: Statement(
        (postgresql if dialect == "postgresql" else sqlite)
        .insert(heads)
        .from_select(["organization", "position", "digest"], _first)
        .on_conflict_do_nothing()
    )
    for dialect in DIALECTS
}
READ: Final = Statement(
    select(*events.c)
    .where(events.c.organization == value("organization"), events.c.position > value("after", int))
    .order_by(events.c.position)
    .limit(value("most", int))
)


def lock_head(dialect: str, organization: OrganizationId) -> Steps[Verified]:
    """
    Lock the organization's head row until the end of the flush. Create it if the log is empty.

    Raises:
        OrganizationNotFound: If the organization was deleted.
    """
    found = yield LOCKED_HEAD(dialect, organization=organization.bytes)
    if not found:
        yield FIRST[dialect].count(dialect, organization=organization.bytes, genesis=GENESIS)
        found = yield LOCKED_HEAD(dialect, organization=organization.bytes)
    if not found:
        raise OrganizationNotFound
    position, digest = found[0]
    return Verified(position, digest)


def appended(organization: OrganizationId, actor: Actor, facts: Sequence[Fact], head: Verified) -> Iterable[Part]:
    """
    Return the statements that append events at the next positions and update the head row.
    """
    position, digest = head.position, head.digest
    rows: list[Row] = []
    for fact in facts:
        position += 1
        entry = Entry.of(fact, organization=organization, actor=actor, position=position, previous=digest)
        digest = entry.digest
        rows.append(row_from(entry))
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        given = {f"{name}{at}": each for at, row in enumerate(some, start) for name, each in row.items()}
        yield Part(_append, (start, len(some)), given)
    if rows:
        yield Part(_move, (), {"key": organization.bytes, "position": position, "digest": digest})


def _append(start: int, count: int) -> Change:
    columns = [(column.name, column.type.python_type) for column in events.c]
    places = range(start, start + count)
    return insert(events).values([{name: value(f"{name}{at}", type) for name, type in columns} for at in places])


def _move() -> Change:
    moved = {"position": value("position", int), "digest": value("digest")}
    return update(heads).where(heads.c.organization == value("key")).values(moved)


@frozen
class SqlLog:
    """
    Reads the event log of any organization.
    """

    session: Session

    async def read(self, organization: OrganizationId, *, after: int = 0, limit: int = 500) -> list[Entry]:
        """
        Return up to *limit* entries after the position *after*, in order.
        """

        def steps() -> Steps[list[Any]]:
            rows: list[Any] = yield READ(self.session.dialect, organization=organization.bytes, after=after, most=limit)
            return rows

        rows = await self.session.read(steps)
        return [entry_from(dict(zip(COLUMNS, row, strict=True))) for row in rows]

    async def head(self, organization: OrganizationId) -> Verified:
        """
        Return the position and digest of the last entry.
        """

        def steps() -> Steps[list[Any]]:
            rows: list[Any] = yield HEAD(self.session.dialect, organization=organization.bytes)
            return rows

        rows = await self.session.read(steps)
        return Verified(*rows[0]) if rows else Verified(0, GENESIS)

    async def wait(self, organization: OrganizationId, *, after: int) -> None:
        """
        Return once the log has an entry after the position *after*.
        """
        await self.session.wait(organization, after=after)
