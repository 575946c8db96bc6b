"""
The first start of a server process, in whatever surroundings: whoever runs it signs in, or is told why not.
"""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.contract.browser import PASSWORD
from tests.contract.server_commands import NOWHERE, run, serving
from tests.contract.visitor import Visitor

pytestmark = pytest.mark.real_time

ADMIN = {"username": "ada", "password": PASSWORD}
PROXIED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "Host": "mission.example.com"}


def code_of(server: subprocess.Popen[str]) -> str:
    """
    The setup code that a server prints on its terminal.
    """
    return told_by(server, "setup code").split()[-1]


def told_by(server: subprocess.Popen[str], of: str) -> str:
    """
    What a server prints of something on its terminal.
    """
    assert server.stdout is not None
    for line in server.stdout:
        if of in line:
            return line
    raise AssertionError(f"nothing was printed of the {of}")


def greeting_of(server: subprocess.Popen[str]) -> dict[str, str]:
    """
    What a server prints on its terminal below the line that says where it listens, by name.
    """
    assert server.stdout is not None
    server.terminate()
    return {line[2:18].strip(): line[19:] for line in server.stdout.read().splitlines()}


def log_of(server: subprocess.Popen[str]) -> str:
    server.terminate()
    return server.communicate()[1]


def doctor(cwd: Path, *flags: str, **environment: str) -> str:
    """
    What the doctor finds wrong, in one text.
    """
    told = json.loads(run("doctor", "--json", "--port", "0", *flags, cwd=cwd, **environment).stdout)
    return "\n".join(str(each) for each in told["findings"] if each["level"] != "ok")


def test_it_imports_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    """
    No command line, migration, sign-in or inspection, and no endpoint but the one that was asked for.
    """
    command = ["-X", "importtime", "-m", "mission_http.main", "serve", "--port", "0", "--data-dir", str(tmp_path)]
    with (
        (tmp_path / "imports").open("w") as log,
        subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, stderr=log, text=True) as server,
    ):
        assert server.stdout is not None
        port = int(server.stdout.readline().rpartition(":")[2])
        urlopen(f"http://127.0.0.1:{port}/api/health", timeout=60).close()
        server.terminate()
        server.stdout.read()
    imported = {line.rpartition("|")[2].strip() for line in (tmp_path / "imports").read_text().splitlines()}

    assert "mission_http.fleet.system_info" in imported
    assert set() == imported & {
        "alembic", "cyclopts", "mission_http.command_line", "mission_http.maintenance", "mission_adapters.oidc_tokens",
        "mission_adapters.outbound_http", "mission_adapters.sql.database_inspection", "mission_http.platform.openapi",
        "mission_core.accounts.user_admin", "mission_core.accounts.proxy_authentication", "mission_http.fleet.bodies",
        "mission_http.boards.payloads", "mission_adapters.sql.report_reads", "mission_adapters.sql.board_deletion",
        "mission_core.boards.assignments", "mission_core.conversations.memory_entries", "mission_core.boards.groups",
        "mission_core.agents.onboarding", "mission_core.automation.board_webhooks", "mission_core.reports.queries",
        "mission_core.accounts.access_requests", "mission_core.agents.tool_connections",
        "mission_core.agents.use_cases",
    }  # fmt: skip


def test_over_http_on_this_machine(tmp_path: Path) -> None:
    """
    Nothing is asked but a name and a password.
    """
    with serving(cwd=tmp_path) as (port, server):
        browser = Visitor(port)
        status, answer = browser.ask("POST", "/api/setup", ADMIN)

        assert "from another machine, with the code" in told_by(server, "first admin")
        assert (200, {"user"}) == (status, answer.keys())
        assert browser.stays_signed_in()


