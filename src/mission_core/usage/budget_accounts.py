"""
The accounts of budgets: the amounts that are spent and reserved of each in its present period, and the changes of them
in a commit.

A claim reserves an amount of each budget that covers its run. The reservation is used up by what the run spends, and
ends with the run's lease. Every store reads the accounts, and writes the changes, in the transaction of the commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from attrs import evolve, field

from mission_core.events.counters import NO_ID
from mission_core.ids import RunId
from mission_core.lazy_attrs import frozen
from mission_core.tasks.ports import BudgetReached
from mission_core.tasks.runs import LIVE_STATES
from mission_core.usage.budgets import (
    NO_END,
    THRESHOLDS,
    Budget,
    BudgetAmounts,
    BudgetMeasure,
    BudgetScope,
    BudgetThresholdReached,
    PeriodBounds,
    UnknownPrices,
    amounts_of,
)
from mission_core.values import micros, moment

if TYPE_CHECKING:
    from mission_core.events.counters import CounterKey
    from mission_core.events.model import Event
    from mission_core.ids import BoardId, BudgetId
    from mission_core.tasks.model import Task
    from mission_core.tasks.runs import Assignee, Run
    from mission_core.usage.model import UsageEntry

NOTHING: Final = BudgetAmounts()
SECOND_MICROS: Final = 1_000_000


class Reservation(NamedTuple):
    """
    The reservation of a run in the present period of a budget.

    Args:
        held: The amount that counts as reserved. For a budget of time it grows when the run lasts longer.
        left: The part that the run has not used.
    """

    held: int = 0
    left: int = 0


def reservation_of(budget: Budget, amounts: BudgetAmounts, claimed_at: datetime, *, at: datetime) -> Reservation:
    """
    Return the reservation of a live run from its sums and the time of its claim.
    """
    if budget.measure is BudgetMeasure.TIME:
        lasted = seconds_between(claimed_at, at)
        return Reservation(max(amounts.reserved, lasted), max(0, amounts.reserved - lasted))
    left = max(0, amounts.reserved - amounts.used)
    return Reservation(left, left)


def seconds_between(begin: datetime, end: datetime) -> int:
    """
    The number of whole seconds between two moments.
    """
    return max(0, micros(end) - micros(begin)) // SECOND_MICROS


@frozen(kw_only=True)
class BudgetAccount:
    """
    A budget with its sums in the present period.

    Args:
        agent_key: The name key of the budget's agent.
        target_number: The number of the budget's board, agent or task.
        total: The sums of what was spent.
        reserved: The sum of what live runs hold reserved.
        own: The reservations of the runs that the commit is about.
    """

    budget: Budget
    agent_key: str | None = None
    target_number: int | None = None
    period: PeriodBounds
    total: BudgetAmounts = NOTHING
    reserved: int = 0
    own: Mapping[RunId, Reservation] = field(factory=dict)

    @property
    def spent(self) -> int:
        """
        The amount that was spent, in the budget's measure.
        """
        return self.budget.counted(self.total)

    @property
    def available(self) -> int:
        """
        The amount that is neither spent nor reserved. It is negative if more was spent than the limit allows.
        """
        return self.budget.limit - self.spent - self.reserved

    @property
    def starts_at(self) -> datetime | None:
        """
        The begin of the period, or None if the budget has no periods.
        """
        return None if self.resets_at is None else moment(self.period.starts_at)

    @property
    def resets_at(self) -> datetime | None:
        """
        The end of the period, or None if it has none.
        """
        return None if self.period.ends_at == NO_END else moment(self.period.ends_at)

    @property
    def needed(self) -> int:
        """
        The amount that a claim reserves.
        """
        return 1 if self.budget.measure is BudgetMeasure.RUNS else self.budget.per_run

    @property
    def is_stopped(self) -> bool:
        """
        Whether tokens without a known price stop the budget.
        """
        return self.budget.unknown_prices is UnknownPrices.STOP and self.total.unpriced_requests > 0

    @property
    def has_room(self) -> bool:
        """
        Whether a run may start.
        """
        return not self.budget.hard or not (self.is_stopped or self.available < self.needed)

    def covers(self, task: UUID, board: UUID, name_key: str, run: RunId | None = None) -> bool:
        """
        Whether a run of the task counts against the budget.
        """
        budget = self.budget
        if budget.scope is BudgetScope.AGENT:
            return self.agent_key == name_key
        targets = {BudgetScope.BOARD: (budget.board, board), BudgetScope.TASK: (budget.task, task)}
        own, other = targets.get(budget.scope, (budget.run, run))
        return budget.scope is BudgetScope.ORGANIZATION or own == other

    def covers_run(self, run: Run) -> bool:
        """
        Whether a run counts against the budget.
        """
        return self.covers(run.task, run.board, run.by.key, run.id)

    def without(self, run: RunId) -> BudgetAccount:
        """
        The account after the reservation of a run ended.
        """
        return evolve(self, reserved=self.reserved - self.own[run].held) if run in self.own else self

    def counts_time_of(self, run: Run) -> bool:
        """
        Whether the time that a covered run lasts counts. Only a budget of the run itself may be made after it began.
        """
        budget = self.budget
        began = budget.scope is BudgetScope.RUN or run.claimed_at >= budget.created_at
        return budget.measure is BudgetMeasure.TIME and began

    def is_reached_for(self, run: Run, *, at: datetime) -> bool:
        """
        Whether a run that the budget covers may not go on. Within what it has reserved it may, unless the limit is
        already spent.
        """
        if not self.budget.hard or self.budget.measure is BudgetMeasure.RUNS:
            return False
        # The time of a run that began in an earlier period is not reserved in the present one.
        if self.counts_time_of(run) and seconds_between(run.claimed_at, at) >= self.budget.limit:
            return True
        left = self.own.get(run.id, Reservation()).left
        return self.is_stopped or self.spent >= self.budget.limit or (self.available <= 0 and left == 0)

    def refusal(self) -> BudgetReached:
        """
        The refusal of a run for which there is no room.
        """
        budget = self.budget
        return BudgetReached(
            budget=budget.id, number=budget.number, name=budget.name, scope=budget.scope.value,
            measure=budget.measure.value, limit=budget.limit, spent=self.spent, reserved=self.reserved,
            needed=self.needed, unpriced=self.is_stopped, resets_at=self.resets_at,
        )  # fmt: skip


def _from_root_to_leaf(accounts: Iterable[BudgetAccount]) -> tuple[BudgetAccount, ...]:
    scopes = list(BudgetScope)
    return tuple(sorted(accounts, key=lambda each: (scopes.index(each.budget.scope), each.budget.number)))


@frozen
class BudgetBook:
    """
    The accounts of an organization at one moment. The budgets form a tree, from the organization to its runs.
    """

    accounts: tuple[BudgetAccount, ...] = field(converter=_from_root_to_leaf)

    def __bool__(self) -> bool:
        """
        Whether there are any budgets.
        """
        return bool(self.accounts)

    def refusal_of_claim(self, task: Task, by: Assignee | None) -> BudgetReached | None:
        """
        Return the refusal of the first budget without room for a run of the task, or None.
        """
        name_key = "" if by is None else by.key
        full = (each for each in self.accounts if not each.has_room and each.covers(task.id, task.board, name_key))
        return next((each.refusal() for each in full), None)

    def after_end_of(self, run: Run) -> BudgetBook:
        """
        Return the accounts after the reservations of a run ended.
        """
        return BudgetBook(each.without(run.id) for each in self.accounts)

    def refusal_of_renewal(self, run: Run, *, at: datetime) -> BudgetReached | None:
        """
        Return the refusal of the first budget without room for the run to go on, or None.
        """
        full = (each for each in self.accounts if each.covers_run(run) and each.is_reached_for(run, at=at))
        return next((each.refusal() for each in full), None)

    def refuses_all(self, name_key: str) -> bool:
        """
        Whether no task can be claimed under a name.
        """
        full = (each for each in self.accounts if not each.has_room)
        return any(each.budget.scope is BudgetScope.ORGANIZATION or each.agent_key == name_key for each in full)

    def closed_boards(self) -> frozenset[BoardId]:
        """
        Return the boards on which no task can be claimed.
        """
        full = (each.budget.board for each in self.accounts if not each.has_room)
        return frozenset(board for board in full if board is not None)


@frozen(kw_only=True)
class BudgetedChanges:
    """
    The changes of one commit that matter to budgets.

    Args:
        entries: The new entries of the ledger.
        started: The new runs.
        ended: The runs whose lease ends.
        created: The new budgets, each with the sums of the ledger in its present period.
        updated: The changed budgets, by id, as they were before.
    """

    entries: Sequence[UsageEntry] = ()
    started: Sequence[Run] = ()
    ended: Sequence[Run] = ()
    created: Mapping[BudgetId, BudgetAmounts] = field(factory=dict)
    updated: Mapping[BudgetId, Budget] = field(factory=dict)


@frozen
class BudgetPostings:
    """
    The amounts that a commit adds to the counters `BUDGET_AMOUNTS`, by their keys, and the events that follow.
    """

    amounts: Mapping[CounterKey, BudgetAmounts]
    events: tuple[Event, ...]


def ends_lease(before: Run | None, after: Run | None) -> bool:
    """
    Whether a change of a run ends its lease.
    """
    return before is not None and before.state in LIVE_STATES and after is not None and after.state not in LIVE_STATES


def post(book: BudgetBook, changes: BudgetedChanges, *, at: datetime) -> BudgetPostings:
    """
    Return the amounts that the changes add to each account.

    Raises:
        BudgetReached: If a new run has no room in a hard budget.
    """
    posted: dict[CounterKey, BudgetAmounts] = {}
    events: list[Event] = []
    for account in book.accounts:
        posting = _Posting(account, posted)
        posting.add_entries(changes.entries)
        posting.add_ended(changes.ended)
        posting.add_started(changes.started)
        posting.add_opening(changes)
        events += posting.announcements(changes.updated.get(account.budget.id), at=at)
    # The row of a run is kept without amounts, too: the time that the run lasts counts as reserved because of it.
    kept = {key: each for key, each in posted.items() if key[1] != NO_ID or any(each)}
    return BudgetPostings(kept, tuple(events))


class _Posting:
    """
    The amounts that one commit adds to one account.
    """

    def __init__(self, account: BudgetAccount, posted: dict[CounterKey, BudgetAmounts]) -> None:
        self.account, self.budget, self.posted = account, account.budget, posted

    def add_entries(self, entries: Sequence[UsageEntry]) -> None:
        for entry in entries:
            period = self.budget.period_at(entry.at)
            if not self.budget.covers(entry) or not self._is_kept(period):
                continue
            amounts = amounts_of(entry)
            self._add(period, amounts)
            if period == self.account.period and entry.run is not None and entry.run in self.account.own:
                self._add(period, BudgetAmounts(used=self.budget.counted(amounts)), entry.run)

    def add_ended(self, ended: Sequence[Run]) -> None:
        for run in ended:
            if not self.account.covers_run(run):
                continue
            self.account = self.account.without(run.id)
            if self.account.counts_time_of(run):
                lasted = seconds_between(run.claimed_at, run.ended_at or run.claimed_at)
                self._add(self.budget.period_at(run.claimed_at), BudgetAmounts(seconds=lasted))

    def add_started(self, started: Sequence[Run]) -> None:
        for run in started:
            if not self.account.covers_run(run):
                continue
            if not self.account.has_room:
                raise self.account.refusal()
            needed = self.account.needed
            if self.budget.measure is BudgetMeasure.RUNS:
                self._add(self.account.period, BudgetAmounts(runs=1))
            elif needed or self.budget.measure is BudgetMeasure.TIME:
                self._add(self.account.period, BudgetAmounts(reserved=needed), run.id)
                self.account = evolve(self.account, reserved=self.account.reserved + needed)

    def add_opening(self, changes: BudgetedChanges) -> None:
        if self.budget.id in changes.created:
            self._add(self.account.period, changes.created[self.budget.id])
            if self.budget.measure is BudgetMeasure.TIME and self.budget.run is not None:
                self._add(self.account.period, NOTHING, self.budget.run)

    def announcements(self, before: Budget | None, *, at: datetime) -> list[Event]:
        """
        Return the events of the thresholds that are spent now. A raised limit lets all be announced again.
        """
        if before is not None and self.budget.limit > before.limit:
            self._add(self.account.period, BudgetAmounts(announced=-self.account.total.announced))
        spent, announced = self.account.spent, self.account.total.announced
        reached = [each for each in THRESHOLDS if each > announced and spent * 100 >= self.budget.limit * each]
        if reached:
            self._add(self.account.period, BudgetAmounts(announced=reached[-1] - announced))
        return [
            BudgetThresholdReached(
                budget=self.budget.id, name=self.budget.name, threshold=each, measure=self.budget.measure,
                limit=self.budget.limit, spent=spent, period_starts_at=self.account.starts_at, at=at,
            )
            for each in reached
        ]  # fmt: skip

    def _is_kept(self, period: PeriodBounds) -> bool:
        """
        Whether the period was not over when the budget was made.
        """
        return period.ends_at > micros(self.budget.created_at)

    def _add(self, period: PeriodBounds, amounts: BudgetAmounts, run: RunId | None = None) -> None:
        key = (self.budget.id.bytes, run.bytes if run else NO_ID, period.ends_at, period.starts_at)
        self.posted[key] = self.posted.get(key, NOTHING).plus(amounts)
        if run is None and period == self.account.period:
            self.account = evolve(self.account, total=self.account.total.plus(amounts))
