"""
Ways around gates that both dialects close.
"""

from typing import Any

import pytest

from mission_core.agents.use_cases import CreateKey, create_key
from tests.contract.boards_driver import BoardsDriver, refusal
from tests.contract.boards_team import Team, TeamMember, set_rules, start_task, status_and_assignee
from tests.contract.conftest import World
from tests.contract.fleet_driver import FleetDriver

OPEN = {"require_approval_for_done": False}
REVIEWED = OPEN | {"require_review_before_done": True}
LED = OPEN | {"only_lead_can_change_status": True}
TALKATIVE = REVIEWED | {"comment_required_for_review": True}


async def project(fleet: FleetDriver, **gates: bool) -> int:
    made = await fleet.got("POST", "/projects", {"name": "Ruled", "gates": gates}, 201)
    number: int = made["project"]["id"]
    return number


async def put(fleet: FleetDriver, task: Any, expected: int = 200, key: str | None = None, **change: Any) -> Any:
    more = {} if key is None else {"key": key}
    answer = await fleet.call("PUT", f"/tasks/{task['id']}", change, **more)
    assert expected == answer.status, answer.body
    return answer.json


async def completed(boards: BoardsDriver, who: TeamMember, task: Any, **outcome: Any) -> Any:
    path = f"{who.tasks}/{task['id']}"
    claimed = await boards.call("POST", f"{path}/claim", {}, agent=who.token)
    if claimed.status != 200:
        return claimed
    lease = claimed.json["lease"]["lease"]
    return await boards.call("POST", f"{path}/complete", {"lease": lease, **outcome}, agent=who.token)


@pytest.mark.every_store
async def test_a_round_trip_over_an_open_project_leads_around_no_gate(fleet: FleetDriver) -> None:
    """
    Done there, it comes back only where the gate lets it; what was passed here once is passed.
    """
    gated = await project(fleet)
    task = await fleet.task(project_id=gated)
    await put(fleet, task, project_id=fleet.project)
    await put(fleet, task, status="done")
    refused = await put(fleet, task, 403, project_id=gated)
    await put(fleet, task, status="inbox")
    await put(fleet, task, project_id=gated)

    assert "Aegis approval is required to move task to done." == refused["error"]
    recorded = await fleet.task(project_id=gated, status="done")
    await put(fleet, recorded, project_id=fleet.project)
    assert "done" == (await put(fleet, recorded, project_id=gated))["task"]["status"]
    await put(fleet, recorded, project_id=fleet.project)
    for status in ("review", "done"):  # it was done there before, but not this time
        await put(fleet, recorded, status=status)
    await put(fleet, recorded, 403, project_id=gated)


@pytest.mark.parametrize("scope", ["agent:self", "operator"])
async def test_an_agent_takes_no_work_to_weaker_gates(fleet: FleetDriver, scope: str) -> None:
    """
    Nor makes, or changes, a project for that.
    """
    await fleet.agent("ada")
    key, gated = await fleet.key("ada", scope), await project(fleet)
    task = await fleet.task(project_id=gated, assigned_to="ada")
    refused = await put(fleet, task, 403, key=key, project_id=fleet.project)
    made = await fleet.call("POST", "/projects", {"name": "Mine", "gates": OPEN}, key=key)
    changed = await fleet.call("PATCH", f"/projects/{gated}", {"gates": OPEN}, key=key)
    admin = await fleet.key("ada", "admin")

    assert "weaker gates" in refused["error"]
    assert [403, 403] == [made.status, changed.status]
    assert fleet.project == (await put(fleet, task, key=admin, project_id=fleet.project))["task"]["project_id"]


async def test_a_worker_neither_claims_nor_polls_where_only_leads_move_tasks(fleet: FleetDriver) -> None:
    """
    Nor begins or makes it otherwise; people do.
    """
    led = await project(fleet, **LED)
    _, token = await fleet.agent("ada")
    task = await fleet.task(project_id=led)
    said = "Only board leads can change task status."
    claim = await fleet.call("POST", f"/tasks/{task['id']}/claim", {}, key=token)
    polled = await fleet.got("GET", "/tasks/queue?agent=ada", key=token)
    made = await fleet.call("POST", "/tasks", {"title": "x", "project_id": led, "status": "review"}, key=token)

    assert (403, said) == (claim.status, claim.json["error"])
    assert polled["task"] is None
    assert (await fleet.got("POST", "/tasks/claim", {}, key=token))["task"] is None
    assert (403, said) == (made.status, made.json["error"])
    assert (await fleet.got("GET", "/tasks/queue?agent=bob"))["task"]["id"] == task["id"]


