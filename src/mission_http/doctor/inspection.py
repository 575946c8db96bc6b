"""
Inspection of the whole installation, and all checks of what it found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Final, Self

from attrs import evolve, field

from mission_core.lazy_attrs import frozen
from mission_http.doctor.credentials import CredentialsState, check_credentials
from mission_http.doctor.data_directory import DataDirectoryState, check_data_directory, check_secrets
from mission_http.doctor.database import (
    DatabaseState,
    check_clock,
    check_database,
    check_fingerprint,
    check_migrations,
    check_search_index,
)
from mission_http.doctor.extras import EXTRAS, ExtrasState, check_extras
from mission_http.doctor.findings import Check, DoctorFinding, FindingLevel
from mission_http.doctor.identity_providers import IDENTITY, IdentityProvidersState, check_identity_providers
from mission_http.doctor.listen_address import ListenAddressState, check_port
from mission_http.doctor.network_settings import (
    COOKIES,
    CORS,
    HOST_NAMES,
    HSTS,
    PROXIES,
    check_cookies,
    check_cors_origins,
    check_host_names,
    check_hsts,
    check_proxies,
)
from mission_http.doctor.prices import PRICES, PricesState, check_prices
from mission_http.doctor.rate_limits import LIMITS, RateLimiterState, check_rate_limits
from mission_http.doctor.server_key import check_server_key
from mission_http.doctor.variable_names import misspelled_variables
from mission_http.identity_provider_settings import IdentityProviderSettings
from mission_http.network_settings import NetworkSettings, parse_base_url
from mission_http.rate_limit_settings import DISABLE, PREFIX, REDIS_URL_VARIABLES
from mission_http.settings import (
    METRICS_TOKEN_VARIABLE,
    PRICES_FILE_VARIABLE,
    Settings,
    SettingsError,
    read_collecting_errors,
    settings_from,
)
from mission_http.wiring import inspect_issuers
from mission_http.worker_settings import WORKERS_VARIABLE, check_workers

SETTINGS: Final = Check("settings")
WORKERS: Final = Check("workers")
VARIABLES_OF_CHECKS: Final = {
    HOST_NAMES.name: ("MC_ALLOWED_HOSTS", "MC_ALLOW_ANY_HOST"),
    PROXIES.name: ("MC_TRUSTED_PROXIES", "TRUSTED_PROXIES"),
    COOKIES.name: ("MC_COOKIE_SECURE",),
    HSTS.name: ("MC_ENABLE_HSTS", "MC_DISABLE_HSTS", "MC_HSTS_"),
    IDENTITY.name: ("AUTH_MODE", "OIDC_", "CLERK_", "GOOGLE_", "MC_PROXY_AUTH_"),
    CORS.name: ("CORS_ORIGINS",),
    WORKERS.name: (WORKERS_VARIABLE,),
    LIMITS.name: (PREFIX, *REDIS_URL_VARIABLES, DISABLE),
    EXTRAS.name: (METRICS_TOKEN_VARIABLE,),
    PRICES.name: (PRICES_FILE_VARIABLE,),
}
"""The beginnings of the names of the variables that a check judges."""


@frozen(kw_only=True)
class WorkersState:
    """
    The number of worker processes, and the error with which a server refuses it.
    """

    count: int
    error: SettingsError | None = None

    @classmethod
    def inspect(cls, settings: Settings) -> Self:
        """
        Check what the server's start checks.
        """
        try:
            check_workers(settings)
        except SettingsError as e:
            return cls(count=settings.workers, error=e)
        return cls(count=settings.workers)


@frozen(kw_only=True)
class InstallationState:
    """
    The state of the installation, as the doctor inspected it.

    Args:
        malformed: The error of each variable whose value is malformed, by name.
        misspelled: The known variable that each unknown one resembles, by name.
        database: The database; None if `DATABASE_URL` is malformed.
    """

    malformed: Mapping[str, str]
    directory: DataDirectoryState
    credentials: CredentialsState
    database: DatabaseState | None
    listen_address: ListenAddressState
    fronting: NetworkSettings
    rate_limiter: RateLimiterState
    workers: WorkersState
    extras: ExtrasState
    prices: PricesState
    misspelled: Mapping[str, str] = field(factory=dict)
    identity_providers: IdentityProvidersState = IdentityProvidersState(identities=IdentityProviderSettings(), keys={})


async def inspect_installation(
    environment: Mapping[str, str],
    *,
    host: str,
    port: int,
    database_url: str | None = None,
    data_dir: Path | None = None,
    url: str | None = None,
) -> InstallationState:
    """
    Inspect the installation of this environment and these command-line options, without changing it.

    Raises:
        SettingsError: If *url* is not the address of a server.
    """
    base_url = None if url is None else parse_base_url("--url", url)
    env = dict(environment) if database_url is None else {**environment, "DATABASE_URL": database_url}
    settings, malformed = read_collecting_errors(lambda env: settings_from(env, data_dir=data_dir, in_use=False), env)
    directory = DataDirectoryState.inspect(settings.data_dir)
    issuers = await inspect_issuers(settings.identity_providers)
    return InstallationState(
        malformed=malformed,
        misspelled=dict(misspelled_variables(env)),
        directory=directory,
        credentials=CredentialsState.inspect(
            *(
                {name: value for name, value in given.items() if name not in malformed}
                for given in (env, directory.secrets or {})
            )
        ),
        database=None if "DATABASE_URL" in malformed else await DatabaseState.inspect(settings),
        listen_address=ListenAddressState.inspect(host, port),
        fronting=evolve(settings.network, base_url=base_url or settings.network.base_url),
        rate_limiter=await RateLimiterState.inspect(settings),
        workers=WorkersState.inspect(settings),
        extras=ExtrasState.inspect(settings),
        prices=PricesState.inspect(settings),
        identity_providers=IdentityProvidersState(
            identities=settings.identity_providers,
            keys=issuers.keys,
            issuer_mismatches=issuers.misnamed,
            algorithm_mismatches=issuers.unusable,
            client_id_missing=bool(env.get("GOOGLE_CLIENT_SECRET", "").strip())
            and settings.identity_providers.google is None,
        ),
    )


def check_installation(picture: InstallationState) -> Iterator[DoctorFinding]:
    """
    Run every check on an inspected installation and yield the findings.
    """
    yield from check_settings(picture.malformed, picture.misspelled)
    yield from check_data_directory(picture.directory)
    yield from check_secrets(picture.directory)
    yield from check_credentials(picture.credentials)
    database = picture.database
    if database is not None:
        # A database in an unusable data directory is not reported as ok.
        hidden = {FindingLevel.OK} if database.own and not picture.directory.usable else set[FindingLevel]()
        found = chain(
            check_database(database),
            check_migrations(database),
            check_search_index(database),
            check_clock(database),
            check_server_key(database, picture.credentials.all.get("API_KEY")),
            check_fingerprint(
                database,
                picture.credentials.auth_secrets,
                kept_in=None if "AUTH_SECRET" in picture.credentials.given else picture.directory.secrets_file,
            ),
        )
        yield from (each for each in found if each.level not in hidden)
    yield from check_port(picture.listen_address, at_rest=database is not None and database.examined.at_rest)
    found = chain(
        check_host_names(picture.fronting, picture.listen_address),
        check_proxies(picture.fronting, picture.listen_address),
        check_cookies(picture.fronting),
        check_hsts(picture.fronting),
        check_identity_providers(picture.identity_providers, picture.fronting),
        check_cors_origins(picture.fronting),
        check_rate_limits(picture.rate_limiter, picture.listen_address),
        check_worker_count(picture.workers),
        check_extras(picture.extras),
        _check_prices(picture, database),
    )
    yield from (each for each in found if not _follows_from_malformed(each, picture.malformed))


def _check_prices(picture: InstallationState, database: DatabaseState | None) -> Iterator[DoctorFinding]:
    if database is None:
        return check_prices(picture.prices, unpriced_tokens=0)
    examined = database.examined
    age = None if examined.oldest_price_at is None else database.at - examined.oldest_price_at
    return check_prices(picture.prices, unpriced_tokens=examined.unpriced_tokens, override_age=age)


def _follows_from_malformed(finding: DoctorFinding, malformed: Mapping[str, str]) -> bool:
    """
    Whether a finding judges the default that stands in for a malformed value. The malformed value has a finding of its
    own.
    """
    if finding.level is FindingLevel.OK:
        return any(name.startswith(VARIABLES_OF_CHECKS[finding.check]) for name in malformed)
    return not malformed.keys().isdisjoint(finding.settings)


def check_worker_count(workers: WorkersState) -> Iterator[DoctorFinding]:
    """
    Check that several workers can serve, if there are several.
    """
    place = f"{WORKERS_VARIABLE}={workers.count}"
    if workers.error is not None:
        told = workers.error.told.partition(": ")[2]
        yield WORKERS.problem(place, told, workers.error.advice, WORKERS_VARIABLE)
    elif workers.count > 1:
        yield WORKERS.ok(place, "the processes share one port")


def check_settings(malformed: Mapping[str, str], misspelled: Mapping[str, str]) -> Iterator[DoctorFinding]:
    """
    Check that no environment variable is malformed or misspelled.
    """
    for name, message in malformed.items():
        needed = SettingsError(message).variable
        alternatives = REDIS_URL_VARIABLES if needed in REDIS_URL_VARIABLES else (needed,)
        if message.startswith(name):
            yield SETTINGS.problem(name, message.partition(": ")[2], f"correct {name}, or unset it", name)
        elif malformed.keys().isdisjoint(alternatives):
            yield SETTINGS.problem(name, message, f"set {needed}", needed)
    for name, meant in misspelled.items():
        advice = f"unset {name}, or rename it to {meant} if that was meant"
        yield SETTINGS.warning(name, "is not read, and looks like a variable that is", advice, name, meant)
    if not malformed and not misspelled:
        yield SETTINGS.ok("the environment", "every variable is valid")
