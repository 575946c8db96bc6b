"""
Importing a Fleet database: an SQLite file as the reference system keeps it.
"""

import asyncio
import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from mission_adapters.data_import.entity_import import EntityImporter
from mission_adapters.data_import.fleet_import import import_fleet
from mission_adapters.data_import.import_report import ImportReport
from mission_adapters.memory import MemoryStore
from mission_adapters.testing import ManualClock
from mission_core.accounts.model import Role, SystemPrincipal
from mission_core.accounts.organization_settings import SETTINGS
from mission_core.accounts.profiles import ensure_local_user
from mission_core.accounts.sign_in import SignIn, SignInRefused, sign_in
from mission_core.agents.organization_creation import ensure_organization
from mission_core.agents.tool_connections import CONNECTIONS
from mission_core.boards.assignments import BOARD_ASSIGNMENTS
from mission_core.boards.groups import GROUPS, BoardGroup
from mission_core.tasks.comments import COMMENTS
from mission_core.tasks.github_links import NO_GITHUB_LINKS, GitHubLinks
from mission_core.tasks.leases import ClaimNext, claim_next
from mission_core.tasks.queries import TaskFilter
from mission_core.tasks.use_cases import CreateTask, create_task
from mission_core.values import PageRequest, moment
from tests.contract.conftest import ports_over

TABLES = """
CREATE TABLE workspaces (id INTEGER PRIMARY KEY, slug TEXT, name TEXT, tenant_id INTEGER, created_at INTEGER);
CREATE TABLE users (
  id INTEGER PRIMARY KEY, username TEXT, display_name TEXT, password_hash TEXT, role TEXT, provider TEXT,
  provider_user_id TEXT, email TEXT, is_approved INTEGER, created_at INTEGER, updated_at INTEGER, workspace_id INTEGER
);
CREATE TABLE user_sessions (id INTEGER PRIMARY KEY, token TEXT, user_id INTEGER);
CREATE TABLE agents (
  id INTEGER PRIMARY KEY, name TEXT, role TEXT, session_key TEXT, soul_content TEXT, status TEXT, last_seen INTEGER,
  last_activity TEXT, created_at INTEGER, updated_at INTEGER, config TEXT, workspace_id INTEGER, hidden INTEGER,
  working_memory TEXT
);
CREATE TABLE agent_api_keys (
  id INTEGER PRIMARY KEY, agent_id INTEGER, workspace_id INTEGER, name TEXT, key_hash TEXT, key_prefix TEXT,
  scopes TEXT, expires_at INTEGER, revoked_at INTEGER, last_used_at INTEGER, created_by TEXT, created_at INTEGER,
  updated_at INTEGER
);
CREATE TABLE projects (
  id INTEGER PRIMARY KEY, workspace_id INTEGER, name TEXT, slug TEXT, description TEXT, ticket_prefix TEXT,
  ticket_counter INTEGER, status TEXT, created_at INTEGER, updated_at INTEGER
);
CREATE TABLE tasks (
  id INTEGER PRIMARY KEY, title TEXT, description TEXT, status TEXT, priority TEXT, assigned_to TEXT, created_by TEXT,
  created_at INTEGER, updated_at INTEGER, due_date INTEGER, tags TEXT, metadata TEXT, workspace_id INTEGER,
  project_id INTEGER, project_ticket_no INTEGER, outcome TEXT, retry_count INTEGER, completed_at INTEGER,
  github_repo TEXT, github_issue_number INTEGER, github_branch TEXT, github_synced_at INTEGER
);
CREATE TABLE comments (
  id INTEGER PRIMARY KEY, task_id INTEGER, author TEXT, content TEXT, created_at INTEGER, parent_id INTEGER,
  mentions TEXT, workspace_id INTEGER
);
"""
ASSIGNMENTS = """
CREATE TABLE project_agent_assignments (
  id INTEGER PRIMARY KEY, project_id INTEGER, agent_name TEXT, role TEXT, assigned_at INTEGER
)
"""
SETTINGS_TABLE = """
CREATE TABLE settings (
  key TEXT PRIMARY KEY, value TEXT, description TEXT, category TEXT, updated_by TEXT, updated_at INTEGER
)
"""
CONNECTIONS_TABLE = """
CREATE TABLE direct_connections (
  id INTEGER PRIMARY KEY, agent_id INTEGER, tool_name TEXT, tool_version TEXT, connection_id TEXT, status TEXT,
  last_heartbeat INTEGER, metadata TEXT, created_at INTEGER, updated_at INTEGER, workspace_id INTEGER
)
"""
AT = 1_750_000_000
SALT = "0123456789abcdef" * 2
HASH = f"{SALT}:{hashlib.scrypt(b'correct horse', salt=SALT.encode(), n=16384, r=8, p=1, dklen=32).hex()}"
"""How the other system keeps a password."""


