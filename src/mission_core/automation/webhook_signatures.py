"""
Signatures of webhook payloads: HMAC-SHA256 over the bytes of the body, with a secret that the sender shares.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final

from mission_core.errors import Denied

DEFAULT_SIGNATURE_HEADERS: Final = ("x-hub-signature-256", "x-webhook-signature")
"""The headers that may carry the signature if the webhook names none; the first one present is used."""
PREFIX: Final = "sha256="


class SignatureMissing(Denied):
    """
    The webhook takes signed payloads only, and this one has no signature.
    """

    says = "Missing webhook signature header."


class SignatureInvalid(Denied):
    """
    The payload's signature does not match: it was made with another secret, or the payload was changed.
    """

    code = "signature_wrong"
    says = "Invalid webhook signature."


def signature_in(headers: Mapping[str, str], named: str | None) -> str:
    """
    Find the signature in headers, given by lower-case name. If a header is *named*, only that one is used.

    Raises:
        SignatureMissing: If there is none.
    """
    found = (headers.get(name, "").strip() for name in ((named.lower(),) if named else DEFAULT_SIGNATURE_HEADERS))
    signature = next(filter(None, found), None)
    if signature is None:
        raise SignatureMissing
    return signature


def check_signature(secret: str, body: bytes, signature: str) -> None:
    """
    Verify a signature in constant time, so that the duration reveals nothing about the right one.

    Raises:
        SignatureInvalid: If it is not the signature of this body.
    """
    given = signature.strip().lower().removeprefix(PREFIX)
    right = hmac.digest(secret.encode(), body, "sha256").hex()
    if not hmac.compare_digest(given.encode("utf-8", "replace"), right.encode()):
        raise SignatureInvalid
