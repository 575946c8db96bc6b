"""
Signatures of what comes in: an HMAC-SHA256 over its bytes, under a secret that the sender has too.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final

from mission_core.errors import Denied

USUAL: Final = ("x-hub-signature-256", "x-webhook-signature")
"""Where a signature stands if no header is named; the first that is there counts."""
PREFIX: Final = "sha256="


class SignatureMissing(Denied):
    """
    What comes in must be signed, and is not.
    """

    def __str__(self) -> str:
        return "Missing webhook signature header."


class SignatureWrong(Denied):
    """
    What comes in was signed with another secret, or changed on its way.
    """

    def __str__(self) -> str:
        return "Invalid webhook signature."


def signature_in(headers: Mapping[str, str], named: str | None) -> str:
    """
    The signature among headers, whose names are in small letters; with a header *named* it can stand there only.

    Raises:
        SignatureMissing: If there is none.
    """
    found = (headers.get(name, "").strip() for name in ((named.lower(),) if named else USUAL))
    signature = next(filter(None, found), None)
    if signature is None:
        raise SignatureMissing
    return signature


def check_signature(secret: str, body: bytes, signature: str) -> None:
    """
    How long it takes does not tell how much of a wrong one was right.

    Raises:
        SignatureWrong: If it is not the signature of this body.
    """
    given = signature.strip().lower().removeprefix(PREFIX)
    right = hmac.digest(secret.encode(), body, "sha256").hex()
    if not hmac.compare_digest(given.encode("utf-8", "replace"), right.encode()):
        raise SignatureWrong
