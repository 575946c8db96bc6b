"""
Organizations, members and invites through the Boards API.
"""

from uuid import UUID, uuid4

import pytest

from mission_core.accounts.model import SystemPrincipal
from mission_core.accounts.organizations import ORGANIZATIONS
from mission_core.boards.model import GENERAL_HANDLE
from tests.contract.boards_driver import BoardsDriver, Person, field_refusal, refusal

ORGS = "/api/v1/organizations"
MINE = f"{ORGS}/me"
MEMBERS = f"{MINE}/members"
INVITES = f"{MINE}/invites"


async def invited(boards: BoardsDriver, email: str, **fields: object) -> str:
    """
    The token of a new invite.
    """
    token: str = (await boards.got("POST", INVITES, {"invited_email": email, **fields}))["token"]
    return token


def a_name() -> str:
    """
    A name that no organization has.
    """
    return f"Org {uuid4()}"


async def test_who_founds_an_organization_owns_it_and_acts_in_it(boards):
    """
    With both flags, among others by name; and it is whole from the start.
    """
    name = a_name()
    founder = await boards.person("fay", role="member")
    made = await boards.got("POST", ORGS, {"name": f"  {name} "}, user=founder.token)
    own = await boards.got("GET", f"{MINE}/member", user=founder.token)
    listed = await boards.got("GET", f"{MINE}/list", user=founder.token)

    assert name == made["name"]
    assert made == await boards.got("GET", MINE, user=founder.token)
    assert ("owner", True, True, made["id"]) == (
        own["role"], own["all_boards_read"], own["all_boards_write"], own["organization_id"],
    )  # fmt: skip
    assert sorted((each["name"] for each in listed), key=str.lower) == [each["name"] for each in listed]
    assert {(made["id"], "owner", True), (str(boards.me.organization), "member", False)} == {
        (each["id"], each["role"], each["is_active"]) for each in listed
    }
    there = SystemPrincipal(organization=UUID(made["id"]))
    async with boards.ports.unit(there) as unit:
        assert await unit.boards.find_handle(GENERAL_HANDLE) is not None
        assert await unit.agents.main() is not None
    kinds = [entry.kind for entry in await boards.ports.log.read(there.organization)]
    assert {"organization.founded", "member.joined", "board.created", "agent.created"} == set(kinds)


@pytest.mark.every_store
async def test_no_two_organizations_are_called_alike(boards):
    """
    Whatever the case of letters; and none is called nothing.
    """
    name = a_name()
    founder = await boards.person("fay", role="member")
    await boards.got("POST", ORGS, {"name": name}, user=founder.token)

    assert 409 == (await boards.call("POST", ORGS, {"name": name.upper()}, user=founder.token)).status
    assert ("value_error", ["body", "name"]) == field_refusal(await boards.call("POST", ORGS, {"name": "  "}))[:2]


async def test_an_organization_is_founded_once_under_a_key(boards):
    """
    The repeat is told of the first one, although its name is taken by then.
    """
    body, key = {"name": a_name()}, str(uuid4())
    founder = await boards.person("fay", role="member")
    first = await boards.got("POST", ORGS, body, user=founder.token, idempotency_key=key)
    again = await boards.got("POST", ORGS, body, user=founder.token, idempotency_key=key)

    assert 409 == (await boards.call("POST", ORGS, body, user=founder.token, idempotency_key=str(uuid4()))).status
    assert first["id"] == again["id"]


async def test_one_acts_in_the_organization_one_chose(boards):
    """
    Until one chooses another; whose name is taken belongs to the members alone.
    """
    home = str(boards.me.organization)
    founder = await boards.person("fay", role="member")
    made = await boards.got("POST", ORGS, {"name": a_name()}, user=founder.token)
    active = f"{MINE}/active"

    assert home == (await boards.got("PATCH", active, {"organization_id": home}, user=founder.token))["id"]
    assert home == (await boards.got("GET", MINE, user=founder.token))["id"]
    assert made["id"] == (await boards.got("PATCH", active, {"organization_id": made["id"]}, user=founder.token))["id"]
    assert (403, "No org access") == refusal(await boards.call("PATCH", active, {"organization_id": made["id"]}))


