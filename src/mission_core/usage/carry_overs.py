"""
Carry-overs of the token ledger: entries that stand for many old ones, with their sums.

A carry-over has the sums of the entries of a quarter of an hour that share all of `SHARED`. So all sums by hour and by
day stay as they are, and those of budgets in every time zone, and all of them can still be computed from the entries.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from mission_core.ids import UsageId
from mission_core.usage.counters import SUMMED
from mission_core.usage.model import UsageEntry
from mission_core.values import micros

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

CARRIER: Final = "system:retention"
"""The reporter of a carry-over."""
IMPORTER: Final = "system:import"
"""The reporter of imported entries."""
CARRY_OVER: Final = "carry_over"
"""The operation of a carry-over."""
SPAN_MICROS: Final = 900_000_000
"""A quarter of an hour in microseconds. The offsets of all time zones are multiples of it."""
SHARED: Final = (
    "board", "task", "task_number", "run", "late", "agent", "agent_name", "session", "provider", "model",
    "subscription", "unconfirmed_subscription", "batch", "price_source", "price_version", "basis",
)  # fmt: skip
"""The fields that all entries of a carry-over share."""
ADDED: Final = (*SUMMED, "reported_cost")
"""The fields that are added up. A cost stays None if it is None in all entries."""


def span_of(at: datetime) -> tuple[int, int]:
    """
    The quarter of an hour that contains a time: its begin and end in microseconds since 1970.
    """
    begin = micros(at) // SPAN_MICROS * SPAN_MICROS
    return begin, begin + SPAN_MICROS


def is_foldable(entry: UsageEntry, reversed_entry: UsageEntry | None, *, before: datetime) -> bool:
    """
    Whether an entry of an old use is folded. One that was recorded since *before* stays, so that a repeated report
    finds it. One that was imported stays, so that another import finds it, and with it what reverses it, so that
    another correction finds that.
    """
    if entry.reporter == CARRIER:
        return True
    reporters = (entry.reporter, reversed_entry.reporter if reversed_entry else None)
    return IMPORTER not in reporters and entry.recorded_at < before


def carry_overs(
    entries: Iterable[UsageEntry], new_id: Callable[[], UUID], *, recorded_at: datetime
) -> list[UsageEntry]:
    """
    The carry-overs that stand for these entries of one quarter of an hour. Entries that add up to nothing leave none.
    """
    cells: dict[tuple[Any, ...], list[UsageEntry]] = {}
    for each in entries:
        cells.setdefault(tuple(getattr(each, name) for name in SHARED), []).append(each)
    found = []
    for key, some in cells.items():
        told = {name: [amount for each in some if (amount := getattr(each, name)) is not None] for name in ADDED}
        sums = {name: sum(amounts) if amounts else None for name, amounts in told.items()}
        values: dict[str, Any] = {**dict(zip(SHARED, key, strict=True)), **sums}
        if any(sums.values()):
            found.append(
                UsageEntry(
                    id=UsageId(new_id()), organization=some[0].organization, reporter=CARRIER, operation=CARRY_OVER,
                    at=max(each.at for each in some), recorded_at=recorded_at, **values,
                )
            )  # fmt: skip
    return found
