"""
A database is served with one `AUTH_SECRET`, until that is rotated.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import pytest

from mission_adapters.sql.migrations import migrate
from mission_adapters.sql.store import SqlStore
from mission_http.doctor.findings import FindingLevel
from mission_http.maintenance import rotate_auth_secret
from mission_http.settings import SECRETS_FILE, Settings, SettingsError, read_secrets_file, settings_from
from mission_http.wiring import ports_over_database, secret_keys, with_current_auth_secret
from tests.contract.doctor_findings import doctor
from tests.contract.process_kills import kill_at_each_step
from tests.contract.schemas import executed
from tests.contract.server_commands import run
from tests.contract.webhook_secrets import GIVEN, a_sealed_secret, made, opened

ONE, OTHER = "one-secret-" * 4, "another-secret-" * 3


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """
    An empty database of either kind.
    """
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'mission.db'}"
    return request.getfixturevalue("fresh_postgres")


def told(url: str, secret: str, folder: Path, **more: str) -> Settings:
    return settings_from({"AUTH_SECRET": secret, "DATABASE_URL": url, **more}, data_dir=folder / "data")


@pytest.mark.parametrize("sealed", [False, True])
async def test_another_secret_is_refused(url: str, sealed: bool, tmp_path: Path) -> None:
    """
    From the first start on, whether anything is sealed or not; the first one is taken again.
    """
    settings = told(url, ONE, tmp_path)
    async with ports_over_database(settings) as ports:
        if sealed:
            await a_sealed_secret(ports)
    with pytest.raises(SettingsError, match=r"^AUTH_SECRET: is not the secret of .*; set AUTH_SECRET to that"):
        await opened(told(url, OTHER, tmp_path))

    assert [GIVEN] * sealed == await opened(settings)
    ((digest,),) = await executed(url, "SELECT digest FROM secret_fingerprints")
    assert secret_keys(ONE).fingerprint == bytes(digest)
    assert ONE.encode() not in bytes(digest)


@pytest.mark.parametrize(("secret", "taken"), [(ONE, True), (OTHER, False)])
async def test_a_database_without_a_fingerprint_is_judged_by_what_is_sealed_in_it(
    secret: str, taken: bool, url: str, tmp_path: Path
) -> None:
    """
    As an earlier version made it.
    """
    await made(told(url, ONE, tmp_path))
    await executed(url, "DELETE FROM secret_fingerprints")
    if taken:
        assert [GIVEN] == await opened(told(url, secret, tmp_path))
    else:
        with pytest.raises(SettingsError, match="does not decrypt 1 of the 1 encrypted values"):
            await opened(told(url, secret, tmp_path))

    assert [(int(taken),)] == await executed(url, "SELECT count(*) FROM secret_fingerprints")


async def test_first_starts_at_once_agree_on_one_secret(url: str, tmp_path: Path) -> None:
    """
    One of each two that differ is refused.
    """
    await asyncio.to_thread(migrate, url)
    starts = (opened(told(url, secret, tmp_path)) for secret in (ONE, OTHER) * 3)
    ended = await asyncio.gather(*starts, return_exceptions=True)

    assert 3 == sum(isinstance(each, SettingsError) for each in ended)
    assert [[]] * 3 == [each for each in ended if not isinstance(each, BaseException)]


async def test_the_doctor_finds_another_secret(url: str, tmp_path: Path) -> None:
    """
    And calls the right one well, before and after it is known.
    """
    await made(told(url, ONE, tmp_path))

    def found(secret: str) -> FindingLevel:
        environment = {"AUTH_SECRET": secret, "DATABASE_URL": url}
        ((_, finding),) = (each for each in doctor(tmp_path / "data", **environment).items() if each[0][0] == "secret")
        return finding.level

    known = await asyncio.to_thread(lambda: [found(ONE), found(OTHER)])
    await executed(url, "DELETE FROM secret_fingerprints")
    judged = await asyncio.to_thread(lambda: [found(ONE), found(OTHER)])

    assert [FindingLevel.OK, FindingLevel.PROBLEM] == known == judged


async def test_a_rotation_seals_everything_anew(url: str, tmp_path: Path) -> None:
    """
    From then on the new secret opens it alone. Running it again changes nothing.
    """
    await made(told(url, ONE, tmp_path))
    lines = await rotate_auth_secret(told(url, ONE, tmp_path, AUTH_SECRET_NEXT=OTHER), lost=False)
    again = await rotate_auth_secret(told(url, ONE, tmp_path, AUTH_SECRET_NEXT=OTHER), lost=False)

    assert "values encrypted again: 1" in lines[0]
    assert "set AUTH_SECRET to what AUTH_SECRET_NEXT is now" in lines[1]
    assert "leases" in lines[2]
    assert "sessions" in lines[2]
    assert "values encrypted again: 0" in again[0]
    assert [GIVEN] == await opened(told(url, OTHER, tmp_path))
    assert [GIVEN] == await opened(await with_current_auth_secret(told(url, ONE, tmp_path, AUTH_SECRET_NEXT=OTHER)))
    with pytest.raises(SettingsError, match="AUTH_SECRET: is not the secret"):
        await opened(told(url, ONE, tmp_path))


async def test_a_lost_secret_is_replaced_and_opens_nothing(url: str, tmp_path: Path) -> None:
    """
    What was sealed under it stays closed, and is counted.
    """
    await made(told(url, ONE, tmp_path))
    lines = await rotate_auth_secret(told(url, OTHER, tmp_path), lost=True)
    async with ports_over_database(told(url, OTHER, tmp_path)):
        pass

    assert "cannot be decrypted with it: 1" in lines[1]
    with pytest.raises(SettingsError, match="AUTH_SECRET: is not the secret"):
        await opened(told(url, ONE, tmp_path))


@asynccontextmanager
async def in_use(url: str) -> AsyncIterator[None]:
    async with SqlStore.open(url) as store:
        await store.credentials.organizations()
        yield


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"AUTH_SECRET_NEXT": OTHER}, "stop "),
        ({}, "AUTH_SECRET_NEXT: is not set"),
        ({"AUTH_SECRET_NEXT": ONE}, "is the same as AUTH_SECRET"),
        ({"AUTH_SECRET": OTHER, "AUTH_SECRET_NEXT": OTHER * 2}, "AUTH_SECRET: is not the secret of"),
    ],
)
async def test_a_rotation_that_cannot_be_is_refused(
    environment: dict[str, str], why: str, url: str, tmp_path: Path
) -> None:
    """
    While a server uses the database, without a new secret, and with another old one; nothing is changed.
    """
    settings = await made(told(url, ONE, tmp_path))
    asked = settings_from({"AUTH_SECRET": ONE, "DATABASE_URL": url, **environment}, data_dir=tmp_path / "data")
    async with in_use(url) if why == "stop " else nullcontext():
        with pytest.raises(SettingsError, match=why):
            await rotate_auth_secret(asked, lost=False)

    assert [GIVEN] == await opened(settings)


def rotated(folder: Path) -> None:
    """
    The secret that was generated in this data directory, rotated.
    """
    asyncio.run(rotate_auth_secret(settings_from({}, data_dir=folder), lost=False))


def test_a_rotation_that_is_killed_leaves_a_database_that_opens(tmp_path: Path) -> None:
    """
    At each step, under the old secret or the new one; the secrets that are kept beside it are whole, too.
    """
    first = settings_from({}, data_dir=tmp_path / "first")
    asyncio.run(made(first))
    in_force = []
    for copy in kill_at_each_step(__name__, "rotated", tmp_path):
        settings = asyncio.run(with_current_auth_secret(settings_from({}, data_dir=copy)))
        assert [GIVEN] == asyncio.run(opened(settings)), copy
        in_force.append(settings.auth_secret != first.auth_secret)

    assert [False, True] == [in_force[0], in_force[-1]]
    assert sorted(in_force) == in_force
    assert 1 < in_force.count(True)
    assert {"API_KEY", "AUTH_SECRET", "LOCAL_AUTH_TOKEN"} == read_secrets_file(copy / SECRETS_FILE).keys()
    assert first.api_key == read_secrets_file(copy / SECRETS_FILE)["API_KEY"]


def test_commands_tell_of_another_secret(tmp_path: Path) -> None:
    """
    What needs the secret exits with 2 and says where it stands; what does not works.
    """
    run("migrate", cwd=tmp_path)
    asyncio.run(made(settings_from({}, data_dir=tmp_path / ".data")))
    kept = tmp_path / ".data" / SECRETS_FILE
    kept.unlink()
    served, printed, audited = (
        run(*command, cwd=tmp_path) for command in (("serve", "--port", "0"), ("token",), ("audit", "verify"))
    )

    assert (2, "", 1) == (served.returncode, served.stdout, len(served.stderr.splitlines())), served.stderr
    assert f"AUTH_SECRET in {kept}: is not the secret of " in served.stderr
    assert f"restore {kept}, or set AUTH_SECRET" in served.stderr
    assert (0, True) == (printed.returncode, "warning: AUTH_SECRET: is not the secret of" in printed.stderr)
    assert 0 == audited.returncode, audited.stderr