@pytest.mark.every_store
async def test_members_are_listed_by_address_and_name(boards):
    """
    Without their boards, which are told of one at a time.
    """
    for name, email in (("Zoe", "b@x.io"), ("Bob", "A@x.io"), ("Abe", None)):
        await boards.person(name, email=email, role="member")
    page = await boards.got("GET", f"{MEMBERS}?limit=3")

    assert (4, ["Abe", "Bob", "Local User"]) == (page["total"], [each["user"]["name"] for each in page["items"]])
    assert [[], [], []] == [each["board_access"] for each in page["items"]]
    assert ["Zoe"] == [each["user"]["name"] for each in (await boards.got("GET", f"{MEMBERS}?offset=3"))["items"]]


async def test_who_is_no_admin_reads_only_their_own_membership(boards):
    """
    Another member is refused, and what is none is not found.
    """
    me, other = await boards.person("me", role="member"), await boards.person("other", role="admin")

    assert str(me.id) == (await boards.got("GET", f"{MEMBERS}/{me.member}", user=me.token))["user_id"]
    assert (403, "Forbidden") == refusal(await boards.call("GET", f"{MEMBERS}/{other.member}", user=me.token))
    assert (404, "Not Found") == refusal(await boards.call("GET", f"{MEMBERS}/{uuid4()}", user=me.token))
    assert str(me.id) == (await boards.got("GET", f"{MEMBERS}/{me.member}", user=other.token))["user_id"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", f"{MEMBERS}/{{}}", {"role": "admin"}),
        ("PUT", f"{MEMBERS}/{{}}/access", {"all_boards_write": True}),
        ("DELETE", f"{MEMBERS}/{{}}", None),
        ("GET", INVITES, None),
        ("POST", INVITES, {"invited_email": "a@x.io"}),
        ("DELETE", f"{INVITES}/{{}}", None),
        ("DELETE", MINE, None),
    ],
)
async def test_who_is_no_admin_administers_nothing(boards, method, path, body):
    """
    A label is worth as much as `member`, and neither is worth an admin.
    """
    me = await boards.person("me", role="chief")

    assert (403, "Forbidden") == refusal(await boards.call(method, path.format(me.member), body, user=me.token))


async def test_a_role_is_kept_in_lower_case(boards):
    """
    A blank one is `member`, none leaves it, and any other is a label.
    """
    me = await boards.person("me", role="member")
    path = f"{MEMBERS}/{me.member}"

    for sent, kept in (("  Admin ", "admin"), (None, "admin"), ("Captain", "captain"), (" ", "member")):
        assert kept == (await boards.got("PATCH", path, {"role": sent}))["role"]


async def test_an_admin_neither_makes_nor_changes_an_owner(boards):
    """
    Not even themselves; an owner does.
    """
    admin, owner = await boards.person("ada", role="admin"), await boards.person("own", role="owner")
    refused = (403, "Only owners can make owners, or change them")
    call = boards.call

    assert refused == refusal(await call("PATCH", f"{MEMBERS}/{admin.member}", {"role": "owner"}, user=admin.token))
    assert refused == refusal(await call("PATCH", f"{MEMBERS}/{owner.member}", {"role": "member"}, user=admin.token))
    assert refused == refusal(await call("PUT", f"{MEMBERS}/{owner.member}/access", {}, user=admin.token))
    invite = {"invited_email": "x@x.io", "role": "owner"}
    assert refused == refusal(await call("POST", INVITES, invite, user=admin.token))
    removed = await call("DELETE", f"{MEMBERS}/{owner.member}", user=admin.token)
    assert (403, "Only owners can remove owners") == refusal(removed)
    path = f"{MEMBERS}/{admin.member}"
    assert "owner" == (await boards.got("PATCH", path, {"role": "owner"}, user=owner.token))["role"]


