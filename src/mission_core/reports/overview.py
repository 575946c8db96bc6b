"""
Overview of an organization in numbers: tasks, agents, events and storage.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from mission_core.lazy_attrs import frozen
from mission_core.reports.hourly_counters import ACCESS_KEY_KINDS, TASK_COUNTERS
from mission_core.reports.queries import HourRange

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ports import Ports

DAY: Final = timedelta(days=1)
WEEK: Final = timedelta(days=7)


@frozen(kw_only=True)
class OrganizationOverview:
    """
    The number of tasks and agents by status, the number of events in the last day and week, and the size of the store
    in bytes. A day starts at a full hour.
    """

    tasks: dict[str, int]
    agents: dict[str, int]
    happened_today: int
    audited_today: int
    audited_this_week: int
    size: int


async def organization_overview(ports: Ports, principal: Principal) -> OrganizationOverview:
    """
    The overview of the principal's organization.
    """
    now, reads = ports.clock.now(), ports.reads.reports
    counts, agents, size = await reads.overview(principal, HourRange(now - WEEK, now - DAY), at=now)
    tasks: Counter[str] = Counter()
    for each in counts.status_counts:
        tasks[each.status] += each.amount
    facts = [each for each in counts.bucket_counts if each.what not in TASK_COUNTERS]
    audited = [each for each in facts if each.what in ACCESS_KEY_KINDS]
    return OrganizationOverview(
        tasks=dict(sorted(tasks.items())),
        agents=dict(sorted(agents.items())),
        happened_today=sum(each.amount for each in facts if each.late),
        audited_today=sum(each.amount for each in audited if each.late),
        audited_this_week=sum(each.amount for each in audited),
        size=size,
    )
