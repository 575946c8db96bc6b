"""
Tags: coloured labels of an organization, which tasks refer to by id.
"""

from __future__ import annotations

import re
from datetime import datetime
from itertools import chain, count
from typing import TYPE_CHECKING, Final

from attrs import field, frozen
from attrs.validators import optional

from mission_core.accounts.model import Principal, require_organization_admin
from mission_core.entity_changes import require_version, with_changes
from mission_core.errors import Conflict, InvalidField, NotFound
from mission_core.events.model import Event
from mission_core.field_types import with_type_validators
from mission_core.ids import OrganizationId, TagId
from mission_core.kinds import Kind
from mission_core.use_case import use_case
from mission_core.values import ABSENT, Absent, name_key, text, utc_moment, value_or

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork

MAX_TAG_NAME_LENGTH: Final = 100
DEFAULT_TAG_COLOR: Final = "9e9e9e"
FALLBACK_SLUG: Final = "tag"
"""The slug of a name that has neither a letter from a to z nor a digit."""


class TagNotFound(NotFound):
    """
    This organization has no such tag.
    """

    says = "Tag not found"


class TagSlugTaken(Conflict):
    """
    Another tag of the organization has this slug.
    """

    says = "Tag slug already exists in this organization."


@frozen(kw_only=True, field_transformer=with_type_validators)
class Tag:
    """
    A tag. Its slug is unique in the organization, its name need not be.
    """

    id: TagId
    organization: OrganizationId
    name: str = field(validator=text(least=1, most=MAX_TAG_NAME_LENGTH))
    slug: str = field(validator=text(least=1, most=MAX_TAG_NAME_LENGTH))
    color: str = DEFAULT_TAG_COLOR
    description: str | None = field(default=None, validator=optional(text(most=5000)))
    created_at: datetime = field(validator=utc_moment)
    updated_at: datetime = field(validator=utc_moment)
    version: int = 0

    @property
    def name_key(self) -> str:
        """
        The name in the form that is compared.
        """
        return name_key(self.name)


TAGS: Final = Kind(entity=Tag, name="tags", missing=TagNotFound, unique={("slug",): TagSlugTaken}, held_by_tasks=True)


def sorted_by_name(tags: list[Tag]) -> list[Tag]:
    """
    Sort tags by name, ignoring case, then by age.
    """
    return sorted(tags, key=lambda tag: (tag.name.lower(), tag.created_at, tag.id))


def slug_from(words: str) -> str:
    """
    Derive a slug: lower case, with each run of characters other than a-z and 0-9 as one hyphen. The result may be
    empty.
    """
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:MAX_TAG_NAME_LENGTH].strip("-")


def color_from(words: str) -> str:
    """
    Parse a colour, with or without `#`, into six lower-case hexadecimal digits.

    Raises:
        InvalidField: If it is not a colour.
    """
    color = words.strip().removeprefix("#").lower()
    if not color:
        raise InvalidField("color", "is required", words)
    if not re.fullmatch("[0-9a-f]{6}", color):
        raise InvalidField("color", "must be a 6-digit hex value", words)
    return color


@frozen(kw_only=True)
class TagCreated(Event):
    """
    A tag was created.
    """

    kind = "tag.created"
    subject_field = "tag"

    tag: TagId
    name: str


@frozen(kw_only=True)
class TagUpdated(Event):
    """
    Fields of a tag changed.
    """

    kind = "tag.updated"
    subject_field = "tag"

    tag: TagId
    name: str
    changed: tuple[str, ...]


@frozen(kw_only=True)
class TagDeleted(Event):
    """
    A tag was deleted, and removed from every task.
    """

    kind = "tag.deleted"
    subject_field = "tag"

    tag: TagId
    name: str


@frozen(kw_only=True)
class CreateTag:
    """
    Create a tag. Without a slug, one is derived from the name.
    """

    name: str
    slug: str | None = None
    color: str = DEFAULT_TAG_COLOR
    description: str | None = None


