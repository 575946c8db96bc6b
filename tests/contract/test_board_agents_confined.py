"""
An agent of one board has no part in what is the whole organization's, be its key an admin's.
"""

from typing import Any
from uuid import UUID, uuid4

import pytest

from mission_core.accounts.active_organization import UpdateOrganization, update_organization
from mission_core.accounts.google_sign_in import ReviewAccessRequest, list_access_requests, review_access_request
from mission_core.accounts.member_admin import RemoveMember, SetMemberRole, remove_member, set_member_role
from mission_core.accounts.model import BoardAgentConfined, Role
from mission_core.accounts.organization_settings import (
    ChangeSettings,
    ResetSetting,
    change_settings,
    reset_setting,
    settings_of,
)
from mission_core.accounts.server_key_rotation import server_key_state
from mission_core.accounts.user_admin import (
    CreateUser,
    DeleteUser,
    UpdateUser,
    create_user,
    delete_user,
    update_user,
    users_of_organization,
)
from mission_core.agents.organization_deletion import DeleteEmptyOrganization, delete_empty_organization
from mission_core.boards.board_access import (
    BoardAccess,
    InvitePerson,
    SetBoardAccess,
    WithdrawInvite,
    invite_person,
    set_board_access,
    withdraw_invite,
)
from mission_core.boards.custom_field_use_cases import (
    CreateField,
    DeleteField,
    UpdateField,
    create_field,
    delete_field,
    update_field,
)
from mission_core.boards.groups import CreateGroup, DeleteGroup, UpdateGroup, create_group, delete_group, update_group
from mission_core.boards.tags import CreateTag, DeleteTag, UpdateTag, create_tag, delete_tag, update_tag
from mission_core.ids import BoardId, FieldId, GroupId, InviteId, MemberId, TagId
from tests.contract.browser import PASSWORD, allow_sign_in
from tests.contract.conftest import World
from tests.contract.fleet_driver import KEY, FleetDriver, refusal

NONE = UUID(int=1)
PERSON = {"username": "mallory", "password": PASSWORD, "role": Role.ADMIN}
CHANGES = [
    (create_user, CreateUser(**PERSON)),
    (update_user, UpdateUser(user=1)),
    (delete_user, DeleteUser(user=1)),
    (review_access_request, ReviewAccessRequest(request=1, approve=True)),
    (set_member_role, SetMemberRole(member=MemberId(NONE), role="admin")),
    (remove_member, RemoveMember(member=MemberId(NONE))),
    (set_board_access, SetBoardAccess(member=MemberId(NONE), access=BoardAccess(all_boards_write=True))),
    (invite_person, InvitePerson(email="mallory@example.com", role="admin")),
    (withdraw_invite, WithdrawInvite(invite=InviteId(NONE))),
    (change_settings, ChangeSettings(values={"general.site_name": "Mine"})),
    (reset_setting, ResetSetting(key="general.site_name")),
    (update_organization, UpdateOrganization(name="Mine")),
    (delete_empty_organization, DeleteEmptyOrganization(organization=1)),
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
    (users_of_organization, ()),
    (settings_of, ()),
    (list_access_requests, ()),
    (server_key_state, (KEY,)),
]  # fmt: skip


@pytest.mark.parametrize(("use_case", "command"), CHANGES, ids=[each.__name__ for each, _ in CHANGES])
async def test_it_changes_nothing_of_the_whole_organization(world: World, use_case: Any, command: Any) -> None:
    """
    Whether or not there is what it names.
    """
    confined = await world.principal("ada", role=Role.ADMIN, board=world.board.id)
    with pytest.raises(BoardAgentConfined):
        await use_case(world.ports, confined, command)


@pytest.mark.parametrize(("read", "more"), READS, ids=[each.__name__ for each, _ in READS])
async def test_it_reads_nothing_of_the_whole_organization(world: World, read: Any, more: Any) -> None:
    confined = await world.principal("ada", role=Role.ADMIN, board=world.board.id)
    with pytest.raises(BoardAgentConfined):
        await read(world.ports, confined, *more)


async def test_an_agent_of_no_board_does_as_any_admin(world: World) -> None:
    free = await world.principal("ada", role=Role.ADMIN)
    made = await create_user(world.ports, free, CreateUser(**PERSON | {"username": f"user-{uuid4()}"}))
    await change_settings(world.ports, free, ChangeSettings(values={"general.site_name": "Ours"}))
    await create_tag(world.ports, free, CreateTag(name="Ours"))

    assert [made] == await users_of_organization(world.ports, free)
    assert ["Ours"] == [each.value for each in await settings_of(world.ports, free)]


async def test_its_key_is_refused_over_http(world: World, fleet: FleetDriver) -> None:
    """
    Its own board stays open to it.
    """
    await allow_sign_in(world.ports)
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
        assert (403, str(BoardAgentConfined())) == refusal(answer), (method, path)
    assert 201 == (await fleet.call("POST", "/tasks", {"title": "x", "project_id": world.board.number}, key=key)).status
