"""
Groups of boards that belong together.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from attrs import asdict, field, frozen
from attrs.validators import optional

from mission_core.accounts.model import Principal, Role, may_write_board, require_organization_admin, require_role
from mission_core.boards.model import handle_from, require_grant
from mission_core.entity_changes import require_version, with_changes
from mission_core.errors import InvalidField, NotFound
from mission_core.events.model import Event
from mission_core.field_types import with_type_validators
from mission_core.ids import GroupId, GroupNumber, OrganizationId
from mission_core.kinds import Kind
from mission_core.use_case import use_case
from mission_core.values import ABSENT, Absent, text, utc_moment

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork


class GroupNotFound(NotFound):
    """
    This organization has no such group.
    """

    says = "Board group not found"


@frozen(kw_only=True, field_transformer=with_type_validators)
class BoardGroup:
    """
    A group of boards. Its version also rises when a board joins it.

    A principal may see the group if it may see one of its boards, and change it if it may write on one of them.
    """

    id: GroupId
    number: GroupNumber
    organization: OrganizationId
    name: str = field(validator=text(most=200))
    slug: str = field(validator=text(least=1, most=200))
    description: str | None = field(default=None, validator=optional(text(most=5000)))
    created_at: datetime = field(validator=utc_moment)
    updated_at: datetime = field(validator=utc_moment)
    version: int = 0

    def edit(self, changes: Mapping[str, Any], *, at: datetime) -> tuple[BoardGroup, GroupUpdated]:
        """
        The group with these fields changed, and the event that names them.

        Raises:
            InvalidField: If a value is invalid.
        """
        after, changed = with_changes(self, changes, at=at)
        return after, GroupUpdated(group=self.id, changed=changed, at=at)


GROUPS: Final = Kind(entity=BoardGroup, name="board_groups", missing=GroupNotFound)


@frozen(kw_only=True)
class GroupCreated(Event):
    """
    A group was created.
    """

    kind = "group.created"
    subject_field = "group"

    group: GroupId
    number: int
    name: str


@frozen(kw_only=True)
class GroupUpdated(Event):
    """
    Fields of a group changed.
    """

    kind = "group.updated"
    subject_field = "group"

    group: GroupId
    changed: tuple[str, ...]


@frozen(kw_only=True)
class GroupDeleted(Event):
    """
    A group was deleted. Its boards are in no group.
    """

    kind = "group.deleted"
    subject_field = "group"

    group: GroupId
    number: int
    name: str


@frozen(kw_only=True)
class CreateGroup:
    """
    Create a group. A blank slug is derived from the name.
    """

    name: str
    slug: str = ""
    description: str | None = None


@frozen(kw_only=True)
class UpdateGroup:
    """
    Change the named fields of a group. A blank slug is derived from the new name.
    """

    group: GroupId
    expects: int | None = None
    name: str | Absent = ABSENT
    slug: str | Absent = ABSENT
    description: str | Absent | None = ABSENT


@frozen(kw_only=True)
class DeleteGroup:
    """
    Delete a group.
    """

    group: GroupId
    expects: int | None = None


@use_case
async def create_group(ports: Ports, principal: Principal, cmd: CreateGroup) -> BoardGroup:
    """
    Create a group.

    Raises:
        RoleTooLow: If the principal is not an admin.
        OneBoardAlone: If the principal is an agent of one board.
    """
    require_organization_admin(principal)
    now, id = ports.clock.now(), GroupId(ports.ids.new())
    (number,) = await ports.numbers.next((principal.organization, "group"))
    async with ports.unit(principal) as unit:
        group = unit.repository(GROUPS).add(
            BoardGroup(
                id=id,
                number=GroupNumber(number),
                organization=principal.organization,
                name=cmd.name,
                slug=_slug(cmd.slug, cmd.name, id),
                description=cmd.description,
                created_at=now,
                updated_at=now,
            )
        )
        unit.record(GroupCreated(group=id, number=number, name=group.name, at=now))
        unit.result(id)
        await unit.commit()
    return group


@use_case
async def update_group(ports: Ports, principal: Principal, cmd: UpdateGroup) -> BoardGroup:
    """
    Change the named fields of a group. If nothing changes, nothing is written or logged.

    Raises:
        GroupNotFound: If this organization has none.
        RoleTooLow: If the principal is not an admin.
        OneBoardAlone: If the principal is an agent of one board.
        VersionMismatch: If the caller expected another version.
    """
    require_organization_admin(principal)
    async with ports.unit(principal) as unit:
        group = await _get_group(unit, cmd)
        given = asdict(cmd, recurse=False)
        changes = {name: given[name] for name in ("name", "slug", "description") if given[name] is not ABSENT}
        if "slug" in changes:
            changes["slug"] = _slug(changes["slug"], changes.get("name", group.name), group.id)
        group, updated = group.edit(changes, at=ports.clock.now())
        if not updated.changed:
            return group
        group = unit.repository(GROUPS).save(group)
        unit.record(updated)
        await unit.commit()
    return group


@use_case
async def delete_group(ports: Ports, principal: Principal, cmd: DeleteGroup) -> BoardGroup:
    """
    Delete a group. Its boards are kept and are in no group.

    Raises:
        GroupNotFound: If this organization has none.
        RoleTooLow: If the principal is not an admin.
        OneBoardAlone: If the principal is an agent of one board.
        VersionMismatch: If the caller expected another version.
    """
    require_organization_admin(principal)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        group = await _get_group(unit, cmd)
        for board in await unit.boards.of_group(group.id):
            alone, updated = board.edit({"group": None}, at=now)
            unit.without_grants.boards.save(alone)
            unit.record(updated)
        unit.repository(GROUPS).remove(group)
        unit.record(GroupDeleted(group=group.id, number=group.number, name=group.name, at=now))
        await unit.commit()
    return group


async def require_joinable_group(unit: UnitOfWork, principal: Principal, group: GroupId | Absent | None) -> None:
    """
    Check that a board may join a group, if it joins one. The group gets a new version, so that a concurrent deletion of
    it fails and then finds this board.

    Raises:
        GroupNotFound: If this organization has none.
        BoardDenied: If the principal may write on some boards only, and on none of the group's.
        RoleTooLow: If the group has no boards, and such a principal is not an admin.
    """
    if group is None or isinstance(group, Absent):
        return
    unit.rely_on(await unit.without_grants.repository(GROUPS).get(group), bump=True)
    if may_write_board(principal, None):
        return
    boards = await unit.boards.of_group(group)
    if boards:
        require_grant(principal, *(board.id for board in boards))  # the group's memory is readable to its boards only
    else:
        require_role(principal, Role.ADMIN)


async def _get_group(unit: UnitOfWork, cmd: UpdateGroup | DeleteGroup) -> BoardGroup:
    group = await unit.repository(GROUPS).get(cmd.group)
    await unit.boards.of_group(group.id)  # read, so that the write can check the grants on them
    return require_version(group, cmd.expects)


def _slug(given: str, name: str, id: GroupId) -> str:
    """
    The given slug, else one derived from the name, else the end of the id.
    """
    if given.strip():
        return given.strip()
    try:
        return handle_from(name, most=200)
    except InvalidField:
        return id.hex[-8:]
