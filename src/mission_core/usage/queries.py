"""
Read queries for the token ledger and its rollups.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol
from uuid import UUID

from mission_core.accounts.model import Principal, readable_boards
from mission_core.ids import AgentId, BoardId, TaskId
from mission_core.lazy_attrs import frozen
from mission_core.usage.counters import ALL_TIME, HOUR_MICROS, USAGE_DETAILS, USAGE_SESSIONS, USAGE_TASKS, USAGE_TOTALS
from mission_core.values import micros, moment

if TYPE_CHECKING:
    from mission_core.events.counters import Counters
    from mission_core.usage.budget_accounts import BudgetBook
    from mission_core.usage.model import UsageEntry
    from mission_core.values import PageOfRows, PageRequest

MOST_SESSIONS: Final = 1000
"""The number of sessions that a report shows at most: those with the most tokens."""
MOST_TASKS: Final = 1000
"""The number of tasks that a report shows at most: those with the highest cost."""
FINE_SPAN: Final = timedelta(days=2)
"""The longest span that is summed by hours. Longer ones are summed by days."""


@frozen(kw_only=True)
class UsageWindow:
    """
    A span of time that begins and ends at a whole hour or a whole day in UTC. None means no limit.

    Args:
        hours: The length of the cells that are summed: 1 or 24 hours. Without a limit all time is one cell, unless the
            sums are by cell.
        since: The number of the first cell since 1970.
        until: The number of the cell after the last one.
    """

    hours: int = 24
    since: int | None = None
    until: int | None = None

    @property
    def begins_at(self) -> datetime | None:
        """
        The time at which the window begins.
        """
        return None if self.since is None else moment(self.since * self.hours * HOUR_MICROS)

    @property
    def ends_at(self) -> datetime | None:
        """
        The time before which the window ends.
        """
        return None if self.until is None else moment(self.until * self.hours * HOUR_MICROS)


def slot_of(at: datetime, *, hours: int) -> int:
    """
    The number of the cell since 1970 that contains a time. A cell lasts 1 or 24 hours.
    """
    return micros(at) // HOUR_MICROS // hours


def window_of_last(span: timedelta | None, *, now: datetime) -> UsageWindow:
    """
    The window from *span* before now, rounded down to the hour, or for more than two days to the day, without an end.
    All of the ledger if there is no span.
    """
    if span is None:
        return UsageWindow()
    hours = 1 if span <= FINE_SPAN else 24
    return UsageWindow(hours=hours, since=slot_of(now - span, hours=hours))


@frozen(kw_only=True)
class UsageFilter:
    """
    The filter of a list or sum. An entry must match every value that is set.

    Args:
        tasks: The entry must be for one of these.
        sessions: The entry must be of one of these.
    """

    board: BoardId | None = None
    task: TaskId | None = None
    agent: AgentId | None = None
    model: str | None = None
    tasks: tuple[TaskId, ...] | None = None
    sessions: tuple[str, ...] | None = None


EVERYTHING: Final = UsageFilter()


class RollupCells(NamedTuple):
    """
    The counters that a sum is read from, and the length of their spans in hours; None if they have no spans.
    """

    counters: Counters
    hours: int | None


def cells_of_sum(principal: Principal, window: UsageWindow, by: Sequence[str], wanted: UsageFilter) -> RollupCells:
    """
    Return the coarsest rollup that has the sums of a window by these values.
    """
    is_all_time = window.since is None and window.until is None and "slot" not in by
    if is_all_time and tuple(by) == ("session",) and wanted == EVERYTHING and readable_boards(principal) is None:
        return RollupCells(USAGE_SESSIONS, None)
    if "session" in by or wanted.sessions is not None:
        counters = USAGE_DETAILS
    elif "task" in by or wanted.task is not None or wanted.tasks is not None:
        counters = USAGE_TASKS
    else:
        counters = USAGE_TOTALS
    return RollupCells(counters, ALL_TIME if is_all_time else window.hours)


class UsageTotals(NamedTuple):
    """
    Sums over entries of the ledger. Money is in nano-dollars and without what has no known price.
    """

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    unpriced_tokens: int = 0
    unpriced_requests: int = 0
    list_cost: int = 0
    cost: int = 0

    @property
    def tokens(self) -> int:
        """
        The tokens of input and output.
        """
        return self.input_tokens + self.output_tokens

    @property
    def priced_requests(self) -> int:
        """
        The number of requests with a known price.
        """
        return self.requests - self.unpriced_requests

    @property
    def known_cost(self) -> int | None:
        """
        The cost, or None if nothing of it is known.
        """
        return self.cost if self.priced_requests or not self.unpriced_requests else None

    @property
    def known_list_cost(self) -> int | None:
        """
        The cost at list prices, or None if nothing of it is known.
        """
        return self.list_cost if self.priced_requests or not self.unpriced_requests else None


class UsageSum(NamedTuple):
    """
    The sums of the entries that share some values. *key* has these values in the order that was asked for: ids or None,
    texts, or the number of a cell.
    """

    key: tuple[Any, ...]
    totals: UsageTotals


def sum_of(sums: Sequence[UsageSum]) -> UsageTotals:
    """
    The sums over all of these.
    """
    return _total_of([each.totals for each in sums])


def sums_by(sums: Sequence[UsageSum], *places: int) -> dict[Any, UsageTotals]:
    """
    The sums by the values at these places of the keys; by the value itself if it is one place.
    """
    key_of = itemgetter(*places)
    return totals_by((key_of(each.key), each.totals) for each in sums)


def totals_by(parts: Iterable[tuple[Any, UsageTotals]]) -> dict[Any, UsageTotals]:
    """
    The sums over the totals that have the same key.
    """
    found: dict[Any, list[UsageTotals]] = {}
    for key, totals in parts:
        found.setdefault(key, []).append(totals)
    return {key: _total_of(totals) for key, totals in found.items()}


def _total_of(totals: Sequence[UsageTotals]) -> UsageTotals:
    return totals[0] if len(totals) == 1 else UsageTotals(*map(sum, zip(*totals, strict=True)))


class UsageRebuild(NamedTuple):
    """
    The result of a rebuild: the number of entries that were summed, and of the sums that were wrong.
    """

    entries: int
    corrected: int


class UsageTask(NamedTuple):
    """
    A task that tokens were used for.
    """

    id: TaskId
    number: int
    title: str
    status: str
    priority: str
    assignee: str | None
    board: BoardId
    board_number: int
    board_name: str
    board_handle: str
    ticket_prefix: str
    ticket: int | None


class UsageReads(Protocol):
    """
    Reads the token ledger and its sums, limited to the boards that a principal may see. A principal limited to some
    boards sees no entries without a board.
    """

    async def sums(
        self,
        principal: Principal,
        window: UsageWindow,
        by: Sequence[str],
        wanted: UsageFilter = EVERYTHING,
        *,
        most: int | None = None,
    ) -> list[UsageSum]:
        """
        The sums by these values: `slot` (the number of the cell), `board`, `agent`, `agent_name`, `model`, `task` and
        `session`. They are read from the rollups. Sums without any request or token are left out. With *most*, only
        the sums with the most tokens are returned, most tokens first, then by key.
        """

    async def session_counts(self, principal: Principal, window: UsageWindow) -> dict[str, int]:
        """
        The number of sessions with entries in the window under each agent name.
        """

    async def entries(
        self, principal: Principal, window: UsageWindow, page: PageRequest, wanted: UsageFilter = EVERYTHING
    ) -> PageOfRows:
        """
        A page of the entries, newest use first, and their total count.
        """

    async def reported(self, principal: Principal, reporter: str, ids: Collection[str]) -> dict[str, UsageEntry]:
        """
        The entries of this reporter with these report ids, by their ids, on any board.
        """

    async def reported_below(self, principal: Principal, reporter: str, prefix: str) -> list[tuple[UsageEntry, bool]]:
        """
        The entries of this reporter whose report ids begin with *prefix*, which ends with a colon, on any board; each
        with whether another entry reverses it.
        """

    async def budgets(self, principal: Principal, *, at: datetime) -> BudgetBook:
        """
        The accounts of the budgets that a principal may see, in their periods at this time, from the organization's to
        those of runs. A principal limited to some boards sees the budgets of these boards.
        """

    async def last_used(self, principal: Principal, names: Collection[str]) -> dict[str, datetime]:
        """
        The time of the latest use under each of these agent names.
        """

    async def tasks(self, principal: Principal, ids: Collection[UUID]) -> list[UsageTask]:
        """
        The tasks with these ids that still exist.
        """