def test_behind_a_proxy_on_this_machine_that_tells_nothing(tmp_path: Path) -> None:
    """
    As nginx with no more than `proxy_pass`, where everybody seems to be here: the code is needed, and the terminal says
    so.
    """
    with serving(cwd=tmp_path, BASE_URL="https://mission.example.com") as (port, server):
        anybody = Visitor(port)
        refused, why = anybody.ask("POST", "/api/setup", ADMIN)
        told = told_by(server, "first admin")
        status, _ = anybody.ask("POST", "/api/setup", ADMIN | {"code": code_of(server)})

        assert (403, "SETUP_CODE") == (refused, why["code"])
        assert "username, password and code" in told
        assert 200 == status


def test_over_https_behind_a_trusted_proxy(tmp_path: Path) -> None:
    """
    The code that stands on the terminal lets the operator in from wherever they are; the cookie is bound.
    """
    with serving(cwd=tmp_path, MC_TRUSTED_PROXIES="127.0.0.1") as (port, server):
        browser = Visitor(port, https=True, headers=PROXIED)
        refused, why = browser.ask("POST", "/api/setup", ADMIN)
        status, answer = browser.ask("POST", "/api/setup", ADMIN | {"code": code_of(server)})

        assert (403, "SETUP_CODE") == (refused, why["code"])
        assert (200, {"user"}) == (status, answer.keys())
        assert ["__Host-mc-session"] == list(browser.jar)
        assert browser.stays_signed_in()


def test_over_https_behind_a_proxy_that_is_not_trusted(tmp_path: Path) -> None:
    """
    They are signed in, and the answer, the log and the doctor name the variable to set.
    """
    with serving(cwd=tmp_path) as (port, server):
        browser = Visitor(port, https=True, headers=PROXIED)
        browser.ask("POST", "/api/setup", ADMIN | {"code": code_of(server)})
        status, answer = browser.ask("POST", "/api/auth/login", ADMIN)

        assert 200 == status
        assert browser.stays_signed_in()
        for told in (
            answer["warning"], log_of(server), doctor(tmp_path, "--url", "https://mission.example.com"),
        ):  # fmt: skip
            assert "MC_TRUSTED_PROXIES" in told


@pytest.mark.parametrize(
    ("host", "environment", "base"),
    [
        ("127.0.0.1", {}, "http://127.0.0.1:{port}"),
        ("0.0.0.0", {}, "http://127.0.0.1:{port}"),
        ("0.0.0.0", {"BASE_URL": "https://mission.example.com/"}, "https://mission.example.com"),
    ],
)
def test_the_terminal_says_where_to_go(host: str, environment: dict[str, str], base: str, tmp_path: Path) -> None:
    """
    The address that people use, if it is known; else one that this machine can call.
    """
    with serving("--host", host, cwd=tmp_path, **environment) as (port, server):
        told = greeting_of(server)
    base = base.format(port=port)

    assert f"{base}/docs" == told["documentation"]
    assert f"{base}/api/tasks" == told["try"].split()[-1]


def test_secrets_are_shown_by_the_start_that_makes_them_and_on_a_terminal(tmp_path: Path) -> None:
    """
    What collects the output of later starts has none of them, and is told what shows them.
    """
    with serving(cwd=tmp_path) as (_, server):
        made = greeting_of(server)
    with serving(cwd=tmp_path) as (_, server):
        collected = greeting_of(server)
    seen = on_a_terminal(tmp_path)

    for name in ("API_KEY", "LOCAL_AUTH_TOKEN"):
        assert 64 == len(made[name])
        assert "mission-control token shows it" == collected[name]
        assert made[name] in seen
        assert made[name] not in str(collected)


def on_a_terminal(cwd: Path) -> str:
    """
    What a server prints there until it says what to try.
    """
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "mission_http.main", "serve", "--port", "0"]
    with subprocess.Popen(command, cwd=cwd, env={}, stdout=theirs) as server, open(ours, closefd=True) as terminal:
        os.close(theirs)
        told = ""
        while " try " not in told:
            told += terminal.readline()
        server.terminate()
    return told


