"""
What a session remembers of credentials and boards: what the statement would answer now, whoever has committed
meanwhile, and without asking while nothing has.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mission_adapters.sql.database_session import BoundStatement, Steps
from mission_adapters.sql.read_cache import CACHE_SIZE, ReadCache
from mission_adapters.sql.sqlite_session import SqliteSession
from mission_adapters.sql.store import SqlStore
from mission_adapters.testing import ManualClock, seeded_secrets
from mission_core.accounts.members import BoardPermission
from mission_core.accounts.model import Role
from mission_core.accounts.server_key_rotation import RotateServerKey, rotate_server_key
from mission_core.accounts.sign_in import SignIn, sign_in, sign_out, token_digest
from mission_core.accounts.user_admin import DeleteUser, UpdateUser, delete_user, update_user
from mission_core.agents.update import UpdateAgent, update_agent
from mission_core.agents.use_cases import (
    CreateKey,
    RecordAgentHeartbeat,
    RevokeKey,
    create_key,
    presence_update_due,
    record_agent_heartbeat,
    revoke_key,
)
from mission_core.boards.board_access import BoardAccess, SetBoardAccess, set_board_access
from mission_core.boards.model import Board, BoardNotFound
from mission_core.errors import Refusal
from mission_core.ids import ApiKeyNumber
from mission_core.ports import Ports
from mission_core.tasks.agent_deletion import DeleteAgent, delete_agent
from mission_core.tasks.board_deletion import DeleteBoard, delete_board
from mission_http.wiring import ServerSecretCredentials
from tests.contract.browser import PASSWORD, Person, make_person
from tests.contract.conftest import World, make_world, ports_over
from tests.example_counts import max_examples

GIVEN = "the-key-of-the-environment"
STORES = 2
SEEDS = count(1000)


def ports_with_secrets(store: SqlStore, clock: ManualClock) -> Ports:
    """
    Ports over a store that give out other secrets than those of the other stores.
    """
    return evolve(ports_over(store, clock), secrets=seeded_secrets(next(SEEDS)))


def knowing(world: World, given: str = GIVEN) -> World:
    """
    The world as a server sees it whose environment has a key.
    """
    known = {token_digest(given): world.me}
    return evolve(world, ports=evolve(world.ports, credentials=ServerSecretCredentials(world.ports.credentials, known)))


@define
class Servers:
    """
    Servers on one SQLite file, in one organization, and what was handed out there. The last one remembers nothing.
    """

    worlds: list[World]
    path: Path
    keys: list[tuple[ApiKeyNumber, str]] = field(factory=list)
    """The number and the secret of each key of an agent."""
    server_keys: list[str] = field(factory=lambda: [GIVEN])
    people: list[Person] = field(factory=list)
    sessions: list[Any] = field(factory=list)
    boards: list[Board] = field(factory=list)
    agents: int = 0

    @property
    def clock(self) -> ManualClock:
        return self.worlds[0].clock

    async def answers(self, world: World) -> list[Any]:
        """
        What every credential stands for, and whether its presence is due.
        """
        found: list[Any] = []
        credentials, at = world.ports.credentials, self.clock.now()
        for secret in [secret for _, secret in self.keys] + self.server_keys:
            principal = await credentials.principal_of(token_digest(secret), at=at)
            found.append((principal, principal is not None and presence_update_due(principal, at=at)))
        for session in self.sessions:
            found.append(await credentials.session_principal(token_digest(session.token), at=at))
        for person in self.people:
            found.append(await credentials.member(person.found.user.id))
            found.append(await credentials.member(person.found.user.id, world.me.organization))
        for board in self.boards:
            for key in (board.id, board.number):
                with suppress(BoardNotFound):
                    found.append(await world.ports.reads.boards.check(world.me, key))
        return found


Step = Callable[[Servers, World, int], Awaitable[object]]


async def hire(servers: Servers, world: World, which: int) -> None:
    """
    An agent, which is heard of at once: before, its presence is due with each request.
    """
    servers.agents += 1
    agent = await world.agent(f"agent-{servers.agents}")
    await record_agent_heartbeat(world.ports, world.me, RecordAgentHeartbeat(agent=agent.id))
    key, secret = await create_key(world.ports, world.me, CreateKey(agent=agent.id))
    servers.keys.append((key.number, secret))


async def give_key(servers: Servers, world: World, which: int) -> None:
    """
    One more key, which ends on the tick of the clock after next.
    """
    lifetime = timedelta(seconds=40)
    key, secret = await create_key(world.ports, world.me, CreateKey(agent=named(servers, which), lifetime=lifetime))
    servers.keys.append((key.number, secret))


def named(servers: Servers, which: int) -> str:
    return f"agent-{which % (servers.agents or 1) + 1}"


async def revoke(servers: Servers, world: World, which: int) -> None:
    async with world.ports.unit(world.me) as unit:
        number, _ = servers.keys[which % len(servers.keys)]
        agent = (await unit.keys.get(number)).agent
    await revoke_key(world.ports, world.me, RevokeKey(agent=agent, key=number))


async def lead(servers: Servers, world: World, which: int) -> None:
    await update_agent(world.ports, world.me, UpdateAgent(agent=named(servers, which), board=world.board.id, lead=True))


async def confine(servers: Servers, world: World, which: int) -> None:
    await update_agent(world.ports, world.me, UpdateAgent(agent=named(servers, which), board=None, lead=False))


async def rename(servers: Servers, world: World, which: int) -> None:
    servers.agents += 1
    new = f"agent-{servers.agents}"
    await update_agent(world.ports, world.me, UpdateAgent(agent=named(servers, which), name=new))


async def dismiss(servers: Servers, world: World, which: int) -> None:
    await delete_agent(world.ports, world.me, DeleteAgent(agent=named(servers, which)))


async def hear(servers: Servers, world: World, which: int) -> None:
    await record_agent_heartbeat(world.ports, world.me, RecordAgentHeartbeat(agent=named(servers, which)))


async def rotate(servers: Servers, world: World, which: int) -> None:
    command = RotateServerKey(given=GIVEN, overlap=timedelta(seconds=40 * (which % 2)))
    made = await rotate_server_key(world.ports, world.me, command)
    servers.server_keys.append(str(made.secret))


async def join(servers: Servers, world: World, which: int) -> None:
    person = await make_person(world)
    servers.people.append(person)
    servers.sessions.append(await sign_in(world.ports, SignIn(username=person.username, password=PASSWORD)))


def number_of(servers: Servers, which: int) -> Any:
    return servers.people[which % len(servers.people)].number


async def promote(servers: Servers, world: World, which: int) -> None:
    role = (Role.VIEWER, Role.ADMIN)[which % 2]
    await update_user(world.ports, world.me, UpdateUser(user=number_of(servers, which), role=role, name=f"P {which}"))


async def suspend(servers: Servers, world: World, which: int) -> None:
    await update_user(world.ports, world.me, UpdateUser(user=number_of(servers, which), approved=bool(which % 2)))


async def expel(servers: Servers, world: World, which: int) -> None:
    await delete_user(world.ports, world.me, DeleteUser(user=number_of(servers, which)))


async def grant(servers: Servers, world: World, which: int) -> None:
    boards = (BoardPermission(world.board.id, True, bool(which % 2)),)[which % 3 :]
    member = servers.people[which % len(servers.people)].found.member.id
    await set_board_access(world.ports, world.me, SetBoardAccess(member=member, access=BoardAccess(boards=boards)))


async def leave(servers: Servers, world: World, which: int) -> None:
    await sign_out(world.ports, servers.sessions[which % len(servers.sessions)].principal)


async def build(servers: Servers, world: World, which: int) -> None:
    servers.boards.append(await world.another_board(f"Board {len(servers.boards)}"))


async def demolish(servers: Servers, world: World, which: int) -> None:
    board = servers.boards[which % len(servers.boards)]
    await delete_board(world.ports, world.me, DeleteBoard(board=board.id))


async def work(servers: Servers, world: World, which: int) -> None:
    """
    A commit that has nothing to do with credentials.
    """
    await world.task()


async def wait(servers: Servers, world: World, which: int) -> None:
    servers.clock.advance(seconds=20)


async def checkpoint(servers: Servers, world: World, which: int) -> None:
    """
    Another process moves the log into the database, so that it starts again.
    """
    connection = sqlite3.connect(servers.path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()


STEPS: list[Step] = [
    hire, give_key, revoke, lead, confine, rename, dismiss, hear, rotate, join, promote, suspend, expel, grant, leave,
    build, demolish, work, wait, checkpoint,
]  # fmt: skip
steps = st.tuples(st.sampled_from(STEPS), st.integers(0, STORES - 1), st.integers(0, 5))


@define
class Opened:
    """
    Stores on one file, and the loop they live on.
    """

    runner: asyncio.Runner
    stores: list[SqlStore]
    clock: ManualClock
    path: Path

    async def organization(self) -> Servers:
        ports = [ports_with_secrets(store, self.clock) for store in self.stores]
        first = await make_world(ports[0])
        worlds = [knowing(evolve(first, ports=each)) for each in ports]
        return Servers(worlds, self.path)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    path, clock = tmp_path_factory.mktemp("cached") / "it.db", ManualClock()
    with asyncio.Runner() as runner, opened_stores(runner, path, clock) as stores:
        stores[-1].session.wal_index.close()  # type: ignore[attr-defined]  # it is SQLite's
        yield Opened(runner, stores, clock, path)


@contextmanager
def opened_stores(runner: asyncio.Runner, path: Path, clock: ManualClock) -> Iterator[list[SqlStore]]:
    stack = AsyncExitStack()

    async def enter() -> list[SqlStore]:
        opening = [SqlStore.open(f"sqlite:///{path}", clock=clock) for _ in range(STORES + 1)]
        return [await stack.enter_async_context(each) for each in opening]

    with ExitStack() as closing:
        closing.callback(lambda: runner.run(stack.aclose()))
        yield runner.run(enter())


@given(taken=st.lists(steps, min_size=4, max_size=24))
@settings(
    max_examples=max_examples(15), deadline=None, phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
def test_nobody_remembers_otherwise_than_the_statement_answers(
    opened: Opened, taken: list[tuple[Step, int, int]]
) -> None:
    """
    Whatever was committed, and by whom, all servers answer like one that asks each time.
    """

    async def run() -> None:
        servers = await opened.organization()
        await hire(servers, servers.worlds[0], 0)
        await join(servers, servers.worlds[1], 0)
        await build(servers, servers.worlds[0], 0)
        for step, place, which in taken:
            world = servers.worlds[place]
            try:
                await step(servers, world, which)
            except Refusal:
                continue  # what is gone cannot be changed
            expected = await servers.answers(servers.worlds[-1])
            for other in servers.worlds[:-1]:
                assert expected == await servers.answers(other), step.__name__

    opened.runner.run(run())


@pytest.mark.parametrize("place", range(STORES))
@pytest.mark.parametrize(
    "step",
    [revoke, lead, rename, dismiss, rotate, promote, suspend, expel, grant, leave, demolish],
    ids=lambda each: each.__name__,
)
def test_each_change_is_seen_at_once(opened: Opened, step: Step, place: int) -> None:
    """
    By the server that made it, and by one that had remembered otherwise.
    """

    async def run() -> None:
        servers = await opened.organization()
        for prepare in (hire, join, build, work):
            await prepare(servers, servers.worlds[0], 0)
        before = [await servers.answers(each) for each in servers.worlds]
        await step(servers, servers.worlds[place], 0)
        first, *others = [await servers.answers(each) for each in servers.worlds]

        assert [before[0]] * len(before) == before
        assert [first] * len(others) == others
        assert before[0] != first[: len(before[0])]

    opened.runner.run(run())


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """
    A store of this test's own.
    """
    async with SqlStore.open(f"sqlite:///{tmp_path / 'own.db'}", clock=ManualClock()) as store:
        yield store


@pytest.fixture
async def server(store: SqlStore, tmp_path: Path) -> Servers:
    """
    A server alone on its file, with an agent and a person who is signed in.
    """
    clock = store.clock
    assert isinstance(clock, ManualClock)
    servers = Servers([knowing(await make_world(ports_over(store, clock)))], tmp_path / "own.db")
    for prepare in (hire, join):
        await prepare(servers, servers.worlds[0], 0)
    await servers.answers(servers.worlds[0])
    return servers


async def read_statements(store: SqlStore, asking: Awaitable[object]) -> list[str]:
    """
    The statements that were read meanwhile.
    """
    session, texts = store.session, list[str]()
    assert isinstance(session, SqliteSession)
    for reader in session.readers:
        await reader.set_trace_callback(lambda text: texts.append(text) if text.startswith("SELECT") else None)
    await asking
    return texts


@pytest.mark.parametrize("step", [None, work, hear, wait], ids=["nothing", "work", "hear", "wait"])
async def test_nothing_is_asked_again_while_it_cannot_have_changed(
    store: SqlStore, server: Servers, step: Step | None
) -> None:
    """
    Neither when this process has committed something else, as is the presence of an agent.
    """
    (world,) = server.worlds
    if step is not None:
        await step(server, world, 0)

    assert [] == await read_statements(store, server.answers(world))


@pytest.mark.parametrize(("step", "asked"), [(checkpoint, 5), (revoke, 1), (leave, 1), (rotate, 3), (promote, 3)])
async def test_only_what_may_have_changed_is_asked_again(
    store: SqlStore, server: Servers, step: Step, asked: int
) -> None:
    (world,) = server.worlds
    await step(server, world, 0)
    counted = await read_statements(store, server.answers(world))

    assert asked == len(counted)


async def test_a_presence_is_asked_again_when_it_is_due(store: SqlStore, server: Servers) -> None:
    (world,) = server.worlds
    server.clock.advance(minutes=10)
    await hear(server, world, 0)

    assert 1 == len(await read_statements(store, server.answers(world)))
    assert [] == await read_statements(store, server.answers(world))


async def test_what_nobody_knows_is_not_remembered(store: SqlStore, server: Servers) -> None:
    """
    So nobody can fill the memory with secrets that they made up.
    """
    (world,) = server.worlds
    kept = [len(each.values) for each in store.session.cache.parts]
    for n in range(5):
        for _ in range(2):
            asking = world.ports.credentials.principal_of(token_digest(f"made up {n}"), at=world.clock.now())

            assert 1 == len(await read_statements(store, asking))
    assert kept == [len(each.values) for each in store.session.cache.parts]


async def test_a_memory_is_bounded() -> None:
    """
    What was used least recently makes room.
    """
    cache = ReadCache(lambda: b"header")
    part = cache.of(frozenset)

    async def read() -> str:
        return "value"

    for n in range(CACHE_SIZE):
        await part.read(n, read)
    part.find(0)
    await part.read(CACHE_SIZE, read)

    assert ("value", None, CACHE_SIZE) == (part.find(0), part.find(1), len(part.values))


def test_the_columns_of_a_cache_that_nobody_read_are_not_asked_for() -> None:
    """
    A commit has nothing to drop there.
    """
    asked: list[frozenset[str]] = []
    cache = ReadCache(lambda: b"header", valid_at=b"header")
    cache.of(lambda: asked.append(frozenset()) or frozenset())

    cache.committed(b"header", b"next", {"heads"})

    assert [] == asked


async def test_a_commit_during_the_read_is_not_missed(store: SqlStore) -> None:
    """
    A value that was read before a commit is not kept after it, whether this process made the commit or another.
    """
    session = store.session
    part = session.cache.of(lambda: frozenset({"heads"}))
    await session.write(count_up)  # from then on the writer knows its own commits

    async def changed_here() -> str:
        await session.write(count_up)
        return "old"

    async def changed_there() -> str:
        other = sqlite3.connect(str(session.files.path), isolation_level=None)  # type: ignore[attr-defined]
        other.execute("INSERT INTO heads VALUES (randomblob(16), 0, x'', 0, 0)")
        other.close()
        return "old"

    for change in (changed_here, changed_there):
        await part.read("key", change)

        assert part.find("key") is None


def count_up() -> Steps[None]:
    yield BoundStatement("INSERT INTO heads VALUES (randomblob(16), 0, x'', 0, 0)", returns_rows=False)


def change_nothing() -> Steps[None]:
    yield BoundStatement("UPDATE numbers SET value = value", returns_rows=False)


async def test_a_commit_of_another_that_hides_behind_ours_is_not_missed(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Ours changes no row, so the one commit that the counter shows is not ours.
    """
    session, part = store.session, store.session.cache.of(lambda: frozenset({"heads"}))
    assert isinstance(session, SqliteSession)
    await session.write(count_up)
    note = SqliteSession._note_commit

    def after_another(*given: Any) -> Any:
        other = sqlite3.connect(session.files.path, isolation_level=None)
        other.execute("INSERT INTO heads VALUES (randomblob(16), 0, x'', 0, 0)")
        other.close()
        return note(*given)

    async def read() -> str:
        return "old"

    await session.write(change_nothing)
    await part.read("key", read)
    assert "old" == part.find("key")
    monkeypatch.setattr(SqliteSession, "_note_commit", after_another)
    await session.write(change_nothing)

    assert part.find("key") is None


