"""
Removing a board with all that hangs on it, on every store.
"""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from mission_adapters.testing.kind_rows import a_comment
from mission_core.accounts.model import Principal, Role
from mission_core.agents.model import Agent, AgentNotFound
from mission_core.agents.use_cases import CreateAgent, create_agent, secret_digest
from mission_core.boards.assignments import BOARD_ASSIGNMENTS, AssignAgent, assign_agent
from mission_core.boards.custom_field_use_cases import CreateField, DeleteField, create_field, delete_field
from mission_core.boards.custom_fields import CUSTOM_FIELDS, FieldInUse
from mission_core.boards.model import (
    GENERAL_HANDLE,
    Board,
    BoardDenied,
    BoardNotFound,
    GateSet,
    GeneralBoardNotDeletable,
)
from mission_core.boards.queries import BoardFilter
from mission_core.errors import Refusal, RoleTooLow, StaleWrite, VersionMismatch
from mission_core.events.model import ChainHead
from mission_core.events.use_cases import verify_log
from mission_core.reports.queries import HourRange, MinuteRange, ReportScope
from mission_core.tasks.board_deletion import BoardDeletionCascade, DeleteBoard, delete_board
from mission_core.tasks.comments import COMMENTS
from mission_core.tasks.explanations import TaskState, explain_task
from mission_core.tasks.heartbeats import Heartbeat, heartbeat
from mission_core.tasks.leases import ClaimNext, ClaimTask, CompleteTask, claim_next, claim_task, complete_task
from mission_core.tasks.model import Status, Task, TaskNotFound
from mission_core.tasks.queries import TaskFilter
from mission_core.tasks.runs import LeaseLost, RunNotFound
from mission_core.tasks.use_cases import CreateTask, UpdateTask, create_task, update_task
from mission_core.values import PageRequest
from tests.contract.conftest import World, viewer

HOUR = timedelta(hours=1)


async def removed(world: World, board: Board, **how: Any) -> Board:
    """
    The board that was removed.
    """
    return await delete_board(world.ports, world.me, DeleteBoard(board=board.id, **how))


async def total(world: World, **wanted: Any) -> int:
    """
    How many tasks are counted.
    """
    return (await world.ports.reads.tasks.page(world.me, TaskFilter(**wanted), PageRequest(limit=0))).total


async def general(world: World) -> Board:
    """
    The general board.
    """
    async with world.ports.unit(world.me) as unit:
        found = await unit.boards.find_handle(GENERAL_HANDLE)
    assert found is not None
    return found


async def fresh(world: World, agent: Agent) -> Agent:
    """
    The agent as it is committed now.
    """
    async with world.ports.unit(world.me) as unit:
        return await unit.agents.get(agent.id)


async def last_fact(world: World) -> Any:
    """
    The payload of the log's last entry.
    """
    return (await world.ports.log.read(world.me.organization, limit=10_000))[-1].payload


async def test_a_removed_board_takes_all_along_that_hangs_on_it(world: World) -> None:
    """
    Its tasks with their comments and counts, its agents with their keys, its rows; and nothing of another board.
    """
    board = await world.another_board()
    made = await create_agent(world.ports, world.me, CreateAgent(name="ada", board=board.id, lead=True))
    comment = await a_comment(world, task=(await world.task(board=board.id, assignee="bob")).id)
    await world.task(board=board.id, status=Status.DONE, priority="high")
    await assign_agent(world.ports, world.me, AssignAgent(board=board.id, agent_name="eve"))
    stays, worker = await world.task("stays", assignee="bob"), await world.agent("bob", board=world.board.id)
    kept = await a_comment(world, task=stays.id)
    await removed(world, board)

    with pytest.raises(BoardNotFound):
        await world.ports.reads.boards.get(world.me, board.id)
    with pytest.raises(TaskNotFound):
        await world.ports.reads.tasks.get(world.me, comment.task)
    with pytest.raises(AgentNotFound):
        await fresh(world, made.agent)
    assert made.token is not None
    assert await world.ports.credentials.principal_of(secret_digest(made.token), at=world.clock.now()) is None
    assert [kept] == await world.ports.reads.entities.every(world.me, COMMENTS)
    assert [] == await world.ports.reads.entities.every(world.me, BOARD_ASSIGNMENTS)
    assert (1, 1, 0) == (await total(world), await total(world, assignee="bob"), await total(world, priority="high"))
    assert {("bob", "assigned"): 1} == await world.ports.reads.tasks.count_by_status(world.me, ("bob",))
    assert worker == await fresh(world, worker)
    claimed = await world.claim(agent="bob")
    assert claimed is not None
    assert stays.id == claimed.task.id


