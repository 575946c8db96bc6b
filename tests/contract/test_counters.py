"""
The counters of every store are the sums over all its tasks, agents and events, whatever was committed.
"""

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from attrs import define, evolve, field
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from mission_adapters.counter_registry import COUNTERS
from mission_adapters.memory import MemoryStore
from mission_adapters.sql.entity_queries import TASK_COLUMNS, columns_of_entity
from mission_adapters.sql.statements import Statement
from mission_adapters.sql.tables import metadata
from mission_adapters.testing import World, make_world
from mission_adapters.testing import strategies as some
from mission_core.agents.model import Agent
from mission_core.agents.rows import AGENT_ROWS
from mission_core.agents.update import UpdateAgent, update_agent
from mission_core.agents.use_cases import CreateAgent, create_agent
from mission_core.boards.model import GENERAL_HANDLE
from mission_core.errors import Refusal
from mission_core.events.counters import NO_ID
from mission_core.reports.hourly_counters import cycle_time_of, status_since
from mission_core.tasks.agent_deletion import DeleteAgent, delete_agent
from mission_core.tasks.board_deletion import DeleteBoard, delete_board
from mission_core.tasks.model import Status, Task
from mission_core.tasks.rows import TASK_ROWS
from mission_core.tasks.runs import Assignee
from mission_core.values import micros
from tests.example_counts import max_examples

FEW = settings(max_examples=max_examples(25), suppress_health_check=list(HealthCheck), deadline=None)
RING, MINUTE, HOUR = 64, 60_000_000, 3_600_000_000
AGENTS, OTHERS = ("ada", "Bob"), ("dan", "eve")
TIMES = ("created_at", "moved_at", "begun_at", "completed_at")
Sums = dict[str, dict[tuple[Any, ...], int]]
"""What each table of counters should hold, or holds, by key and without zeros."""

# The minutes have few differences, so that counters of one slot of the ring buffer meet.
ago = st.sampled_from([-1, 0, 0, 1, 63, 64, 65, 150])
kept_tasks = st.tuples(
    some.tasks(
        status=st.sampled_from([Status.INBOX, Status.IN_PROGRESS, Status.DONE]),
        priority=st.sampled_from(["low", "high"]),
        assignee=some.maybe(st.builds(Assignee, st.sampled_from([*AGENTS, "dan"]))),
        tag_ids=st.just(()),
        field_values=st.just("{}"),
    ),
    st.integers(0, 2),
    st.fixed_dictionaries(dict.fromkeys(TIMES, ago)),
)
writes = st.tuples(
    st.just("write"),
    st.dictionaries(st.integers(0, 3), some.maybe(kept_tasks), max_size=3),
    st.lists(st.tuples(some.events, st.integers(0, 3), ago), max_size=3),
)
closings = st.tuples(st.just("close_board"), st.booleans())
renames = st.tuples(st.just("rename"), st.integers(0, 1), st.sampled_from(OTHERS))
names = st.sampled_from([*AGENTS, *OTHERS])
roles, boards = st.sampled_from(["agent", "lead"]), some.maybe(st.integers(0, 2))
hires = st.tuples(st.just("hire"), names, roles, boards)
changes = st.tuples(st.just("change"), names, roles, boards, st.booleans())
dismissals = st.tuples(st.just("dismiss"), names)
passing = st.sampled_from([0, 1, 63, 64])
steps = writes | closings | renames | hires | changes | dismissals
lives = st.lists(st.tuples(passing, writes, passing, steps), min_size=1, max_size=5)


async def rows_of(store: Any, own: UUID, *columns: Any) -> list[tuple[Any, ...]]:
    """
    The rows of an organization in a table of a database.
    """

    def read() -> Any:
        found = select(*columns).where(columns[0].table.c.organization == own.bytes)
        return (yield Statement(found)(store.session.dialect))

    return [tuple(row) for row in await store.session.read(read)]


async def counters_of(store: Any, own: UUID) -> Sums:
    """
    All counters of an organization.
    """
    found: Sums = {}
    for counters in COUNTERS:
        if isinstance(store, MemoryStore):
            cells = store.counters.cells.get((own, counters), {})
            rows = [(own.bytes, *key, *period, amount) for key, (period, amount) in cells.items()]
        else:
            rows = await rows_of(store, own, *metadata.tables[counters.name].c)
        found[counters.name] = {key: amount for _, *values, amount in rows if amount and (key := tuple(values))}
    return found


