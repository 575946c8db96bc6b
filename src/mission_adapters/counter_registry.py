"""
All counters. Every store has a table for each, and updates it in each flush.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from mission_core.agents.counters import AGENT_COUNTS, AGENTS
from mission_core.agents.model import Agent
from mission_core.events.counters import CountedChanges, Counters
from mission_core.kinds import kind_of
from mission_core.reports.hourly_counters import HOURLY_COUNTS
from mission_core.tasks.counters import TASK_COUNTS, WORKLOADS

TASK_COUNTERS: Final[tuple[Counters, ...]] = (TASK_COUNTS, WORKLOADS, HOURLY_COUNTS)
"""The counters of tasks and events."""
COUNTERS: Final = (*TASK_COUNTERS, AGENT_COUNTS)
"""The counters that go with their board."""


@cache
def entity_counters() -> tuple[Counters, ...]:
    """
    Return the counters of entities of kinds. They are imported when they are first used, since few programs do.
    """
    from mission_core.usage.counters import USAGE_ROLLUPS

    return USAGE_ROLLUPS


@cache
def budget_amounts() -> Counters:
    """
    Return the counters of what is spent of budgets. A store adds to them what `post` of the core returns.
    """
    from mission_core.usage.counters import BUDGET_AMOUNTS

    return BUDGET_AMOUNTS


def counters_for(changes: CountedChanges) -> tuple[Counters, ...]:
    """
    Return the counters that these changes may change.
    """
    return (*COUNTERS, *entity_counters()) if changes.entities else TASK_COUNTERS


def counted_entities(writes: Iterable[Any]) -> dict[str, list[tuple[Any, Any]]]:
    """
    Return the state before and after of each written entity that is counted, by the name that its counters give.
    """
    found: dict[str, list[tuple[Any, Any]]] = {}
    for write in writes:
        entity = type(write.after or write.before)
        kind = kind_of(entity)
        if entity is Agent:
            found.setdefault(AGENTS, []).append((write.before, write.after))
        elif kind is not None and kind.counted:
            found.setdefault(kind.name, []).append((write.before, write.after))
    return found