async def test_one_fact_tells_how_much_went(world: World) -> None:
    """
    However much it was, and the log stays whole.
    """
    board = await world.another_board("Old")
    for _ in range(3):
        await world.task(board=board.id)
    await world.agent("ada", board=board.id)
    before = len(await world.event_kinds())
    await removed(world, board)

    assert ["board.deleted"] == (await world.event_kinds())[before:]
    assert (
        f'{{"agents":1,"board":"{board.id}","handed_to":null,"name":"Old","number":{board.number},"tasks":3}}'
        == await last_fact(world)
    )
    assert isinstance(await verify_log(world.ports.log, world.me.organization), ChainHead)


async def test_its_leases_end(world: World) -> None:
    """
    Whoever worked there hears that the work is gone.
    """
    board = await world.another_board()
    task = await world.task(board=board.id)
    taken = await world.claim(task)
    assert taken is not None
    await removed(world, board)

    with pytest.raises((RunNotFound, TaskNotFound)):
        await heartbeat(world.ports, world.me, Heartbeat(task=task.id, lease=taken.lease))
    with pytest.raises((RunNotFound, TaskNotFound)):
        await complete_task(world.ports, world.me, CompleteTask(task=task.id, lease=taken.lease))
    with pytest.raises(TaskNotFound):
        await world.ports.reads.tasks.runs(world.me, task.id)
    with pytest.raises(RunNotFound):
        async with world.ports.unit(world.me) as unit:
            await unit.runs.get(taken.run.id)


async def test_nobody_waits_for_what_is_gone(world: World) -> None:
    """
    A task that was moved to another board forgets what it depended on, and only that.
    """
    board, third = await world.another_board("Old"), await world.another_board("Third")
    first, second, other = [await world.task(title, board=board.id) for title in ("first", "second", "other")]
    await update_task(world.ports, world.me, UpdateTask(task=other.id, board=third.id))
    third_one = await world.task("third one", board=third.id)
    waits = await world.task("waits", board=board.id, depends_on=(first.id, second.id))
    await update_task(world.ports, world.me, UpdateTask(task=waits.id, board=third.id))
    waits = await update_task(
        world.ports, world.me, UpdateTask(task=waits.id, depends_on=(first.id, third_one.id, second.id))
    )
    await removed(world, board)
    after = await world.fresh(waits)

    assert evolve(waits, depends_on=(third_one.id,), updated_at=world.clock.now(), version=waits.version + 1) == after
    assert TaskState.BLOCKED is (await explain_task(world.ports, world.me, waits.id)).state
    await update_task(world.ports, world.me, UpdateTask(task=third_one.id, status=Status.DONE))
    assert TaskState.CLAIMABLE is (await explain_task(world.ports, world.me, waits.id)).state
    assert "task.updated" in (await world.event_kinds())[-4:]
    claimed = [await world.claim() for _ in range(2)]
    assert {waits.id, other.id} == {each.task.id for each in claimed if each}


async def test_what_waited_for_one_removed_task_alone_may_be_claimed(world: World) -> None:
    """
    At once.
    """
    board = await world.another_board("Old")
    first = await world.task(board=board.id)
    waits = await world.task("waits", board=board.id, depends_on=(first.id,))
    await update_task(world.ports, world.me, UpdateTask(task=waits.id, board=world.board.id))
    assert await world.claim(agent="bob", board=world.board.id) is None
    await removed(world, board)
    claimed = await world.claim(board=world.board.id)

    assert claimed is not None
    assert waits.id == claimed.task.id


async def test_the_general_board_stays(world: World) -> None:
    """
    Work that names no board goes there.
    """
    board = await general(world)
    for hand_over in (False, True):
        with pytest.raises(GeneralBoardNotDeletable):
            await removed(world, board, hand_over=hand_over)

    assert board == await general(world)


