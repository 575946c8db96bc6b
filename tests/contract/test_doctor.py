"""
`mission-control doctor`: what is wrong with a set-up, and what to do about it.
"""

import asyncio
import json
import os
import socket
import sqlite3
import sys
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mission_adapters.sql.migrations import migrate
from mission_core.accounts.server_key_rotation import RotateServerKey, rotate_server_key
from mission_core.accounts.sign_in import token_digest
from mission_http.doctor.findings import DoctorFinding, FindingLevel, as_json, as_text
from mission_http.doctor.inspection import check_installation, inspect_installation
from mission_http.settings import Settings, settings_from
from mission_http.wiring import ports_from_settings
from tests.contract.doctor_findings import doctor, worst
from tests.contract.server_commands import NOWHERE, run, serving, tree
from tests.local_issuer import EC, RSA, local_issuer

HOSTS = ("127.0.0.1", "192.0.2.1", "nowhere.invalid")
GOOD = "hV3kq0ZrX8wLmT2sYbN5pJc7FgD1uAeQ"


@pytest.fixture
def free() -> str:
    """
    A port that nobody has.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.mark.real_time
def test_before_the_first_start_all_is_well_and_nothing_is_made(tmp_path: Path, free: str) -> None:
    """
    With nothing set, which is enough.
    """
    done = run("doctor", "--port", free, cwd=tmp_path)
    warnings = [line for line in done.stdout.splitlines() if line.startswith("warning ")]

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "0 problems, " in done.stdout
    assert [] == [line for line in warnings if "genai-prices" not in line]  # its prices may be old where this runs
    assert {} == tree(tmp_path)


@pytest.mark.real_time
def test_after_a_first_start_all_is_well_and_nothing_is_changed(tmp_path: Path, free: str) -> None:
    """
    Looking leaves no trace beside the database or in it.
    """
    with serving(cwd=tmp_path):
        pass
    before = tree(tmp_path)
    done = run("doctor", "--json", "--port", free, cwd=tmp_path)
    told = json.loads(done.stdout)

    assert (0, True) == (done.returncode, told["ok"]), done.stdout + done.stderr
    assert {"ok"} == {each["level"] for each in told["findings"] if each["check"] != "prices"}
    assert {"database", "migrations", "clock", "credentials"} < {each["check"] for each in told["findings"]}
    assert before == tree(tmp_path)


@pytest.mark.real_time
def test_a_problem_is_told_to_whoever_called(tmp_path: Path, free: str) -> None:
    """
    By the exit code, to a person and to a program.
    """
    text = run("doctor", "--port", free, cwd=tmp_path, API_KEY="hunter2")
    told = run("doctor", "--port", free, "--json", cwd=tmp_path, API_KEY="hunter2")

    assert (1, 1) == (text.returncode, told.returncode)
    assert "1 problem, " in text.stdout
    assert not json.loads(told.stdout)["ok"]


@pytest.mark.real_time
def test_beside_a_server_that_is_up_all_is_well(tmp_path: Path) -> None:
    """
    Its own port is not taken from it.
    """
    with serving(cwd=tmp_path) as (port, _):
        findings = doctor(tmp_path / ".data", port=port)

    assert {FindingLevel.OK} == {each.level for each in findings.values() if each.check != "prices"}, findings
    assert "listens there already" in findings["port", f"127.0.0.1:{port}"].found


@pytest.mark.real_time
def test_beside_a_server_over_another_database_it_is_told(tmp_path: Path) -> None:
    """
    Whether this one has none yet, or one that nobody has open.
    """
    with serving(cwd=tmp_path) as (port, _):
        fresh = doctor(tmp_path / "fresh", port=port)
        migrate(f"sqlite:///{tmp_path / 'mission-control.db'}")
        at_rest = doctor(tmp_path, port=port)

    for findings in (fresh, at_rest):
        found = findings["port", f"127.0.0.1:{port}"]
        assert FindingLevel.WARNING is found.level
        assert "another database" in found.found
        assert {"--port", "--data-dir"} < set(found.settings)


def test_of_a_directory_that_cannot_be_used_nothing_is_called_well() -> None:
    """
    Nor what is in it.
    """
    findings = doctor(Path(NOWHERE))

    assert FindingLevel.PROBLEM is worst(findings, "data directory").level
    assert {"database", "migrations"}.isdisjoint(check for check, _ in findings)


def test_a_malformed_secret_is_judged_once(tmp_path: Path) -> None:
    """
    And not by the one that was kept, which does not count while it is set.
    """
    settings_from({}, data_dir=tmp_path)
    checks = [check for check, name in doctor(tmp_path, LOCAL_AUTH_TOKEN="sesame") if name == "LOCAL_AUTH_TOKEN"]

    assert ["settings"] == checks


def test_a_weak_key_is_not_called_good(tmp_path: Path) -> None:
    """
    Where all that is known is that it was not replaced.
    """
    migrate(f"sqlite:///{tmp_path / 'mission-control.db'}")
    findings = doctor(tmp_path, API_KEY="hunter2")

    assert FindingLevel.PROBLEM is findings["credentials", "API_KEY"].level
    assert (FindingLevel.OK, "was not replaced") == (
        findings["server key", "API_KEY"].level, findings["server key", "API_KEY"].found,
    )  # fmt: skip


def test_the_extra_that_redis_needs_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    Not that a Redis should be started.
    """
    monkeypatch.setitem(sys.modules, "limits.aio.storage", None)
    found = worst(doctor(tmp_path, RATE_LIMIT_BACKEND="redis", RQ_REDIS_URL="redis://127.0.0.1:1"), "rate limits")

    assert (FindingLevel.PROBLEM, "redis needs the extra") == (found.level, found.found)
    assert "pip install 'mission-control-plane[redis]'" in found.advice


