"""
The command line, as processes.
"""

import asyncio
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mission_adapters.database import database_ports
from mission_adapters.sql.migrations import HEAD
from mission_core.accounts.model import SystemPrincipal
from mission_core.agents.organization_creation import ensure_organization
from mission_core.usage.use_cases import RecordUsage, UsageReport, record_usage
from tests.contract.database_relay import relay_to
from tests.contract.postgres_faults import read_only

pytestmark = pytest.mark.real_time

NOBODY = 65534


def run(*command: str, data_dir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", "mission_http.main", *command, "--data-dir", str(data_dir)]
    return subprocess.run(arguments, capture_output=True, text=True, cwd=data_dir, env=environment, timeout=60)


def test_each_credential_is_printed_with_its_name(tmp_path: Path) -> None:
    """
    What is printed is what the environment takes.
    """
    printed = run("token", data_dir=tmp_path, API_KEY="given").stdout.splitlines()

    assert "API_KEY=given" == printed[0]
    assert ["API_KEY", "LOCAL_AUTH_TOKEN"] == [line.partition("=")[0] for line in printed]


def test_what_is_printed_ends_its_last_line(tmp_path: Path) -> None:
    """
    So that a terminal's prompt begins a new one.
    """
    for command in (["token"], ["migrate"], ["doctor", "--port", "0", "--json"], ["--version"]):
        assert run(*command, data_dir=tmp_path).stdout.endswith("\n"), command


def test_a_shell_can_evaluate_what_is_printed(tmp_path: Path) -> None:
    """
    Whatever the operator chose as a key is a key, and never a command.
    """
    printed = run("token", data_dir=tmp_path, API_KEY="two words; $(touch here) 'and' more").stdout
    shown = subprocess.check_output(
        ["sh", "-c", f'{printed}\nprintf %s "$API_KEY"'], cwd=tmp_path, text=True, timeout=60
    )

    assert "two words; $(touch here) 'and' more" == shown
    assert not (tmp_path / "here").exists()


def test_migrating_twice_is_the_same_as_once(tmp_path: Path) -> None:
    """
    An empty database is made, and a made one is left alone.
    """
    first, second = run("migrate", data_dir=tmp_path), run("migrate", data_dir=tmp_path)

    assert (0, 0) == (first.returncode, second.returncode), first.stderr + second.stderr
    assert f"the database is at revision {HEAD}\n" == first.stdout == second.stdout


@pytest.mark.parametrize(
    ("url", "reason", "advice"),
    [
        ("oracle://here", "expected postgresql://", ""),
        ("sqlite:////nowhere/at/all.db", "unable to open database file", "; create the folder, or correct"),
        ("sqlite:///", "no such database", "; write sqlite:///path"),
        ("postgresql://me:sesame@127.0.0.1:1/db?password=sesame", "no connection", "; start the server, allow"),
        ("postgresql://me:12/sesame@127.0.0.1:1/db", "postgresql://127.0.0.1:1/db cannot be used (its URL", "; write"),
        ("postgresql://me:12?sesame@127.0.0.1:1/db", "postgresql://127.0.0.1:1/db cannot be used (its URL", "; write"),
        ("postgresql://me:12#sesame@127.0.0.1:1/db", "postgresql://127.0.0.1:1/db cannot be used (its URL", "; write"),
        (
            "postgresql://me:sesame@here:there/db",
            "its URL cannot be read",
            "; write sqlite:///path or postgresql://user:password@",
        ),
    ],
)
@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("migrate",), ("audit", "verify")])
def test_a_database_that_cannot_be_used_is_told_in_one_line(
    command: tuple[str, ...], url: str, reason: str, advice: str, tmp_path: Path
) -> None:
    """
    With the variable to change and what to do, without a traceback, and without the password.
    """
    failed = run(*command, data_dir=tmp_path, DATABASE_URL=url)

    assert 2 == failed.returncode
    assert 1 == len(failed.stderr.splitlines()), failed.stderr
    assert failed.stderr.startswith("mission-control: DATABASE_URL (or --database-url): ")
    assert reason in failed.stderr
    assert advice in failed.stderr
    assert not {"sesame", "me:", "12"} & {*re.split(r"[^\w:]|(?<=:)", failed.stderr)}