def put(database: sqlite3.Connection, table: str, **fields: Any) -> None:
    """
    A row of the other system.
    """
    names, marks = ", ".join(fields), ", ".join("?" for _ in fields)
    database.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(fields.values()))


@pytest.fixture
def slug() -> str:
    """
    A workspace that nobody imported before.
    """
    return f"import-{uuid4().hex[:8]}"


@pytest.fixture
def key() -> str:
    """
    A key that an agent had there.
    """
    return f"mca_{uuid4().hex}{uuid4().hex[:16]}"


@pytest.fixture
def file(tmp_path: Path, slug: str, key: str) -> Path:
    """
    A small database with something of everything, and something wrong.
    """
    path = tmp_path / "mission control?.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(TABLES)
        put(database, "workspaces", id=7, slug=slug, name="Seven", created_at=AT)
        own = {"workspace_id": 7, "created_at": AT, "updated_at": AT + 5}
        put(database, "users", id=1, username=f"boss-{slug}", password_hash=HASH, role="admin", is_approved=1, **own)
        put(database, "users", id=2, username=f"eve-{slug}", password_hash="x", role="viewer", is_approved=0, **own)
        put(database, "users", id=3, username=f"BOSS-{slug}", email="G@x.io", role="operator", provider="google",
            provider_user_id=f"g-{slug}", **own)  # fmt: skip
        put(database, "users", id=4, username="", password_hash="x", role="viewer", **own)
        put(database, "users", id=5, username=f"odd-{slug}", password_hash=HASH, role="king", **own)
        put(database, "user_sessions", id=1, token="t", user_id=1)
        put(database, "projects", id=1, name="Base", slug="general", ticket_prefix="BASE", ticket_counter=4, **own)
        put(database, "projects", id=3, name="Old", slug="old", ticket_prefix="OLD", status="archived", **own)
        put(database, "agents", id=1, name="ada", role="coder", status="idle", last_seen=AT, config='{"a": 1}', **own)
        put(database, "agents", id=2, name="ADA", role="coder", status="idle", **own)
        put(database, "agents", id=9, name="bob", role="tester", status="busy", hidden=1, working_memory="m", **own)
        digest = hashlib.sha256(key.encode()).hexdigest()
        put(database, "agent_api_keys", id=4, agent_id=9, name="k", key_hash=digest, key_prefix=key[:12],
            scopes='["operator", "nonsense"]', **own)  # fmt: skip
        put(database, "agent_api_keys", id=5, agent_id=2, name="k", key_hash="00", key_prefix="mca_", **own)
        task = {"priority": "high", "created_by": "boss", "retry_count": 2, **own}
        put(database, "tasks", id=11, title="Ship it", status="assigned", assigned_to="bob", project_id=1,
            project_ticket_no=4, due_date=AT + 99, tags='["x", "y"]', metadata='{"b": [1]}', github_repo="x/y",
            github_issue_number=5, github_branch="feat/x", github_synced_at=AT + 4, **task)  # fmt: skip
        put(database, "tasks", id=12, title="Shipped", status="done", completed_at=AT + 3, outcome="success",
            project_id=3, **task)  # fmt: skip
        put(database, "tasks", id=13, title="Odd", status="nonsense", description="d" * 30_000, project_id=99, **task)
        put(database, "tasks", id=14, title="N\0UL", status="inbox", **task)
        put(database, "tasks", id=15, title="No JSON", status="inbox", tags="[", **task)
        put(database, "comments", id=21, task_id=11, author="boss", content="Well?", created_at=AT, workspace_id=7)
        put(database, "comments", id=22, task_id=11, author="bob", content="Soon", created_at=AT, parent_id=21,
            mentions='["boss"]', workspace_id=7)  # fmt: skip
        put(database, "comments", id=23, task_id=14, author="bob", content="Lost", created_at=AT, workspace_id=7)
    return path