def test_a_port_that_another_program_has_is_a_problem(tmp_path: Path) -> None:
    """
    Also when it never answers; and so is an address of another machine, and a name that nobody has.
    """
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = [doctor(tmp_path, host=host, port=port)["port", f"{host}:{port}"] for host in HOSTS]

    assert [FindingLevel.PROBLEM] * 3 == [each.level for each in found]
    assert {("--port", "--host")} == {each.settings for each in found}


def test_every_malformed_variable_is_told(tmp_path: Path) -> None:
    """
    Not only the first, and the rest is looked at all the same; but not the wrong database.
    """
    malformed = {
        "DATABASE_URL": "mysql://here/db",
        "LOCAL_AUTH_TOKEN": "sesame",
        "MC_ENABLE_HSTS": "perhaps",
        "MC_COOKIE_SECURE": "perhaps",
        "MC_TRUSTED_PROXIES": "the proxy",
        "SECURITY_HEADER_X_FRAME_OPTIONS": "DENY\r\nSet-Cookie: x=y",
        "BASE_URL": "mission.example.com",
        "RATE_LIMIT_GENERAL": "many",
    }
    findings = doctor(tmp_path, **malformed)

    assert set(malformed) == {looked_at for check, looked_at in findings if check == "settings"}
    assert {"data directory", "port"} < {check for check, _ in findings}
    assert {"database", "credentials"}.isdisjoint(check for check, _ in findings)


