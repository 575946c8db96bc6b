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

from attrs import frozen

from mission_core.accounts.model import AgentPrincipal, boards_seen
from mission_core.agents.memories import MemoryCleared, MemoryWritten
from mission_core.agents.model import AgentCreated, AgentStatusChanged
from mission_core.reports.queries import Standing
from mission_core.tasks.facts import RunFailed
from mission_core.values import JsonText

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ids import AgentId, BoardId

IN_ITS_NAME: Final = (AgentStatusChanged.kind, MemoryCleared.kind, MemoryWritten.kind)
"""The kinds of events about an agent that count as its own, whichever actor recorded them."""
IF_REGISTERED: Final = AgentCreated.kind
REGISTERED: Final = '"registered":true'
"""The part of the payload that says that the agent registered itself. Only then does the event count as its own."""
FAILED: Final = (RunFailed.kind,)
"""The kinds of events that an agent records when it fails. An expired lease is recorded by another principal, so it is
not among them."""
DAY: Final = timedelta(days=1)


class Deed(NamedTuple):
    """
    An entry of the event log, with the number and title of its task or agent if that still exists.
    """

    position: int
    kind: str
    at: int
    number: int | None
    title: str | None
    payload: JsonText | None


class Amount(NamedTuple):
    """
    The number of log entries of one kind in one hour since 1970; *late* tells whether the hour is after the split.
    """

    late: bool
    hour: int
    kind: str
    amount: int


class Said(NamedTuple):
    """
    A comment by the agent, with its task.
    """

    number: int
    task: int
    title: str
    content: str
    mentions: JsonText
    created_at: int


class DoneTask(NamedTuple):
    """
    A task that the agent completed.
    """

    number: int
    title: str
    priority: str
    updated_at: int


class Work(NamedTuple):
    """
    The tasks assigned to a name: their number by status and priority, the number completed before and after the split,
    and the latest of the completed ones.
    """

    standing: list[Standing]
    before: int
    after: int
    latest: list[DoneTask]


def deeds_seen(principal: Principal, agent: AgentId) -> frozenset[BoardId] | None:
    """
    The boards to which the principal's view of an agent's activity is limited; None means no limit. An agent sees all
    of its own activity.
    """
    own = isinstance(principal, AgentPrincipal) and principal.agent == agent
    return None if own else boards_seen(principal)


class ConductReads(Protocol):
    """
    Reads of agent activity, limited to what a principal may see (`deeds_seen`).
    """

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
        The agent's latest entries, of these kinds if any are given, newest first.
        """

    async def told(self, principal: Principal, agent: AgentId, *, since: datetime, limit: int) -> list[Deed]:
        """
        The latest entries about the agent by any actor, and by the agent about other agents, newest first.
        """

    async def amounts(
        self, principal: Principal, agent: AgentId, *, since: datetime, split: datetime
    ) -> list[Amount]:
        """
        The number of the agent's entries by kind and hour. The cost is linear in these entries.
        """

    async def work(
        self, principal: Principal, name: str, *, since: datetime, split: datetime, latest: int
    ) -> Work:
        """
        The tasks assigned to this name, ignoring case, and those completed since then.
        """

    async def said(
        self, principal: Principal, agent: AgentId, *, since: datetime, limit: int
    ) -> tuple[list[Said], int]:
        """
        The agent's latest comments since then, newest first, and the number of all its comments.
        """


@frozen
class Period:
    """
    The activity in one of two successive periods.
    """

    since: datetime
    until: datetime
    activities: int
    errors: int
    tasks_completed: int


class Alert(NamedTuple):
    """
    A finding that needs attention.
    """

    level: str
    message: str


def counted(amounts: Iterable[Amount], *, late: bool = True) -> Counter[str]:
    """
    The number of entries by kind in the later or the earlier period.
    """
    kinds: Counter[str] = Counter()
    for each in amounts:
        if each.late is late:
            kinds[each.kind] += each.amount
    return kinds


def timeline(amounts: Iterable[Amount]) -> list[tuple[int, int]]:
    """
    The number of entries in each hour of the later period, earliest first. Hours without entries are omitted.
    """
    hours: Counter[int] = Counter()
    for each in amounts:
        if each.late:
            hours[each.hour] += each.amount
    return sorted(hours.items())


def errors_in(kinds: Counter[str]) -> int:
    """
    The number of failures among the entries.
    """
    return sum(kinds[kind] for kind in FAILED)


def periods(amounts: list[Amount], work: Work, *, hours: int, until: datetime) -> tuple[Period, Period]:
    """
    The last *hours*, and the period of equal length before them.
    """
    length = timedelta(hours=hours)

    def period(late: bool, end: datetime, completed: int) -> Period:
        kinds = counted(amounts, late=late)
        return Period(end - length, end, sum(kinds.values()), errors_in(kinds), completed)

    return period(True, until, work.after), period(False, until - length, work.before)


def change(current: int, previous: int) -> float:
    """
    The change in percent; 100 if the previous value is zero.
    """
    if not previous:
        return 100.0 if current else 0.0
    return round((current - previous) / previous * 100, 2)


def alerts(current: Period, previous: Period) -> list[Alert]:
    """
    The alerts that follow from the comparison of two periods.
    """
    found: list[Alert] = []
    if previous.errors and current.errors > previous.errors * 1.5:
        grown = change(current.errors, previous.errors)
        found.append(Alert("warning", f"Errors went up by {grown:g} %, from {previous.errors} to {current.errors}"))
    elif not previous.errors and current.errors > 3:
        found.append(Alert("warning", f"{current.errors} errors, where the period before had none"))
    done, before = current.tasks_completed, previous.tasks_completed
    if before and not done:
        found.append(Alert("warning", f"No task was completed, and {before} in the period before"))
    elif before > 2 and done < before / 2:
        found.append(Alert("info", f"{done} tasks were completed, less than half of the {before} before"))
    if previous.activities > 5 and current.activities < previous.activities / 4:
        found.append(
            Alert("info", f"Activity fell below a quarter, from {previous.activities} to {current.activities}")
        )
    return found


def throughput(completed: int, *, hours: int) -> float:
    """
    The average number of completed tasks in a day; a shorter period counts as one day.
    """
    return round(completed / max(timedelta(hours=hours) / DAY, 1), 2)