async def owner(ports: Any, slug: str) -> SystemPrincipal:
    """
    Who may see all that was imported.
    """
    return SystemPrincipal(organization=(await ensure_organization(ports, slug=slug)).id)


async def test_numbers_ids_and_moments_stay(ports: Any, slug: str, file: Path) -> None:
    """
    And everything else that we keep too.
    """
    await import_fleet(ports, file)
    me = await owner(ports, slug)
    async with ports.unit(me) as unit:
        task, done, odd = [await unit.tasks.get(number) for number in (11, 12, 13)]
        bob = await unit.agents.find("bob")
        base = await unit.boards.get(task.board)

    assert ("Ship it", "assigned", "high", "bob", 4, ("x", "y"), '{"b":[1]}', 2) == (
        task.title, task.status, task.priority, task.assignee.name, task.ticket, task.tags, task.metadata,
        task.retry_count,
    )  # fmt: skip
    assert GitHubLinks(repo="x/y", issue=5, branch="feat/x", synced_at=moment((AT + 4) * 1_000_000)) == task.tracking
    assert NO_GITHUB_LINKS == done.tracking
    assert [AT, AT + 5, AT + 99] == [each.timestamp() for each in (task.created_at, task.updated_at, task.due_at)]
    assert ("done", "success", AT + 3, True) == (done.status, done.result, done.completed_at.timestamp(), done.recorded)
    assert ("inbox", 20_000, base.id) == (odd.status, len(odd.description), odd.board)
    assert (9, "tester", True, "m", "busy") == (
        bob.number, bob.role, bob.hidden, bob.working_memory, bob.presence.reported,
    )  # fmt: skip
    assert ("Base", "BASE", "general") == (base.name, base.ticket_prefix, base.handle)
    said = await ports.reads.entities.every(me, COMMENTS, task=task.id)
    assert [(21, "boss", "Well?", None), (22, "bob", "Soon", said[0].id)] == [
        (each.number, each.author, each.content, each.parent) for each in said
    ]


async def test_what_was_left_is_told_with_its_reason(ports: Any, slug: str, file: Path) -> None:
    """
    Row by row, and nothing is left in silence.
    """
    told = (await import_fleet(ports, file)).plain()
    skipped = {(each["table"], *each["examples"]): each["why"] for each in told["skipped"]}

    taken = {"agents": 2, "agent_api_keys": 1, "comments": 3, "projects": 2, "tasks": 5, "users": 4, "members": 3}
    assert taken == told["taken"]
    assert "username" in skipped["users", "4"]
    assert "king" in skipped["members", "5"]
    assert "name" in skipped["agents", "2"]
    assert "agent" in skipped["agent_api_keys", "5"]
    assert "sign in" in skipped["user_sessions", "1"]
    otherwise = {id: each["why"] for each in told["changed"] if each["table"] == "tasks" for id in each["examples"]}
    assert {"13", "14", "15"} == otherwise.keys()
    assert "NUL" in otherwise["14"]
    assert "tags" in otherwise["15"]


async def test_importing_again_changes_nothing(ports: Any, slug: str, file: Path) -> None:
    """
    Also what was changed here in between stays as it is here.
    """
    await import_fleet(ports, file)
    me = await owner(ports, slug)
    before = (await ports.log.head(me.organization)).position
    told = (await import_fleet(ports, file)).plain()

    assert {} == {table: count for table, count in told["taken"].items() if count}
    there = {"agents": 2, "agent_api_keys": 1, "comments": 3, "projects": 2, "tasks": 5, "users": 4, "members": 3}
    assert there == told["there"]
    assert before == (await ports.log.head(me.organization)).position
    assert 5 == (await ports.reads.tasks.page(me, TaskFilter(), PageRequest())).total


async def test_an_agents_key_goes_on_opening_the_door(ports: Any, key: str, file: Path) -> None:
    """
    With the role of its scopes.
    """
    await import_fleet(ports, file)
    principal = await ports.credentials.principal_of(hashlib.sha256(key.encode()).digest(), at=ports.clock.now())

    assert ("bob", "operator") == (principal.name, principal.role)


