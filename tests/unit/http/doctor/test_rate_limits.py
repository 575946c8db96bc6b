"""
What is said of rate limits.
"""

import pytest

from mission_http.doctor.findings import FindingLevel
from mission_http.doctor.listen_address import ListenAddressState
from mission_http.doctor.rate_limits import RateLimiterState, check_rate_limits
from mission_http.rate_limit_settings import RateLimitSettings

HERE = ListenAddressState(host="127.0.0.1", port=8000)
WIDE = ListenAddressState(host="0.0.0.0", port=8000, beyond_loopback=True)
REDIS = {"RATE_LIMIT_BACKEND": "redis", "RQ_REDIS_URL": "redis://:sesame@here"}


def told(environment, listening=HERE, why=""):
    """
    Where there is more to say than that all is well.
    """
    found = check_rate_limits(RateLimiterState(limiting=RateLimitSettings.of(environment), error=why), listening)
    return [each for each in found if each.level is not FindingLevel.OK]


@pytest.mark.parametrize(
    ("environment", "listening"),
    [
        ({}, WIDE),
        ({"RATE_LIMIT_GENERAL": "0", "RATE_LIMIT_AGENT_AUTH": "1000/60"}, WIDE),
        ({"MC_DISABLE_RATE_LIMIT": "1"}, HERE),
        (REDIS, WIDE),
    ],
)
def test_what_an_operator_may_well_mean_is_no_fault(environment, listening):
    """
    A higher limit, none for most requests, none at all on one's own machine, a Redis.
    """
    assert [] == told(environment, listening)


def test_a_variable_that_is_misspelled_is_told_with_the_right_spelling():
    """
    If there is one near it.
    """
    found = told({"RATE_LIMIT_AGENTS_AUTH": "1/1", "RATE_LIMIT_X": "1/1"})

    assert [
        "unset RATE_LIMIT_AGENTS_AUTH, or rename it to RATE_LIMIT_AGENT_AUTH if that was meant", "unset RATE_LIMIT_X"
    ] == [each.advice for each in found]  # fmt: skip


def test_passwords_that_may_be_tried_without_end_are_told():
    """
    With the limit they would have.
    """
    (found,) = told({"RATE_LIMIT_LOGIN": "0"})

    assert ("RATE_LIMIT_LOGIN", FindingLevel.WARNING) == (found.looked_at, found.level)
    assert "5/60" in found.advice


def test_limits_lifted_for_all_the_world_are_told():
    """
    Once.
    """
    (found,) = told({"MC_DISABLE_RATE_LIMIT": "1"}, WIDE)

    assert FindingLevel.WARNING is found.level
    assert ("MC_DISABLE_RATE_LIMIT",) == found.settings


def test_a_redis_that_cannot_be_used_is_a_problem():
    """
    A start would fail.
    """
    (found,) = told(REDIS, why="redis://here cannot be used (no)")

    assert (FindingLevel.PROBLEM, "redis://here cannot be used (no)") == (found.level, found.found)
    assert ("RQ_REDIS_URL", "RATE_LIMIT_BACKEND") == found.settings