@pytest.mark.parametrize("name", ["why?", "a#b", "100%", "%41", "two words", "größe", "me@work"])
def test_the_database_is_in_its_directory(name: str, tmp_path: Path) -> None:
    """
    Whatever that is called.
    """
    home = tmp_path / name
    home.mkdir()
    migrated, seen = run("migrate", data_dir=home), run("doctor", "--port", "0", data_dir=home)

    assert (0, 0) == (migrated.returncode, seen.returncode), migrated.stderr + seen.stdout
    assert (home / "mission-control.db").stat().st_size > 0
    assert f"sqlite:///{home}/mission-control.db: is at revision" in seen.stdout
    assert [home] == [*tmp_path.iterdir()]


def test_a_spoilt_database_of_its_own_is_told_by_its_directory(tmp_path: Path) -> None:
    """
    Where nobody named a database, the directory is what can be changed.
    """
    (tmp_path / "mission-control.db").write_text("this is not a database" * 100)

    failed = run("serve", "--port", "0", data_dir=tmp_path)

    assert (2, 1) == (failed.returncode, len(failed.stderr.splitlines()))
    assert failed.stderr.startswith("mission-control: MISSION_CONTROL_DATA_DIR (or --data-dir): ")


def test_a_database_that_may_only_be_read_is_not_served() -> None:
    """
    A start says so, instead of every change later; its log can be proved all the same. Asked as somebody who is not
    root, for whom nothing is forbidden.
    """
    with TemporaryDirectory() as folder:  # not pytest's own, which others may not enter
        Path(folder).chmod(0o777)
        found = subprocess.run([sys.executable, "-c", FOUND, folder], capture_output=True, text=True, timeout=60)
        assert "" == found.stderr
        for each in Path(folder).iterdir():
            each.chmod(0o444)
        served, verified = (
            subprocess.run(
                [sys.executable, "-c", AS_NOBODY, *command, "--data-dir", folder], capture_output=True, text=True,
                cwd=folder, env={}, timeout=60,
            )
            for command in (("serve", "--port", "0"), ("audit", "verify"))
        )  # fmt: skip

    assert (2, "", 1) == (served.returncode, served.stdout, len(served.stderr.splitlines())), served.stderr
    assert served.stderr.startswith("mission-control: MISSION_CONTROL_DATA_DIR (or --data-dir): ")
    assert "readonly" in served.stderr
    assert "; let this user write to it" in served.stderr
    assert (0, True) == (verified.returncode, "sound" in verified.stdout), verified.stderr


def test_a_postgresql_that_takes_no_changes_is_not_served(fresh_postgres: str, tmp_path: Path) -> None:
    """
    As a standby server does not.
    """
    migrated = run("migrate", data_dir=tmp_path, DATABASE_URL=fresh_postgres)
    asyncio.run(read_only(fresh_postgres))
    served = run("serve", "--port", "0", data_dir=tmp_path, DATABASE_URL=fresh_postgres)

    assert 0 == migrated.returncode, migrated.stderr
    assert (2, "", 1) == (served.returncode, served.stdout, len(served.stderr.splitlines())), served.stderr
    assert served.stderr.startswith("mission-control: DATABASE_URL (or --database-url): ")
    assert "read-only" in served.stderr
    assert "; let this user write to it" in served.stderr


@pytest.mark.parametrize(
    ("command", "times"),
    [("serve", 3), ("serve", 14), ("serve", 30), ("serve", 50), ("migrate", 4), ("audit verify", 12)],
)
def test_a_database_that_goes_away_during_the_start_is_told_in_one_line(
    fresh_postgres: str, tmp_path: Path, command: str, times: int
) -> None:
    """
    Whatever the start was at.
    """
    with relay_to(fresh_postgres) as relay:
        if command == "audit verify":
            assert 0 == run("migrate", data_dir=tmp_path, DATABASE_URL=relay.url).returncode
        relay.cut_after(times)
        port = ("--port", "0") if command == "serve" else ()
        failed = run(*command.split(), *port, data_dir=tmp_path, DATABASE_URL=relay.url)

        assert relay.away
    assert (2, 1) == (failed.returncode, len(failed.stderr.splitlines())), failed.stderr
    assert failed.stderr.startswith("mission-control: DATABASE_URL (or --database-url): ")