async def test_work_goes_on_where_it_was(ports: Any, slug: str, file: Path) -> None:
    """
    What was assigned is handed out, and new tasks get numbers and tickets that nobody has.
    """
    await import_fleet(ports, file)
    me = await owner(ports, slug)
    claimed = await claim_next(ports, me, ClaimNext(agent="bob"))
    new = await create_task(ports, me, CreateTask(title="New", board=claimed.task.board))

    assert (11, 1) == (claimed.task.number, claimed.task.fence)
    assert (16, 5) == (new.number, new.ticket)


async def test_a_number_that_is_taken_gives_way(ports: Any, slug: str, file: Path) -> None:
    """
    To what was here first; the report says so.
    """
    me = await owner(ports, slug)
    for number in range(11):
        await create_task(ports, me, CreateTask(title=f"Here first {number}"))
    told = (await import_fleet(ports, file)).plain()
    async with ports.unit(me) as unit:
        first = await unit.tasks.get(11)

    assert "Here first 10" == first.title
    assert 16 == (await ports.reads.tasks.page(me, TaskFilter(), PageRequest())).total
    taken = [each for each in told["changed"] if "number" in each["why"] and each["table"] != "users"]
    assert ["11"] == [e for each in taken for e in each["examples"]]


def changed(file: Path, *sql: str) -> Path:
    """
    The file after these statements.
    """
    with closing(sqlite3.connect(file)) as database, database:
        for statement in sql:
            database.execute(statement)
    return file


async def test_a_ticket_is_given_once(ports: Any, slug: str, file: Path) -> None:
    """
    To whom had it here first; the other gets one that nobody has, also in the file.
    """
    changed(file, "UPDATE tasks SET project_id = 1, project_ticket_no = 9 WHERE id = 12")
    me = await owner(ports, slug)
    for number in range(4):
        await create_task(ports, me, CreateTask(title=f"Here first {number}"))
    told = (await import_fleet(ports, file)).plain()
    again = (await import_fleet(ports, file)).plain()
    rows = (await ports.reads.tasks.page(me, TaskFilter(), PageRequest())).rows
    tickets = {row.title: row.ticket for row in rows if row.ticket is not None}

    assert {"Here first 3": 4, "Shipped": 9, "Ship it": 10} == {
        title: tickets[title] for title in ("Here first 3", "Shipped", "Ship it")
    }
    assert len(tickets) == len(set(tickets.values()))
    assert ["11"] == [e for each in told["changed"] if "ticket" in each["why"] for e in each["examples"]]
    assert not [each for each in again["changed"] if "ticket" in each["why"]]


async def test_the_tasks_of_a_project_that_was_refused_are_in_the_general_one(
    ports: Any, slug: str, file: Path
) -> None:
    """
    And not on a board that is not there.
    """
    changed(file, "UPDATE projects SET ticket_prefix = 'BASE' WHERE id = 3")
    told = (await import_fleet(ports, file)).plain()
    async with ports.unit(await owner(ports, slug)) as unit:
        done = await unit.tasks.get(12)
        general = await unit.boards.find_handle("general")

    assert (general.id, None) == (done.board, done.ticket)
    assert ["3"] == [e for each in told["skipped"] if each["table"] == "projects" for e in each["examples"]]
    assert ["12"] == [e for each in told["changed"] if "project 3" in each["why"] for e in each["examples"]]


async def test_a_general_project_that_cannot_be_taken_stops_nothing(ports: Any, slug: str, file: Path) -> None:
    """
    The general board stays as it is here, and has its tasks.
    """
    told = (await import_fleet(ports, changed(file, "UPDATE projects SET ticket_prefix = '?' WHERE id = 1"))).plain()
    async with ports.unit(await owner(ports, slug)) as unit:
        board = await unit.boards.get((await unit.tasks.get(11)).board)

    assert ("General", "TASK") == (board.name, board.ticket_prefix)
    assert "stays as it is" in next(each["why"] for each in told["changed"] if each["table"] == "projects")


