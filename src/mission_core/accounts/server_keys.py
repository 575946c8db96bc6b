"""
Server keys that were created at runtime. They replace the configured key of the environment.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from attrs import field
from attrs.validators import optional

from mission_core.errors import Conflict, NotFound
from mission_core.events.model import Event
from mission_core.field_types import with_type_validators
from mission_core.ids import OrganizationId, ServerKeyId
from mission_core.kinds import DEPLOYMENT, Kind
from mission_core.lazy_attrs import frozen
from mission_core.values import utc_moment


class ServerKeyNotFound(NotFound):
    """
    The server key does not exist.
    """


@frozen(kw_only=True, field_transformer=with_type_validators)
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
    created_at: datetime = field(validator=utc_moment)
    expires_at: datetime | None = field(default=None, validator=optional(utc_moment))
    version: int = 1

    def is_valid(self, *, at: datetime) -> bool:
        """
        Whether the key is valid at this time.
        """
        return self.expires_at is None or at < self.expires_at


SERVER_KEYS: Final = Kind(
    entity=ServerKey,
    name="server_keys",
    missing=ServerKeyNotFound,
    unique={("digest",): Conflict},
    indexed_by=(("of",),),
    shared=True,
)


@frozen(kw_only=True, eq=False, repr=False)
class ServerKeyRotated(Event):
    """
    The server's key was replaced. The event has only masked keys.
    """

    kind = "server_key.rotated"

    organization: OrganizationId
    old: str | None
    new: str
    old_good_until: datetime