@frozen(kw_only=True)
class UpdateTag:
    """
    Change the named fields of a tag. A slug of None is derived from the name again.
    """

    tag: TagId
    expects: int | None = None
    name: str | Absent = ABSENT
    slug: str | Absent | None = ABSENT
    color: str | Absent = ABSENT
    description: str | Absent | None = ABSENT


@frozen(kw_only=True)
class DeleteTag:
    """
    Delete a tag.
    """

    tag: TagId
    expects: int | None = None


@use_case
async def create_tag(ports: Ports, principal: Principal, cmd: CreateTag) -> Tag:
    """
    Create a tag.

    Raises:
        TagSlugTaken: If another tag has its slug.
        InvalidField: If name, slug or colour is invalid.
    """
    require_organization_admin(principal)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        tag = unit.repository(TAGS).add(
            Tag(
                id=TagId(ports.ids.new()),
                organization=principal.organization,
                name=cmd.name.strip(),
                slug=await _slug(unit, cmd.slug, cmd.name),
                color=color_from(cmd.color),
                description=cmd.description,
                created_at=now,
                updated_at=now,
            )
        )
        unit.record(TagCreated(tag=tag.id, name=tag.name, at=now))
        unit.result(tag.id)
        await unit.commit()
    return tag


@use_case
async def update_tag(ports: Ports, principal: Principal, cmd: UpdateTag) -> Tag:
    """
    Change the named fields of a tag. Tasks store its id only, so all of them show the change at once.

    Raises:
        TagNotFound: If there is no such tag.
        TagSlugTaken: If another tag has its new slug.
        VersionMismatch: If the caller expected another version.
        InvalidField: If name, slug or colour is invalid.
    """
    require_organization_admin(principal)
    async with ports.unit(principal) as unit:
        before = await _get_tag(unit, cmd)
        name = value_or(cmd.name, before.name).strip()
        given = {
            "name": name,
            "slug": before.slug if isinstance(cmd.slug, Absent) else await _slug(unit, cmd.slug, name, own=before),
            "color": before.color if isinstance(cmd.color, Absent) else color_from(cmd.color),
            "description": value_or(cmd.description, before.description),
        }
        now = ports.clock.now()
        after, changed = with_changes(before, given, at=now)
        if not changed:
            return before
        after = unit.repository(TAGS).save(after)
        unit.record(TagUpdated(tag=after.id, name=after.name, changed=changed, at=now))
        unit.result(after.id)
        await unit.commit()
    return after


@use_case
async def delete_tag(ports: Ports, principal: Principal, cmd: DeleteTag) -> Tag:
    """
    Delete a tag, and remove it from the tasks that have it.

    Raises:
        TagNotFound: If there is no such tag.
        VersionMismatch: If the caller expected another version.
    """
    require_organization_admin(principal)
    async with ports.unit(principal) as unit:
        tag = await _get_tag(unit, cmd)
        unit.repository(TAGS).remove(tag)
        unit.record(TagDeleted(tag=tag.id, name=tag.name, at=ports.clock.now()))
        await unit.commit()
    return tag


async def _get_tag(unit: UnitOfWork, cmd: UpdateTag | DeleteTag) -> Tag:
    tag = require_version(await unit.repository(TAGS).get(cmd.tag), cmd.expects)
    return tag


async def _slug(unit: UnitOfWork, given: str | None, name: str, *, own: Tag | None = None) -> str:
    """
    The slug derived from *given*, else from the name. If no letter or digit is left, it is the first free one of `tag`,
    `tag-2`, and so on.
    """
    slug = slug_from((given or "").strip() or name)
    if slug:
        return slug
    taken = {tag.slug for tag in await unit.repository(TAGS).every() if own is None or tag.id != own.id}
    suggested = chain([FALLBACK_SLUG], (f"{FALLBACK_SLUG}-{number}" for number in count(2)))
    return next(each for each in suggested if each not in taken)