async def founded(boards: BoardsDriver) -> tuple[Person, str, UUID]:
    """
    The only owner of a new organization, in which they act, their membership, and the organization.
    """
    owner = await boards.person("owen", role="member")
    made = await boards.got("POST", ORGS, {"name": a_name()}, user=owner.token)
    own = await boards.got("GET", f"{MINE}/member", user=owner.token)
    return owner, own["id"], UUID(made["id"])


async def test_an_organization_keeps_an_owner(boards):
    """
    The last one cannot step down, be removed or delete their account while others are there.
    """
    owner, own, _ = await founded(boards)
    token = (await boards.got("POST", INVITES, {"invited_email": "a@x.io"}, user=owner.token))["token"]
    other = await boards.person("ann", email="a@x.io")
    await boards.got("POST", f"{ORGS}/invites/accept", {"token": token}, user=other.token)
    refused = (422, "Organization must have at least one owner")

    assert refused == refusal(await boards.call("PATCH", f"{MEMBERS}/{own}", {"role": "member"}, user=owner.token))
    assert refused == refusal(await boards.call("DELETE", "/api/v1/users/me", user=owner.token))
    assert "owner" == (await boards.got("GET", f"{MINE}/member", user=owner.token))["role"]


async def test_nobody_removes_themselves(boards):
    """
    And whoever was removed acts in the oldest of their other organizations, here in one that is made for them.
    """
    admin, gone = await boards.person("ada", role="admin"), await boards.person("bob", role="member")
    path = f"{MEMBERS}/{admin.member}"

    assert (403, "You cannot remove yourself from the organization") == refusal(
        await boards.call("DELETE", path, user=admin.token)
    )
    assert {"ok": True} == await boards.got("DELETE", f"{MEMBERS}/{gone.member}", user=admin.token)
    own = await boards.got("GET", MINE, user=gone.token)
    assert ("Personal", True) == (own["name"], own["id"] != str(boards.me.organization))
    assert 404 == (await boards.call("GET", f"{MEMBERS}/{gone.member}")).status


async def test_the_local_user_stays_a_member_and_an_owner(boards):
    """
    The server's token stands for it.
    """
    owner = await boards.person("own", role="owner")
    local = await boards.got("GET", f"{MINE}/member")

    for method, body in (("DELETE", None), ("PATCH", {"role": "member"})):
        assert 409 == (await boards.call(method, f"{MEMBERS}/{local['id']}", body, user=owner.token)).status


async def test_access_is_replaced_whole(boards):
    """
    By flags, or board by board; and whose version was seen.
    """
    me = await boards.person("me", role="member", boards=False)
    path, one = f"{MEMBERS}/{me.member}", str(boards.board)
    grant = {"board_id": one}
    changed = await boards.got("PUT", f"{path}/access", {"board_access": [grant, grant | {"can_write": True}]})
    shown = await boards.got("GET", path)

    assert [] == changed["board_access"]
    assert [(one, True, True)] == [
        (each["board_id"], each["can_read"], each["can_write"]) for each in shown["board_access"]
    ]
    late = await boards.call("PUT", f"{path}/access", {}, if_match='"1"')
    assert 412 == late.status
    await boards.got("PUT", f"{path}/access", {"all_boards_read": True, "board_access": [grant]})
    shown = await boards.got("GET", path)
    assert (True, False, []) == (shown["all_boards_read"], shown["all_boards_write"], shown["board_access"])


