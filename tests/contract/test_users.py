"""
The users of an organization, as its admins keep them, and people's own accounts.
"""

import json
from typing import Any
from uuid import uuid4

import pytest
from attrs import evolve

from mission_adapters.testing.concurrent_writes import BOTH_ORDERS, at_once, kinds
from mission_core.accounts.account_deletion import delete_account
from mission_core.accounts.member_admin import SetMemberRole, set_member_role
from mission_core.accounts.members import ADMIN, MEMBERS, OWNER, BoardPermission, Member
from mission_core.accounts.model import MemberPrincipal, Role, RoleTooLow, SystemPrincipal
from mission_core.accounts.ownership_rules import LastOwnerRequired, OwnerAboveAdmin
from mission_core.accounts.profiles import LocalUserProtected, ensure_local_user
from mission_core.accounts.user_admin import (
    CannotChangeOwnRole,
    CannotDeleteOwnUser,
    CreateUser,
    DeleteUser,
    MemberOfAnotherOrganization,
    UpdateUser,
    create_user,
    delete_user,
    update_user,
)
from mission_core.accounts.users import USERS, UserNotFound
from mission_core.boards.board_access import BoardAccess, SetBoardAccess, set_board_access
from mission_core.errors import InvalidField
from tests.contract.browser import PASSWORD, WRONG, Browser, Person, allow_sign_in, make_person
from tests.contract.conftest import World
from tests.contract.fleet_driver import KEY, FleetDriver, refusal, wrong_fields
from tests.contract.people import also_in

ANOTHER = "another horse battery"


async def an_owner(world: World) -> Person:
    """
    A user who owns the organization.
    """
    person = await make_person(world, role=Role.ADMIN)
    async with world.ports.unit(world.me) as unit:
        members = unit.repository(MEMBERS)
        members.save(evolve(await members.get(person.found.member.id), role=OWNER))
        await unit.commit()
    return person


async def acting_as(world: World, person: Person) -> MemberPrincipal:
    principal = await world.ports.credentials.member(person.found.user.id)
    assert principal is not None
    return principal


async def signed_in(world: World, fleet: FleetDriver, **fields: Any) -> tuple[Person, Browser]:
    person = await make_person(world, **fields)
    browser = Browser(fleet)
    assert 200 == (await browser.log_in(person.username)).status
    return person, browser


def named(**more: Any) -> dict[str, Any]:
    return {"username": f"user-{uuid4()}", "password": PASSWORD, **more}


async def test_an_admin_makes_a_user_who_signs_in(world: World, fleet: FleetDriver) -> None:
    """
    As an operator who is called by their user name, unless it is said otherwise.
    """
    await allow_sign_in(world.ports)
    _, admin = await signed_in(world, fleet, role=Role.ADMIN)
    sent = named()
    made = await admin.call("POST", "/auth/users", sent)
    full = named(display_name="Grace", role="viewer", provider="google", email="Grace@Example.com")
    other = (await admin.call("POST", "/auth/users", full)).json["user"]

    user = made.json["user"]
    assert (201, sent["username"], sent["username"], "operator", "local", 1) == (
        made.status, *(user[name] for name in ("username", "display_name", "role", "provider", "is_approved"))
    )  # fmt: skip
    assert ("Grace", "viewer", "google", "grace@example.com") == tuple(
        other[name] for name in ("display_name", "role", "provider", "email")
    )
    assert 200 == (await Browser(fleet).log_in(sent["username"])).status
    assert PASSWORD not in str(made.json)
    kept = [await world.ports.reads.members.get(world.me, each["id"]) for each in (user, other)]
    assert [True, False] == [bool(each.user.password) for each in kept]


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        (Role.VIEWER, ("member", True, False)),
        (Role.OPERATOR, ("member", True, True)),
        (Role.ADMIN, ("admin", True, True)),
    ],
)
async def test_what_a_role_stands_for(world: World, role: Role, expected: Any) -> None:
    """
    When a user is made, and when they get it later.
    """
    made = await create_user(world.ports, world.me, CreateUser(**named(role=role)))
    other = await create_user(world.ports, world.me, CreateUser(**named(role=Role.VIEWER)))
    given = await update_user(world.ports, world.me, UpdateUser(user=other.user.id, role=role))

    for member in (made.member, given.member):
        assert expected == (member.role, member.all_boards_read, member.all_boards_write)


