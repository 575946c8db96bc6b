"""
Rate limits: the classes of requests, their default quotas, and the counting of requests.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from math import ceil
from typing import TYPE_CHECKING, Final, cast

from attrs import define, frozen
from starlette.requests import Request

from mission_core.accounts.model import AgentPrincipal, identity_of
from mission_core.limiting import Quota, RateLimiter, Verdict
from mission_core.values import name_key
from mission_http.platform.clients import network_of
from mission_http.platform.exchange import dialect_of, exchange_of
from mission_http.platform.refusals import TooManyRequests

if TYPE_CHECKING:
    from mission_http.platform.endpoints import Dialect, Endpoint

LONGEST_NAME: Final = 100
"""The longest part of a name that a key includes; no agent has a longer name."""
logger = logging.getLogger("mission_http")


@frozen
class Per:
    """
    The key by which requests are counted together: its name in the OpenAPI document, and a function to compute it.
    """

    name: str
    key: Callable[[Request], tuple[str, ...]]


@frozen
class RateClass:
    """
    A class of requests with its default quota, which the settings may change.

    Args:
        bypassable: Whether `MC_DISABLE_RATE_LIMIT` lifts it.
    """

    quota: Quota
    per: Per
    bypassable: bool = True


def _address(request: Request) -> tuple[str, ...]:
    return (network_of(exchange_of(request).client),)


def _agent(request: Request) -> tuple[str, ...]:
    principal = exchange_of(request).principal
    if isinstance(principal, AgentPrincipal):
        return principal.organization.hex, name_key(principal.name)
    name = dialect_of(request).agent_of(request)
    if principal is None or name is None:
        return _address(request)
    # Whether the caller may act for the agent is not known yet, so the agent's own quota is not used up.
    return principal.organization.hex, identity_of(principal), name_key(name)[:LONGEST_NAME]


def _caller(request: Request) -> tuple[str, ...]:
    principal = exchange_of(request).principal
    if principal is None:
        return _address(request)
    return principal.organization.hex, identity_of(principal)


ADDRESS: Final = Per("address", _address)
AGENT: Final = Per("agent", _agent)
CALLER: Final = Per("caller", _caller)


def _class(
    name: str, amount: int, per: Per, *, seconds: int = 60, sliding: bool = False, bypassable: bool = True
) -> RateClass:
    return RateClass(Quota(name=name, amount=amount, seconds=seconds, sliding=sliding), per, bypassable)


CLASSES: Final[Mapping[str, RateClass]] = {
    each.quota.name: each
    for each in (
        _class("general", 100, ADDRESS),
        _class("mutation", 60, ADDRESS),
        _class("read", 120, ADDRESS),
        _class("heavy", 10, ADDRESS),
        _class("login", 5, ADDRESS, bypassable=False),
        _class("self-register", 5, ADDRESS),
        _class("agent-auth", 20, ADDRESS, sliding=True),
        _class("webhook-ingest", 60, ADDRESS, sliding=True),
        _class("agent-heartbeat", 30, AGENT),
        _class("agent-task", 20, AGENT),
        _class("password-change", 5, CALLER, bypassable=False),
        _class("identity", 20, CALLER, bypassable=False),
        _class("exec-approval", 30, CALLER, bypassable=False),
        _class("backup", 10, CALLER, bypassable=False),
        _class("security-fix", 5, CALLER, bypassable=False),
        _class("gateway-control", 10, CALLER, bypassable=False),
        _class("gateway-config", 20, CALLER, bypassable=False),
        _class("runtime-setup", 20, CALLER, bypassable=False),
        _class("skill", 20, CALLER, bypassable=False),
        _class("os-user", 5, CALLER, seconds=600, bypassable=False),
        _class("host-package", 3, CALLER, seconds=600, bypassable=False),
        _class("release-update", 3, CALLER, seconds=600, bypassable=False),
        _class("openclaw-maintenance", 5, CALLER, seconds=600, bypassable=False),
    )
}
"""All rate-limit classes by name. An endpoint names the classes that count its requests."""
QUOTAS: Final[Mapping[str, Quota]] = {name: each.quota for name, each in CLASSES.items()}


@define(eq=False)
class RateLimits:
    """
    The quotas in force by class, and the limiter that counts requests. Without a limiter nothing is limited.
    """

    quotas: Mapping[str, Quota]
    limiter: RateLimiter | None = None


async def hit(request: Request, limit: str) -> None:
    """
    Count the request under a rate-limit class, such as `login`.

    Args:
        limit: The class. With a suffix after a colon, such as `identity:users`, requests are counted separately.

    Raises:
        TooManyRequests: If the quota of the class is used up.
    """
    limits = cast(RateLimits, request.scope["app"].limits)
    name, _, apart = limit.partition(":")
    quota = limits.quotas.get(name)
    if quota is None or limits.limiter is None:
        return
    who = CLASSES[name].per.key(request)
    verdict = await limits.limiter.hit(quota, *who, apart) if apart else await limits.limiter.hit(quota, *who)
    exchange = exchange_of(request)
    if not quota.sliding or not verdict.allowed:  # a sliding window reports no remaining requests
        exchange.verdict = _tighter(exchange.verdict, verdict)
    if not verdict.allowed:
        if verdict.count == quota.amount + 1:
            _log(request, verdict, who)
        raise TooManyRequests(verdict)


def _tighter(known: Verdict | None, new: Verdict) -> Verdict:
    """
    The tighter of two verdicts: a refusal, or else fewer remaining requests, or else the later reset.
    """
    if known is None or not new.allowed or new.remaining < known.remaining:
        return new
    return new if new.remaining == known.remaining and new.resets_at > known.resets_at else known


def _log(request: Request, verdict: Verdict, who: tuple[str, ...]) -> None:
    # Once in each window, so that a client that sends too much does not fill the log.
    exchange = exchange_of(request)
    logger.warning(
        "rate_limit_exceeded request=%s class=%r key=%r client=%s resets_at=%s",
        exchange.request_id, verdict.quota.name, who, exchange.client, verdict.resets_at.isoformat(),
        extra={"request_id": exchange.request_id},
    )  # fmt: skip


def headers_of(verdict: Verdict) -> tuple[tuple[bytes, bytes], ...]:
    """
    The `X-RateLimit-*` response headers for a verdict.
    """
    return (
        (b"x-ratelimit-limit", b"%d" % verdict.quota.amount),
        (b"x-ratelimit-remaining", b"%d" % verdict.remaining),
        (b"x-ratelimit-reset", b"%d" % ceil(verdict.resets_at.timestamp())),
    )


def limits_of(dialect: Dialect, endpoint: Endpoint) -> list[str]:
    """
    The names of all rate-limit classes that may count a request to an endpoint.
    """
    named = (dialect.limit, *endpoint.who.limits, *endpoint.limits, *endpoint.limits_within)
    return [limit.partition(":")[0] for limit in named if limit]


def check_limits(dialects: Iterable[Dialect]) -> None:
    """
    Check at the start that every rate-limit class that an endpoint names exists.

    Raises:
        ValueError: If one does not exist.
    """
    for dialect in dialects:
        for endpoint in dialect.endpoints:
            for name in limits_of(dialect, endpoint):
                if name not in CLASSES:
                    raise ValueError(f"{endpoint.method} {dialect.path_of(endpoint)}: unknown rate limit {name}")
