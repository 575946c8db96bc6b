"""
Sources of telemetry: what the token ledger remembers of them, so that nothing is counted twice.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from attrs import field

from mission_core.field_types import with_type_validators
from mission_core.ids import OrganizationId, TelemetrySourceId
from mission_core.kinds import Kind
from mission_core.lazy_attrs import frozen
from mission_core.usage.model import ReportRaced, UsageNotFound
from mission_core.values import text, utc_moment, whole_number


@frozen(kw_only=True, field_transformer=with_type_validators)
class TelemetrySource:
    """
    The state of one source of telemetry: the best kind that a session told of a model, or the last values of a
    counter.

    Args:
        reporter: The identity of the principal who reported it.
        key: A digest of the session and model, or of the counter.
        kind: The kind of telemetry that feeds the ledger; 0 for a counter.
        readings: For a counter, the time and value of the last reading of each sequence, as JSON.
    """

    id: TelemetrySourceId
    organization: OrganizationId
    reporter: str = field(validator=text(least=1, most=200))
    key: str = field(validator=text(least=1, most=200))
    kind: int = field(default=0, validator=whole_number(0, 5))
    readings: str = field(default="", validator=text(most=100_000))
    updated_at: datetime = field(validator=utc_moment)
    version: int = 0


TELEMETRY_SOURCES: Final = Kind(
    entity=TelemetrySource,
    name="telemetry_sources",
    missing=UsageNotFound,
    unique={("reporter", "key"): ReportRaced},
)