async def test_a_reply_to_what_was_lost_stands_for_itself(ports: Any, slug: str, file: Path) -> None:
    """
    And the report says so.
    """
    told = (await import_fleet(ports, changed(file, "UPDATE comments SET task_id = 99 WHERE id = 21"))).plain()
    said = await ports.reads.entities.every(await owner(ports, slug), COMMENTS)

    assert [("Soon", None), ("Lost", None)] == [(each.content, each.parent) for each in said]
    assert ["22"] == [e for each in told["changed"] if "replied" in each["why"] for e in each["examples"]]


async def test_who_is_assigned_and_what_is_set_go_along(ports: Any, slug: str, file: Path) -> None:
    """
    Once, however often they are imported.
    """
    changed(
        file,
        ASSIGNMENTS,
        f"INSERT INTO project_agent_assignments VALUES (1, 3, 'bob', 'lead', {AT}), (2, 3, 'BOB', 'member', {AT})",
        SETTINGS_TABLE,
        f"INSERT INTO settings VALUES ('general.site_name', 'Harbour', '', 'general', 'boss', {AT})",
    )
    first, second = (await import_fleet(ports, file)).plain(), (await import_fleet(ports, file)).plain()
    me = await owner(ports, slug)
    (staff,), (setting,) = [await ports.reads.entities.every(me, kind) for kind in (BOARD_ASSIGNMENTS, SETTINGS)]
    async with ports.unit(me) as unit:
        old = await unit.boards.find_handle("old")

    assert (old.id, "bob", "lead", AT) == (staff.board, staff.agent_name, staff.role, staff.assigned_at.timestamp())
    assert ("general.site_name", "Harbour", "boss") == (setting.key, setting.value, setting.updated_by)
    assert (1, 1) == (first["taken"]["project_agent_assignments"], second["there"]["settings"])
    assert "assigned" in next(e["why"] for e in first["skipped"] if e["table"] == "project_agent_assignments")


async def test_a_tools_connection_goes_along(ports: Any, slug: str, file: Path) -> None:
    """
    Under the id that the tool knows, live if it was; not without its agent.
    """
    live, ended = uuid4(), uuid4()
    changed(
        file,
        CONNECTIONS_TABLE,
        f"""INSERT INTO direct_connections VALUES
        (5, 9, 'cli', '1.0', '{live}', 'connected', {AT}, '{{"a": 1}}', {AT}, {AT}, 7),
        (6, 9, 'cli', NULL, '{ended}', 'disconnected', NULL, NULL, {AT}, {AT}, 7),
        (7, 2, 'cli', NULL, '{uuid4()}', 'connected', NULL, NULL, {AT}, {AT}, 7)""",
    )
    told = (await import_fleet(ports, file)).plain()
    me = await owner(ports, slug)
    one, two = [await ports.reads.entities.get(me, CONNECTIONS, id) for id in (live, ended)]

    assert (5, "cli", "1.0", '{"a":1}', AT) == (
        one.number, one.tool_name, one.tool_version, one.metadata, one.last_heartbeat_at.timestamp(),
    )  # fmt: skip
    assert (one.agent, None) == (one.live_for, two.live_for)
    assert (2, ["7"]) == (
        told["taken"]["direct_connections"],
        [e for each in told["skipped"] if each["table"] == "direct_connections" for e in each["examples"]],
    )


async def test_tables_that_nobody_knows_are_told_too(ports: Any, file: Path) -> None:
    """
    With how many rows they have, unless they have none.
    """
    changed(
        file, "CREATE TABLE evals (name TEXT)", "INSERT INTO evals VALUES ('a'), ('b')", "CREATE TABLE runs (id TEXT)"
    )
    told = (await import_fleet(ports, file)).plain()

    assert {"evals": 2, "user_sessions": 1} == {
        each["table"]: each["count"] for each in told["skipped"] if each["table"] in ("evals", "runs", "user_sessions")
    }


async def test_bytes_that_are_no_text_are_read_as_far_as_they_are(ports: Any, slug: str, file: Path) -> None:
    """
    One broken letter costs nothing else.
    """
    await import_fleet(ports, changed(file, "UPDATE tasks SET title = CAST(x'61ff62' AS TEXT) WHERE id = 11"))
    async with ports.unit(await owner(ports, slug)) as unit:
        assert "a\ufffdb" == (await unit.tasks.get(11)).title


