"""
Workspaces through the Fleet API: organizations of the caller, whole from the start and never half gone.
"""

from typing import Any
from uuid import uuid4

import pytest

from mission_core.accounts.members import MEMBERS
from mission_core.accounts.model import MemberPrincipal, SystemPrincipal
from mission_core.accounts.organizations import ORGANIZATIONS, DefaultOrganizationUndeletable
from mission_core.accounts.profiles import ensure_local_user
from mission_core.agents.organization_creation import ensure_organization
from mission_core.agents.organization_deletion import (
    DeleteEmptyOrganization,
    OrganizationInUse,
    delete_empty_organization,
)
from mission_core.agents.use_cases import CreateAgent, create_agent
from mission_core.boards.use_cases import CreateBoard, create_board
from mission_core.errors import StaleWrite
from mission_core.ids import OrganizationId
from mission_core.tasks.use_cases import CreateTask, create_task
from tests.contract.boards_driver import BoardsDriver
from tests.contract.conftest import World
from tests.contract.fleet_driver import FleetDriver

SPACES = "/workspaces"


@pytest.fixture
async def owned(fleet: FleetDriver, world: World) -> FleetDriver:
    """
    The Fleet API over an organization that has its local user.
    """
    await ensure_local_user(world.ports, world.me.organization, username=f"local-{world.me.organization}")
    return fleet


async def made(fleet: FleetDriver, **fields: Any) -> Any:
    """
    A new workspace.
    """
    return (await fleet.got("POST", SPACES, {"name": f"Space {uuid4()}", **fields}, 201))["workspace"]


def there_of(organization: OrganizationId) -> SystemPrincipal:
    return SystemPrincipal(organization=organization)


async def organization_of(world: World, number: int) -> OrganizationId:
    """
    The organization of this number.
    """
    return (await world.ports.reads.entities.get(world.me, ORGANIZATIONS, number)).id


async def test_a_new_workspace_is_whole_and_the_local_users(owned: FleetDriver, world: World) -> None:
    """
    With its project and its built-in agent, whose number others do not see counted.
    """
    space = await made(owned, brand=" Acme ", isolation="strict")
    shown = (await owned.got("GET", f"{SPACES}/{space['id']}"))["workspace"]
    there = there_of(await organization_of(world, space["id"]))
    async with world.ports.unit(there) as unit:
        (owner,) = await unit.repository(MEMBERS).every()
        assert await unit.agents.main() is not None

    assert ("Acme", "strict", 1, 1) == (space["brand"], space["isolation"], space["tenant_id"], space["version"])
    assert space | {"agent_count": 0} == shown
    assert space["slug"] == space["name"].lower().replace(" ", "-")
    assert ("owner", True, True) == (owner.role, owner.all_boards_read, owner.all_boards_write)


@pytest.mark.every_store
async def test_the_callers_workspaces_are_listed_by_name(owned: FleetDriver, world: World, elsewhere: World) -> None:
    """
    And no others, nor are they found.
    """
    spaces = [await made(owned, name=f"{name} {uuid4()}") for name in ("zeta", "Alpha")]
    listed = await owned.got("GET", SPACES)
    own = await world.ports.reads.organization(world.me)
    foreign = await world.ports.reads.organization(elsewhere.me)

    assert own.number == listed["active_workspace_id"]
    assert [spaces[1]["id"], own.number, spaces[0]["id"]] == [each["id"] for each in listed["workspaces"]]
    for path in (foreign.number, foreign.id, "x", "-1", 0):
        for method, body in (("GET", None), ("PUT", {"name": "x"}), ("DELETE", None)):
            answer = await owned.call(method, f"{SPACES}/{path}", body)

            assert (404, {"error": "Workspace not found"}) == (answer.status, answer.json)


async def test_slugs_are_unique_and_names_need_not_be(owned: FleetDriver) -> None:
    """
    A slug is made of the name where none is sent.
    """
    space = await made(owned)
    taken = await owned.call("POST", SPACES, {"name": space["name"].upper()})
    other = await made(owned, name=space["name"], slug=f"  Other {uuid4()}! ")

    assert (409, {"error": "Workspace slug already exists", "code": "slug_taken"}) == (taken.status, taken.json)
    assert space["name"] == other["name"]
    assert other["slug"].startswith("other-")
    for body, said in (({"name": " "}, "Name is required"), ({"name": "!"}, "Invalid slug")):
        answer = await owned.call("POST", SPACES, body)
        assert (400, said) == (answer.status, answer.json["error"] if said == "Invalid slug" else _said(answer.json))


def _said(answer: Any) -> str:
    return str(answer.get("details", [answer["error"]])[0]).rpartition(": ")[2]


