"""
Tags: coloured labels of an organization, which tasks refer to by id.
"""

from __future__ import annotations

import re
from datetime import datetime
from itertools import chain, count
from typing import TYPE_CHECKING, Final

from attrs import field
from attrs.validators import optional

from mission_core.accounts.model import Principal
from mission_core.errors import Conflict, InvalidField, NotFound
from mission_core.field_types import with_type_validators
from mission_core.ids import OrganizationId, TagId
from mission_core.kinds import Kind
from mission_core.lazy_attrs import frozen
from mission_core.records import Draft, Records, record_events
from mission_core.use_case import use_case
from mission_core.values import ABSENT, Absent, name_key, text, utc_moment

if TYPE_CHECKING:
    from mission_core.ports import Ports

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


def name_order(tag: Tag) -> tuple[str, datetime, TagId]:
    """
    The key that sorts tags by name, ignoring case, then by age.
    """
    return tag.name.lower(), tag.created_at, tag.id


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


TagCreated, TagUpdated, TagDeleted = record_events("tag", subject="tag", logs=("name",), logs_change=("name",))


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


async def _normalize(draft: Draft[Tag]) -> None:
    given = draft.given
    if "slug" in given:
        given["slug"] = await _slug(draft)
    if "name" in given:
        given["name"] = given["name"].strip()
    if "color" in given:
        given["color"] = color_from(given["color"])


async def _slug(draft: Draft[Tag]) -> str:
    """
    The slug derived from the given one, else from the name. If no letter or digit is left, it is the first free one of
    `tag`, `tag-2`, and so on.
    """
    slug = slug_from((draft.given["slug"] or "").strip() or draft.value("name"))
    if slug:
        return slug
    taken = {tag.slug for tag in await draft.unit.repository(TAGS).every() if tag.id != draft.id}
    suggested = chain([FALLBACK_SLUG], (f"{FALLBACK_SLUG}-{number}" for number in count(2)))
    return next(each for each in suggested if each not in taken)


TAG_RECORDS: Final = Records(kind=TAGS, noun="tag", events=(TagCreated, TagUpdated, TagDeleted), prepare=_normalize)


@use_case
async def create_tag(ports: Ports, principal: Principal, cmd: CreateTag) -> Tag:
    """
    Create a tag.

    Raises:
        TagSlugTaken: If another tag has its slug.
        InvalidField: If name, slug or colour is invalid.
    """
    return await TAG_RECORDS.create(ports, principal, cmd)


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
    return await TAG_RECORDS.change(ports, principal, cmd.tag, cmd)


@use_case
async def delete_tag(ports: Ports, principal: Principal, cmd: DeleteTag) -> Tag:
    """
    Delete a tag, and remove it from the tasks that have it.

    Raises:
        TagNotFound: If there is no such tag.
        VersionMismatch: If the caller expected another version.
    """
    return await TAG_RECORDS.remove(ports, principal, cmd.tag, cmd)
