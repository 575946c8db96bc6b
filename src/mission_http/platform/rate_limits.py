"""
Rate limits: the classes of requests, their default quotas, and the counting of requests.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from math import ceil
from typing import TYPE_CHECKING, Final

from starlette.requests import Request

from mission_core.accounts.model import AgentPrincipal, identity_of
from mission_core.lazy_attrs import define, frozen
from mission_core.rate_limits import Quota, RateLimitDecision, RateLimiter
from mission_core.values import name_key
from mission_http.platform.client_addresses import client_network
from mission_http.platform.errors import TooManyRequests
from mission_http.platform.exchange import dialect_of, exchange_of

if TYPE_CHECKING:
    from mission_http.platform.endpoints import Dialect, Endpoint

MAX_NAME_LENGTH: Final = 100
"""The longest part of a name that a key includes; no agent has a longer name."""
logger = logging.getLogger("mission_http")


@frozen
class RateLimitKey:
    """
    The key by which requests are counted together: its name in the OpenAPI document, and a function to compute it.
    """

    name: str
    key: Callable[[Request], tuple[str, ...]]


@frozen
class RateLimitClass:
    """
    A class of requests with its default quota, which the settings may change.

    Args:
        bypassable: Whether `MC_DISABLE_RATE_LIMIT` lifts it.
    """

    quota: Quota
    per: RateLimitKey
    bypassable: bool = True


def _address(request: Request) -> tuple[str, ...]:
    return (client_network(exchange_of(request).client),)


def _agent(request: Request) -> tuple[str, ...]:
    principal = exchange_of(request).principal
    if isinstance(principal, AgentPrincipal):
        return principal.organization.hex, name_key(principal.name)
    name = dialect_of(request).agent_of(request)
    if principal is None or name is None:
        return _address(request)
    # Whether the caller may act for the agent is not known yet, so the agent's own quota is not used up.
    return principal.organization.hex, identity_of(principal), name_key(name)[:MAX_NAME_LENGTH]


def _caller(request: Request) -> tuple[str, ...]:
    principal = exchange_of(request).principal
    if principal is None:
        return _address(request)
    return principal.organization.hex, identity_of(principal)


PER_ADDRESS: Final = RateLimitKey("address", _address)
PER_AGENT: Final = RateLimitKey("agent", _agent)
PER_CALLER: Final = RateLimitKey("caller", _caller)


def _class(
    name: str, amount: int, per: RateLimitKey, *, seconds: int = 60, sliding: bool = False, bypassable: bool = True
) -> RateLimitClass:
    return RateLimitClass(Quota(name=name, amount=amount, seconds=seconds, sliding=sliding), per, bypassable)


RATE_LIMIT_CLASSES: Final[Mapping[str, RateLimitClass]] = {
    each.quota.name: each
    for each in (
        _class("general", 100, PER_ADDRESS),
        _class("mutation", 60, PER_ADDRESS),
        _class("read", 120, PER_ADDRESS),
        _class("heavy", 10, PER_ADDRESS),
        _class("otlp", 600, PER_ADDRESS),
        _class("login", 5, PER_ADDRESS, bypassable=False),
        _class("self-register", 5, PER_ADDRESS),
        _class("agent-auth", 20, PER_ADDRESS, sliding=True),
        _class("webhook-ingest", 60, PER_ADDRESS, sliding=True),
        _class("agent-heartbeat", 30, PER_AGENT),
        _class("agent-task", 20, PER_AGENT),
        _class("password-change", 5, PER_CALLER, bypassable=False),
        _class("identity", 20, PER_CALLER, bypassable=False),
        _class("exec-approval", 30, PER_CALLER, bypassable=False),
        _class("backup", 10, PER_CALLER, bypassable=False),
        _class("security-fix", 5, PER_CALLER, bypassable=False),
        _class("gateway-control", 10, PER_CALLER, bypassable=False),
        _class("gateway-config", 20, PER_CALLER, bypassable=False),
        _class("runtime-setup", 20, PER_CALLER, bypassable=False),
        _class("skill", 20, PER_CALLER, bypassable=False),
        _class("os-user", 5, PER_CALLER, seconds=600, bypassable=False),
        _class("host-package", 3, PER_CALLER, seconds=600, bypassable=False),
        _class("release-update", 3, PER_CALLER, seconds=600, bypassable=False),
        _class("openclaw-maintenance", 5, PER_CALLER, seconds=600, bypassable=False),
    )
}
"""All rate-limit classes by name. An endpoint names the classes that count its requests."""
DEFAULT_QUOTAS: Final[Mapping[str, Quota]] = {name: each.quota for name, each in RATE_LIMIT_CLASSES.items()}


@define(eq=False)
class RateLimits:
    """
    The quotas in force by class, and the limiter that counts requests. Without a limiter nothing is limited.
    """

    quotas: Mapping[str, Quota]
    limiter: RateLimiter | None = None


async def count_request(request: Request, limit: str) -> None:
    """
    Count the request under a rate-limit class, such as `login`.

    Args:
        limit: The class. With a suffix after a colon, such as `identity:users`, requests are counted separately.

    Raises:
        TooManyRequests: If the quota of the class is used up.
    """
    limits: RateLimits = request.scope["app"].limits
    name, _, apart = limit.partition(":")
    quota = limits.quotas.get(name)
    if quota is None or limits.limiter is None:
        return
    who = RATE_LIMIT_CLASSES[name].per.key(request)
    verdict = await limits.limiter.hit(quota, *who, apart) if apart else await limits.limiter.hit(quota, *who)
    exchange = exchange_of(request)
    if not quota.sliding or not verdict.allowed:  # a sliding window reports no remaining requests
        exchange.rate_limit_decision = _tighter_decision(exchange.rate_limit_decision, verdict)
    if not verdict.allowed:
        if verdict.count == quota.amount + 1:
            _log(request, verdict, who)
        raise TooManyRequests(verdict)


def _tighter_decision(known: RateLimitDecision | None, new: RateLimitDecision) -> RateLimitDecision:
    """
    The tighter of two decisions: a refusal, or else fewer remaining requests, or else the later reset.
    """
    if known is None or not new.allowed or new.remaining < known.remaining:
        return new
    return new if new.remaining == known.remaining and new.resets_at > known.resets_at else known


def _log(request: Request, verdict: RateLimitDecision, who: tuple[str, ...]) -> None:
    # Once in each window, so that a client that sends too much does not fill the log.
    exchange = exchange_of(request)
    logger.warning(
        "rate_limit_exceeded request=%s class=%r key=%r client=%s resets_at=%s",
        exchange.request_id, verdict.quota.name, who, exchange.client, verdict.resets_at.isoformat(),
        extra={"request_id": exchange.request_id},
    )  # fmt: skip


def rate_limit_headers(verdict: RateLimitDecision) -> tuple[tuple[bytes, bytes], ...]:
    """
    The `X-RateLimit-*` response headers for a decision.
    """
    return (
        (b"x-ratelimit-limit", b"%d" % verdict.quota.amount),
        (b"x-ratelimit-remaining", b"%d" % verdict.remaining),
        (b"x-ratelimit-reset", b"%d" % ceil(verdict.resets_at.timestamp())),
    )


def rate_limit_classes_of(dialect: Dialect, endpoint: Endpoint) -> list[str]:
    """
    The names of all rate-limit classes that may count a request to an endpoint.
    """
    named = (dialect.limit, *endpoint.who.limits, *endpoint.limits, *endpoint.limits_within)
    return [limit.partition(":")[0] for limit in named if limit]


def check_rate_limit_classes(dialect: Dialect, endpoint: Endpoint) -> None:
    """
    Check that every rate-limit class that an endpoint names exists.

    Raises:
        ValueError: If one does not exist.
    """
    for name in rate_limit_classes_of(dialect, endpoint):
        if name not in RATE_LIMIT_CLASSES:
            raise ValueError(f"{endpoint.method} {dialect.path_of(endpoint)}: unknown rate limit {name}")