@pytest.mark.every_store
async def test_a_user_name_is_taken_once(world: World, elsewhere: World, fleet: FleetDriver) -> None:
    """
    In the whole deployment, and in any case of letters.
    """
    person = await make_person(elsewhere)
    answer = await fleet.call("POST", "/auth/users", named(username=person.username.upper()))

    assert (409, "Username already exists") == refusal(answer)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"username": ""}, "username"),
        ({"username": " "}, "username"),
        ({"username": "a\nb"}, "username"),
        ({"password": "x" * 11}, "password"),
        ({"password": "x" * 11, "provider": "google"}, "password"),
        ({"password": "x" * 1001}, "password"),
        ({"role": "owner"}, "role"),
        ({"role": None}, "role"),
        ({"provider": "proxy"}, "provider"),
        ({"email": 1}, "email"),
    ],
)
async def test_a_user_that_cannot_be_is_not_made(fleet: FleetDriver, body: Any, field: str) -> None:
    assert [field] == wrong_fields(await fleet.call("POST", "/auth/users", named() | body))


async def test_nothing_else_can_be_said_about_a_user(world: World, fleet: FleetDriver) -> None:
    """
    What a request adds to the fields there are changes nothing: not who they are, nor what they may do, nor where.
    """
    more = {
        "id": 1, "is_approved": 0, "approved": False, "workspace_id": 99, "tenant_id": 99, "active": str(uuid4()),
        "organization": str(uuid4()), "number": 1, "version": 99, "password_hash": "x", "all_boards_write": True,
        "subject": "x", "created_at": 1, "is_admin": True, "scopes": ["admin"],
    }  # fmt: skip
    made = await fleet.got("POST", "/auth/users", named(role="viewer") | more, 201)
    user = made["user"]
    more.pop("id")
    more.pop("is_approved")
    changed = await fleet.got("PUT", "/auth/users", {"id": user["id"], "display_name": "Ada"} | more)
    person, browser = await signed_in(world, fleet, role=Role.VIEWER)
    mine = {"display_name": "Eve", "role": "admin", "username": "root", "email": "x@example.com", "id": user["id"]}
    me = (await browser.call("PATCH", "/auth/me", mine | more)).json["user"]

    assert user["id"] > 1
    assert ("viewer", 1) == (user["role"], user["is_approved"])
    assert user | {"display_name": "Ada"} == changed["user"]
    assert (person.number, "Eve", "viewer", person.username, None) == tuple(
        me[name] for name in ("id", "display_name", "role", "username", "email")
    )


async def test_users_are_for_admins(world: World, fleet: FleetDriver) -> None:
    """
    Whoever is not one learns no more than that; who asks for the list without a credential is asked for one.
    """
    _, browser = await signed_in(world, fleet)
    await fleet.agent("ada")
    keys = [await fleet.key("ada", "operator"), await fleet.key("ada", "viewer")]
    for method in ("GET", "POST", "PUT", "DELETE"):
        denied = [await browser.call(method, "/auth/users", {"id": 1})]
        denied += [await fleet.call(method, "/auth/users", {"id": 1}, key=key) for key in keys]
        expected = (401, "Authentication required") if method == "GET" else (403, "Admin access required")

        assert [(403, "Admin access required")] * 3 == list(map(refusal, denied)), method
        assert expected == refusal(await fleet.call(method, "/auth/users", {"id": 1}, key=None)), method


async def test_no_agent_keeps_users(world: World, fleet: FleetDriver) -> None:
    """
    But one with an admin's key, which is an admin.
    """
    principal = await world.principal()
    for use_case, command in (
        (create_user, CreateUser(**named())), (update_user, UpdateUser(user=1)), (delete_user, DeleteUser(user=1)),
    ):  # fmt: skip
        with pytest.raises(RoleTooLow):
            await use_case(world.ports, principal, command)


