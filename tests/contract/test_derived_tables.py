"""
What a database keeps beside the tasks and agents (the queue, what depends on what, the counters) says the same as
they do, whatever was done to them at once.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from copy import copy
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import LargeBinary, update

from mission_adapters.sql.database_session import BoundStatement, Steps
from mission_adapters.sql.statements import Statement, parameter
from mission_adapters.sql.store import SqlStore
from mission_adapters.sql.tables import metadata, queue
from mission_adapters.testing import CountingIds, ManualClock, ports_over, seeded_secrets
from mission_adapters.write_buffer import WriteBuffer
from mission_core.accounts.model import SystemPrincipal
from mission_core.agents.organization_creation import ensure_organization
from mission_core.agents.update import UpdateAgent, update_agent
from mission_core.agents.use_cases import CreateAgent, create_agent
from mission_core.boards.model import GateSet
from mission_core.boards.tags import CreateTag, create_tag
from mission_core.boards.use_cases import CreateBoard, create_board
from mission_core.errors import Refusal
from mission_core.events.counters import NO_ID
from mission_core.events.model import ChainHead
from mission_core.events.use_cases import verify_log
from mission_core.ids import BoardId, TaskId
from mission_core.ports import Ports
from mission_core.tasks.agent_deletion import DeleteAgent, delete_agent
from mission_core.tasks.board_deletion import DeleteBoard, delete_board
from mission_core.tasks.comment_creation import AddComment, add_comment
from mission_core.tasks.leases import (
    ClaimNext,
    ClaimTask,
    CompleteTask,
    ReleaseTask,
    claim_next,
    claim_task,
    complete_task,
    expire_leases,
    release_task,
)
from mission_core.tasks.model import Status
from mission_core.tasks.use_cases import CreateTask, DeleteTask, UpdateTask, create_task, delete_task, update_task
from tests.postgres_server import empty_database

STATUSES = {status.value for status in Status}
WORKERS, ROUNDS = 12, 25
AGENT_COUNTS = "SELECT organization, board, hidden, role, amount FROM agent_counts"
STALE = Statement(update(queue).values(board=parameter("board")).returning(queue.c.task))
OPEN = GateSet(require_approval_for_done=False)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """
    An empty database of either kind.
    """
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'mission.db'}"
    empty: str = request.getfixturevalue("fresh_postgres")
    return empty


@pytest.fixture
async def store(url: str) -> AsyncIterator[SqlStore]:
    """
    A store of the test's own.
    """
    async with SqlStore.open(url, clock=ManualClock()) as opened:
        yield opened


class Crowd:
    """
    Workers that do whatever comes to their minds to the same few tasks.
    """

    def __init__(self, ports: Ports, me: SystemPrincipal, board: BoardId) -> None:
        self.ports, self.me, self.board = ports, me, board
        self.boards = [board]
        self.tasks: list[TaskId] = []

    async def work(self, number: int, *, on_many_boards: bool = False) -> None:
        mind = Random(number)
        ideas = [
            self.claim, self.claim, self.edit, self.depend, self.move, self.add, self.drop, self.join, self.rename,
            self.leave, self.comment, self.mark,
        ]  # fmt: skip
        if on_many_boards:
            ideas += [self.found, self.carry, self.carry, self.close, self.transfer]
        for _ in range(ROUNDS):
            with suppress(Refusal):
                await mind.choice(ideas)(mind)

    async def claim(self, mind: Random) -> None:
        agent = mind.choice("abc")
        if mind.random() < 0.3:
            taken = await self.do(claim_task, ClaimTask(task=mind.choice(self.tasks), agent=agent))
        else:
            taken = await self.do(claim_next, ClaimNext(agent=agent))
        if taken is None:
            return
        if mind.random() < 0.5:
            await self.do(complete_task, CompleteTask(task=taken.task.id, lease=taken.lease))
        elif mind.random() < 0.5:
            await self.do(release_task, ReleaseTask(task=taken.task.id, lease=taken.lease))
        else:
            clock: Any = self.ports.clock  # one that is set by hand
            clock.advance(minutes=6)
            await expire_leases(self.ports, self.me)

    async def edit(self, mind: Random) -> None:
        changes: dict[str, Any] = {"priority": mind.choice(["low", "high"]), "assignee": mind.choice([None, "a", "B"])}
        await self.do(update_task, UpdateTask(task=mind.choice(self.tasks), **changes))

    async def comment(self, mind: Random) -> None:
        await self.do(add_comment, AddComment(task=mind.choice(self.tasks), content="@a look"))

    async def mark(self, mind: Random) -> None:
        tags = tuple(mind.sample(["red", "blue", "green"], mind.randint(0, 2)))
        await self.do(update_task, UpdateTask(task=mind.choice(self.tasks), tags=tags))

    async def depend(self, mind: Random) -> None:
        upon = tuple(mind.sample(self.tasks, mind.randint(0, 3)))
        await self.do(update_task, UpdateTask(task=mind.choice(self.tasks), depends_on=upon))

    async def move(self, mind: Random) -> None:
        to = mind.choice([Status.INBOX, Status.DONE, Status.BACKLOG])
        await self.do(update_task, UpdateTask(task=mind.choice(self.tasks), status=to))

    async def add(self, mind: Random) -> None:
        upon = tuple(mind.sample(self.tasks, mind.randint(0, min(2, len(self.tasks)))))
        made = await self.do(create_task, CreateTask(title="another", board=mind.choice(self.boards), depends_on=upon))
        self.tasks.append(made.id)

    async def drop(self, mind: Random) -> None:
        if mind.random() < 0.3:
            await self.do(delete_task, DeleteTask(task=mind.choice(self.tasks)))

    async def found(self, mind: Random) -> None:
        self.boards.append((await self.do(create_board, CreateBoard(name="New", gates=OPEN))).id)

    async def carry(self, mind: Random) -> None:
        to = mind.choice(self.boards)
        await self.do(update_task, UpdateTask(task=mind.choice(self.tasks), board=to))

    async def close(self, mind: Random) -> None:
        if len(self.boards) > 1:
            gone = self.boards.pop(mind.randrange(1, len(self.boards)))
            await self.do(delete_board, DeleteBoard(board=gone, hand_over=mind.random() < 0.5))

    async def join(self, mind: Random) -> None:
        board = mind.choice(self.boards)
        await self.do(create_agent, CreateAgent(name=mind.choice("abc"), board=None if board == self.board else board))

    async def rename(self, mind: Random) -> None:
        await self.do(update_agent, UpdateAgent(agent=mind.choice("abc"), name=mind.choice("abC")))

    async def transfer(self, mind: Random) -> None:
        changes: dict[str, Any] = {"board": mind.choice([None, *self.boards]), "hidden": mind.random() < 0.5}
        await self.do(update_agent, UpdateAgent(agent=mind.choice("abc"), role=mind.choice(["agent", "x"]), **changes))

    async def leave(self, mind: Random) -> None:
        if mind.random() < 0.3:
            await self.do(delete_agent, DeleteAgent(agent=mind.choice("abc")))

    async def do(self, use_case: Any, command: Any) -> Any:
        return await use_case(self.ports, self.me, command)


async def gathered(store: SqlStore, **overrides: Any) -> Crowd:
    """
    A crowd around an empty board.
    """
    ports = ports_over(store, clock=store.clock, **overrides)
    me = SystemPrincipal(organization=(await ensure_organization(ports, slug="default")).id)
    return Crowd(ports, me, (await create_board(ports, me, CreateBoard(name="Crowded", gates=OPEN))).id)


async def rows(store: SqlStore, text: str) -> list[tuple[Any, ...]]:
    """
    The rows that a statement gives.
    """

    def steps() -> Steps[list[Any]]:
        found: list[Any] = yield BoundStatement(text)
        return found

    return [tuple(row) for row in await store.session.read(steps)]


async def cells(store: SqlStore, text: str) -> Counter[tuple[Any, ...]]:
    """
    Kept counts, by what they count.
    """
    return Counter({row[:-1]: row[-1] for row in await rows(store, text)})


async def staff(store: SqlStore) -> Counter[tuple[Any, ...]]:
    """
    The numbers of agents, counted.
    """
    found = await rows(store, "SELECT organization, board, hidden, role FROM agents")
    return Counter((own, board or NO_ID, hidden, role) for own, board, hidden, role in found)


@pytest.mark.parametrize("on_many_boards", [False, True])
async def test_what_is_counted_agrees_with_the_tasks(store: SqlStore, url: str, on_many_boards: bool) -> None:
    """
    After many units at once, in two processes, every kept count is what counting the tasks would give, no dependency
    dangles, every live run belongs to the task that names it and goes by its assignee's name, no key outlives its
    agent, nothing its board, and the log is whole.
    """
    crowd = await gathered(store)
    for _ in range(12):
        await crowd.add(Random(0))
    async with SqlStore.open(url, clock=store.clock) as other:
        there = copy(crowd)  # with the same lists of tasks and boards
        there.ports = ports_over(other, clock=store.clock, secrets=seeded_secrets(2))
        await asyncio.gather(
            *((crowd, there)[number % 2].work(number, on_many_boards=on_many_boards) for number in range(WORKERS))
        )

    found = await rows(
        store, "SELECT id, board, status, priority, assignee_key, depends_on, run, rank FROM tasks ORDER BY id"
    )
    done = {row[0] for row in found if row[2] == "done"}
    named = {row[0]: [row[5][at : at + 16] for at in range(0, len(row[5]), 16)] for row in found}
    queued = {
        (row[0], row[1], row[4] or "", row[7], len({*named[row[0]]} - done))
        for row in found
        if row[2] in ("inbox", "assigned")
    }

    assert {*queued} == {*await rows(store, "SELECT task, board, assignee_key, rank, open_dependencies FROM queue")}
    assert {(id, each) for id in named for each in named[id]} == {*await rows(store, "SELECT * FROM dependencies")}
    assert {each for ids in named.values() for each in ids} <= {*named}
    assert Counter((row[1], row[2], row[3], int(row[4] is not None)) for row in found) == await cells(
        store, "SELECT board, status, priority, assigned, amount FROM tallies"
    )
    assert Counter((row[4], row[1], row[2], row[3]) for row in found if row[4] is not None) == await cells(
        store, "SELECT assignee_key, board, status, priority, amount FROM workloads"
    )
    assert await staff(store) == await cells(store, AGENT_COUNTS)
    kept = await cells(store, "SELECT place, what, sum(amount) FROM pulses WHERE slot >= 0 GROUP BY place, what")
    told = await cells(store, "SELECT kind, count(*) FROM events GROUP BY kind")
    facts = Counter({kind: sum(kept[place, what] for place, what in kept if what == kind) for (kind,) in told})
    assert Counter((row[1], row[2]) for row in found) == Counter(
        {(place, what): amount for (place, what), amount in kept.items() if what in STATUSES and amount}
    )
    if not on_many_boards:  # what happened on a board that was removed is counted no longer
        assert {kind: amount for (kind,), amount in told.items()} == facts
    alive = await rows(store, "SELECT task, id, lower(by) FROM runs WHERE state IN ('leased', 'suspended')")
    assert {(row[0], row[6], row[4]) for row in found if row[6] is not None} == {*alive}
    assert {*await rows(store, "SELECT task FROM runs")} <= {*await rows(store, "SELECT id FROM tasks")}
    assert {*await rows(store, "SELECT agent FROM api_keys")} <= {*await rows(store, "SELECT id FROM agents")}
    assert on_many_boards == (("board.deleted",) in told)
    boards = {*await rows(store, "SELECT id FROM boards")}
    assert {*await rows(store, "SELECT board FROM tasks UNION SELECT board FROM runs WHERE ended_at IS NULL")} <= boards
    assert {*await rows(store, "SELECT board FROM agents WHERE board IS NOT NULL")} <= boards
    assert isinstance(await verify_log(store.log, crowd.me.organization), ChainHead)


class TransactionStore(SqlStore):
    """
    A store that flushes each unit in a transaction.
    """

    async def flush(self, buffer: WriteBuffer) -> Any:
        return await self.flush_in_transaction(buffer)


async def content_after(store: SqlStore, seed: int) -> dict[str, list[tuple[Any, ...]]]:
    """
    All rows of a database after one worker with this seed.
    """
    crowd = await gathered(store, ids=CountingIds())
    for name in ("red", "blue"):
        await crowd.do(create_tag, CreateTag(name=name))
    for _ in range(6):
        await crowd.add(Random(seed))
    for _ in range(3):
        await crowd.work(seed, on_many_boards=True)
    return {
        table.name: sorted(await rows(store, f"SELECT * FROM {table.name}"), key=repr)
        for table in metadata.sorted_tables
    }


@pytest.fixture
def another_postgres(postgres_url: str) -> Iterator[str]:
    """
    Another empty database.
    """
    with empty_database(postgres_url) as url:
        yield url


@pytest.mark.parametrize("seed", range(3))
async def test_a_unit_in_one_statement_writes_what_it_writes_in_a_transaction(
    fresh_postgres: str, another_postgres: str, seed: int
) -> None:
    """
    The same units leave the same rows in PostgreSQL, whether each is one statement or a transaction.
    """
    found = []
    for kind, url in ((SqlStore, fresh_postgres), (TransactionStore, another_postgres)):
        async with kind.open(url, clock=ManualClock()) as store:
            found.append(await content_after(store, seed))

    assert found[0] == found[1]


async def test_as_many_claims_at_once_as_there_is_work_all_get_some(store: SqlStore) -> None:
    """
    Who decides about one task keeps nobody from the next.
    """
    crowd = await gathered(store)
    for _ in range(40):
        await crowd.do(create_task, CreateTask(title="one", board=crowd.board))
    taken = await asyncio.gather(*(crowd.do(claim_next, ClaimNext(agent=f"a{each}")) for each in range(40)))

    assert {*range(1, 41)} == {each.task.number for each in taken}


async def test_work_that_has_left_a_board_is_not_handed_out_there(store: SqlStore) -> None:
    """
    A claim that read the queue before the work moved, and locked it afterwards, passes it over.
    """
    crowd = await gathered(store)
    other = await create_board(crowd.ports, crowd.me, CreateBoard(name="Other", gates=OPEN))
    for board in (crowd.board, other.id):
        await crowd.do(create_task, CreateTask(title="work", board=board))

    def the_queue_as_it_was() -> Steps[None]:
        yield STALE(store.session.dialect, board=other.id.bytes)

    await store.session.write(the_queue_as_it_was)
    first = await crowd.do(claim_next, ClaimNext(agent="a", board=other.id))

    assert other.id == first.task.board
    assert await crowd.do(claim_next, ClaimNext(agent="a", board=other.id)) is None


@pytest.mark.parametrize("hand_over", [False, True])
async def test_nothing_is_left_of_a_removed_board(store: SqlStore, hand_over: bool) -> None:
    """
    No column of any table names it, nor what went with it, but for the log; and what is counted agrees with the tasks.
    """
    crowd = await gathered(store)
    old = await create_board(crowd.ports, crowd.me, CreateBoard(name="Old", gates=OPEN))
    made = await crowd.do(create_agent, CreateAgent(name="a", board=old.id))
    await crowd.do(create_tag, CreateTag(name="red"))
    one = CreateTask(title="one", board=old.id, tags=("red",))
    first, second = [await crowd.do(create_task, one) for _ in range(2)]
    away = await crowd.do(create_task, CreateTask(title="away", board=old.id, depends_on=(first.id, second.id)))
    await crowd.do(update_task, UpdateTask(task=away.id, board=crowd.board))
    taken = await crowd.do(claim_next, ClaimNext(agent="a", board=old.id))
    await crowd.do(create_task, CreateTask(title="left", board=old.id, depends_on=(second.id,)))
    await crowd.do(delete_board, DeleteBoard(board=old.id, hand_over=hand_over))
    gone = {old.id.bytes} if hand_over else {each.id.bytes for each in (old, first, second, taken.run, made.agent)}

    columns = [column for table in metadata.sorted_tables for column in table.c if isinstance(column.type, LargeBinary)]
    told = {
        (column.table.name, column.name)
        for column in columns
        if column.table.name != "events"
        for (value,) in await rows(store, f'SELECT "{column.name}" FROM {column.table.name}')
        if value is not None and any(id in value for id in gone)
    }
    assert set() == told
    found = await rows(store, "SELECT board, status, priority, assignee_key FROM tasks")
    assert Counter((row[0], row[1], row[2], int(row[3] is not None)) for row in found) == await cells(
        store, "SELECT board, status, priority, assigned, amount FROM tallies"
    )
    assert Counter((row[3], row[0], row[1]) for row in found if row[3] is not None) == await cells(
        store, "SELECT assignee_key, board, status, amount FROM workloads"
    )
    assert await staff(store) == await cells(store, AGENT_COUNTS)