async def test_a_worker_completes_nothing_where_only_leads_move_tasks(boards: BoardsDriver, team: Team) -> None:
    """
    Also under a lease from before the rule; it still gives the work back.
    """
    task = await boards.task()
    path = f"{team.ada.tasks}/{task['id']}"
    lease = (await boards.got("POST", f"{path}/claim", {}, agent=team.ada.token))["lease"]["lease"]
    await set_rules(boards, **LED)
    refused = refusal(await boards.call("POST", f"{path}/complete", {"lease": lease}, agent=team.ada.token))

    assert (403, "Only board leads can change task status.") == refused
    assert "inbox" == (await boards.got("POST", f"{path}/release", {"lease": lease}, agent=team.ada.token))["status"]
    assert 403 == (await completed(boards, team.ada, task)).status
    assert "done" == (await completed(boards, team.lea, task)).json["status"]


@pytest.mark.every_store
async def test_a_completion_counts_as_a_comment_with_a_resolution(
    boards: BoardsDriver, team: Team, fleet: FleetDriver
) -> None:
    """
    In both dialects; and it goes to the lead.
    """
    await set_rules(boards, **TALKATIVE)
    silent, said = await boards.task(), await boards.task()
    refused = refusal(await completed(boards, team.ada, silent, resolution=" "))
    handed = (await completed(boards, team.ada, said, resolution="It is done")).json
    ruled_there = await fleet.task(project_id=await project(fleet, **TALKATIVE))
    lease = (await fleet.claim(ruled_there["id"]))["lease"]
    path = f"/tasks/{ruled_there['id']}/complete"

    assert (422, "Comment is required.") == refused
    assert ("review", team.lea.id, False) == status_and_assignee(handed)
    assert 403 == (await fleet.call("POST", path, {"lease": lease})).status
    done = await fleet.got("POST", path, {"lease": lease, "resolution": "It is done"})
    assert "review" == done["task"]["status"]


@pytest.mark.every_store
async def test_no_worker_closes_the_review_of_its_own_work(boards: BoardsDriver, team: Team, world: World) -> None:
    """
    Whatever key it uses, and whoever had handed it in; the lead does.
    """
    await set_rules(boards, **REVIEWED)
    task = (await completed(boards, team.ada, await boards.task())).json
    await team.me.does(task, assigned_agent_id=team.ada.id)
    _, key = await create_key(world.ports, world.me, CreateKey(agent="ada", name="boss", scopes=("admin",)))
    own = [await team.ada.refused(task, status="done"), await _with(team.ada, key).refused(task, status="done")]

    assert [409, 409] == [status for status, _ in own]
    assert "close the review" in own[0][1]["message"]
    await team.me.does(task, assigned_agent_id=team.lea.id)
    assert "done" == (await team.lea.does(task, status="done"))["status"]


async def test_no_lead_closes_the_review_of_its_own_work(boards: BoardsDriver, team: Team) -> None:
    """
    A person does.
    """
    await set_rules(boards, **REVIEWED)
    task = (await completed(boards, team.lea, await boards.task())).json
    refused = await team.lea.refused(task, status="done")

    assert 409 == refused[0]
    assert "done" == (await team.me.does(task, status="done"))["status"]


async def test_who_makes_a_task_in_review_does_not_close_it(fleet: FleetDriver) -> None:
    """
    An agent made it for itself, or the server's key did for the agent.
    """
    reviewed = await project(fleet, **REVIEWED)
    await fleet.agent("ada")
    key = await fleet.key("ada", "operator")
    wanted = {"title": "x", "project_id": reviewed, "status": "review", "assigned_to": "ada"}
    made = await fleet.got("POST", "/tasks", wanted, 201, key=key)
    task = await fleet.task(project_id=reviewed, status="review", assigned_to="ada")

    for each in (made["task"], task):
        assert "close the review" in (await put(fleet, each, 403, key=key, status="done"))["error"]
    many = {"tasks": [{"id": task["id"], "status": "done"}]}
    assert 403 == (await fleet.call("PUT", "/tasks", many, key=key)).status
    assert "done" == (await put(fleet, made["task"], status="done"))["task"]["status"]