@pytest.mark.every_store
async def test_the_users_of_an_organization_are_listed_in_their_order(
    world: World, elsewhere: World, fleet: FleetDriver
) -> None:
    """
    With when they came and when they last signed in, and none of another organization.
    """
    first, second = await make_person(world), await make_person(world, role=Role.VIEWER)
    await make_person(elsewhere)
    await Browser(fleet).log_in(second.username)
    users = (await fleet.got("GET", "/auth/users"))["users"]
    now = int(world.clock.now().timestamp())

    assert [(first.number, "operator", None), (second.number, "viewer", now)] == [
        (each["id"], each["role"], each["last_login_at"]) for each in users
    ]
    assert {now} == {each["created_at"] for each in users}


@pytest.mark.every_store
async def test_an_admin_changes_what_is_named(world: World, fleet: FleetDriver) -> None:
    """
    By number, also as text; what is not named stays.
    """
    person = await make_person(world, email="ada@example.com", name="Ada")
    body = {"id": str(person.number), "role": "viewer", "avatar_url": "https://example.com/a.png", "is_approved": 0}
    user = (await fleet.got("PUT", "/auth/users", body))["user"]
    cleared = (await fleet.got("PUT", "/auth/users", {"id": person.number, "email": None, "is_approved": True}))["user"]

    assert ("Ada", "viewer", "ada@example.com", "https://example.com/a.png", 0) == tuple(
        user[name] for name in ("display_name", "role", "email", "avatar_url", "is_approved")
    )
    assert (None, 1, "viewer") == (cleared["email"], cleared["is_approved"], cleared["role"])
    assert ["user.created", "user.updated", "user.updated"] == [
        kind for kind in await world.event_kinds() if kind.startswith("user.")
    ]


@pytest.mark.parametrize(
    ("body", "said"),
    [({}, "User ID is required"), ({"id": 0}, "User ID is required"), ({"id": 1, "role": "owner"}, "Invalid role")],
)
async def test_what_cannot_be_meant_is_told(fleet: FleetDriver, body: Any, said: str) -> None:
    assert (400, said) == refusal(await fleet.call("PUT", "/auth/users", body))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"password": "x" * 11}, "password"),
        ({"password": 7}, "password"),
        ({"is_approved": 2}, "is_approved"),
        ({"email": []}, "email"),
        ({"display_name": " "}, "display_name"),
        ({"id": {}}, "id"),
    ],
)
async def test_a_change_that_cannot_be_names_its_field(world: World, fleet: FleetDriver, body: Any, field: str) -> None:
    person = await make_person(world)

    assert [field] == wrong_fields(await fleet.call("PUT", "/auth/users", {"id": person.number} | body))


async def test_who_is_not_here_is_not_found(world: World, elsewhere: World, fleet: FleetDriver) -> None:
    """
    Nobody, and somebody of another organization, are the same.
    """
    foreign = (await make_person(elsewhere)).number
    for number in (foreign, 10**9, -1):
        for method in ("PUT", "DELETE"):
            answer = await fleet.call(method, "/auth/users", {"id": number, "display_name": "x"})
            assert (404, "User not found") == refusal(answer)


async def test_another_password_by_an_admin_ends_all_sessions(world: World, fleet: FleetDriver) -> None:
    """
    An empty one is none.
    """
    person, browser = await signed_in(world, fleet)
    await fleet.got("PUT", "/auth/users", {"id": person.number, "password": ""})
    before = await browser.status()
    await fleet.got("PUT", "/auth/users", {"id": person.number, "password": ANOTHER})

    assert (200, 401) == (before, await browser.status())
    assert (401, 200) == (
        (await browser.log_in(person.username)).status, (await browser.log_in(person.username, ANOTHER)).status
    )  # fmt: skip
    assert "user.password_changed" in await world.event_kinds()


@pytest.mark.every_store
async def test_a_deleted_user_is_gone(world: World, fleet: FleetDriver) -> None:
    """
    With their sessions; their user name is free.
    """
    person, browser = await signed_in(world, fleet)
    gone = await fleet.got("DELETE", "/auth/users", {"id": person.number})

    assert {"success": True} == gone
    assert 401 == await browser.status()
    assert 401 == (await browser.log_in(person.username)).status
    await fleet.got("POST", "/auth/users", named(username=person.username), 201)
    assert "user.deleted" in await world.event_kinds()


@pytest.mark.parametrize(
    ("raw", "said"),
    [(b"", "Request body required"), (b"{", "Request body required"), (b"[]", "Request body required"),
     (b"{}", "User ID is required"), (b'{"id": "x"}', "User ID is required")],
)  # fmt: skip
async def test_whom_to_delete_must_be_told(fleet: FleetDriver, raw: bytes, said: str) -> None:
    assert (400, said) == refusal(await fleet.call("DELETE", "/auth/users", raw=raw))