@pytest.mark.every_store
async def test_a_workspace_changes_by_field(owned: FleetDriver) -> None:
    """
    What is absent is kept, null clears the brand, and the slug stays.
    """
    space = await made(owned, brand="Acme", isolation="strict")
    path, name = f"{SPACES}/{space['id']}", f"Other {uuid4()}"
    kept = (await owned.got("PUT", path, {"name": name}))["workspace"]
    cleared = (await owned.got("PUT", path, {"name": name, "brand": None, "isolation": "shared"}))["workspace"]

    assert (name, space["slug"], "Acme", "strict") == (kept["name"], kept["slug"], kept["brand"], kept["isolation"])
    assert (None, "shared", 3) == (cleared["brand"], cleared["isolation"], cleared["version"])
    assert 412 == (await owned.call("PUT", path, {"name": "Late"}, if_match='"1"')).status
    assert 400 == (await owned.call("PUT", path, {"brand": "x"})).status


@pytest.mark.every_store
async def test_an_empty_workspace_goes_and_its_end_is_told(owned: FleetDriver, world: World) -> None:
    """
    In the log of whoever ended it.
    """
    space = await made(owned)
    gone = await owned.got("DELETE", f"{SPACES}/{space['id']}")

    assert (True, space["name"]) == (gone["success"], gone["deleted"])
    assert 404 == (await owned.call("GET", f"{SPACES}/{space['id']}")).status
    assert "organization.dissolved" == (await world.event_kinds())[-1]


@pytest.mark.parametrize("what", ["projects", "agents", "tasks", "other users"])
async def test_a_workspace_with_something_in_it_stays_whole(owned: FleetDriver, world: World, what: str) -> None:
    """
    And says what it is.
    """
    space = await made(owned)
    there, ports = there_of(await organization_of(world, space["id"])), world.ports
    if what == "projects":
        await create_board(ports, there, CreateBoard(name="More"))
    elif what == "agents":
        await create_agent(ports, there, CreateAgent(name="ada"))
    elif what == "tasks":
        await create_task(ports, there, CreateTask(title="Ship it"))
    else:
        await ensure_local_user(ports, there.organization, username=f"local-{there.organization}")
    answer = await owned.call("DELETE", f"{SPACES}/{space['id']}")

    if what == "other users":
        assert (400, "Cannot delete the default workspace") == (answer.status, answer.json["error"])
    else:
        assert (409, True) == (answer.status, f"1 {what}" in answer.json["error"])
    assert 200 == (await owned.call("GET", f"{SPACES}/{space['id']}")).status


async def test_what_comes_in_meanwhile_keeps_a_workspace(owned: FleetDriver, world: World) -> None:
    """
    Nothing that was not looked at is lost.
    """
    space = await made(owned)
    there, ports = there_of(await organization_of(world, space["id"])), world.ports
    since = (await ports.log.head(there.organization)).position
    async with ports.unit(world.me) as unit:
        organization = await unit.repository(ORGANIZATIONS).get(there.organization)
        await create_task(ports, there, CreateTask(title="Just now"))
        unit.organization_deletion.delete(organization, since=since)
        with pytest.raises(StaleWrite):
            await unit.commit()

    assert organization == await ports.reads.organization(there)


async def test_the_servers_own_workspace_stays(owned: FleetDriver, world: World) -> None:
    """
    Whoever would delete it is told so.
    """
    own = (await world.ports.reads.organization(world.me)).number
    answer = await owned.call("DELETE", f"{SPACES}/{own}")
    home = await ensure_organization(world.ports)

    assert (400, {"error": "Cannot delete the default workspace", "code": "home_stays"}) == (answer.status, answer.json)
    with pytest.raises(DefaultOrganizationUndeletable):
        await delete_empty_organization(world.ports, there_of(home.id), DeleteEmptyOrganization(organization=home.id))


async def test_a_person_sees_the_workspaces_of_which_they_are_a_member(boards: BoardsDriver) -> None:
    """
    And ends only those that they own, once nobody else is there.
    """
    ports, founder = boards.ports, await boards.person("fay", role="member")
    space = await boards.got("POST", "/api/v1/organizations", {"name": f"Org {uuid4()}"}, user=founder.token)
    invited = {"invited_email": "ann@x.io", "role": "admin"}
    token = (await boards.got("POST", "/api/v1/organizations/me/invites", invited, user=founder.token))["token"]
    admin = await boards.person("ann", email="ann@x.io", role="admin")
    await boards.got("POST", "/api/v1/organizations/invites/accept", {"token": token}, user=admin.token)
    owner, colleague = [await ports.credentials.member(each.id) for each in (founder, admin)]
    assert isinstance(owner, MemberPrincipal)
    assert isinstance(colleague, MemberPrincipal)
    end = DeleteEmptyOrganization(organization=OrganizationId(owner.organization))

    assert str(owner.organization) == space["id"]
    with pytest.raises(OrganizationInUse, match="1 other users"):
        await delete_empty_organization(ports, owner, end)
    with pytest.raises(Exception, match="Only organization owners can delete organizations"):
        await delete_empty_organization(ports, colleague, end)
