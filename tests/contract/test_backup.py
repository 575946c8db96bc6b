"""
What a backup holds is what was acknowledged before it began, and a restore is whole or none.
"""

import asyncio
import io
import json
import shutil
import sqlite3
import stat
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest

from mission_adapters.backup.archive import DATABASE, MANIFEST, SECRETS
from mission_adapters.sql.store import SqlStore
from mission_http.maintenance import PASSPHRASE_VARIABLE, backup, complete_interrupted_restore, restore
from mission_http.settings import SECRETS_FILE, SettingsError, read_secrets_file, settings_from
from tests.contract.process_kills import kill_at_each_step
from tests.contract.server_commands import run, serving, tree
from tests.contract.visitor import Visitor
from tests.contract.webhook_secrets import GIVEN, made, opened

pytestmark = pytest.mark.real_time

WORDS = "correct horse battery staple"
OFF = {"MC_DISABLE_RATE_LIMIT": "1"}


def test_a_backup_under_load_has_all_that_was_acknowledged(tmp_path: Path) -> None:
    """
    The restored log verifies, the counters are exact; and beside the server nothing is restored.
    """
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir(), other.mkdir()
    acknowledged, enough, stop = set[int](), Event(), Event()
    with serving(cwd=one, API_KEY="k" * 40, RATE_LIMIT_GENERAL="0", RATE_LIMIT_MUTATION="0", **OFF) as (port, _):

        def write() -> None:
            while not stop.is_set():
                visitor = Visitor(port, headers={"x-api-key": "k" * 40})
                status, answer = visitor.ask("POST", "/api/tasks", {"title": "one more"})
                assert 201 == status, answer
                acknowledged.add(answer["task"]["id"])
                if len(acknowledged) > 50:
                    enough.set()

        with ThreadPoolExecutor(3) as pool:
            writers = [pool.submit(write) for _ in range(3)]
            assert enough.wait(60)
            before = set(acknowledged)
            saved = run("backup", str(tmp_path / "b.tar"), cwd=one, **{PASSPHRASE_VARIABLE: WORDS})
            after = set(acknowledged)
            stop.set()
        assert [None] * 3 == [each.result() for each in writers]
        refused = run("restore", str(tmp_path / "b.tar"), cwd=one, **{PASSPHRASE_VARIABLE: WORDS})
    restored = run("restore", str(tmp_path / "b.tar"), cwd=other, **{PASSPHRASE_VARIABLE: WORDS})
    verified = run("audit", "verify", cwd=other)

    assert (0, 0, 0) == (saved.returncode, restored.returncode, verified.returncode), saved.stderr + restored.stderr
    assert (2, 1) == (refused.returncode, len(refused.stderr.splitlines())), refused.stderr
    assert "restore: a server uses " in refused.stderr
    with closing(sqlite3.connect(other / ".data" / "mission-control.db")) as connection:
        found = {number for (number,) in connection.execute("SELECT number FROM tasks")}
        ((counted,),) = connection.execute("SELECT sum(amount) FROM tallies")
    assert len(before) < len(after)  # it went on meanwhile
    assert before <= found
    assert len(found) == counted
    assert read_secrets_file(one / ".data" / SECRETS_FILE) == read_secrets_file(other / ".data" / SECRETS_FILE)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """
    A backup of data with a sealed secret, and with a file beside it.
    """
    home = tmp_path / "origin"
    (home / "souls").mkdir(parents=True)
    (home / "souls" / "calm.md").write_text("# Calm")
    settings = settings_from({"MC_SOUL_TEMPLATES_DIR": str(home / "souls")}, data_dir=home)
    asyncio.run(made(settings))
    asyncio.run(backup(settings, tmp_path / "b.tar", WORDS, replace=False))
    return tmp_path / "b.tar"


def restored(home: Path, archive: Path, passphrase: str | None = WORDS, **environment: str) -> list[str]:
    return restore(settings_from(environment, data_dir=home, in_use=False), archive, lambda: passphrase)