async def test_nobody_locks_themselves_out(world: World, fleet: FleetDriver) -> None:
    """
    Neither by another role, nor without an approval, nor by being deleted.
    """
    person, browser = await signed_in(world, fleet, role=Role.ADMIN)
    for change in ({"role": "viewer"}, {"is_approved": 0}):
        answer = await browser.call("PUT", "/auth/users", {"id": person.number} | change)
        assert (400, "Cannot change your own role") == refusal(answer)
    answer = await browser.call("DELETE", "/auth/users", {"id": person.number})
    same = await browser.call("PUT", "/auth/users", {"id": person.number, "role": "admin", "display_name": "Ada"})

    assert (400, "Cannot delete your own account") == refusal(answer)
    assert ("admin", "Ada") == (same.json["user"]["role"], same.json["user"]["display_name"])


async def test_an_admin_does_not_touch_an_owner(world: World, fleet: FleetDriver) -> None:
    """
    Not their role, their password, their name, nor that they are there. An owner shows as an admin.
    """
    owner = await an_owner(world)
    _, admin = await signed_in(world, fleet, role=Role.ADMIN)
    for change in ({"role": "viewer"}, {"password": ANOTHER}, {"display_name": "x"}, {"is_approved": 0}):
        assert 403 == (await admin.call("PUT", "/auth/users", {"id": owner.number} | change)).status, change
    assert 403 == (await admin.call("DELETE", "/auth/users", {"id": owner.number})).status
    listed = {each["id"]: each["role"] for each in (await admin.call("GET", "/auth/users")).json["users"]}

    assert "admin" == listed[owner.number]
    assert 200 == (await Browser(fleet).log_in(owner.username)).status


async def test_an_agents_key_does_not_touch_an_owner(world: World, fleet: FleetDriver) -> None:
    """
    It is an admin's at most, however many owners there are.
    """
    owner = await an_owner(world)
    await an_owner(world)
    await fleet.agent("ada")
    key = await fleet.key("ada", "admin")
    for change in ({"role": "viewer"}, {"password": ANOTHER}, {"display_name": "x"}, {"is_approved": 0}):
        answer = await fleet.call("PUT", "/auth/users", {"id": owner.number} | change, key=key)
        assert (403, "only an owner may change an owner") == refusal(answer), change
    assert 403 == (await fleet.call("DELETE", "/auth/users", {"id": owner.number}, key=key)).status
    member = await make_person(world, role=Role.ADMIN)
    changed = await fleet.call("PUT", "/auth/users", {"id": member.number, "password": ANOTHER}, key=key)

    assert 200 == changed.status
    assert 200 == (await Browser(fleet).log_in(owner.username)).status
    assert 2 == len(await owners_left(world))


async def test_the_servers_key_lets_an_owner_in_again(world: World, fleet: FleetDriver) -> None:
    """
    Whoever has it operates the deployment.
    """
    owner = await an_owner(world)
    await fleet.got("PUT", "/auth/users", {"id": owner.number, "password": ANOTHER})

    assert 200 == (await Browser(fleet).log_in(owner.username, ANOTHER)).status


@pytest.mark.every_store
@pytest.mark.parametrize("can_write", [False, True])
@pytest.mark.parametrize("approved", [True, False])
async def test_the_role_that_shows_says_nothing_about_boards(
    world: World, fleet: FleetDriver, can_write: bool, approved: bool
) -> None:
    """
    Whoever sends it back with another change leaves the boards as they are granted one by one; another role stands for
    all of them.
    """
    person = await make_person(world, role=Role.VIEWER)
    member, granted = person.found.member.id, (BoardPermission(world.board.id, True, can_write),)
    await set_board_access(world.ports, world.me, SetBoardAccess(member=member, access=BoardAccess(boards=granted)))
    await update_user(world.ports, world.me, UpdateUser(user=person.found.user.id, approved=approved))
    shown = next(each for each in (await fleet.got("GET", "/auth/users"))["users"] if each["id"] == person.number)
    sent = {"id": person.number, "display_name": "Ada", "is_approved": 1, "role": shown["role"]}
    answer = (await fleet.got("PUT", "/auth/users", sent))["user"]
    kept = await acting_as(world, person)
    await fleet.got("PUT", "/auth/users", {"id": person.number, "role": "viewer" if can_write else "operator"})

    assert ("operator" if can_write else "viewer") == shown["role"] == answer["role"]
    assert frozenset({world.board.id}) == kept.reads
    assert (await acting_as(world, person)).reads is None