async def test_a_board_of_another_organization_is_not_granted(boards, elsewhere):
    """
    Nor is anything else of the request.
    """
    me = await boards.person("me", role="member", boards=False)
    path = f"{MEMBERS}/{me.member}"
    foreign = {"board_access": [{"board_id": str(boards.board)}, {"board_id": str(elsewhere.board.id)}]}

    assert 422 == (await boards.call("PUT", f"{path}/access", foreign)).status
    assert [] == (await boards.got("GET", path))["board_access"]
    assert 422 == (await boards.call("POST", INVITES, {"invited_email": "a@x.io", **foreign})).status
    assert 0 == (await boards.got("GET", INVITES))["total"]


@pytest.mark.every_store
async def test_invites_wait_newest_first_until_they_are_taken_back(boards, clock):
    """
    Each with a token of its own, also for one address.
    """
    made = []
    for _ in range(2):
        made.append(await boards.got("POST", INVITES, {"invited_email": " A@X.io ", "role": " "}))
        clock.advance(seconds=1)
    page = await boards.got("GET", INVITES)

    assert ("a@x.io", "member", 32) == (made[0]["invited_email"], made[0]["role"], len(made[0]["token"]))
    assert made[::-1] == page["items"]
    assert made[0] == await boards.got("DELETE", f"{INVITES}/{made[0]['id']}")
    assert [made[1]] == (await boards.got("GET", INVITES))["items"]
    assert 404 == (await boards.call("DELETE", f"{INVITES}/{made[0]['id']}")).status
    accepted = await boards.call("POST", f"{ORGS}/invites/accept", {"token": made[0]["token"]})
    assert (404, "Not Found") == refusal(accepted)


async def test_an_invites_token_is_told_to_those_who_could_make_it(boards):
    """
    So an admin reads no token by which they would be an owner.
    """
    admin, owner = await boards.person("ada", role="admin"), await boards.person("own", role="owner")
    made = [await boards.got("POST", INVITES, {"invited_email": "a@x.io", "role": role}, user=owner.token)
            for role in ("owner", "admin", "Guest")]  # fmt: skip
    told = {user: {each["id"]: each["token"] for each in (await boards.got("GET", INVITES, user=user))["items"]}
            for user in (owner.token, admin.token)}  # fmt: skip

    assert told[owner.token] == {each["id"]: each["token"] for each in made}
    assert told[admin.token] == told[owner.token] | {made[0]["id"]: ""}
    assert all(told[owner.token].values())


async def test_a_member_is_not_invited(boards):
    """
    Whatever the case of the address; and nobody without one is.
    """
    await boards.person("bob", email="Bob@x.io", role="member")

    assert 409 == (await boards.call("POST", INVITES, {"invited_email": "bob@X.io"})).status
    assert ["body", "invited_email"] == field_refusal(await boards.call("POST", INVITES, {"invited_email": " "}))[1]


async def test_an_invite_lets_in_once(boards):
    """
    As it says; who acted somewhere goes on there, and who did not acts here.
    """
    token = await invited(boards, "new@x.io", role="Guest", board_access=[{"board_id": str(boards.board)}])
    new = await boards.person("new", email="New@x.io")
    accept = f"{ORGS}/invites/accept"
    member = await boards.got("POST", accept, {"token": token}, user=new.token)
    own = await boards.got("GET", f"{MEMBERS}/{member['id']}")

    assert ("guest", str(new.id), []) == (member["role"], member["user_id"], member["board_access"])
    assert [(str(boards.board), True, False)] == [
        (each["board_id"], each["can_read"], each["can_write"]) for each in own["board_access"]
    ]
    assert (404, "Not Found") == refusal(await boards.call("POST", accept, {"token": token}, user=new.token))
    assert 0 == (await boards.got("GET", INVITES))["total"]


async def test_an_invite_is_for_one_address(boards):
    """
    A user with another one is refused; who has none has shown the token.
    """
    token = await invited(boards, "new@x.io")
    other, none = await boards.person("other", email="other@x.io"), await boards.person("none")
    accept = f"{ORGS}/invites/accept"

    assert 403 == (await boards.call("POST", accept, {"token": token}, user=other.token)).status
    assert str(none.id) == (await boards.got("POST", accept, {"token": token}, user=none.token))["user_id"]


