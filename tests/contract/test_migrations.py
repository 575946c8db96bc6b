"""
Migrations bring a database to the tables that the statements are written for, and keep its rows.
"""

import asyncio
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy.schema import CreateIndex, CreateTable

from mission_adapters.sql import migrations
from mission_adapters.sql.migrations import BASELINE, BEFORE_BASELINE, HEAD, REVISIONS, config, migrate, path_in
from mission_adapters.sql.statements import DIALECTS
from mission_adapters.sql.store import SqlStore
from mission_adapters.sql.tables import whole_metadata
from mission_core.errors import StoreFailed
from mission_core.events.counters import NO_ID
from mission_core.events.model import ChainHead
from mission_core.events.use_cases import verify_log
from mission_core.ids import OrganizationId
from tests import postgres_server
from tests.contract.schemas import VERSIONS, asked, contents, dialect_of, revision_of, schema_of, selects

BEFORE = Path(__file__).parent / "revision_0008"
"""The last schema before the baseline on both databases, and rows that the product wrote into it."""
PAGE = Path(__file__).parents[2] / "docs" / "migrations.md"


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """
    A file that is not there yet.
    """
    return f"sqlite:///{tmp_path / 'mission.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest) -> str:
    """
    An empty database of either kind.
    """
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "fresh_postgres")