async def test_a_label_is_kept_where_the_role_stays(world: World) -> None:
    person = await make_person(world)
    await set_member_role(world.ports, world.me, SetMemberRole(member=person.found.member.id, role="captain"))
    same = await update_user(world.ports, world.me, UpdateUser(user=person.found.user.id, role=Role.OPERATOR))

    assert "captain" == same.member.role


async def test_the_last_owner_stays(world: World) -> None:
    """
    Whoever asks, be it the server's key; with another owner who can sign in, they may go.
    """
    owner = await an_owner(world)
    user = owner.found.user.id
    steps = (
        (update_user, UpdateUser(user=user, role=Role.OPERATOR)), (update_user, UpdateUser(user=user, approved=False)),
        (delete_user, DeleteUser(user=user)),
    )  # fmt: skip
    for use_case, command in steps:
        with pytest.raises(LastOwnerRequired):
            await use_case(world.ports, world.me, command)
    shut_out = await an_owner(world)
    await update_user(world.ports, world.me, UpdateUser(user=shut_out.found.user.id, approved=False))
    with pytest.raises(LastOwnerRequired):
        await delete_user(world.ports, world.me, DeleteUser(user=user))
    await an_owner(world)
    demoted = await update_user(world.ports, world.me, UpdateUser(user=user, role=Role.ADMIN))

    assert OWNER == demoted.member.role  # an owner is an admin already
    demoted = await update_user(world.ports, world.me, UpdateUser(user=user, role=Role.VIEWER))
    assert "member" == demoted.member.role


async def test_an_owner_who_cannot_sign_in_does_not_count(world: World) -> None:
    """
    Whichever way the last one goes who can, be it of their own accord.
    """
    owner, shut_out = await an_owner(world), await an_owner(world)
    await update_user(world.ports, world.me, UpdateUser(user=shut_out.found.user.id, approved=False))
    themselves = await acting_as(world, owner)
    with pytest.raises(LastOwnerRequired):
        await set_member_role(world.ports, themselves, SetMemberRole(member=themselves.member, role=ADMIN))
    with pytest.raises(LastOwnerRequired):
        await delete_account(world.ports, themselves)
    with pytest.raises(LastOwnerRequired):
        await delete_user(world.ports, world.me, DeleteUser(user=themselves.user))

    assert [themselves.member] == [each.id for each in await owners_left(world)]


@pytest.mark.every_store
@BOTH_ORDERS
@pytest.mark.parametrize("going", ["demoted", "deleted", "shut out"])
async def test_two_owners_do_not_remove_each_other(world: World, last: bool, going: str) -> None:
    """
    One is left, whoever is first.
    """
    owners = [await an_owner(world), await an_owner(world)]
    principals = [await acting_as(world, each) for each in owners]

    def on(by: MemberPrincipal, target: Person) -> Any:
        user = target.found.user.id

        async def go(ports: Any, _: Any, __: None) -> Any:
            if going == "deleted":
                return await delete_user(ports, by, DeleteUser(user=user))
            change = {"role": Role.VIEWER} if going == "demoted" else {"approved": False}
            return await update_user(ports, by, UpdateUser(user=user, **change))

        return go, None

    answers = await at_once(world, on(principals[0], owners[1]), on(principals[1], owners[0]), last=last)
    refused = [each for each in answers if isinstance(each, Exception)]

    assert 1 == len(refused), answers
    assert isinstance(refused[0], OwnerAboveAdmin | LastOwnerRequired | UserNotFound), answers
    assert 1 == len(await owners_left(world))


@BOTH_ORDERS
async def test_two_that_take_different_owners_away_leave_one(world: World, last: bool) -> None:
    owners = [await an_owner(world), await an_owner(world)]
    answers = await at_once(world, *((delete_user, DeleteUser(user=each.found.user.id)) for each in owners), last=last)

    assert ["LastOwnerRequired", "User"] == kinds(answers)
    assert 1 == len(await owners_left(world))


