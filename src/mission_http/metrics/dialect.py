"""
The declaration of `GET /metrics` for the platform.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from cattrs import Converter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from mission_core.errors import Denied
from mission_http.platform.endpoints import Dialect, Endpoint, EndpointAccess
from mission_http.platform.exchange import ports_of

if TYPE_CHECKING:
    from mission_http.metrics.server_metrics import ServerMetrics

PATH: Final = "/metrics"
SCRAPER: Final = EndpointAccess("metrics", "The bearer of `MC_METRICS_TOKEN`.")


class MetricsTokenRefused(Denied):
    """
    The request does not have the token of the metrics.
    """

    code = "unauthorized"
    says = "send MC_METRICS_TOKEN as Authorization: Bearer"


def metrics_dialect(token: str, metrics: ServerMetrics) -> Dialect:
    """
    The API with the metrics of the server, for who has the token.
    """
    converter, expected = Converter(), token.encode()

    async def authenticate(request: Request, access: EndpointAccess) -> None:
        scheme, _, sent = request.headers.get("authorization", "").strip().partition(" ")
        if scheme.lower() != "bearer" or not compare_digest(sent.strip().encode(), expected):
            raise MetricsTokenRefused

    async def scrape(request: Request) -> Response:
        """
        Return the metrics of the server for Prometheus.
        """
        from mission_http.metrics.exposition import MetricFamilies  # imports the extra

        ports = ports_of(request)
        figures = await metrics.figures(ports)
        pools = ports.reads.server.connection_pools()
        metrics.pools.tell(pools)
        families = MetricFamilies(
            durations=metrics.durations.histograms(),
            pools=metrics.pools.totals(pools),
            figures=figures,
            at=ports.clock.now(),
        )
        text, media_type = families.encoded(request.headers.get("accept", ""))
        return Response(text, headers={"content-type": media_type})

    return Dialect(
        name="Metrics",
        prefix=PATH,
        endpoints=[Endpoint("GET", "", scrape, who=SCRAPER, listed=False)],
        converter=converter,
        query_converter=converter,
        authenticate=authenticate,
        render=lambda error, status, _: PlainTextResponse(f"{error}\n", status),
        statuses={MetricsTokenRefused: 401},
    )