@pytest.mark.parametrize(
    ("asked", "check", "names"),
    [
        ({"MISSION_CONTROL_DATA_DIR": NOWHERE, "data_dir": None}, "data directory", "MISSION_CONTROL_DATA_DIR"),
        ({"data_dir": Path(NOWHERE)}, "data directory", "--data-dir"),
        ({"DATABASE_URL": "postgresql://me:x@127.0.0.1:1/db"}, "database", "DATABASE_URL"),
        ({"database_url": "sqlite:////dev"}, "database", "--database-url"),
        ({"database_url": "sqlite:////nowhere/at/all"}, "database", "--database-url"),
        ({"MC_ALOWED_HOSTS": "here", "MC_ALLOW_ANY_HOST": "1"}, "settings", "MC_ALLOWED_HOSTS"),
        ({"API_KEY": "hunter2"}, "credentials", "API_KEY"),
        ({"API_KEY": "changeme"}, "credentials", "API_KEY"),
        ({"AUTH_SECRET": "a" * 64}, "credentials", "AUTH_SECRET"),
        ({"LOCAL_AUTH_TOKEN": "changeme" * 8}, "credentials", "LOCAL_AUTH_TOKEN"),
        ({"AUTH_PASS": "hunter2"}, "credentials", "AUTH_PASS"),
        ({"host": "0.0.0.0"}, "host names", "MC_ALLOWED_HOSTS"),
        ({"MC_ALLOWED_HOSTS": "there", "url": "http://here"}, "host names", "MC_ALLOWED_HOSTS"),
        ({"url": "https://here"}, "proxies", "MC_TRUSTED_PROXIES"),
        ({"MC_BASE_URL": "https://here"}, "proxies", "TRUSTED_PROXIES"),
        ({"BASE_URL": "http://here", "MC_COOKIE_SECURE": "1"}, "cookies", "MC_COOKIE_SECURE"),
        ({"BASE_URL": "https://here", "MC_COOKIE_SECURE": "0"}, "cookies", "MC_COOKIE_SECURE"),
        ({"BASE_URL": "http://here", "MC_ENABLE_HSTS": "1"}, "https only", "MC_ENABLE_HSTS"),
        ({"MC_PROXY_AUTH_HEADER": "X-Remote-User"}, "identity", "MC_PROXY_AUTH_TRUSTED_IPS"),
        ({"GOOGLE_CLIENT_SECRET": GOOD}, "identity", "GOOGLE_CLIENT_ID"),
        (
            {"AUTH_MODE": "oidc", "OIDC_ISSUER": "http://127.0.0.1:1", "OIDC_AUDIENCE": "us"},
            "identity",
            "OIDC_ISSUER",
        ),
        ({"MC_ENABLE_HSTS": "1", "MC_DISABLE_HSTS": "1"}, "settings", "MC_DISABLE_HSTS"),
        ({"CORS_ORIGINS": "http://elsewhere"}, "other sites", "CORS_ORIGINS"),
        ({"CORS_ORIGINS": "*"}, "settings", "CORS_ORIGINS"),
        ({"LOG_LEVEL": "loud"}, "settings", "LOG_LEVEL"),
        ({"LOG_FORMAT": "xml"}, "settings", "LOG_FORMAT"),
        ({"LOG_USE_UTC": "perhaps"}, "settings", "LOG_USE_UTC"),
        ({"REQUEST_LOG_SLOW_MS": "never"}, "settings", "REQUEST_LOG_SLOW_MS"),
        ({"REQUEST_LOG_INCLUDE_HEALTH": "perhaps"}, "settings", "REQUEST_LOG_INCLUDE_HEALTH"),
        ({"RATE_LIMIT_LOGINS": "5/60"}, "rate limits", "RATE_LIMIT_LOGINS"),
        ({"RATE_LIMIT_LOGIN": "0"}, "rate limits", "RATE_LIMIT_LOGIN"),
        ({"MC_DISABLE_RATE_LIMIT": "1", "host": "0.0.0.0"}, "rate limits", "MC_DISABLE_RATE_LIMIT"),
        ({"RATE_LIMIT_BACKEND": "redis", "RQ_REDIS_URL": "redis://127.0.0.1:1"}, "rate limits", "RQ_REDIS_URL"),
    ],
)
def test_a_fault_is_told_with_what_to_change(asked: dict[str, Any], check: str, names: str, tmp_path: Path) -> None:
    """
    The advice names the variable or the flag.
    """
    found = worst(doctor(**{"data_dir": tmp_path, **asked}), check)

    assert FindingLevel.OK is not found.level
    assert names in found.settings
    assert names in found.advice


