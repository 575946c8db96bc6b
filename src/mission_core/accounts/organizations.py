"""
Organizations. Every row belongs to one, and no organization sees the rows of another.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID, uuid5

from attrs import evolve, field
from attrs.validators import optional

from mission_core.errors import Conflict, NotFound
from mission_core.events.model import Event
from mission_core.field_types import with_type_validators
from mission_core.ids import OrganizationId
from mission_core.kinds import DEPLOYMENT, Kind
from mission_core.lazy_attrs import frozen
from mission_core.values import name_key, text, utc_moment

if TYPE_CHECKING:
    from mission_core.ports import Versioned

DEFAULT_ORGANIZATION_SLUG: Final = "default"
"""The slug of the default organization, which exists from the first start."""
LONGEST_NAME: Final = 200
LONGEST_BRAND: Final = 64


class Isolation(StrEnum):
    """
    A label that says whether an organization uses shared resources, such as files of the host. Its rows are isolated
    either way.
    """

    SHARED = "shared"
    STRICT = "strict"


class OrganizationNotFound(NotFound):
    """
    The organization does not exist, or the caller is not a member.
    """

    says = "there is no such organization, or you are not a member of it"


class SlugTaken(Conflict):
    """
    Another organization has this slug.
    """

    says = "another organization has this slug; choose another one"


class OrganizationNameTaken(Conflict):
    """
    Another organization has this name; names that differ only in case are equal.
    """

    says = "another organization has this name; choose another one"


class DefaultOrganizationUndeletable(Conflict):
    """
    The default organization cannot be deleted.
    """

    code = "home_stays"
    says = "this is the default organization; it cannot be deleted"


@frozen(kw_only=True, field_transformer=with_type_validators)
class Organization:
    """
    A tenant: the owner of all its rows.

    Args:
        name_key: The compared form of the name. None if the name need not be unique, as for personal ones.
        gateway: The id of the built-in local gateway.
        brand: The product name that members see.
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
    created_at: datetime = field(validator=utc_moment)
    updated_at: datetime = field(validator=utc_moment)
    version: int = 1

    def renamed(self, name: str, *, shared: bool = False) -> Organization:
        """
        The organization with another name, unique or *shared* with other organizations.
        """
        return evolve(self, name=name, name_key=None if shared else name_key(name))


ORGANIZATIONS: Final = Kind(
    entity=Organization,
    name="organizations",
    missing=OrganizationNotFound,
    unique={("slug",): SlugTaken, ("name_key",): OrganizationNameTaken},
    shared=True,
)


class OrganizationDeletion(Protocol):
    """
    Deletes the unit's organization.
    """

    def delete(self, organization: Organization, *relied_on: Versioned, since: int | None = None) -> None:
        """
        Delete the organization when the unit commits, with all its rows, its log and its counters. Users and their rows
        remain, without it as their active organization. The decision may depend on rows that are deleted, and on the
        absence of events *since* a position of the log.

        Raises (from the unit's `commit`):
            StaleWrite: If the organization, or a row that the decision depends on, changed meanwhile.
        """


def built_in_gateway(organization: OrganizationId) -> UUID:
    """
    The id of an organization's built-in local gateway, derived from the organization's id.
    """
    return uuid5(organization, "gateway")


def is_default_organization(organization: Organization) -> bool:
    """
    Whether it is the default organization.
    """
    return organization.slug == DEFAULT_ORGANIZATION_SLUG


@frozen(kw_only=True, eq=False, repr=False)
class OrganizationCreated(Event):
    """
    An organization was created.
    """

    kind = "organization.founded"

    organization: OrganizationId
    number: int
    slug: str
    name: str


@frozen(kw_only=True, eq=False, repr=False)
class OrganizationUpdated(Event):
    """
    Fields of an organization changed.
    """

    kind = "organization.updated"

    organization: OrganizationId
    changed: tuple[str, ...]


@frozen(kw_only=True, eq=False, repr=False)
class OrganizationDeleted(Event):
    """
    An organization was deleted. The event is in the log of the organization from which it was deleted.
    """

    kind = "organization.dissolved"

    organization: OrganizationId
    number: int
    slug: str
    name: str
