"""
What was asked for and decided in the Boards API, met by who works through the Fleet API.
"""

from typing import Any

from tests.contract.boards_driver import BoardsDriver
from tests.contract.conftest import World
from tests.contract.fleet_driver import FleetDriver, refusal

NOT_APPROVED = "Aegis approval is required to move task to done."
PENDING = "Task status cannot be changed while a linked approval is pending."


async def gated(boards: BoardsDriver, world: World, **rules: bool) -> Any:
    """
    A task on the board, which has these rules from now on.
    """
    await boards.got("PATCH", f"/api/v1/boards/{boards.board}", rules)
    return await world.task("Ship it")


async def asked(boards: BoardsDriver, task: Any) -> str:
    """
    An approval for the task, as a path to decide about it.
    """
    body = {"action_type": "finish", "confidence": 70, "task_id": str(task.id), "lead_reasoning": "ready"}
    made = await boards.got("POST", f"/api/v1/boards/{boards.board}/approvals", body)
    return f"/api/v1/boards/{boards.board}/approvals/{made['id']}"


async def status(fleet: FleetDriver, task: Any) -> str:
    told: str = (await fleet.got("GET", f"/tasks/{task.number}"))["task"]["status"]
    return told


async def test_a_task_approved_on_its_board_is_finished_in_the_fleet(
    boards: BoardsDriver, fleet: FleetDriver, world: World
) -> None:
    """
    Not before, and not a second time.
    """
    task = await gated(boards, world, require_approval_for_done=True)
    done = {"status": "done"}
    refused = [refusal(await fleet.call("PUT", f"/tasks/{task.number}", done))]
    approval = await asked(boards, task)
    refused.append(refusal(await fleet.call("PUT", f"/tasks/{task.number}", done)))
    await boards.got("PATCH", approval, {"status": "approved"})
    await fleet.got("PUT", f"/tasks/{task.number}", done)
    first = await status(fleet, task)
    await fleet.got("PUT", f"/tasks/{task.number}", {"status": "review"})
    refused.append(refusal(await fleet.call("PUT", f"/tasks/{task.number}", done)))

    assert [(403, NOT_APPROVED)] * 3 == refused
    assert "done" == first


async def test_many_tasks_are_done_if_all_are_approved(boards: BoardsDriver, fleet: FleetDriver, world: World) -> None:
    """
    The one that is not is named.
    """
    one = await gated(boards, world, require_approval_for_done=True)
    two = await world.task()
    moves = {"tasks": [{"id": each.number, "status": "done"} for each in (one, two)]}
    await boards.got("PATCH", await asked(boards, one), {"status": "approved"})
    refused = refusal(await fleet.call("PUT", "/tasks", moves))
    await boards.got("PATCH", await asked(boards, two), {"status": "approved"})
    await fleet.got("PUT", "/tasks", moves)

    assert (403, f"Aegis approval required for task {two.number}") == refused
    assert ["done", "done"] == [await status(fleet, each) for each in (one, two)]


async def test_approved_work_is_done_when_its_lease_is_completed(
    boards: BoardsDriver, fleet: FleetDriver, world: World
) -> None:
    """
    Other work waits in review.
    """
    task = await gated(boards, world, require_approval_for_done=True)
    other = await world.task()
    await boards.got("PATCH", await asked(boards, task), {"status": "approved"})
    for each in (task, other):
        lease = await fleet.claim(each.number)
        await fleet.got("POST", f"/tasks/{each.number}/complete", {"lease": lease["lease"]})

    assert ["done", "review"] == [await status(fleet, each) for each in (task, other)]


async def test_what_an_approval_holds_stays_where_it_is_in_the_fleet(
    boards: BoardsDriver, fleet: FleetDriver, world: World
) -> None:
    """
    It is neither moved, nor handed in, nor handed out.
    """
    task = await gated(boards, world, block_status_changes_with_pending_approval=True)
    lease = (await fleet.claim(task.number))["lease"]
    approval = await asked(boards, task)
    held = await world.task("held", assignee="ada")
    other = await asked(boards, held)
    moved = await fleet.call("PUT", f"/tasks/{task.number}", {"status": "review"})
    completed = await fleet.call("POST", f"/tasks/{task.number}/complete", {"lease": lease})
    claimed = await fleet.call("POST", f"/tasks/{held.number}/claim", {"agent": "ada"})
    polled = await fleet.got("GET", "/tasks/queue?agent=eve")
    told = await fleet.got("GET", f"/tasks/{held.number}/explain")
    for each in (approval, other):
        await boards.got("PATCH", each, {"status": "rejected"})
    await fleet.got("POST", f"/tasks/{task.number}/complete", {"lease": lease})

    assert [(403, PENDING)] * 2 == [refusal(moved), refusal(completed)]
    assert (409, "no_tasks_available", "blocked") == (claimed.status, polled["reason"], told["state"])
    assert "done" == await status(fleet, task)
    assert held.number == (await fleet.got("GET", "/tasks/queue?agent=ada"))["task"]["id"]


async def test_the_activity_tells_of_approvals(boards: BoardsDriver, fleet: FleetDriver, world: World) -> None:
    """
    In words.
    """
    task = await gated(boards, world, require_approval_for_done=True)
    await boards.got("PATCH", await asked(boards, task), {"status": "approved"})
    await fleet.got("PUT", f"/tasks/{task.number}", {"status": "done"})
    found = (await fleet.got("GET", "/search?q=finish&type=activity"))["results"]

    assert {"Approval requested: finish", "Approval approved: finish"} <= {each["title"] for each in found}
