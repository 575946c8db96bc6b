"""
The declaration of the OpenTelemetry receiver for the platform. Its paths and errors are those of the protocol
(OTLP over HTTP).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cattrs import Converter

from mission_core.accounts.identity_claims import SigningKeysUnavailable
from mission_core.accounts.user_provisioning import ClientCredentialsRefused
from mission_core.agents.member_provisioning import UserNotApproved
from mission_http.otlp.access import SECURITY_SCHEMES, authenticate
from mission_http.otlp.errors import STATUSES, RpcStatusPayload, render_status
from mission_http.platform.endpoints import Dialect, EndpointGroup, OpenApiMetadata

if TYPE_CHECKING:
    from mission_core.usage.telemetry import TelemetryDecoder
    from mission_http.settings import Settings

DESCRIPTIONS = {
    "code": "The code of the error, as `google.rpc.Code` numbers it.",
    "message": "What is wrong, and what to do.",
    "partialSuccess": "What was not recorded. It is left out if everything was accepted.",
    "rejectedSpans": "The number of spans with tokens that were not recorded.",
    "rejectedDataPoints": "The number of data points with tokens that were not recorded.",
    "rejectedLogRecords": "The number of log events with tokens that were not recorded.",
    "errorMessage": "The reasons, each with its number of spans, data points or log events.",
}


def otlp_dialect(settings: Settings, decode: TelemetryDecoder) -> Dialect:
    """
    The OpenTelemetry receiver, which reads bodies with this decoder.
    """
    converter = Converter()
    return Dialect(
        name="OpenTelemetry",
        prefix="/v1",
        endpoints=[
            EndpointGroup(
                "mission_http.otlp.exports:export_endpoints", ("/traces", "/metrics", "/logs"), (decode,), None
            )
        ],
        converter=converter,
        query_converter=converter,
        authenticate=authenticate,
        render=render_status,
        statuses=STATUSES,
        refuses_callers=()
        if settings.identity_providers.issuer is None
        else (ClientCredentialsRefused, SigningKeysUnavailable, UserNotApproved),
        limit="otlp",
        openapi_metadata=OpenApiMetadata(
            title="Mission Control OpenTelemetry receiver",
            version="1.0.0",
            description="The usage of tokens in exported spans, metrics and logs (OTLP over HTTP).",
            tags=("OpenTelemetry",),
            schema_name=lambda kind: f"Otlp{kind.__name__.removesuffix('Payload')}",
            field_descriptions=DESCRIPTIONS,
            security_schemes=SECURITY_SCHEMES,
            error=RpcStatusPayload,
        ),
    )
