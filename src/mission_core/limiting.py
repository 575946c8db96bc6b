"""
How often somebody may ask: quotas, what a limiter says to one request, and the port of limiters.
"""

from __future__ import annotations

from datetime import datetime
from math import ceil
from typing import Protocol

from attrs import define, field, frozen
from attrs.validators import ge

from mission_core.errors import Exhausted


@frozen(kw_only=True)
class Quota:
    """
    So many requests in a window of so many seconds, which begins with the first of them; or in any span of so many
    seconds, if the window slides.

    Args:
        name: The class of requests that it is for. Quotas of one name count together, and all of them slide or none.
    """

    name: str
    amount: int = field(validator=ge(1))
    seconds: int = field(validator=ge(1))
    sliding: bool = False


@frozen
class Verdict:
    """
    What a limiter says to one request.

    Args:
        count: Which one of its window it is; 0 if it could not be counted, and so may pass. Where the window slides,
            only those refused are numbered, from the amount on, and anew once the quota's seconds are over since the
            first; those allowed say 0, for how many there are is not found out.
        at: When it was asked for.
        resets_at: When its window ends. In one that slides: when one more may pass, if this one is refused; or when
            this one no longer counts.
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
        How many more may pass in this window, at most: if this one was not numbered, it may be fewer.
        """
        return max(0, self.quota.amount - self.count)

    @property
    def retry_after(self) -> int:
        """
        In how many whole seconds, at least one, the window is over for sure, or has slid far enough: who comes then
        is let in, unless others were first.
        """
        return max(1, ceil((self.resets_at - self.at).total_seconds()))


@define
class LimiterFailed(Exhausted):
    """
    What keeps the counts cannot be reached, or refuses to count.
    """

    reason: str

    def __str__(self) -> str:
        return f"requests cannot be counted: {self.reason}"


class RateLimiter(Protocol):
    """
    Counts requests. Of those of one window no more than the quota's amount are allowed, however many come at once.
    """

    async def hit(self, quota: Quota, *who: str) -> Verdict:
        """
        Count one request of somebody. What is not allowed changes nothing for what comes later: it makes no window
        longer, and takes no place in one that slides.
        """