async def test_an_owner_who_stays_is_not_changed_by_one_who_goes(world: World) -> None:
    """
    Whoever read them may write to them as they expected.
    """
    going, staying = await an_owner(world), await an_owner(world)
    before = await owners_left(world)
    await delete_user(world.ports, world.me, DeleteUser(user=going.found.user.id))

    assert [each for each in before if each.user == staying.found.user.id] == await owners_left(world)


@BOTH_ORDERS
async def test_three_owners_who_are_all_taken_away_at_once_leave_one(world: World, last: bool) -> None:
    owners = [await an_owner(world) for _ in range(3)]
    answers = await at_once(world, *((delete_user, DeleteUser(user=each.found.user.id)) for each in owners), last=last)

    assert ["LastOwnerRequired", "User", "User"] == kinds(answers)
    assert 1 == len(await owners_left(world))


async def owners_left(world: World) -> list[Member]:
    found = await world.ports.reads.members.every(world.me)
    return [each.member for each in found if each.member.role == OWNER and each.user.approved]


async def test_an_admin_who_was_demoted_meanwhile_changes_nobody_above(world: World) -> None:
    """
    What counts is where they stand now, not where they stood when they came in.
    """
    owner, other = await an_owner(world), await an_owner(world)
    principal = await acting_as(world, other)
    demotion = UpdateUser(user=other.found.user.id, role=Role.VIEWER)
    await update_user(world.ports, await acting_as(world, owner), demotion)
    with pytest.raises(OwnerAboveAdmin):
        await delete_user(world.ports, principal, DeleteUser(user=owner.found.user.id))


async def test_the_local_user_stays_as_it_is(world: World, fleet: FleetDriver) -> None:
    """
    It stands for the server's own token, which no admin takes away.
    """
    local = await ensure_local_user(world.ports, world.me.organization, username=f"local-{uuid4()}")
    await an_owner(world)
    for command in (
        UpdateUser(user=local, role=Role.VIEWER), UpdateUser(user=local, approved=False),
        UpdateUser(user=local, password=PASSWORD),
    ):  # fmt: skip
        with pytest.raises(LocalUserProtected):
            await update_user(world.ports, world.me, command)
    with pytest.raises(LocalUserProtected):
        await delete_user(world.ports, world.me, DeleteUser(user=local))
    assert "Grace" == (await update_user(world.ports, world.me, UpdateUser(user=local, name="Grace"))).user.name


async def test_no_admin_takes_over_an_account_of_another_organization(world: World, elsewhere: World) -> None:
    """
    What a person signs in with belongs to both; the role here is this organization's alone.
    """
    person = await make_person(world)
    await also_in(elsewhere, person)
    user = person.found.user.id
    for command in (
        UpdateUser(user=user, password=ANOTHER), UpdateUser(user=user, email="eve@example.com"),
        UpdateUser(user=user, approved=False), UpdateUser(user=user, name="Eve"),
    ):  # fmt: skip
        with pytest.raises(MemberOfAnotherOrganization):
            await update_user(world.ports, world.me, command)
    changed = await update_user(world.ports, world.me, UpdateUser(user=user, role=Role.VIEWER))

    assert not changed.member.all_boards_write


async def test_who_is_deleted_here_stays_elsewhere(world: World, elsewhere: World, fleet: FleetDriver) -> None:
    """
    The membership and the sessions of this organization end; the person signs in to the other one.
    """
    person, browser = await signed_in(world, fleet)
    await also_in(elsewhere, person)
    await delete_user(world.ports, world.me, DeleteUser(user=person.found.user.id))
    out = await browser.status()
    await browser.log_in(person.username)
    me = await acting_as(world, person)

    assert (401, 200) == (out, await browser.status())
    assert elsewhere.me.organization == me.organization
    with pytest.raises(UserNotFound):
        await world.ports.reads.members.get(world.me, person.found.user.id)


