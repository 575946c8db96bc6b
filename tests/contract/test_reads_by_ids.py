"""
Reads of several rows by their ids, on every store: those that the principal may see, and no others.
"""

from uuid import UUID

from mission_core.accounts.model import AgentPrincipal
from mission_core.approvals.model import ApprovalStatus
from mission_core.approvals.use_cases import RequestApproval, request_approval
from mission_core.projections import WHOLE_ROWS
from mission_core.tasks.comment_creation import AddComment, add_comment
from mission_core.tasks.comments import COMMENTS
from tests.contract.conftest import World


async def test_rows_are_found_by_their_ids_as_far_as_they_may_be_seen(world: World, elsewhere: World) -> None:
    """
    Unknown ids, those of another organization, and those on boards without a grant are left out.
    """
    other = await world.another_board()
    tasks = [await world.task(), await world.task(board=other.id), await elsewhere.task()]
    agents = [
        await world.agent("ada", board=world.board.id), await world.agent("bob", board=other.id),
        await elsewhere.agent("cy"),
    ]  # fmt: skip
    comments = [
        await add_comment(place.ports, place.me, AddComment(task=task.id, content="Hm"))
        for place, task in zip((world, world, elsewhere), tasks, strict=True)
    ]
    limited = AgentPrincipal(organization=world.me.organization, agent=agents[0].id, name="ada", board=world.board.id)
    unknown, reads = world.ports.ids.new(), world.ports.reads

    async def found(principal: object) -> list[set[UUID]]:
        ids = [[*(each.id for each in rows), unknown] for rows in (tasks, agents, comments)]
        return [
            {UUID(bytes=row.id) for row in await reads.tasks.several(principal, ids[0], WHOLE_ROWS)},
            {UUID(bytes=row.id) for row in await reads.agents.several(principal, ids[1])},
            {each.id for each in await reads.entities.several(principal, COMMENTS, ids[2])},
        ]

    assert [{each.id for each in rows[:2]} for rows in (tasks, agents, comments)] == await found(world.me)
    assert [{rows[0].id} for rows in (tasks, agents, comments)] == await found(limited)


async def test_approvals_are_counted_for_each_task(world: World) -> None:
    """
    All of them and the pending ones; tasks without approvals are left out.
    """
    first, second, none = [await world.task() for _ in range(3)]
    for tasks, status in (
        ((first.id,), ApprovalStatus.APPROVED), ((first.id, second.id), ApprovalStatus.PENDING),
    ):  # fmt: skip
        asked = RequestApproval(board=world.board.id, action="deploy", confidence=1, tasks=tasks, status=status)
        await request_approval(world.ports, world.me, asked)
    ids = [first.id, second.id, none.id]

    assert {first.id: (2, 1), second.id: (1, 1)} == await world.ports.reads.approvals.counts_of_tasks(world.me, ids)
