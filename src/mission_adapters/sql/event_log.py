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
from mission_adapters.sql.conversions import ColumnValues, optional_bytes, optional_uuid
from mission_adapters.sql.database_session import DatabaseSession, Steps
from mission_adapters.sql.statement_batch import BatchedStatement, ChangeStatement
from mission_adapters.sql.statements import DIALECTS, Statement, parameter
from mission_adapters.sql.tables import events, heads, organizations
from mission_core.accounts.organizations import OrganizationNotFound
from mission_core.events.model import GENESIS, Actor, ChainHead, Entry, Event
from mission_core.ids import OrganizationId
from mission_core.row_mapping import uuid_of_bytes
from mission_core.values import micros, moment

ENTRIES_PER_STATEMENT: Final = 8
"""The number of entries that one statement inserts at most."""
COLUMNS: Final = tuple(column.name for column in events.c)


def entry_row(entry: Entry) -> ColumnValues:
    """
    Return the column values of a log entry.
    """
    return {
        "organization": entry.organization.bytes,
        "position": entry.position,
        "kind": entry.kind,
        "at": micros(entry.at),
        "actor_kind": entry.actor.kind,
        "actor_id": optional_bytes(entry.actor.id),
        "actor_name": entry.actor.name,
        "subject": entry.subject.bytes,
        "payload": entry.payload,
        "payload_digest": entry.payload_digest,
        "digest": entry.digest,
    }


def entry_of_row(row: Mapping[str, Any]) -> Entry:
    """
    Return the log entry that a row holds.
    """
    return Entry(
        organization=uuid_of_bytes(row["organization"]),
        position=row["position"],
        kind=row["kind"],
        at=moment(row["at"]),
        actor=Actor(row["actor_kind"], optional_uuid(row["actor_id"]), row["actor_name"]),
        subject=uuid_of_bytes(row["subject"]),
        payload=row["payload"],
        payload_digest=row["payload_digest"],
        digest=row["digest"],
    )


_head: Final = select(heads.c.position, heads.c.digest).where(heads.c.organization == parameter("organization"))
SELECT_HEAD: Final = Statement(_head)
SELECT_HEAD_FOR_UPDATE: Final = Statement(_head.with_for_update())
_first_head: Final = select(organizations.c.id, literal_column("0"), cast(parameter("genesis"), ID)).where(
    organizations.c.id == parameter("organization")
)
INSERT_HEAD: Final = {
    dialect: Statement(
        (postgresql if dialect == "postgresql" else sqlite)
        .insert(heads)
        .from_select(["organization", "position", "digest"], _first_head)
        .on_conflict_do_nothing()
    )
    for dialect in DIALECTS
}
SELECT_ENTRIES: Final = Statement(
    select(*events.c)
    .where(events.c.organization == parameter("organization"), events.c.position > parameter("after", int))
    .order_by(events.c.position)
    .limit(parameter("most", int))
)


def lock_head(dialect: str, organization: OrganizationId) -> Steps[ChainHead]:
    """
    Lock the organization's head row until the end of the flush. Create it if the log is empty.

    Raises:
        OrganizationNotFound: If the organization was deleted.
    """
    found = yield SELECT_HEAD_FOR_UPDATE(dialect, organization=organization.bytes)
    if not found:
        yield INSERT_HEAD[dialect].count(dialect, organization=organization.bytes, genesis=GENESIS)
        found = yield SELECT_HEAD_FOR_UPDATE(dialect, organization=organization.bytes)
    if not found:
        raise OrganizationNotFound
    position, digest = found[0]
    return ChainHead(position, digest)


def append_statements(
    organization: OrganizationId, actor: Actor, facts: Sequence[Event], head: ChainHead
) -> Iterable[BatchedStatement]:
    """
    Return the statements that append events at the next positions and update the head row.
    """
    position, digest = head.position, head.digest
    rows: list[ColumnValues] = []
    for fact in facts:
        position += 1
        entry = Entry.of(fact, organization=organization, actor=actor, position=position, previous=digest)
        digest = entry.digest
        rows.append(entry_row(entry))
    for start in range(0, len(rows), ENTRIES_PER_STATEMENT):
        some = rows[start : start + ENTRIES_PER_STATEMENT]
        given = {f"{name}{at}": each for at, row in enumerate(some, start) for name, each in row.items()}
        yield BatchedStatement(_insert_entries, (start, len(some)), given)
    if rows:
        yield BatchedStatement(_update_head, (), {"key": organization.bytes, "position": position, "digest": digest})


def _insert_entries(start: int, count: int) -> ChangeStatement:
    columns = [(column.name, column.type.python_type) for column in events.c]
    places = range(start, start + count)
    return insert(events).values([{name: parameter(f"{name}{at}", type) for name, type in columns} for at in places])


def _update_head() -> ChangeStatement:
    moved = {"position": parameter("position", int), "digest": parameter("digest")}
    return update(heads).where(heads.c.organization == parameter("key")).values(moved)


@frozen
class SqlEventLog:
    """
    Reads the event log of any organization.
    """

    session: DatabaseSession

    async def read(self, organization: OrganizationId, *, after: int = 0, limit: int = 500) -> list[Entry]:
        """
        Return up to *limit* entries after the position *after*, in order.
        """

        def steps() -> Steps[list[Any]]:
            rows: list[Any] = yield SELECT_ENTRIES(
                self.session.dialect, organization=organization.bytes, after=after, most=limit
            )
            return rows

        rows = await self.session.read(steps)
        return [entry_of_row(dict(zip(COLUMNS, row, strict=True))) for row in rows]

    async def head(self, organization: OrganizationId) -> ChainHead:
        """
        Return the position and digest of the last entry.
        """

        def steps() -> Steps[list[Any]]:
            rows: list[Any] = yield SELECT_HEAD(self.session.dialect, organization=organization.bytes)
            return rows

        rows = await self.session.read(steps)
        return ChainHead(*rows[0]) if rows else ChainHead(0, GENESIS)

    async def wait(self, organization: OrganizationId, *, after: int) -> None:
        """
        Return once the log has an entry after the position *after*.
        """
        await self.session.wait(organization, after=after)
