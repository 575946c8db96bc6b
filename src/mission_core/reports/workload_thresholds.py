"""
The thresholds of the workload report, which are settings of a server.
"""

from __future__ import annotations

from attrs import field

from mission_core.errors import InvalidField
from mission_core.lazy_attrs import frozen
from mission_core.values import number_between, whole_number


@frozen(kw_only=True)
class WorkloadThresholds:
    """
    The values from which the recommendation gets worse.
    """

    queue_depth_normal: int = field(default=20, validator=whole_number(0))
    queue_depth_throttle: int = field(default=50, validator=whole_number(0))
    queue_depth_shed: int = field(default=100, validator=whole_number(0))
    busy_ratio_throttle: float = field(default=0.8, validator=number_between(0, 1))
    busy_ratio_shed: float = field(default=0.95, validator=number_between(0, 1))
    error_rate_throttle: float = field(default=0.1, validator=number_between(0, 1))
    error_rate_shed: float = field(default=0.25, validator=number_between(0, 1))
    recent_window_seconds: int = field(default=300, validator=whole_number(60, 3600))

    def __attrs_post_init__(self) -> None:
        rising = (
            ("queue_depth_normal", "queue_depth_throttle"),
            ("queue_depth_throttle", "queue_depth_shed"),
            ("busy_ratio_throttle", "busy_ratio_shed"),
            ("error_rate_throttle", "error_rate_shed"),
        )
        for lower, higher in rising:
            least = getattr(self, lower)
            if getattr(self, higher) < least:
                raise InvalidField(higher, f"must not be below {lower}, which is {least}", getattr(self, higher))
