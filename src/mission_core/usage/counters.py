"""
The rollups of the token ledger: its sums by hour, by day and over all time, which each commit updates with the entries
it adds.

They equal the sums over all entries. `mission-control usage rebuild` computes them again.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final

from mission_core.events.counters import NO_ID, Counters, EntityCells
from mission_core.values import micros

if TYPE_CHECKING:
    from uuid import UUID

    from mission_core.events.counters import CounterKey
    from mission_core.usage.model import UsageEntry

USAGE_ENTRIES: Final = "usage_entries"
"""The name of the kind of the entries."""
BUDGETS_NAME: Final = "budgets"
"""The name of the kind of the budgets."""
PRICE_OVERRIDES_NAME: Final = "price_overrides"
"""The name of the kind of the price overrides."""
COUNTS: Final = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
    "input_audio_tokens", "output_audio_tokens",
)  # fmt: skip
"""The names of all counts of tokens."""

HOUR_MICROS: Final = 3_600_000_000
ALL_TIME: Final = 0
"""Stands for the length of the one span that has everything. Its slot is 0."""
HOURS_OF_CELLS: Final = (1, 24, ALL_TIME)
"""The lengths of the spans that are summed, in hours."""
SUMMED: Final = ("requests", *COUNTS, "unpriced_tokens", "unpriced_requests", "list_cost", "cost")
"""The fields of entries that are summed. An unknown cost adds nothing."""


_values: Final = attrgetter("at", "board", "task", "agent", "session", "agent_name", "model")
_summed: Final = attrgetter(*SUMMED)


def _cell(entry: UsageEntry) -> CounterKey:
    at, board, task, agent, *texts = _values(entry)
    return (micros(at) // HOUR_MICROS, _id(board), _id(task), _id(agent), *texts)


def _id(value: UUID | None) -> bytes:
    return NO_ID if value is None else value.bytes


def _amounts(entry: UsageEntry) -> tuple[int, ...]:
    found: tuple[int, ...] = _summed(entry)
    return tuple(each or 0 for each in found) if None in found else found


def _totals(cell: CounterKey) -> list[CounterKey]:
    hour, board, _, agent, _, *texts = cell
    return [(*span, board, agent, *texts) for span in _spans(hour)]


def _tasks(cell: CounterKey) -> list[CounterKey]:
    hour, board, task, agent, _, *texts = cell
    return [(*span, board, task, agent, *texts) for span in _spans(hour)]


def _details(cell: CounterKey) -> list[CounterKey]:
    hour, board, task, agent, session, *texts = cell
    return [(*span, board, task, session, agent, *texts) for span in _spans(hour)]


def _sessions(cell: CounterKey) -> list[CounterKey]:
    return [(cell[4],)]


def _spans(hour: int) -> list[tuple[int, int]]:
    """
    The spans that contain an hour: the length and number of each.
    """
    return [(hours, hour // hours if hours else 0) for hours in HOURS_OF_CELLS]


_CELLS: Final = EntityCells(USAGE_ENTRIES, _cell, _amounts)

USAGE_TOTALS: Final = Counters(
    "usage_totals",
    {"hours": int, "slot": int, "board": bytes, "agent": bytes, "agent_name": str, "model": str},
    of_cell=(_CELLS, _totals),
    board=None,
    summed=SUMMED,
)
"""The sums by board, agent and model. *slot* is the number of the hour (*hours* is 1) or day (24) since 1970, and 0 for
all time."""
USAGE_TASKS: Final = Counters(
    "usage_tasks",
    {"hours": int, "slot": int, "board": bytes, "task": bytes, "agent": bytes, "agent_name": str, "model": str},
    of_cell=(_CELLS, _tasks),
    board=None,
    summed=SUMMED,
)
"""The same sums, also by task."""
USAGE_DETAILS: Final = Counters(
    "usage_details",
    {
        "hours": int, "slot": int, "board": bytes, "task": bytes, "session": str, "agent": bytes, "agent_name": str,
        "model": str,
    },
    of_cell=(_CELLS, _details),
    board=None,
    summed=SUMMED,
)  # fmt: skip
"""The same sums, also by task and session."""
USAGE_SESSIONS: Final = Counters(
    "usage_sessions", {"session": str}, of_cell=(_CELLS, _sessions), board=None, summed=SUMMED
)
"""The sums of each session over all time, from which the largest sessions are found."""
USAGE_ROLLUPS: Final = (USAGE_TOTALS, USAGE_TASKS, USAGE_DETAILS, USAGE_SESSIONS)

BUDGET_AMOUNTS: Final = Counters(
    "budget_amounts",
    {"budget": bytes, "run": bytes, "ends_at": int, "starts_at": int},
    board=None,
    summed=(
        "cost", "list_cost", "tokens", "unpriced_tokens", "unpriced_requests", "runs", "seconds", "announced",
        "reserved", "used",
    ),
)  # fmt: skip
"""
The sums of each budget in each of its periods, which begin and end at these microseconds since 1970. The sums without a
run are what was spent; *announced* is the highest percentage that was announced. Those of a run are what its claim
reserved in the period, and how much of that the run has used.
"""