def test_a_restore_brings_everything_and_keeps_what_was_there(archive: Path, tmp_path: Path) -> None:
    """
    The database, the secrets under which it opens, and the files; what they replace is where it says.
    """
    home = tmp_path / "why? #1"
    first = settings_from({}, data_dir=home)
    asyncio.run(made(first))
    lines = restored(home, archive)
    kept = Path(lines[-1].rpartition(" in ")[2])

    assert [GIVEN] == asyncio.run(opened(settings_from({}, data_dir=home)))
    assert read_secrets_file(tmp_path / "origin" / SECRETS_FILE) == read_secrets_file(home / SECRETS_FILE)
    assert "# Calm" == (home / "souls" / "calm.md").read_text()
    assert home == kept.parent
    assert [GIVEN] == asyncio.run(opened(settings_from({}, data_dir=kept)))
    assert first.auth_secret == settings_from({}, data_dir=kept).auth_secret
    assert [] == [each for each in tree(home) if ".restor" in each]


def test_an_archive_is_for_its_owner_and_replaces_nothing_unasked(archive: Path, tmp_path: Path) -> None:
    """
    No secret can be read in it, and what is secret can be left out.
    """
    settings = settings_from({}, data_dir=tmp_path / "origin")
    before = archive.read_bytes()
    with pytest.raises(SettingsError, match="exists already"):
        asyncio.run(backup(settings, archive, None, replace=False))
    unchanged = archive.read_bytes() == before
    lines = asyncio.run(backup(settings, archive, None, replace=True))
    with tarfile.open(archive) as tar:
        without = tar.getnames()

    assert unchanged
    assert 0o600 == stat.S_IMODE(archive.stat().st_mode)
    assert not any(
        secret.encode() in before for secret in read_secrets_file(tmp_path / "origin" / SECRETS_FILE).values()
    )
    assert SECRETS not in without
    assert any("are left out" in line for line in lines)
    assert {"origin", "b.tar"} == {each.name for each in tmp_path.iterdir()}


def test_what_an_archive_does_not_hold_is_told(tmp_path: Path) -> None:
    """
    Whoever backs up keeps the rest in another way.
    """
    (tmp_path / "elsewhere").mkdir()
    environment = {"MC_SOUL_TEMPLATES_DIR": str(tmp_path / "elsewhere"), "AUTH_SECRET": "correct-horse-" * 4}
    settings = settings_from(environment, data_dir=tmp_path / "home")
    asyncio.run(made(settings))
    lines = asyncio.run(backup(settings, tmp_path / "b.tar", None, replace=False))
    told = "\n".join(lines[1:])

    for each in (str(tmp_path / "elsewhere"), str(tmp_path / "home" / SECRETS_FILE), "AUTH_SECRET"):
        assert each in told


def rewritten(archive: Path, change: Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None]) -> None:
    """
    The archive, with each member as *change* makes it, or without it.
    """
    with tarfile.open(archive) as tar:
        members = [(each, tar.extractfile(each).read()) for each in tar]  # type: ignore[union-attr]
    with tarfile.open(archive, "w") as tar:
        for member, content in filter(None, (change(*each) for each in members)):
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def flipped(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    if member.name == DATABASE:
        content = content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]
    return member, content