@define(repr=False)
class Life:
    """
    One organization of a store, and a record of what happened in it.
    """

    store: Any
    world: World
    boards: list[UUID]
    agents: list[UUID]
    ids: dict[int, UUID] = field(factory=dict)
    tasks: dict[UUID, Task] = field(factory=dict)
    events: list[tuple[UUID, str, int]] = field(factory=list)
    by_minute: list[tuple[UUID, str, int, int]] = field(factory=list)
    staff: list[Agent] = field(factory=list)
    position: int = 0

    async def write(self, changes: dict[int, Any], facts: list[Any]) -> None:
        """
        Add, replace and remove tasks, and record events, in one commit.
        """
        now, ports = self.world.clock.now(), self.world.ports
        async with ports.unit(self.world.me) as unit:
            for nth, change in changes.items():
                id = self.ids.setdefault(nth, ports.ids.new())
                old = await unit.tasks.get(id) if id in self.tasks else None
                if change is None:
                    if old is not None:
                        unit.tasks.remove(old)
                    continue
                task, board, times = change
                past = {name: now - timedelta(minutes=each) for name, each in times.items()}
                number = old.number if old else (await ports.numbers.next((self.world.me.organization, "task")))[0]
                task = evolve(
                    task, id=id, number=number, organization=self.world.me.organization,
                    board=self.boards[board % len(self.boards)], version=old.version if old else 0, **past,
                )  # fmt: skip
                (unit.tasks.save if old else unit.tasks.add)(task)
            for fact, nth, minutes in facts:
                about = {"task": self.ids[nth]} if hasattr(fact, "task") and nth in changes else {}
                unit.record(evolve(fact, at=now - timedelta(minutes=minutes), **about))
            await unit.commit()
        await self.note()

    async def close_board(self, hand_over: bool) -> None:
        """
        Delete the last board; its tasks are deleted, too, or move to the first one.
        """
        if len(self.boards) == 1:
            return
        gone, heir = self.boards.pop(), self.boards[0] if hand_over else None
        await delete_board(self.world.ports, self.world.me, DeleteBoard(board=gone, hand_over=hand_over))

        def moved(place: UUID) -> UUID | None:
            return heir if place == gone else place

        self.events = [(to, *rest) for place, *rest in self.events if (to := moved(place))]
        self.by_minute = [(to, *rest) for place, *rest in self.by_minute if (to := moved(place))]
        self.tasks = {id: evolve(each, board=to) for id, each in self.tasks.items() if (to := moved(each.board))}
        await self.note()

    async def rename(self, nth: int, name: str) -> None:
        """
        Rename an agent, and so the assignee of its tasks.
        """
        with suppress(Refusal):
            await update_agent(self.world.ports, self.world.me, UpdateAgent(agent=self.agents[nth], name=name))
        await self.note()

    async def hire(self, name: str, role: str, board: int | None) -> None:
        """
        Create an agent.
        """
        command = CreateAgent(name=name, role=role, board=self.board_at(board))
        with suppress(Refusal):
            await create_agent(self.world.ports, self.world.me, command)
        await self.note()

    async def change(self, name: str, role: str, board: int | None, hidden: bool) -> None:
        """
        Change the role, the board and the visibility of an agent.
        """
        command = UpdateAgent(agent=name, role=role, board=self.board_at(board), hidden=hidden)
        with suppress(Refusal):
            await update_agent(self.world.ports, self.world.me, command)
        await self.note()

    async def dismiss(self, name: str) -> None:
        """
        Delete an agent.
        """
        with suppress(Refusal):
            await delete_agent(self.world.ports, self.world.me, DeleteAgent(agent=name))
        await self.note()

    def board_at(self, place: int | None) -> Any:
        """
        One of the boards that are left, or None.
        """
        return None if place is None else self.boards[place % len(self.boards)]

    async def note(self) -> None:
        """
        Record what the last commit changed.
        """
        own, now = self.world.me.organization, micros(self.world.clock.now()) // MINUTE
        before, self.tasks = self.tasks, await self.stored_tasks()
        self.staff = await self.stored_agents()
        known, counted = before | self.tasks, Counter[tuple[UUID, str, int]]()
        for entry in await self.world.ports.log.read(own, after=self.position, limit=10_000):
            about = json.loads(entry.payload or "{}").get("task")
            task = known.get(UUID(about)) if about else None
            self.events.append((task.board if task else own, entry.kind, micros(entry.at) // HOUR))
            counted[task.board if task else own, entry.kind, micros(entry.at) // MINUTE] += 1
            self.position = entry.position
        for states, amount in ((before, -1), (self.tasks, 1)):
            for task in states.values():
                if task.status is Status.DONE:
                    counted[task.board, "done", micros(status_since(task)) // MINUTE] += amount
        self.by_minute += [(*key, amount) for key, amount in counted.items() if amount and now - RING < key[-1] <= now]

    async def stored_tasks(self) -> dict[UUID, Task]:
        """
        All tasks of the organization.
        """
        own = self.world.me.organization
        if isinstance(self.store, MemoryStore):
            found = [task for task in self.store.tasks.rows.values() if task.organization == own]
        else:
            found = [TASK_ROWS.entity_from(row) for row in await rows_of(self.store, own, *TASK_COLUMNS)]
        return {task.id: task for task in found}

    async def stored_agents(self) -> list[Agent]:
        """
        All agents of the organization.
        """
        own = self.world.me.organization
        if isinstance(self.store, MemoryStore):
            return [agent for agent in self.store.agents.rows.values() if agent.organization == own]
        return [AGENT_ROWS.entity_from(row) for row in await rows_of(self.store, own, *columns_of_entity(Agent))]

    def sums(self) -> Sums:
        """
        What the counters should be.
        """
        tallies = Counter[tuple[Any, ...]]()
        workloads = Counter[tuple[Any, ...]]()
        pulses = Counter((place.bytes, hour, kind, 0) for place, kind, hour in self.events)
        for task in self.tasks.values():
            board, status = task.board.bytes, str(task.status)
            hour, cycle = micros(status_since(task)) // HOUR, cycle_time_of(task)
            tallies[board, status, task.priority, int(task.assignee is not None)] += 1
            if task.assignee is not None:
                workloads[task.assignee.name.lower(), board, status, task.priority] += 1
            pulses[board, hour, status, 0] += 1
            if cycle is not None:
                pulses[board, hour, "cycles", 0] += 1
                pulses[board, hour, "cycle_seconds", 0] += cycle // timedelta(seconds=1)
        latest: dict[tuple[UUID, str, int], int] = {}
        for place, what, minute, _ in self.by_minute:
            latest[place, what, minute % RING] = max(minute, latest.get((place, what, minute % RING), minute))
        for place, what, minute, amount in self.by_minute:
            if latest[place, what, minute % RING] == minute:
                pulses[place.bytes, -1 - minute % RING, what, minute] += amount
        staff = Counter((agent.board.bytes if agent.board else NO_ID, agent.hidden, agent.role) for agent in self.staff)
        found = {"tallies": tallies, "workloads": workloads, "pulses": pulses, "agent_counts": staff}
        return {name: {key: amount for key, amount in each.items() if amount} for name, each in found.items()}


@pytest.fixture
def begin(store: Any, ports: Any) -> Callable[[], Awaitable[Life]]:
    """
    Begins a life in an organization of its own.
    """

    async def begun() -> Life:
        world = await make_world(ports)
        async with ports.unit(world.me) as unit:
            general = await unit.boards.find_handle(GENERAL_HANDLE)
        other = await world.another_board()
        agents = [(await world.agent(name)).id for name in AGENTS]
        life = Life(store, world, [general.id, world.board.id, other.id], agents)
        await life.note()
        return life

    return begun


@FEW
@given(lives)
async def test_counters_are_sums_over_all_tasks_agents_and_events(
    begin: Callable[[], Awaitable[Life]], lived: list[Any]
) -> None:
    """
    Also after boards were deleted or merged, and after agents were renamed to an assignee's name.
    """
    life = await begin()
    for first, (_, *written), second, (step, *arguments) in lived:
        life.world.clock.advance(minutes=first)
        await life.write(*written)
        life.world.clock.advance(minutes=second)
        await getattr(life, step)(*arguments)

        assert life.sums() == await counters_of(life.store, life.world.me.organization)
