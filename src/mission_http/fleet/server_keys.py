"""
Operations on the server's API key: its source, and its rotation.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal

from attrs import field
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.server_key_rotation import (
    MAX_OVERLAP,
    RotatedServerKey,
    RotateServerKey,
    ServerKeyRotationDenied,
    ServerKeyState,
    get_rotated_server_key,
    rotate_server_key,
    server_key_state,
)
from mission_core.errors import KeyReused
from mission_core.lazy_attrs import frozen
from mission_http.fleet.access import ADMIN
from mission_http.fleet.wire import FleetPayload, UnixSeconds, iso_of, unset_if_none
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body, NumberRange
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once
from mission_http.platform.json_responses import json_response
from mission_http.platform.shapes import Computed, Of

if TYPE_CHECKING:
    from mission_http.settings import Settings


class RotateKeyBody(Body):
    overlap_seconds: Annotated[int, NumberRange(0, MAX_OVERLAP.total_seconds())] = 0
    """Seconds for which the previous key stays valid."""


def is_configured(source: str) -> bool:
    return source != "none"


class ServerKeyPayload(FleetPayload[ServerKeyState]):
    masked_key: Annotated[str | None, Of("masked")]
    configured: Annotated[bool, Of("source", is_configured)]
    source: Literal["database", "environment", "none"]
    last_rotated_at: Annotated[UnixSeconds | None, Of("newest.created_at")]
    last_rotated_by: Annotated[str | None, Of("newest.created_by")]
    old_key_expires_at: Annotated[UnixSeconds | None, Of("old_good_until")]


def rotation_message(rotated: RotatedServerKey) -> str:
    until = rotated.old_good_until
    stops = "has stopped working" if until <= rotated.key.created_at else f"stops working at {iso_of(until)}"
    return f"The API key was replaced. Keep the new one now: it is not shown again. The old one {stops}."


class RotatedKeyPayload(FleetPayload[RotatedServerKey]):
    key: Annotated[str | UnsetType, Of("secret", unset_if_none)] = UNSET
    masked_key: Annotated[str, Of("key.masked")]
    rotated_at: Annotated[UnixSeconds, Of("key.created_at")]
    rotated_by: Annotated[str, Of("key.created_by")]
    old_key_expires_at: Annotated[UnixSeconds, Of("old_good_until")]
    message: Annotated[str, Computed(rotation_message)]


@frozen
class ServerKeyHandlers:
    """
    Handlers of the server's API key. *environment_key* is the key from the environment, if set.
    """

    environment_key: str | None = field(repr=False)

    async def show(self, request: Request) -> Response:
        """
        Get the source of the server's key, and when it was rotated.

        A rotated key is not shown again, not even in part.
        """
        state = await server_key_state(ports_of(request), principal_of(request), self.environment_key)
        return json_response(ServerKeyPayload.of(state))

    async def rotate(self, request: Request) -> Response:
        """
        Rotate the server's key.

        The new key is returned once. The previous key, also one from the environment, stops working at once, or after
        `overlap_seconds`.
        """
        body = await body_of(request, RotateKeyBody)
        command = RotateServerKey(given=self.environment_key, overlap=timedelta(seconds=body.overlap_seconds))
        rotated = await perform_once(request, rotate_server_key, command, get_rotated_server_key)
        return json_response(RotatedKeyPayload.of(rotated))


def server_key_endpoints(settings: Settings) -> list[Endpoint]:
    """
    Return the operations on the server's key.
    """
    desk = ServerKeyHandlers(settings.api_key or None)
    return [
        Endpoint(
            "GET", "/tokens/rotate", desk.show, gives=ServerKeyPayload, who=ADMIN,
            operation_id="fleet_get_api_tokens_rotate",
        ),
        Endpoint(
            "POST", "/tokens/rotate", desk.rotate, takes=RotateKeyBody, body_required=False, gives=RotatedKeyPayload,
            who=ADMIN, headers=(IDEMPOTENCY_KEY,), refuses=(ServerKeyRotationDenied, KeyReused),
            limits=("identity:api-key",), operation_id="fleet_rotateApiKey",
        ),
    ]  # fmt: skip
