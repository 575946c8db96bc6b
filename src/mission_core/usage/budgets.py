"""
Budgets: limits of what a part of the organization may spend in a period.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from attrs import field
from attrs.validators import optional

from mission_core.agents.model import Agent
from mission_core.boards.model import Board
from mission_core.errors import InvalidField, NotFound
from mission_core.events.model import Event
from mission_core.field_types import with_type_validators
from mission_core.ids import AgentId, BoardId, BudgetId, BudgetNumber, OrganizationId, RunId, TaskId
from mission_core.kinds import Kind
from mission_core.lazy_attrs import frozen
from mission_core.records import record_events
from mission_core.tasks.model import Task
from mission_core.usage.amounts import MAX_COST, MILLION
from mission_core.usage.counters import BUDGETS_NAME
from mission_core.values import micros, moment, text, utc_moment, whole_number

if TYPE_CHECKING:
    from attrs import Attribute

    from mission_core.usage.model import UsageEntry

LONGEST_BUDGET_NAME: Final = 100
LONGEST_ZONE: Final = 64
MAX_LIMIT: Final = 10**18
THRESHOLDS: Final = (50, 80, 100)
"""The percentages of a limit that are announced when they are spent."""
NO_END: Final = 2**62
"""Stands for the end of a period that does not end."""


class BudgetNotFound(NotFound):
    """
    This organization has no such budget.
    """

    says = "there is no such budget"


class BudgetScope(StrEnum):
    """
    The kinds of things whose spending a budget limits.
    """

    ORGANIZATION = "organization"
    BOARD = "board"
    AGENT = "agent"
    TASK = "task"
    RUN = "run"


class BudgetMeasure(StrEnum):
    """
    The units of a budget: nano-dollars, tokens of input and output, runs, or the seconds that runs last.
    """

    MONEY = "money"
    TOKENS = "tokens"
    RUNS = "runs"
    TIME = "time"


class BudgetPeriod(StrEnum):
    """
    The periods after which spending counts from 0 again. *once* has no end.
    """

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    ONCE = "once"


class UnknownPrices(StrEnum):
    """
    The ways in which tokens without a known price count against money: not at all, so that only their number is shown;
    at a ceiling price; or as a stop, after which no run may start until the price is known.
    """

    TOKENS = "tokens"
    CEILING = "ceiling"
    STOP = "stop"


OF_LEDGER: Final = ("cost", "list_cost", "tokens", "unpriced_tokens", "unpriced_requests")
"""The sums of entries of the ledger."""


class BudgetAmounts(NamedTuple):
    """
    Sums of a budget in one period, or of one run in it. The names are those of `BUDGET_AMOUNTS`.
    """

    cost: int = 0
    list_cost: int = 0
    tokens: int = 0
    unpriced_tokens: int = 0
    unpriced_requests: int = 0
    runs: int = 0
    seconds: int = 0
    announced: int = 0
    reserved: int = 0
    used: int = 0

    def plus(self, other: BudgetAmounts) -> BudgetAmounts:
        """
        The sums of both.
        """
        return BudgetAmounts(*map(sum, zip(self, other, strict=True)))

    def until_ledger_is(self, sums: BudgetAmounts) -> BudgetAmounts:
        """
        The amounts to add to these, so that those of the ledger become *sums*. All others stay.
        """
        missing = {name: getattr(sums, name) - getattr(self, name) for name in OF_LEDGER}
        return BudgetAmounts(**missing)


def amounts_of(entry: UsageEntry) -> BudgetAmounts:
    """
    The amounts that an entry of the ledger adds to the budgets that cover it. A subscription that only the reporter
    told of counts at the list price.
    """
    cost = entry.list_cost if entry.unconfirmed_subscription else entry.cost
    return BudgetAmounts(
        cost=cost or 0, list_cost=entry.list_cost or 0, tokens=entry.input_tokens + entry.output_tokens,
        unpriced_tokens=entry.unpriced_tokens, unpriced_requests=entry.unpriced_requests,
    )  # fmt: skip


class PeriodBounds(NamedTuple):
    """
    The begin and the end of a period, in microseconds since 1970.
    """

    starts_at: int
    ends_at: int


@lru_cache(256)
def zone_of(name: str) -> tzinfo | None:
    """
    The time zone with this name, or None if there is none.
    """
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # it loads the configuration of the interpreter

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not found, no valid name, a folder of zones
        return None


def _time_zone(instance: object, attribute: Attribute[Any], value: str) -> None:
    text(least=1, most=LONGEST_ZONE)(instance, attribute, value)
    if zone_of(value) is None:
        raise InvalidField(attribute.name, "must be the name of a time zone, such as UTC or Europe/Berlin", value)


@frozen(kw_only=True, field_transformer=with_type_validators)
class Budget:
    """
    A limit of what the organization, a board, an agent, a task or a run may spend in a period.

    Args:
        board, agent, task, run: The target of the limit, in the field that *scope* names. The others are None.
        limit: The most that may be spent in a period: nano-dollars, tokens, runs or seconds.
        per_run: The amount that each claim reserves until its run ends.
        hard: Whether no run starts that has no room in the budget. Otherwise only events tell of the spending.
        time_zone: The time zone in which days, weeks (from Monday) and months begin.
        unknown_prices: The way in which tokens without a known price count; None if the budget does not measure money.
        ceiling_price: The nano-dollars per million tokens at which they count, if *unknown_prices* is a ceiling.
        list_price: Whether what a subscription pays for counts at its list price instead of 0.
    """

    id: BudgetId
    organization: OrganizationId
    number: BudgetNumber
    name: str = field(validator=text(least=1, most=LONGEST_BUDGET_NAME))
    scope: BudgetScope
    board: BoardId | None = None
    agent: AgentId | None = None
    task: TaskId | None = None
    run: RunId | None = None
    measure: BudgetMeasure
    limit: int = field(validator=whole_number(1, MAX_LIMIT))
    per_run: int = field(default=0, validator=whole_number(0, MAX_LIMIT))
    hard: bool = True
    period: BudgetPeriod
    time_zone: str = field(default="UTC", validator=_time_zone)
    unknown_prices: UnknownPrices | None = None
    ceiling_price: int | None = field(default=None, validator=optional(whole_number(1, MAX_COST)))
    list_price: bool = False
    created_at: datetime = field(validator=utc_moment)
    updated_at: datetime = field(validator=utc_moment)
    version: int = 0

    def __attrs_post_init__(self) -> None:
        for scope in (BudgetScope.BOARD, BudgetScope.AGENT, BudgetScope.TASK, BudgetScope.RUN):
            target = getattr(self, scope.value)
            if scope is self.scope and target is None:
                raise InvalidField(scope.value, f"is required for a budget of the scope {scope.value}", target)
            if scope is not self.scope and target is not None:
                why = f"must be left out for a budget of the scope {self.scope.value}"
                raise InvalidField(scope.value, why, target)
        self._check_reservation()
        self._check_prices()

    def _check_reservation(self) -> None:
        reserves = self.measure is not BudgetMeasure.RUNS and self.scope is not BudgetScope.RUN
        if not reserves and self.per_run:
            why = "each run counts as 1" if self.measure is BudgetMeasure.RUNS else "the run has begun already"
            raise InvalidField("per_run", f"must be left out: {why}", self.per_run)
        if reserves and self.hard and not self.per_run:
            raise InvalidField("per_run", "is required for a hard limit: the amount that a run is expected to spend")
        if self.per_run > self.limit:
            raise InvalidField("per_run", "must not exceed limit, or no run could start", self.per_run)

    def _check_prices(self) -> None:
        money = self.measure is BudgetMeasure.MONEY
        if money and self.unknown_prices is None:
            values = ", ".join(each.value for each in UnknownPrices)
            raise InvalidField("unknown_prices", f"is required for a budget of money: one of {values}")
        if not money and self.unknown_prices is not None:
            raise InvalidField("unknown_prices", "must be left out: the budget does not measure money")
        if not money and self.list_price:
            raise InvalidField("list_price", "must be left out: the budget does not measure money", self.list_price)
        has_ceiling = self.unknown_prices is UnknownPrices.CEILING
        if has_ceiling and self.ceiling_price is None:
            raise InvalidField("ceiling_price", "is required if unknown prices count at a ceiling")
        if not has_ceiling and self.ceiling_price is not None:
            raise InvalidField("ceiling_price", "must be left out unless unknown_prices is ceiling", self.ceiling_price)

    def covers(self, entry: UsageEntry) -> bool:
        """
        Whether an entry of the ledger counts against this budget.
        """
        if self.scope is BudgetScope.ORGANIZATION:
            return True
        found: bool = getattr(entry, self.scope.value) == getattr(self, self.scope.value)
        return found

    def counted(self, amounts: BudgetAmounts) -> int:
        """
        The amount of these sums in the budget's measure.
        """
        if self.measure is BudgetMeasure.TOKENS:
            return amounts.tokens
        if self.measure is BudgetMeasure.RUNS:
            return amounts.runs
        if self.measure is BudgetMeasure.TIME:
            return amounts.seconds
        known = amounts.list_cost if self.list_price else amounts.cost
        return known + -(-amounts.unpriced_tokens * (self.ceiling_price or 0) // MILLION)

    def period_at(self, at: datetime) -> PeriodBounds:
        """
        The bounds of the period that contains a moment.
        """
        if self.period is BudgetPeriod.ONCE:
            return PeriodBounds(0, NO_END)
        zone = zone_of(self.time_zone)
        assert zone is not None  # the field is validated
        first = at.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None, fold=0)
        if self.period is BudgetPeriod.WEEKLY:
            first -= timedelta(days=first.weekday())
        elif self.period is BudgetPeriod.MONTHLY:
            first = first.replace(day=1)
        days = {BudgetPeriod.DAILY: 1, BudgetPeriod.WEEKLY: 7}.get(self.period)
        after = first + timedelta(days=days) if days else (first + timedelta(days=32)).replace(day=1)
        # Both are local midnights, so a day of 23 or 25 hours is one period.
        return PeriodBounds(micros(first.replace(tzinfo=zone)), micros(after.replace(tzinfo=zone)))

    def periods_until(self, latest: int) -> Iterator[PeriodBounds]:
        """
        The periods of the budget since it was made, up to the one with the moment *latest*, in microseconds since 1970.
        """
        period = self.period_at(self.created_at)
        while period.starts_at <= latest:
            yield period
            if period.ends_at == NO_END:
                return
            period = self.period_at(moment(period.ends_at))


BUDGETS: Final = Kind(
    entity=Budget,
    name=BUDGETS_NAME,
    missing=BudgetNotFound,
    cascades_from={"board": Board, "agent": Agent, "task": Task},
)

LOGGED: Final = ("name", "scope", "measure", "limit", "period")
BudgetCreated, BudgetUpdated, BudgetDeleted = record_events("budget", subject="budget", logs=LOGGED, logs_change=LOGGED)


@frozen(kw_only=True, eq=False, repr=False)
class BudgetThresholdReached(Event):
    """
    A percentage of a budget's limit is spent.

    Args:
        threshold: The percentage: 50, 80 or 100.
        period_starts_at: When the period began; None if the budget has no periods.
    """

    kind = "budget.threshold_reached"

    budget: BudgetId
    name: str
    threshold: int
    measure: BudgetMeasure
    limit: int
    spent: int
    period_starts_at: datetime | None
