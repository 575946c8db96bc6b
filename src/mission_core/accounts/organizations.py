"""
Organizations: the borders that no row crosses.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID, uuid5

from attrs import evolve, field, frozen
from attrs.validators import optional

from mission_core.errors import Conflict, NotFound
from mission_core.events.model import Fact
from mission_core.field_types import typed
from mission_core.ids import OrganizationId
from mission_core.kinds import DEPLOYMENT, Kind
from mission_core.values import aware, name_key, text

if TYPE_CHECKING:
    from mission_core.ports import Versioned

HOME: Final = "default"
"""The slug of the organization that the deployment itself lives in, which is there from the first start."""
LONGEST_NAME: Final = 200
LONGEST_BRAND: Final = 64


class Isolation(StrEnum):
    """
    Whether an organization uses what has no owner, such as files of the host. It is a label: its rows are its own
    either way.
    """

    SHARED = "shared"
    STRICT = "strict"


class OrganizationNotFound(NotFound):
    """
    The caller has no such organization.
    """

    def __str__(self) -> str:
        return "there is no such organization, or you are no member of it"


class SlugTaken(Conflict):
    """
    Another organization has this slug.
    """

    def __str__(self) -> str:
        return "another organization has this slug; choose another one"


class OrganizationNameTaken(Conflict):
    """
    Another organization has this name, in some case of letters.
    """

    def __str__(self) -> str:
        return "another organization has this name; choose another one"


class HomeStays(Conflict):
    """
    The organization that the deployment lives in is always there.
    """

    def __str__(self) -> str:
        return "this is the organization that the server itself lives in; it cannot be deleted"


@frozen(kw_only=True, field_transformer=typed)
class Organization:
    """
    The border no row crosses.

    Args:
        name_key: What its name is compared by. None where the name is nobody's own, as that of personal organizations.
        gateway: The id of its built-in local gateway.
        brand: How its people see the product called.
    """

    id: OrganizationId
    organization: OrganizationId = DEPLOYMENT
    number: int
    slug: str = field(validator=text(least=1, most=LONGEST_NAME))
    name: str = field(validator=text(least=1, most=LONGEST_NAME))
    name_key: str | None = None
    gateway: UUID
    brand: str | None = field(default=None, validator=optional(text(least=1, most=LONGEST_BRAND)))
    isolation: Isolation = Isolation.SHARED
    created_at: datetime = field(validator=aware)
    updated_at: datetime = field(validator=aware)
    version: int = 1

    def renamed(self, name: str, *, shared: bool = False) -> Organization:
        """
        The organization under another name, of its own or *shared* with others.
        """
        return evolve(self, name=name, name_key=None if shared else name_key(name))


ORGANIZATIONS: Final = Kind(
    entity=Organization,
    name="organizations",
    missing=OrganizationNotFound,
    unique={("slug",): SlugTaken, ("name_key",): OrganizationNameTaken},
    shared=True,
)


class Organizations(Protocol):
    """
    Ends the unit's organization.
    """

    def dissolve(self, organization: Organization, *relied_on: Versioned, since: int | None = None) -> None:
        """
        Remember to remove the organization with every row that is its own, names it or hangs on one that does: its log
        and counters, too. Users and their rows stay, and act in it no more. The decision may rest on rows that go, and
        on it that nothing has happened there *since* a position of its log.

        Raises (from the unit's `commit`):
            StaleWrite: If it, or what is relied on, has changed by now.
        """


def built_in_gateway(organization: OrganizationId) -> UUID:
    """
    The id of an organization's built-in local gateway: made of the organization's own, so nobody has to look it up.
    """
    return uuid5(organization, "gateway")


def is_home(organization: Organization) -> bool:
    """
    Whether the deployment itself lives there.
    """
    return organization.slug == HOME


@frozen(kw_only=True)
class OrganizationFounded(Fact):
    """
    An organization began.
    """

    kind = "organization.founded"
    about = "organization"

    organization: OrganizationId
    number: int
    slug: str
    name: str


@frozen(kw_only=True)
class OrganizationUpdated(Fact):
    """
    Fields of an organization changed.
    """

    kind = "organization.updated"
    about = "organization"

    organization: OrganizationId
    changed: tuple[str, ...]


@frozen(kw_only=True)
class OrganizationDissolved(Fact):
    """
    An organization is no more. It is told in the log of whoever ended it from another one.
    """

    kind = "organization.dissolved"
    about = "organization"

    organization: OrganizationId
    number: int
    slug: str
    name: str
