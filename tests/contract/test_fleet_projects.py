"""
Projects of the Fleet API.
"""

from typing import Any

import pytest

from mission_core.accounts.model import SystemPrincipal
from tests.contract.conftest import World
from tests.contract.fleet_driver import FleetDriver, refusal, without, wrong_fields

GATES = {
    "require_approval_for_done": True,
    "require_review_before_done": False,
    "comment_required_for_review": False,
    "block_status_changes_with_pending_approval": False,
    "only_lead_can_change_status": False,
}


async def made(fleet: FleetDriver, name: str = "My Project", **fields: Any) -> Any:
    return (await fleet.got("POST", "/projects", {"name": name, **fields}, 201))["project"]


async def test_a_project_has_defaults_for_all_that_is_not_said(fleet: FleetDriver) -> None:
    project = await made(fleet, " My Project! ")

    assert {
        "workspace_id": 1, "name": "My Project!", "slug": "my-project", "description": None, "ticket_prefix": "MYPR",
        "ticket_counter": 0, "status": "active", "github_repo": None, "deadline": None, "color": None,
        "github_sync_enabled": 0, "github_labels_initialized": 0, "github_default_branch": "main", "gates": GATES,
    } == without(project, "id", "created_at", "updated_at", "version")  # fmt: skip


@pytest.mark.every_store
async def test_a_project_reads_back_with_its_counts(fleet: FleetDriver) -> None:
    project = await made(
        fleet, description="d", ticketPrefix="a-b 1", github_repo="x/y", deadline=5, color="red",
        gates={"require_approval_for_done": False},
    )  # fmt: skip
    await fleet.task(project_id=project["id"])
    answer = await fleet.call("GET", f"/projects/{project['id']}")

    assert ("AB1", 5, False) == (
        project["ticket_prefix"], project["deadline"], project["gates"]["require_approval_for_done"],
    )  # fmt: skip
    assert project | {"ticket_counter": 1, "task_count": 1, "assigned_agents": []} == answer.json["project"]
    assert f'"{project["version"]}"' == answer.headers["etag"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "Project name is required"), ({"name": " "}, "Project name is required"),
        ({"name": 5}, "Project name is required"), ({"name": "日本"}, "Invalid project slug"),
        ({"name": "x", "slug": "--"}, "Invalid project slug"),
        ({"name": "x", "ticket_prefix": "--"}, "Invalid ticket prefix"),
    ],
)  # fmt: skip
async def test_a_project_that_cannot_be_meant_is_refused(fleet: FleetDriver, body: Any, said: str) -> None:
    assert (400, said) == refusal(await fleet.call("POST", "/projects", body))


async def test_slugs_and_prefixes_are_unique(fleet: FleetDriver) -> None:
    await made(fleet)

    for body in ({"name": "my project", "ticket_prefix": "X"}, {"name": "other", "ticket_prefix": "mypr"}):
        answer = await fleet.call("POST", "/projects", body)
        assert (409, "Project slug or ticket prefix already exists") == refusal(answer)


async def test_a_repeat_makes_one_project(fleet: FleetDriver) -> None:
    first, second = [await fleet.call("POST", "/projects", {"name": "x"}, idempotency_key="k") for _ in range(2)]

    assert (201, first.json) == (second.status, second.json)


@pytest.mark.every_store
async def test_projects_are_listed_by_name(fleet: FleetDriver) -> None:
    for name in ("beta", "Alpha"):
        await made(fleet, name)
    archived = await made(fleet, "gone")
    await fleet.got("PATCH", f"/projects/{archived['id']}", {"status": "archived"})
    listed = (await fleet.got("GET", "/projects"))["projects"]
    everything = (await fleet.got("GET", "/projects?includeArchived=1"))["projects"]

    assert ["Alpha", "beta", "General", "Work"] == [project["name"] for project in listed]
    assert ["Alpha", "beta", "General", "gone", "Work"] == [project["name"] for project in everything]
    assert all(project["task_count"] == 0 and project["assigned_agents"] == [] for project in listed)


@pytest.mark.every_store
async def test_a_change_touches_what_it_names(fleet: FleetDriver) -> None:
    project = await made(fleet, description="d", deadline=5)
    body = {
        "name": " New ", "deadline": None, "ticketPrefix": "new", "github_sync_enabled": 1,
        "github_labels_initialized": True, "github_default_branch": "trunk", "color": "blue",
        "gates": {"only_lead_can_change_status": True},
    }  # fmt: skip
    changed = (await fleet.got("PATCH", f"/projects/{project['id']}", body))["project"]

    assert project | {
        "name": "New", "deadline": None, "ticket_prefix": "NEW", "github_sync_enabled": 1,
        "github_labels_initialized": 1, "github_default_branch": "trunk", "color": "blue",
        "gates": GATES | {"only_lead_can_change_status": True}, "version": project["version"] + 1,
        "assigned_agents": [],
    } == changed | {"updated_at": project["updated_at"]}  # fmt: skip


