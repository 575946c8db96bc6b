"""
Checks of the rate limits: whether their variables are known, and whether their store can be reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, Self

from mission_core.lazy_attrs import frozen
from mission_http.doctor.findings import Check, DoctorFinding
from mission_http.doctor.listen_address import ListenAddressState
from mission_http.platform.rate_limits import DEFAULT_QUOTAS, RATE_LIMIT_CLASSES
from mission_http.rate_limit_settings import BACKEND, CLASS_BY_VARIABLE, DISABLE, PREFIX, RateLimitSettings, variable_of
from mission_http.settings import SettingsError
from mission_http.wiring import rate_limiter_from_settings

if TYPE_CHECKING:
    from mission_http.settings import Settings

LIMITS: Final = Check("rate limits")


@frozen(kw_only=True)
class RateLimiterState:
    """
    The state of the rate limits, as the doctor inspected them.

    Args:
        error: The reason that requests cannot be counted; empty if they can.
        advice: The step that solves it.
    """

    limiting: RateLimitSettings
    error: str = ""
    advice: str = ""

    @classmethod
    async def inspect(cls, settings: Settings) -> Self:
        """
        Open the rate limiter as the server's start does. A Redis is asked to count one test request.
        """
        try:
            async with rate_limiter_from_settings(settings):
                return cls(limiting=settings.rate_limits)
        except SettingsError as e:
            return cls(limiting=settings.rate_limits, error=e.told.partition(": ")[2], advice=e.advice)


def check_rate_limits(counting: RateLimiterState, listening: ListenAddressState) -> Iterator[DoctorFinding]:
    """
    Check that every variable names a rate limit, that sign-in is limited, and that requests can be counted.
    """
    limiting = counting.limiting
    for name in limiting.unknown:
        yield LIMITS.warning(name, "names no rate limit, so it is ignored", _variable_advice(name), name)
    for name, each in RATE_LIMIT_CLASSES.items():
        if not each.bypassable and name not in limiting.quotas:
            variable, quota = variable_of(name), DEFAULT_QUOTAS[name]
            advice = f"unset {variable}, or set it to something like {quota.amount}/{quota.seconds}"
            yield LIMITS.warning(variable, "lets clients try credentials without limit", advice, variable)
    if limiting.disabled and listening.beyond_loopback:
        found = "other machines can reach the server and send requests without limit"
        advice = f"unset {DISABLE}, and raise those limits that are too low"
        yield LIMITS.warning(f"{DISABLE}=1", found, advice, DISABLE)
    yield _check_backend(counting)


def _variable_advice(name: str) -> str:
    near = get_close_matches(name.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in CLASS_BY_VARIABLE], 1)
    return f"unset {name}, or rename it to {PREFIX}{near[0]} if that was meant" if near else f"unset {name}"


def _check_backend(counting: RateLimiterState) -> DoctorFinding:
    redis = counting.limiting.redis
    if redis is None:
        return LIMITS.ok("memory", f"each server process counts separately; {BACKEND}=redis shares the counts")
    place = f"the Redis in {redis.variable}"
    if counting.error:
        return LIMITS.problem(place, counting.error, counting.advice, redis.variable, BACKEND)
    return LIMITS.ok(place, "counts requests of all server processes")
