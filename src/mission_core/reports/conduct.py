"""
What one agent did over a range of time: its entries in the log, its work, and how that compares with the time before.

An agent did what the log names it for. What others note in its name counts too: that its status changed, what it has in
mind, and that it registered itself.

Ids are 16 bytes, moments microseconds since 1970, JSON columns their text.
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
"""Facts about an agent that are its own, whoever noted them."""
IF_REGISTERED: Final = AgentCreated.kind
REGISTERED: Final = '"registered":true'
"""That an agent was made is its own doing where the fact's payload says so."""
FAILED: Final = (RunFailed.kind,)
"""What an agent says when it fails. That its lease ran out is noted by whoever comes next."""
DAY: Final = timedelta(days=1)


class Deed(NamedTuple):
    """
    An entry of the log, with the number (and title) of the task or agent it is about, if that is still there.
    """

    position: int
    kind: str
    at: int
    number: int | None
    title: str | None
    payload: JsonText | None


class Amount(NamedTuple):
    """
    How many entries of a kind there are in an hour since 1970, before or after the split.
    """

    late: bool
    hour: int
    kind: str
    amount: int


class Said(NamedTuple):
    """
    A comment of the agent's, with the task it is on.
    """

    number: int
    task: int
    title: str
    content: str
    mentions: JsonText
    created_at: int


class DoneTask(NamedTuple):
    """
    A task that the agent has done.
    """

    number: int
    title: str
    priority: str
    updated_at: int


class Work(NamedTuple):
    """
    How the tasks of a name stand; how many of them were done before and after the split, and which of the later ones
    last.
    """

    standing: list[Standing]
    before: int
    after: int
    latest: list[DoneTask]


def deeds_seen(principal: Principal, agent: AgentId) -> frozenset[BoardId] | None:
    """
    The boards of which an agent's deeds tell the principal, by what each is about: a task or an agent of theirs, or one
    of them itself; None for all there are. An agent's own deeds are its own to see, wherever they were done.
    """
    own = isinstance(principal, AgentPrincipal) and principal.agent == agent
    return None if own else boards_seen(principal)


class ConductReads(Protocol):
    """
    Reads what agents did, as far as a principal may see it (`deeds_seen`).
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
        The last entries that are the agent's, of these kinds if some are named, the latest first.
        """

    async def told(self, principal: Principal, agent: AgentId, *, since: datetime, limit: int) -> list[Deed]:
        """
        The last entries about the agent, whoever they are by, and about other agents by it, the latest first.
        """

    async def amounts(
        self, principal: Principal, agent: AgentId, *, since: datetime, split: datetime
    ) -> list[Amount]:
        """
        How many entries are the agent's, by kind and hour. Linear in those entries.
        """

    async def work(
        self, principal: Principal, name: str, *, since: datetime, split: datetime, latest: int
    ) -> Work:
        """
        How the tasks of a name stand, whatever its case, and which were done since then.
        """

    async def said(
        self, principal: Principal, agent: AgentId, *, since: datetime, limit: int
    ) -> tuple[list[Said], int]:
        """
        The agent's last comments since then, the latest first, and how many it ever made.
        """


@frozen
class Period:
    """
    What happened in one of two periods that follow each other.
    """

    since: datetime
    until: datetime
    activities: int
    errors: int
    tasks_completed: int


class Alert(NamedTuple):
    """
    Something to look at.
    """

    level: str
    message: str


def counted(amounts: Iterable[Amount], *, late: bool = True) -> Counter[str]:
    """
    How many entries of each kind there are in the later or the earlier period.
    """
    kinds: Counter[str] = Counter()
    for each in amounts:
        if each.late is late:
            kinds[each.kind] += each.amount
    return kinds


def timeline(amounts: Iterable[Amount]) -> list[tuple[int, int]]:
    """
    How many entries each hour of the later period has, the earliest first; hours without any are left out.
    """
    hours: Counter[int] = Counter()
    for each in amounts:
        if each.late:
            hours[each.hour] += each.amount
    return sorted(hours.items())


def errors_in(kinds: Counter[str]) -> int:
    """
    How many of them say that the agent failed.
    """
    return sum(kinds[kind] for kind in FAILED)


def periods(amounts: list[Amount], work: Work, *, hours: int, until: datetime) -> tuple[Period, Period]:
    """
    The last *hours*, and as many before them.
    """
    length = timedelta(hours=hours)

    def period(late: bool, end: datetime, completed: int) -> Period:
        kinds = counted(amounts, late=late)
        return Period(end - length, end, sum(kinds.values()), errors_in(kinds), completed)

    return period(True, until, work.after), period(False, until - length, work.before)


def change(current: int, previous: int) -> float:
    """
    By how many percent something grew; by 100 where there was nothing before.
    """
    if not previous:
        return 100.0 if current else 0.0
    return round((current - previous) / previous * 100, 2)


def alerts(current: Period, previous: Period) -> list[Alert]:
    """
    What the comparison of two periods gives cause to look at.
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
    How many tasks were completed in a day, counting less than a day as one.
    """
    return round(completed / max(timedelta(hours=hours) / DAY, 1), 2)
