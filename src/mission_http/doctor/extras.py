"""
Checks of optional dependencies (extras): whether those that the settings ask for are installed.

The extras `postgres` and `redis` are checked with the database and the rate limits, and `prices` with the prices.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Self

from mission_core.extras import install_command
from mission_core.lazy_attrs import frozen
from mission_http.doctor.findings import Check, DoctorFinding
from mission_http.settings import METRICS_TOKEN_VARIABLE

if TYPE_CHECKING:
    from mission_http.settings import Settings

EXTRAS: Final = Check("extras")


@frozen(kw_only=True)
class ExtrasState:
    """
    The extras that are wanted and installed.
    """

    wants_metrics: bool
    has_metrics: bool
    has_otlp: bool

    @classmethod
    def inspect(cls, settings: Settings) -> Self:
        """
        Look for the packages of the extras, without importing them.
        """
        return cls(
            wants_metrics=settings.metrics_token is not None,
            has_metrics=find_spec("prometheus_client") is not None,
            has_otlp=find_spec("opentelemetry") is not None and find_spec("opentelemetry.proto") is not None,
        )


def check_extras(extras: ExtrasState) -> Iterator[DoctorFinding]:
    """
    Check that metrics can be served if there is a token for them, and tell how OpenTelemetry is received.
    """
    if extras.wants_metrics and not extras.has_metrics:
        found = "metrics need the extra, so the server does not start"
        yield EXTRAS.problem(METRICS_TOKEN_VARIABLE, found, install_command("metrics"), METRICS_TOKEN_VARIABLE)
    elif extras.wants_metrics:
        yield EXTRAS.ok(METRICS_TOKEN_VARIABLE, "metrics are served")
    if extras.has_otlp:
        yield EXTRAS.ok("OpenTelemetry", "is received as protobuf and as JSON")
    else:
        found = f"is received as JSON only; protobuf needs the extra: {install_command('otlp')}"
        yield EXTRAS.ok("OpenTelemetry", found)
