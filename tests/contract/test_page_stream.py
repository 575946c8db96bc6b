"""
The event stream of the page.
"""

from collections import Counter

import pytest

from mission_adapters.testing.world import World
from mission_core.tasks.leases import CompleteTask, complete_task
from mission_http.pages.live import render_panels


@pytest.mark.one_store
async def test_each_panel_is_named_once_for_each_board_that_changed(world: World) -> None:
    """
    Also by what tells no board itself, such as the end of a run: a member with grants sees the events of their boards.
    """
    begun = (await world.ports.log.head(world.me.organization)).position
    other = await world.another_board()
    one, two = [await world.claimed(await world.task(board=each)) for each in (world.board.id, other.id)]
    for each in (one, two):
        await complete_task(world.ports, world.me, CompleteTask(task=each.task.id, lease=each.lease))
    entries = await world.ports.log.read(world.me.organization, after=begun)
    events = await render_panels(world.ports, world.me.organization, entries)

    named = Counter((event.name, event.board) for event in events)
    assert {"run.completed"} <= {entry.kind for entry in entries}
    assert {world.board.id, other.id} == {board for name, board in named if name == "board"}
    assert {1} == set(named.values())
    assert sorted(event.position for event in events) == [event.position for event in events]
    assert entries[-1].position == events[-1].position
