"""
Inspection of the whole installation, and all checks of what it found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Final

from attrs import evolve, field, frozen

from mission_http.doctor.credentials import Credentials, check_credentials
from mission_http.doctor.database import Database, check_clock, check_database, check_fingerprint, check_migrations
from mission_http.doctor.directory import Directory, check_directory, check_secrets
from mission_http.doctor.findings import Check, Finding, Level
from mission_http.doctor.identity import Reached, check_identities
from mission_http.doctor.limits import Counting, check_limits
from mission_http.doctor.misspelled import misspelled
from mission_http.doctor.port import Listening, check_port
from mission_http.doctor.reaching import (
    check_cookies,
    check_host_names,
    check_hsts,
    check_other_sites,
    check_proxies,
)
from mission_http.doctor.server_key import check_server_key
from mission_http.fronting import Fronting, base_url_from
from mission_http.identities import Identities
from mission_http.settings import SettingsError, as_far_as_readable, settings_from
from mission_http.wiring import issuers_seen

SETTINGS: Final = Check("settings")


@frozen(kw_only=True)
class Picture:
    """
    The inspected installation.

    Args:
        malformed: The error of each variable whose value is malformed, by name.
        misspelled: The known variable that each unknown one resembles, by name.
        database: The database; None if `DATABASE_URL` is malformed.
    """

    malformed: Mapping[str, str]
    directory: Directory
    credentials: Credentials
    database: Database | None
    listening: Listening
    fronting: Fronting
    counting: Counting
    misspelled: Mapping[str, str] = field(factory=dict)
    reached: Reached = Reached(identities=Identities(), keys={})


async def look_around(
    environment: Mapping[str, str],
    *,
    host: str,
    port: int,
    database_url: str | None = None,
    data_dir: Path | None = None,
    url: str | None = None,
) -> Picture:
    """
    Inspect the installation of this environment and these command-line options, without changing it.

    Raises:
        SettingsError: If *url* is not the address of a server.
    """
    base_url = None if url is None else base_url_from("--url", url)
    env = dict(environment) if database_url is None else {**environment, "DATABASE_URL": database_url}
    settings, malformed = as_far_as_readable(lambda env: settings_from(env, data_dir=data_dir, in_use=False), env)
    directory, issuers = Directory.seen(settings.data_dir), await issuers_seen(settings.identities)
    return Picture(
        malformed=malformed,
        misspelled=dict(misspelled(env)),
        directory=directory,
        credentials=Credentials.seen(
            *(
                {name: value for name, value in given.items() if name not in malformed}
                for given in (env, directory.secrets or {})
            )
        ),
        database=None if "DATABASE_URL" in malformed else await Database.seen(settings),
        listening=Listening.seen(host, port),
        fronting=evolve(settings.fronting, base_url=base_url or settings.fronting.base_url),
        counting=await Counting.seen(settings),
        reached=Reached(
            identities=settings.identities,
            keys=issuers.keys,
            misnamed=issuers.misnamed,
            unfit=issuers.unfit,
            mode_refused="AUTH_MODE" in malformed,
            secret_alone=bool(env.get("GOOGLE_CLIENT_SECRET", "").strip()) and settings.identities.google is None,
        ),
    )


def findings_of(picture: Picture) -> Iterator[Finding]:
    """
    Run every check on an inspected installation and yield the findings.
    """
    yield from check_settings(picture.malformed, picture.misspelled)
    yield from check_directory(picture.directory)
    yield from check_secrets(picture.directory)
    yield from check_credentials(picture.credentials)
    database = picture.database
    if database is not None:
        # A database in an unusable data directory is not reported as ok.
        hidden = {Level.OK} if database.own and not picture.directory.usable else set[Level]()
        found = chain(
            check_database(database),
            check_migrations(database),
            check_clock(database),
            check_server_key(database, picture.credentials.known.get("API_KEY")),
            check_fingerprint(
                database, picture.credentials.auth_secrets,
                kept_in=None if "AUTH_SECRET" in picture.credentials.given else picture.directory.file,
            ),
        )
        yield from (each for each in found if each.level not in hidden)
    yield from check_port(picture.listening, at_rest=database is not None and database.examined.at_rest)
    yield from check_host_names(picture.fronting, picture.listening)
    yield from check_proxies(picture.fronting, picture.listening)
    yield from check_cookies(picture.fronting)
    yield from check_hsts(picture.fronting)
    yield from check_identities(picture.reached, picture.fronting)
    yield from check_other_sites(picture.fronting)
    yield from check_limits(picture.counting, picture.listening)


def check_settings(malformed: Mapping[str, str], misspelled: Mapping[str, str]) -> Iterator[Finding]:
    """
    Check that no environment variable is malformed or misspelled.
    """
    for name, message in malformed.items():
        needed = SettingsError(message).variable
        if message.startswith(name):
            yield SETTINGS.problem(name, message.partition(": ")[2], f"correct {name}, or unset it", name)
        elif needed not in malformed:
            yield SETTINGS.problem(name, message, f"set {needed}", needed)
    for name, meant in misspelled.items():
        advice = f"unset {name}, or rename it to {meant} if that was meant"
        yield SETTINGS.warning(name, "is not read, and looks like a variable that is", advice, name, meant)
    if not malformed and not misspelled:
        yield SETTINGS.ok("the environment", "every variable is valid")
