"""
The memory store by itself: embedding it, and that its indexes always say what its rows say.
"""

import asyncio
import gc
import weakref
from datetime import timedelta
from uuid import UUID

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.memory import MemoryStore, memory_ports
from mission_adapters.memory.agents import AgentTable
from mission_adapters.memory.tables import GroupIndex, SortedIndex, Table, UndoLog, UniqueConstraint
from mission_adapters.memory.tasks import TaskTable
from mission_adapters.testing import CountingIds, ManualClock, seeded_secrets
from mission_adapters.testing import strategies as some
from mission_core.accounts.model import SystemPrincipal
from mission_core.agents.organization_creation import ensure_organization
from mission_core.errors import Conflict
from mission_core.ports import Ports
from mission_core.tasks.leases import ClaimNext, CompleteTask, claim_next, complete_task
from mission_core.tasks.model import Status, Task
from mission_core.tasks.runs import Assignee
from mission_core.tasks.use_cases import CreateTask, UpdateTask, create_task, update_task


async def test_embedding_takes_a_few_lines():
    """
    As the README tells it.
    """
    ports = memory_ports()
    me = SystemPrincipal(organization=(await ensure_organization(ports)).id)
    await create_task(ports, me, CreateTask(title="Say hello"))
    claimed = await claim_next(ports, me, ClaimNext(agent="ada"))
    done = await complete_task(ports, me, CompleteTask(task=claimed.task.id, lease=claimed.lease))

    assert ("Say hello", Status.REVIEW) == (done.title, done.status)


async def test_a_unit_that_ended_needs_no_garbage_collector():
    """
    Nothing it made refers back to it.
    """
    ports = memory_ports()
    me = SystemPrincipal(organization=(await ensure_organization(ports)).id)
    task = await create_task(ports, me, CreateTask(title="Say hello"))
    gc.disable()
    try:
        async with ports.unit(me) as unit:
            await unit.gates.context_of(await unit.tasks.get(task.id), Status.DONE)
            buffer = weakref.ref(unit.buffer)
        del unit
        assert buffer() is None
    finally:
        gc.enable()


async def test_any_port_can_be_given_instead():
    """
    A clock is the store's clock too.
    """
    clock, ids, secrets = ManualClock(), CountingIds(), seeded_secrets(1)
    ports = memory_ports(clock=clock, ids=ids, secrets=secrets)
    organization = await ensure_organization(ports)

    assert (clock, ids, secrets) == (ports.clock, ports.ids, ports.secrets)
    assert clock is ports.unit.__self__.clock
    assert clock.now() == organization.created_at
    assert CountingIds().new() == organization.id


async def test_two_stores_share_nothing():
    """
    Each embedding has its own world.
    """
    one, other = memory_ports(), memory_ports()
    await ensure_organization(one, slug="one")

    assert await other.credentials.organization("one") is None
    assert isinstance(other.unit.__self__, MemoryStore)


async def rivals(ports: Ports) -> list[Task]:
    """
    The answers to forty changes of one task at once.
    """
    me = SystemPrincipal(organization=(await ensure_organization(ports)).id)
    task = await create_task(ports, me, CreateTask(title="Say hello"))
    changes = (update_task(ports, me, UpdateTask(task=task.id, title=f"title {n}")) for n in range(40))
    return await asyncio.gather(*changes, return_exceptions=True)


async def test_a_store_that_interleaves_shows_lost_races_the_same_for_the_same_seed():
    """
    Without pauses nobody ever loses; with them each loser says so, when its tries are over.
    """
    calm = await rivals(memory_ports())
    once, again, other = [
        [getattr(each, "title", None) for each in await rivals(memory_ports(interleave=seed, ids=CountingIds()))]
        for seed in (1, 1, 2)
    ]

    assert all(isinstance(each, Task) for each in calm)
    assert once == again
    assert None in once + other


async def test_a_use_case_reads_again_after_a_lost_race():
    """
    A direct call of two, on a store that interleaves, changes what both meant to, whatever the seed.
    """
    for seed in range(20):
        ports = memory_ports(interleave=seed)
        me = SystemPrincipal(organization=(await ensure_organization(ports)).id)
        task = await create_task(ports, me, CreateTask(title="Say hello"))
        await asyncio.gather(
            update_task(ports, me, UpdateTask(task=task.id, title="Say it")),
            update_task(ports, me, UpdateTask(task=task.id, description="aloud")),
        )
        async with ports.unit(me) as unit:
            kept = await unit.tasks.get(task.id)

        assert ("Say it", "aloud") == (kept.title, kept.description)


