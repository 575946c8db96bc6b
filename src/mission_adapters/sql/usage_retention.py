"""
Retention of the token ledger in SQL: the oldest entries are folded into carry-overs.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import ColumnElement, and_, cast, delete, func, insert, select

from mission_adapters.ids import TimeOrderedIds
from mission_adapters.sql.columns import INTEGER
from mission_adapters.sql.event_log import lock_head
from mission_adapters.sql.statements import Statement, parameter
from mission_adapters.sql.usage_reads import entries, entry_rows
from mission_core.usage.carry_overs import ADDED, CARRIER, IMPORTER, SHARED, new_carry_over, span_of
from mission_core.values import micros, moment

if TYPE_CHECKING:
    from mission_adapters.sql.database_session import Steps
    from mission_core.ids import OrganizationId

_used: Final[ColumnElement[bool]] = and_(
    entries.c.organization == parameter("organization"),
    entries.c.at >= parameter("begin", int),
    entries.c.at < parameter("end", int),
    entries.c.reporter != IMPORTER,
)
SELECT_FIRST: Final = Statement(
    select(entries.c.at).where(_used, entries.c.reporter != CARRIER).order_by(entries.c.at).limit(1)
)
SELECT_CELLS: Final = Statement(
    select(
        func.max(entries.c.at),
        *(entries.c[name] for name in SHARED),
        *(cast(func.sum(entries.c[name]), INTEGER) for name in ADDED),
    )
    .where(_used)
    .group_by(*(entries.c[name] for name in SHARED))
)
DELETE_FOLDED: Final = Statement(delete(entries).where(_used))
INSERT_CARRY_OVERS: Final = Statement(insert(entries))
IDS: Final = TimeOrderedIds()


def first_foldable(
    dialect: str, organization: OrganizationId, *, since: datetime | None, before: datetime
) -> Steps[datetime | None]:
    """
    Return the time of the first entry that is to be folded.
    """
    begin, (end, _) = 0 if since is None else micros(since), span_of(before)
    found = yield SELECT_FIRST(dialect, organization=organization.bytes, begin=begin, end=end)
    return moment(found[0][0]) if found else None


def fold_span(dialect: str, organization: OrganizationId, used_at: datetime, *, recorded_at: datetime) -> Steps[None]:
    """
    Replace the entries of the quarter of an hour that contains *used_at* by carry-overs.

    The head row is locked as in each flush, so that no entry comes between what is summed and what is deleted.
    """
    yield from lock_head(dialect, organization)
    begin, end = span_of(used_at)
    within = {"organization": organization.bytes, "begin": begin, "end": end}
    cells = yield SELECT_CELLS(dialect, **within)
    yield DELETE_FOLDED.count(dialect, **within)
    made = []
    for latest, *values in cells:
        if any(values[len(SHARED) :]):  # entries that add up to nothing leave no carry-over
            empty = new_carry_over(IDS.new(), organization, at=moment(latest), recorded_at=recorded_at)
            made.append(entry_rows.row_from(empty) | dict(zip((*SHARED, *ADDED), values, strict=True)))
    if made:
        yield INSERT_CARRY_OVERS.many(dialect, made)
