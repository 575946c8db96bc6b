"""
What the contracts of all stores share: each store opened once, and an organization of its own for each test.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from mission_adapters import testing
from mission_adapters.encryption import AesSecretEncryption
from mission_adapters.memory import MemoryStore
from mission_adapters.testing import (
    ManualClock,
    seeded_secrets,
    weak_argon2_hasher,
)
from mission_adapters.testing import (
    World as World,
)
from mission_adapters.testing import (
    make_world as make_world,
)
from mission_adapters.testing.world import OPEN as OPEN
from mission_core.accounts.model import Role, SystemPrincipal
from mission_core.ports import Ports
from tests import postgres_server
from tests.contract.boards_driver import BoardsDriver, boards_over
from tests.contract.boards_team import Team, team_of
from tests.contract.fleet_driver import FleetDriver, fleet_over

STORES = ("memory", "sqlite", "postgres")
INTERLEAVED = "interleaved"
"""The memory store with pauses, for suites that race; they ask for it themselves."""
TRIGRAMS = "trigrams"
"""A PostgreSQL with the index of a text search, where one can be had."""
API_DRIVERS = {"boards", "fleet"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """
    Choose the stores of a test. A test of an API, which is one with a driver, runs on SQLite; any other runs on every
    store. The markers `every_store` and `one_store` say otherwise.
    """
    marks = list(metafunc.definition.iter_markers())  # a function's own come before those of its module
    if "store_url" not in metafunc.fixturenames or any(
        mark.name == "parametrize" and mark.args[0] == "store_url" for mark in marks
    ):
        return
    default = "one_store" if API_DRIVERS.intersection(metafunc.fixturenames) else "every_store"
    chosen = next((mark.name for mark in marks if mark.name in ("one_store", "every_store")), default)
    stores = STORES if chosen == "every_store" else ("sqlite",)
    metafunc.parametrize("store_url", stores, indirect=True, scope="session")


@pytest.fixture(scope="session")
def store_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """
    Where a store keeps its rows: nowhere, in a file, or on a server.
    """
    if request.param in ("memory", INTERLEAVED):
        yield f"{request.param}://"
    elif request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('sqlite') / 'mission.db'}"
    else:
        server = "trigram_server" if request.param == TRIGRAMS else "postgres_url"
        with postgres_server.empty_database(request.getfixturevalue(server)) as url:
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
    Ports over a store as a server has them, but with secrets and passwords that are worth nothing.
    """
    passwords, vault = weak_argon2_hasher(), AesSecretEncryption(bytes(32))
    return testing.ports_over(store, clock=clock, secrets=seeded_secrets(7), passwords=passwords, vault=vault)


@pytest.fixture
async def world(ports: Ports, clock: ManualClock) -> World:
    """
    A fresh organization with a board without gates.
    """
    return await make_world(ports)


@pytest.fixture
async def elsewhere(ports: Ports, clock: ManualClock) -> World:
    """
    Another organization on the same store.
    """
    return await make_world(ports)


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
