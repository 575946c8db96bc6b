"""
Rate limits: quotas, the decision about one request, and the port of rate limiters.
"""

from __future__ import annotations

from datetime import datetime
from math import ceil
from typing import Protocol

from attrs import field
from attrs.validators import ge

from mission_core.errors import Exhausted
from mission_core.lazy_attrs import define, frozen


@frozen(kw_only=True)
class Quota:
    """
    A limit of *amount* requests in a window of *seconds*. A fixed window begins with its first request; a sliding
    window always covers the last *seconds*.

    Args:
        name: The class of requests. Quotas with the same name count together, and must agree on *sliding*.
    """

    name: str
    amount: int = field(validator=ge(1))
    seconds: int = field(validator=ge(1))
    sliding: bool = False


@frozen
class RateLimitDecision:
    """
    The decision of a rate limiter about one request.

    Args:
        count: The position of the request in its window; 0 if it could not be counted, and is therefore allowed.
            In a sliding window an allowed request has 0, and refused requests are numbered from the amount on.
        at: The time of the request.
        resets_at: The end of the window. In a sliding window: for a refused request, when the next one may be allowed;
            for an allowed request, when it stops counting.
    """

    quota: Quota
    count: int
    at: datetime
    resets_at: datetime

    @property
    def allowed(self) -> bool:
        """
        Whether the request may pass.
        """
        return self.count <= self.quota.amount

    @property
    def remaining(self) -> int:
        """
        The most requests that may still be allowed in this window. If *count* is 0, fewer may be allowed.
        """
        return max(0, self.quota.amount - self.count)

    @property
    def retry_after(self) -> int:
        """
        The whole seconds, at least one, until another request can be allowed if no other request is counted first.
        """
        return max(1, ceil((self.resets_at - self.at).total_seconds()))


@define(repr=False)
class LimiterFailed(Exhausted):
    """
    The rate limiter's store cannot be reached or returned an error.
    """

    reason: str

    says = "requests cannot be counted: {self.reason}"


class RateLimiter(Protocol):
    """
    Counts requests. In one window it allows at most the quota's amount, however many requests arrive at once.
    """

    async def hit(self, quota: Quota, *who: str) -> RateLimitDecision:
        """
        Count one request of the client named by *who*. A refused request does not extend the window and takes no place
        in a sliding one.
        """
