"""
Signed checkpoints of event logs: the position and the digest that a log had at a time. Kept elsewhere, they reveal a
log that was cut or rewritten together with its head.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final
from uuid import UUID

from mission_core.events.model import ChainHead
from mission_core.ids import OrganizationId
from mission_core.lazy_attrs import frozen
from mission_core.values import canonical, micros, moment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any

KEY_PURPOSE: Final = "checkpoints"
"""The purpose of the key that signs checkpoints, for `derive_key`."""


@frozen(kw_only=True)
class Checkpoint:
    """
    The end of an organization's log at a time, with an HMAC-SHA-256 of it.
    """

    organization: OrganizationId
    head: ChainHead
    at: datetime
    signature: bytes

    @classmethod
    def signed(cls, key: bytes, organization: OrganizationId, head: ChainHead, *, at: datetime) -> Checkpoint:
        """
        Return the checkpoint of a log's end, signed with *key*.
        """
        return cls(organization=organization, head=head, at=at, signature=_signature(key, organization, head, at))

    def is_signed_by(self, key: bytes) -> bool:
        """
        Whether the checkpoint was signed with *key* and is unchanged.
        """
        return hmac.compare_digest(self.signature, _signature(key, self.organization, self.head, self.at))

    def plain(self) -> dict[str, Any]:
        """
        Return the checkpoint as a JSON object.
        """
        return {
            "organization": str(self.organization),
            "position": self.head.position,
            "digest": self.head.digest.hex(),
            "at": micros(self.at),
            "signature": self.signature.hex(),
        }

    @classmethod
    def of_plain(cls, told: Mapping[str, Any]) -> Checkpoint:
        """
        Return the checkpoint that a JSON object holds.

        Raises:
            ValueError: If the object holds no checkpoint.
        """
        try:
            return cls(
                organization=OrganizationId(UUID(told["organization"])),
                head=ChainHead(int(told["position"]), bytes.fromhex(told["digest"])),
                at=moment(int(told["at"])),
                signature=bytes.fromhex(told["signature"]),
            )
        except (AttributeError, KeyError, TypeError, OverflowError) as e:
            raise ValueError("is not a checkpoint") from e


def _signature(key: bytes, organization: OrganizationId, head: ChainHead, at: datetime) -> bytes:
    told = canonical([str(organization), head.position, head.digest.hex(), micros(at)])
    return hmac.digest(key, told.encode(), "sha256")
