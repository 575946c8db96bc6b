"""
The read models of agent activity in SQL: log entries, hourly counts, tasks and comments of one agent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Executable, Select, and_, case, cast, exists, func, or_, select, union_all

from mission_adapters.sql.board_visibility import board_filter_for, board_filter_of, on_boards
from mission_adapters.sql.columns import INTEGER
from mission_adapters.sql.counters import totals
from mission_adapters.sql.database_session import DatabaseSession, Steps
from mission_adapters.sql.kind_tables import MAPPINGS, within_boards
from mission_adapters.sql.statements import Statement, TextArray, cached_statement, in_array, parameter
from mission_adapters.sql.tables import about_agents, agents, by_agents, done, events, tasks, workloads
from mission_core.lazy_attrs import frozen
from mission_core.reports.agent_activity import (
    AGENT_CREATED_KIND,
    OWN_EVENT_KINDS,
    REGISTERED_PAYLOAD,
    ActivityEntry,
    AgentComment,
    AgentDoneTask,
    AgentTasks,
    HourlyEventCount,
    boards_of_visible_activity,
)
from mission_core.reports.hourly_counters import HOUR
from mission_core.reports.queries import StatusCount
from mission_core.tasks.comments import COMMENTS, Comment
from mission_core.tasks.model import Status
from mission_core.values import micros, name_key

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.accounts.model import Principal
    from mission_core.ids import AgentId

Parameters = dict[str, Any]
_organization: Final = parameter("organization")
_agent: Final = parameter("agent")
_since: Final = events.c.at >= parameter("since", int)
_by_agent: Final = (events.c.organization == _organization, by_agents, events.c.actor_id == _agent, _since)
_about_agent: Final = (events.c.organization == _organization, about_agents, events.c.subject == _agent, _since)
_by_others: Final = or_(events.c.actor_id.is_(None), events.c.actor_id != _agent)
_counts_as_own: Final = or_(
    events.c.kind.in_(OWN_EVENT_KINDS),
    and_(events.c.kind == AGENT_CREATED_KIND, events.c.payload.contains(REGISTERED_PAYLOAD, autoescape=True)),
)
ENTRY_COLUMNS: Final = tuple(events.c[name] for name in ("position", "kind", "at", "subject", "payload"))


def _entries_of_agent(board_filters: Iterable[str], *columns: Any) -> tuple[Select[Any], Select[Any]]:
    """
    Select the log entries by the agent, and those about it by others, that pass the board filters.
    """
    seen = _visible_subjects(board_filters)
    return select(*columns).where(*_by_agent, *seen), select(*columns).where(*_about_agent, _by_others, *seen)


def _visible_subjects(board_filters: Iterable[str]) -> Iterable[ColumnElement[bool]]:
    """
    Return conditions that limit entries to subjects on these boards: a task, an agent, or the board itself.
    """
    if not board_filters:
        return []
    about = (tasks, agents)
    rows = (exists().where(each.c.id == events.c.subject, *on_boards(each.c.board, board_filters)) for each in about)
    return [or_(*rows, *on_boards(events.c.subject, board_filters))]


@cached_statement
def _select_last_entries(about_agent: bool, kinds: bool, *board_filters: str) -> Executable:
    own, others = _entries_of_agent(board_filters, *ENTRY_COLUMNS)
    if about_agent:
        # Not a range of kinds: the planner would take it for the condition of the index of entries about agents.
        own = own.where(func.substr(events.c.kind, 1, 6) == "agent.")
    else:
        others = others.where(_counts_as_own)
    ends = []
    for nth, part in enumerate((own, others)):
        part = part.where(in_array(events.c.kind, "kinds", TextArray())) if kinds else part
        part = part.order_by(events.c.at.desc(), events.c.position.desc()).limit(parameter("most", int))
        ends.append(select(part.subquery(f"end{nth}")))
    found = union_all(*ends).subquery("entry")
    latest = (found.c.at.desc(), found.c.position.desc())
    last = select(found).order_by(*latest).limit(parameter("most", int)).subquery("last")
    task = _column_of_subject(tasks, tasks.c.number, last.c.subject)
    agent = _column_of_subject(agents, agents.c.number, last.c.subject)
    title = _column_of_subject(tasks, tasks.c.title, last.c.subject)
    shown = (last.c.position, last.c.kind, last.c.at, func.coalesce(task, agent), title, last.c.payload)
    return select(*shown).order_by(last.c.at.desc(), last.c.position.desc())


def _column_of_subject(table: Any, column: ColumnElement[Any], subject: ColumnElement[Any]) -> Any:
    return select(column).where(table.c.id == subject).scalar_subquery()


@cached_statement
def _select_hourly_counts(*board_filters: str) -> Executable:
    own, others = _entries_of_agent(board_filters, events.c.at, events.c.kind)
    found = union_all(own, others.where(_counts_as_own)).subquery("entry")
    late = case((found.c.at >= parameter("split", int), 1), else_=0).label("late")
    hour: Any = (found.c.at // HOUR).label("hour")
    return select(late, hour, found.c.kind, func.count()).group_by(late, hour, found.c.kind)


@cached_statement
def _select_status_counts(*board_filters: str) -> Executable:
    of_name = workloads.c.assignee_key == parameter("name", str)
    return totals(workloads, ("status", "priority"), of_name, *on_boards(workloads.c.board, board_filters))


def _done_tasks(board_filters: Iterable[str], *columns: Any) -> Select[Any]:
    return select(*columns).where(
        *on_boards(tasks.c.board, board_filters),
        tasks.c.organization == _organization,
        tasks.c.assignee_key == parameter("name", str),
        done,
        tasks.c.done_at >= parameter("since", int),
        tasks.c.status == Status.DONE.value,
    )


@cached_statement
def _count_done(*board_filters: str) -> Executable:
    after = func.coalesce(func.sum(case((tasks.c.done_at >= parameter("split", int), 1), else_=0)), 0)
    return _done_tasks(board_filters, func.count(), cast(after, INTEGER))


@cached_statement
def _select_last_done(*board_filters: str) -> Executable:
    found = _done_tasks(board_filters, tasks.c.number, tasks.c.title, tasks.c.priority, tasks.c.updated_at)
    return found.order_by(tasks.c.done_at.desc()).limit(parameter("most", int))


_comments: Final = MAPPINGS[COMMENTS].table
_of_author: Final = (_comments.c.organization == _organization, _comments.c.author_id == _agent)


@cached_statement
def _select_comments(*board_filters: str) -> Executable:
    shown = (
        _comments.c.number, tasks.c.number, tasks.c.title, _comments.c.content, _comments.c.mentions,
        _comments.c.created_at,
    )  # fmt: skip
    found = select(*shown).join(tasks, tasks.c.id == _comments.c.task)
    found = found.where(
        *_of_author, _comments.c.created_at >= parameter("since", int), *on_boards(tasks.c.board, board_filters)
    )
    return found.order_by(_comments.c.number.desc()).limit(parameter("most", int))


@cached_statement
def _count_comments(*board_filters: str) -> Executable:
    found = select(func.count()).select_from(_comments).where(*_of_author)
    return found.where(*within_boards(_comments, Comment, board_filters))


@frozen(eq=False, repr=False)
class SqlAgentActivityReads:
    """
    Reads the activity of an agent as far as a principal may see it.
    """

    session: DatabaseSession

    async def entries_by(
        self,
        principal: Principal,
        agent: AgentId,
        *,
        since: datetime,
        kinds: tuple[str, ...] | None = None,
        limit: int,
    ) -> list[ActivityEntry]:
        """
        Return the agent's latest log entries, newest first.
        """
        board_filters = board_filter_for(boards_of_visible_activity(principal, agent))
        given: Parameters = board_filters if kinds is None else board_filters | {"kinds": kinds}
        statement = _select_last_entries(False, kinds is not None, *board_filters)
        rows = await self._rows(statement, principal, agent=agent.bytes, since=micros(since), most=limit, **given)
        return [ActivityEntry._make(row) for row in rows]

    async def entries_about(
        self, principal: Principal, agent: AgentId, *, since: datetime, limit: int
    ) -> list[ActivityEntry]:
        """
        Return the latest entries about the agent and the agent's entries about other agents, newest first.
        """
        given, asked = (
            board_filter_for(boards_of_visible_activity(principal, agent)),
            {"since": micros(since), "most": limit},
        )
        rows = await self._rows(
            _select_last_entries(True, False, *given), principal, agent=agent.bytes, **asked, **given
        )
        return [ActivityEntry._make(row) for row in rows]

    async def event_counts(
        self, principal: Principal, agent: AgentId, *, since: datetime, split: datetime
    ) -> list[HourlyEventCount]:
        """
        Count the agent's log entries by kind and hour.
        """
        given, asked = (
            board_filter_for(boards_of_visible_activity(principal, agent)),
            {"since": micros(since), "split": micros(split)},
        )
        rows = await self._rows(_select_hourly_counts(*given), principal, agent=agent.bytes, **asked, **given)
        return [HourlyEventCount(bool(late), *rest) for late, *rest in rows]

    async def work(
        self, principal: Principal, name: str, *, since: datetime, split: datetime, latest: int
    ) -> AgentTasks:
        """
        Return the task counts of an assignee by status and priority, and the tasks done since *since*.
        """
        dialect, board_filters = self.session.dialect, board_filter_of(principal)
        given: Parameters = {"organization": principal.organization.bytes, "name": name_key(name), **board_filters}

        def steps() -> Steps[AgentTasks]:
            standing = yield _select_status_counts(*board_filters)(dialect, **given)
            since_then, split_at = micros(since), micros(split)
            ((both, after),) = yield _count_done(*board_filters)(dialect, **given, since=since_then, split=split_at)
            last = yield _select_last_done(*board_filters)(dialect, **given, since=split_at, most=latest)
            cells = [StatusCount._make(row) for row in standing]
            return AgentTasks(cells, both - after, after, [AgentDoneTask._make(row) for row in last])

        return await self.session.read(steps)

    async def said(
        self, principal: Principal, agent: AgentId, *, since: datetime, limit: int
    ) -> tuple[list[AgentComment], int]:
        """
        Return the agent's latest comments, and the number of all its comments.
        """
        dialect, board_filters = self.session.dialect, board_filter_for(boards_of_visible_activity(principal, agent))
        given = {"organization": principal.organization.bytes, "agent": agent.bytes, **board_filters}

        def steps() -> Steps[tuple[list[AgentComment], int]]:
            rows = yield _select_comments(*board_filters)(dialect, **given, since=micros(since), most=limit)
            ((ever,),) = yield _count_comments(*board_filters)(dialect, **given)
            return [AgentComment._make(row) for row in rows], ever

        return await self.session.read(steps)

    async def _rows(self, statement: Statement, principal: Principal, **given: Any) -> list[Any]:
        dialect, own = self.session.dialect, principal.organization.bytes

        def steps() -> Steps[list[Any]]:
            rows: list[Any] = yield statement(dialect, organization=own, **given)
            return rows

        return await self.session.read(steps)