def test_a_database_that_goes_away_is_found_by_the_doctor_and_keeps_no_token_back(
    fresh_postgres: str, tmp_path: Path
) -> None:
    """
    Neither is a start.
    """
    with relay_to(fresh_postgres) as relay:
        run("migrate", data_dir=tmp_path, DATABASE_URL=relay.url)
        found = []
        for command in ("doctor", "token"):
            relay.cut_after(5)
            found.append(run(command, data_dir=tmp_path, DATABASE_URL=relay.url))
            assert relay.away
            relay.mend()

    assert [1, 0] == [each.returncode for each in found]
    assert ["", ""] == [each.stderr for each in found]
    assert "it cannot be queried" in found[0].stdout


def test_a_database_that_is_back_in_a_moment_is_waited_for(fresh_postgres: str, tmp_path: Path) -> None:
    """
    As it is where everything is started at once.
    """
    with relay_to(fresh_postgres) as relay:
        relay.away = True
        back = threading.Thread(target=lambda: relay.refused.wait(60) and relay.mend())
        back.start()
        migrated = run("migrate", data_dir=tmp_path, DATABASE_URL=relay.url)
        back.join()

    assert (0, "") == (migrated.returncode, migrated.stderr)


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.1", "nowhere.invalid"])
def test_where_it_cannot_listen_it_says_so_in_one_line(host: str, tmp_path: Path) -> None:
    """
    A port that is taken, an address of another machine, a name that nobody has.
    """
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        failed = run("serve", "--host", host, "--port", str(port), data_dir=tmp_path)

    assert (2, 1) == (failed.returncode, len(failed.stderr.splitlines())), failed.stderr
    assert failed.stderr.startswith(f"mission-control: --host, --port: cannot listen on {host}:{port} ")


def test_a_redis_that_cannot_be_used_is_told_with_what_to_do(tmp_path: Path) -> None:
    """
    In one line, without the password.
    """
    redis = {"RATE_LIMIT_BACKEND": "redis", "RQ_REDIS_URL": "redis://me:sesame@127.0.0.1:1"}
    failed = run("serve", "--port", "0", data_dir=tmp_path, **redis)

    assert (2, 1) == (failed.returncode, len(failed.stderr.splitlines())), failed.stderr
    assert failed.stderr.startswith("mission-control: RQ_REDIS_URL: redis://127.0.0.1:1 cannot be used (")
    assert failed.stderr.endswith("; start it, or correct RQ_REDIS_URL; or set RATE_LIMIT_BACKEND=memory\n")
    assert "sesame" not in failed.stderr


def test_a_port_that_there_cannot_be_is_refused(tmp_path: Path) -> None:
    """
    Nothing is listened on instead.
    """
    failed = run("serve", "--port", "99999", data_dir=tmp_path)

    assert 2 == failed.returncode
    assert "--port" in failed.stderr + failed.stdout


def test_the_version_is_that_of_the_distribution(tmp_path: Path) -> None:
    """
    Not one of the modules, which have none.
    """
    command = [sys.executable, "-m", "mission_http.main", "--version"]

    assert version("mission-control-plane") == subprocess.check_output(command, text=True, timeout=60).strip()


@pytest.mark.parametrize(("library", "command"), [("uvicorn", "serve"), ("cyclopts", "doctor")])
def test_the_command_without_its_extra_names_it(library: str, command: str, tmp_path: Path) -> None:
    """
    In one line, like whatever else keeps it from starting.
    """
    without = f"import sys; sys.modules['{library}'] = None; from mission_http.command import main; main()"
    failed = subprocess.run(
        [sys.executable, "-c", without, command], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )

    assert (2, "", 1) == (failed.returncode, failed.stdout, len(failed.stderr.splitlines())), failed.stderr
    assert "pip install 'mission-control-plane[server]'" in failed.stderr


