"""
An agent of one board has no part in what is the whole organization's, be its key an admin's.
"""

from typing import Any
from uuid import UUID, uuid4

import pytest

from mission_core.accounts.letting_in import ReviewAccess, access_requests, review_access
from mission_core.accounts.managing import RemoveMember, SetRole, remove_member, set_role
from mission_core.accounts.model import OneBoardAlone, Role
from mission_core.accounts.places import UpdateOrganization, update_organization
from mission_core.accounts.rotating import server_key_state
from mission_core.accounts.settings import ChangeSettings, ResetSetting, change_settings, reset_setting, settings_of
from mission_core.accounts.user_admin import (
    CreateUser,
    DeleteUser,
    UpdateUser,
    create_user,
    delete_user,
    update_user,
    users_of,
)
from mission_core.agents.dissolving import DissolveOrganization, dissolve_organization
from mission_core.boards.defining import CreateField, DeleteField, UpdateField, create_field, delete_field, update_field
from mission_core.boards.granting import (
    Access,
    InvitePerson,
    SetAccess,
    WithdrawInvite,
    invite_person,
    set_access,
    withdraw_invite,
)
from mission_core.boards.groups import CreateGroup, DeleteGroup, UpdateGroup, create_group, delete_group, update_group
from mission_core.boards.tags import CreateTag, DeleteTag, UpdateTag, create_tag, delete_tag, update_tag
from mission_core.ids import BoardId, FieldId, GroupId, InviteId, MemberId, TagId
from tests.contract.browser import PASSWORD, front_desk
from tests.contract.conftest import World
from tests.contract.fleet_driver import KEY, Fleet, refusal

NONE = UUID(int=1)
PERSON = {"username": "mallory", "password": PASSWORD, "role": Role.ADMIN}
CHANGES = [
    (create_user, CreateUser(**PERSON)),
    (update_user, UpdateUser(user=1)),
    (delete_user, DeleteUser(user=1)),
    (review_access, ReviewAccess(request=1, approve=True)),
    (set_role, SetRole(member=MemberId(NONE), role="admin")),
    (remove_member, RemoveMember(member=MemberId(NONE))),
    (set_access, SetAccess(member=MemberId(NONE), access=Access(all_boards_write=True))),
    (invite_person, InvitePerson(email="mallory@example.com", role="admin")),
    (withdraw_invite, WithdrawInvite(invite=InviteId(NONE))),
    (change_settings, ChangeSettings(values={"general.site_name": "Mine"})),
    (reset_setting, ResetSetting(key="general.site_name")),
    (update_organization, UpdateOrganization(name="Mine")),
    (dissolve_organization, DissolveOrganization(organization=1)),
    (create_tag, CreateTag(name="Mine")),
    (update_tag, UpdateTag(tag=TagId(NONE))),
    (delete_tag, DeleteTag(tag=TagId(NONE))),
    (create_field, CreateField(field_key="mine", boards=(BoardId(NONE),))),
    (update_field, UpdateField(field=FieldId(NONE))),
    (delete_field, DeleteField(field=FieldId(NONE))),
    (create_group, CreateGroup(name="Mine")),
    (update_group, UpdateGroup(group=GroupId(NONE))),
    (delete_group, DeleteGroup(group=GroupId(NONE))),
]
READS = [
    (users_of, ()),
    (settings_of, ()),
    (access_requests, ()),
    (server_key_state, (KEY,)),
]  # fmt: skip


@pytest.mark.parametrize(("use_case", "command"), CHANGES, ids=[each.__name__ for each, _ in CHANGES])
async def test_it_changes_nothing_of_the_whole_organization(world: World, use_case: Any, command: Any) -> None:
    """
    Whether or not there is what it names.
    """
    confined = await world.principal("ada", role=Role.ADMIN, board=world.board.id)
    with pytest.raises(OneBoardAlone):
        await use_case(world.ports, confined, command)


@pytest.mark.parametrize(("read", "more"), READS, ids=[each.__name__ for each, _ in READS])
async def test_it_reads_nothing_of_the_whole_organization(world: World, read: Any, more: Any) -> None:
    confined = await world.principal("ada", role=Role.ADMIN, board=world.board.id)
    with pytest.raises(OneBoardAlone):
        await read(world.ports, confined, *more)


async def test_an_agent_of_no_board_does_as_any_admin(world: World) -> None:
    free = await world.principal("ada", role=Role.ADMIN)
    made = await create_user(world.ports, free, CreateUser(**PERSON | {"username": f"user-{uuid4()}"}))
    await change_settings(world.ports, free, ChangeSettings(values={"general.site_name": "Ours"}))
    await create_tag(world.ports, free, CreateTag(name="Ours"))

    assert [made] == await users_of(world.ports, free)
    assert ["Ours"] == [each.value for each in await settings_of(world.ports, free)]


async def test_its_key_is_refused_over_http(world: World, fleet: Fleet) -> None:
    """
    Its own board stays open to it.
    """
    await front_desk(world.ports)
    await world.agent("ada", board=world.board.id)
    key = await fleet.key("ada", "admin")
    number = (await world.ports.reads.organization(world.me)).number
    for method, path, body in (
        ("GET", "/auth/users", None), ("POST", "/auth/users", PERSON), ("PUT", "/auth/users", {"id": 1}),
        ("DELETE", "/auth/users", {"id": 1}), ("GET", "/auth/access-requests", None), ("GET", "/settings", None),
        ("POST", "/auth/access-requests", {"request_id": 1, "action": "approve"}),
        ("PUT", "/settings", {"settings": {"x": "1"}}), ("DELETE", "/settings", {"key": "x"}),
        ("PUT", f"/workspaces/{number}", {"name": "Mine"}), ("DELETE", f"/workspaces/{number}", None),
        ("GET", "/tokens/rotate", None),
    ):  # fmt: skip
        answer = await fleet.call(method, path, body, key=key)
        assert (403, str(OneBoardAlone())) == refusal(answer), (method, path)
    assert 201 == (await fleet.call("POST", "/tasks", {"title": "x", "project_id": world.board.number}, key=key)).status
