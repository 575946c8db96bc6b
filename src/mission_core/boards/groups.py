"""
Groups of boards that belong together.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from attrs import field
from attrs.validators import optional

from mission_core.accounts.model import Principal, Role, may_write_board, require_role
from mission_core.boards.model import handle_from, require_grant
from mission_core.errors import InvalidField, NotFound
from mission_core.field_types import with_type_validators
from mission_core.ids import GroupId, GroupNumber, OrganizationId
from mission_core.kinds import Kind
from mission_core.lazy_attrs import frozen
from mission_core.records import Draft, Records, record_events
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


GROUPS: Final = Kind(entity=BoardGroup, name="board_groups", missing=GroupNotFound, board_field="group")
GroupCreated, GroupUpdated, GroupDeleted = record_events("group", subject="group", logs=("number", "name"))


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
    Change the named fields of a group. A slug of None or blanks is derived from the new name.
    """

    group: GroupId
    expects: int | None = None
    name: str | Absent = ABSENT
    slug: str | Absent | None = ABSENT
    description: str | Absent | None = ABSENT


@frozen(kw_only=True)
class DeleteGroup:
    """
    Delete a group.
    """

    group: GroupId
    expects: int | None = None


async def _derive_slug(draft: Draft[BoardGroup]) -> None:
    """
    The given slug, else one derived from the name, else the end of the id.
    """
    given = draft.given
    if "slug" in given:
        try:
            given["slug"] = (given["slug"] or "").strip() or handle_from(draft.value("name"), most=200)
        except InvalidField:
            given["slug"] = draft.id.hex[-8:]


GROUP_RECORDS: Final = Records(
    kind=GROUPS, noun="group", events=(GroupCreated, GroupUpdated, GroupDeleted), prepare=_derive_slug
)


@use_case
async def create_group(ports: Ports, principal: Principal, cmd: CreateGroup) -> BoardGroup:
    """
    Create a group.

    Raises:
        RoleTooLow: If the principal is not an admin.
        BoardAgentConfined: If the principal is an agent of one board.
    """
    return await GROUP_RECORDS.create(ports, principal, cmd)


@use_case
async def update_group(ports: Ports, principal: Principal, cmd: UpdateGroup) -> BoardGroup:
    """
    Change the named fields of a group. If nothing changes, nothing is written or logged.

    Raises:
        GroupNotFound: If this organization has none.
        RoleTooLow: If the principal is not an admin.
        BoardAgentConfined: If the principal is an agent of one board.
        VersionMismatch: If the caller expected another version.
    """

    async def read_boards(unit: UnitOfWork, group: BoardGroup) -> None:
        await unit.boards.of_group(group.id)  # so that the write can check the grants on them

    return await GROUP_RECORDS.change(ports, principal, cmd.group, cmd, check=read_boards)


@use_case
async def delete_group(ports: Ports, principal: Principal, cmd: DeleteGroup) -> BoardGroup:
    """
    Delete a group. Its boards are kept and are in no group.

    Raises:
        GroupNotFound: If this organization has none.
        RoleTooLow: If the principal is not an admin.
        BoardAgentConfined: If the principal is an agent of one board.
        VersionMismatch: If the caller expected another version.
    """

    async def free_boards(unit: UnitOfWork, group: BoardGroup) -> None:
        for board in await unit.boards.of_group(group.id):
            alone, updated = board.edit({"group": None}, at=ports.clock.now())
            unit.without_grants.boards.save(alone)
            unit.record(updated)

    return await GROUP_RECORDS.remove(ports, principal, cmd.group, cmd, check=free_boards)


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
