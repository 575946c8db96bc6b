"""
The command line `mission-control`, and the factory of its ASGI application.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import shlex
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import App, Parameter, Token
from cyclopts.validators import Number

from mission_core.errors import StoreFailed
from mission_http.distribution import install, own_version
from mission_http.settings import GENERATED, Settings, SettingsError, settings_from

if TYPE_CHECKING:
    from mission_adapters.importing.report import Report
    from mission_core.ports import Ports
    from mission_http.app import MissionApp, OpenLimiter, Wire
    from mission_http.platform.request_logs import RequestLog

app = App(
    name="mission-control", help="A control plane for fleets of AI agents.", version=own_version
)
audit = App(name="audit", help="Verify the event log.")
app.command(audit)
imports = App(name="import", help="Import the data of another installation; safe to repeat.")
app.command(imports)

secret = App(name="secret", help="Manage AUTH_SECRET, from which the keys for signatures and encryption are derived.")
app.command(secret)

logger = logging.getLogger("mission_http")


def _directory(_: Any, tokens: Sequence[Token]) -> Path:
    return Path(_said(tokens, "a directory, such as .data"))


def _database(_: Any, tokens: Sequence[Token]) -> str:
    return _said(tokens, "sqlite:///path or postgresql://user:password@host/name")


def _said(tokens: Sequence[Token], expected: str) -> str:
    """
    The value of a flag. A blank one is refused, because it usually comes from an unset variable of a script.
    """
    if not tokens[0].value.strip():
        raise SettingsError(f"{tokens[0].keyword}: is empty; give it {expected}, or leave it out")
    return tokens[0].value


Host = Annotated[str, Parameter(help="The host name or address to listen on; 0.0.0.0 for all addresses.")]
Port = Annotated[int, Parameter(help="The port to listen on; 0 for any free one.", validator=Number(gte=0, lte=65_535))]
DataDir = Annotated[
    Path | None, Parameter(help="The directory for data and generated secrets.", env_var=[], converter=_directory)
]
AsJson = Annotated[bool, Parameter(help="Report as JSON.", negative=())]
BackupFile = Annotated[Path, Parameter(help="The archive, such as /srv/backups/mission-control.tar.")]
Overwrite = Annotated[bool, Parameter(help="Replace the archive if it exists.", negative=())]
WithoutSecrets = Annotated[bool, Parameter(help="Exclude the generated secrets.", negative=())]
PassphraseFile = Annotated[
    Path | None,
    Parameter(help="A file whose first line is the passphrase of the secrets; default: MISSION_CONTROL_PASSPHRASE."),
]
Lost = Annotated[
    bool,
    Parameter(
        help="Accept the current AUTH_SECRET because the old one is lost; encrypted values are lost, too.", negative=()
    ),
]
Url = Annotated[str | None, Parameter(help="The public URL of the server, such as https://mission.example.com.")]
FleetFile = Annotated[
    Path,
    Parameter(help="The SQLite file of the Fleet installation, such as /srv/fleet/.data/mission-control.db."),
]
BoardsUrl = Annotated[
    str,
    Parameter(help="The database URL of the Boards installation: postgresql://user:password@host:5432/name."),
]
DatabaseUrl = Annotated[
    str | None, Parameter(help="sqlite:///path or postgresql://user:password@host/name.", converter=_database)
]

CUT_SHORT: Final = 141
"""The exit status that shells report for a program ended by SIGPIPE."""


def main() -> None:
    """
    Run the command line. Invalid settings and database failures are printed, and exit with 2.
    """
    try:
        try:
            app()
        finally:
            print(end="", flush=True)
    except SettingsError as e:
        print(f"mission-control: {e}", file=sys.stderr)
        sys.exit(2)
    except StoreFailed as e:
        print("mission-control:", *f"the database failed: {e}".split(), file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader closed the pipe; the interpreter must not flush again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(CUT_SHORT)
    except KeyboardInterrupt:
        sys.exit(130)


def _settings(data_dir: Path | None, database_url: str | None) -> Settings:
    """
    Read the settings. First complete an interrupted restore or rotation of the secret.
    """
    from mission_http.wiring import is_restore_interrupted, with_secret_in_force

    settings = settings_from(data_dir=data_dir, database_url=database_url)
    if is_restore_interrupted(settings):
        from mission_http.maintenance import complete

        complete(settings)
        settings = settings_from(data_dir=data_dir, database_url=database_url)
    return settings if settings.next_auth_secret is None else asyncio.run(with_secret_in_force(settings))


def application(
    settings: Settings,
    wire: Wire | None = None,
    *,
    limiter: OpenLimiter | None = None,
    log: RequestLog | None = None,
) -> MissionApp:
    """
    Build the ASGI application with both APIs.

    Args:
        wire: Opens the ports; by default those over the database of the settings.
        limiter: Opens the rate limiter; by default the one of the settings.
        log: Logs requests; by default they are not logged.
    """
    from mission_http.app import create_app
    from mission_http.boards.dialect import boards_dialect
    from mission_http.fleet.dialect import fleet_dialect
    from mission_http.wiring import from_settings, limiter_from

    return create_app(
        wire or (lambda: from_settings(settings)),
        (boards_dialect(settings), fleet_dialect(settings)),
        security=settings.security,
        fronting=settings.fronting,
        limiter=limiter or (lambda: limiter_from(settings)),
        quotas=settings.limiting.quotas,
        log=log,
    )


@app.command
def serve(
    *, host: Host = "127.0.0.1", port: Port = 8000, database_url: DatabaseUrl = None, data_dir: DataDir = None
) -> None:
    """
    Serve the Fleet API and the Boards API.
    """
    gc.disable()  # objects made at the start stay; collecting in between takes a tenth of the start
    settings = _settings(data_dir, database_url)
    with asyncio.Runner(loop_factory=event_loop()) as runner:
        runner.run(_serve(settings, host, port))


def event_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ModuleNotFoundError:  # not available on Windows
        return asyncio.new_event_loop
    return uvloop.new_event_loop


async def _serve(settings: Settings, host: str, port: int) -> None:
    from mission_core.accounts.first_admin import needs_setup
    from mission_http.doctor.identity import warnings_of as identity_warnings
    from mission_http.doctor.port import Listening
    from mission_http.doctor.reaching import warnings_of
    from mission_http.doctor.server_key import replaced_in
    from mission_http.logs.set_up import set_up
    from mission_http.serving import Server, bound
    from mission_http.wiring import from_settings, limiter_from

    log = set_up(settings.logs, secrets=settings.confidential)
    sockets = bound(host, port)
    for warning in (*warnings_of(settings.fronting, Listening.on(sockets)), *identity_warnings(settings.identities)):
        logger.warning("%s", warning)
    # Opened before the server is made, so that settings errors reach the terminal unchanged.
    async with limiter_from(settings) as limiter, from_settings(settings) as ports:
        app = application(settings, lambda: nullcontext(ports), limiter=lambda: nullcontext(limiter), log=log)
        server = Server(
            app, settings, nobody_yet=await needs_setup(ports), replaced=await replaced_in(ports, settings.api_key)
        )
        gc.freeze()
        gc.enable()
        await server.serve(sockets)


@app.command
def doctor(
    *,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    url: Url = None,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """
    Diagnose this installation and advise what to do. Changes nothing. Exits with 1 if there is a problem.
    """
    from mission_http.doctor.findings import as_json, as_text, sound
    from mission_http.doctor.rounds import findings_of, look_around

    seen = look_around(os.environ, host=host, port=port, url=url, database_url=database_url, data_dir=data_dir)
    findings = list(findings_of(asyncio.run(seen)))
    print(as_json(findings) if json else as_text(findings))
    if not sound(findings):
        sys.exit(1)


@app.command
def token(*, database_url: DatabaseUrl = None, data_dir: DataDir = None) -> None:
    """
    Print each credential as a shell assignment. Warn if the API_KEY was replaced.
    """
    from mission_http.doctor.database import Database, check_fingerprint
    from mission_http.doctor.findings import Level
    from mission_http.doctor.server_key import replaced

    settings = _settings(data_dir, database_url)
    for name, value in settings.credentials.items():
        print(f"{name}={shlex.quote(value)}")
    database = asyncio.run(Database.seen(settings))
    if told := replaced(database, settings.api_key):
        print(f"mission-control: warning: API_KEY: {told}", file=sys.stderr)
    kept_in = None if "AUTH_SECRET" in settings.given else settings.data_dir / GENERATED
    for each in check_fingerprint(database, [settings.auth_secret], kept_in=kept_in):
        if each.level is Level.PROBLEM:
            print(f"mission-control: warning: AUTH_SECRET: {each.found}; {each.advice}", file=sys.stderr)


@app.command
def migrate(*, database_url: DatabaseUrl = None, data_dir: DataDir = None) -> None:
    """
    Migrate the database to the newest schema.
    """
    from mission_http.wiring import migrated

    print(f"the database is at revision {migrated(settings_from(data_dir=data_dir, database_url=database_url))}")


@app.command
def backup(
    file: BackupFile,
    *,
    overwrite: Overwrite = False,
    passphrase_file: PassphraseFile = None,
    without_secrets: WithoutSecrets = False,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = None,
) -> None:
    """
    Back up the database, the generated secrets and the files of the data directory to one archive, even while serving.
    """
    from mission_http.maintenance import INSTEAD, backup, own_path, passphrase_from

    own_path(settings_from(data_dir=data_dir, database_url=database_url, in_use=False), "backup", INSTEAD)
    passphrase = None if without_secrets else passphrase_from(passphrase_file, twice=True)
    settings = _settings(data_dir, database_url)
    print("\n".join(asyncio.run(backup(settings, file.absolute(), passphrase, replace=overwrite))))


@app.command
def restore(
    file: BackupFile,
    *,
    passphrase_file: PassphraseFile = None,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = None,
) -> None:
    """
    Restore an archive. The replaced data are kept beside it. Stop the server first.
    """
    from mission_http.maintenance import complete, passphrase_from, restore

    settings = settings_from(data_dir=data_dir, database_url=database_url, in_use=False)
    complete(settings)
    print("\n".join(restore(settings, file, lambda: passphrase_from(passphrase_file, twice=False))))


@secret.command
def rotate(*, lost: Lost = False, database_url: DatabaseUrl = None, data_dir: DataDir = None) -> None:
    """
    Rotate AUTH_SECRET: re-encrypt everything under AUTH_SECRET_NEXT or a generated secret. Stop the server first.
    """
    from mission_http.maintenance import rotate

    settings = _settings(data_dir, database_url)
    print("\n".join(asyncio.run(rotate(settings, lost=lost))))


@imports.command(name="fleet")
def import_fleet(
    file: FleetFile, *, json: AsJson = False, database_url: DatabaseUrl = None, data_dir: DataDir = None
) -> None:
    """
    Import the SQLite file of a Fleet installation. Only reads it, and reports what was skipped and why.
    """
    from mission_adapters.importing.fleet import check_fleet, import_fleet

    with _refusals_told():  # before the data directory is created
        check_fleet(file)
    _import(lambda ports: import_fleet(ports, file), _settings(data_dir, database_url), json)


@imports.command(name="boards")
def import_boards(
    url: BoardsUrl, *, json: AsJson = False, database_url: DatabaseUrl = None, data_dir: DataDir = None
) -> None:
    """
    Import the PostgreSQL database of a Boards installation. Only reads it, and reports what was skipped and why.
    """
    try:
        from mission_adapters.importing.boards import import_boards
        from mission_adapters.importing.boards_database import check_boards
    except ModuleNotFoundError as e:
        raise SettingsError(f"import boards needs the extra: {install('postgres')}") from e

    with _refusals_told():
        asyncio.run(check_boards(url))
    settings = _settings(data_dir, database_url)
    issuer = settings.identities.issuer.name if settings.identities.issuer else None
    _import(lambda ports: import_boards(ports, url, issuer=issuer), settings, json)


def _import(take: Callable[[Ports], Awaitable[Report]], settings: Settings, as_json: bool) -> None:
    async def taken() -> Report:
        from mission_http.wiring import store_ports

        async with store_ports(settings) as ports:
            return await take(ports)

    with _refusals_told():
        try:
            report = asyncio.run(taken())
        except StoreFailed as e:
            raise SettingsError(f"the database failed ({e.reason}); run it again; what was imported is kept") from e
    print(dumps(report.plain(), indent=2) if as_json else "\n".join(report.lines()))
    if report.behind:
        sys.exit(3)


@contextmanager
def _refusals_told() -> Iterator[None]:
    try:
        yield
    except ValueError as e:
        raise SettingsError(str(e)) from e


@audit.command
def verify(*, database_url: DatabaseUrl = None, data_dir: DataDir = None) -> None:
    """
    Verify the digest chain of every organization's event log. Prints the first wrong entry and exits with 1.
    """
    settings = settings_from(data_dir=data_dir, database_url=database_url, in_use=False)
    if not asyncio.run(_verify(settings)):
        sys.exit(1)


async def _verify(settings: Settings) -> bool:
    from mission_core.events.model import Misfit
    from mission_core.events.use_cases import verify_log
    from mission_http.doctor.database import Database
    from mission_http.wiring import place_of, store_ports

    sound = True
    never_served = f"nothing to verify: {place_of(settings)} was never served; check --data-dir or --database-url"
    if (await Database.seen(settings)).to_be_made:
        raise SettingsError(never_served)
    async with store_ports(settings, read_only=True) as ports:
        organizations = await ports.credentials.organizations()
        if not organizations:
            raise SettingsError(never_served)
        for organization in organizations:
            found = await verify_log(ports.log, organization)
            if isinstance(found, Misfit):
                sound = False
                print(f"organization {organization}: entry {found.position} {found.reason}")
            else:
                print(f"organization {organization}: {found.position} entries, digest {found.digest.hex()}: sound")
    return sound


if __name__ == "__main__":
    main()
