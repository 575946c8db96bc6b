"""
Checks of the rate limits: whether their variables are known, and whether their store can be reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, Self

from attrs import frozen

from mission_http.doctor.findings import Check, Finding
from mission_http.doctor.port import Listening
from mission_http.limiting import BACKEND, DISABLE, PREFIX, VARIABLES, Limiting, variable_of
from mission_http.platform.rate_limits import CLASSES, QUOTAS
from mission_http.settings import SettingsError
from mission_http.wiring import limiter_from

if TYPE_CHECKING:
    from mission_http.settings import Settings

LIMITS: Final = Check("rate limits")


@frozen(kw_only=True)
class Counting:
    """
    The inspected rate limits.

    Args:
        why: The reason that requests cannot be counted; empty if they can.
        advice: The step that solves it.
    """

    limiting: Limiting
    why: str = ""
    advice: str = ""

    @classmethod
    async def seen(cls, settings: Settings) -> Self:
        """
        Open the rate limiter as the server's start does. A Redis is asked to count one test request.
        """
        try:
            async with limiter_from(settings):
                return cls(limiting=settings.limiting)
        except SettingsError as e:
            return cls(limiting=settings.limiting, why=e.told.partition(": ")[2], advice=e.advice)


def check_limits(counting: Counting, listening: Listening) -> Iterator[Finding]:
    """
    Check that every variable names a rate limit, that sign-in is limited, and that requests can be counted.
    """
    limiting = counting.limiting
    for name in limiting.unknown:
        yield LIMITS.warning(name, "names no rate limit, so it is ignored", _meant(name), name)
    for name, each in CLASSES.items():
        if not each.bypassable and name not in limiting.quotas:
            variable, quota = variable_of(name), QUOTAS[name]
            advice = f"unset {variable}, or set it to something like {quota.amount}/{quota.seconds}"
            yield LIMITS.warning(variable, "lets clients try credentials without limit", advice, variable)
    if limiting.disabled and listening.wide:
        found = "other machines can reach the server and send requests without limit"
        advice = f"unset {DISABLE}, and raise those limits that are too low"
        yield LIMITS.warning(f"{DISABLE}=1", found, advice, DISABLE)
    yield _counted(counting)


def _meant(name: str) -> str:
    near = get_close_matches(name.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in VARIABLES], 1)
    return f"unset {name}, or rename it to {PREFIX}{near[0]} if that was meant" if near else f"unset {name}"


def _counted(counting: Counting) -> Finding:
    redis = counting.limiting.redis
    if redis is None:
        return LIMITS.ok("memory", f"each server process counts separately; {BACKEND}=redis shares the counts")
    place = f"the Redis in {redis.variable}"
    if counting.why:
        return LIMITS.problem(place, counting.why, counting.advice, redis.variable, BACKEND)
    return LIMITS.ok(place, "counts requests of all server processes")