async def test_who_may_not_remove_a_board_is_refused(world: World, elsewhere: World) -> None:
    """
    Somebody who only looks, an agent, and another organization.
    """
    board = await world.another_board()
    ada = await world.principal("ada", board=board.id)
    eve = await world.principal("eve", board=world.board.id, role=Role.ADMIN)
    refusals: list[tuple[Principal, type[Refusal]]] = [
        (viewer(world), RoleTooLow), (ada, RoleTooLow), (eve, BoardDenied), (elsewhere.me, BoardNotFound),
    ]  # fmt: skip
    for who, refusal in refusals:
        with pytest.raises(refusal):
            await delete_board(world.ports, who, DeleteBoard(board=board.id))

    assert board.name == (await world.ports.reads.boards.get(world.me, board.number)).name


async def test_only_an_admin_hands_work_over_to_a_board_with_more_gates(world: World) -> None:
    """
    Nobody asked there what was asked for at none; whoever may write hands over what met these gates.
    """
    gated, open_one = await world.another_board("gated", gates=GateSet()), await world.another_board("open")
    tasks = [await world.task(board=board.id, status=Status.DONE) for board in (gated, open_one)]
    operator = evolve(world.me, role=Role.OPERATOR)
    with pytest.raises(RoleTooLow):
        await delete_board(world.ports, operator, DeleteBoard(board=open_one.id, hand_over=True))
    await delete_board(world.ports, operator, DeleteBoard(board=gated.id, hand_over=True))
    await delete_board(world.ports, world.me, DeleteBoard(board=open_one.id, hand_over=True))

    assert {(await general(world)).id} == {(await world.fresh(task)).board for task in tasks}
    assert GateSet() == (await general(world)).gates


async def test_a_board_of_another_version_is_left_alone(world: World) -> None:
    """
    With all that hangs on it.
    """
    board = await world.another_board()
    task = await world.task(board=board.id)
    with pytest.raises(VersionMismatch):
        await removed(world, board, expects=7)

    assert task == await world.fresh(task)


async def test_a_removal_that_fails_leaves_all_as_it_was(world: World) -> None:
    """
    It is one unit.
    """
    board = await world.another_board()
    task, agent = await world.task(board=board.id, assignee="ada"), await world.agent("ada", board=board.id)
    before = await world.event_kinds()

    class Failing(BoardDeletionCascade):
        def events(self, *, tasks: int, agents: int) -> Any:
            assert (1, 1) == (tasks, agents)
            raise ZeroDivisionError

    async with world.ports.unit(world.me) as unit:
        found = await unit.boards.get(board.id)
        unit.boards.delete_with_contents(found, Failing(found, at=world.clock.now()), at=world.clock.now())
        with pytest.raises(ZeroDivisionError):
            await unit.commit()

    assert agent == await fresh(world, agent)
    assert task.id == (await world.fresh(task)).id
    assert 1 == await total(world, board=board.id)
    assert before == await world.event_kinds()
    assert await world.claim(task) is not None


async def test_unfinished_work_of_its_agents_elsewhere_is_freed(world: World) -> None:
    """
    Their leases end, and what was only assigned to them is open to everybody. It may have waited for a removed task.
    """
    board = await world.another_board("Old")
    await world.agent("Ada", board=board.id)
    leased, held, named = [await world.task(title, assignee="ada") for title in ("leased", "held", "named")]
    taken = await world.claim(leased)
    assert taken is not None
    await update_task(world.ports, world.me, UpdateTask(task=held.id, status=Status.IN_PROGRESS))
    first = await world.task("first", board=board.id, status=Status.DONE)
    both = await world.task("both", board=board.id, depends_on=(first.id,), assignee="ada")
    await update_task(world.ports, world.me, UpdateTask(task=both.id, board=world.board.id))
    assert await world.claim(both) is not None
    await removed(world, board)
    after = [await world.fresh(task) for task in (leased, held, both, named)]

    assert [(Status.INBOX, None, None, ())] * 4 == [
        (task.status, task.assignee, task.run, task.depends_on) for task in after
    ]
    with pytest.raises(LeaseLost):
        await complete_task(world.ports, world.me, CompleteTask(task=leased.id, lease=taken.lease))
    claimed = [await world.claim(agent="bob") for _ in range(4)]
    assert {task.id for task in after} == {each.task.id for each in claimed if each}


