"""
The subcommands of `mission-control`, as they are parsed from the command line.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter, Token
from cyclopts.validators import Number

from mission_core.errors import StoreFailed
from mission_core.extras import install_command
from mission_http import main
from mission_http.distribution import distribution_version
from mission_http.main import current_settings
from mission_http.settings import SECRETS_FILE, Settings, SettingsError, settings_from
from mission_http.worker_settings import MAX_WORKERS

if TYPE_CHECKING:
    from mission_adapters.data_import.import_report import ImportReport
    from mission_core.ports import Ports

app = App(name="mission-control", help="A control plane for fleets of AI agents.", version=distribution_version)
audit = App(name="audit", help="Verify and export the event log.")
app.command(audit)
imports = App(name="import", help="Import the data of another installation; safe to repeat.")
app.command(imports)

usage = App(name="usage", help="Maintain the token ledger.")
app.command(usage)

secret = App(name="secret", help="Manage AUTH_SECRET, from which the keys for signatures and encryption are derived.")
app.command(secret)


def _convert_directory(_: Any, tokens: Sequence[Token]) -> Path:
    return Path(_flag_value(tokens, "a directory, such as .data"))


def _convert_database_url(_: Any, tokens: Sequence[Token]) -> str:
    return _flag_value(tokens, "sqlite:///path or postgresql://user:password@host/name")


def _flag_value(tokens: Sequence[Token], expected: str) -> str:
    """
    The value of a flag. A blank one is refused, because it usually comes from an unset variable of a script.
    """
    if not tokens[0].value.strip():
        raise SettingsError(f"{tokens[0].keyword}: is empty; give it {expected}, or leave it out")
    return tokens[0].value


Host = Annotated[str, Parameter(help="The host name or address to listen on; 0.0.0.0 for all addresses.")]
Workers = Annotated[
    int | None,
    Parameter(
        help="The number of server processes; more than 1 needs PostgreSQL. Default: MC_WORKERS, or else 1.",
        env_var=[],
        validator=Number(gte=1, lte=MAX_WORKERS),
    ),
]
Port = Annotated[
    int, Parameter(help="The port to listen on; 0 for any free one.", validator=Number(gte=0, lte=main.MAX_PORT))
]
DataDir = Annotated[
    Path | None,
    Parameter(help="The directory for data and generated secrets.", env_var=[], converter=_convert_directory),
]
AsJson = Annotated[bool, Parameter(help="Report as JSON.", negative=())]
BackupFile = Annotated[Path, Parameter(help="The archive, such as /srv/backups/mission-control.tar.")]
Overwrite = Annotated[bool, Parameter(help="Replace the archive if it exists.", negative=())]
WithoutSecrets = Annotated[bool, Parameter(help="Exclude the generated secrets.", negative=())]
PassphraseFile = Annotated[
    Path | None,
    Parameter(help="A file whose first line is the passphrase of the secrets; default: MISSION_CONTROL_PASSPHRASE."),
]
LostSecret = Annotated[
    bool,
    Parameter(
        help="Accept the current AUTH_SECRET because the old one is lost; encrypted values are lost, too.", negative=()
    ),
]
LogFile = Annotated[Path, Parameter(help="The new file, such as /srv/audit/mission-control.jsonl.")]
CheckpointsOnly = Annotated[bool, Parameter(help="Leave out the entries.", negative=())]
CheckpointFile = Annotated[
    Path | None, Parameter(help="A file that `audit export` wrote; its checkpoints must fit the log, too.")
]
BaseUrl = Annotated[str | None, Parameter(help="The public URL of the server, such as https://mission.example.com.")]
FleetFile = Annotated[
    Path,
    Parameter(help="The SQLite file of the Fleet installation, such as /srv/fleet/.data/mission-control.db."),
]
TokensFile = Annotated[
    Path | None,
    Parameter(help="The JSON file of the installation's token records; by default the one beside the SQLite file."),
]
BoardsUrl = Annotated[
    str,
    Parameter(help="The database URL of the Boards installation: postgresql://user:password@host:5432/name."),
]
DatabaseUrl = Annotated[
    str | None,
    Parameter(help="sqlite:///path or postgresql://user:password@host/name.", converter=_convert_database_url),
]


@app.command
def serve(
    *,
    host: Host = main.DEFAULT_HOST,
    port: Port = main.DEFAULT_PORT,
    workers: Workers = None,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = None,
) -> None:
    """
    Serve the Fleet API and the Boards API.
    """
    main.serve(host=host, port=port, workers=workers, database_url=database_url, data_dir=data_dir)


@app.command
def doctor(
    *,
    host: Host = main.DEFAULT_HOST,
    port: Port = main.DEFAULT_PORT,
    url: BaseUrl = None,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """
    Diagnose this installation and advise what to do. Changes nothing. Exits with 1 if there is a problem.
    """
    from mission_http.doctor.findings import as_json, as_text, has_no_problem
    from mission_http.doctor.inspection import check_installation, inspect_installation

    seen = inspect_installation(os.environ, host=host, port=port, url=url, database_url=database_url, data_dir=data_dir)
    findings = list(check_installation(asyncio.run(seen)))
    print(as_json(findings) if json else as_text(findings))
    if not has_no_problem(findings):
        sys.exit(1)


@app.command
def token(*, database_url: DatabaseUrl = None, data_dir: DataDir = None) -> None:
    """
    Print each credential as a shell assignment. Warn if the API_KEY was replaced.
    """
    from mission_http.doctor.database import DatabaseState, check_fingerprint
    from mission_http.doctor.findings import FindingLevel
    from mission_http.doctor.server_key import replacement_notice

    settings = current_settings(data_dir, database_url)
    for name, value in settings.credentials.items():
        print(f"{name}={shlex.quote(value)}")
    database = asyncio.run(DatabaseState.inspect(settings))
    if told := replacement_notice(database, settings.api_key):
        print(f"mission-control: warning: API_KEY: {told}", file=sys.stderr)
    kept_in = None if "AUTH_SECRET" in settings.given else settings.data_dir / SECRETS_FILE
    for each in check_fingerprint(database, [settings.auth_secret], kept_in=kept_in):
        if each.level is FindingLevel.PROBLEM:
            print(f"mission-control: warning: AUTH_SECRET: {each.found}; {each.advice}", file=sys.stderr)


@app.command
def migrate(*, database_url: DatabaseUrl = None, data_dir: DataDir = None) -> None:
    """
    Migrate the database to the newest schema.
    """
    from mission_http.wiring import run_migrations

    print(f"the database is at revision {run_migrations(settings_from(data_dir=data_dir, database_url=database_url))}")


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
    from mission_http.maintenance import POSTGRES_BACKUP_ADVICE, backup, passphrase_from, sqlite_path

    sqlite_path(
        settings_from(data_dir=data_dir, database_url=database_url, in_use=False), "backup", POSTGRES_BACKUP_ADVICE
    )
    passphrase = None if without_secrets else passphrase_from(passphrase_file, twice=True)
    settings = current_settings(data_dir, database_url)
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
    from mission_http.maintenance import complete_interrupted_restore, passphrase_from, restore

    settings = settings_from(data_dir=data_dir, database_url=database_url, in_use=False)
    complete_interrupted_restore(settings)
    print("\n".join(restore(settings, file, lambda: passphrase_from(passphrase_file, twice=False))))


@secret.command
def rotate(*, lost: LostSecret = False, database_url: DatabaseUrl = None, data_dir: DataDir = None) -> None:
    """
    Rotate AUTH_SECRET: re-encrypt everything under AUTH_SECRET_NEXT or a generated secret. Stop the server first.
    """
    from mission_http.maintenance import rotate_auth_secret

    settings = current_settings(data_dir, database_url)
    print("\n".join(asyncio.run(rotate_auth_secret(settings, lost=lost))))


@imports.command(name="fleet")
def import_fleet(
    file: FleetFile,
    *,
    tokens: TokensFile = None,
    json: AsJson = False,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = None,
) -> None:
    """
    Import the SQLite file of a Fleet installation. Only reads it, and reports what was skipped and why.
    """
    from mission_adapters.data_import.fleet_import import check_fleet_file, import_fleet

    with _value_errors_as_settings_errors():  # before the data directory is created
        check_fleet_file(file, tokens=tokens)
    _import(lambda ports: import_fleet(ports, file, tokens=tokens), current_settings(data_dir, database_url), json)


@imports.command(name="boards")
def import_boards(
    url: BoardsUrl, *, json: AsJson = False, database_url: DatabaseUrl = None, data_dir: DataDir = None
) -> None:
    """
    Import the PostgreSQL database of a Boards installation. Only reads it, and reports what was skipped and why.
    """
    try:
        from mission_adapters.data_import.boards_database import check_boards_database
        from mission_adapters.data_import.boards_import import import_boards
    except ModuleNotFoundError as e:
        raise SettingsError(f"import boards needs the extra: {install_command('postgres')}") from e

    with _value_errors_as_settings_errors():
        asyncio.run(check_boards_database(url))
    settings = current_settings(data_dir, database_url)
    issuer = settings.identity_providers.issuer.name if settings.identity_providers.issuer else None
    _import(lambda ports: import_boards(ports, url, issuer=issuer), settings, json)


def _import(take: Callable[[Ports], Awaitable[ImportReport]], settings: Settings, as_json: bool) -> None:
    async def taken() -> ImportReport:
        from mission_http.wiring import ports_over_database

        async with ports_over_database(settings) as ports:
            return await take(ports)

    with _value_errors_as_settings_errors():
        try:
            report = asyncio.run(taken())
        except StoreFailed as e:
            raise SettingsError(f"the database failed ({e.reason}); run it again; what was imported is kept") from e
    print(dumps(report.plain(), indent=2) if as_json else "\n".join(report.lines()))
    if report.failures:
        sys.exit(3)


@contextmanager
def _value_errors_as_settings_errors() -> Iterator[None]:
    try:
        yield
    except ValueError as e:
        raise SettingsError(str(e)) from e


@usage.command
def rebuild(*, database_url: DatabaseUrl = None, data_dir: DataDir = None) -> None:
    """
    Correct the sums of the token ledger by its entries, even while serving.
    """
    settings = settings_from(data_dir=data_dir, database_url=database_url, in_use=False)
    print("\n".join(asyncio.run(_rebuild(settings))))


async def _rebuild(settings: Settings) -> list[str]:
    from mission_core.usage.model import UsageRebuildSuperseded
    from mission_http.doctor.database import DatabaseState
    from mission_http.wiring import database_location, ports_over_database

    if (await DatabaseState.inspect(settings)).is_not_created:
        raise SettingsError(f"nothing to rebuild: {database_location(settings)} was never served")
    lines = []
    async with ports_over_database(settings) as ports:
        for organization in await ports.credentials.organizations():
            try:
                found = await ports.housekeeping.rebuild_usage(organization)
            except UsageRebuildSuperseded as e:
                raise SettingsError(str(e)) from e
            told = f"{found.corrected} sums of {found.entries} entries were corrected"
            lines.append(f"organization {organization}: {told}")
    return lines


@audit.command
def verify(*, checkpoint: CheckpointFile = None, database_url: DatabaseUrl = None, data_dir: DataDir = None) -> None:
    """
    Verify the digest chain of every organization's event log. Prints the first wrong entry and exits with 1.
    """
    from mission_http.log_verification import verify_logs

    settings = settings_from(data_dir=data_dir, database_url=database_url, in_use=False)
    if not asyncio.run(verify_logs(settings, checkpoint)):
        sys.exit(1)


@audit.command
def export(
    file: LogFile,
    *,
    checkpoints_only: CheckpointsOnly = False,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = None,
) -> None:
    """
    Export the event log of every organization to a file of JSON lines, each with a signed checkpoint, even while
    serving. Verify against a checkpoint that is kept elsewhere to find a log that was cut or rewritten.
    """
    from mission_http.log_verification import export_logs

    settings = settings_from(data_dir=data_dir, database_url=database_url, in_use=False)
    print("\n".join(asyncio.run(export_logs(settings, file, checkpoints_only=checkpoints_only))))