@pytest.mark.parametrize("token", ["", "x", "A" * 32, "\N{SNOWMAN}" * 32])
async def test_a_token_of_nothing_is_not_found(boards, token):
    """
    Whatever it looks like.
    """
    answer = await boards.call("POST", f"{ORGS}/invites/accept", {"token": token})

    assert (404, "Not Found") == refusal(answer)


async def test_a_repeat_under_a_key_is_told_of_the_membership(boards):
    """
    Although the invite is used.
    """
    token, key = await invited(boards, "new@x.io"), str(uuid4())
    new = await boards.person("new")
    accept = f"{ORGS}/invites/accept"
    first = await boards.got("POST", accept, {"token": token}, user=new.token, idempotency_key=key)

    assert first == await boards.got("POST", accept, {"token": token}, user=new.token, idempotency_key=key)


@pytest.mark.every_store
async def test_an_invite_takes_nothing_from_a_member(boards):
    """
    The role moves up only, flags and grants are joined, and who may write may read.
    """
    grant = {"board_id": str(boards.board)}
    lower = {"role": "member", "board_access": [grant | {"can_read": False, "can_write": True}]}
    tokens = [
        await invited(boards, "me@y.io", **fields)
        for fields in ({"role": "admin", "board_access": [grant]}, lower, {"all_boards_write": True})
    ]
    me = await boards.person("me", email="me@y.io")
    shown = []
    for token in tokens:
        member = await boards.got("POST", f"{ORGS}/invites/accept", {"token": token}, user=me.token)
        shown.append(await boards.got("GET", f"{MEMBERS}/{member['id']}"))

    assert ["admin"] * 3 == [each["role"] for each in shown]
    assert [[(True, False)], [(True, True)], [(True, True)]] == [
        [(each["can_read"], each["can_write"]) for each in one["board_access"]] for one in shown
    ]
    assert (True, True) == (shown[2]["all_boards_read"], shown[2]["all_boards_write"])


@pytest.mark.every_store
async def test_an_organization_ends_for_its_owner_alone(boards):
    """
    Its owner acts somewhere else from then on.
    """
    owner, _, made = await founded(boards)
    token = (await boards.got("POST", INVITES, {"invited_email": "a@x.io", "role": "admin"}, user=owner.token))["token"]
    admin = await boards.person("ann", email="a@x.io")
    await boards.got("POST", f"{ORGS}/invites/accept", {"token": token}, user=admin.token)
    await boards.got("PATCH", f"{MINE}/active", {"organization_id": str(made)}, user=admin.token)
    refused = refusal(await boards.call("DELETE", MINE, user=admin.token))

    assert (403, "Only organization owners can delete organizations") == refused
    assert {"ok": True} == await boards.got("DELETE", MINE, user=owner.token)
    assert str(boards.me.organization) == (await boards.got("GET", MINE, user=owner.token))["id"]
    assert "Personal" == (await boards.got("GET", MINE, user=admin.token))["name"]
    found = await boards.ports.reads.entities.every(boards.me, ORGANIZATIONS)
    assert made not in {each.id for each in found}


@pytest.mark.every_store
async def test_who_deletes_their_account_is_gone(boards):
    """
    With the organizations they are alone in, and from those of others.
    """
    owner, _, made = await founded(boards)
    token = owner.token

    assert {"ok": True} == await boards.got("DELETE", "/api/v1/users/me", user=token)
    assert 401 == (await boards.call("GET", "/api/v1/users/me", user=token)).status
    assert 404 == (await boards.call("GET", f"{MEMBERS}/{owner.member}")).status
    found = await boards.ports.reads.entities.every(boards.me, ORGANIZATIONS)
    assert made not in {each.id for each in found}