ORGANIZATION = CountingIds().new()
BOARDS = [CountingIds(10).new(), CountingIds(20).new()]
FEW_IDS = [CountingIds(100 + i).new() for i in range(5)]
START = ManualClock().now()

few_tasks = st.sampled_from(FEW_IDS).flatmap(
    lambda id: some.tasks(
        id=st.just(id),
        number=st.just(FEW_IDS.index(id) + 1),
        organization=st.just(ORGANIZATION),
        board=st.sampled_from(BOARDS),
        status=st.sampled_from([Status.INBOX, Status.ASSIGNED, Status.DONE, Status.IN_PROGRESS]),
        assignee=st.sampled_from([None, Assignee("ada"), Assignee("ADA"), Assignee("bob")]),
        depends_on=st.lists(st.sampled_from(FEW_IDS), unique=True, max_size=3).map(
            lambda ids: tuple(each for each in ids if each > id)
        ),
        not_before=st.none() | st.sampled_from([START + timedelta(hours=hours) for hours in range(4)]),
        title=st.just("t"),
        description=st.none(),
        metadata=st.just("{}"),
    )
)
steps = st.lists(
    st.tuples(st.just("put"), few_tasks)
    | st.tuples(st.just("drop"), st.sampled_from(FEW_IDS))
    | st.tuples(st.just("wake"), st.integers(0, 4)),
    max_size=12,
)


def emptied(table: TaskTable) -> TaskTable:
    """
    A table like this one without its rows.
    """
    fresh = TaskTable(UndoLog(), table.agents)
    fresh.woken_at = dict(table.woken_at)
    return fresh


def insides(table: TaskTable) -> list[object]:
    """
    All that the table knows.
    """
    groups = [table.dependents, table.on_board, table.of_assignee]
    lines = [table.in_order, table.queue, table.delayed]
    return [
        table.rows,
        table.by_number.ids,
        *({key: set(ids) for key, ids in group.ids.items()} for group in groups),
        *(line.partitions for line in lines),
        *(line.entries for line in lines),
    ]


def take(table: TaskTable, step: tuple[str, object]) -> None:
    kind, what = step
    if kind == "put":
        table.put(what)
    elif kind == "wake":
        table.queue_due(ORGANIZATION, at=START + timedelta(hours=what))
    elif what in table.rows:
        table.drop(what)


@given(steps)
def test_indexes_say_what_rows_say(steps):
    """
    However the rows came to be as they are.
    """
    table = TaskTable(UndoLog(), AgentTable(UndoLog()))
    for step in steps:
        take(table, step)
    fresh = emptied(table)
    for row in table.rows.values():
        fresh.put(row)

    assert insides(fresh) == insides(table)


@given(steps, steps)
def test_undoing_leaves_no_trace(before, undone):
    """
    Rows and indexes are as they were.
    """
    table = TaskTable(UndoLog(), AgentTable(UndoLog()))
    for step in before:
        take(table, step)
    table.journal.clear()
    fresh = emptied(table)
    for row in table.rows.values():
        fresh.put(row)
    for step in undone:
        if step[0] != "wake":
            take(table, step)
    table.journal.undo()

    assert insides(fresh) == insides(table)


@given(steps)
def test_the_queue_holds_what_is_idle_rested_and_unblocked(steps):
    """
    In order, once for each line it stands in, and nothing else.
    """
    table = TaskTable(UndoLog(), AgentTable(UndoLog()))
    table.queue_due(ORGANIZATION, at=START)
    for step in steps:
        take(table, step)
    ready = {
        task.id
        for task in table.rows.values()
        if task.status in (Status.INBOX, Status.ASSIGNED)
        and (task.not_before is None or task.not_before <= table.woken_at[ORGANIZATION])
        and all(table.rows[each].status is Status.DONE for each in task.depends_on if each in table.rows)
    }
    over_all = [place for line, places in table.queue.partitions.items() if line[1] is None for place in places]

    assert sorted(ready) == sorted(place[-1] for place in over_all)
    assert all(places == sorted(places) for places in table.queue.partitions.values())


@given(some.tasks())
def test_a_second_row_with_a_unique_key_is_refused_and_changes_nothing(task):
    """
    The same row may be put again.
    """
    table = Table("task", UndoLog(), (unique := UniqueConstraint(lambda row: row.title, Conflict),))
    table.indexes = (GroupIndex(lambda row: (row.board,)), SortedIndex(lambda row: [("all", (row.number, row.id))]))
    table.put(task)
    table.put(evolve(task, version=1))
    with pytest.raises(Conflict):
        table.put(evolve(task, id=UUID(int=task.id.int ^ 1)))

    assert {task.title: task.id} == unique.ids
    assert [evolve(task, version=1)] == list(table.rows.values())
