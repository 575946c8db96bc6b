"""
What the contracts of all stores share: each store opened once, and an organization of its own for each test.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from attrs import evolve, frozen

from mission_adapters.clocks import ManualClock
from mission_adapters.encryption import AesSecretEncryption
from mission_adapters.ids import TimeOrderedIds
from mission_adapters.lease_signatures import HmacSecrets
from mission_adapters.memory import MemoryStore
from mission_adapters.password_hashing import Argon2PasswordHasher
from mission_core.accounts.model import AgentPrincipal, Role, SystemPrincipal
from mission_core.agents.model import Agent
from mission_core.agents.organization_creation import ensure_organization
from mission_core.agents.use_cases import CreateAgent, create_agent
from mission_core.boards.model import Board, GateSet
from mission_core.boards.use_cases import CreateBoard, create_board
from mission_core.ports import Ports
from mission_core.tasks.leases import ClaimNext, ClaimResult, ClaimTask, claim_next, claim_task
from mission_core.tasks.model import Task
from mission_core.tasks.use_cases import CreateTask, create_task
from tests import postgres_server
from tests.contract.boards_driver import BoardsDriver, boards_over
from tests.contract.boards_team import Team, team_of
from tests.contract.fleet_driver import FleetDriver, fleet_over

OPEN = GateSet(require_approval_for_done=False)
STORES = ("memory", "sqlite", "postgres")
INTERLEAVED = "interleaved"
"""The memory store with pauses, for suites that race; they ask for it themselves."""


@pytest.fixture(scope="session", params=STORES)
def store_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """
    Where a store keeps its rows: nowhere, in a file, or on a server.
    """
    if request.param in ("memory", INTERLEAVED):
        yield f"{request.param}://"
    elif request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('sqlite') / 'mission.db'}"
    else:
        with postgres_server.empty_database(request.getfixturevalue("postgres_url")) as url:
            yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """
    The URL of an empty database for a server process.
    """
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'work.db'}"
    return str(request.getfixturevalue("fresh_postgres"))


@pytest.fixture(scope="session")
def clock() -> ManualClock:
    """
    A clock that moves only when a test moves it.
    """
    return ManualClock()


@pytest.fixture(scope="session")
async def store(store_url: str, clock: ManualClock) -> AsyncIterator[Any]:
    """
    An open store.
    """
    if store_url == "memory://":
        yield MemoryStore(clock)
    elif store_url == "interleaved://":
        yield MemoryStore(clock, interleave=9)
    else:
        from mission_adapters.sql.store import SqlStore

        async with SqlStore.open(store_url, clock=clock) as opened:
            yield opened


@pytest.fixture(scope="session")
def ports(store: Any, clock: ManualClock) -> Ports:
    """
    Ports over the store.
    """
    return ports_over(store, clock)


def ports_over(store: Any, clock: ManualClock) -> Ports:
    """
    Ports over a store, with secrets and passwords that are worth nothing.
    """
    return Ports(
        unit=store.unit,
        reads=store.reads,
        log=store.log,
        credentials=store.credentials,
        numbers=store.numbers,
        clock=clock,
        ids=TimeOrderedIds(),
        secrets=HmacSecrets.seeded(7),
        passwords=Argon2PasswordHasher.weak_for_tests(),
        vault=AesSecretEncryption(bytes(32)),
    )


@frozen
class World:
    """
    An organization, who may do everything in it, its board without gates, and short ways to what most tests need.
    """

    ports: Ports
    clock: ManualClock
    me: SystemPrincipal
    board: Board

    async def task(self, title: str = "Ship it", *, by: Any = None, **fields: Any) -> Task:
        """
        A new task on the board.
        """
        return await create_task(
            self.ports, by or self.me, CreateTask(title=title, **({"board": self.board.id} | fields))
        )

    async def another_board(self, name: str = "Other", **fields: Any) -> Board:
        """
        A new board without gates.
        """
        return await create_board(self.ports, self.me, CreateBoard(name=name, **({"gates": OPEN} | fields)))

    async def agent(self, name: str = "ada", **fields: Any) -> Agent:
        """
        A new agent.
        """
        return (await create_agent(self.ports, self.me, CreateAgent(name=name, **fields))).agent

    async def principal(self, name: str = "ada", *, role: Role = Role.OPERATOR, **fields: Any) -> AgentPrincipal:
        """
        What a new agent's key stands for.
        """
        agent = await self.agent(name, **fields)
        return AgentPrincipal(
            organization=agent.organization, agent=agent.id, name=agent.name, board=agent.board, lead=agent.lead,
            role=role,
        )  # fmt: skip

    async def claim(self, task: Task | None = None, agent: str = "ada", **fields: Any) -> ClaimResult | None:
        """
        Take this task, or the next one.
        """
        if task is None:
            return await claim_next(self.ports, self.me, ClaimNext(agent=agent, **fields))
        return await claim_task(self.ports, self.me, ClaimTask(task=task.id, agent=agent, **fields))

    async def fresh(self, task: Task) -> Task:
        """
        The task as it is committed now.
        """
        async with self.ports.unit(self.me) as unit:
            return await unit.tasks.get(task.id)

    async def facts(self) -> list[str]:
        """
        The kinds of all entries of the organization's log.
        """
        return [entry.kind for entry in await self.ports.log.read(self.me.organization, limit=10_000)]


async def make_world(ports: Ports, clock: ManualClock, slug: str | None = None) -> World:
    """
    A fresh organization.
    """
    organization = await ensure_organization(ports, slug=slug or f"test-{uuid4()}")
    me = SystemPrincipal(organization=organization.id)
    board = await create_board(ports, me, CreateBoard(name="Work", gates=OPEN))
    return World(ports, clock, me, board)


@pytest.fixture
async def world(ports: Ports, clock: ManualClock) -> World:
    """
    A fresh organization with a board without gates.
    """
    return await make_world(ports, clock)


@pytest.fixture
async def elsewhere(ports: Ports, clock: ManualClock) -> World:
    """
    Another organization on the same store.
    """
    return await make_world(ports, clock)


@pytest.fixture
async def boards(world: World) -> AsyncIterator[BoardsDriver]:
    """
    The Boards API over that organization.
    """
    async with boards_over(world.ports, world.me, world.board.id) as boards:
        yield boards


@pytest.fixture(params=["agents", "mixed"])
async def team(boards: BoardsDriver, request: pytest.FixtureRequest) -> Team:
    """
    A team of that board, whose agents call at their half of the API or at the half for everybody.
    """
    return await team_of(boards, boards.agent_tasks if request.param == "agents" else boards.tasks)


@pytest.fixture
async def fleet(world: World) -> AsyncIterator[FleetDriver]:
    """
    The Fleet API over that organization.
    """
    async with fleet_over(world.ports, world.me, world.board.number) as fleet:
        yield fleet


def viewer(world: World) -> SystemPrincipal:
    """
    Somebody who may only look.
    """
    return evolve(world.me, name="viewer", role=Role.VIEWER)
