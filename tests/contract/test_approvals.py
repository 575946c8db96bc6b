"""
Approvals: asking for them and deciding about them, on every store.
"""

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from attrs import define, evolve

from mission_adapters.sql.approval_reads import SqlApprovalReads
from mission_adapters.sql.database_session import BoundStatement, DatabaseSession, Steps
from mission_core.accounts.model import MemberPrincipal
from mission_core.agents.model import AgentNotFound
from mission_core.approvals.model import (
    APPROVAL_LINKS,
    APPROVALS,
    MOST_TASKS_PER_APPROVAL,
    AgentsCannotDecide,
    Approval,
    ApprovalAlreadyDecided,
    ApprovalAlreadyPending,
    ApprovalNotFound,
    ApprovalStatus,
    ApprovalTasksNotFound,
    digest_of,
)
from mission_core.approvals.queries import LinkedTask, with_tasks
from mission_core.approvals.use_cases import DecideApproval, RequestApproval, decide_approval, request_approval
from mission_core.boards.model import BoardDenied, BoardNotFound, BoardReadOnly
from mission_core.errors import InvalidField, RoleTooLow, VersionMismatch
from mission_core.ids import AgentId, ApprovalId, MemberId, TaskId, UserId, UserNumber
from mission_core.reports.queries import HourRange, PendingApprovals, ReportScope
from mission_core.tasks.agent_deletion import DeleteAgent, delete_agent
from mission_core.tasks.board_deletion import DeleteBoard, delete_board
from mission_core.tasks.model import Status
from mission_core.tasks.snapshots import ApprovalCounts, BoardView, TaskSurroundings
from mission_core.tasks.use_cases import DeleteTask, UpdateTask, delete_task, update_task
from mission_core.values import PageRequest, canonical
from tests.contract.conftest import World, viewer

PENDING, APPROVED, REJECTED = ApprovalStatus.PENDING, ApprovalStatus.APPROVED, ApprovalStatus.REJECTED


async def asked(world: World, *tasks: Any, by: Any = None, **fields: Any) -> Approval:
    """
    A new approval for these tasks.
    """
    ids = tuple(each.id for each in tasks)
    plain = {"board": world.board.id, "action": "task.finish", "confidence": 80, "tasks": ids}
    return await request_approval(world.ports, by or world.me, RequestApproval(**(plain | fields)))


async def said(world: World, approval: Approval, status: ApprovalStatus, *, by: Any = None, **fields: Any) -> Approval:
    """
    The approval after somebody said so.
    """
    command = DecideApproval(approval=approval.id, status=status, **fields)
    return await decide_approval(world.ports, by or world.me, command)


async def kept(world: World, approval: Approval) -> tuple[Approval, tuple[LinkedTask, ...]]:
    """
    The approval as it is committed now, with its tasks.
    """
    entity = await world.ports.reads.entities.get(world.me, APPROVALS, approval.id)
    (row,) = await with_tasks(world.ports, world.me, entity)
    return entity, row.tasks


async def left(world: World) -> tuple[int, int]:
    """
    How many approvals there are, and how many links of them.
    """
    reads = world.ports.reads.entities
    return len(await reads.every(world.me, APPROVALS)), len(await reads.every(world.me, APPROVAL_LINKS))


async def test_a_request_names_what_is_to_be_done(world: World) -> None:
    """
    The action, its arguments and tasks in their order with their fences; the digest is of all that.
    """
    claimed = await world.claim(await world.task("first"))
    assert claimed is not None
    first, second = claimed.task, await world.task("second")
    arguments = json.dumps({"reason": "ready"})
    approval = await asked(world, second, first, second, arguments=arguments, scores='{"tests":90}')
    links = sorted(await world.ports.reads.entities.every(world.me, APPROVAL_LINKS), key=lambda link: link.place)

    linked = LinkedTask(second.id.bytes, "second", False), LinkedTask(first.id.bytes, "first", False)
    assert (approval, linked) == await kept(world, approval)
    assert [(second.id, 0), (first.id, 1)] == [(link.task, link.fence) for link in links]
    assert digest_of("task.finish", arguments, [(second.id, 0), (first.id, 1)]) == approval.digest
    assert (PENDING, None, None, "System", "system") == (
        approval.status, approval.decider, approval.resolved_at, approval.asker, approval.asker_kind
    )  # fmt: skip
    assert "approval.requested" == (await world.event_kinds())[-1]