async def test_a_commit_that_no_batch_made_is_not_missed(store: SqlStore) -> None:
    """
    The writer's own connection may be used for something else.
    """
    session, part = store.session, store.session.cache.of(lambda: frozenset({"heads"}))
    assert isinstance(session, SqliteSession)

    async def read() -> str:
        return "old"

    await session.write(count_up)
    await part.read("key", read)
    await session.writer.execute_fetchall("INSERT INTO heads VALUES (randomblob(16), 0, x'', 0, 0)")
    await session.write(change_nothing)

    assert part.find("key") is None


async def test_what_expires_is_refused_at_its_moment(server: Servers) -> None:
    """
    Without a commit and without a statement: an agent's key, a server's key that was replaced, and a session.
    """
    (world,) = server.worlds
    await give_key(server, world, 0)
    await rotate(server, world, 1)
    key, session = server.keys[-1][1], server.sessions[0]
    credentials, clock = world.ports.credentials, world.clock

    async def known() -> list[bool]:
        at = clock.now()
        keys = [await credentials.principal_of(token_digest(each), at=at) for each in (key, GIVEN)]
        return [each is not None for each in (*keys, await credentials.session_principal(session_digest, at=at))]

    session_digest = token_digest(session.token)
    assert [True] * 3 == await known()
    clock.advance(seconds=39)
    assert [True] * 3 == await known()
    clock.advance(seconds=1)
    assert [False, False, True] == await known()
    left = session.session.expires_at - clock.now()
    clock.advance(microseconds=left // timedelta(microseconds=1) - 1)
    assert [False, False, True] == await known()
    clock.advance(microseconds=1)
    assert [False, False, False] == await known()


async def test_without_the_index_nothing_is_remembered(store: SqlStore, server: Servers) -> None:
    (world,) = server.worlds
    session = store.session
    assert isinstance(session, SqliteSession)
    session.wal_index.close()

    assert 5 == len(await read_statements(store, server.answers(world)))
    assert 5 == len(await read_statements(store, server.answers(world)))