async def test_an_organization_is_called_what_its_workspace_was(ports: Any, slug: str, file: Path) -> None:
    """
    If the import found it.
    """
    await import_fleet(ports, file)

    assert "Seven" == (await ports.credentials.organization(slug)).name


async def test_an_import_that_was_cut_short_is_completed_by_the_next(ports: Any, slug: str) -> None:
    """
    With nothing there twice, and numbers that were drawn for nothing left out.
    """
    me = await owner(ports, slug)
    ids = [ports.ids.new() for _ in range(250)]
    (number,) = await ports.numbers.next((me.organization, "group"))

    def group(id: Any) -> BoardGroup:
        now = ports.clock.now()
        return BoardGroup(id=id, number=number, organization=me.organization, name="G", slug="g", created_at=now,
                          updated_at=now)  # fmt: skip

    def rows(cut: int) -> Any:
        for place, id in enumerate(ids):
            if place == cut:
                raise KeyboardInterrupt
            yield place, {"id": id}, lambda row: group(row["id"])

    report = ImportReport()
    for cut in (150, 1000):
        taker = EntityImporter(ports, me.organization, "test", report)
        with suppress(KeyboardInterrupt):
            await taker.import_rows(
                "groups", lambda unit: unit.repository(GROUPS), rows(cut), finish=taker.with_next_number("group")
            )
    kept = await ports.reads.entities.every(me, GROUPS)

    assert (set(ids), 250) == ({each.id for each in kept}, len({each.number for each in kept}))
    assert (250, 100) == (report.taken["groups"], report.there["groups"])


def test_a_file_that_is_broken_in_the_middle_says_so(tmp_path: Path, file: Path) -> None:
    """
    And what was taken stays.
    """
    changed(file, "UPDATE tasks SET description = hex(zeroblob(100000)) WHERE id = 12")
    with file.open("r+b") as broken:
        broken.seek(2 * 4096)
        broken.write(b"\xff" * 4096 * 40)
    own = ["import", "fleet", str(file), "--data-dir", str(tmp_path / "data")]
    run = subprocess.run(
        [sys.executable, "-m", "mission_http.main", *own], cwd=tmp_path, capture_output=True, text=True
    )

    assert 2 == run.returncode
    assert "cannot be read as an SQLite database" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to be looked at", None])
async def test_a_file_that_is_no_such_database_is_refused(ports: Any, tmp_path: Path, content: bytes | None) -> None:
    """
    With the file's name.
    """
    path = tmp_path / "other.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"other\.db"):
        await import_fleet(ports, path)


async def test_the_file_is_only_read(ports: Any, slug: str, file: Path) -> None:
    """
    Byte for byte.
    """
    before = await asyncio.to_thread(file.read_bytes)
    report = await import_fleet(ports, file)

    assert before == await asyncio.to_thread(file.read_bytes)
    assert json.dumps(report.plain())
    assert any("tasks: 5 imported" in line for line in report.lines())


def test_the_command_line_reports_what_it_took(tmp_path: Path, file: Path) -> None:
    """
    To people or to programs; a file that is none stops it with a reason.
    """
    command = [sys.executable, "-m", "mission_http.main", "import", "fleet"]
    run = partial(subprocess.run, cwd=tmp_path, capture_output=True, text=True)
    own = ["--data-dir", str(tmp_path / "data")]
    first, second = run([*command, str(file), *own]), run([*command, str(file), *own, "--json"])
    wrong = run([*command, str(tmp_path / "nothing.db"), *own])

    assert (3, 3, 2) == (first.returncode, second.returncode, wrong.returncode), first.stderr + second.stderr
    assert "tasks: 5 imported" in first.stdout
    assert 5 == json.loads(second.stdout)["there"]["tasks"]
    assert "nothing.db does not exist" in wrong.stderr


