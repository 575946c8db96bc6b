"""
Branches of tasks in the Fleet API.
"""

from typing import Any

import pytest
from attrs import evolve

from mission_core.tasks.github_links import GitHubLinks
from tests.contract.conftest import World
from tests.contract.fleet_driver import FleetDriver, refusal


async def in_a_repository(fleet: FleetDriver) -> Any:
    """
    A task of a project that has one.
    """
    body = {"name": "Tracked", "github_repo": "x/y", "gates": {"require_approval_for_done": False}}
    project = (await fleet.got("POST", "/projects", body, 201))["project"]["id"]
    return await fleet.task(project_id=project)


async def tracked(world: World, task: Any, **fields: Any) -> None:
    async with world.ports.unit(world.me) as unit:
        found = await unit.tasks.get(task["id"])
        unit.tasks.save(evolve(found, tracking=GitHubLinks(**fields)))
        await unit.commit()


@pytest.mark.every_store
async def test_a_task_tells_its_branch(fleet: FleetDriver, world: World) -> None:
    task, other = await in_a_repository(fleet), await fleet.task()
    await tracked(world, task, repo="a/b", branch="feat/x", pull_request=5, pull_request_state="open")
    nothing = {"branch": None, "pr_number": None, "pr_state": None, "repo": None}

    assert {"branch": "feat/x", "pr_number": 5, "pr_state": "open", "repo": "x/y"} == await fleet.got(
        "GET", f"/tasks/{task['id']}/branch"
    )
    assert nothing == await fleet.got("GET", f"/tasks/{other['id']}/branch")


async def test_a_branch_that_is_there_is_told_with_its_place(fleet: FleetDriver, world: World) -> None:
    task = await in_a_repository(fleet)
    await tracked(world, task, branch="feat/x #1")
    for body in (None, {}, {"action": None}):
        told = await fleet.got("POST", f"/tasks/{task['id']}/branch", body)
        assert {"branch": "feat/x #1", "url": "https://github.com/x/y/tree/feat/x%20%231"} == told


@pytest.mark.every_store
async def test_making_a_branch_needs_github(fleet: FleetDriver, world: World) -> None:
    """
    And changes nothing without.
    """
    task, other = await in_a_repository(fleet), await fleet.task()
    place, before = f"/tasks/{task['id']}/branch", len(await world.event_kinds())
    unconfigured = await fleet.call("POST", f"/tasks/{other['id']}/branch")
    early = await fleet.call("POST", place, {"action": "create-pr"})
    unreachable = await fleet.call("POST", place)
    odd = await fleet.call("POST", place, {"action": ["create-pr"]})
    await tracked(world, task, branch="feat/x")
    request = await fleet.call("POST", place, {"action": "create-pr"})

    assert (400, "Task project does not have a GitHub repo configured") == refusal(unconfigured)
    assert (400, "Task does not have a branch yet. Create a branch first.") == refusal(early)
    for answer in (unreachable, request):
        assert (502, ["this server has no connection to GitHub; nothing was changed"]) == (
            answer.status, answer.json["details"],
        )  # fmt: skip
    assert 400 == odd.status
    assert before == len(await world.event_kinds())


@pytest.mark.every_store
async def test_a_branch_is_found_by_its_task(fleet: FleetDriver) -> None:
    _, token = await fleet.agent("ada")
    own, other = await fleet.task(assigned_to="ada"), await fleet.task()
    for method in ("GET", "POST"):
        assert (400, "Invalid task ID") == refusal(await fleet.call(method, "/tasks/x/branch"))
        assert (404, "Task not found") == refusal(await fleet.call(method, "/tasks/999999/branch"))
        assert 403 == (await fleet.call(method, f"/tasks/{other['id']}/branch", key=token)).status
    assert 200 == (await fleet.call("GET", f"/tasks/{own['id']}/branch", key=token)).status
