"""
Server keys that were created at runtime. They replace the configured key of the environment.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from attrs import field, frozen
from attrs.validators import optional

from mission_core.errors import Conflict, NotFound
from mission_core.events.model import Fact
from mission_core.field_types import typed
from mission_core.ids import OrganizationId, ServerKeyId
from mission_core.kinds import DEPLOYMENT, Kind
from mission_core.values import aware


class ServerKeyNotFound(NotFound):
    """
    The server key does not exist.
    """


@frozen(kw_only=True, field_transformer=typed)
class ServerKey:
    """
    A key of the server's operator for the organization *of*. Only its SHA-256 is stored. A replaced key has
    *expires_at* and is valid until then.
    """

    id: ServerKeyId
    organization: OrganizationId = DEPLOYMENT
    of: OrganizationId
    number: int
    digest: bytes = field(repr=False)
    masked: str
    created_by: str
    created_at: datetime = field(validator=aware)
    expires_at: datetime | None = field(default=None, validator=optional(aware))
    version: int = 1

    def lives(self, *, at: datetime) -> bool:
        """
        Whether the key is valid at this time.
        """
        return self.expires_at is None or at < self.expires_at


SERVER_KEYS: Final = Kind(
    entity=ServerKey,
    name="server_keys",
    missing=ServerKeyNotFound,
    unique={("digest",): Conflict},
    found_by=(("of",),),
    shared=True,
)


@frozen(kw_only=True)
class ServerKeyRotated(Fact):
    """
    The server's key was replaced. The event has only masked keys.
    """

    kind = "server_key.rotated"
    about = "organization"

    organization: OrganizationId
    old: str | None
    new: str
    old_good_until: datetime
