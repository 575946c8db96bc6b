"""
The activity of one agent in a time range: its log entries, comments and tasks, compared with the period before.

An entry is the agent's if the agent is its actor. Changes of the agent's status and memory, and its own registration,
count as the agent's, whichever actor recorded them.

In the rows, ids are 16 bytes, times are microseconds since 1970, and JSON columns are text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from mission_core.accounts.model import AgentPrincipal, readable_boards
from mission_core.agents.model import AgentCreated, AgentStatusChanged
from mission_core.agents.working_memory import WorkingMemoryCleared, WorkingMemoryWritten
from mission_core.lazy_attrs import frozen
from mission_core.reports.queries import StatusCount
from mission_core.tasks.events import RunFailed
from mission_core.values import JsonText

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ids import AgentId, BoardId

OWN_EVENT_KINDS: Final = (AgentStatusChanged.kind, WorkingMemoryCleared.kind, WorkingMemoryWritten.kind)
"""The kinds of events about an agent that count as its own, whichever actor recorded them."""
AGENT_CREATED_KIND: Final = AgentCreated.kind
REGISTERED_PAYLOAD: Final = '"registered":true'
"""The part of the payload that says that the agent registered itself. Only then does the event count as its own."""
AGENT_FAILURE_KINDS: Final = (RunFailed.kind,)
"""The kinds of events that an agent records when it fails. An expired lease is recorded by another principal, so it is
not among them."""
DAY: Final = timedelta(days=1)


class ActivityEntry(NamedTuple):
    """
    An entry of the event log, with the number and title of its task or agent if that still exists.
    """

    position: int
    kind: str
    at: int
    number: int | None
    title: str | None
    payload: JsonText | None


class HourlyEventCount(NamedTuple):
    """
    The number of log entries of one kind in one hour since 1970; *late* tells whether the hour is after the split.
    """

    late: bool
    hour: int
    kind: str
    amount: int


class AgentComment(NamedTuple):
    """
    A comment by the agent, with its task.
    """

    number: int
    task: int
    title: str
    content: str
    mentions: JsonText
    created_at: int


class AgentDoneTask(NamedTuple):
    """
    A task that the agent completed.
    """

    number: int
    title: str
    priority: str
    updated_at: int


class AgentTasks(NamedTuple):
    """
    The tasks assigned to a name: their number by status and priority, the number completed before and after the split,
    and the latest of the completed ones.
    """

    status_counts: list[StatusCount]
    before: int
    after: int
    latest: list[AgentDoneTask]


def boards_of_visible_activity(principal: Principal, agent: AgentId) -> frozenset[BoardId] | None:
    """
    The boards to which the principal's view of an agent's activity is limited; None means no limit. An agent sees all
    of its own activity.
    """
    own = isinstance(principal, AgentPrincipal) and principal.agent == agent
    return None if own else readable_boards(principal)


class AgentActivityReads(Protocol):
    """
    Reads of agent activity, limited to what a principal may see (`boards_of_visible_activity`).
    """

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
        The agent's latest entries, of these kinds if any are given, newest first.
        """

    async def entries_about(
        self, principal: Principal, agent: AgentId, *, since: datetime, limit: int
    ) -> list[ActivityEntry]:
        """
        The latest entries about the agent by any actor, and by the agent about other agents, newest first.
        """

    async def event_counts(
        self, principal: Principal, agent: AgentId, *, since: datetime, split: datetime
    ) -> list[HourlyEventCount]:
        """
        The number of the agent's entries by kind and hour. The cost is linear in these entries.
        """

    async def work(
        self, principal: Principal, name: str, *, since: datetime, split: datetime, latest: int
    ) -> AgentTasks:
        """
        The tasks assigned to this name, ignoring case, and those of them completed since *since*.
        """

    async def said(
        self, principal: Principal, agent: AgentId, *, since: datetime, limit: int
    ) -> tuple[list[AgentComment], int]:
        """
        The agent's latest comments since *since*, newest first, and the number of all its comments.
        """


@frozen
class ActivityPeriod:
    """
    The activity in one of two successive periods.
    """

    since: datetime
    until: datetime
    activities: int
    errors: int
    tasks_completed: int


class ActivityAlert(NamedTuple):
    """
    A finding that needs attention.
    """

    level: str
    message: str


def events_by_kind(amounts: Iterable[HourlyEventCount], *, late: bool = True) -> Counter[str]:
    """
    The number of entries by kind in the later or the earlier period.
    """
    kinds: Counter[str] = Counter()
    for each in amounts:
        if each.late is late:
            kinds[each.kind] += each.amount
    return kinds


def events_by_hour(amounts: Iterable[HourlyEventCount]) -> list[tuple[int, int]]:
    """
    The number of entries in each hour of the later period, earliest first. Hours without entries are omitted.
    """
    hours: Counter[int] = Counter()
    for each in amounts:
        if each.late:
            hours[each.hour] += each.amount
    return sorted(hours.items())


def failure_count(kinds: Counter[str]) -> int:
    """
    The number of failures among the entries.
    """
    return sum(kinds[kind] for kind in AGENT_FAILURE_KINDS)


def compared_periods(
    amounts: list[HourlyEventCount], work: AgentTasks, *, hours: int, until: datetime
) -> tuple[ActivityPeriod, ActivityPeriod]:
    """
    The last *hours*, and the period of equal length before them.
    """
    length = timedelta(hours=hours)

    def period(late: bool, end: datetime, completed: int) -> ActivityPeriod:
        kinds = events_by_kind(amounts, late=late)
        return ActivityPeriod(end - length, end, sum(kinds.values()), failure_count(kinds), completed)

    return period(True, until, work.after), period(False, until - length, work.before)


def percent_change(current: int, previous: int) -> float:
    """
    The change in percent; 100 if the previous value is zero.
    """
    if not previous:
        return 100.0 if current else 0.0
    return round((current - previous) / previous * 100, 2)


def activity_alerts(current: ActivityPeriod, previous: ActivityPeriod) -> list[ActivityAlert]:
    """
    The alerts that follow from the comparison of two periods.
    """
    found: list[ActivityAlert] = []
    if previous.errors and current.errors > previous.errors * 1.5:
        grown = percent_change(current.errors, previous.errors)
        found.append(
            ActivityAlert("warning", f"Errors went up by {grown:g} %, from {previous.errors} to {current.errors}")
        )
    elif not previous.errors and current.errors > 3:
        found.append(ActivityAlert("warning", f"{current.errors} errors, where the period before had none"))
    done, before = current.tasks_completed, previous.tasks_completed
    if before and not done:
        found.append(ActivityAlert("warning", f"No task was completed, and {before} in the period before"))
    elif before > 2 and done < before / 2:
        found.append(ActivityAlert("info", f"{done} tasks were completed, less than half of the {before} before"))
    if previous.activities > 5 and current.activities < previous.activities / 4:
        found.append(
            ActivityAlert("info", f"Activity fell below a quarter, from {previous.activities} to {current.activities}")
        )
    return found


def tasks_per_day(completed: int, *, hours: int) -> float:
    """
    The average number of completed tasks in a day; a shorter period counts as one day.
    """
    return round(completed / max(timedelta(hours=hours) / DAY, 1), 2)