def test_over_http_with_cookies_for_https_alone(tmp_path: Path) -> None:
    """
    Nobody stays signed in, and the answer, the log and the doctor say why.
    """
    with serving(cwd=tmp_path, MC_COOKIE_SECURE="1") as (port, server):
        browser = Visitor(port)
        status, answer = browser.ask("POST", "/api/setup", ADMIN)

        assert 200 == status
        assert not browser.stays_signed_in()
        for told in (
            answer["warning"], log_of(server),
            doctor(tmp_path, "--url", f"http://10.0.0.5:{port}", MC_COOKIE_SECURE="1"),
        ):  # fmt: skip
            assert "MC_COOKIE_SECURE" in told


def test_with_wrong_credentials_it_is_told_and_logged(tmp_path: Path) -> None:
    """
    Before there is anybody, and after.
    """
    with serving(cwd=tmp_path) as (port, server):
        browser = Visitor(port)
        before = browser.ask("POST", "/api/auth/login", ADMIN)
        browser.ask("POST", "/api/setup", ADMIN)
        after = browser.ask("POST", "/api/auth/login", ADMIN | {"password": "not this one"})

        assert (401, "NO_USERS") == (before[0], before[1]["code"])
        assert (401, {"error": "Invalid credentials"}) == after
        log = log_of(server)
        assert "invalid_password" in log
        assert "not this one" not in log


@pytest.mark.parametrize("home", ["/dev/null", "/proc/nowhere", ""])
def test_without_a_home_that_can_be_written_to(tmp_path: Path, home: str) -> None:
    """
    It has no use for one. What it keeps is in the data directory, for the operator's eyes.
    """
    with serving(cwd=tmp_path, HOME=home, AUTH_USER="ada", AUTH_PASS=PASSWORD) as (port, _):
        browser = Visitor(port)

        assert 200 == browser.ask("POST", "/api/auth/login", ADMIN)[0]
        assert browser.stays_signed_in()
    assert 0o700 == stat.S_IMODE((tmp_path / ".data").stat().st_mode)
    assert all(PASSWORD.encode() not in each.read_bytes() for each in (tmp_path / ".data").iterdir())


def test_without_a_data_directory_that_can_be_written_to(tmp_path: Path) -> None:
    """
    It does not start, and says which variable to set, as the doctor does.
    """
    unwritable = NOWHERE
    if os.geteuid():  # the superuser may write anywhere
        (tmp_path / "closed").mkdir(mode=0o500)
        unwritable = str(tmp_path / "closed" / "data")
    failed = run("serve", "--port", "0", cwd=tmp_path, MISSION_CONTROL_DATA_DIR=unwritable)

    assert (2, 1) == (failed.returncode, len(failed.stderr.splitlines())), failed.stderr
    assert "MISSION_CONTROL_DATA_DIR" in failed.stderr
    assert "MISSION_CONTROL_DATA_DIR" in doctor(tmp_path, MISSION_CONTROL_DATA_DIR=unwritable)


def test_the_first_admin_of_the_environment_is_made_once(tmp_path: Path) -> None:
    """
    A weak password is refused aloud; with a good one the setup is over, also after another start with another one.
    """
    with serving(cwd=tmp_path, AUTH_PASS="changeme") as (port, server):
        assert Visitor(port).ask("GET", "/api/setup")[1]["needsSetup"]
        assert "AUTH_PASS:" in log_of(server)
    for password in (PASSWORD, "another horse battery"):
        with serving(cwd=tmp_path, AUTH_PASS=password) as (port, _):
            signed_in = Visitor(port).ask("POST", "/api/auth/login", {"username": "admin", "password": PASSWORD})

            assert (200, "admin") == (signed_in[0], signed_in[1]["user"]["role"])
            assert not Visitor(port).ask("GET", "/api/setup")[1]["needsSetup"]