async def test_people_sign_in_with_the_passwords_they_have(ports: Any, slug: str, file: Path) -> None:
    """
    As what their role made them; who was not approved is not let in, and no session goes along.
    """
    await ensure_organization(ports)
    await import_fleet(ports, file)
    me = await owner(ports, slug)
    begun = await sign_in(ports, SignIn(username=f"boss-{slug}", password="correct horse"))
    people = {each.user.username: each.member for each in await ports.reads.members.every(me)}

    assert (me.organization, Role.ADMIN) == (begun.principal.organization, begun.principal.role)
    assert ("admin", True, True) == _place(people[f"boss-{slug}"])
    assert ("member", True, False) == _place(people[f"eve-{slug}"])
    with pytest.raises(SignInRefused):
        await sign_in(ports, SignIn(username=f"eve-{slug}", password="x"))


def _place(member: Any) -> tuple[str, bool, bool]:
    return member.role, member.all_boards_read, member.all_boards_write


async def test_nobody_takes_over_somebody_else(ports: Any, slug: str, file: Path) -> None:
    """
    Neither by a user name nor by an e-mail address: they stay two people, and the report tells.
    """
    told = (await import_fleet(ports, file)).plain()
    (third,) = [
        each.user for each in await ports.reads.members.every(await owner(ports, slug)) if each.user.email == "g@x.io"
    ]
    said = [each["why"] for each in told["changed"] if each["table"] == "users" and "3" in each["examples"]]

    assert f"boss-{slug}" != third.username_key.casefold()
    assert third.username.startswith(f"BOSS-{slug}-")
    assert (None, False, f"g-{slug}") == (third.password, third.email_verified, third.subject)
    assert any("user name" in each for each in said)


async def test_the_local_user_owns_what_came_without_an_owner(ports: Any, slug: str, file: Path) -> None:
    """
    So the server's key reaches every workspace of the file.
    """
    home = await ensure_organization(ports)
    local = await ensure_local_user(ports, home.id)
    await import_fleet(ports, file)
    (member,) = [
        each.member for each in await ports.reads.members.every(await owner(ports, slug)) if each.user.id == local
    ]

    assert ("owner", True, True) == _place(member)


@pytest.mark.parametrize(
    "slugs",
    [
        (None, None),
        ("", " "),
        ("same", "same"),
        ("same", "sa\0me"),
        ("workspace-8", None),
        (b"a", "a"),
        ("x" * 201,) * 2,
    ],
)
async def test_two_workspaces_never_become_one_organization(
    file: Path, clock: ManualClock, slugs: tuple[Any, Any]
) -> None:
    """
    Whatever their slugs are; and each stays the same one when the import is repeated.
    """
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("INSERT INTO workspaces (id, slug, name, created_at) VALUES (8, NULL, 'Eight', 1)")
        database.execute("UPDATE agents SET workspace_id = 8 WHERE id = 9")
        for id, slug in zip((7, 8), slugs, strict=True):
            database.execute("UPDATE workspaces SET slug = ? WHERE id = ?", (slug, id))
    ports = ports_over(MemoryStore(clock), clock)
    for _ in range(2):
        report = await import_fleet(ports, file)
        found = {
            id: {each.name for each in await ports.reads.agents.names(SystemPrincipal(organization=id))} - {"main"}
            for id in await ports.credentials.organizations()
        }

        assert 2 == len(found)
        assert 1 == len([each for each in found.values() if "bob" in each])
        assert not [each for each in found.values() if {"ada", "bob"} <= each]
        assert [why for table, why in report.changed if table == "workspaces"]


NASTY = (
    None, "", " ", "a\0b", "nonsense", "x" * 50_000, "a,b,c", "[", '["a\\u0000"]', '{"a": 1e999}', "[[1], {}]", -1, 9,
    2.5, 1_750_000_000_000, 10**18, -(10**18), 1e300, b"\xff\x00",
)  # fmt: skip
IDENTITY = {
    "id", "workspace_id", "username", "name", "slug", "ticket_prefix", "role", "key_hash", "agent_id", "task_id",
    "expires_at", "revoked_at", "is_approved", "content", "key", "connection_id", "tool_name", "agent_name",
}  # fmt: skip
"""Columns without which a row is another one, or would let somebody do more than it did."""