@pytest.mark.every_store
async def test_a_password_is_changed_by_who_knows_it(world: World, fleet: FleetDriver) -> None:
    """
    All sessions end, and a new one begins where it was changed.
    """
    person, browser = await signed_in(world, fleet)
    other = Browser(fleet)
    await other.log_in(person.username)
    before = dict(browser.jar)
    changed = await browser.call("PATCH", "/auth/me", {"current_password": PASSWORD, "new_password": ANOTHER})

    assert (200, True, person.number) == (changed.status, changed.json["success"], changed.json["user"]["id"])
    assert before != browser.jar
    assert [200, 401, 401] == [await each.status() for each in (browser, other, Browser(fleet, jar=before))]
    assert (401, 200) == (
        (await other.log_in(person.username)).status, (await other.log_in(person.username, ANOTHER)).status
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"new_password": ANOTHER}, 400, "Current password is required"),
        ({"new_password": "short", "current_password": PASSWORD}, 400, "New password must be at least 12 characters"),
        ({"new_password": ANOTHER, "current_password": WRONG}, 403, "Current password is incorrect"),
        ({"display_name": " "}, 400, "Display name cannot be empty"),
        ({}, 400, "No updates provided"),
        ({"display_name": "x", "new_password": ANOTHER, "current_password": WRONG}, 403,
         "Current password is incorrect"),
    ],
)  # fmt: skip
async def test_an_account_that_is_not_changed_says_why(
    world: World, fleet: FleetDriver, body: Any, status: int, said: str
) -> None:
    """
    And is changed in nothing.
    """
    person, browser = await signed_in(world, fleet, name="Ada")
    answer = await browser.call("PATCH", "/auth/me", body)

    assert (status, said) == refusal(answer)
    assert "Ada" == (await browser.call("GET", "/auth/me")).json["user"]["display_name"]
    assert 200 == (await browser.log_in(person.username)).status


@pytest.mark.parametrize("body", [{"display_name": 7}, {"display_name": "\0"}, {"new_password": []}])
async def test_an_account_that_cannot_be_names_its_field(world: World, fleet: FleetDriver, body: Any) -> None:
    _, browser = await signed_in(world, fleet)

    assert list(body) == wrong_fields(await browser.call("PATCH", "/auth/me", body))


async def test_only_people_have_accounts(fleet: FleetDriver) -> None:
    _, token = await fleet.agent("ada")
    body = {"display_name": "x"}

    assert (403, "API key users cannot change passwords") == refusal(await fleet.call("PATCH", "/auth/me", body))
    assert (404, "User not found") == refusal(await fleet.call("PATCH", "/auth/me", body, key=token))
    assert 401 == (await fleet.call("PATCH", "/auth/me", body, key=None)).status


async def test_no_fact_and_no_answer_tells_a_password(world: World, fleet: FleetDriver) -> None:
    """
    Neither the password nor what is kept of it.
    """
    person, browser = await signed_in(world, fleet)
    answers = [
        await browser.call("PATCH", "/auth/me", {"current_password": PASSWORD, "new_password": ANOTHER}),
        await fleet.call("PUT", "/auth/users", {"id": person.number, "password": PASSWORD}, key=KEY),
        await fleet.call("GET", "/auth/users", key=KEY),
    ]
    kept = (await world.ports.reads.entities.get(world.me, USERS, person.found.user.id)).password
    entries = await world.ports.log.read(world.me.organization, limit=10_000)
    told = json.dumps([each.payload for each in entries]) + str([each.body for each in answers])

    assert kept is not None
    for secret in (PASSWORD, ANOTHER, kept):
        assert secret not in told


async def test_who_may_not_be_named_so(world: World) -> None:
    with pytest.raises(InvalidField):
        await create_user(world.ports, world.me, CreateUser(**named(username="a\tb")))


async def test_the_core_refuses_what_no_dialect_should_ask(world: World) -> None:
    """
    A person's own role and account, and whoever is no admin.
    """
    person = await make_person(world, role=Role.ADMIN)
    me = await acting_as(world, person)
    viewer = SystemPrincipal(organization=world.me.organization, role=Role.OPERATOR)
    with pytest.raises(CannotChangeOwnRole):
        await update_user(world.ports, me, UpdateUser(user=person.found.user.id, role=Role.VIEWER))
    with pytest.raises(CannotDeleteOwnUser):
        await delete_user(world.ports, me, DeleteUser(user=person.found.user.id))
    with pytest.raises(RoleTooLow):
        await create_user(world.ports, viewer, CreateUser(**named()))
