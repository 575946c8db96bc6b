"""
Random secrets, and the signatures of leases and invites.
"""

from __future__ import annotations

import hmac
import os
from base64 import b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Callable
from typing import Final
from uuid import UUID

from attrs import field

from mission_core.ids import InviteId, RunId
from mission_core.lazy_attrs import frozen

KEY_LENGTH: Final = 32
LEASE_SIGNATURE_LENGTH: Final = 24
LEASE_TOKEN_LENGTH: Final = 54
"""The length of a lease token in characters: the run's 16 bytes and the signature, in base64."""
INVITE_SIGNATURE_LENGTH: Final = 8
INVITE_TOKEN_LENGTH: Final = 32
"""The length of an invite token in characters. Its signature is short: it can only be guessed with requests, which are
rate limited, and only for an invite whose id is known."""


def _check_key_length(instance: object, attribute: object, value: bytes) -> None:
    if len(value) != KEY_LENGTH:
        raise ValueError(f"a signing key has {KEY_LENGTH} bytes, not {len(value)}")


@frozen
class HmacSecrets:
    """
    Makes random secrets, and signs leases and invites with HMAC-SHA-256 under a key of 32 bytes.
    """

    signing_key: bytes = field(repr=False, validator=_check_key_length)
    random: Callable[[int], bytes] = field(default=os.urandom, repr=False)

    def token(self) -> str:
        """
        A new secret of 256 random bits: 43 characters, URL-safe.
        """
        return _encode(self.random(32))

    def key(self) -> str:
        """
        A new agent API key: `mca_` and 48 hexadecimal digits.
        """
        return f"mca_{self.random(24).hex()}"

    def server_key(self) -> str:
        """
        A new server key: `mc_` and 48 hexadecimal digits.
        """
        return f"mc_{self.random(24).hex()}"

    def invite_token(self, invite: InviteId) -> str:
        """
        The token of an invite: its id and an HMAC over it.
        """
        signature = hmac.digest(self.signing_key, b"invite" + invite.bytes, "sha256")
        return _encode(invite.bytes + signature[:INVITE_SIGNATURE_LENGTH])

    def invite_of_token(self, token: str) -> InviteId | None:
        """
        The id of the invite that a token belongs to, or None if the token is not valid.
        """
        parts = _decode(token, INVITE_TOKEN_LENGTH)
        if parts is None:
            return None
        invite = InviteId(UUID(bytes=parts[:16]))
        return invite if hmac.compare_digest(self.invite_token(invite), token) else None

    def lease(self, run: RunId, fence: int) -> str:
        """
        The lease token of a run: the run's id and an HMAC over it and the fence.
        """
        signature = hmac.digest(self.signing_key, b"lease" + run.bytes + fence.to_bytes(8), "sha256")
        return _encode(run.bytes + signature[:LEASE_SIGNATURE_LENGTH])

    def run_of_lease(self, lease: str) -> RunId | None:
        """
        The run id in a lease token, or None if it is malformed. The signature is not checked.
        """
        parts = _decode(lease, LEASE_TOKEN_LENGTH)
        return RunId(UUID(bytes=parts[:16])) if parts is not None else None


def _decode(written: str, length: int) -> bytes | None:
    """
    The bytes of a token of this length, or None. Another spelling of the same bytes is refused.
    """
    if len(written) != length or not written.isascii():
        return None
    try:
        parts = b64decode(f"{written}==", altchars=b"-_", validate=True)
    except Error:
        return None
    return parts if _encode(parts) == written else None


def _encode(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()
