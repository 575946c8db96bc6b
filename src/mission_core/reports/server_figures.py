"""
The figures of a whole server, over all organizations, for its operator's monitoring.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol

from mission_core.usage.queries import UsageSum, UsageTotals, sums_by

OTHER: Final = "other"
"""Stands for all agents, or all models, that have no label of their own."""
MOST_AGENTS: Final = 100
"""The number of agents that have labels of their own: those with the most tokens."""
MOST_MODELS: Final = 50
"""The number of models that have labels of their own: those with the most tokens."""
LOST_LEASES_SPAN: Final = timedelta(hours=1)
"""The span over which lost leases are counted."""


class ServerFigures(NamedTuple):
    """
    The figures of all organizations together.

    Args:
        usage: The sums of the token ledgers by the slug of the organization, the name of the agent and the model.
        oldest_ready: The creation of the oldest task that can be claimed now; None if there is none.
        lost_leases: The number of leases that expired in the last `LOST_LEASES_SPAN`, by whole minutes.
        pending_approvals: The number of approvals that wait for a decision.
    """

    usage: list[UsageSum]
    oldest_ready: datetime | None
    lost_leases: int
    pending_approvals: int


class ConnectionPoolState(NamedTuple):
    """
    The state of a pool of database connections.

    Args:
        size: The number of connections that it opens at most.
        opened: The number of open connections.
        idle: The number of open connections that nobody uses.
        waiting: The number of callers that wait for a connection.
    """

    size: int
    opened: int
    idle: int
    waiting: int

    @property
    def in_use(self) -> int:
        """
        The number of open connections that somebody uses.
        """
        return self.opened - self.idle


class ServerReads(Protocol):
    """
    Reads the figures of the whole server. It is limited to no principal, so only the operator may see them.
    """

    async def figures(self, *, at: datetime) -> ServerFigures:
        """
        The figures at this time. They are read from rollups and indexes; the cost is linear in the organizations,
        boards, pending approvals and the days that each agent used each model.
        """

    def connection_pools(self) -> dict[str, ConnectionPoolState]:
        """
        The pools of database connections of this process, by name; empty if the store has none.
        """


def with_bounded_labels(
    usage: Sequence[UsageSum], *, agents: int = MOST_AGENTS, models: int = MOST_MODELS
) -> dict[tuple[str, str, str], UsageTotals]:
    """
    Sum up by organization, agent and model, where only those agents and those models with the most tokens have names.

    All other agents share one organization and agent, and all other models one model, each named `other`. So sums by
    agent and by model are right, and their number is limited.
    """
    named_agents = _largest(((each.key[:2], each.totals) for each in usage), agents)
    named_models = _largest(((each.key[2], each.totals) for each in usage), models)
    return sums_by(
        [
            UsageSum(
                (
                    *(each.key[:2] if each.key[:2] in named_agents else (OTHER, OTHER)),
                    each.key[2] if each.key[2] in named_models else OTHER,
                ),
                each.totals,
            )
            for each in usage
        ],
        0, 1, 2,
    )  # fmt: skip


def _largest(amounts: Iterable[tuple[Any, UsageTotals]], most: int) -> set[Any]:
    tokens: Counter[Any] = Counter()
    for key, totals in amounts:
        tokens[key] += totals.tokens
    return set(sorted(tokens, key=lambda key: (-tokens[key], key))[:most])
