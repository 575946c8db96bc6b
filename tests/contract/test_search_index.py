"""
A text search finds exactly what a scan finds, whatever the index covers.
"""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.sql import database_inspection, search_index, text_search
from mission_adapters.sql.database_inspection import SearchIndexState, inspect_database
from mission_adapters.sql.database_session import BoundStatement, Steps
from mission_adapters.sql.migrations import migrate
from mission_adapters.sql.organization_deletion import DELETES
from mission_adapters.sql.search_index import MAX_CANDIDATES
from mission_adapters.sql.store import SqlStore
from mission_adapters.sql.text_search import candidate_parameters, like_pattern, search_indexed
from mission_adapters.testing import ManualClock, ports_over
from mission_adapters.testing.contracts.base import contract_settings
from mission_adapters.testing.world import World, make_world
from mission_core.agents.update import UpdateAgent, update_agent
from mission_core.reports.text_search import ascii_lowercased, relevance
from mission_core.tasks.agent_deletion import DeleteAgent, delete_agent
from mission_core.tasks.use_cases import CreateTask, DeleteTask, UpdateTask, create_task, delete_task, update_task
from tests.contract.conftest import TRIGRAMS
from tests.contract.schemas import asked
from tests.postgres_server import empty_database, has_trigrams

ROUNDS = 8
"""More than the steps that PostgreSQL takes from one batch to the next."""
WORDS = ["Ship", "sHIPPED", "ship it", "100%", "a_b", "a\\b", 'say "no"', "it's", "ÄRGER", "ärger", "Ärger",
         "e\u0301te", "\u00e9te", "ß", "STRASSE", "straße", "\ufb01x", "\u212aelvin", "日本語テスト", "日本",
         "\U0001f680\U0001f680x", "aaa", "aaaa", "İi\u0307", "a b c", "AND", "*", "NEAR(", "\u0001"]  # fmt: skip
OTHER_TEXTS = """
INSERT INTO task_texts SELECT 'other', n, repeat(md5(n::text), 8) FROM generate_series(1, 3000) AS n
"""
OTHER_WORKLOADS = """
INSERT INTO workloads SELECT organization, md5(n::text), 'other', 'done', 'low', 1
FROM generate_series(1, 3000) AS n, (SELECT DISTINCT organization FROM search_progress) AS own
"""
INDEXED_NAMES = """
SELECT assignee_key FROM assignee_names WHERE indexed = 1 AND id IN
(SELECT rowid FROM assignee_trigrams WHERE assignee_trigrams MATCH '"car" OR "ali" OR "bob"')
"""
NEEDLES = """
SELECT count(*) FROM task_trigrams WHERE task_trigrams MATCH '"nee" AND "dle"' UNION ALL
SELECT count(*) FROM assignee_trigrams WHERE assignee_trigrams MATCH '"nee" AND "dle"'
"""
WITHOUT_NAMES = """
DROP TRIGGER search_assignee_inserted; DROP TRIGGER search_assignee_deleted;
DROP TABLE assignee_trigrams; DROP TABLE assignee_names
"""
texts = st.lists(st.sampled_from(WORDS) | st.text(st.sampled_from("aAbB%_\\\"' é\u0301ß"), max_size=4), max_size=3).map(
    " ".join
)


