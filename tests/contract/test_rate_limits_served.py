"""
Rate limits of served instances, as processes: by default, shared through a Redis, and with settings that cannot be.
"""

import json
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from tests import redis_server
from tests.contract.server_commands import run, serving

pytestmark = pytest.mark.real_time


def statuses(port: int, count: int, path: str = "/api/health") -> Counter[int]:
    """
    How often the server answered so.
    """
    found = Counter[int]()
    for _ in range(count):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
                found[response.status] += 1
        except urllib.error.HTTPError as e:
            with e:
                found[e.code] += 1
    return found


def test_with_nothing_set_the_documented_limits_hold(tmp_path: Path) -> None:
    """
    The document tells the same.
    """
    with serving(cwd=tmp_path) as (port, _):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=10) as response:
            told = json.load(response)["paths"]["/api/health"]["get"]["x-ratelimit"]
        counted = statuses(port, 105)

    assert [{"class": "general", "limit": 100, "seconds": 60, "per": "address"}] == told
    assert {200: 100, 429: 5} == counted


@pytest.mark.parametrize(
    "lifting", [{"MC_DISABLE_RATE_LIMIT": "1"}, {"RATE_LIMIT_GENERAL": "0"}, {"RATE_LIMIT_GENERAL": "150/60"}]
)
def test_the_operator_may_raise_or_lift_them(lifting: dict[str, str], tmp_path: Path) -> None:
    """
    For one class, or for all that may be.
    """
    with serving(cwd=tmp_path, **lifting) as (port, _):
        assert {200: 105} == statuses(port, 105)


def test_servers_share_what_a_redis_counts(tmp_path: Path) -> None:
    """
    And go on when it is gone.
    """
    with redis_server.redis_server() as server:
        shared = {"RATE_LIMIT_BACKEND": "redis", "RQ_REDIS_URL": server.url, "RATE_LIMIT_GENERAL": "30/60"}
        with serving(cwd=tmp_path, **shared) as (one, _), serving(cwd=tmp_path, **shared) as (two, process):
            counted = statuses(one, 20) + statuses(two, 20)
            server.kill()
            without = statuses(two, 20)
            process.terminate()
            _, said = process.communicate()

    assert {200: 30, 429: 10} == counted
    assert {200: 20} == without
    assert 1 == said.count("redis_unreachable rate_limits=off")


@pytest.mark.parametrize(
    ("environment", "variable", "reason"),
    [
        ({}, "RATE_LIMIT_REDIS_URL", "needs the URL of a Redis"),
        ({"RATE_LIMIT_REDIS_URL": "redis://me:sesame@127.0.0.1:1/0"}, "RATE_LIMIT_REDIS_URL", "redis://127.0.0.1:1/0"),
        ({"RQ_REDIS_URL": "redis://:sesame@127.0.0.1:1"}, "RQ_REDIS_URL", "Connect"),
        ({"RQ_REDIS_URL": "sesame"}, "RQ_REDIS_URL", "expected redis://"),
    ],
)
def test_a_redis_that_cannot_be_used_is_told_in_one_line(
    environment: dict[str, str], variable: str, reason: str, tmp_path: Path
) -> None:
    """
    With the variable to change, without a traceback, and without the password.
    """
    command = ("serve", "--port", "0", "--data-dir", str(tmp_path))
    failed = run(*command, cwd=tmp_path, RATE_LIMIT_BACKEND="redis", **environment)

    assert 2 == failed.returncode
    assert 1 == len(failed.stderr.splitlines()), failed.stderr
    assert failed.stderr.startswith(f"mission-control: {variable}: ")
    assert reason in failed.stderr
    assert "sesame" not in failed.stderr