@pytest.fixture
def another_url(empty_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """
    Another empty database of that kind.
    """
    if dialect_of(empty_url) == "sqlite":
        yield f"sqlite:///{tmp_path / 'another.db'}"
    else:
        with postgres_server.empty_database(request.getfixturevalue("postgres_url")) as url:
            yield url


@pytest.fixture
def url_at_0008(another_url: str) -> str:
    """
    A database as the last version before the baseline left it.
    """
    dialect = dialect_of(another_url)
    rows = (BEFORE / "rows.sql").read_text()
    if dialect == "postgresql":
        rows = re.sub(r"X'([0-9A-F]*)'", r"'\\x\1'", rows)
    asked(another_url, script=(BEFORE / f"{dialect}.sql").read_text() + rows)
    return another_url


def ddl(dialect: str) -> str:
    """
    The script that makes the tables of the metadata.
    """
    tables = whole_metadata().sorted_tables
    parts = [*map(CreateTable, tables), *(CreateIndex(index) for table in tables for index in table.indexes)]
    return ";".join(str(part.compile(dialect=DIALECTS[dialect])) for part in parts)


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """
    A function that makes the baseline the only migration, or adds one with this text, 9999, to the whole chain.
    """

    def cut(later: str | None = None) -> None:
        folder = tmp_path / "migrations"
        left_out = [] if later else [f"{each}_*" for each in REVISIONS if each != BASELINE]
        shutil.copytree(migrations.VERSIONS.parent, folder, ignore=shutil.ignore_patterns("__pycache__", *left_out))
        revisions: tuple[str, ...] = (BASELINE,)
        if later is not None:
            (folder / "versions" / "9999_later.py").write_text(later)
            revisions = (*REVISIONS, *re.findall(r'^revision = "(\w+)"', later, re.MULTILINE))
        monkeypatch.setattr(migrations, "VERSIONS", folder / "versions")
        monkeypatch.setattr(migrations, "REVISIONS", revisions)
        monkeypatch.setattr(migrations, "HEAD", revisions[-1])

    return cut


def test_the_names_of_the_files_tell_the_order_of_the_migrations() -> None:
    """
    So a start knows the newest revision without Alembic.
    """
    walked = ScriptDirectory.from_config(config()).walk_revisions()

    assert REVISIONS == tuple(each.revision for each in walked)[::-1]


def test_all_migrations_make_the_tables_of_the_metadata(empty_url: str, another_url: str) -> None:
    """
    A table that is changed without a migration fails here, on both databases.
    """
    asked(another_url, script=ddl(dialect_of(another_url)))
    migrate(empty_url)

    assert schema_of(another_url) == schema_of(empty_url)


def test_the_baseline_is_frozen(empty_url: str, url_at_0008: str, chain: Any) -> None:
    """
    It makes what the migrations before it had made, down to the order and the defaults of the columns.
    """
    chain()
    migrate(empty_url)

    assert schema_of(url_at_0008, exact=True) == schema_of(empty_url, exact=True)


def test_rows_from_before_the_baseline_are_kept(empty_url: str, url_at_0008: str) -> None:
    """
    All of them, and the chain of the events; the tables become those of an empty database that is migrated.
    """
    statements = selects(url_at_0008)
    before = contents(url_at_0008, statements)
    migrate(empty_url)

    migrate(url_at_0008)

    assert 200 < sum(rows.total() for rows in before)
    assert before == contents(url_at_0008, statements)
    assert schema_of(empty_url) == schema_of(url_at_0008)
    assert HEAD == revision_of(url_at_0008)


def test_the_chain_of_events_from_before_the_baseline_is_whole(url_at_0008: str) -> None:
    """
    That of each organization.
    """
    (heads,) = asked(url_at_0008, "SELECT organization FROM heads")

    async def verified() -> list[Any]:
        async with SqlStore.open(url_at_0008) as store:
            return [await verify_log(store.log, OrganizationId(UUID(bytes=id))) for (id,) in heads]

    assert [ChainHead] * 3 == [type(found) for found in asyncio.run(verified())]


def test_the_agents_of_an_older_database_are_counted(url_at_0008: str) -> None:
    """
    By board, visibility and role.
    """
    migrate(url_at_0008)

    agents, counts = asked(
        url_at_0008,
        "SELECT organization, board, hidden, role FROM agents",
        "SELECT organization, board, hidden, role, amount FROM agent_counts",
    )
    counted = Counter((own, board or NO_ID, hidden, role) for own, board, hidden, role in agents)
    assert counted == {key: amount for *values, amount in counts if (key := tuple(values))}
    assert {True, False} == {board == NO_ID for _, board, _, _ in counted}


def test_what_happened_before_an_upgrade_notifies_nobody(url_at_0008: str) -> None:
    """
    The reader that makes notifications begins at the end of each log.
    """
    migrate(url_at_0008)

    ends, begun = asked(
        url_at_0008,
        "SELECT organization, position FROM heads",
        "SELECT organization, position FROM reader_cursors WHERE reader = 'notifications'",
    )
    assert sorted(map(tuple, ends)) == sorted(map(tuple, begun))
    assert any(position for _, position in ends)


def test_the_example_of_the_page_keeps_all_rows(url_at_0008: str, chain: Any) -> None:
    """
    And the columns that it adds have a value in each.
    """
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    statements = selects(url_at_0008)
    before = contents(url_at_0008, statements)
    chain(example)

    migrate(url_at_0008)

    assert before == contents(url_at_0008, statements)
    assert {("high", 3, None), ("medium", 1, None)} == {
        *asked(url_at_0008, "SELECT priority, effort, effort_note FROM tasks")[0]
    }
    assert any("ix_tasks_organization_effort" in row for row in schema_of(url_at_0008))
    assert HEAD < revision_of(url_at_0008)


def test_migrating_again_changes_nothing(empty_url: str) -> None:
    """
    A start on a database of this version only asks for its revision.
    """
    migrate(empty_url)
    before = schema_of(empty_url, exact=True)

    assert HEAD == migrate(empty_url)
    assert before == schema_of(empty_url, exact=True)
    assert HEAD == revision_of(empty_url)


@pytest.mark.parametrize("revision", sorted(BEFORE_BASELINE))
def test_a_database_from_further_back_is_refused(revision: str, empty_url: str) -> None:
    """
    The refusal says what to do, and the database stays as it was.
    """
    asked(empty_url, script=f"CREATE TABLE {VERSIONS} AS SELECT '{revision}' AS version_num")

    with pytest.raises(StoreFailed, match=f"'{revision}'.*run `mission-control migrate` of a version .*'0008'"):
        migrate(empty_url)

    assert revision == revision_of(empty_url)
    assert [] == selects(empty_url)


def test_a_database_of_a_later_version_is_refused(empty_url: str) -> None:
    """
    Rather than written to by a program that does not know its tables.
    """
    migrate(empty_url)
    asked(empty_url, script=f"UPDATE {VERSIONS} SET version_num = '9999'")

    with pytest.raises(StoreFailed, match="'9999', which this version does not know"):
        migrate(empty_url)


def test_a_file_is_found_again_by_the_name_that_its_url_had(tmp_path: Path) -> None:
    """
    An earlier version took it literally; what it made stands as long as there is no file with the decoded name.
    """
    literal, decoded = tmp_path / "a%20b.db", tmp_path / "a b.db"
    url = f"sqlite:///{literal}"
    literal.touch()
    first = path_in(url)
    decoded.touch()

    assert (str(literal), str(decoded)) == (first, path_in(url))


def test_two_processes_that_start_at_once_migrate_once(empty_url: str) -> None:
    """
    One of them waits for the other.
    """
    command = f"from mission_adapters.sql.migrations import migrate; migrate({empty_url!r})"
    both = [subprocess.Popen([sys.executable, "-c", command], stderr=subprocess.PIPE) for _ in range(2)]
    errors = [each.communicate()[1].decode() for each in both]

    assert ["", ""] == errors
    assert HEAD == revision_of(empty_url)


def test_a_start_on_a_migrated_file_loads_no_alembic(sqlite_url: str) -> None:
    """
    Nor SQLAlchemy's ORM, ever.
    """
    command = (
        "import sys; from mission_adapters.sql.store import SqlStore, migrate; "
        f"migrate({sqlite_url!r}); print(*sorted({{'alembic', 'sqlalchemy.orm'}} & set(sys.modules)))"
    )
    migrate(sqlite_url)
    loaded = subprocess.run([sys.executable, "-c", command], stdout=subprocess.PIPE, text=True, check=True)

    assert "\n" == loaded.stdout


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "sqlite:///", "mission.db"])
def test_other_urls_are_refused(url: str) -> None:
    """
    With what they should look like.
    """
    with pytest.raises(ValueError, match="sqlite:///path"):
        migrate(url)
