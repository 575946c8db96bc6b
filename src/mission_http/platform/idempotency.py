"""
The `Idempotency-Key` header of requests. The core stores the key together with the effect of the operation.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Final, TypeVar
from uuid import UUID

from attrs import evolve
from starlette.requests import Request

from mission_core.accounts.model import Principal
from mission_core.kinds import DEPLOYMENT, EntityT, Kind
from mission_core.ports import IdempotencyKey, Ports, perform
from mission_http.platform.bodies import raw_body_of
from mission_http.platform.endpoints import RequestHeader
from mission_http.platform.errors import FieldError, FieldsInvalid
from mission_http.platform.exchange import dialect_of, endpoint_of, exchange_of, ports_of, principal_of

C = TypeVar("C")
R = TypeVar("R")

IDEMPOTENCY_KEY: Final = RequestHeader(
    "Idempotency-Key",
    "A repeat with the same key and request within 24 hours is answered with the first result.",
    {"type": "string", "minLength": 1, "maxLength": 255},
)

_key: Final = re.compile(r"[\x20-\x7e]{1,255}")


async def perform_once(
    request: Request,
    use_case: Callable[[Ports, Principal, C], Awaitable[R]],
    command: C,
    again: Callable[[Ports, Principal, UUID], Awaitable[R]],
    *,
    anywhere: bool = False,
) -> R:
    """
    Run a use case under the idempotency key of the request, if it has one.

    Args:
        again: Makes the result of a repeated request from the id of the first result.
        anywhere: Whether a repeat is recognized in any organization of the caller, for a use case that changes their
            active organization.
    """
    principal, key = principal_of(request), await idempotency_key_of(request)
    if anywhere and key is not None:
        key = evolve(key, principal=evolve(principal, organization=DEPLOYMENT))
    return await perform(use_case, ports_of(request), principal, command, once=key, again=again)


def read_row_again(kind: Kind[EntityT]) -> Callable[[Ports, Principal, UUID], Awaitable[EntityT]]:
    """
    Build an *again* function for `perform_once` that reads the current row of this kind by the id of the first result.
    """

    async def again(ports: Ports, principal: Principal, id: UUID) -> EntityT:
        return await ports.reads.entities.get(principal, kind, id)

    return again


async def idempotency_key_of(request: Request) -> IdempotencyKey | None:
    """
    Read the `Idempotency-Key` of the request, with a digest of its path, query and body, which a repeat must share.

    Raises:
        FieldsInvalid: If the key is not 1 to 255 printable ASCII characters.
    """
    value = exchange_of(request).headers.get(b"idempotency-key")
    if value is None:
        return None
    sent = value.decode("latin-1")
    key = sent.strip()
    if not _key.fullmatch(key):
        said = "must be 1 to 255 printable ASCII characters"
        raise FieldsInvalid(
            (FieldError(("header", "Idempotency-Key"), "value_error", f"Value error, {said}", sent, {"error": said}),)
        )
    endpoint = endpoint_of(request)
    digest = sha256(request.scope["path"].encode("utf-8", "surrogatepass"))
    digest.update(b"\0" + request.scope["query_string"] + b"\0")
    digest.update(await raw_body_of(request))
    operation = endpoint.operation_id or f"{endpoint.method} {dialect_of(request).path_of(endpoint)}"
    return IdempotencyKey(key=key, operation=operation, body_digest=digest.digest())