on_every_store = pytest.mark.parametrize("store_url", ["memory", "sqlite", TRIGRAMS], indirect=True, scope="session")


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The index is used from one task and one agent on.
    """
    monkeypatch.setattr(text_search, "FEW_ROWS", {"tasks": 1, "agents": 1})


@st.composite
def needles(draw: st.DrawFn) -> str:
    """
    Texts to search for: parts of the texts that are there, and others.
    """
    text = draw(texts)
    first = draw(st.integers(0, max(len(text) - 1, 0)))
    text = text[first : first + draw(st.integers(1, 24))]
    return draw(st.sampled_from([text, text.swapcase()])) or draw(st.sampled_from(WORDS))


steps = st.lists(
    st.tuples(st.just("add"), texts, st.none() | texts, st.sampled_from([None, None, *WORDS]))
    | st.tuples(st.just("change"), st.integers(0, 9), texts, st.none() | texts)
    | st.tuples(st.just("assign"), st.integers(0, 9), st.sampled_from([None, *WORDS]))
    | st.tuples(st.just("delete"), st.integers(0, 9))
    | st.tuples(st.just("index"), st.integers(1, 3)),
    min_size=4, max_size=14,
)  # fmt: skip


async def index(world: World, limit: int = 1) -> None:
    """
    Index what is lacking, as a few rounds of the sweeper do.
    """
    for _ in range(ROUNDS):
        await world.ports.housekeeping.index_tasks(world.me.organization, limit=limit)


async def perform_steps(world: World, plan: list[Any]) -> list[tuple[str, str | None, str | None]]:
    """
    Run the steps, and return the texts of the tasks that are left, the newest first.
    """
    ports, me = world.ports, world.me
    kept: list[list[Any]] = []
    for what, *values in plan:
        if what == "add":
            title, description, assignee = values
            made = {"title": title.strip() or "untitled", "description": description, "assignee": assignee}
            task = await create_task(ports, me, CreateTask(board=world.board.id, **made))
            kept.append([task.id])
        elif what == "index":
            await index(world, *values)
        elif kept:
            at = values[0] % len(kept)
            (task,) = kept[at]
            if what == "delete":
                await delete_task(ports, me, DeleteTask(task=task))
                del kept[at]
            elif what == "assign":
                await update_task(ports, me, UpdateTask(task=task, assignee=values[1]))
            else:
                title, description = values[1].strip() or "untitled", values[2]
                await update_task(ports, me, UpdateTask(task=task, title=title, description=description))
    rows = [await ports.reads.tasks.get(me, each) for (each,) in reversed(kept)]
    return [(row.title, row.description, row.assignee) for row in rows]


@on_every_store
@given(plan=steps, wanted=st.lists(needles(), min_size=3, max_size=6))
@contract_settings(25)
async def test_the_index_finds_what_a_scan_finds(ports: Any, plan: list[Any], wanted: list[str]) -> None:
    """
    The same tasks, in the same order, with the same total, whatever was changed before or after it was indexed.
    """
    world = await make_world(ports)
    kept = await perform_steps(world, [*plan, ("index", 1)] if len(plan) % 2 else plan)
    for text in wanted:
        folded = ascii_lowercased(text)
        matches = [(relevance(folded, *each), *each[:2]) for each in kept]
        matches = sorted((each for each in matches if each[0]), key=lambda each: -each[0])
        found = await ports.reads.reports.find_tasks(world.me, text, limit=50)

        assert (matches, len(matches)) == (
            [(each.relevance, each.title, each.description) for each in found.rows], found.total
        )  # fmt: skip


@on_every_store
@pytest.mark.parametrize("field", ["name", "role", "activity"])
@pytest.mark.parametrize("again", [False, True])
async def test_an_agent_is_found_by_what_it_has_now(world: World, field: str, again: bool) -> None:
    """
    Whatever was changed after the indexing, and indexed again or not. The case of A to Z does not count.
    """
    ports, me = world.ports, world.me
    agent, gone = await world.agent("Early", role="Early"), await world.agent("an early other")
    await update_agent(ports, me, UpdateAgent(agent=agent.id, activity="Early"))
    await index(world, 3)
    await update_agent(ports, me, UpdateAgent(agent=agent.id, **{field: "Laté_50%"}))
    await delete_agent(ports, me, DeleteAgent(agent=gone.id))
    new = await world.agent("another late_riser")
    if again:
        await index(world)
    texts = ("EARLY", "laté_50%", "ATE_", "TÉ_", "another")
    found = [await ports.reads.reports.find_agents(me, text, limit=9) for text in texts]

    assert [[agent.number], [agent.number], [new.number], [], [new.number]] == [
        [each.number for each in rows.rows] for rows in found
    ]


@on_every_store
@pytest.mark.parametrize(("name", "text"), [("ada", "ADA"), ("ÄRGER", "ÄRG"), ("Ära", "Ära"), ("straße", "traße")])
async def test_a_task_is_found_by_the_name_of_its_assignee(world: World, name: str, text: str) -> None:
    """
    Which the index lacks. The case of a letter beyond ASCII counts, and is lost in the key of the name.
    """
    await world.task("first", assignee=name)
    await world.task("second", assignee="bob")
    if await has_index(world):
        await index_all(world)
    found = await world.ports.reads.reports.find_tasks(world.me, text, limit=9)

    assert [name] == [row.assignee for row in found.rows]


@on_every_store
async def test_a_task_is_found_by_a_name_that_came_after_the_indexing(world: World) -> None:
    """
    Also when the only task of another name is no longer assigned to it, and when the agent of a name has a new one.
    """
    task = await world.task("first", assignee="before")
    agent = await world.agent("early bird")
    await world.task("second", assignee=agent.name)
    if await has_index(world):
        await index_all(world)
    await update_task(world.ports, world.me, UpdateTask(task=task.id, assignee="newcomer"))
    await update_agent(world.ports, world.me, UpdateAgent(agent=agent.id, name="late riser"))
    totals = [
        (await world.ports.reads.reports.find_tasks(world.me, text, limit=9)).total
        for text in ("before", "NEWCOMER", "early bird", "late riser")
    ]

    assert [0, 1, 0, 1] == totals


@on_every_store
async def test_a_change_after_the_indexing_is_found(world: World) -> None:
    """
    Before it is indexed, too.
    """
    task = await world.task("first words")
    if await has_index(world):
        await index_all(world)
    await update_task(world.ports, world.me, UpdateTask(task=task.id, title="second thoughts"))
    totals = [
        (await world.ports.reads.reports.find_tasks(world.me, text, limit=9)).total for text in ("first", "thoughts")
    ]

    assert [0, 1] == totals


@on_every_store
@pytest.mark.parametrize("most", [2, 3])
async def test_a_word_of_many_tasks_is_found_in_all(world: World, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Also in more than the index looks at.
    """
    monkeypatch.setattr(text_search, "MAX_CANDIDATES", most)
    for n in range(3):
        await world.task(f"needle {n}")
    if await has_index(world):
        await index_all(world)
    found = await world.ports.reads.reports.find_tasks(world.me, "Needle", limit=2)

    assert (["needle 2", "needle 1"], 3) == ([each.title for each in found.rows], found.total)


