"""
Cursors of event streams: signed positions in the log, which clients send back to resume.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Final, NamedTuple

from attrs import field

from mission_core.lazy_attrs import frozen

if TYPE_CHECKING:
    from mission_core.ids import OrganizationId

SIGNATURE_LENGTH: Final = 16
POSITION_LENGTH: Final = 8
CURSOR_LENGTH: Final = 36
"""The length of a cursor in characters: a position, a number of events and the signature, in base64."""


class StreamPosition(NamedTuple):
    """
    A place in a stream: after the entry at a position of the log, and after some events of the next entry.
    """

    position: int
    events: int = 0


@frozen
class StreamCursors:
    """
    Signs the cursors of one stream with HMAC-SHA-256. A cursor of another stream or organization is not valid.
    """

    key: bytes = field(repr=False)
    stream: str

    def cursor(self, organization: OrganizationId, place: StreamPosition) -> str:
        """
        The cursor of a place in the organization's stream.
        """
        told = place.position.to_bytes(POSITION_LENGTH) + place.events.to_bytes(3)
        return urlsafe_b64encode(told + self._signature(organization, told)).decode()

    def place(self, organization: OrganizationId, cursor: str) -> StreamPosition | None:
        """
        The place of a cursor, or None if it is not a cursor of the organization's stream.
        """
        if len(cursor) != CURSOR_LENGTH or not cursor.isascii():
            return None
        try:
            raw = urlsafe_b64decode(cursor)
        except ValueError:
            return None
        told = raw[: POSITION_LENGTH + 3]
        place = StreamPosition(int.from_bytes(told[:POSITION_LENGTH]), int.from_bytes(told[POSITION_LENGTH:]))
        return place if hmac.compare_digest(self._signature(organization, told), raw[len(told) :]) else None

    def _signature(self, organization: OrganizationId, told: bytes) -> bytes:
        digest = hmac.digest(self.key, self.stream.encode() + organization.bytes + told, "sha256")
        return digest[:SIGNATURE_LENGTH]