@pytest.mark.parametrize("hand_over", [False, True])
async def test_custom_fields_are_not_asked_of_a_removed_board(world: World, hand_over: bool) -> None:
    """
    But of others as before; no value of a removed task keeps a field.
    """
    board = await world.another_board("Old")
    asked = CreateField(field_key="cost", boards=(board.id, world.board.id))
    cost = await create_field(world.ports, world.me, asked)
    await world.task(board=board.id, values={"cost": "high"})
    await removed(world, board, hand_over=hand_over)
    after = await world.ports.reads.entities.get(world.me, CUSTOM_FIELDS, cost.id)

    assert (world.board.id,) == after.boards
    gone = delete_field(world.ports, world.me, DeleteField(field=cost.id))
    if hand_over:
        with pytest.raises(FieldInUse):
            await gone
    else:
        await gone


async def test_what_is_handed_over_goes_on_at_the_general_board(world: World) -> None:
    """
    Tasks with their tickets, comments, dependencies and leases, and agents, who lead no longer.
    """
    board = await world.another_board("Old")
    heir = await general(world)
    await world.task("there", board=heir.id, assignee="ada")
    lead = await world.agent("ada", board=board.id, lead=True)
    first, second = [await world.task(title, board=board.id, assignee="ada") for title in "ab"]
    waits = await world.task("waits", board=board.id, depends_on=(first.id,))
    comment = await a_comment(world, task=first.id)
    taken = await world.claim(first)
    assert taken is not None
    await assign_agent(world.ports, world.me, AssignAgent(board=board.id, agent_name="eve"))
    world.clock.advance(seconds=5)
    await removed(world, board, hand_over=True)
    now = world.clock.now()

    def moved(task: Task) -> Task:
        return evolve(task, board=heir.id, version=task.version + 1, updated_at=now, assignee=None)

    async def found(task: Task) -> Task:
        return evolve(await world.fresh(task), assignee=None)

    assert moved(taken.task) == await found(first)
    assert moved(second) == await found(second)
    assert evolve(lead, board=heir.id, lead=False, version=lead.version + 1, updated_at=now) == await fresh(world, lead)
    assert [comment] == await world.ports.reads.entities.every(world.me, COMMENTS)
    assert [] == await world.ports.reads.entities.every(world.me, BOARD_ASSIGNMENTS)
    assert (4, 4) == (await total(world), await total(world, board=heir.id))
    assert (3, 2) == (await total(world, assignee="ada"), await total(world, statuses=(Status.ASSIGNED,)))
    assert f'"agents":1,"board":"{board.id}","handed_to":"{heir.id}"' in await last_fact(world)
    with pytest.raises(BoardNotFound):
        await world.ports.reads.boards.get(world.me, board.id)
    assert TaskState.BLOCKED is (await explain_task(world.ports, world.me, waits.id)).state
    await complete_task(world.ports, world.me, CompleteTask(task=first.id, lease=taken.lease))
    assert await world.claim(second) is not None


async def test_the_queue_of_the_heir_hands_out_what_it_got(world: World) -> None:
    """
    And that of the board is empty.
    """
    board = await world.another_board("Old")
    heir = await general(world)
    task = await world.task(board=board.id)
    await removed(world, board, hand_over=True)

    with pytest.raises(BoardNotFound):
        await world.claim(board=board.id)
    claimed = await world.claim(board=heir.id)
    assert claimed is not None
    assert task.id == claimed.task.id


@pytest.mark.parametrize("hand_over", [False, True])
async def test_what_was_counted_on_a_board_goes_where_its_work_goes(world: World, hand_over: bool) -> None:
    """
    It is the heir's, or is counted no longer.
    """
    board, heir = await world.another_board("Old"), await general(world)
    await world.task("there", board=heir.id, status=Status.DONE)
    await world.task(board=board.id, status=Status.DONE)
    await world.task(board=board.id)
    on_board = await counts(world, ReportScope(board=board.id))
    on_heir = await counts(world, ReportScope(board=heir.id))
    await removed(world, board, hand_over=hand_over)
    expected = Counter(on_heir)
    if hand_over:
        expected += on_board

    assert {"done": 1, "inbox": 1, "task.created": 2} == {what: on_board["hours", what] for what in STOOD}
    assert expected == await counts(world, ReportScope(board=heir.id))
    assert not await counts(world, ReportScope(board=board.id))