async def read(world: World, text: str, *values: Any) -> list[tuple[Any, ...]]:
    """
    The rows of a query on the store's database.
    """

    def steps() -> Steps[list[Any]]:
        found: list[Any] = yield BoundStatement(text, values)
        return found

    session: Any = world.ports.numbers
    return [tuple(row) for row in await session.session.read(steps)]


async def has_index(world: World) -> bool:
    """
    Whether the store can have the index: a PostgreSQL server may lack the extension.
    """
    dialect = getattr(getattr(world.ports.numbers, "session", None), "dialect", "memory")
    if dialect == "postgresql":
        ((installed,),) = await read(world, "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm')")
        return bool(installed)
    return dialect == "sqlite"


@on_every_store
async def test_a_search_is_answered_by_the_index(world: World) -> None:
    """
    With tasks that are indexed it reads neither all tasks nor the names of all assignees.
    """
    if not await has_index(world):
        return
    for n in range(3):
        await world.task(f"needle {n}")
    await index_all(world)
    session, organization = world.ports.numbers.session, world.me.organization
    dialect = session.dialect

    def steps() -> Steps[Any]:
        if dialect == "postgresql":  # a table of a page is read as it is
            for statement in (OTHER_TEXTS, OTHER_WORKLOADS):
                yield BoundStatement(statement, returns_rows=False)
        given = yield from candidate_parameters(dialect, "tasks", organization, "Needle")
        assert given is not None
        ask = search_indexed(dialect, "tasks", MAX_CANDIDATES)(
            dialect, organization=organization.bytes, text=like_pattern("Needle"), most=9, **given
        )
        explain = "EXPLAIN QUERY PLAN " if dialect == "sqlite" else "EXPLAIN "
        plan = yield ask._replace(text=explain + ask.text)
        if dialect == "postgresql":
            yield BoundStatement("DELETE FROM task_texts WHERE organization = 'other'", returns_rows=False)
            yield BoundStatement("DELETE FROM workloads WHERE board = 'other'", returns_rows=False)
        return given, [row[-1].strip() for row in plan]

    given, plan = await session.write(steps)

    assert 3 <= given["indexed"]
    wanted = "VIRTUAL TABLE" if dialect == "sqlite" else "Bitmap Index Scan on ix_task_texts_trigrams"
    assert any(wanted in line for line in plan), plan
    if dialect == "sqlite":
        assert any(re.search(r"SCAN assignee_trigrams VIRTUAL TABLE INDEX 0:M\d", line) for line in plan), plan
        assert any("SEARCH assignee_names USING INTEGER PRIMARY KEY" in line for line in plan), plan
        assert any("SEARCH assignee_names USING INDEX assignee_names_lacking" in line for line in plan), plan
    else:
        assert any("Bitmap Index Scan on ix_workloads_trigrams" in line for line in plan), plan
    assert any("ix_workloads_not_ascii" in line for line in plan), plan
    assert not [line for line in plan if re.search("SCAN tasks|Seq Scan on tasks|RECURSIVE|Recursive", line)]


