"""
Errors of the OpenTelemetry receiver, in the protocol's shape: `google.rpc.Status` in protobuf or JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.identity_claims import TokenRefused
from mission_core.errors import Denied, Invalid, StaleWrite
from mission_core.lazy_attrs import define
from mission_http.otlp.messages import PROTOBUF, media_type_of, protobuf_text, protobuf_varint
from mission_http.platform.json_responses import json_response
from mission_http.platform.shapes import Payload

RETRY_SECONDS: Final = 2
"""The seconds after which a client shall try again, where the error does not say it."""
RPC_CODES: Final = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 413: 8, 429: 8, 503: 14}
"""The codes of `google.rpc.Code`, by the status of the response."""
INVALID_ARGUMENT: Final = 3
INTERNAL: Final = 13


class RpcStatusPayload(Payload):
    code: int
    message: str


class CredentialRefused(Denied):
    """
    The request has no key of this server.
    """

    code = "unauthorized"
    says = "send an agent's key or the API key as Authorization: Bearer, x-api-key or X-Agent-Token"


@define
class ContentTypeUnsupported(Invalid):
    """
    The body is neither protobuf nor JSON.
    """

    sent: str

    says = "the content type {self.sent!r} is not supported; send application/x-protobuf or application/json"


STATUSES: Final[Mapping[type[Exception], int]] = {
    CredentialRefused: 401,
    TokenRefused: 401,
    ContentTypeUnsupported: 415,
    StaleWrite: 503,  # the protocol has no conflict: the client shall try again
}


def render_status(error: Exception, status: int, request: Request) -> Response:
    """
    Render an error as `google.rpc.Status`, in protobuf if the request is, else in JSON.
    """
    code = RPC_CODES.get(status, INVALID_ARGUMENT if status < 500 else INTERNAL)
    headers = {"retry-after": str(RETRY_SECONDS)} if status == 503 else {}
    if media_type_of(request) != PROTOBUF:
        return json_response(RpcStatusPayload(code=code, message=str(error)), status, headers)
    body = protobuf_varint(1, code) + protobuf_text(2, str(error))
    return Response(body, status, headers, media_type=PROTOBUF)
