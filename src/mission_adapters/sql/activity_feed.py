"""
The activity feed in SQL: a walk back over the log, which ends when the page is full.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Executable, Select, exists, func, not_, or_, select

from mission_adapters.sql.board_visibility import board_filter_for, on_boards
from mission_adapters.sql.database_session import DatabaseSession, Steps
from mission_adapters.sql.event_log import SELECT_HEAD
from mission_adapters.sql.statements import Statement, TextArray, cached_statement, in_array, parameter
from mission_adapters.sql.tables import agents, audited, by_agents, events, tasks
from mission_core.lazy_attrs import frozen
from mission_core.reports.activity_feed import KINDS_FOR_ADMINS, FeedCount, FeedFilter, FeedRow, feed_scope_of
from mission_core.reports.hourly_counters import HOUR
from mission_core.values import PageOfRows, PageRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mission_core.accounts.model import Principal

Shape = tuple[frozenset[str], bool, tuple[str, ...]]
"""The parameters of the text of a statement: the filters that are set, whether entries for admins are seen, and the
filters of boards."""
ALL_ENTRIES: Final[Shape] = (frozenset(), True, ())
SUBJECTS: Final = (
    tasks.c.number, tasks.c.title, tasks.c.status, tasks.c.board,
    agents.c.number, agents.c.name, agents.c.role, agents.c.board,
)  # fmt: skip
ENTRIES: Final = tuple(
    events.c[name]
    for name in ("position", "kind", "at", "actor_kind", "actor_id", "actor_name", "subject", "payload", "digest")
)
FIRST_POSITION: Final = Statement(
    select(func.min(events.c.position)).where(events.c.organization == parameter("organization"))
)


def _visible(board_filters: Iterable[str]) -> ColumnElement[bool]:
    """
    Return the condition for entries about tasks and agents on some boards, or about the boards.
    """
    about = (tasks, agents)
    rows = (exists().where(each.c.id == events.c.subject, *on_boards(each.c.board, board_filters)) for each in about)
    return or_(*rows, *on_boards(events.c.subject, board_filters))


def _conditions(given: frozenset[str], for_admins: bool, board_filters: tuple[str, ...]) -> list[ColumnElement[bool]]:
    found = [events.c.organization == parameter("organization")]
    if "own" in given:
        found += [by_agents, events.c.actor_id == parameter("own")]
    elif not for_admins:
        found += [not_(func.substr(events.c.kind, 1, len(each)) == each) for each in KINDS_FOR_ADMINS]
    if board_filters:
        found.append(_visible(board_filters))
    if "by" in given:
        found += [by_agents, events.c.actor_id == parameter("by")]
    if "kinds" in given:
        found.append(in_array(events.c.kind, "kinds", TextArray()))
    if "actor" in given:
        found.append(events.c.actor_name == parameter("actor", str))
    if "board" in given:
        found.append(exists().where(tasks.c.id == events.c.subject, tasks.c.board == parameter("board")))
    if "beyond" in given:
        found.append(events.c.position > parameter("beyond", int))
    if "through" in given:
        found.append(events.c.position <= parameter("through", int))
    if "audited" in given:
        found.append(audited)
    return found


@cached_statement
def _select_page(given: frozenset[str], for_admins: bool, board_filters: tuple[str, ...], goes_on: bool) -> Executable:
    some: Select[Any] = select(*ENTRIES).where(*_conditions(given, for_admins, board_filters))
    if goes_on:
        some = some.where(events.c.position < parameter("last", int))
    some = some.order_by(events.c.position.desc()).limit(parameter("most", int)).offset(parameter("skipped", int))
    page = some.subquery("page")
    joined = page.outerjoin(tasks, tasks.c.id == page.c.subject).outerjoin(agents, agents.c.id == page.c.subject)
    return select(*page.c, *SUBJECTS).select_from(joined).order_by(page.c.position.desc())


@cached_statement
def _count(given: frozenset[str], for_admins: bool, board_filters: tuple[str, ...]) -> Executable:
    return select(func.count()).select_from(events).where(*_conditions(given, for_admins, board_filters))


@cached_statement
def _count_by_hour(given: frozenset[str], for_admins: bool, board_filters: tuple[str, ...]) -> Executable:
    some = select(events.c.kind, events.c.actor_name, (events.c.at // HOUR).label("hour"))
    found = some.where(*_conditions(given, for_admins, board_filters)).subquery("entry")
    keys = (found.c.kind, found.c.actor_name, found.c.hour)
    return select(*keys, func.count()).group_by(*keys)


@frozen(eq=False, repr=False)
class SqlActivityFeedReads:
    """
    Reads the activity feed.
    """

    session: DatabaseSession

    async def page(self, principal: Principal, wanted: FeedFilter, page: PageRequest) -> PageOfRows:
        """
        A page of the entries, newest first.
        """
        dialect = self.session.dialect
        shape, given = _question(principal, wanted)

        def steps() -> Steps[PageOfRows]:
            goes_on = {} if page.after is None else {"last": page.after}
            statement = _select_page(*shape, bool(goes_on))
            rows = yield statement(dialect, **given, **goes_on, most=page.limit, skipped=page.offset)
            found = [FeedRow._make(row) for row in rows]
            if shape == ALL_ENTRIES:  # positions have no gaps
                last = yield SELECT_HEAD(dialect, organization=given["organization"])
                ((first,),) = yield FIRST_POSITION(dialect, organization=given["organization"])
                return PageOfRows(found, last[0][0] + 1 - first if last and first else 0)
            ((total,),) = yield _count(*shape)(dialect, **given)
            return PageOfRows(found, total)

        return await self.session.read(steps)

    async def entries(self, principal: Principal, wanted: FeedFilter, *, limit: int) -> list[FeedRow]:
        """
        The newest of the entries.
        """
        shape, given = _question(principal, wanted)

        def steps() -> Steps[list[FeedRow]]:
            statement = _select_page(*shape, False)
            rows = yield statement(self.session.dialect, **given, most=limit, skipped=0)
            return [FeedRow._make(row) for row in rows]

        return await self.session.read(steps)

    async def counts(self, principal: Principal, wanted: FeedFilter) -> list[FeedCount]:
        """
        The numbers of the entries by kind, actor and hour.
        """
        shape, given = _question(principal, wanted)

        def steps() -> Steps[list[FeedCount]]:
            rows = yield _count_by_hour(*shape)(self.session.dialect, **given)
            return [FeedCount._make(row) for row in rows]

        return await self.session.read(steps)


def _question(principal: Principal, wanted: FeedFilter) -> tuple[Shape, dict[str, Any]]:
    """
    Return the shape of the statement that answers, and the values of its parameters.
    """
    scope = feed_scope_of(principal)
    filters = board_filter_for(scope.boards)
    values = {
        "own": None if scope.own is None else scope.own.bytes,
        "by": None if wanted.by is None else wanted.by.bytes,
        "kinds": wanted.kinds,
        "actor": wanted.actor,
        "beyond": wanted.beyond,
        "board": None if wanted.board is None else wanted.board.bytes,
        "through": wanted.through,
    }
    values = {name: value for name, value in values.items() if value is not None}
    given = frozenset(values) | ({"audited"} if wanted.audited else set())
    shape = (given, scope.for_admins, tuple(filters))
    return shape, {"organization": principal.organization.bytes, **values, **filters}