@on_every_store
async def test_a_search_for_agents_reads_the_candidates_alone(world: World) -> None:
    """
    Neither all agents nor all of the index.
    """
    if not await has_index(world):
        return
    for n in range(3):
        await world.agent(f"needle {n}")
    await index(world)
    session, organization = world.ports.numbers.session, world.me.organization
    dialect = session.dialect

    def steps() -> Steps[Any]:
        given = yield from candidate_parameters(dialect, "agents", organization, "Needle")
        assert given is not None
        ask = search_indexed(dialect, "agents", MAX_CANDIDATES)(
            dialect, organization=organization.bytes, text=like_pattern("Needle"), most=9, **given
        )
        if dialect == "postgresql":  # a table of a page is read as it is
            yield BoundStatement("SET LOCAL enable_bitmapscan = on", returns_rows=False)
        explain = "EXPLAIN QUERY PLAN " if dialect == "sqlite" else "EXPLAIN "
        return [row[-1].strip() for row in (yield ask._replace(text=explain + ask.text))]

    plan = await session.write(steps)
    noted = "SELECT number FROM search_changes WHERE organization = ?"

    assert [] == ([] if dialect == "postgresql" else await read(world, noted, organization.bytes))
    wanted = r"task_trigrams VIRTUAL TABLE INDEX 0:M\d" if dialect == "sqlite" else "Index Scan on ix_agents_trigrams"
    assert any(re.search(wanted, line) for line in plan), plan
    assert not [line for line in plan if re.search("SCAN agents|Seq Scan on agents", line)]


async def index_all(world: World) -> None:
    """
    Index all tasks of the world. On PostgreSQL that waits for the end of transactions of tasks that had begun before.
    """
    session: Any = world.ports.numbers
    mark = "$1" if session.session.dialect == "postgresql" else "?"
    for _ in range(5000):
        await world.ports.housekeeping.index_tasks(world.me.organization, limit=1)
        (progress,) = await read(
            world,
            "SELECT (SELECT indexed FROM search_progress AS p WHERE p.organization = t.organization), max(number) "
            f"FROM tasks AS t WHERE organization = {mark} GROUP BY organization",
            world.me.organization.bytes,
        )
        if progress[0] == progress[1]:
            return
    raise AssertionError(progress)


