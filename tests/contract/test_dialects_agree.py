"""
One story told in either dialect leaves the same state behind.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from mission_adapters.testing import ManualClock
from mission_core.boards.queries import BoardFilter
from mission_core.ports import Ports
from mission_core.tasks.comments import COMMENTS
from mission_core.tasks.queries import TaskFilter
from mission_core.values import PageRequest
from tests.contract.boards_driver import boards_over
from tests.contract.conftest import World, make_world
from tests.contract.fleet_driver import fleet_over
from tests.contract.story_drivers import BoardsStoryDriver, FleetStoryDriver, StoryDriver

ALL_BOARDS = BoardFilter(archived=True)


@pytest.fixture
async def tellings(ports: Ports, clock: ManualClock) -> Any:
    """
    A world for each teller, who tells a story there; what is left behind is compared.
    """

    async def told(story: "Story") -> tuple[Any, Any]:
        fleets, teams = await make_world(ports), await make_world(ports)
        began = clock.now()
        async with fleet_over(ports, fleets.me, fleets.board.number) as fleet:
            await story(FleetStoryDriver(fleet), clock)
        lasted = clock.now() - began
        clock.advance(days=1)
        again = clock.now()
        async with boards_over(ports, teams.me, teams.board.id) as boards:
            await story(BoardsStoryDriver(boards), clock)
        assert lasted == clock.now() - again
        return await left_behind(fleets, began), await left_behind(teams, again)

    return told


async def left_behind(world: World, began: Any) -> dict[str, Any]:
    """
    Everything that came of a story, but for who told it and what it was numbered by the way.
    """
    rows = (await world.ports.reads.tasks.page(world.me, TaskFilter(), PageRequest(limit=200))).rows
    titles = {row.id: row.title for row in rows}
    tasks = {}
    async with world.ports.unit(world.me) as unit:
        for row in rows:
            task = await unit.tasks.get(row.number)
            runs = await world.ports.reads.tasks.runs(world.me, task.id)
            said = await world.ports.reads.entities.every(world.me, COMMENTS, task=task.id)
            moments = (task.due_at, task.not_before, task.created_at, task.moved_at, task.started_at, task.completed_at)
            tasks[task.title] = (
                task.status, task.priority, task.description, task.assignee and task.assignee.name, task.result,
                task.resolution, task.error_message, task.output, task.hand_over, task.fence, task.attempts,
                [titles[each.bytes] for each in task.depends_on],
                [moment and moment - began for moment in moments],
                [(run.state, run.by, run.fence, run.attempt, run.resolution, run.failure, run.note) for run in runs],
                [(each.content, each.parent is not None) for each in said],
            )  # fmt: skip
    log = await world.ports.log.read(world.me.organization, limit=10_000)
    kinds = Counter(entry.kind for entry in log if entry.kind.partition(".")[0] in ("task", "run", "board"))
    boards = await world.ports.reads.boards.page(world.me, ALL_BOARDS)
    shown = sorted((board.name, board.description, board.task_count) for board in boards.rows)
    return {"tasks": tasks, "facts": kinds, "boards": shown}


def in_days(clock: ManualClock, days: int) -> datetime:
    """
    The moment that many days from now, in whole seconds, as both dialects can tell it.
    """
    return clock.now().replace(microsecond=0) + timedelta(days=days)


async def made_edited_and_finished(tell: StoryDriver, clock: ManualClock) -> None:
    """
    The shortest life of a task.
    """
    task = await tell.task("Ship it", description="All of it", priority="high")
    clock.advance(seconds=5)
    await tell.change(task, title="Ship it all", description="Really")
    await tell.change(task, status="in_progress")
    clock.advance(seconds=5)
    await tell.change(task, status="done")


async def due_and_urgent(tell: StoryDriver, clock: ManualClock) -> None:
    """
    With a date, and then sooner.
    """
    task = await tell.task("Ship it", due=in_days(clock, 7))
    await tell.change(task, due=in_days(clock, 1), priority="high")


async def assigned_from_the_start(tell: StoryDriver, clock: ManualClock) -> None:
    """
    To an agent, and then to nobody.
    """
    await tell.agent("ada")
    task = await tell.task("Ship it", assignee="ada")
    await tell.change(task, assignee=None)


async def handed_over(tell: StoryDriver, clock: ManualClock) -> None:
    """
    From one agent to another.
    """
    await tell.agent("ada")
    await tell.agent("bob")
    task = await tell.task("Ship it")
    await tell.change(task, assignee="ada")
    clock.advance(seconds=5)
    await tell.change(task, assignee="bob")


async def waiting_for_another(tell: StoryDriver, clock: ManualClock) -> None:
    """
    What depends on open work is not handed out before that is done.
    """
    first = await tell.task("First")
    second = await tell.task("Second", depends_on=[first])
    assert await tell.take("ada", second) is None
    assert tell.refused
    held = await tell.take("ada")
    assert held is not None
    await tell.hand_in(held, resolution="There")
    assert await tell.take("bob", second) is not None


async def waiting_no_more(tell: StoryDriver, clock: ManualClock) -> None:
    """
    A dependency is taken away again.
    """
    first = await tell.task("First")
    second = await tell.task("Second", depends_on=[first])
    await tell.change(second, depends_on=[])
    assert await tell.take("ada", second) is not None


async def waiting_in_a_circle(tell: StoryDriver, clock: ManualClock) -> None:
    """
    Which is refused.
    """
    first = await tell.task("First")
    second = await tell.task("Second", depends_on=[first])
    await tell.change(first, depends_on=[second])
    assert tell.refused


async def the_most_urgent_first(tell: StoryDriver, clock: ManualClock) -> None:
    """
    By priority, then by due date, then by age.
    """
    for title, fields in {
        "Low": {"priority": "low"}, "Old": {}, "Young": {}, "Due": {"due": in_days(clock, 1)},
        "High": {"priority": "high"},
    }.items():  # fmt: skip
        await tell.task(title, **fields)
    for _ in range(3):
        held = await tell.take("ada")
        assert held is not None
        await tell.hand_in(held)
        clock.advance(seconds=1)


async def taken_and_handed_in(tell: StoryDriver, clock: ManualClock) -> None:
    """
    With signs of life in between, and twice.
    """
    task = await tell.task("Ship it")
    held = await tell.take("ada", task)
    assert held is not None
    clock.advance(seconds=100)
    await tell.beat(held, progress={"percent": 50})
    clock.advance(seconds=250)
    for _ in range(2):
        await tell.hand_in(held, resolution="Shipped", output={"url": "https://example.org"})
        assert not tell.refused


async def handed_in_at_a_gate(tell: StoryDriver, clock: ManualClock) -> None:
    """
    Where somebody must look first.
    """
    board = await tell.board("Gated", description="Somebody looks first")
    task = await tell.task("Ship it", on=board)
    held = await tell.take("ada", task)
    assert held is not None
    held = type(held)(task, held.lease)
    await tell.hand_in(held, resolution="Shipped")


async def marked_done_at_a_gate(tell: StoryDriver, clock: ManualClock) -> None:
    """
    Without an approval it stays where it is.
    """
    board = await tell.board("Gated", description="Somebody looks first")
    task = await tell.task("Ship it", on=board)
    await tell.change(task, status="done")
    assert tell.refused


async def failed_for_now(tell: StoryDriver, clock: ManualClock) -> None:
    """
    It rests, and is taken again.
    """
    task = await tell.task("Ship it")
    held = await tell.take("ada", task)
    assert held is not None
    await tell.fail(held, reason="transient", message="No network")
    assert await tell.take("bob") is None
    clock.advance(hours=2)
    assert await tell.take("bob") is not None


async def failed_for_good(tell: StoryDriver, clock: ManualClock) -> None:
    """
    What is impossible is not tried again.
    """
    held = await tell.take("ada", await tell.task("Square the circle"))
    assert held is not None
    await tell.fail(held, reason="impossible", message="Proven")


async def given_back(tell: StoryDriver, clock: ManualClock) -> None:
    """
    With a note for whoever comes next.
    """
    held = await tell.take("ada", await tell.task("Ship it"))
    assert held is not None
    await tell.give_back(held, note="Half of it is done")
    again = await tell.take("bob")
    assert again is not None
    await tell.hand_in(again)


async def lost_by_silence(tell: StoryDriver, clock: ManualClock) -> None:
    """
    Who comes too late is refused, and the work is somebody else's.
    """
    held = await tell.take("ada", await tell.task("Ship it"))
    assert held is not None
    clock.advance(seconds=301)
    assert await tell.take("bob") is None  # it ran out just now, and rests
    clock.advance(hours=3)
    again = await tell.take("bob")
    assert again is not None
    await tell.hand_in(held, resolution="Mine")
    assert tell.refused
    await tell.hand_in(again, resolution="Ours")


async def ordered_about(tell: StoryDriver, clock: ManualClock) -> None:
    """
    Paused, resumed, steered and cancelled.
    """
    task = await tell.task("Ship it")
    held = await tell.take("ada", task)
    assert held is not None
    for kind, fields in (("pause", {}), ("resume", {}), ("steer", {"message": "Left"}), ("cancel", {})):
        await tell.order(task, kind, **fields)
        beat = await tell.beat(held)
        await tell.beat(held, acknowledges=beat["order"]["id"])
    await tell.give_back(held)


async def stolen(tell: StoryDriver, clock: ManualClock) -> None:
    """
    By an operator, whose word counts at once.
    """
    task = await tell.task("Ship it")
    held = await tell.take("ada", task)
    assert held is not None
    await tell.order(task, "steal")
    await tell.hand_in(held)
    assert tell.refused


async def waiting_for_a_person(tell: StoryDriver, clock: ManualClock) -> None:
    """
    For as long as it takes.
    """
    held = await tell.take("ada", await tell.task("Ship it"))
    assert held is not None
    await tell.beat(held, waiting_for="the key to the harbour", wait_seconds=86_400)
    clock.advance(hours=5)
    await tell.beat(held)
    await tell.hand_in(held)


async def worked_on_without_a_lease(tell: StoryDriver, clock: ManualClock) -> None:
    """
    As clients did before there were leases: the agent writes where it stands.
    """
    await tell.agent("ada")
    task = await tell.task("Ship it", assignee="ada")
    clock.advance(seconds=5)
    await tell.write_as("ada", task, status="in_progress")
    assert not tell.refused
    clock.advance(seconds=60)
    await tell.write_as("ada", task, status="done")
    assert not tell.refused


async def talked_about(tell: StoryDriver, clock: ManualClock) -> None:
    """
    By several, one after the other.
    """
    task = await tell.task("Ship it")
    await tell.say(task, "Shall we?")
    clock.advance(seconds=1)
    await tell.say(task, "We shall.")
    assert not tell.refused


async def removed(tell: StoryDriver, clock: ManualClock) -> None:
    """
    With all that was said about it.
    """
    task = await tell.task("Ship it")
    await tell.task("Stay")
    await tell.say(task, "Why?")
    await tell.remove(task)


async def written_too_late(tell: StoryDriver, clock: ManualClock) -> None:
    """
    A change that expects another version changes nothing.
    """
    task = await tell.task("Ship it")
    await tell.change(task, version=0, priority="high")
    await tell.change(task, version=0, priority="low")
    assert tell.refused


async def sent_twice(tell: StoryDriver, clock: ManualClock) -> None:
    """
    Under one key it is made once.
    """
    first = await tell.task("Ship it", key="one")
    assert first == await tell.task("Ship it", key="one")


async def on_a_board_of_its_own(tell: StoryDriver, clock: ManualClock) -> None:
    """
    A board is made, described and worked on.
    """
    board = await tell.board("Harbour", description="Ships")
    await tell.change_board(board, description="Ships and boats", name="The harbour")
    await tell.task("Ship it", on=board)


Story = Callable[[StoryDriver, ManualClock], Awaitable[None]]
STORIES: tuple[Story, ...] = (
    made_edited_and_finished, due_and_urgent, assigned_from_the_start, handed_over, waiting_for_another,
    waiting_no_more, waiting_in_a_circle, the_most_urgent_first, taken_and_handed_in, handed_in_at_a_gate,
    marked_done_at_a_gate, failed_for_now, failed_for_good, given_back, lost_by_silence, ordered_about, stolen,
    waiting_for_a_person, worked_on_without_a_lease, talked_about, removed, written_too_late, sent_twice,
    on_a_board_of_its_own,
)  # fmt: skip


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_a_story_leaves_the_same_behind_in_either_dialect(tellings: Any, story: Story) -> None:
    """
    The same tasks, with the same runs, comments and moments, on the same boards, and the same facts in the log.
    """
    in_fleet, in_boards = await tellings(story)

    assert in_fleet == in_boards
