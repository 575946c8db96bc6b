"""
The text that Prometheus reads, made of the metrics of a server. Needs the extra `metrics`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.utils import floatToGoString

from mission_core.lazy_attrs import frozen
from mission_core.reports.server_figures import with_bounded_labels
from mission_core.usage.amounts import NANOS_PER_DOLLAR
from mission_http.platform.request_durations import BUCKETS

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.reports.server_figures import ConnectionPoolState, ServerFigures
    from mission_http.platform.request_durations import DurationHistogram

BOUNDS: Final = [*map(floatToGoString, BUCKETS), "+Inf"]
POOL_METRICS: Final = {
    "size": "The database connections that the server opens at most.",
    "in_use": "The database connections that are in use.",
    "idle": "The open database connections that are not in use.",
    "waiting": "The callers that wait for a database connection.",
}
USAGE_LABELS: Final = ("organization", "agent", "model")


@frozen(kw_only=True)
class MetricFamilies:
    """
    The metrics of a scrape, in the form that the encoders of `prometheus_client` take.

    Args:
        figures: The figures of the store; None if it cannot be read.
    """

    durations: Iterable[DurationHistogram]
    pools: Mapping[str, ConnectionPoolState]
    figures: ServerFigures | None
    at: datetime

    def encoded(self, accept: str) -> tuple[bytes, str]:
        """
        The text in the format that the header `Accept` asks for, and its media type.
        """
        encode, media_type = choose_encoder(accept)
        return encode(self), media_type

    def collect(self) -> Iterator[Metric]:
        """
        Yield each metric.
        """
        yield self._durations()
        yield from self._pools()
        yield _gauge("mission_database_up", "Whether the database could be read.", float(self.figures is not None))
        if self.figures is not None:
            yield from self._figures(self.figures)

    def _durations(self) -> Metric:
        family = HistogramMetricFamily(
            "mission_http_request_duration_seconds",
            "Seconds until the response to a request began.",
            labels=("method", "route", "status"),
        )
        for each in self.durations:
            counts = accumulate(each.counts)
            family.add_metric((each.method, each.path, each.status), list(zip(BOUNDS, counts, strict=True)), each.total)
        return family

    def _pools(self) -> Iterator[Metric]:
        for name, told in POOL_METRICS.items():
            rows = [((pool,), float(getattr(state, name))) for pool, state in self.pools.items()]
            yield _labelled(f"mission_database_pool_{name}", told, ("pool",), rows)

    def _figures(self, figures: ServerFigures) -> Iterator[Metric]:
        usage = with_bounded_labels(figures.usage)
        counts = [
            ((*key, kind), float(getattr(totals, f"{kind}_tokens")))
            for key, totals in usage.items()
            for kind in ("input", "output")
        ]
        costs = [
            (key, totals.known_cost / NANOS_PER_DOLLAR)
            for key, totals in usage.items()
            if totals.known_cost is not None
        ]
        unpriced = [(key, float(totals.unpriced_tokens)) for key, totals in usage.items()]
        yield _labelled("mission_usage_tokens", "The tokens in the ledger.", (*USAGE_LABELS, "kind"), counts)
        yield _labelled("mission_usage_cost_dollars", "The billed cost of what has a known price.", USAGE_LABELS, costs)
        yield _labelled("mission_usage_unpriced_tokens", "The tokens without a known price.", USAGE_LABELS, unpriced)
        oldest = figures.oldest_ready
        age = max(0.0, (self.at - oldest).total_seconds()) if oldest else 0.0
        told = "Seconds since the creation of the oldest task that can be claimed; 0 without one."
        yield _gauge("mission_oldest_ready_task_age_seconds", told, age)
        yield _gauge("mission_leases_lost_last_hour", "The leases that expired in the last hour.", figures.lost_leases)
        told = "The approvals that wait for a decision."
        yield _gauge("mission_approvals_waiting", told, figures.pending_approvals)


def _gauge(name: str, told: str, value: float) -> Metric:
    return GaugeMetricFamily(name, told, value=value)


def _labelled(name: str, told: str, labels: Sequence[str], rows: Iterable[tuple[Any, float]]) -> Metric:
    family = GaugeMetricFamily(name, told, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family
