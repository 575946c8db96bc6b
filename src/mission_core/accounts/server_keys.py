"""
The key of the whole server, where it was changed while the server runs: from then on the one in the environment is
only good as long as the change says.
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
    The server has no such key.
    """


@frozen(kw_only=True, field_transformer=typed)
class ServerKey:
    """
    A key that stands for the server's operator in the organization it is *of*, kept as its SHA-256 only; with
    *expires_at* it has been replaced, and is good until then.
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
        Whether it is good at this moment.
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
    The server's key was replaced. Keys are told by what is shown of them.
    """

    kind = "server_key.rotated"
    about = "organization"

    organization: OrganizationId
    old: str | None
    new: str
    old_good_until: datetime