@pytest.mark.parametrize("command", ["doctor", "token"])
def test_whoever_has_read_enough_is_left_alone(command: str, tmp_path: Path) -> None:
    """
    A pipe that is closed is told to nobody.
    """
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "mission_http.main", command], stdout=writer, stderr=subprocess.PIPE, text=True,
        cwd=tmp_path, timeout=60,
    )  # fmt: skip
    os.close(writer)

    assert (141, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize("flag", ["--data-dir", "--database-url"])
def test_a_flag_that_says_nothing_is_refused(flag: str, tmp_path: Path) -> None:
    """
    As a script writes it whose variable is not set; nothing is made where it happens to run.
    """
    command = [sys.executable, "-m", "mission_http.main", "token", flag, ""]
    failed = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={}, timeout=60)

    assert (2, "", 1) == (failed.returncode, failed.stdout, len(failed.stderr.splitlines())), failed.stderr
    assert failed.stderr.startswith(f"mission-control: {flag}: is empty; give it ")
    assert [] == list(tmp_path.iterdir())


def test_the_sums_of_the_token_ledger_are_rebuilt(tmp_path: Path) -> None:
    """
    Whatever they were; and nothing is made where nothing was served.
    """
    refused = run("usage", "rebuild", data_dir=tmp_path)
    asyncio.run(_with_usage(f"sqlite:///{tmp_path / 'mission-control.db'}"))
    settings = {"AUTH_SECRET": "secret", "DATABASE_URL": f"sqlite:///{tmp_path / 'mission-control.db'}"}
    with sqlite3.connect(tmp_path / "mission-control.db") as database:
        before = database.execute("SELECT * FROM usage_totals").fetchall()
        database.execute("UPDATE usage_totals SET input_tokens = 7, cost = 7")
    rebuilt = run("usage", "rebuild", data_dir=tmp_path, **settings)
    with sqlite3.connect(tmp_path / "mission-control.db") as database:
        after = database.execute("SELECT * FROM usage_totals").fetchall()

    assert (2, True) == (refused.returncode, "nothing to rebuild" in refused.stderr)
    told = ": 3 sums of 1 entries were corrected\n"
    assert (0, True) == (rebuilt.returncode, rebuilt.stdout.endswith(told)), (rebuilt.stdout, rebuilt.stderr)
    assert before == after != []


async def _with_usage(url: str) -> None:
    """
    A database with an entry in its token ledger.
    """
    async with database_ports(url, secret="secret") as ports:
        me = SystemPrincipal(organization=(await ensure_organization(ports, slug="default")).id)
        report = UsageReport(model="large", input_tokens=1000, output_tokens=100)
        await record_usage(ports, me, RecordUsage(report=report))


def test_nothing_to_verify_is_not_called_sound(tmp_path: Path) -> None:
    """
    A wrong directory must not pass for a log that was proved.
    """
    empty = run("audit", "verify", data_dir=tmp_path)

    assert (2, "") == (empty.returncode, empty.stdout)
    assert "nothing to verify" in empty.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("audit", "verify"),
        ("audit", "export", "log.jsonl"),
        ("usage", "rebuild"),
        ("import", "fleet", "nothing.db"),
        ("import", "boards", "postgresql://nobody@127.0.0.1:1/none"),
    ],
)
@pytest.mark.parametrize("elsewhere", [{}, {"DATABASE_URL": "sqlite:///here.db"}])
def test_what_has_nothing_to_work_on_makes_nothing(
    command: tuple[str, ...], elsewhere: dict[str, str], tmp_path: Path
) -> None:
    """
    Neither a data directory with secrets in it nor a database.
    """
    failed = subprocess.run(
        [sys.executable, "-m", "mission_http.main", *command], capture_output=True, text=True, cwd=tmp_path,
        env=elsewhere, timeout=60,
    )  # fmt: skip

    assert (2, 1) == (failed.returncode, len(failed.stderr.splitlines())), failed.stderr
    assert [] == list(tmp_path.iterdir())


