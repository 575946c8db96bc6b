"""
`Idempotency-Key`: the header, checked and neutral. Keeping it with the effect is the core's.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

from starlette.requests import Request

from mission_core.ports import Once
from mission_http.platform.bodies import raw_body_of
from mission_http.platform.endpoints import Header
from mission_http.platform.exchange import dialect_of, endpoint_of
from mission_http.platform.refusals import FieldError, FieldsInvalid

IDEMPOTENCY_KEY: Final = Header(
    "Idempotency-Key",
    "A repeat with the same key and request within 24 hours is answered with the first result.",
    {"type": "string", "minLength": 1, "maxLength": 255},
)

_key: Final = re.compile(r"[\x20-\x7e]{1,255}")


async def idempotency_of(request: Request) -> Once | None:
    """
    What the request's `Idempotency-Key` asks for, if it has one. The digest covers all that a repeat must have in
    common: path, query and body.

    Raises:
        FieldsInvalid: If the key is not 1 to 255 printable ASCII characters.
    """
    sent = request.headers.get("idempotency-key")
    if sent is None:
        return None
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
    return Once(key=key, operation=operation, body_digest=digest.digest())
