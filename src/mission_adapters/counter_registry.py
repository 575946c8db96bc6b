"""
All counters. Every store has a table for each, and updates it in each flush.
"""

from __future__ import annotations

from typing import Final

from mission_core.events.counters import Counters
from mission_core.reports.hourly_counters import HOURLY_COUNTS
from mission_core.tasks.counters import TASK_COUNTS, WORKLOADS

COUNTERS: Final[tuple[Counters, ...]] = (TASK_COUNTS, WORKLOADS, HOURLY_COUNTS)