@pytest.mark.parametrize(
    ("environment", "needed"),
    [
        ({"AUTH_MODE": "oidc"}, "OIDC_ISSUER"),
        ({"AUTH_MODE": "oidc", "OIDC_ISSUER": " "}, "OIDC_ISSUER"),
        ({"AUTH_MODE": "oidc", "OIDC_ISSUER": "https://issuer.invalid"}, "OIDC_AUDIENCE"),
        ({"AUTH_MODE": "clerk"}, "CLERK_SECRET_KEY"),
        ({"AUTH_MODE": "oidc", "OIDC_ISSUER": "issuer", "OIDC_AUDIENCE": "us"}, "OIDC_ISSUER"),
    ],
)
def test_of_settings_of_an_issuer_that_are_refused_it_is_told_what_to_set(
    environment: dict[str, str], needed: str, tmp_path: Path
) -> None:
    """
    And not that people come in another way: the server does not start.
    """
    findings = doctor(tmp_path, **environment)
    (found,) = (each for each in findings.values() if each.check == "settings")

    assert (FindingLevel.PROBLEM, (needed,)) == (found.level, found.settings)
    assert "unset AUTH_MODE" not in found.advice
    assert [] == [each.found for each in findings.values() if "LOCAL_AUTH_TOKEN" in each.found]


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("environment", "check"),
    [
        ({"MC_ALLOW_ANY_HOST": "perhaps"}, "host names"),
        ({"MC_TRUSTED_PROXIES": "proxy"}, "proxies"),
        ({"TRUSTED_PROXIES": "proxy"}, "proxies"),
        ({"MC_COOKIE_SECURE": "perhaps"}, "cookies"),
        ({"MC_ENABLE_HSTS": "perhaps"}, "https only"),
        ({"MC_HSTS_PRELOAD": "perhaps"}, "https only"),
        ({"AUTH_MODE": "saml"}, "identity"),
        ({"AUTH_MODE": "oidc", "OIDC_ISSUER": "issuer", "OIDC_AUDIENCE": "us"}, "identity"),
        ({"MC_PROXY_AUTH_HEADER": "X-Remote-User", "MC_PROXY_AUTH_TRUSTED_IPS": "proxy"}, "identity"),
        ({"CORS_ORIGINS": "*"}, "other sites"),
        ({"RATE_LIMIT_LOGIN": "often"}, "rate limits"),
        ({"RATE_LIMIT_BACKEND": "file"}, "rate limits"),
        ({"RATE_LIMIT_BACKEND": "redis", "RQ_REDIS_URL": "http://here"}, "rate limits"),
    ],
)
def test_of_a_malformed_value_nothing_is_told_but_that_it_is(
    environment: dict[str, str], check: str, tmp_path: Path
) -> None:
    """
    What would hold in its place is not called well, nor is it a fault of its own: the server does not start.
    """
    findings = doctor(tmp_path, **environment).values()

    assert 1 == len([each for each in findings if each.level is FindingLevel.PROBLEM])
    assert [] == [each for each in findings if each.check == check]


