"""
The contract of the port `RateLimiter`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from attrs import evolve

from mission_adapters.testing.contracts.base import AsyncContract
from mission_core.lazy_attrs import frozen
from mission_core.rate_limits import Quota, RateLimitDecision, RateLimiter

THREE = Quota(name="three", amount=3, seconds=60)
SLIDING = evolve(THREE, name="three that slide", sliding=True)
by_either = pytest.mark.parametrize("quota", [THREE, SLIDING], ids=lambda quota: quota.name)


@frozen
class LimiterUnderTest:
    """
    A rate limiter under test, with a way to let time pass and a client that it has not seen yet.

    Args:
        passes: Lets this many seconds pass, for example by a `ManualClock`.
        client: The name of the client.
    """

    limiter: RateLimiter
    passes: Callable[[float], Awaitable[None]]
    client: str

    async def hit(self, quota: Quota = THREE, who: str = "") -> RateLimitDecision:
        """
        Count a request of the client, or of another client whose name has this suffix.
        """
        return await self.limiter.hit(quota, self.client + who)

    async def hits(self, count: int, quota: Quota = THREE, who: str = "") -> list[RateLimitDecision]:
        """
        Count this many requests, one after the other.
        """
        return [await self.hit(quota, who) for _ in range(count)]


class RateLimiterContract(AsyncContract):
    """
    The contract of the port `RateLimiter`. A subclass, its module or its `conftest.py` provides a fixture `limited`: a
    `LimiterUnderTest`.
    """

    @by_either
    async def test_requests_up_to_the_quota_are_allowed(self, limited: LimiterUnderTest, quota: Quota) -> None:
        """
        Requests up to the quota are allowed and later ones are refused. `remaining` counts down in a fixed window and
        stays at the quota in a sliding one until it is used up.
        """
        verdicts = await limited.hits(5, quota)

        assert [True, True, True, False, False] == [each.allowed for each in verdicts]
        assert ([3, 3, 3, 0, 0] if quota.sliding else [2, 1, 0, 0, 0]) == [each.remaining for each in verdicts]
        assert ([0, 0, 0, 4, 5] if quota.sliding else [1, 2, 3, 4, 5]) == [each.count for each in verdicts]

    @by_either
    async def test_concurrent_requests_do_not_exceed_the_quota(self, limited: LimiterUnderTest, quota: Quota) -> None:
        """
        Concurrent requests do not exceed the quota, and each refused request has its own count.
        """
        verdicts = await asyncio.gather(*(limited.hit(evolve(quota, amount=10)) for _ in range(500)))

        assert 10 == sum(each.allowed for each in verdicts)
        assert {*range(11, 501)} == {each.count for each in verdicts if not each.allowed}

    async def test_a_fixed_window_starts_with_its_first_request(self, limited: LimiterUnderTest) -> None:
        """
        A fixed window starts with its first request and ends after the seconds of the quota, however many requests it
        counted.
        """
        first = await limited.hit()
        await limited.passes(40)
        before = await limited.hits(5)
        await limited.passes(21)
        after = await limited.hit()

        assert 60 == first.retry_after
        assert {20, 21} >= {each.retry_after for each in before}
        assert (True, 1, 60) == (after.allowed, after.count, after.retry_after)

    @by_either
    async def test_a_client_that_waits_for_retry_after_is_allowed_again(
        self, limited: LimiterUnderTest, quota: Quota
    ) -> None:
        """
        A client that waits for `retry_after` is allowed again, whenever it was refused.
        """
        for waited in (0.0, 12.3, 47.9):
            refused = (await limited.hits(4, quota))[-1]
            await limited.passes(waited)
            again = await limited.hit(quota)
            await limited.passes(again.retry_after)

            assert (False, False) == (refused.allowed, again.allowed)
            assert (await limited.hit(quota)).allowed
            await limited.passes(61)

    @by_either
    async def test_clients_and_quotas_are_counted_separately(self, limited: LimiterUnderTest, quota: Quota) -> None:
        """
        Clients are counted separately, and so are quotas of different names.
        """
        await limited.hits(4, quota)
        other = evolve(quota, name="other")

        assert (False, True, True) == tuple([each.allowed for each in (
            await limited.hit(quota), await limited.hit(quota, "'s neighbour"), await limited.hit(other)
        )])  # fmt: skip

    @by_either
    async def test_the_parts_of_a_clients_name_are_kept_apart(self, limited: LimiterUnderTest, quota: Quota) -> None:
        """
        The parts of a client's name are kept apart, so `("x:b", "c")` and `("x", "b:c")` are counted separately.
        """
        whole = f"{limited.client}:b"
        verdicts = [await limited.limiter.hit(quota, *who) for who in [(whole, "c")] * 4 + [(limited.client, "b:c")]]

        assert [True, True, True, False, True] == [each.allowed for each in verdicts]

    async def test_all_requests_in_a_fixed_window_have_the_same_resets_at(self, limited: LimiterUnderTest) -> None:
        """
        All requests in one fixed window are answered with the same `resets_at`.
        """
        ends = {each.resets_at for each in await limited.hits(5)}

        assert 1 == len(ends)

    async def test_requests_in_a_sliding_window_expire_one_by_one(self, limited: LimiterUnderTest) -> None:
        """
        In a sliding window each request expires by itself, and `retry_after` is the time until the next one is allowed.
        """
        first = await limited.hit(SLIDING)
        await limited.passes(40)
        later = await limited.hits(3, SLIDING)
        await limited.passes(20)
        last = await limited.hits(2, SLIDING)

        assert [True, True, True, False, True, False] == [each.allowed for each in (first, *later, *last)]
        assert pytest.approx([20, 40], abs=1) == [each.retry_after for each in (later[-1], last[-1])]

    async def test_refused_requests_do_not_count_against_a_sliding_window(self, limited: LimiterUnderTest) -> None:
        """
        Refused requests do not count against a sliding window, so constant retries do not lock a client out.
        """
        allowed = []
        for _ in range(12):
            allowed.append(sum(each.allowed for each in await limited.hits(5, SLIDING)))
            await limited.passes(20)

        assert [3, 0, 0] * 4 == allowed

    async def test_refused_requests_of_a_sliding_window_are_numbered(self, limited: LimiterUnderTest) -> None:
        """
        Refused requests of a sliding window are numbered. The numbers start again once the seconds of the quota have
        passed since the first refused one, whatever was allowed in between.
        """
        numbered = []
        for wait, hits in [(0, 1), (40, 2), (10, 2), (11, 2), (50, 4)]:
            await limited.passes(wait)
            numbered.append([each.count for each in await limited.hits(hits, SLIDING)])

        assert [[0], [0, 0], [4, 5], [0, 6], [0, 0, 4, 5]] == numbered

    async def test_retry_after_follows_a_lowered_sliding_quota(self, limited: LimiterUnderTest) -> None:
        """
        After a sliding quota is lowered, `retry_after` covers the time until enough requests have expired.
        """
        for _ in range(3):
            await limited.hit(SLIDING)
            await limited.passes(10)
        fewer = evolve(SLIDING, amount=2)
        refused = await limited.hit(fewer)
        await limited.passes(refused.retry_after)

        assert pytest.approx(40, abs=1) == refused.retry_after
        assert [True, False] == [each.allowed for each in await limited.hits(2, fewer)]