async def test_an_agent_asks_for_itself(world: World) -> None:
    """
    Whatever it says: it cannot tell what was decided, nor ask in another's name.
    """
    other = await world.agent("eve")
    ada = await world.principal(board=world.board.id)
    approval = await asked(world, await world.task(), by=ada, status=APPROVED, agent=other.id)

    assert (PENDING, ada.agent, "ada", "agent", ada.agent) == (
        approval.status, approval.agent, approval.asker, approval.asker_kind, approval.asker_id
    )  # fmt: skip


async def test_a_person_may_tell_what_was_decided_already(world: World) -> None:
    """
    That is recorded as their decision.
    """
    agent = await world.agent()
    approval = await asked(world, status=REJECTED, agent=agent.id, through="by hand")

    assert (REJECTED, agent.id, world.me.display, "by hand", approval.created_at) == (
        approval.status, approval.agent, approval.decider, approval.decided_through, approval.resolved_at
    )  # fmt: skip
    assert ["approval.requested", "approval.decided"] == (await world.event_kinds())[-2:]


async def test_what_is_not_there_is_not_asked_for(world: World, elsewhere: World) -> None:
    """
    Tasks of another board, of another organization or of none; a board or an agent that there is not.
    """
    task, nothing = await world.task(), TaskId(world.ports.ids.new())
    other = await world.task(board=(await world.another_board()).id)
    theirs = await elsewhere.task()
    with pytest.raises(ApprovalTasksNotFound) as refused:
        await asked(world, tasks=(task.id, other.id, theirs.id, nothing))
    assert (other.id, theirs.id, nothing) == refused.value.missing
    with pytest.raises(AgentNotFound):
        await asked(world, agent=AgentId(world.ports.ids.new()))
    with pytest.raises(BoardNotFound):
        await asked(world, board=elsewhere.board.id)
    with pytest.raises(InvalidField):
        await asked(world, tasks=tuple(TaskId(world.ports.ids.new()) for _ in range(MOST_TASKS_PER_APPROVAL + 1)))
    with pytest.raises(InvalidField):
        await asked(world, confidence=100.5)

    assert (0, 0) == await left(world)


async def test_of_each_task_one_approval_at_a_time_is_pending(world: World) -> None:
    """
    The refusal names the tasks with those that are; once it is decided, another one can be asked for.
    """
    tasks = [await world.task(title) for title in "abc"]
    first, second = await asked(world, tasks[1], tasks[0]), await asked(world, tasks[2])
    with pytest.raises(ApprovalAlreadyPending) as refused:
        await asked(world, tasks[2], tasks[0], tasks[1])
    await asked(world, tasks[0], status=APPROVED)
    await said(world, first, REJECTED)
    await asked(world, tasks[0], tasks[1])

    pending = {tasks[0].id: first.id, tasks[1].id: first.id, tasks[2].id: second.id}
    assert tuple(sorted(pending.items())) == refused.value.conflicts


async def test_the_same_decision_again_is_answered_as_it_stands(world: World) -> None:
    """
    Nothing is written, and nothing is told.
    """
    approval = await asked(world, await world.task())
    world.clock.advance(seconds=5)
    decided = await said(world, approval, APPROVED, reason="fine")
    facts = await world.event_kinds()
    world.clock.advance(seconds=5)

    assert decided == await said(world, approval, APPROVED, reason="still fine") == (await kept(world, approval))[0]
    assert facts == await world.event_kinds()
    assert ("fine", world.me.display) == (decided.reason, decided.decider)
    assert decided == await decide_approval(world.ports, world.me, DecideApproval(approval=approval.id))


async def test_another_decision_is_a_conflict_until_the_first_is_taken_back(world: World) -> None:
    """
    Then it can be made; the old one is told of until it is.
    """
    approval = await asked(world, await world.task())
    first = await said(world, approval, REJECTED)
    with pytest.raises(ApprovalAlreadyDecided) as refused:
        await said(world, approval, APPROVED)
    pending = await said(world, approval, PENDING)
    approved = await said(world, approval, APPROVED)

    assert (REJECTED, first.resolved_at) == (refused.value.status, refused.value.at)
    assert (PENDING, first.resolved_at) == (pending.status, pending.resolved_at)
    assert (APPROVED, 3) == (approved.status, approved.version)
    assert ["approval.decided", "approval.reopened", "approval.decided"] == (await world.event_kinds())[-3:]