def escaping(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    """
    A file that would be written beside the data directory.
    """
    if member.name == MANIFEST:
        content = content.replace(b"files/souls/calm.md", b"files/../../out.md")
    member.name = member.name.replace("files/souls/calm.md", "files/../../out.md")
    return member, content


def renumbered(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    """
    A manifest that says something else, and fits the others.
    """
    if member.name == MANIFEST:
        content = json.dumps(json.loads(content) | {"made_at": "2020-01-01T00:00:00Z"}).encode()
    return member, content


def linked(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    if member.name.startswith("files/"):
        member.type, member.linkname, content = tarfile.SYMTYPE, "/etc/passwd", b""
    return member, content


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:-20_000]), "is not a complete tar archive|lacks"),
        (lambda file: file.write_bytes(b""), "not a complete tar archive"),
        (lambda file: file.write_bytes(b"SQLite format 3\0" * 900), "not a complete tar archive"),
        (lambda file: rewritten(file, flipped), "is not what its manifest says"),
        (lambda file: rewritten(file, escaping), "names files that no backup has"),
        (lambda file: rewritten(file, renumbered), "its manifest was changed"),
        (lambda file: rewritten(file, linked), "is not what its manifest says"),
        (lambda file: rewritten(file, lambda *each: each if each[0].name != SECRETS else None), "lacks"),
        (lambda file: rewritten(file, lambda *each: each if each[0].name != MANIFEST else None), "this is no backup"),
    ],
    ids=["truncated", "empty", "foreign", "flipped", "escaping", "renumbered", "linked", "incomplete", "headless"],
)
def test_an_archive_that_is_not_as_it_was_written_is_refused(
    spoil: Callable[[Path], object], why: str, archive: Path, tmp_path: Path
) -> None:
    """
    In a sentence, and nothing is touched.
    """
    home = tmp_path / "home"
    asyncio.run(made(settings_from({}, data_dir=home)))
    before = tree(tmp_path / "origin") | tree(home)
    spoil(archive)
    with pytest.raises(SettingsError, match=f"is refused: .*({why}).*; nothing was changed"):
        restored(home, archive)

    assert before == tree(tmp_path / "origin") | tree(home)
    assert {"origin", "home", "b.tar"} == {each.name for each in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("passphrase", "environment", "why"),
    [
        ("another horse battery", {}, "passphrase does not open"),
        (None, {}, "secrets in the archive are encrypted"),
        (WORDS, {"AUTH_SECRET": "another secret of somebody"}, "^AUTH_SECRET: the secret in the environment is not"),
        (WORDS, {"DATABASE_URL": "postgresql://here/db"}, "^restore: works on SQLite alone; restore PostgreSQL with"),
    ],
)
def test_a_restore_that_would_not_open_is_refused(
    passphrase: str | None, environment: dict[str, str], why: str, archive: Path, tmp_path: Path
) -> None:
    """
    Without the secret that the backup was made under, nobody could use it.
    """
    with pytest.raises(SettingsError, match=why):
        restored(tmp_path / "home", archive, passphrase, **environment)

    assert [] == [each for each in tree(tmp_path / "home") if not each.endswith(".lock")]


def test_without_secrets_the_present_one_must_be_that_of_the_backup(archive: Path, tmp_path: Path) -> None:
    """
    Where it is, nothing else is needed.
    """
    origin = settings_from({}, data_dir=tmp_path / "origin")
    asyncio.run(backup(origin, archive, None, replace=True))
    with pytest.raises(SettingsError, match="AUTH_SECRET: none of the known secrets is that of this backup"):
        restored(tmp_path / "home", archive)
    restored(tmp_path / "home", archive, AUTH_SECRET=origin.auth_secret)
    environment = {"AUTH_SECRET": origin.auth_secret}

    assert [GIVEN] == asyncio.run(opened(settings_from(environment, data_dir=tmp_path / "home")))


async def test_nothing_is_restored_beside_a_store_that_is_open(archive: Path, tmp_path: Path) -> None:
    """
    Nor beside any other program that has the file open.
    """
    home = tmp_path / "home"
    settings = await made(settings_from({}, data_dir=home))
    async with SqlStore.open(settings.database_url):
        with pytest.raises(SettingsError, match=r"a server uses .*; stop it first"):
            await asyncio.to_thread(restored, home, archive)
    with closing(sqlite3.connect(home / "mission-control.db")) as connection:
        connection.execute("SELECT count(*) FROM tasks").fetchall()
        with pytest.raises(SettingsError, match=r"a server uses .*; stop it first"):
            await asyncio.to_thread(restored, home, archive)

    assert [GIVEN] == await opened(settings)


