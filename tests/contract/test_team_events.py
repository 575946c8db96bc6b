"""
What the log tells of a team's work, and of what waits for it.
"""

import pytest

from tests.contract.boards_team import start_task, status_and_assignee, task_in_list

pytestmark = pytest.mark.every_store


async def told(world, *kinds):
    entries = await world.ports.log.read(world.me.organization, limit=1000)
    return [(each.kind, each.actor.name, each.payload) for each in entries if each.kind in kinds]


async def test_the_log_tells_who_moved_what_from_where_to_where(boards, team, world):
    task = await start_task(boards, team, "review")
    await team.lea.does(task, status="inbox")
    moves = await told(world, "task.moved", "task.claimed")
    hands = await told(world, "task.assigned")

    assert ["ada", "ada", "lea"] == [name for _, name, _ in moves]
    for part in ('"was":"inbox"', '"title":"Ship it"', f'"board":"{boards.board}"', '"by":"ada"'):
        assert part in moves[0][2]
    for (_, _, payload), was, status in zip(moves[1:], ("in_progress", "review"), ("review", "assigned"), strict=True):
        for part in (f'"was":"{was}"', f'"status":"{status}"', '"title":"Ship it"', f'"board":"{boards.board}"'):
            assert part in payload
    for part in (f'"agent":"{team.ada.id}"', '"assignee":"ada"', f'"was_agent":"{team.lea.id}"', '"was":"lea"'):
        assert part in hands[-1][2]


async def test_the_log_tells_dependents_of_what_they_wait_for(boards, team, world):
    first = await boards.task("First")
    waits = [await boards.task(f"{n}", depends_on_task_ids=[first["id"]]) for n in range(3)]
    await team.ada.does(first, status="done")
    await team.me.does(waits[0], status="done")
    await team.bob.does(waits[1], status="in_progress")
    await team.me.does(first, status="review")
    toggles = await told(world, "task.dependency_toggled")
    (reset,) = [each for each in await told(world, "task.moved") if '"reopened":"First"' in each[2]]

    assert 3 * ['"done":true'] + ['"done":false'] == [
        next(part for part in ('"done":true', '"done":false') if part in payload) for _, _, payload in toggles
    ]
    assert all(f'"dependency":"{first["id"]}"' in payload and '"title":"First"' in payload for _, _, payload in toggles)
    assert f'"task":"{waits[1]["id"]}"' in reset[2]
    assert ("inbox", None, False) == status_and_assignee(await task_in_list(boards, waits[1]))


async def test_what_was_handed_out_comes_back_when_its_dependency_is_taken_up_again(boards, team):
    first = await boards.task("First", status="done")
    assigned = await boards.task("Second", depends_on_task_ids=[first["id"]], assigned_agent_id=team.ada.id)
    review = await boards.task("Third", depends_on_task_ids=[first["id"]], status="review")
    await team.me.does(first, status="inbox")

    for task in (assigned, review):
        shown = await task_in_list(boards, task)
        assert (("inbox", None, False), "inbox", True) == (
            status_and_assignee(shown),
            shown["core_status"],
            shown["is_blocked"],
        )