@pytest.mark.parametrize(
    ("slash", "more", "settings", "told"),
    [
        ("", {}, (), "publishes 2 keys"),
        ("/", {}, ("OIDC_ISSUER",), "it calls itself 'HERE', and 'HERE/' was expected"),
        ("/", {"OIDC_JWKS_URL": "HERE/keys"}, ("OIDC_ISSUER",), "it calls itself 'HERE', and 'HERE/' was expected"),
        ("", {"OIDC_ALGORITHMS": "PS256,ES256"}, (), "publishes 2 keys"),
        ("", {"OIDC_ALGORITHMS": "ES384,EdDSA"}, ("OIDC_ALGORITHMS",), "allowed is ES384, EdDSA"),
        ("", {"OIDC_JWKS_URL": "HERE/nothing"}, ("OIDC_ISSUER", "OIDC_JWKS_URL"), "status 404"),
    ],
)
def test_what_keeps_an_issuers_tokens_out_is_a_problem(
    slash: str, more: dict[str, str], settings: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    """
    With the variable to set; the issuer is a real server.
    """

    async def judged() -> tuple[str, DoctorFinding]:
        async with local_issuer(keys=[RSA, EC]) as issuer:
            environment = {"AUTH_MODE": "oidc", "OIDC_ISSUER": f"{issuer.url}{slash}", "OIDC_AUDIENCE": "us"}
            environment |= {name: value.replace("HERE", issuer.url) for name, value in more.items()}
            picture = await inspect_installation(environment, host="127.0.0.1", port=0, data_dir=tmp_path)
            named = (each for each in check_installation(picture) if each.looked_at == environment["OIDC_ISSUER"])
            return issuer.url, next(named)

    here, found = asyncio.run(judged())

    assert (FindingLevel.PROBLEM if settings else FindingLevel.OK, settings) == (found.level, found.settings)
    assert told.replace("HERE", here) in found.found
    if "itself" in told:
        assert f"set OIDC_ISSUER to {here}" == found.advice


@pytest.mark.parametrize("secret", ["API_KEY", "AUTH_SECRET", "LOCAL_AUTH_TOKEN"])
def test_a_good_secret_is_no_fault(secret: str, tmp_path: Path) -> None:
    """
    Whoever chose it well is left alone.
    """
    found = doctor(tmp_path, **{secret: f"{GOOD}{secret}{GOOD[::-1]}"})["credentials", secret]

    assert FindingLevel.OK is found.level


@pytest.mark.parametrize(("revision", "advice"), [("9999", "install that version again"), ("0007", "then start this")])
def test_a_database_of_an_unknown_revision_is_a_problem(revision: str, advice: str, tmp_path: Path) -> None:
    """
    As a start would say.
    """
    path = tmp_path / "mission-control.db"
    migrate(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE alembic_version SET version_num = '{revision}'")
    found = worst(doctor(tmp_path), "migrations")

    assert FindingLevel.PROBLEM is found.level
    assert revision in found.found
    assert advice in found.advice


@pytest.mark.real_time
@pytest.mark.parametrize(("overlap", "words"), [(0, "and is refused"), (3600, "and works until")])
def test_a_key_that_was_replaced_is_told(overlap: int, words: str, tmp_path: Path) -> None:
    """
    By the doctor, beside what `token` prints and where `serve` would print it; a new one in its place is no fault.
    """
    settings = settings_from({}, data_dir=tmp_path / ".data")
    made = asyncio.run(_rotated(settings, overlap))
    (told,) = (each for (check, _), each in doctor(tmp_path / ".data").items() if check == "server key")
    printed = run("token", cwd=tmp_path)
    replaced = [run("token", cwd=tmp_path, API_KEY=made), run("token", cwd=tmp_path, API_KEY=GOOD)]

    with serving(cwd=tmp_path) as (_, server):
        assert server.stdout is not None
        server.terminate()
        greeted = server.stdout.read()
    (line,) = (each for each in greeted.splitlines() if "API_KEY" in each)

    assert (FindingLevel.WARNING, ("API_KEY",)) == (told.level, told.settings)
    assert words in told.found
    assert printed.stderr.startswith("mission-control: warning: API_KEY: was replaced by api at ")
    assert words in printed.stderr
    assert ["", True] == [replaced[0].stderr, "is refused" in replaced[1].stderr]
    assert ["API_KEY", told.found] == line.split(maxsplit=1)
    assert settings.api_key not in greeted
    assert FindingLevel.OK is doctor(tmp_path / ".data", API_KEY=made)["server key", "API_KEY"].level


async def _rotated(settings: Settings, overlap: int) -> str:
    async with ports_from_settings(settings) as ports:
        me = await ports.credentials.principal_of(token_digest(settings.api_key), at=ports.clock.now())
        assert me is not None
        command = RotateServerKey(given=settings.api_key, overlap=timedelta(seconds=overlap))
        return str((await rotate_server_key(ports, me, command)).secret)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:sesame@127.0.0.1:1/db?password=sesame",
        "postgresql://me:se/same@127.0.0.1:1/db",
        "postgresql://me:se?same@127.0.0.1:1/db",
        "mysql://me:sesame@here/db",
        "sesame",
    ],
    ids=range(5),  # the folder of a test has its name
)
def test_no_secret_is_shown(url: str, tmp_path: Path) -> None:
    """
    Neither what was given nor what was kept, sound or weak, and no part of a password that breaks its URL.
    """
    kept = settings_from({}, data_dir=tmp_path).credentials.values()
    given = {"API_KEY": GOOD, "AUTH_SECRET": GOOD * 2, "AUTH_PASS": "sesame-1", "LOCAL_AUTH_TOKEN": "sesame-2"}
    findings = [*doctor(tmp_path).values(), *doctor(tmp_path, DATABASE_URL=url, **given).values()]
    shown = as_text(findings) + as_json(findings) + repr(findings)

    assert [] == [secret for secret in (*kept, *given.values(), "sesame", "same@", "se/", "me:") if secret in shown]