def from_archive(folder: Path) -> None:
    """
    The archive in a folder, restored over the data there.
    """
    restored(folder / "data", folder / "b.tar")


def test_a_restore_that_is_killed_leaves_the_old_or_the_new(archive: Path, tmp_path: Path) -> None:
    """
    At each step, whole, and with the old kept as soon as the new stands.
    """
    home = tmp_path / "first" / "data"
    old = asyncio.run(made(settings_from({}, data_dir=home)))
    new = settings_from({}, data_dir=tmp_path / "origin")
    shutil.copy(archive, tmp_path / "first" / "b.tar")
    stands = []
    for copy in kill_at_each_step(__name__, "from_archive", tmp_path):
        data = copy / "data"
        complete_interrupted_restore(settings_from({}, data_dir=data, in_use=False))
        settings = settings_from({}, data_dir=data)
        assert [GIVEN] == asyncio.run(opened(settings)), copy
        assert settings.auth_secret in (old.auth_secret, new.auth_secret)
        stands.append(settings.auth_secret == new.auth_secret)
        if stands[-1]:
            (kept,) = data.glob("replaced-*")
            assert {"mission-control.db", SECRETS_FILE} <= {each.name for each in kept.iterdir()}

    assert [GIVEN] == asyncio.run(opened(settings_from({}, data_dir=kept)))
    assert old.auth_secret == settings_from({}, data_dir=kept).auth_secret
    assert [False, True] == [stands[0], stands[-1]]
    assert sorted(stands) == stands
    assert 3 < stands.count(True)


def test_a_restore_that_stops_half_way_does_not_say_that_nothing_was_changed(archive: Path, tmp_path: Path) -> None:
    """
    It says what is in its way. Once that is gone, the next command that needs the data completes it.
    """
    home = tmp_path / "home"
    asyncio.run(made(settings_from({}, data_dir=home)))
    (home / "souls" / "calm.md").mkdir(parents=True)
    told = []
    for command in (("restore", str(archive)), ("backup", "new.tar")):
        failed = run(*command, "--data-dir", str(home), cwd=tmp_path, **{PASSPHRASE_VARIABLE: WORDS})
        assert (2, 1) == (failed.returncode, len(failed.stderr.splitlines())), failed.stderr
        told.append(failed.stderr)
    (home / "souls" / "calm.md").rmdir()
    mended = run("backup", "new.tar", "--data-dir", str(home), cwd=tmp_path)

    for each in told:
        assert "calm.md" in each
        assert "the restore is not complete; correct that, and run mission-control serve" in each
        assert "nothing was changed" not in each
    assert 0 == mended.returncode, mended.stderr
    assert "# Calm" == (home / "souls" / "calm.md").read_text()
    assert [GIVEN] == asyncio.run(opened(settings_from({}, data_dir=home)))
    assert read_secrets_file(tmp_path / "origin" / SECRETS_FILE) == read_secrets_file(home / SECRETS_FILE)


def test_what_has_no_backup_is_told_in_one_line(fresh_postgres: str, tmp_path: Path) -> None:
    """
    PostgreSQL has its own tools, and a passphrase is not short.
    """
    other = run("backup", "b.tar", cwd=tmp_path, DATABASE_URL=fresh_postgres)
    nothing = run("backup", "b.tar", cwd=tmp_path)
    run("migrate", cwd=tmp_path)
    short = run("backup", "b.tar", cwd=tmp_path, **{PASSPHRASE_VARIABLE: "short"})

    assert [2, 2, 2] == [each.returncode for each in (other, nothing, short)]
    assert "mission-control: backup: works on SQLite alone; back up PostgreSQL with pg_dump" in other.stderr
    assert "there is no database" in nothing.stderr
    assert "has at least 12 characters" in short.stderr
    assert [1, 1, 1] == [len(each.stderr.splitlines()) for each in (other, nothing, short)]
    assert not (tmp_path / "b.tar").exists()