STOOD = ("done", "inbox", "task.created")


async def counts(world: World, scope: ReportScope) -> Counter[tuple[str, str]]:
    """
    What was counted in a scope, in the last hours and the last minutes.
    """
    now = world.clock.now()
    hours, minutes = HourRange(now - HOUR, now), MinuteRange(now - HOUR / 2, now)
    found = await world.ports.reads.reports.counts(world.me, scope, hours, minutes)
    counted: Counter[tuple[str, str]] = Counter()
    for each in found.bucket_counts:
        counted["hours", each.what] += each.amount
    for one in found.minute_counts:
        counted["minutes", one.what] += one.amount
    return +counted


async def test_removed_twice_at_once_it_is_removed_once(world: World) -> None:
    """
    The second finds nothing.
    """
    board = await world.another_board()
    await world.task(board=board.id)
    answers = await asyncio.gather(*(removed(world, board) for _ in range(2)), return_exceptions=True)

    assert 1 == sum(isinstance(answer, BoardNotFound) for answer in answers)
    assert 1 == (await world.event_kinds()).count("board.deleted")


@pytest.mark.parametrize("hand_over", [False, True])
async def test_no_task_is_made_on_a_board_that_goes_meanwhile(world: World, hand_over: bool) -> None:
    """
    Who decided on the board as it was is refused, and finds no board when it tries again.
    """
    board = await world.another_board()
    pattern = await world.task(board=board.id)
    async with world.ports.unit(world.me) as unit:
        unit.rely_on(await unit.boards.get(board.id))
        (number,) = await world.ports.numbers.next((world.me.organization, "task"))
        unit.tasks.add(evolve(pattern, id=world.ports.ids.new(), number=number))
        await removed(world, board, hand_over=hand_over)
        with pytest.raises(StaleWrite):
            await unit.commit()

    with pytest.raises(BoardNotFound):
        await create_task(world.ports, world.me, CreateTask(title="late", board=board.id))
    assert int(hand_over) == await total(world)


@pytest.mark.parametrize("hand_over", [False, True])
async def test_work_goes_on_around_a_board_that_goes(world: World, hand_over: bool) -> None:
    """
    While tasks are made on it, claimed and moved there and away, it goes, whole, and all counts agree.
    """
    board, heir = await world.another_board("Old"), await general(world)
    tasks = [await world.task(board=board.id) for _ in range(4)]
    others = [await world.task(board=world.board.id) for _ in range(2)]

    async def tried(use_case: Any, command: Any) -> Any:
        try:
            return await use_case(world.ports, world.me, command)
        except (Refusal, asyncio.CancelledError) as refusal:
            return refusal

    answers = await asyncio.gather(
        *(tried(create_task, CreateTask(title="new", board=board.id)) for _ in range(4)),
        tried(claim_next, ClaimNext(agent="ada", board=board.id)),
        tried(claim_task, ClaimTask(task=tasks[1].id, agent="ada")),
        tried(update_task, UpdateTask(task=tasks[2].id, board=world.board.id)),
        tried(delete_board, DeleteBoard(board=board.id, hand_over=hand_over)),
        tried(update_task, UpdateTask(task=others[0].id, board=board.id)),
        tried(create_agent, CreateAgent(name="late", board=board.id)),
        *(tried(create_task, CreateTask(title="new", board=board.id)) for _ in range(4)),
    )
    found, counted = await world.ports.reads.tasks.page(world.me, TaskFilter(), PageRequest(limit=100))
    boards = {row.id for row in (await world.ports.reads.boards.page(world.me, BoardFilter(archived=True))).rows}

    assert isinstance(answers[7], Board), answers[7]
    assert boards == {world.board.id.bytes, heir.id.bytes}
    assert {row.board for row in found} <= boards
    assert len(found) == counted
    for board_id in (world.board.id, heir.id, board.id):
        assert sum(row.board == board_id.bytes for row in found) == await total(world, board=board_id)
    async with world.ports.unit(world.me) as unit:
        late = await unit.agents.find("late")
    assert late is None or late.board == (heir.id if hand_over else None)