@pytest.mark.every_store
async def test_no_agent_closes_the_review_of_who_made_its_key(
    boards: BoardsDriver, team: Team, fleet: FleetDriver
) -> None:
    """
    Also at second hand, and with a key that it made itself; an agent that a person registered does.
    """
    reviewed = await project(fleet, **REVIEWED)
    _, amy = await fleet.agent("amy")
    made = {"name": "eve", "role": "coder"}
    eve = (await fleet.got("POST", "/agents", made, 201, key=amy))["agent_token"]
    ivy = (await fleet.got("POST", "/agents", made | {"name": "ivy"}, 201, key=eve))["agent_token"]
    _, zoe = await fleet.agent("zoe")
    task = await fleet.task(project_id=reviewed)
    lease = (await fleet.got("POST", f"/tasks/{task['id']}/claim", {}, key=amy))["lease"]["lease"]
    await fleet.got("POST", f"/tasks/{task['id']}/complete", {"lease": lease}, key=amy)
    for name, key in (("eve", eve), ("ivy", ivy), ("eve", await fleet.key("eve", "operator"))):
        await put(fleet, task, assigned_to=name)
        assert "whose key an author made" in (await put(fleet, task, 403, key=key, status="done"))["error"]
    await put(fleet, task, assigned_to="zoe")
    assert "done" == (await put(fleet, task, key=zoe, status="done"))["task"]["status"]

    await set_rules(boards, **REVIEWED)
    await boards.got("PATCH", f"/api/v1/boards/{boards.board}", {"max_agents": 9})
    led = (await completed(boards, team.lea, await boards.task())).json
    new = {"name": "alter", "board_id": str(boards.board)}
    alter = await boards.got("POST", "/api/v1/agent/agents", new, agent=team.lea.token)
    await team.lea.does(led, assigned_agent_id=alter["id"])
    assert 409 == (await _with(team.lea, alter["agent_token"]).refused(led, status="done"))[0]


async def test_a_person_alone_reviews_their_own_work_and_the_log_says_so(
    boards: BoardsDriver, team: Team, world: World
) -> None:
    """
    Until there is another one who may.
    """
    await set_rules(boards, **REVIEWED)
    first, second, third = [await team.me.does(await boards.task(), status="review") for _ in range(3)]
    alone = [await team.me.does(first, status="done")]
    pat = await boards.person("pat", role="member", boards=False)
    elsewhere = {"board_id": str((await world.another_board()).id), "can_read": True, "can_write": True}
    access = {"all_boards_read": False, "all_boards_write": False, "board_access": [elsewhere]}
    await boards.got("PUT", f"/api/v1/organizations/me/members/{pat.member}/access", access)
    await boards.person("una", role="admin", approved=False)  # neither may review here
    alone.append(await team.me.does(second, status="done"))
    logged = (await world.event_kinds()).count("task.self_reviewed")
    await boards.person("kim", role="admin")
    refused = await team.me.refused(third, status="done")

    assert (["done", "done"], 2) == ([each["status"] for each in alone], logged)
    assert 409 == refused[0]
    assert "done" == (await started_review_closed(boards, team))["status"]
    assert 2 == (await world.event_kinds()).count("task.self_reviewed")


async def test_where_everybody_worked_on_it_an_owner_closes_the_review(
    boards: BoardsDriver, team: Team, world: World
) -> None:
    """
    And no admin does.
    """
    await set_rules(boards, **REVIEWED)
    kim = await boards.person("kim", role="admin")
    task = await team.me.does(await boards.task(), status="review")
    path = f"{team.me.tasks}/{task['id']}"
    for status in ("inbox", "review"):
        await boards.got("PATCH", path, {"status": status}, user=kim.token)
    refused = await boards.call("PATCH", path, {"status": "done"}, user=kim.token)

    assert (409, "own_review") == (refused.status, refused.json["code"])
    assert "done" == (await team.me.does(task, status="done"))["status"]
    assert 1 == (await world.event_kinds()).count("task.self_reviewed")


async def test_the_servers_key_is_the_only_member_while_there_is_one(
    boards: BoardsDriver, fleet: FleetDriver, world: World
) -> None:
    """
    It may be anybody's once there are two.
    """
    reviewed = await project(fleet, **REVIEWED)
    first, second = [await fleet.task(project_id=reviewed, status="review") for _ in range(2)]
    closed = (await put(fleet, first, status="done"))["task"]["status"]
    await boards.person("kim", role="admin")
    await put(fleet, second, 403, status="done")

    assert ("done", 1) == (closed, (await world.event_kinds()).count("task.self_reviewed"))


async def started_review_closed(boards: BoardsDriver, team: Team) -> Any:
    """
    Another one's work, whose review a person closes.
    """
    return await team.me.does(await start_task(boards, team, "review"), status="done")


def _with(member: TeamMember, key: str) -> TeamMember:
    return TeamMember(member.boards, member.tasks, member.id, key)
