"""
The event log in SQL: its entries, and the head row of each organization.

The head row holds the position and digest of the last entry. A flush locks it before it appends entries, so positions
have no gaps and follow the order of commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final, NamedTuple

from attrs import field
from sqlalchemy import Executable, cast, insert, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite

from mission_adapters.sql.columns import ID, INTEGER, TEXT
from mission_adapters.sql.conversions import optional_uuid
from mission_adapters.sql.database_session import DatabaseSession, Steps
from mission_adapters.sql.statement_batch import BatchedStatement, ChangeStatement
from mission_adapters.sql.statements import DIALECTS, Statement, cached_statement, parameter
from mission_adapters.sql.tables import events, heads, organizations, reader_cursors
from mission_core.accounts.organizations import OrganizationNotFound
from mission_core.errors import StaleWrite
from mission_core.events.model import GENESIS, Actor, ChainHead, Entry, Event
from mission_core.ids import OrganizationId
from mission_core.lazy_attrs import define, frozen
from mission_core.row_mapping import uuid_of_bytes
from mission_core.usage.counters import PRICE_OVERRIDES_NAME
from mission_core.values import micros, moment

ENTRIES_PER_STATEMENT: Final = 8
"""The number of entries that one statement inserts at most."""
KNOWN_HEADS: Final = 1024
"""The number of organizations whose heads a process keeps at most."""
COLUMNS: Final = tuple(column.name for column in events.c)


def entry_row(entry: Entry) -> tuple[Any, ...]:
    """
    Return the column values of a log entry, in the order of `COLUMNS`.
    """
    actor = entry.actor
    return (
        entry.organization.bytes, entry.position, entry.kind, micros(entry.at),
        actor.kind, None if actor.id is None else actor.id.bytes, actor.name,
        entry.subject.bytes, entry.payload, entry.payload_digest, entry.digest,
    )  # fmt: skip


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


_of_organization: Final = heads.c.organization == parameter("organization")
SELECT_HEAD: Final = Statement(select(heads.c.position, heads.c.digest).where(_of_organization))
SELECT_HEAD_FOR_UPDATE: Final = Statement(
    select(heads.c.position, heads.c.digest, heads.c.has_budgets, heads.c.price_changes)
    .where(_of_organization)
    .with_for_update()
)
HAS_BUDGETS: Final = select(heads.c.has_budgets).where(_of_organization).scalar_subquery()
"""Non-zero if the organization has budgets."""
NONE: Final = literal_column("0", INTEGER)
_first_head: Final = select(organizations.c.id, literal_column("0"), cast(parameter("genesis"), ID), NONE, NONE).where(
    organizations.c.id == parameter("organization")
)
INSERT_HEAD: Final = {
    dialect: Statement(
        (postgresql if dialect == "postgresql" else sqlite)
        .insert(heads)
        .from_select(["organization", "position", "digest", "has_budgets", "price_changes"], _first_head)
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

_of_reader: Final = (
    reader_cursors.c.organization == parameter("organization"),
    reader_cursors.c.reader == parameter("reader", str),
)
SELECT_CURSOR: Final = Statement(select(reader_cursors.c.position).where(*_of_reader))


@cached_statement
def _advance_cursor(dialect: str) -> Executable:
    insert = (postgresql if dialect == "postgresql" else sqlite).insert(reader_cursors)
    owned: Any = select(heads.c.organization, cast(parameter("reader", str), TEXT), cast(parameter("to", int), INTEGER))
    made: Any = insert.from_select([column.name for column in reader_cursors.c], owned.where(_of_organization))
    advanced: Executable = made.on_conflict_do_update(
        index_elements=[reader_cursors.c.organization, reader_cursors.c.reader],
        set_={"position": insert.excluded.position},
        where=reader_cursors.c.position < insert.excluded.position,
    )
    return advanced


class LockedHead(NamedTuple):
    """
    The head row of an organization: the position and digest of the last entry, whether the organization has budgets,
    and the number of changes of its price overrides.
    """

    position: int
    digest: bytes
    has_budgets: bool
    price_changes: int

    def moved(self, entries: Sequence[Entry], marks: HeadMarks) -> LockedHead:
        """
        Return the head after these entries.
        """
        return LockedHead(
            entries[-1].position, entries[-1].digest,
            self.has_budgets if marks.budgets_after is None else marks.budgets_after,
            self.price_changes + marks.changes_prices,
        )  # fmt: skip


def lock_head(dialect: str, organization: OrganizationId) -> Steps[LockedHead]:
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
    position, digest, has_budgets, price_changes = found[0]
    return LockedHead(position, digest, bool(has_budgets), price_changes)


class HeadMarks(NamedTuple):
    """
    The conditions that a flush puts on the marks of budgets and price overrides in a head row, and its changes to them.

    Args:
        without_budgets: Whether the flush is right only if the organization has no budgets.
        budgets_after: The mark of budgets that the flush writes; None leaves it as it is.
        price_changes: The number of changes of price overrides with which alone the flush is right; None for any.
        changes_prices: Whether the flush changes price overrides.
    """

    without_budgets: bool = False
    budgets_after: bool | None = None
    price_changes: int | None = None
    changes_prices: bool = False

    def check(self, organization: OrganizationId, head: LockedHead) -> None:
        """
        Check that the flush took the marks as they are in the locked head row.

        Raises:
            StaleWrite: If it did not.
        """
        if self.without_budgets and head.has_budgets:
            raise StaleWrite("organization", organization, remembered=True)
        if self.price_changes is not None and self.price_changes != head.price_changes:
            raise StaleWrite(PRICE_OVERRIDES_NAME, organization, remembered=True)


@define
class KnownHeads:
    """
    The heads that this process wrote last, by organization, so that a flush on SQLite need not read the head row.

    A head may be outdated, because another process wrote, or may never have been committed. The update of the row
    compares the digest, which stands for the whole log, so a wrong head costs two statements and nothing else.
    """

    heads: dict[OrganizationId, LockedHead] = field(factory=dict)

    def get(self, organization: OrganizationId) -> LockedHead | None:
        """
        Return the head of the organization's log as this process knows it.
        """
        return self.heads.get(organization)

    def put(self, organization: OrganizationId, head: LockedHead) -> None:
        """
        Keep a head. Of very many, the one that was kept first is forgotten.
        """
        if organization not in self.heads and len(self.heads) >= KNOWN_HEADS:
            del self.heads[next(iter(self.heads))]
        self.heads[organization] = head


def chained(organization: OrganizationId, actor: Actor, facts: Iterable[Event], head: LockedHead) -> list[Entry]:
    """
    Return the entries that store the events after *head*.
    """
    position, digest = head.position, head.digest
    entries: list[Entry] = []
    for fact in facts:
        position += 1
        entries.append(Entry.of(fact, organization=organization, actor=actor, position=position, previous=digest))
        digest = entries[-1].digest
    return entries


def move_head(
    dialect: str,
    organization: OrganizationId,
    actor: Actor,
    facts: Sequence[Event],
    heads: KnownHeads,
    marks: HeadMarks,
) -> Steps[list[Entry]]:
    """
    Move the head row to the last of the entries that store the events, and return these entries. This is for SQLite,
    where no other flush runs at the same time.

    Raises:
        OrganizationNotFound: If the organization was deleted.
        StaleWrite: If the flush took the marks of the head row otherwise than they are.
    """
    known = heads.get(organization)
    head = known or (yield from lock_head(dialect, organization))
    while True:
        entries = chained(organization, actor, facts, head)
        moved = head.moved(entries, marks)
        if (yield UPDATE_HEAD.count(dialect, **_head_parameters(organization, head, moved))):
            heads.put(organization, moved)
            return entries
        head = yield from lock_head(dialect, organization)
        heads.put(organization, head)
        marks.check(organization, head)


def append_statements(entries: Sequence[Entry], head: LockedHead, marks: HeadMarks) -> list[BatchedStatement]:
    """
    Return the statements that insert the entries after *head* and move the locked head row.
    """
    if not entries:
        return []
    given = _head_parameters(entries[-1].organization, head, head.moved(entries, marks))
    return [*insert_statements(entries), BatchedStatement(_update_head, (), given)]


def insert_statements(entries: Sequence[Entry]) -> list[BatchedStatement]:
    """
    Return the statements that insert the entries.
    """
    made = []
    for start in range(0, len(entries), ENTRIES_PER_STATEMENT):
        some = entries[start : start + ENTRIES_PER_STATEMENT]
        given = dict(zip(_parameter_names(start, len(some)), chain.from_iterable(map(entry_row, some)), strict=True))
        made.append(BatchedStatement(_insert_entries, (start, len(some)), given))
    return made


@cache
def _parameter_names(start: int, count: int) -> list[str]:
    return [f"{name}{at}" for at in range(start, start + count) for name in COLUMNS]


def _insert_entries(start: int, count: int) -> ChangeStatement:
    columns = [(column.name, column.type.python_type) for column in events.c]
    places = range(start, start + count)
    return insert(events).values([{name: parameter(f"{name}{at}", type) for name, type in columns} for at in places])


def _head_parameters(organization: OrganizationId, head: LockedHead, moved: LockedHead) -> dict[str, Any]:
    return {
        "key": organization.bytes,
        "was_position": head.position,
        "was_digest": head.digest,
        **moved._asdict(),
        "has_budgets": int(moved.has_budgets),
    }


def _update_head() -> ChangeStatement:
    return (
        update(heads)
        .where(
            heads.c.organization == parameter("key"),
            heads.c.position == parameter("was_position", int),
            heads.c.digest == parameter("was_digest"),
        )
        .values(
            position=parameter("position", int),
            digest=parameter("digest"),
            has_budgets=parameter("has_budgets", int),
            price_changes=parameter("price_changes", int),
        )
    )


UPDATE_HEAD: Final = Statement(_update_head())


@frozen(eq=False, repr=False)
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

    async def cursor(self, organization: OrganizationId, reader: str) -> int | None:
        """
        Return the position up to which the reader has handled the log, or None.
        """

        def steps() -> Steps[list[Any]]:
            rows: list[Any] = yield SELECT_CURSOR(self.session.dialect, organization=organization.bytes, reader=reader)
            return rows

        rows = await self.session.read(steps)
        return rows[0][0] if rows else None

    async def advance(self, organization: OrganizationId, reader: str, position: int) -> None:
        """
        Keep the reader's cursor at this position, unless it is further already.
        """
        dialect = self.session.dialect

        def steps() -> Steps[None]:
            yield _advance_cursor(dialect).count(dialect, organization=organization.bytes, reader=reader, to=position)

        await self.session.write(steps)