async def test_a_new_prefix_shows_in_every_ticket(fleet: FleetDriver) -> None:
    project = await made(fleet)
    task = await fleet.task(project_id=project["id"])
    await fleet.got("PATCH", f"/projects/{project['id']}", {"ticket_prefix": "zz"})

    assert "ZZ-001" == (await fleet.got("GET", f"/tasks/{task['id']}"))["task"]["ticket_ref"]


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({}, [""]), ({"slug": "x"}, ["slug"]), ({"ticket_prefix": "a", "ticketPrefix": "b"}, [""]),
        ({"name": " "}, ["name"]), ({"name": None}, ["name"]), ({"status": "gone"}, ["status"]),
        ({"deadline": -1}, ["deadline"]), ({"color": "x" * 33}, ["color"]), ({"github_default_branch": ""},
        ["github_default_branch"]), ({"github_sync_enabled": 2}, ["github_sync_enabled"]),
        ({"assigned_agents": ["a", "a"]}, ["assigned_agents"]), ({"assigned_agents": [""]}, ["assigned_agents.0"]),
        ({"gates": {"x": True}}, ["gates.x"]), ({"gates": {"only_lead_can_change_status": 1}},
        ["gates.only_lead_can_change_status"]),
    ],
)  # fmt: skip
async def test_a_wrong_change_is_refused_by_the_name_of_its_field(
    fleet: FleetDriver, body: Any, places: list[str]
) -> None:
    assert places == wrong_fields(await fleet.call("PATCH", f"/projects/{fleet.project}", body))


async def test_an_empty_change_says_what_it_needs(fleet: FleetDriver) -> None:
    answer = await fleet.call("PATCH", f"/projects/{fleet.project}", {})

    assert [": At least one field is required"] == answer.json["details"]


async def test_a_project_is_looked_for_before_its_change_is_checked(fleet: FleetDriver) -> None:
    assert (404, "Project not found") == refusal(await fleet.call("PATCH", "/projects/999999", {}))
    assert (404, "Project not found") == refusal(await fleet.call("GET", "/projects/999999"))
    for method in ("GET", "PATCH"):
        assert (400, "Invalid project ID") == refusal(await fleet.call(method, "/projects/abc", {}))


async def test_the_general_project_stays(fleet: FleetDriver) -> None:
    (general,) = [p for p in (await fleet.got("GET", "/projects"))["projects"] if p["slug"] == "general"]
    answer = await fleet.call("PATCH", f"/projects/{general['id']}", {"status": "archived"})

    assert (400, "Default project cannot be archived") == refusal(answer)


@pytest.mark.every_store
async def test_a_prefix_that_is_taken_or_empty_is_refused(fleet: FleetDriver) -> None:
    place = f"/projects/{(await made(fleet))['id']}"

    assert (409, "Ticket prefix already in use") == refusal(await fleet.call("PATCH", place, {"ticket_prefix": "task"}))
    assert (400, "Invalid ticket prefix") == refusal(await fleet.call("PATCH", place, {"ticket_prefix": "-"}))


async def test_a_change_names_all_who_are_assigned(fleet: FleetDriver) -> None:
    for name in ("ada", "bob", "eve"):
        await fleet.agent(name)
    place = f"/projects/{fleet.project}"
    await fleet.got("POST", f"{place}/agents", {"agent_name": "ada", "role": "owner"}, 201)
    await fleet.got("POST", f"{place}/agents", {"agent_name": "eve"}, 201)
    unknown = await fleet.call("PATCH", place, {"assigned_agents": ["ada", "nobody"]})
    changed = await fleet.got("PATCH", place, {"assigned_agents": ["bob", "ada"]})
    roles = [(each["agent_name"], each["role"]) for each in (await fleet.got("GET", f"{place}/agents"))["assignments"]]
    listed = {each["id"]: each for each in (await fleet.got("GET", "/projects"))["projects"]}

    assert (400, {"error": "Unknown project agents", "details": ["nobody"]}) == (unknown.status, unknown.json)
    assert ["ada", "bob"] == changed["project"]["assigned_agents"] == listed[fleet.project]["assigned_agents"]
    assert ["ada", "bob"] == (await fleet.got("GET", place))["project"]["assigned_agents"]
    assert [("ada", "owner"), ("bob", "member")] == roles
    assert [] == (await fleet.got("PATCH", place, {"assigned_agents": []}))["project"]["assigned_agents"]


async def test_a_change_of_a_project_that_expects_another_version_is_refused(fleet: FleetDriver) -> None:
    project = await made(fleet)
    place = f"/projects/{project['id']}"

    assert 412 == (await fleet.call("PATCH", place, {"name": "x"}, if_match='"99"')).status
    assert 200 == (await fleet.call("PATCH", place, {"name": "x"}, if_match=f'"{project["version"]}"')).status


async def test_projects_of_another_organization_are_not_there(fleet: FleetDriver, elsewhere: World) -> None:
    assert isinstance(elsewhere.me, SystemPrincipal)
    named = {project["name"] for project in (await fleet.got("GET", "/projects"))["projects"]}
    foreign = await fleet.call("GET", f"/projects/{elsewhere.board.id}")

    assert {"General", "Work"} == named
    assert (404, "Project not found") == refusal(foreign)
