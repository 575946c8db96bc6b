"""
Boards, tasks and runs that a store remembers: two stores on one database, as two processes have them, give the same
answers as one store that reads every row.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from attrs import asdict, define, evolve, field
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Table, select, update

from mission_adapters.row_memory import LONGEST_TEXTS, RowMemory
from mission_adapters.sql import tables
from mission_adapters.sql.database_session import Steps
from mission_adapters.sql.statements import Statement, parameter
from mission_adapters.sql.store import SqlStore
from mission_adapters.testing import ManualClock, World, make_world, seeded_secrets
from mission_core.accounts.model import AgentPrincipal, Principal, Role
from mission_core.agents.model import Agent, AgentNotFound
from mission_core.agents.update import UpdateAgent, update_agent
from mission_core.agents.use_cases import CreateAgent, RecordAgentHeartbeat, create_agent, record_agent_heartbeat
from mission_core.boards.model import Board, BoardDenied, GateSet
from mission_core.boards.use_cases import CreateBoard, UpdateBoard, create_board, update_board
from mission_core.errors import Refusal
from mission_core.ports import Ports
from mission_core.tasks.agent_deletion import DeleteAgent, delete_agent
from mission_core.tasks.board_deletion import DeleteBoard, delete_board
from mission_core.tasks.comment_creation import AddComment, add_comment
from mission_core.tasks.heartbeats import Heartbeat, heartbeat
from mission_core.tasks.leases import (
    ClaimNext,
    ClaimTask,
    CompleteTask,
    FailTask,
    ReleaseTask,
    claim_next,
    claim_task,
    complete_task,
    expire_leases,
    fail_task,
    release_task,
)
from mission_core.tasks.model import Status, Task
from mission_core.tasks.operator_orders import GiveOrder, give_order
from mission_core.tasks.queue_polls import PollQueue, RenewImplicitLeases, poll_queue, renew_implicit_leases
from mission_core.tasks.runs import Failure, FailureReason, LeaseLost, LeaseTerms, OrderKind, Outcome, Run, RunState
from mission_core.tasks.use_cases import CreateTask, DeleteTask, UpdateTask, create_task, delete_task, update_task
from mission_core.use_case import use_case
from mission_core.values import JsonText, canonical
from tests.contract.conftest import ports_over

pytestmark = pytest.mark.parametrize("store_url", ["sqlite", "postgres"], indirect=True, scope="session")

TERMS = LeaseTerms(term=timedelta(minutes=3), delay=timedelta(0))


@pytest.fixture(scope="session")
async def every_ports(store_url: str, clock: ManualClock) -> AsyncIterator[list[Ports]]:
    """
    Two stores that remember rows, and one that reads every row, on one database: as ports that share everything else.
    """
    async with (
        SqlStore.open(store_url, clock=clock) as one,
        SqlStore.open(store_url, clock=clock) as other,
        SqlStore.open(store_url, clock=clock) as reading,
    ):
        reading.memory = None
        # Secrets of their own: the session's ports may have given keys to agents in this database.
        first = evolve(ports_over(one, clock), secrets=seeded_secrets(8))
        names = ("unit", "reads", "log", "credentials", "numbers")
        yield [evolve(first, **{name: getattr(each, name) for name in names}) for each in (one, other, reading)]


@pytest.fixture
async def worlds(every_ports: list[Ports]) -> list[World]:
    """
    One organization on the two stores that remember rows.
    """
    one, other, _ = every_ports
    world = await make_world(one)
    return [world, evolve(world, ports=other)]


def key_of(agent: Agent) -> AgentPrincipal:
    """
    The principal of an agent's API key.
    """
    return AgentPrincipal(
        organization=agent.organization, agent=agent.id, name=agent.name, board=None, lead=False, role=Role.OPERATOR
    )


@define
class Life:
    """
    An organization whose requests reach its stores in turns, and what it was answered.
    """

    worlds: list[World]
    boards: list[Board]
    tasks: list[Task] = field(factory=list)
    leases: list[tuple[int, str]] = field(factory=list)
    """The claimed tasks by their place in *tasks*, each with its lease."""
    agents: dict[str, Agent] = field(factory=dict)
    answers: list[Any] = field(factory=list)

    async def live(self, step: tuple[Any, ...]) -> None:
        place, name, *given = step
        world = self.worlds[place % len(self.worlds)]
        try:
            answer = await getattr(self, name)(world, *given)
        except Refusal as refused:
            answer = type(refused).__name__
        self.answers.append((name, answer))

    def asker(self, world: World, name: str) -> tuple[Principal, str | None]:
        """
        The principal of the agent of this name, if there is one, and otherwise an operator who claims for the name.
        """
        agent = self.agents.get(name)
        return (world.me, name) if agent is None else (key_of(agent), None)

    def task(self, nth: int) -> Task:
        return self.tasks[nth % len(self.tasks)]

    async def create(self, world: World, board: int, assignee: str | None) -> Any:
        made = await create_task(
            world.ports, world.me, CreateTask(title="Work", board=self.boards[board].id, assignee=assignee)
        )
        self.tasks.append(made)
        return self.said(made)

    async def claim(self, world: World, nth: int, agent: str) -> Any:
        if not self.tasks:
            return None
        principal, label = self.asker(world, agent)
        claimed = await claim_task(world.ports, principal, ClaimTask(task=self.task(nth).id, agent=label, terms=TERMS))
        self.leases.append((nth % len(self.tasks), claimed.lease))
        return self.said(claimed.task), len(claimed.late_results)

    async def claim_first(self, world: World, board: int, agent: str) -> Any:
        found = await claim_next(
            world.ports, world.me, ClaimNext(agent=agent, board=self.boards[board].id, terms=TERMS)
        )
        if found is None:
            return None
        ids = [task.id for task in self.tasks]
        self.leases.append((ids.index(found.task.id), found.lease))
        return self.said(found.task)

    async def with_lease(self, nth: int, call: Callable[[UUID, str], Awaitable[Any]]) -> Any:
        if not self.leases:
            return None
        place, lease = self.leases[nth % len(self.leases)]
        return await call(self.tasks[place].id, lease)

    async def beat(self, world: World, nth: int, progress: JsonText | None) -> Any:
        async def call(task: Any, lease: str) -> Any:
            result = await heartbeat(world.ports, world.me, Heartbeat(task=task, lease=lease, progress=progress))
            lease_end = (result.run.expires_at, result.run.heartbeat_at, result.run.progress)
            return result.run.state, result.instruction, lease_end, len(result.late_results)

        return await self.with_lease(nth, call)

    async def complete(self, world: World, nth: int, resolution: str) -> Any:
        async def call(task: Any, lease: str) -> Any:
            outcome = Outcome(resolution=resolution)
            return self.said(
                await complete_task(world.ports, world.me, CompleteTask(task=task, lease=lease, outcome=outcome))
            )

        return await self.with_lease(nth, call)

    async def fail(self, world: World, nth: int) -> Any:
        async def call(task: Any, lease: str) -> Any:
            failure = Failure(reason=FailureReason.TOOL_FAILED)
            return self.said(await fail_task(world.ports, world.me, FailTask(task=task, lease=lease, failure=failure)))

        return await self.with_lease(nth, call)

    async def release(self, world: World, nth: int) -> Any:
        async def call(task: Any, lease: str) -> Any:
            return self.said(await release_task(world.ports, world.me, ReleaseTask(task=task, lease=lease)))

        return await self.with_lease(nth, call)

    async def change(self, world: World, nth: int, fields: dict[str, Any]) -> Any:
        if not self.tasks:
            return None
        if "board" in fields:
            fields = fields | {"board": self.boards[fields["board"]].id}
        cmd = UpdateTask(task=self.task(nth).id, **fields)
        return self.said(await update_task(world.ports, world.me, cmd))

    async def depend(self, world: World, nth: int, on: int) -> Any:
        if not self.tasks:
            return None
        cmd = UpdateTask(task=self.task(nth).id, depends_on=(self.task(on).id,))
        return self.said(await update_task(world.ports, world.me, cmd))

    async def comment(self, world: World, nth: int) -> Any:
        if not self.tasks:
            return None
        made = await add_comment(world.ports, world.me, AddComment(task=self.task(nth).id, content="Hello"))
        return made.content

    async def order(self, world: World, nth: int, kind: OrderKind) -> Any:
        if not self.tasks:
            return None
        cmd = GiveOrder(task=self.task(nth).id, kind=kind, message="Go on", to="bob")
        return self.said(await give_order(world.ports, world.me, cmd))

    async def poll(self, world: World, agent: str) -> Any:
        principal, label = self.asker(world, agent)
        found = await poll_queue(world.ports, principal, PollQueue(agent=label))
        return found.reason, [task.id for task in self.tasks].index(found.task) if found.task else None

    async def renew(self, world: World, agent: str) -> Any:
        return await renew_implicit_leases(world.ports, world.me, RenewImplicitLeases(agent=agent))

    async def seen(self, world: World, name: str, status: str | None) -> Any:
        agent = await record_agent_heartbeat(world.ports, world.me, RecordAgentHeartbeat(agent=name, status=status))
        return agent.name, agent.presence, agent.version

    async def hire(self, world: World, name: str) -> Any:
        self.agents[name] = (await create_agent(world.ports, world.me, CreateAgent(name=name))).agent
        return name

    async def rename(self, world: World, was: str, now: str) -> Any:
        if was not in self.agents:
            return None
        agent = await update_agent(world.ports, world.me, UpdateAgent(agent=self.agents[was].id, name=now))
        del self.agents[was]
        self.agents[now] = agent
        return now

    async def dismiss(self, world: World, name: str) -> Any:
        gone = (await delete_agent(world.ports, world.me, DeleteAgent(agent=name))).name
        self.agents.pop(name, None)
        return gone

    async def delete(self, world: World, nth: int) -> Any:
        if not self.tasks:
            return None
        return self.said(await delete_task(world.ports, world.me, DeleteTask(task=self.task(nth).id)))

    async def change_board(self, world: World, board: int, fields: dict[str, Any]) -> Any:
        changed = await update_board(world.ports, world.me, UpdateBoard(board=self.boards[board].id, **fields))
        return changed.name, changed.gates, changed.version

    async def close_board(self, world: World) -> Any:
        return (await delete_board(world.ports, world.me, DeleteBoard(board=self.boards[1].id, hand_over=True))).name

    def said(self, task: Task) -> dict[str, Any]:
        """
        What is the same of a task in two organizations.
        """
        told = asdict(task, recurse=False)
        for name in ("id", "organization", "number", "ticket", "submitter", "authors", "creator", "passed"):
            del told[name]
        places = {board.id: place for place, board in enumerate(self.boards)}
        ids = [each.id for each in self.tasks]
        known = task.assignee is not None and task.assignee.agent is not None
        return told | {
            "board": places.get(task.board), "run": task.run is not None, "agent": known,
            "depends_on": [ids.index(each) for each in task.depends_on],
        }  # fmt: skip

    async def rows(self) -> list[Any]:
        """
        All tasks with their live runs as they are stored, and the kinds of all events.
        """
        world, found = self.worlds[0], list[Any]()
        async with world.ports.unit(world.me) as unit:
            for task in self.tasks:
                try:
                    read = await unit.tasks.get(task.id)
                except Refusal as refused:
                    found.append(type(refused).__name__)
                    continue
                run = await unit.runs.get(read.run) if read.run else None
                found.append((self.said(read), run and (run.state, run.expires_at, run.progress, run.by.name)))
        return [*found, await world.event_kinds()]


async def life_over(ports: list[Ports]) -> Life:
    """
    A new organization with two boards, besides the general one.
    """
    world = await make_world(ports[0])
    other = await create_board(ports[0], world.me, CreateBoard(name="Other", gates=GateSet()))
    return Life([evolve(world, ports=each) for each in ports], [world.board, other])


places, boards, nth = st.integers(0, 1), st.integers(0, 1), st.integers(0, 2)
names = st.sampled_from(["ada", "bob"])
changes = st.fixed_dictionaries(
    {},
    optional={
        "title": st.sampled_from(["One", "Two"]),
        "status": st.sampled_from([Status.INBOX, Status.IN_PROGRESS, Status.REVIEW, Status.DONE, Status.BACKLOG]),
        "assignee": names | st.none(),
        "agent": names,
        "board": boards,
        "resolution": st.sampled_from(["Good", "Bad"]),
    },
)
steps = st.one_of(
    st.tuples(places, st.just("create"), boards, names | st.none()),
    st.tuples(places, st.just("claim"), nth, names),
    st.tuples(places, st.just("claim_first"), boards, names),
    st.tuples(places, st.just("beat"), nth, st.sampled_from([None, '{"at":1}', '{"at":2}'])),
    st.tuples(places, st.just("complete"), nth, st.sampled_from(["Good", "Bad"])),
    st.tuples(places, st.sampled_from(["fail", "release"]), nth),
    st.tuples(places, st.just("change"), nth, changes),
    st.tuples(places, st.just("change"), nth, changes),
    st.tuples(places, st.just("depend"), nth, nth),
    st.tuples(places, st.just("comment"), nth),
    st.tuples(places, st.just("order"), nth, st.sampled_from(OrderKind)),
    st.tuples(places, st.sampled_from(["poll", "renew", "hire", "dismiss"]), names),
    st.tuples(places, st.just("seen"), names, st.sampled_from([None, "busy"])),
    st.tuples(places, st.just("rename"), names, st.just("grace")),
    st.tuples(places, st.just("delete"), nth),
    st.tuples(
        places, st.just("change_board"), boards,
        st.fixed_dictionaries({}, optional={"name": st.sampled_from(["A", "B"]), "gates": st.builds(GateSet)}),
    ),
    st.tuples(places, st.just("close_board")),
    st.integers(1, 200).map(lambda seconds: timedelta(seconds=seconds)),
)  # fmt: skip


@settings(max_examples=40)
@given(st.lists(steps, min_size=4, max_size=25))
async def test_two_stores_answer_as_one_that_reads_every_row(
    every_ports: list[Ports], clock: ManualClock, lived: list[Any]
) -> None:
    """
    The same answers, refusals, rows and events, whichever of the two gets a request.
    """
    one, other, reading = every_ports
    remembering, plain = await life_over([one, other]), await life_over([reading])
    for step in lived:
        if isinstance(step, timedelta):
            clock.advance(seconds=step.total_seconds())
            continue
        await plain.live(step)
        await remembering.live(step)

        assert plain.answers[-1] == remembering.answers[-1]
    assert await plain.rows() == await remembering.rows()


async def claimed_by(world: World) -> tuple[Task, Run, str]:
    ada, task = key_of(await world.agent("ada")), await world.task()
    claimed = await claim_task(world.ports, ada, ClaimTask(task=task.id, terms=TERMS))
    return claimed.task, claimed.run, claimed.lease


async def test_a_refusal_is_not_decided_on_an_outdated_row(worlds: list[World]) -> None:
    """
    Another process reopens a task that is remembered as done, and the next request here succeeds.
    """
    here, there = worlds
    task, _, lease = await claimed_by(here)
    await complete_task(here.ports, here.me, CompleteTask(task=task.id, lease=lease))
    await update_task(there.ports, there.me, UpdateTask(task=task.id, status=Status.INBOX))
    await update_task(here.ports, here.me, UpdateTask(task=task.id, depends_on=((await here.task()).id,)))

    assert Status.INBOX is (await here.fresh(task)).status


async def test_a_lease_that_another_process_extended_is_live(worlds: list[World]) -> None:
    """
    The remembered run has expired, the stored one has not.
    """
    here, there = worlds
    task, _, lease = await claimed_by(here)
    for _ in range(2):
        here.clock.advance(minutes=2)
        await heartbeat(there.ports, there.me, Heartbeat(task=task.id, lease=lease))
    done = await complete_task(here.ports, here.me, CompleteTask(task=task.id, lease=lease))

    assert Status.DONE is done.status


async def test_a_heartbeat_shows_a_late_result_that_another_process_kept(worlds: list[World]) -> None:
    """
    A late result does not change the task's version.
    """
    here, there = worlds
    task, _, old = await claimed_by(here)
    here.clock.advance(minutes=10)
    claimed = await claim_task(here.ports, key_of(await here.agent("bob")), ClaimTask(task=task.id, terms=TERMS))
    with pytest.raises(LeaseLost):
        await complete_task(there.ports, there.me, CompleteTask(task=task.id, lease=old))
    beat = await heartbeat(here.ports, here.me, Heartbeat(task=task.id, lease=claimed.lease))

    assert 1 == len(beat.late_results)


async def test_a_completed_task_shows_a_late_result_that_another_process_kept(worlds: list[World]) -> None:
    here, there = worlds
    task, _, old = await claimed_by(here)
    here.clock.advance(minutes=10)
    claimed = await claim_task(here.ports, key_of(await here.agent("bob")), ClaimTask(task=task.id, terms=TERMS))
    with pytest.raises(LeaseLost):
        await complete_task(there.ports, there.me, CompleteTask(task=task.id, lease=old))
    done = await complete_task(here.ports, here.me, CompleteTask(task=task.id, lease=claimed.lease))

    assert 1 == done.late_results


async def test_a_heartbeat_keeps_the_progress_that_another_process_was_told(worlds: list[World]) -> None:
    here, there = worlds
    task, _, lease = await claimed_by(here)
    told = canonical({"at": 1})
    await heartbeat(there.ports, there.me, Heartbeat(task=task.id, lease=lease, progress=told))

    assert told == (await heartbeat(here.ports, here.me, Heartbeat(task=task.id, lease=lease))).run.progress


@use_case
async def title_after(ports: Ports, principal: Principal, rows: list[Any], other: Task) -> None:
    """
    Write to one task what was read of rows that are not written, and on which the unit does not rely.
    """
    async with ports.unit(principal) as unit:
        board, agent = await unit.boards.get(rows[0].id), await unit.agents.get(rows[1].id)
        task, run = await unit.tasks.get(rows[2].id), await unit.runs.get(rows[3].id)
        title = f"{board.name} {agent.role} {task.title} {run.progress}"
        unit.tasks.save(evolve(await unit.tasks.get(other.id), title=title))
        await unit.commit()


async def test_no_write_follows_from_an_outdated_row(worlds: list[World]) -> None:
    """
    Whichever of the rows another process changed: also what a version does not count.
    """
    here, there = worlds
    task, run, lease = await claimed_by(here)
    async with here.ports.unit(here.me) as unit:
        ada = await unit.agents.get("ada")
    rows, other = [here.board, ada, task, run], await here.task()
    steps: list[tuple[Any, Any]] = [
        (update_board, UpdateBoard(board=here.board.id, name="New")),
        (update_agent, UpdateAgent(agent="ada", role="coder")),
        (update_task, UpdateTask(task=task.id, title="Changed")),
        (heartbeat, Heartbeat(task=task.id, lease=lease, progress=canonical({"at": 1}))),
    ]
    titles = []
    for call, cmd in steps:
        await title_after(here.ports, here.me, rows, other)
        await call(there.ports, there.me, cmd)
        await title_after(here.ports, here.me, rows, other)
        titles.append((await here.fresh(other)).title)

    role = ada.role
    assert [
        f"New {role} Ship it None", "New coder Ship it None", "New coder Changed None", 'New coder Changed {"at":1}',
    ] == titles  # fmt: skip


async def stored(world: World, table: Table) -> list[Any]:
    """
    All rows of a table of the organization.
    """
    store = world.ports.unit(world.me).store

    def steps() -> Steps[list[Any]]:
        own = select(*table.c).where(table.c.organization == parameter("organization"))
        rows: list[Any] = yield Statement(own)(store.session.dialect, organization=world.me.organization.bytes)
        return rows

    return await store.session.read(steps)


async def put_back(world: World, table: Table, rows: list[Any]) -> None:
    """
    Have rows as they were, as if the last commits were lost.
    """
    store = world.ports.unit(world.me).store
    values = {each.name: parameter(each.name, each.type.python_type) for each in table.c}
    change = Statement(update(table).where(table.c.id == values["id"]).values(values))

    def steps() -> Steps[None]:
        for row in rows:
            yield change.count(store.session.dialect, **dict(zip(table.c.keys(), row, strict=True)))

    await store.session.write(steps)


@pytest.mark.parametrize("table", [tables.boards, tables.agents, tables.tasks], ids=str)
async def test_a_row_whose_last_change_the_database_lost_is_read_again(worlds: list[World], table: Table) -> None:
    """
    As in a failover. Although another process has changed it since, so that it has the version that is remembered.
    """
    here, there = worlds
    task, run, _ = await claimed_by(here)
    async with here.ports.unit(here.me) as unit:
        agent = await unit.agents.get("ada")
    before = await stored(here, table)

    async def change(world: World, **changes: str) -> None:
        if table is tables.boards:
            await update_board(world.ports, world.me, UpdateBoard(board=world.board.id, **changes))
        elif table is tables.agents:
            await update_agent(world.ports, world.me, UpdateAgent(agent=agent.id, **changes))
        else:
            await update_task(world.ports, world.me, UpdateTask(task=task.id, **changes))

    name = {tables.boards: "name", tables.agents: "role", tables.tasks: "title"}[table]
    await change(here, **{name: "Lost"})
    await put_back(here, table, before)
    here.clock.advance(seconds=1)
    await change(there, **{name: "Kept"})
    other = await here.task()
    await title_after(here.ports, here.me, [here.board, agent, task, run], other)

    assert "Kept" in (await here.fresh(other)).title


async def test_a_heartbeat_repeats_an_order_that_another_process_gave(worlds: list[World]) -> None:
    here, there = worlds
    task, _, lease = await claimed_by(here)
    await give_order(there.ports, there.me, GiveOrder(task=task.id, kind=OrderKind.PAUSE))

    assert "pause" == (await heartbeat(here.ports, here.me, Heartbeat(task=task.id, lease=lease))).instruction


async def test_an_agent_heartbeat_keeps_what_another_process_was_told(worlds: list[World]) -> None:
    """
    A heartbeat does not change the agent's version.
    """
    here, there = worlds
    agent = await here.agent("ada")
    for world, status in ((here, "idle"), (there, "busy"), (here, None)):
        world.clock.advance(seconds=1)
        heard = await record_agent_heartbeat(world.ports, world.me, RecordAgentHeartbeat(agent=agent.id, status=status))

    assert "busy" == heard.presence.reported


async def test_an_agent_that_another_process_renamed_is_found_by_its_new_name_only(worlds: list[World]) -> None:
    here, there = worlds
    agent = await here.agent("ada")
    await record_agent_heartbeat(here.ports, here.me, RecordAgentHeartbeat(agent="ada"))
    await update_agent(there.ports, there.me, UpdateAgent(agent="ada", name="grace"))
    with pytest.raises(AgentNotFound):
        await record_agent_heartbeat(here.ports, here.me, RecordAgentHeartbeat(agent="ada"))

    assert agent.id == (await record_agent_heartbeat(here.ports, here.me, RecordAgentHeartbeat(agent="Grace"))).id


async def test_a_heartbeat_after_another_process_took_the_task_is_refused(worlds: list[World]) -> None:
    here, there = worlds
    task, _, lease = await claimed_by(here)
    await give_order(there.ports, there.me, GiveOrder(task=task.id, kind=OrderKind.STEAL, to="bob"))
    with pytest.raises(LeaseLost):
        await heartbeat(here.ports, here.me, Heartbeat(task=task.id, lease=lease))


async def test_remembered_rows_are_shown_to_whom_they_are_granted(worlds: list[World]) -> None:
    """
    A task of a board that an agent may not see stays hidden from it, though the store remembers the task.
    """
    here, _ = worlds
    elsewhere = await here.another_board()
    task = await here.task()
    stranger = AgentPrincipal(
        organization=here.me.organization, agent=(await here.agent("eve", board=elsewhere.id)).id, name="eve",
        board=elsewhere.id, lead=False, role=Role.OPERATOR,
    )  # fmt: skip
    await update_task(here.ports, here.me, UpdateTask(task=task.id, title="Seen"))
    with pytest.raises(BoardDenied):
        await add_comment(here.ports, stranger, AddComment(task=task.id, content="Hello"))
    with pytest.raises(BoardDenied):
        await create_task(here.ports, stranger, CreateTask(title="Mine", board=here.board.id))
    memory = RowMemory(unchanged)
    memory.remember(task)

    assert [task, None] == [memory.find(Task, principal, task.id) for principal in (here.me, stranger)]


async def unchanged(_: object) -> bool:
    return True


async def test_a_memory_holds_the_rows_that_were_used_last(worlds: list[World]) -> None:
    """
    By id and by number; no more than its size.
    """
    here, _ = worlds
    tasks = [await here.task() for _ in range(3)]
    memory = RowMemory(unchanged, size=2)
    for task in tasks[:2]:
        memory.remember(task)
    memory.find(Task, here.me, tasks[0].number)
    memory.remember(tasks[2])

    assert [tasks[0], None, tasks[2]] == [memory.find(Task, here.me, task.number) for task in tasks]
    assert [tasks[0], None, tasks[2]] == [memory.find(Task, here.me, task.id) for task in tasks]


async def test_a_memory_holds_no_more_text_than_it_may(worlds: list[World]) -> None:
    """
    What is forgotten makes room for other texts.
    """
    here, _ = worlds
    tasks = [await here.task(description="x" * 400) for _ in range(4)]
    memory = RowMemory(unchanged, characters=1000)
    for task in tasks[:2]:
        memory.remember(task)
    memory.remember(tasks[2])
    memory.forget(tasks[1])
    memory.remember(tasks[3])

    assert [None, None, tasks[2], tasks[3]] == [memory.find(Task, here.me, task.id) for task in tasks]


async def test_a_dependent_that_another_process_added_hears_of_the_completion(worlds: list[World]) -> None:
    """
    A completion does not read whether there are dependents, but it finds that there is one. From then on this process
    knows it.
    """
    here, there = worlds
    task, _, lease = await claimed_by(here)
    dependent = await there.task()
    await update_task(there.ports, there.me, UpdateTask(task=dependent.id, depends_on=(task.id,)))
    await complete_task(here.ports, here.me, CompleteTask(task=task.id, lease=lease))
    toggled = (await here.event_kinds()).count("task.dependency_toggled")
    async with here.ports.unit(here.me) as unit:
        memory = unit.buffer.memory
    claimed = await here.claimed(await here.fresh(dependent))

    assert 1 == toggled
    assert memory.has_dependents(task.id)
    assert dependent.id == claimed.task.id


async def test_dependents_of_a_task_that_another_process_added_are_read(worlds: list[World]) -> None:
    """
    Nothing is assumed of it, so that the completion need not be repeated; from then on it is known.
    """
    here, there = worlds
    task, _, lease = await claimed_by(there)
    async with here.ports.unit(here.me) as unit:
        memory = unit.buffer.memory
    before = memory.has_dependents(task.id)
    await complete_task(here.ports, here.me, CompleteTask(task=task.id, lease=lease))

    assert [None, False] == [before, memory.has_dependents(task.id)]


async def test_leases_that_expire_leave_no_outdated_row(worlds: list[World]) -> None:
    """
    By a sweep, or by the claim of another task. The next request of this process need not be repeated.
    """
    here, _ = worlds
    tasks = [await here.task() for _ in range(3)]
    claimed = [await claim_task(here.ports, here.me, ClaimTask(task=tasks[0].id, agent="ada", terms=TERMS))]
    here.clock.advance(minutes=10)
    await expire_leases(here.ports, here.me)
    claimed += [await claim_task(here.ports, here.me, ClaimTask(task=tasks[1].id, agent="ada", terms=TERMS))]
    here.clock.advance(minutes=10)
    await claim_next(here.ports, here.me, ClaimNext(agent="bob", terms=TERMS))
    async with here.ports.unit(here.me) as unit:
        memory = unit.buffer.memory
    rows = [memory.find(type(row), here.me, row.id) for each in claimed for row in (each.task, each.run)]

    assert await memory.are_unchanged([row for row in rows if row])


async def test_a_late_result_leaves_no_outdated_row(worlds: list[World]) -> None:
    """
    The task counts it without a new version. The next request of the process that kept it need not be repeated.
    """
    here, _ = worlds
    task, _, old = await claimed_by(here)
    here.clock.advance(minutes=10)
    await claim_task(here.ports, key_of(await here.agent("bob")), ClaimTask(task=task.id, terms=TERMS))
    with pytest.raises(LeaseLost):
        await complete_task(here.ports, here.me, CompleteTask(task=task.id, lease=old))
    async with here.ports.unit(here.me) as unit:
        memory = unit.buffer.memory
    row = memory.find(Task, here.me, task.id)

    assert row is None or await memory.are_unchanged([row])


async def test_an_agent_that_gets_or_loses_a_name_leaves_no_outdated_row(worlds: list[World]) -> None:
    """
    Of the tasks that are assigned to that name. The next request of this process need not be repeated.
    """
    here, _ = worlds
    tasks = [await here.task(assignee=name) for name in ("ada", "ada", "bob")]
    async with here.ports.unit(here.me) as unit:
        memory = unit.buffer.memory
    outdated = []

    async def note(what: str) -> None:
        rows = [row for task in tasks if (row := memory.find(Task, here.me, task.id))]
        outdated.extend([] if await memory.are_unchanged(rows) else [what])
        for task in tasks:
            await update_task(here.ports, here.me, UpdateTask(task=task.id, title=what))

    await note("created")
    ada = await here.agent("ada")
    await note("registered")
    await update_agent(here.ports, here.me, UpdateAgent(agent=ada.id, name="eve"))
    await note("renamed")
    await update_task(here.ports, here.me, UpdateTask(task=tasks[0].id, status=Status.DONE))
    await delete_agent(here.ports, here.me, DeleteAgent(agent="eve"))
    await note("deleted")

    assert [] == outdated


async def test_a_task_that_an_operator_claimed_for_a_name_is_remembered(worlds: list[World]) -> None:
    """
    With the agent of that name, if there is one, which the claim does not know.
    """
    here, _ = worlds
    ada = await here.agent("ada")
    claimed = [
        (await claim_task(here.ports, here.me, ClaimTask(task=(await here.task()).id, agent=name, terms=TERMS))).task
        for name in ("ada", "nobody")
    ]
    async with here.ports.unit(here.me) as unit:
        memory = unit.buffer.memory
    remembered = [memory.find(Task, here.me, task.id) for task in claimed]

    assert [ada.id, None] == [task.assignee.agent for task in remembered]


async def test_an_agent_that_is_registered_after_the_claim_for_its_name_is_seen(worlds: list[World]) -> None:
    """
    Registering an agent changes no task.
    """
    here, there = worlds
    task = await here.task()
    claimed = await claim_task(here.ports, here.me, ClaimTask(task=task.id, agent="bob", terms=TERMS))
    bob = await there.agent("bob")
    done = await complete_task(here.ports, here.me, CompleteTask(task=task.id, lease=claimed.lease))

    assert done.assignee is not None
    assert bob.id == done.assignee.agent


async def test_a_memory_keeps_the_latest_version(worlds: list[World]) -> None:
    here, _ = worlds
    task = await here.task()
    memory = RowMemory(unchanged)
    memory.remember(evolve(task, version=2))
    memory.remember(task)

    found = memory.find(Task, here.me, task.id)

    assert (task.id, 2) == (found and (found.id, found.version))


@pytest.mark.parametrize("length", [LONGEST_TEXTS // 2, LONGEST_TEXTS + 1])
async def test_a_memory_holds_no_row_with_long_texts(worlds: list[World], length: int) -> None:
    """
    Such as the output of a run, of which one may have megabytes.
    """
    here, _ = worlds
    agent = await here.agent("bob")
    task, run, _ = await claimed_by(here)
    told = canonical({"it": (length - len('{"it":""}')) * "a"})
    outcome = Outcome(output=told)
    rows = [
        evolve(here.board, success_metrics=told),
        evolve(agent, config=told),
        evolve(agent, identity_profile=told),
        evolve(task, field_values=told),
        evolve(run, progress=told),
        evolve(run, state=RunState.COMPLETED, ended_at=run.claimed_at, outcome=outcome),
    ]
    memory = RowMemory(unchanged)
    found = []
    for row in rows:
        memory.remember(row)
        found.append(memory.find(type(row), here.me, row.id) is not None)

    assert [length <= LONGEST_TEXTS] * len(rows) == found