async def indexed_beside(url: str, other_url: str, statement: str) -> list[int]:
    """
    The numbers up to which tasks are indexed, while another transaction is open that ran a statement, and after it.
    """
    async with SqlStore.open(url, clock=ManualClock()) as store:
        world = await make_world(ports_over(store, clock=store.clock))  # type: ignore[arg-type]
        await world.task("A needle")
        found = []
        other = await asyncpg.connect(other_url)
        try:
            await other.execute(f"BEGIN; {statement}")
            await index(world)
            found += await read(world, "SELECT indexed FROM search_progress")
        finally:
            await other.close()
        await index(world)
        found += await read(world, "SELECT indexed FROM search_progress")
        return [indexed for (indexed,) in found]


@pytest.mark.parametrize(
    ("is_here", "statement", "expected"),
    [
        (True, "UPDATE tasks SET title = 'Another'", [0, 1]),
        (True, "UPDATE boards SET name = 'Another'", [1, 1]),
        (False, "CREATE TEMPORARY TABLE another (id bigint)", [1, 1]),
    ],
)
def test_only_transactions_that_change_tasks_of_this_database_delay_the_index(
    trigram_server: str, is_here: bool, statement: str, expected: list[int]
) -> None:
    """
    They may not note their changes, because they began before those were noted.
    """
    if not has_trigrams(trigram_server):
        pytest.skip("no PostgreSQL here has pg_trgm")
    with empty_database(trigram_server) as url:
        migrate(url)
        other_url = url if is_here else trigram_server

        assert expected == asyncio.run(indexed_beside(url, other_url, statement))


# Databases that cannot have the index.


@pytest.fixture(params=["postgres_url", "trigram_server"])
def empty_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """
    An empty database on the usual server, and on one with the extension.
    """
    with empty_database(request.getfixturevalue(request.param)) as url:
        yield url


@pytest.fixture
def owner(empty_url: str) -> Iterator[str]:
    """
    The empty database, as a role that may create tables in it, but no extensions.
    """
    split = urlsplit(empty_url)
    name = f"owner_{split.path[-8:]}"
    asked(empty_url, script=f"CREATE ROLE {name} LOGIN PASSWORD 'sesame'; GRANT ALL ON SCHEMA public TO {name}")
    yield split._replace(netloc=f"{name}:sesame@{split.netloc.rpartition('@')[2]}").geturl()
    asked(empty_url, script=f"DROP OWNED BY {name}; DROP ROLE {name}")


async def found_titles(url: str, *, index: bool = True) -> list[str]:
    """
    What a store finds for a text in its only matching task, after the housekeeping.
    """
    async with SqlStore.open(url, clock=ManualClock()) as store:
        world = await make_world(ports_over(store, clock=store.clock))  # type: ignore[arg-type]
        await world.task("A needle")
        await index_all(world) if index else await world.ports.housekeeping.index_tasks(world.me.organization, limit=1)
        found = await world.ports.reads.reports.find_tasks(world.me, "NEEDLE", limit=9)
        return [each.title for each in found.rows]


def test_a_role_that_may_create_no_extension_has_no_index(owner: str, empty_url: str) -> None:
    """
    Searches find the same. The index is created by the first migration after the extension was.
    """
    available = has_trigrams(empty_url)
    migrate(owner)
    states = [asyncio.run(inspect_database(owner)).search_index]
    titles = [asyncio.run(found_titles(owner, index=False))]
    if available:
        asked(empty_url, script="CREATE EXTENSION pg_trgm")
        states.append(asyncio.run(inspect_database(owner)).search_index)
        migrate(owner)
        states.append(asyncio.run(inspect_database(owner)).search_index)
        titles.append(asyncio.run(found_titles(owner)))

    installed = [SearchIndexState.NOT_INSTALLED, SearchIndexState.NOT_CREATED, SearchIndexState.CREATED]
    assert (installed if available else [SearchIndexState.NOT_AVAILABLE]) == states
    assert [["A needle"]] * len(titles) == titles


