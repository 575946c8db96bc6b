"""
Tasks and projections for the tests of lists and answers.
"""

from attrs import evolve
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_http.boards.payloads import TaskRead
from mission_http.fleet.payloads import TaskPayload
from mission_http.platform.projections import projection_of
from mission_http.platform.shapes import Of
from tests.example_counts import max_examples

FEW = settings(max_examples=max_examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
PROJECTIONS = (
    projection_of(TaskPayload),
    projection_of(TaskPayload, comment_count=Of("comment_count")),
    projection_of(TaskRead),
)
ordinary = some.tasks(
    tag_ids=st.just(()),
    ticket=some.numbers,
    estimated_hours=some.maybe(st.integers(0, 400).map(lambda quarters: quarters / 4)),
    actual_hours=st.none(),
)


async def add(world, *tasks):
    """
    Store these tasks, on the world's board and with free numbers.
    """
    numbers = [(await world.ports.numbers.next((world.me.organization, "task")))[0] for _ in tasks]
    made = [
        evolve(
            task, id=world.ports.ids.new(), number=number, organization=world.me.organization, board=world.board.id,
            assignee=task.assignee and evolve(task.assignee, name=f"{task.assignee.name}{number}"),
        )
        for task, number in zip(tasks, numbers, strict=True)
    ]  # fmt: skip
    async with world.ports.unit(world.me) as unit:
        for task in made:
            unit.tasks.add(task)
        await unit.commit()
    return made
