"""
What there is of everything, in numbers.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import frozen

from mission_core.reports.pulse import AUDITED, STANDING
from mission_core.reports.queries import Hours, Scope

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ports import Ports

DAY: Final = timedelta(days=1)
WEEK: Final = timedelta(days=7)


@frozen(kw_only=True)
class Overview:
    """
    How many tasks and agents there are of each status, what the log tells of the last day and week, and how many bytes
    the store takes. A day begins with the hour in which it began.
    """

    tasks: dict[str, int]
    agents: dict[str, int]
    happened_today: int
    audited_today: int
    audited_this_week: int
    size: int


async def overview(ports: Ports, principal: Principal) -> Overview:
    """
    What there is of everything.
    """
    now, reads = ports.clock.now(), ports.reads.reports
    counts = await reads.counts(principal, Scope(), Hours(now - WEEK, now - DAY))
    tasks: Counter[str] = Counter()
    for each in counts.standing:
        tasks[each.status] += each.amount
    facts = [each for each in counts.happened if each.what not in STANDING]
    audited = [each for each in facts if each.what in AUDITED]
    return Overview(
        tasks=dict(sorted(tasks.items())),
        agents=dict(sorted(Counter(each.status(at=now) for each in await reads.staff(principal, Scope())).items())),
        happened_today=sum(each.amount for each in facts if each.late),
        audited_today=sum(each.amount for each in audited if each.late),
        audited_this_week=sum(each.amount for each in audited),
        size=await reads.size(),
    )