async def test_a_decision_is_not_taken_back_beside_another_request(world: World) -> None:
    """
    Or two would be pending.
    """
    task = await world.task()
    first = await asked(world, task)
    await said(world, first, REJECTED)
    second = await asked(world, task)
    with pytest.raises(ApprovalAlreadyPending) as refused:
        await said(world, first, PENDING)

    assert ((task.id, second.id),) == refused.value.conflicts
    assert REJECTED is (await kept(world, first))[0].status


async def test_agents_do_not_decide(world: World) -> None:
    """
    Not even a lead, or an agent with an admin's key.
    """
    approval = await asked(world, await world.task())
    lead = await world.principal(board=world.board.id, lead=True)
    for agent in (lead, evolve(lead, board=None, role=world.me.role)):
        for status in ApprovalStatus:
            with pytest.raises(AgentsCannotDecide):
                await said(world, approval, status, by=agent)

    assert PENDING is (await kept(world, approval))[0].status


async def test_who_may_not_write_on_the_board_asks_and_decides_nothing(world: World) -> None:
    """
    A viewer, an agent of another board, and a person who only sees the board.
    """
    approval = await asked(world, await world.task())
    far = await world.principal("far", board=(await world.another_board()).id)
    reader = MemberPrincipal(
        organization=world.me.organization, user=UserId(world.ports.ids.new()), number=UserNumber(1),
        member=MemberId(world.ports.ids.new()), name="jo", display="Jo", role=world.me.role, writes=frozenset(),
    )  # fmt: skip
    for who, refusal in ((viewer(world), RoleTooLow), (far, BoardDenied), (reader, BoardReadOnly)):
        with pytest.raises(refusal):
            await asked(world, by=who)
    for who, refusal in ((viewer(world), RoleTooLow), (reader, BoardReadOnly)):
        with pytest.raises(refusal):
            await said(world, approval, APPROVED, by=who)

    assert (1, 1) == await left(world)


async def test_an_approval_is_decided_on_its_board_and_at_its_version(world: World, elsewhere: World) -> None:
    """
    And by nobody of another organization.
    """
    approval = await asked(world, await world.task())
    other = await world.another_board()
    for by, on in ((world.me, other.id), (elsewhere.me, None)):
        with pytest.raises(ApprovalNotFound):
            await said(world, approval, APPROVED, by=by, on=on)
    with pytest.raises(ApprovalNotFound):
        await said(world, evolve(approval, id=ApprovalId(world.ports.ids.new())), APPROVED)
    with pytest.raises(VersionMismatch):
        await said(world, approval, APPROVED, expects=7)

    assert APPROVED is (await said(world, approval, APPROVED, on=world.board.id, expects=0)).status


async def test_pages_show_the_newest_first_with_their_tasks(world: World) -> None:
    """
    Of the board, all or those of one status; what left the board has no title.
    """
    tasks = [await world.task(title) for title in "abc"]
    approvals = [await asked(world, *some) for some in (tasks[:1], tasks[1:], [])]
    await asked(world, board=(await world.another_board("far")).id)
    await said(world, approvals[0], APPROVED)
    await update_task(world.ports, world.me, UpdateTask(task=tasks[2].id, board=(await world.another_board()).id))

    async def page(**wanted: Any) -> Any:
        wanted = {"page": PageRequest(limit=2), **wanted}
        found = await world.ports.reads.approvals.page(world.me, world.board.id, **wanted)
        return [(each.id, [task.title for task in each.tasks]) for each in found.rows], found.total

    old, middle, new = (each.id.bytes for each in approvals)
    assert ([(new, []), (middle, ["b", None])], 3) == await page()
    assert ([(new, []), (middle, ["b", None])], 2) == await page(status=PENDING)
    assert ([(old, ["a"])], 1) == await page(status=APPROVED)
    assert ([], 0) == await page(status=REJECTED)
    assert ([(old, ["a"])], 3) == await page(page=PageRequest(offset=2))
    assert ([(old, ["a"])], 3) == await page(page=PageRequest(after=approvals[1].number))
    assert ([], 3) == await page(page=PageRequest(offset=3))
    assert ([], 2) == await page(page=PageRequest(after=approvals[1].number), status=PENDING)


