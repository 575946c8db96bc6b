"""
What belongs to one project in the Fleet API: its agents, its tasks, and its end.
"""

from typing import Any

import pytest

from tests.contract.conftest import World
from tests.contract.fleet_driver import FleetDriver, refusal, without, wrong_fields


async def made(fleet: FleetDriver, name: str = "Old") -> Any:
    """
    A new project without gates.
    """
    body = {"name": name, "gates": {"require_approval_for_done": False}}
    return (await fleet.got("POST", "/projects", body, 201))["project"]


async def test_agents_are_assigned_by_name_whether_they_exist_or_not(fleet: FleetDriver, clock: Any) -> None:
    """
    Once each, with the role they got first.
    """
    place = f"/projects/{fleet.project}/agents"
    for body in ({"agent_name": " ada ", "role": "owner"}, {"agent_name": "bob"}, {"agent_name": "ADA"}):
        assert {"success": True} == await fleet.got("POST", place, body, 201)
    first, second = (await fleet.got("GET", place))["assignments"]

    now = int(clock.now().timestamp())
    assert {"project_id": fleet.project, "agent_name": "ada", "role": "owner", "assigned_at": now} == without(
        first, "id"
    )
    assert ("bob", "member") == (second["agent_name"], second["role"])
    assert first["id"] < second["id"]


async def test_agents_are_unassigned_and_were_perhaps_never_assigned(fleet: FleetDriver) -> None:
    """
    It makes no difference.
    """
    place = f"/projects/{fleet.project}/agents"
    await fleet.got("POST", place, {"agent_name": "ada"}, 201)
    for name in ("Ada", "ada", "nobody"):
        assert {"success": True} == await fleet.got("DELETE", f"{place}?agent_name={name}")

    assert [] == (await fleet.got("GET", place))["assignments"]


@pytest.mark.parametrize("body", [{}, {"agent_name": " "}, {"agent_name": 5}, {"agent_name": None}])
async def test_an_assignment_names_an_agent(fleet: FleetDriver, body: Any) -> None:
    """
    By a name that is one.
    """
    place = f"/projects/{fleet.project}/agents"

    assert (400, "agent_name is required") == refusal(await fleet.call("POST", place, body))
    assert (400, "agent_name query parameter is required") == refusal(await fleet.call("DELETE", place))
    assert ["role"] == wrong_fields(await fleet.call("POST", place, {"agent_name": "ada", "role": 5}))
    assert ["agent_name"] == wrong_fields(await fleet.call("POST", place, {"agent_name": "a" * 101}))


async def test_a_project_that_there_is_not_has_neither_agents_nor_tasks(fleet: FleetDriver, elsewhere: World) -> None:
    """
    Another organization's is none.
    """
    for project in ("999999", str(elsewhere.board.id)):
        for method, path, body in (
            ("GET", "agents", None), ("POST", "agents", {"agent_name": "a"}),
            ("DELETE", "agents?agent_name=a", None), ("GET", "tasks", None),
        ):  # fmt: skip
            answer = await fleet.call(method, f"/projects/{project}/{path}", body)
            assert (404, "Project not found") == refusal(answer)
    assert (400, "Invalid project ID") == refusal(await fleet.call("GET", "/projects/abc/tasks"))


async def test_a_repeated_assignment_is_answered_alike(fleet: FleetDriver) -> None:
    """
    Under one idempotency key.
    """
    place = f"/projects/{fleet.project}/agents"
    answers = [await fleet.call("POST", place, {"agent_name": "ada"}, idempotency_key="k") for _ in range(2)]
    other = await fleet.call("POST", place, {"agent_name": "bob"}, idempotency_key="k")

    assert [201, 201, 422] == [answer.status for answer in (*answers, other)]


@pytest.mark.every_store
async def test_a_projects_tasks_are_all_listed_newest_first(fleet: FleetDriver) -> None:
    """
    Unless a part is asked for.
    """
    project = await made(fleet)
    tasks = [await fleet.task(title, project_id=project["id"]) for title in "abc"]
    await fleet.task("elsewhere")
    place = f"/projects/{project['id']}/tasks"
    listed = await fleet.got("GET", place)
    part = await fleet.got("GET", f"{place}?limit=1&after={tasks[2]['id']}")
    skipped = await fleet.got("GET", f"{place}?offset=2")

    assert tasks[::-1] == listed["tasks"]
    assert 3 == listed["total"] == part["total"]
    assert (["b"], ["a"]) == ([each["title"] for each in part["tasks"]], [each["title"] for each in skipped["tasks"]])
    assert {name: project[name] for name in listed["project"]} | {"ticket_counter": 3} == listed["project"]
    assert ["limit"] == wrong_fields(await fleet.call("GET", f"{place}?limit=x"))


@pytest.mark.every_store
async def test_a_deleted_project_is_archived(fleet: FleetDriver) -> None:
    """
    It is there, and takes no new work; unless its version is another than was expected.
    """
    project = await made(fleet)
    place = f"/projects/{project['id']}"
    task = await fleet.task(project_id=project["id"])

    assert 412 == (await fleet.call("DELETE", place, if_match='"7"')).status
    assert {"success": True, "mode": "archive"} == await fleet.got("DELETE", f"{place}?mode=soft", if_match='"0"')
    assert "archived" == (await fleet.got("GET", place))["project"]["status"]
    assert project["id"] == (await fleet.got("GET", f"/tasks/{task['id']}"))["task"]["project_id"]
    assert {"success": True, "mode": "archive"} == await fleet.got("DELETE", place)


@pytest.mark.every_store
async def test_a_project_that_is_deleted_for_good_leaves_its_tasks_to_the_general_one(fleet: FleetDriver) -> None:
    """
    With the numbers they have, and the leases on them.
    """
    project = await made(fleet)
    place = f"/projects/{project['id']}"
    await fleet.task(project_id=project["id"])
    task = await fleet.task(project_id=project["id"])
    lease = await fleet.claim(task["id"])
    await fleet.got("POST", f"{place}/agents", {"agent_name": "ada"}, 201)
    stale = await fleet.call("DELETE", f"{place}?mode=delete", if_match='"7"')
    deleted = await fleet.got("DELETE", f"{place}?mode=delete")
    moved = (await fleet.got("GET", f"/tasks/{task['id']}"))["task"]
    general = (await fleet.got("GET", f"/projects/{moved['project_id']}"))["project"]

    assert 412 == stale.status
    assert {"success": True, "mode": "delete"} == deleted
    assert (404, "Project not found") == refusal(await fleet.call("GET", place))
    assert ("general", "TASK-002", 2) == (general["slug"], moved["ticket_ref"], general["task_count"])
    assert 200 == (await fleet.call("POST", f"/tasks/{task['id']}/complete", {"lease": lease["lease"]})).status


async def test_the_general_project_cannot_be_deleted(fleet: FleetDriver) -> None:
    """
    In neither way.
    """
    (general,) = [p for p in (await fleet.got("GET", "/projects"))["projects"] if p["slug"] == "general"]
    for mode in ("", "?mode=delete"):
        answer = await fleet.call("DELETE", f"/projects/{general['id']}{mode}")
        assert (400, "Default project cannot be deleted") == refusal(answer)


async def test_only_an_admin_deletes_a_project(fleet: FleetDriver) -> None:
    """
    An operator's key does not.
    """
    project = await made(fleet)
    await fleet.agent("ada")
    key = await fleet.key("ada", "operator")

    assert 403 == (await fleet.call("DELETE", f"/projects/{project['id']}", key=key)).status
    assert 403 == (await fleet.call("DELETE", f"/projects/{project['id']}?mode=delete", key=key)).status
