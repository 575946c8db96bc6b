"""
The read models of agent activity in SQL: log entries, hourly counts, tasks and comments of one agent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen
from sqlalchemy import ColumnElement, Executable, Select, and_, case, cast, exists, func, or_, select, union_all

from mission_adapters.sql.columns import INTEGER
from mission_adapters.sql.grants import border_of, border_of_boards, within
from mission_adapters.sql.plain import SHELVES, inside
from mission_adapters.sql.session import Session, Steps
from mission_adapters.sql.statements import Statement, Texts, among, shaped, value
from mission_adapters.sql.tables import about_agents, agents, by_agents, done, events, tasks, workloads
from mission_core.reports.conduct import (
    IF_REGISTERED,
    IN_ITS_NAME,
    REGISTERED,
    Amount,
    Deed,
    DoneTask,
    Said,
    Work,
    deeds_seen,
)
from mission_core.reports.pulse import HOUR
from mission_core.reports.queries import Standing
from mission_core.tasks.comments import COMMENTS, Comment
from mission_core.tasks.model import Status
from mission_core.values import micros, name_key

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.accounts.model import Principal
    from mission_core.ids import AgentId

Given = dict[str, Any]
_own: Final = value("organization")
_agent: Final = value("agent")
_since: Final = events.c.at >= value("since", int)
_by: Final = (events.c.organization == _own, by_agents, events.c.actor_id == _agent, _since)
_about: Final = (events.c.organization == _own, about_agents, events.c.subject == _agent, _since)
_by_others: Final = or_(events.c.actor_id.is_(None), events.c.actor_id != _agent)
_in_its_name: Final = or_(
    events.c.kind.in_(IN_ITS_NAME),
    and_(events.c.kind == IF_REGISTERED, events.c.payload.contains(REGISTERED, autoescape=True)),
)
ENTRY: Final = tuple(events.c[name] for name in ("position", "kind", "at", "subject", "payload"))


def _entries(board_filters: Iterable[str], *columns: Any) -> tuple[Select[Any], Select[Any]]:
    """
    Select the log entries by the agent, and those about it by others, that pass the board filters.
    """
    seen = _within(board_filters)
    return select(*columns).where(*_by, *seen), select(*columns).where(*_about, _by_others, *seen)


def _within(board_filters: Iterable[str]) -> Iterable[ColumnElement[bool]]:
    """
    Return conditions that limit entries to subjects on these boards: a task, an agent, or the board itself.
    """
    if not board_filters:
        return []
    about = (tasks, agents)
    rows = (exists().where(each.c.id == events.c.subject, *within(each.c.board, board_filters)) for each in about)
    return [or_(*rows, *within(events.c.subject, board_filters))]


@shaped
def _last(about_agent: bool, kinds: bool, *board_filters: str) -> Executable:
    own, others = _entries(board_filters, *ENTRY)
    if about_agent:
        # Not a range of kinds: the planner would take it for the condition of the index of entries about agents.
        own = own.where(func.substr(events.c.kind, 1, 6) == "agent.")
    else:
        others = others.where(_in_its_name)
    ends = []
    for nth, part in enumerate((own, others)):
        part = part.where(among(events.c.kind, "kinds", Texts())) if kinds else part
        part = part.order_by(events.c.at.desc(), events.c.position.desc()).limit(value("most", int))
        ends.append(select(part.subquery(f"end{nth}")))
    found = union_all(*ends).subquery("entry")
    latest = (found.c.at.desc(), found.c.position.desc())
    last = select(found).order_by(*latest).limit(value("most", int)).subquery("last")
    task = _of(tasks, tasks.c.number, last.c.subject)
    agent = _of(agents, agents.c.number, last.c.subject)
    title = _of(tasks, tasks.c.title, last.c.subject)
    shown = (last.c.position, last.c.kind, last.c.at, func.coalesce(task, agent), title, last.c.payload)
    return select(*shown).order_by(last.c.at.desc(), last.c.position.desc())


def _of(table: Any, column: ColumnElement[Any], subject: ColumnElement[Any]) -> Any:
    return select(column).where(table.c.id == subject).scalar_subquery()


@shaped
def _amounts(*board_filters: str) -> Executable:
    own, others = _entries(board_filters, events.c.at, events.c.kind)
    found = union_all(own, others.where(_in_its_name)).subquery("entry")
    late = case((found.c.at >= value("split", int), 1), else_=0).label("late")
    hour: Any = (found.c.at // HOUR).label("hour")
    return select(late, hour, found.c.kind, func.count()).group_by(late, hour, found.c.kind)


@shaped
def _standing(*board_filters: str) -> Executable:
    cell = (workloads.c.status, workloads.c.priority)
    amount = cast(func.sum(workloads.c.amount), INTEGER)
    of_name = (workloads.c.organization == _own, workloads.c.assignee_key == value("name", str))
    found = select(*cell, amount).where(*of_name, *within(workloads.c.board, board_filters))
    return found.group_by(*cell).having(func.sum(workloads.c.amount) > 0)


def _done(board_filters: Iterable[str], *columns: Any) -> Select[Any]:
    return select(*columns).where(
        *within(tasks.c.board, board_filters),
        tasks.c.organization == _own,
        tasks.c.assignee_key == value("name", str),
        done,
        tasks.c.done_at >= value("since", int),
        tasks.c.status == Status.DONE.value,
    )


@shaped
def _completed(*board_filters: str) -> Executable:
    after = func.coalesce(func.sum(case((tasks.c.done_at >= value("split", int), 1), else_=0)), 0)
    return _done(board_filters, func.count(), cast(after, INTEGER))


@shaped
def _latest(*board_filters: str) -> Executable:
    found = _done(board_filters, tasks.c.number, tasks.c.title, tasks.c.priority, tasks.c.updated_at)
    return found.order_by(tasks.c.done_at.desc()).limit(value("most", int))


_comments: Final = SHELVES[COMMENTS].table
_of_author: Final = (_comments.c.organization == _own, _comments.c.author_id == _agent)


@shaped
def _said(*board_filters: str) -> Executable:
    shown = (
        _comments.c.number, tasks.c.number, tasks.c.title, _comments.c.content, _comments.c.mentions,
        _comments.c.created_at,
    )  # fmt: skip
    found = select(*shown).join(tasks, tasks.c.id == _comments.c.task)
    found = found.where(
        *_of_author, _comments.c.created_at >= value("since", int), *within(tasks.c.board, board_filters)
    )
    return found.order_by(_comments.c.number.desc()).limit(value("most", int))


@shaped
def _ever_said(*board_filters: str) -> Executable:
    found = select(func.count()).select_from(_comments).where(*_of_author)
    return found.where(*inside(_comments, Comment, board_filters))


@frozen
class SqlConductReads:
    """
    Reads the activity of an agent as far as a principal may see it.
    """

    session: Session

    async def deeds(
        self,
        principal: Principal,
        agent: AgentId,
        *,
        since: datetime,
        kinds: tuple[str, ...] | None = None,
        limit: int,
    ) -> list[Deed]:
        """
        Return the agent's latest log entries, newest first.
        """
        board_filters = border_of_boards(deeds_seen(principal, agent))
        given: Given = board_filters if kinds is None else board_filters | {"kinds": kinds}
        statement = _last(False, kinds is not None, *board_filters)
        rows = await self._rows(statement, principal, agent=agent.bytes, since=micros(since), most=limit, **given)
        return [Deed._make(row) for row in rows]

    async def told(self, principal: Principal, agent: AgentId, *, since: datetime, limit: int) -> list[Deed]:
        """
        Return the latest entries about the agent and the agent's entries about other agents, newest first.
        """
        given, asked = border_of_boards(deeds_seen(principal, agent)), {"since": micros(since), "most": limit}
        rows = await self._rows(_last(True, False, *given), principal, agent=agent.bytes, **asked, **given)
        return [Deed._make(row) for row in rows]

    async def amounts(self, principal: Principal, agent: AgentId, *, since: datetime, split: datetime) -> list[Amount]:
        """
        Count the agent's log entries by kind and hour.
        """
        given, asked = border_of_boards(deeds_seen(principal, agent)), {"since": micros(since), "split": micros(split)}
        rows = await self._rows(_amounts(*given), principal, agent=agent.bytes, **asked, **given)
        return [Amount(bool(late), *rest) for late, *rest in rows]

    async def work(self, principal: Principal, name: str, *, since: datetime, split: datetime, latest: int) -> Work:
        """
        Return the task counts of an assignee by status and priority, and the tasks done since *since*.
        """
        dialect, board_filters = self.session.dialect, border_of(principal)
        given: Given = {"organization": principal.organization.bytes, "name": name_key(name), **board_filters}

        def steps() -> Steps[Work]:
            standing = yield _standing(*board_filters)(dialect, **given)
            since_then, split_at = micros(since), micros(split)
            ((both, after),) = yield _completed(*board_filters)(dialect, **given, since=since_then, split=split_at)
            last = yield _latest(*board_filters)(dialect, **given, since=split_at, most=latest)
            cells = [Standing._make(row) for row in standing]
            return Work(cells, both - after, after, [DoneTask._make(row) for row in last])

        return await self.session.read(steps)

    async def said(
        self, principal: Principal, agent: AgentId, *, since: datetime, limit: int
    ) -> tuple[list[Said], int]:
        """
        Return the agent's latest comments, and the number of all its comments.
        """
        dialect, board_filters = self.session.dialect, border_of_boards(deeds_seen(principal, agent))
        given = {"organization": principal.organization.bytes, "agent": agent.bytes, **board_filters}

        def steps() -> Steps[tuple[list[Said], int]]:
            rows = yield _said(*board_filters)(dialect, **given, since=micros(since), most=limit)
            ((ever,),) = yield _ever_said(*board_filters)(dialect, **given)
            return [Said._make(row) for row in rows], ever

        return await self.session.read(steps)

    async def _rows(self, statement: Statement, principal: Principal, **given: Any) -> list[Any]:
        dialect, own = self.session.dialect, principal.organization.bytes

        def steps() -> Steps[list[Any]]:
            rows: list[Any] = yield statement(dialect, organization=own, **given)
            return rows

        return await self.session.read(steps)