@pytest.mark.real_time
def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    """
    There is nothing to look at then, which is no finding.
    """
    done = run("doctor", "--url", "here", cwd=tmp_path)

    assert (2, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("mission-control: --url: ")


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("host", "environment", "warns"),
    [
        ("0.0.0.0", {}, True),
        ("0.0.0.0", {"MC_ALLOWED_HOSTS": "here"}, False),
        ("0.0.0.0", {"MC_ALLOW_ANY_HOST": "1"}, False),
        ("127.0.0.1", {}, False),
    ],
)
def test_a_server_that_others_can_reach_by_any_name_warns(
    host: str, environment: dict[str, str], warns: bool, tmp_path: Path
) -> None:
    """
    At its start, in one line that names the variable.
    """
    with serving("--host", host, cwd=tmp_path, **environment) as (_, server):
        server.terminate()
        _, told = server.communicate()

    assert warns is ("MC_ALLOWED_HOSTS" in told and " warning " in told)
    assert warns == len(told.splitlines())


def test_workers_that_a_start_refuses_are_a_problem(tmp_path: Path) -> None:
    """
    With the reason and the variable of the start. One process has no finding.
    """
    refused = doctor(tmp_path, MC_WORKERS="2")["workers", "MC_WORKERS=2"]

    assert FindingLevel.PROBLEM is refused.level
    assert "need PostgreSQL" in refused.found
    assert ("MC_WORKERS",) == refused.settings
    assert "workers" not in {check for check, _ in doctor(tmp_path)}


def test_a_file_of_prices_that_a_start_refuses_is_a_problem(tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text("[[price]]\nmodel = 'large'\n")
    found = doctor(tmp_path, MC_PRICES_FILE=str(prices))["prices", str(prices)]

    assert FindingLevel.PROBLEM is found.level
    assert "input is missing" in found.found


def test_a_file_of_prices_is_forgotten_after_a_year(tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text("[[price]]\nmodel = 'large'\ninput = 1\noutput = 2\n")
    fresh = doctor(tmp_path, MC_PRICES_FILE=str(prices))["prices", str(prices)]
    os.utime(prices, (0, time.time() - 366 * 86_400))
    old = doctor(tmp_path, MC_PRICES_FILE=str(prices))["prices", str(prices)]

    assert [FindingLevel.OK, FindingLevel.WARNING] == [fresh.level, old.level]
    assert "366 days" in old.found
