"""
Settings of rate limits: the quota of each class, and the Redis that counts requests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Self
from urllib.parse import urlsplit

from attrs import evolve, field

from mission_core.database_urls import is_readable
from mission_core.lazy_attrs import frozen
from mission_core.rate_limits import Quota
from mission_http.environment import SettingsError, boolean_variable, first_set_variable
from mission_http.platform.rate_limits import DEFAULT_QUOTAS, RATE_LIMIT_CLASSES

PREFIX: Final = "RATE_LIMIT_"
BACKEND: Final = "RATE_LIMIT_BACKEND"
REDIS_URL_VARIABLES: Final = ("RATE_LIMIT_REDIS_URL", "RQ_REDIS_URL")
DISABLE: Final = "MC_DISABLE_RATE_LIMIT"

_quota: Final = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")


def variable_of(name: str) -> str:
    """
    The name of the variable that sets the quota of a rate-limit class.
    """
    return PREFIX + name.upper().replace("-", "_")


CLASS_BY_VARIABLE: Final = {variable_of(name): name for name in RATE_LIMIT_CLASSES}
"""The rate-limit classes, by the variables that set their quotas."""


@frozen
class RedisSettings:
    """
    The Redis in which several processes count requests together, and the variable that sets its URL.
    """

    url: str = field(repr=False)
    variable: str


@frozen(kw_only=True)
class RateLimitSettings:
    """
    The settings of rate limits.

    Args:
        quotas: The quotas in force, by class.
        redis: The Redis that counts requests; without it, each process counts its own.
        disabled: Whether all limits that may be disabled are.
        unknown: Variables with the prefix of rate limits that belong to no class.
    """

    quotas: Mapping[str, Quota] = DEFAULT_QUOTAS
    redis: RedisSettings | None = None
    disabled: bool = False
    unknown: tuple[str, ...] = ()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """
        Read the settings from environment variables.

        Raises:
            SettingsError: If a value is malformed, or the URL of Redis is missing.
        """
        disabled = boolean_variable(environment, DISABLE)
        found = {name: _quota_of(environment, variable, name) for variable, name in CLASS_BY_VARIABLE.items()}
        unknown = (
            name
            for name in environment
            if name.startswith(PREFIX) and name not in {*CLASS_BY_VARIABLE, BACKEND, *REDIS_URL_VARIABLES}
        )
        return cls(
            quotas={
                name: quota
                for name, quota in found.items()
                if quota is not None and not (disabled and RATE_LIMIT_CLASSES[name].bypassable)
            },
            redis=_redis(environment),
            disabled=disabled,
            unknown=tuple(sorted(unknown)),
        )


def _quota_of(environment: Mapping[str, str], variable: str, name: str) -> Quota | None:
    text = environment.get(variable, "").strip()
    if not text:
        return DEFAULT_QUOTAS[name]
    if text == "0":
        return None
    told = _quota.fullmatch(text)
    amount, seconds = map(int, told.groups()) if told else (0, 0)
    if not amount or not seconds:
        raise SettingsError(f"{variable}: expected a count and seconds, such as 100/60, or 0 for none; got {text!r}")
    return evolve(DEFAULT_QUOTAS[name], amount=amount, seconds=seconds)


def _redis(environment: Mapping[str, str]) -> RedisSettings | None:
    backend = environment.get(BACKEND, "").strip().lower()
    if backend in ("", "memory"):
        return None
    if backend != "redis":
        raise SettingsError(f"{BACKEND}: expected memory or redis, and got {backend!r}")
    variable = first_set_variable(environment, *REDIS_URL_VARIABLES)
    url = environment.get(variable, "").strip()
    if not url:
        raise SettingsError(f"{variable}: {BACKEND}=redis needs the URL of a Redis, such as redis://host:6379/0")
    if not _is_redis_url(url):
        # The value may hold a password, so it is not shown.
        raise SettingsError(f"{variable}: expected redis://user:password@host:6379/0, rediss://... or unix:///path")
    return RedisSettings(url, variable)


def _is_redis_url(url: str) -> bool:
    if not is_readable(url):
        return False
    try:
        split = urlsplit(url)
        sound = split.port != 0 and bool(split.path if split.scheme == "unix" else split.hostname)
    except ValueError:
        return False
    database = split.path.strip("/")
    return sound and (split.scheme == "unix" or (split.scheme in ("redis", "rediss") and (database + "0").isdecimal()))
