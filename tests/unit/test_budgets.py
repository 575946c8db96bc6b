"""
Periods of budgets, and the rules of an account that no store can change.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_core.events.model import Actor
from mission_core.ids import BoardId, BudgetId, BudgetNumber, OrganizationId, RunId, TaskId
from mission_core.tasks.runs import Assignee, Run
from mission_core.usage.budget_accounts import BudgetAccount, Reservation
from mission_core.usage.budgets import (
    NO_END,
    Budget,
    BudgetAmounts,
    BudgetMeasure,
    BudgetPeriod,
    BudgetScope,
    UnknownPrices,
)
from mission_core.values import micros, moment

HOUR = timedelta(hours=1)
NOON = datetime(2030, 6, 5, 12, tzinfo=UTC)
RUN = RunId(UUID(int=9))
ZONES = ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Apia", "Australia/Lord_Howe"]


def budget(**fields: Any) -> Budget:
    """
    A daily budget of tokens, unless the fields say otherwise.
    """
    given = {"measure": BudgetMeasure.TOKENS, "limit": 100, "per_run": 10, "period": BudgetPeriod.DAILY} | fields
    return Budget(
        id=BudgetId(UUID(int=7)), organization=OrganizationId(UUID(int=8)), number=BudgetNumber(1), name="cap",
        scope=BudgetScope.ORGANIZATION, created_at=NOON, updated_at=NOON, **given,
    )  # fmt: skip


def run() -> Run:
    """
    A run that was claimed at noon.
    """
    return Run(
        id=RUN, organization=OrganizationId(UUID(int=8)), board=BoardId(UUID(int=1)), task=TaskId(UUID(int=2)),
        fence=1, attempt=1, by=Assignee("ada"), actor=Actor("system", None, "test"), term=HOUR,
        delay=timedelta(0), claimed_at=NOON, expires_at=NOON + HOUR, heartbeat_at=NOON,
    )  # fmt: skip


@given(
    zone=st.sampled_from(ZONES),
    period=st.sampled_from([BudgetPeriod.DAILY, BudgetPeriod.WEEKLY, BudgetPeriod.MONTHLY]),
    at=st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),
)
def test_periods_cover_all_time_without_overlap(zone: str, period: BudgetPeriod, at: datetime) -> None:
    """
    Each moment is in one period, which begins at the first moment of a local day.
    """
    one = budget(time_zone=zone, period=period)
    bounds = one.period_at(at)
    begin, last = moment(bounds.starts_at), moment(bounds.ends_at - 1)

    assert bounds.starts_at <= micros(at) < bounds.ends_at
    assert bounds == one.period_at(begin) == one.period_at(last)
    assert bounds.starts_at == one.period_at(begin - timedelta(microseconds=1)).ends_at
    local, before = (each.astimezone(ZoneInfo(zone)) for each in (begin, begin - timedelta(microseconds=1)))
    assert local.date() > before.date()
    assert period is not BudgetPeriod.WEEKLY or local.weekday() == 0 or zone == "Pacific/Apia"
    assert period is not BudgetPeriod.MONTHLY or local.day == 1


@pytest.mark.parametrize(("day", "hours"), [((2030, 3, 31), 23), ((2030, 10, 27), 25), ((2030, 6, 5), 24)])
def test_a_day_of_a_changed_clock_is_one_period(day: tuple[int, int, int], hours: int) -> None:
    bounds = budget(time_zone="Europe/Berlin").period_at(datetime(*day, 12, tzinfo=UTC))

    assert hours * HOUR == moment(bounds.ends_at) - moment(bounds.starts_at)
    assert datetime(*day) == moment(bounds.starts_at).astimezone(ZoneInfo("Europe/Berlin")).replace(tzinfo=None)


def test_a_budget_without_periods_never_begins_again() -> None:
    assert (0, NO_END) == budget(period=BudgetPeriod.ONCE).period_at(NOON)


@pytest.mark.parametrize(
    ("spent", "reserved", "left", "reached"),
    [
        (90, 10, 10, False),  # within what it has reserved
        (90, 10, 0, True),  # others have reserved the rest
        (80, 10, 0, False),  # there is room
        (100, 10, 10, True),  # the limit is spent
        (120, 0, 0, True),
    ],
)
def test_a_run_goes_on_within_its_reservation_or_while_there_is_room(
    spent: int, reserved: int, left: int, reached: bool
) -> None:
    one = budget()
    account = BudgetAccount(
        budget=one, period=one.period_at(NOON), total=BudgetAmounts(tokens=spent), reserved=reserved,
        own={RUN: Reservation(left, left)},
    )  # fmt: skip

    assert reached == account.is_reached_for(run(), at=NOON)


def test_a_ceiling_counts_each_started_nano_dollar() -> None:
    """
    And corrections that take tokens back take their part back.
    """
    priced = {"measure": BudgetMeasure.MONEY, "unknown_prices": UnknownPrices.CEILING, "ceiling_price": 2_500_000}
    counted = budget(**priced).counted

    assert [0, 3, 5, 12] == [counted(BudgetAmounts(cost=cost, unpriced_tokens=count)) for cost, count in (
        (0, 0), (0, 1), (0, 2), (2, 4),
    )]  # fmt: skip
