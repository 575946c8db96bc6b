"""
Retention of the token ledger in SQL: the oldest entries are folded into carry-overs.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import ColumnElement, and_, delete, exists, insert, or_, select

from mission_adapters.ids import TimeOrderedIds
from mission_adapters.sql.event_log import lock_head
from mission_adapters.sql.statements import Statement, parameter
from mission_adapters.sql.usage_reads import entries, entry_rows
from mission_core.usage.carry_overs import CARRIER, IMPORTER, carry_overs, span_of
from mission_core.values import micros, moment

if TYPE_CHECKING:
    from mission_adapters.sql.database_session import Steps
    from mission_core.ids import OrganizationId

_reversed: Final = entries.alias("reversed")
_foldable: Final[ColumnElement[bool]] = and_(
    entries.c.reporter != IMPORTER,
    entries.c.recorded_at < parameter("before", int),
    ~exists().where(_reversed.c.id == entries.c.reverses, _reversed.c.reporter == IMPORTER),
)
"""As `is_foldable` says, of entries that are no carry-overs."""
_used: Final[ColumnElement[bool]] = and_(
    entries.c.organization == parameter("organization"),
    entries.c.at >= parameter("begin", int),
    entries.c.at < parameter("end", int),
)
SELECT_FIRST: Final = Statement(
    select(entries.c.at).where(_used, entries.c.reporter != CARRIER, _foldable).order_by(entries.c.at).limit(1)
)
DELETE_FOLDED: Final = Statement(
    delete(entries).where(_used, or_(entries.c.reporter == CARRIER, _foldable)).returning(*entries.c)
)
INSERT_CARRY_OVERS: Final = Statement(insert(entries))
IDS: Final = TimeOrderedIds()


def first_foldable(
    dialect: str, organization: OrganizationId, *, since: datetime | None, before: datetime
) -> Steps[datetime | None]:
    """
    Return the time of the first entry that is to be folded.
    """
    begin, (end, _) = 0 if since is None else micros(since), span_of(before)
    found = yield SELECT_FIRST(dialect, organization=organization.bytes, begin=begin, end=end, before=micros(before))
    return moment(found[0][0]) if found else None


def fold_span(
    dialect: str, organization: OrganizationId, used_at: datetime, *, before: datetime, recorded_at: datetime
) -> Steps[None]:
    """
    Replace the entries of the quarter of an hour that contains *used_at*, recorded before *before*, by carry-overs.
    """
    yield from lock_head(dialect, organization)
    begin, end = span_of(used_at)
    # One statement tells what it deletes, so that no entry that another transaction adds meanwhile is left out.
    folded = yield DELETE_FOLDED(dialect, organization=organization.bytes, begin=begin, end=end, before=micros(before))
    made = carry_overs(map(entry_rows.entity_from, folded), IDS.new, recorded_at=recorded_at)
    if made:
        yield INSERT_CARRY_OVERS.many(dialect, map(entry_rows.row_from, made))
