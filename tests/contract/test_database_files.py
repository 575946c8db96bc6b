"""
A SQLite database whose files are moved, deleted or replaced under a server that has it open.
"""

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from mission_adapters.sql.database_session import Steps
from mission_adapters.sql.readiness_check import write_unchanged_row
from mission_adapters.sql.store import SqlStore
from mission_adapters.testing import ManualClock
from mission_core.errors import OutcomeUnknown, StoreFailed
from tests.contract.boards_driver import TOKEN, BoardsDriver, boards_over
from tests.contract.conftest import make_world, ports_over
from tests.unit.http.platform.sample_app import Answer, ask


def moved(database: Path) -> None:
    database.rename(database.with_name("elsewhere.db"))


def put_back(database: Path) -> None:
    database.with_name("elsewhere.db").rename(database)


def deleted(database: Path) -> None:
    database.unlink()


def replaced(database: Path) -> None:
    shutil.copy(database, database.with_name("copy.db"))
    database.with_name("copy.db").replace(database)


def robbed_of_its_log(database: Path) -> None:
    database.with_name(database.name + "-wal").unlink()


def folder_moved(database: Path) -> None:
    database.parent.rename(database.parent.with_name("moved"))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """
    Where the database is kept.
    """
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "mission.db"


@pytest.fixture
def clock() -> ManualClock:
    """
    A clock of this test's own.
    """
    return ManualClock()


@pytest.fixture
async def boards(database: Path, clock: ManualClock) -> AsyncIterator[BoardsDriver]:
    """
    The Boards API over it.
    """
    async with SqlStore.open(f"sqlite:///{database}", clock=clock) as store:
        world = await make_world(ports_over(store, clock))
        async with boards_over(world.ports, world.me, world.board.id) as boards:
            yield boards


async def written(boards: BoardsDriver) -> Answer:
    """
    The answer to a new task.
    """
    raw = b'{"title": "Lost"}'
    return await ask(boards.app, "POST", boards.tasks, raw, key=None, authorization=f"Bearer {TOKEN}")


@pytest.mark.parametrize("befalls", [moved, deleted, replaced, robbed_of_its_log, folder_moved])
async def test_nothing_is_acknowledged_that_a_restart_would_not_find(
    boards: BoardsDriver, database: Path, befalls: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """
    Reads go on, writes and the probe of a load balancer are refused, and an operator is told.
    """
    await boards.task("Kept")
    assert 200 == (await boards.call("GET", "/readyz")).status
    befalls(database)
    answers = [await written(boards) for _ in range(2)]
    probe = await boards.call("GET", "/readyz")

    assert [503, 503, 503] == [answer.status for answer in (*answers, probe)]
    assert "restart the server" in answers[0].json["detail"]
    assert ["Kept"] == [each["title"] for each in (await boards.got("GET", boards.tasks))["items"]]
    (told,) = [record for record in caplog.records if record.message.startswith("database_files_replaced")]
    assert str(database) in told.message


async def test_an_agent_reads_on_although_its_presence_cannot_be_kept(
    boards: BoardsDriver, clock: ManualClock, database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """
    What a read writes beside it costs the read nothing.
    """
    made = await boards.got("POST", "/api/v1/agents", {"name": "ada", "board_id": str(boards.board)})
    clock.advance(hours=1)
    moved(database)
    reads = ("/api/v1/agent/boards", "/api/v1/agent/agents", boards.tasks)
    answers = [await boards.call("GET", path, agent=made["agent_token"]) for path in reads]

    assert [200, 200, 200] == [each.status for each in answers]
    assert [each.message for each in caplog.records if each.message.startswith("presence_not_recorded agent='ada' ")]


async def test_a_database_that_is_put_back_needs_a_restart(boards: BoardsDriver, database: Path) -> None:
    """
    Since what was written meanwhile may be in either.
    """
    moved(database)
    await written(boards)
    put_back(database)

    assert 503 == (await written(boards)).status
    with pytest.raises(StoreFailed):
        await boards.ports.reads.ready()


async def test_a_database_that_is_moved_during_a_commit_leaves_the_outcome_unknown(database: Path) -> None:
    """
    Nobody is told that it was kept, nor that it was not.
    """

    def writing() -> Steps[None]:
        yield from write_unchanged_row()
        moved(database)

    async with SqlStore.open(f"sqlite:///{database}") as store:
        with pytest.raises(OutcomeUnknown, match="restart the server"):
            await store.session.write(writing)
        with pytest.raises(StoreFailed, match="nothing was changed"):
            await store.session.write(write_unchanged_row)