@pytest.mark.parametrize("value", NASTY, ids=range(len(NASTY)))
async def test_a_column_that_is_spoiled_costs_no_row_that_can_stand_without_it(
    file: Path, clock: ManualClock, value: Any
) -> None:
    """
    Whatever is in it, the import ends, tells what it took otherwise, and changes nothing when it is repeated.
    """
    with closing(sqlite3.connect(with_later_tables(file))) as database:
        places = [(each, name) for each in IMPORTED for _, name, *_ in database.execute(f"PRAGMA table_info({each})")]
    whole = (await import_fleet(ports_over(MemoryStore(clock), clock), file)).plain()
    for table, name in places:
        if name in ("id", "workspace_id"):
            continue
        spoiled = Path(shutil.copy(file, file.with_name("spoiled.db")))
        with closing(sqlite3.connect(spoiled)) as database, database:
            first = f"(SELECT min(rowid) FROM {table})"
            with suppress(sqlite3.IntegrityError):
                database.execute(f"UPDATE {table} SET {name} = ? WHERE rowid = {first}", (value,))
        ports = ports_over(MemoryStore(clock), clock)
        told = (await import_fleet(ports, spoiled)).plain()
        again = (await import_fleet(ports, spoiled)).plain()

        assert {} == {each: count for each, count in again["taken"].items() if count}, (table, name)
        assert not [why for why in (each["why"] for each in told["skipped"]) if "Error" in why or "invalid lit" in why]
        if name not in IDENTITY and (table, name) != ("project_agent_assignments", "project_id"):
            assert whole["taken"] == told["taken"], (table, name, told)


OF_WORKSPACES = ("users", "agents", "agent_api_keys", "projects", "direct_connections", "tasks", "comments")
IMPORTED = (*OF_WORKSPACES, "workspaces", "project_agent_assignments", "settings")


def with_later_tables(file: Path) -> Path:
    """
    The file with one row in each table that its fixture lacks.
    """
    return changed(
        file, ASSIGNMENTS, SETTINGS_TABLE, CONNECTIONS_TABLE,
        f"INSERT INTO project_agent_assignments VALUES (1, 3, 'bob', 'lead', {AT})",
        f"INSERT INTO settings VALUES ('general.site_name', 'Harbour', '', 'general', 'boss', {AT})",
        "INSERT INTO direct_connections VALUES"
        f" (5, 9, 'cli', '1.0', '{uuid4()}', 'connected', {AT}, '{{\"a\": 1}}', {AT}, {AT}, 7)",
    )  # fmt: skip


@pytest.mark.parametrize(
    "spoil",
    [
        *(f"UPDATE {each} SET workspace_id = 99 WHERE id = (SELECT min(id) FROM {each})" for each in OF_WORKSPACES),
        "UPDATE direct_connections SET workspace_id = NULL",
        "UPDATE project_agent_assignments SET project_id = 99",
        "UPDATE projects SET ticket_prefix = 'BASE' WHERE id = 3",
        "SELECT 1",
    ],
)
async def test_every_row_is_taken_or_told_of(file: Path, clock: ManualClock, spoil: str) -> None:
    """
    Also where its workspace or its project is not there.
    """
    report = await import_fleet(ports_over(MemoryStore(clock), clock), changed(with_later_tables(file), spoil))
    with closing(sqlite3.connect(file)) as database:
        counts = {
            each: database.execute(f"SELECT count(*) FROM {each}").fetchone()[0]
            for each in IMPORTED
            if each != "workspaces"  # which become organizations
        }
    found = {each: report.taken[each] for each in counts}
    for (table, _), reason in report.skipped.items():
        if table in found:
            found[table] += reason.count

    assert counts == found


async def test_a_repaired_field_is_told(ports: Any, slug: str, file: Path) -> None:
    """
    With its column, and what became of it.
    """
    spoil = "UPDATE tasks SET tags = 'a,b,c', due_date = 1750000000000, outcome = 7, retry_count = 'x' WHERE id = 11"
    told = (await import_fleet(ports, changed(file, spoil, "UPDATE agents SET last_seen = 1e300 WHERE id = 9"))).plain()
    async with ports.unit(await owner(ports, slug)) as unit:
        task = await unit.tasks.get(11)
    why = {each["why"] for each in told["changed"] if {"11", "9"} & {*each["examples"]}}

    assert ((), AT, 0) == (task.tags, task.due_at.timestamp(), task.retry_count)
    for column in ("tags", "due_date", "retry_count", "last_seen"):
        assert any(each.startswith(f"{column} ") for each in why), (column, why)