def test_a_sqlite_without_fts5_reads_every_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Also in a database that has the index, to which it can still write. With FTS5 the index is used again.
    """
    url = f"sqlite:///{tmp_path / 'mission.db'}"
    titles = [asyncio.run(found_titles(url))]
    with monkeypatch.context() as patch:
        for module in (search_index, database_inspection):
            patch.setattr(module, "has_fts5", lambda: False)
        titles.append(asyncio.run(found_titles(url, index=False)))
        state = asyncio.run(inspect_database(url)).search_index
    titles.append(asyncio.run(found_titles(url)))

    assert [["A needle"]] * 3 == titles
    assert SearchIndexState.NOT_AVAILABLE is state
    assert SearchIndexState.CREATED is asyncio.run(inspect_database(url)).search_index


def test_a_database_with_the_index_of_tasks_alone_gets_that_of_names(tmp_path: Path) -> None:
    """
    With the names that it has, in the batches of the housekeeping.
    """
    url = f"sqlite:///{tmp_path / 'mission.db'}"

    async def story(*names: str) -> tuple[bool, list[tuple[Any, ...]], list[str | None]]:
        async with SqlStore.open(url, clock=ManualClock()) as store:
            ports = ports_over(store, clock=store.clock)  # type: ignore[arg-type]
            world = await make_world(ports)
            for name in names:
                await world.task("first", assignee=name)
            await index_all(world)
            goes_on = await ports.housekeeping.index_tasks(world.me.organization, limit=1)
            found = await read(world, INDEXED_NAMES)
            rows = (await ports.reads.reports.find_tasks(world.me, "Carol", limit=9)).rows
            return goes_on, found, [row.assignee for row in rows]

    asyncio.run(story("alice", "bob"))
    asked(url, script=WITHOUT_NAMES)
    before = asyncio.run(inspect_database(url)).search_index
    migrate(url)
    kept = asked(url, "SELECT assignee_key, indexed FROM assignee_names ORDER BY 1")
    goes_on, indexed, found = asyncio.run(story("carol"))

    assert (SearchIndexState.NOT_CREATED, [[("alice", 0), ("bob", 0)]]) == (before, kept)
    assert (False, [("carol",)], ["carol"]) == (goes_on, indexed, found)


def test_the_trigrams_of_a_deleted_organization_are_gone(tmp_path: Path) -> None:
    """
    The index is filled again with the tasks of the others, which are found all the time.
    """
    url = f"sqlite:///{tmp_path / 'mission.db'}"

    async def story() -> tuple[list[str], list[int]]:
        async with SqlStore.open(url, clock=ManualClock()) as store:
            ports = ports_over(store, clock=store.clock)  # type: ignore[arg-type]
            kept, gone = await make_world(ports), await make_world(ports)
            for world in (kept, gone):
                await world.task("A needle", assignee="needle")
                await index_all(world)
            counts = [await count_of_needles(kept)]
            await delete_rows_of(store, gone)
            before = await ports.reads.reports.find_tasks(kept.me, "needle", limit=9)
            await index_all(kept)
            after = await ports.reads.reports.find_tasks(kept.me, "needle", limit=9)
            counts.append(await count_of_needles(kept))
            return [each.title for each in (*before.rows, *after.rows)], counts

    titles, counts = asyncio.run(story())

    assert ["A needle"] * 2 == titles
    assert [2, 1] == counts


async def count_of_needles(world: World) -> int:
    """
    The number of tasks in the index of SQLite that have the text, which is that of the names.
    """
    (count,), (names,) = await read(world, NEEDLES)
    assert count == names
    return int(count)


async def delete_rows_of(store: SqlStore, world: World) -> None:
    """
    Delete the rows of an organization as its deletion does.
    """

    def steps() -> Steps[None]:
        for removal in DELETES:
            own = world.me.organization
            yield removal.count("sqlite", ended=own.bytes, ended_keys=f"{own.hex}:%")

    await store.session.write(steps)