@define
class SlowSession:
    """
    A session whose reads are interrupted after each statement, as another process may interrupt those of PostgreSQL.
    """

    session: DatabaseSession
    interrupt: Callable[[], Awaitable[object]]

    @property
    def dialect(self) -> str:
        return self.session.dialect

    async def read(self, steps: Callable[[], Steps[Any]]) -> Any:
        asking = steps()
        ask = next(asking)
        while True:
            answer = await self.session.read(partial(the_answer_to, ask))
            await self.interrupt()
            try:
                ask = asking.send(answer)
            except StopIteration as done:
                return done.value


def the_answer_to(ask: BoundStatement) -> Steps[Any]:
    return (yield ask)


@pytest.mark.parametrize("store_url", ["postgres"], indirect=True, scope="session")
async def test_a_page_is_whole_although_another_approval_is_asked_meanwhile(world: World) -> None:
    task = await world.task("first")
    await asked(world, task, status=APPROVED)
    session: Any = SlowSession(world.ports.unit(world.me).store.session, lambda: asked(world))
    [found] = (await SqlApprovalReads(session).page(world.me, world.board.id, PageRequest(limit=1))).rows

    assert ["first"] == [each.title for each in found.tasks]


async def test_a_page_shows_approvals_as_they_are_kept(world: World) -> None:
    """
    To those who may see the board.
    """
    await world.agent("ada")
    plain = await asked(world, await world.task("first"), await world.task("second"), arguments=canonical({"a": 1.5}))
    await said(world, plain, APPROVED, reason="fine")
    await asked(world)
    entities = (await world.ports.reads.entities.page(world.me, APPROVALS, PageRequest(), newest=True)).rows
    found = await world.ports.reads.approvals.page(world.me, world.board.id, PageRequest())
    far = await world.another_board()

    assert found.rows == await with_tasks(world.ports, world.me, *entities)
    assert ([], 0) == await world.ports.reads.approvals.page(
        await world.principal("bob", board=far.id), world.board.id, PageRequest()
    )


async def test_a_removed_task_takes_along_what_was_asked_for_it_alone(world: World) -> None:
    """
    What was asked for others too stays with those.
    """
    one, two = [await world.task(title) for title in ("one", "two")]
    alone, both = await asked(world, one), await asked(world, one, two, status=APPROVED)
    without = await asked(world)
    await delete_task(world.ports, world.me, DeleteTask(task=one.id))

    assert (2, 1) == await left(world)
    assert (LinkedTask(two.id.bytes, "two", False),) == (await kept(world, both))[1]
    assert () == (await kept(world, without))[1]
    with pytest.raises(ApprovalNotFound):
        await kept(world, alone)
    await delete_task(world.ports, world.me, DeleteTask(task=two.id))
    assert (1, 0) == await left(world)


async def test_a_task_that_has_moved_takes_along_what_was_asked_for_it_before(world: World) -> None:
    """
    Whoever removes it need not see the board that it came from.
    """
    board, task = await world.another_board(), await world.task()
    await asked(world, task)
    await update_task(world.ports, world.me, UpdateTask(task=task.id, board=board.id))
    lead = await world.principal(board=board.id, lead=True)
    await delete_task(world.ports, lead, DeleteTask(task=task.id))

    assert (0, 0) == await left(world)


@pytest.mark.parametrize("hand_over", [False, True])
async def test_a_removed_board_takes_its_approvals_along(world: World, hand_over: bool) -> None:
    """
    Also where its tasks are handed over: they are the board's own word.
    """
    board = await world.another_board()
    await asked(world, await world.task(board=board.id), board=board.id)
    stays = await asked(world, await world.task())
    await delete_board(world.ports, world.me, DeleteBoard(board=board.id, hand_over=hand_over))

    assert (1, 1) == await left(world)
    assert stays == (await kept(world, stays))[0]