def test_a_database_of_its_own_is_not_imported(tmp_path: Path) -> None:
    """
    Whoever tries is told how to serve it.
    """
    run("migrate", data_dir=tmp_path)
    refused = run("import", "fleet", "mission-control.db", data_dir=tmp_path)

    assert 2 == refused.returncode
    assert f"mission-control serve --database-url sqlite:///{tmp_path / 'mission-control.db'}" in refused.stderr


@pytest.mark.parametrize(
    "url",
    ["sesame", "mysql://me:sesame@here/db", "postgresql://me:s/sesame@here/db", "postgresql://me:s@here:sesame/db"],
)
def test_what_is_no_address_of_a_database_is_told_with_one_that_is(url: str, tmp_path: Path) -> None:
    """
    And never shown, for a password may be in it.
    """
    failed = run("import", "boards", url, data_dir=tmp_path)

    assert (2, 1) == (failed.returncode, len(failed.stderr.splitlines())), failed.stderr
    assert "URL: " in failed.stderr
    assert "postgresql://user:password@host" in failed.stderr
    assert "sesame" not in failed.stderr


@pytest.mark.parametrize(
    ("tampering", "position"),
    [
        ("UPDATE events SET payload = '{}' WHERE position = 2", 2),
        ("UPDATE events SET at = at + 1 WHERE position = 1", 1),
        ("DELETE FROM events WHERE position = 1", 1),
        ("DELETE FROM events WHERE position = 2", 2),
    ],
)
def test_the_first_entry_that_does_not_fit_is_named(tampering: str, position: int, tmp_path: Path) -> None:
    """
    A changed, a moved, a missing and a cut entry are all found, and the exit says so.
    """
    found = subprocess.run([sys.executable, "-c", FOUND, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert "" == found.stderr
    sound = run("audit", "verify", data_dir=tmp_path)
    with sqlite3.connect(tmp_path / "mission-control.db") as connection:
        connection.execute(tampering)
    connection.close()
    broken = run("audit", "verify", data_dir=tmp_path)

    assert (0, True) == (sound.returncode, "sound" in sound.stdout), sound.stdout + sound.stderr
    assert (1, True) == (broken.returncode, f"entry {position} " in broken.stdout), broken.stdout + broken.stderr


REWRITING = """
import sqlite3, sys
from mission_adapters.sql.event_log import entry_of_row
from mission_core.events.model import GENESIS, chain_digest
from mission_core.values import canonical

with sqlite3.connect(sys.argv[1]) as connection:
    connection.row_factory = sqlite3.Row
    digest = GENESIS
    for row in connection.execute("SELECT * FROM events ORDER BY position").fetchall():
        entry = entry_of_row({**row, "actor_name": "Somebody else"})
        digest = chain_digest(
            digest, entry.position, entry.kind, entry.at, entry.actor, entry.subject, entry.payload_digest
        )
        connection.execute(
            "UPDATE events SET actor_name = 'Somebody else', digest = ? WHERE position = ?", (digest, entry.position)
        )
    connection.execute("UPDATE heads SET digest = ?", (digest,))
"""
"""Rewrites the whole log with its head."""
CUTTING = """
import sqlite3, sys

with sqlite3.connect(sys.argv[1]) as connection:
    connection.execute("DELETE FROM events WHERE position > 1")
    connection.execute("UPDATE heads SET (position, digest) = (SELECT position, digest FROM events)")
"""
"""Cuts the log with its head."""


@pytest.mark.parametrize(("tampering", "position"), [(REWRITING, 2), (CUTTING, 2)])
def test_a_log_that_was_changed_with_its_head_does_not_fit_its_checkpoint(
    tampering: str, position: int, tmp_path: Path
) -> None:
    """
    Without the checkpoint, nobody can tell. A checkpoint that was changed is refused.
    """
    subprocess.run([sys.executable, "-c", FOUND, str(tmp_path)], check=True, timeout=60)
    file, changed = tmp_path / "log.jsonl", tmp_path / "changed.jsonl"
    exported = run("audit", "export", str(file), data_dir=tmp_path)
    again = run("audit", "export", str(file), data_dir=tmp_path)
    sound = run("audit", "verify", "--checkpoint", str(file), data_dir=tmp_path)
    changed.write_text(file.read_text().replace('"position":2,"digest"', '"position":1,"digest"'))
    refused = run("audit", "verify", "--checkpoint", str(changed), data_dir=tmp_path)
    subprocess.run([sys.executable, "-c", tampering, str(tmp_path / "mission-control.db")], check=True, timeout=60)
    unseen = run("audit", "verify", data_dir=tmp_path)
    seen = run("audit", "verify", "--checkpoint", str(file), data_dir=tmp_path)

    assert (0, 0) == (exported.returncode, sound.returncode), exported.stderr + sound.stderr
    assert [1, 2] == [json.loads(line)["entry"]["position"] for line in file.read_text().splitlines()[:-1]]
    assert (2, True) == (again.returncode, "exists already" in again.stderr)
    assert (2, True) == (refused.returncode, "was changed" in refused.stderr), refused.stderr
    assert 0 == unseen.returncode, unseen.stdout
    assert (1, True) == (seen.returncode, f"entry {position} " in seen.stdout), seen.stdout + seen.stderr


def test_an_export_that_fails_leaves_no_file_and_can_be_repeated(tmp_path: Path) -> None:
    """
    A full disk leaves neither a part of the log nor a draft of it.
    """
    subprocess.run([sys.executable, "-c", FILLED, str(tmp_path)], check=True, timeout=60)
    folder = tmp_path / "exports"
    folder.mkdir()
    file = folder / "log.jsonl"
    limited = [sys.executable, "-c", WITH_SMALL_FILES, "audit", "export", str(file), "--data-dir", str(tmp_path)]
    failed = subprocess.run(limited, capture_output=True, text=True, cwd=tmp_path, env={}, timeout=60)
    left = list(folder.iterdir())
    repeated = run("audit", "export", str(file), data_dir=tmp_path)

    assert (2, True) == (failed.returncode, "cannot be written" in failed.stderr), failed.stderr
    assert [] == left
    assert 0 == repeated.returncode, repeated.stderr
    assert file.stat().st_size > SMALL


SMALL = 65_536
WITH_SMALL_FILES = f"""
import resource

resource.setrlimit(resource.RLIMIT_FSIZE, ({SMALL}, {SMALL}))
from mission_http.main import main
main()
"""
FILLED = """
import asyncio, sys
from pathlib import Path
from mission_core.accounts.data_exports import DataExported
from mission_core.accounts.model import SystemPrincipal
from mission_http.settings import settings_from
from mission_http.wiring import ports_from_settings

async def main():
    async with ports_from_settings(settings_from({}, data_dir=Path(sys.argv[1]))) as ports:
        (owner,) = await ports.credentials.organizations()
        async with ports.unit(SystemPrincipal(organization=owner)) as unit:
            for _ in range(200):
                unit.record(DataExported(organization=owner, what="tasks", format="csv", at=ports.clock.now()))
            await unit.commit()

asyncio.run(main())
"""
"""Fills a log whose export is larger than a small file."""
FOUND = """
import asyncio, sys
from pathlib import Path
from mission_http.settings import settings_from
from mission_http.wiring import ports_from_settings

async def main():
    async with ports_from_settings(settings_from({}, data_dir=Path(sys.argv[1]))):
        pass

asyncio.run(main())
"""
"""Opens the store and founds the default organization: two facts."""

AS_NOBODY = f"""
import asyncio, os, sys, tempfile
from pathlib import Path
from mission_http import main
from mission_http.settings import settings_from
from mission_http.wiring import ports_from_settings

async def started(folder):  # so that all modules are loaded, which nobody may not be allowed to read
    settings = settings_from({{}}, data_dir=Path(folder))
    async with ports_from_settings(settings) as ports:
        main.application(settings)

with tempfile.TemporaryDirectory() as folder:
    asyncio.run(started(folder))
import encodings.idna, mission_core.events.use_cases, mission_http.doctor.inspection, mission_http.logs.configuration
import uvloop
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
main.main()
"""