async def test_an_approval_forgets_an_agent_that_goes(world: World) -> None:
    """
    But not that it asked.
    """
    ada = await world.principal(board=world.board.id)
    approval = await asked(world, await world.task(), by=ada)
    await delete_agent(world.ports, world.me, DeleteAgent(agent=ada.agent))
    left_over, _ = await kept(world, approval)

    assert (None, "ada", ada.agent) == (left_over.agent, left_over.asker, left_over.asker_id)
    assert APPROVED is (await said(world, approval, APPROVED)).status
    with pytest.raises(AgentNotFound):
        await asked(world, by=ada)


async def view(world: World, known: dict[bytes, Any]) -> BoardView:
    """
    The view of the board, when this much of it is known.
    """
    return await world.ports.reads.snapshots.board(
        world.me, world.board.id, lambda id, *seen: known.get(id) == tuple(seen)
    )


async def test_a_view_tells_for_which_tasks_something_is_asked(world: World) -> None:
    """
    What was asked on another board is not told; a task for which more is asked, or less is pending, looks otherwise.
    """
    board = await world.another_board()
    task, plain = await world.task("asked"), await world.task("plain")
    await update_task(world.ports, world.me, UpdateTask(task=task.id, board=board.id))
    await asked(world, task, board=board.id)
    await update_task(world.ports, world.me, UpdateTask(task=task.id, board=world.board.id))
    known: dict[bytes, Any] = {}

    async def changed() -> tuple[list[str], ApprovalCounts | None]:
        now = await view(world, known)
        known.update(
            (id, (row.version, TaskSurroundings.of(row, now.approvals.get(id, ApprovalCounts()))))
            for id, row in now.rows.items()
        )
        return [row.title for row in now.rows.values()], now.approvals.get(task.id.bytes)

    assert ({"asked", "plain"}, None) == (set((first := await changed())[0]), first[1])
    approval = await asked(world, task)
    assert (["asked"], ApprovalCounts(1, 1)) == await changed()
    await said(world, approval, REJECTED)
    assert (["asked"], ApprovalCounts(1, 0)) == await changed()
    assert ([], ApprovalCounts(1, 0)) == await changed()
    assert {task.id.bytes} == (await view(world, {})).approvals.keys()
    assert plain.id.bytes in known


async def test_a_report_tells_what_waits_for_a_decision(world: World, elsewhere: World) -> None:
    """
    The newest of a scope, with the board and the first task, and how many there are.
    """
    await asked(elsewhere, await elsewhere.task())
    board = await world.another_board("far")
    far = await asked(world, await world.task("there", board=board.id), board=board.id, action="far.away")
    decided = await asked(world, await world.task("decided"))
    await said(world, decided, APPROVED)
    both = await asked(world, await world.task("first"), await world.task("second"), confidence=12.5)
    none = await asked(world)

    async def waiting(scope: ReportScope, *, limit: int = 10, by: Any = None) -> PendingApprovals:
        hours = HourRange(world.clock.now(), world.clock.now())
        return (await world.ports.reads.reports.board_metrics(by or world.me, scope, hours, limit=limit)).pending

    async def told(scope: ReportScope, **told: Any) -> Any:
        found = await waiting(scope, **told)
        return [(row.id, row.board_name, row.task_title) for row in found.rows], found.total

    there, here = (far.id.bytes, "far", "there"), (both.id.bytes, "Work", "first")
    bare = (none.id.bytes, "Work", None)
    assert ([bare, here, there], 3) == await told(ReportScope())
    assert ([bare], 3) == await told(ReportScope(), limit=1)
    assert ([there], 1) == await told(ReportScope(board=board.id))
    assert ([], 0) == await told(ReportScope(group=world.ports.ids.new()))
    assert ([there], 1) == await told(ReportScope(), by=await world.principal(board=board.id))
    second = (await waiting(ReportScope(), limit=2)).rows[1]
    assert (12.5, "task.finish") == (second.confidence, second.action)


async def test_a_task_that_waits_for_a_decision_can_be_written_to(world: World) -> None:
    """
    It is another version by then, so nobody writes without having seen that.
    """
    task = await world.task()
    await asked(world, task)
    fresh = await world.fresh(task)
    moved = await update_task(world.ports, world.me, UpdateTask(task=task.id, status=Status.REVIEW))

    assert task.version + 1 == fresh.version
    assert Status.REVIEW is moved.status
