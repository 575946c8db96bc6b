"""
The settings of the server, read once from environment variables into frozen classes.

A malformed value stops the start with a message that names the variable; unknown variables are ignored. Secrets that
are not set are generated at the first start and kept in the data directory.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from attrs import field, fields

from mission_core.database_urls import sqlite_url
from mission_core.errors import InvalidField
from mission_core.key_derivation import derive_key
from mission_core.lazy_attrs import frozen
from mission_core.reports.workload_thresholds import WorkloadThresholds
from mission_http.connection_limits import ConnectionLimits
from mission_http.environment import SettingsError as SettingsError
from mission_http.environment import boolean_variable as boolean_variable
from mission_http.environment import list_variable
from mission_http.first_admin_settings import FirstAdminSettings
from mission_http.identity_provider_settings import AuthMode, IdentityProviderSettings
from mission_http.logs.settings import LogSettings
from mission_http.network_settings import NetworkSettings
from mission_http.platform.response_headers import SecurityHeaders
from mission_http.platform.stream_limits import StreamLimits
from mission_http.rate_limit_settings import RateLimitSettings
from mission_http.worker_settings import worker_count

PLACEHOLDERS: Final = frozenset(
    {
        "",
        "generate-a-random-key",
        "random-secret-for-legacy-cookies",
        "change-me",
        "changeme",
        "replace-me",
        "replace-with-strong-random-token",
    }
)
MIN_LOCAL_TOKEN_LENGTH: Final = 50
MEGABYTE: Final = 1024 * 1024
SETUP_CODE_LENGTH: Final = 16
SECRETS_FILE: Final = ".auto-generated"
NEXT_AUTH_SECRET: Final = "AUTH_SECRET_NEXT"
SECRET_NAMES: Final = ("API_KEY", "AUTH_SECRET", "LOCAL_AUTH_TOKEN")
HSTS_VALUE: Final = "max-age=63072000"
T = TypeVar("T")


WORKLOAD_PREFIX: Final = "MC_WORKLOAD_"
WEBHOOK_LIMIT_VARIABLE: Final = "WEBHOOK_MAX_PAYLOAD_BYTES"
LARGEST_WEBHOOK_LIMIT: Final = 100 * MEGABYTE
PRICES_FILE_VARIABLE: Final = "MC_PRICES_FILE"
METRICS_TOKEN_VARIABLE: Final = "MC_METRICS_TOKEN"
MIN_METRICS_TOKEN_LENGTH: Final = 32
RETENTION_VARIABLE: Final = "MC_RETAIN_TOKEN_USAGE_DAYS"
LEAST_RETENTION_DAYS, LONGEST_RETENTION_DAYS = 32, 3650
"""The days for which entries of the token ledger are kept: at least those of a month, which a budget may count."""
SUBSCRIBED_PROVIDERS_VARIABLE: Final = "MC_SUBSCRIBED_PROVIDERS"
SUBSCRIPTION_VARIABLE: Final = re.compile(r"MC_(\w+)_SUBSCRIPTION(?:_TYPE)?|(?!MC_)(\w+)_SUBSCRIPTION_TYPE")
NO_SUBSCRIPTION_VALUES: Final = frozenset({"none", "no", "false", "free", "unknown", "api_key", "apikey"})


@frozen
class ProviderSubscription:
    """
    The plan by which a model provider is paid, and the variable that set it.
    """

    kind: str
    variable: str


@frozen(kw_only=True)
class Settings:
    """
    All settings of the server.
    """

    data_dir: Path
    database_url: str
    api_key: str = field(repr=False)
    auth_secret: str = field(repr=False)
    local_auth_token: str = field(repr=False)
    next_auth_secret: str | None = field(default=None, repr=False)
    """The secret that replaces `auth_secret` in a rotation; set while a rotation is pending or unfinished."""
    coordinator: str | None = None
    soul_templates: Path | None = None
    first_admin: FirstAdminSettings = FirstAdminSettings()
    network: NetworkSettings = NetworkSettings()
    identity_providers: IdentityProviderSettings = IdentityProviderSettings()
    rate_limits: RateLimitSettings = RateLimitSettings()
    connections: ConnectionLimits = ConnectionLimits()
    streams: StreamLimits = StreamLimits()
    workers: int = 1
    """The number of server processes that share the port."""
    security: SecurityHeaders = SecurityHeaders()
    logs: LogSettings = LogSettings()
    workload: WorkloadThresholds = WorkloadThresholds()
    subscriptions: Mapping[str, ProviderSubscription] = field(factory=dict)
    """The plans of model providers, by the provider's name."""
    prices_file: Path | None = None
    """The file of the operator's own prices of models."""
    metrics_token: str | None = field(default=None, repr=False)
    """The token of `GET /metrics`, which is served only with one."""
    usage_retention: timedelta | None = None
    """The time after which entries of the token ledger are folded into carry-overs; None for never."""
    webhook_max_payload_bytes: int = MEGABYTE
    """The largest payload that a webhook accepts."""
    given: frozenset[str] = frozenset()
    """The names of the secrets that the environment set; the others were generated."""
    fresh: frozenset[str] = field(default=frozenset(), eq=False)
    """The secrets that this start generated."""

    @property
    def redacted_values(self) -> list[str]:
        """
        The secrets that are redacted in the log.
        """
        urls = [self.database_url, self.rate_limits.redis.url if self.rate_limits.redis else ""]
        passwords = [password for url in urls if (password := _password_in(url))]
        kept = [self.api_key, self.auth_secret, self.local_auth_token, self.setup_code, self.first_admin.password]
        more = [each for each in (self.next_auth_secret, self.metrics_token) if each]
        return [*kept, *more, *self.identity_providers.redacted_values, *passwords, *map(unquote, passwords)]

    @property
    def credentials(self) -> dict[str, str]:
        """
        The credentials for people and programs, by name.
        """
        if self.identity_providers.mode is not AuthMode.LOCAL:
            return {"API_KEY": self.api_key}
        return {"API_KEY": self.api_key, "LOCAL_AUTH_TOKEN": self.local_auth_token}

    def key_for(self, purpose: str) -> bytes:
        """
        Derive a 32-byte key for one purpose from `AUTH_SECRET`.
        """
        return derive_key(self.auth_secret, purpose)

    @property
    def setup_code(self) -> str:
        """
        The code that authorizes the setup of the first admin from any machine.

        It is derived from `AUTH_SECRET`, so all processes share it. Once there is an admin it is useless.
        """
        return self.key_for("setup")[:SETUP_CODE_LENGTH].hex()

    @property
    def setup_needs_no_code_locally(self) -> bool:
        """
        Whether a local client may set up the first admin without the code.

        Clients of a proxy on this machine may look local, so this is false if any setting mentions a proxy.
        """
        return self.network.is_local_only and self.identity_providers.proxy is None


def settings_from(
    environment: Mapping[str, str] | None = None,
    *,
    data_dir: Path | None = None,
    database_url: str | None = None,
    in_use: bool = True,
) -> Settings:
    """
    Read the settings from environment variables; arguments of the command line take precedence.

    Args:
        in_use: Whether to create the data directory, and read and write the secrets in it; else no file is touched.

    Raises:
        SettingsError: If a value is malformed, or if the data directory cannot be used.
    """
    env = os.environ if environment is None else environment
    directory = (data_dir or Path(env.get("MISSION_CONTROL_DATA_DIR") or ".data")).expanduser().absolute()
    url = database_url or env.get("DATABASE_URL") or ""
    if in_use:
        _make_directory(directory)
        secrets_kept, fresh = _load_or_generate_secrets(directory / SECRETS_FILE, env)
    else:
        secrets_kept, fresh = _resolved_secrets(env, {})
    fronting = NetworkSettings.of(env)
    return Settings(
        data_dir=directory,
        database_url=_checked_url(url) if url else default_database_url(directory),
        api_key=secrets_kept["API_KEY"],
        auth_secret=secrets_kept["AUTH_SECRET"],
        local_auth_token=secrets_kept["LOCAL_AUTH_TOKEN"],
        next_auth_secret=secrets_kept.get(NEXT_AUTH_SECRET),
        coordinator=env.get("MC_COORDINATOR_AGENT", "").strip() or None,
        soul_templates=_directory(env, "MC_SOUL_TEMPLATES_DIR"),
        network=fronting,
        identity_providers=IdentityProviderSettings.of(env),
        rate_limits=RateLimitSettings.of(env),
        connections=ConnectionLimits.of(env),
        streams=StreamLimits.of(env),
        workers=worker_count(env),
        security=_security(env, fronting),
        logs=LogSettings.of(env),
        first_admin=FirstAdminSettings.of(env),
        workload=_workload(env),
        subscriptions=_subscriptions(env),
        prices_file=_file(env, PRICES_FILE_VARIABLE),
        metrics_token=_metrics_token(env),
        usage_retention=_usage_retention(env),
        webhook_max_payload_bytes=_webhook_limit(env),
        fresh=frozenset(fresh),
        given=frozenset(name for name in SECRET_NAMES if env.get(name, "").strip() not in PLACEHOLDERS),
    )


def _password_in(url: str) -> str:
    try:
        split = urlsplit(url)
        return split.password or dict(parse_qsl(split.query)).get("password", "")
    except ValueError:  # opening the database reports the error
        return ""


def default_database_url(directory: Path) -> str:
    """
    The URL of the SQLite database in the data directory, the default database.
    """
    return sqlite_url(str(directory / "mission-control.db"))


def read_collecting_errors(
    read: Callable[[Mapping[str, str]], T], environment: Mapping[str, str]
) -> tuple[T, dict[str, str]]:
    """
    Call *read* with the environment, without its malformed variables.

    Returns:
        The result, and the error about each malformed variable, by name.
    """
    env, malformed = dict(environment), dict[str, str]()
    while True:
        try:
            return read(env), malformed
        except SettingsError as e:
            blamed = e.variable if env.get(e.variable, "").strip() else _variable_at_fault(read, env, e)
            malformed[blamed] = str(e)
            del env[blamed]


def _variable_at_fault(
    read: Callable[[Mapping[str, str]], object], env: Mapping[str, str], refused: SettingsError
) -> str:
    """
    Find the variable that causes an error whose message names an unset variable, as for values that do not go together.

    Raises:
        SettingsError: If removing no single variable changes the error.
    """
    for name in env:
        try:
            read({other: value for other, value in env.items() if other != name})
        except SettingsError as e:
            if str(e) == str(refused):
                continue
        return name
    raise refused


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = directory / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as e:
        raise SettingsError(
            f"MISSION_CONTROL_DATA_DIR (or --data-dir): {directory} cannot be written to ({e.strerror}); "
            "choose a directory this user may write to"
        ) from e


def _directory(env: Mapping[str, str], name: str) -> Path | None:
    given = env.get(name, "").strip()
    if not given:
        return None
    directory = Path(given).expanduser().absolute()
    if not directory.is_dir():
        raise SettingsError(f"{name}: there is no directory {directory}; make it, or unset the variable")
    return directory


def _file(env: Mapping[str, str], name: str) -> Path | None:
    given = env.get(name, "").strip()
    if not given:
        return None
    path = Path(given).expanduser().absolute()
    if not path.is_file():
        raise SettingsError(f"{name}: there is no file {path}; make it, or unset the variable")
    return path


def _metrics_token(env: Mapping[str, str]) -> str | None:
    token = env.get(METRICS_TOKEN_VARIABLE, "").strip()
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise SettingsError(f"{METRICS_TOKEN_VARIABLE}: must have printable ASCII characters without spaces only")
    if 0 < len(token) < MIN_METRICS_TOKEN_LENGTH:
        raise SettingsError(
            f"{METRICS_TOKEN_VARIABLE}: must have at least {MIN_METRICS_TOKEN_LENGTH} characters, and has {len(token)}"
            "; openssl rand -hex 32 makes one"
        )
    return token or None


def _usage_retention(env: Mapping[str, str]) -> timedelta | None:
    text, least, most = env.get(RETENTION_VARIABLE, "").strip() or "0", LEAST_RETENTION_DAYS, LONGEST_RETENTION_DAYS
    days = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(most)) else -1
    if days != 0 and not least <= days <= most:
        raise SettingsError(f"{RETENTION_VARIABLE}: expected days from {least} to {most}, or 0 for ever, got {text!r}")
    return timedelta(days=days) if days else None


def _checked_url(url: str) -> str:
    scheme = url.partition(":")[0].partition("+")[0]
    if scheme not in ("sqlite", "postgres", "postgresql") or "://" not in url:
        # Text without a scheme may begin with a password, so it is not shown.
        got = f"one that starts with {url.partition(':')[0]!r}" if "://" in url else "something else"
        raise SettingsError(
            "DATABASE_URL (or --database-url): expected postgresql://user:password@host/database or sqlite:///path, "
            f"got {got}"
        )
    return url


def _load_or_generate_secrets(path: Path, env: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """
    Read or generate all secrets, and write generated ones to the file. The second result has the generated ones only.
    """
    kept = read_secrets_file(path)
    found, fresh = _resolved_secrets(env, kept)
    if fresh:
        write_secrets_file(path, kept | fresh)
    return found, fresh


def _resolved_secrets(env: Mapping[str, str], kept: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """
    All secrets: from the environment, the file or a generator, in this order; and the generated ones only.
    """
    found, fresh = {}, {}
    for name in SECRET_NAMES:
        given = env.get(name, "").strip()
        if given not in PLACEHOLDERS:
            found[name] = given
        elif name in kept:
            found[name] = kept[name]
        else:
            found[name] = fresh[name] = secrets.token_hex(32)
    # An interrupted rotation left the next secret in the file, and the database may use it already.
    pending = kept.get(NEXT_AUTH_SECRET) if env.get("AUTH_SECRET", "").strip() in PLACEHOLDERS else None
    if following := pending or env.get(NEXT_AUTH_SECRET, "").strip():
        found[NEXT_AUTH_SECRET] = following
    if len(found["LOCAL_AUTH_TOKEN"]) < MIN_LOCAL_TOKEN_LENGTH:
        raise SettingsError(
            f"LOCAL_AUTH_TOKEN: must have at least {MIN_LOCAL_TOKEN_LENGTH} characters, and has "
            f"{len(found['LOCAL_AUTH_TOKEN'])}; unset it to have one generated"
        )
    return found, fresh


def read_secrets_file(path: Path) -> dict[str, str]:
    """
    Read the generated secrets from a file; empty if it does not exist.

    Raises:
        SettingsError: If the file cannot be read.
    """
    try:
        text = path.read_text()
    except FileNotFoundError:
        return {}
    except OSError as e:
        raise SettingsError(f"MISSION_CONTROL_DATA_DIR (or --data-dir): {path} cannot be read ({e.strerror})") from e
    except UnicodeDecodeError as e:
        raise SettingsError(
            f"MISSION_CONTROL_DATA_DIR (or --data-dir): {path} is damaged; restore it, or remove it for new secrets"
        ) from e
    return parse_secrets(text)


def parse_secrets(text: str) -> dict[str, str]:
    """
    Parse the lines `NAME=value` of a secrets file.
    """
    lines = text.splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def save_auth_secret(settings: Settings, auth_secret: str, *, following: str | None = None) -> None:
    """
    Write `AUTH_SECRET` to the file of generated secrets, and with *following* the next secret of a rotation.
    """
    path = settings.data_dir / SECRETS_FILE
    kept = {name: value for name, value in read_secrets_file(path).items() if name != NEXT_AUTH_SECRET}
    write_secrets_file(path, kept | {"AUTH_SECRET": auth_secret} | ({NEXT_AUTH_SECRET: following} if following else {}))


def write_secrets_file(path: Path, values: Mapping[str, str]) -> None:
    """
    Write the secrets file atomically, readable for its owner only.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.writelines(f"{name}={value}\n" for name, value in values.items())
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    if os.name == "posix":  # other systems cannot open a directory
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _workload(env: Mapping[str, str]) -> WorkloadThresholds:
    told: dict[str, float] = {}
    for one in fields(WorkloadThresholds):
        variable = f"{WORKLOAD_PREFIX}{one.name.upper()}"
        if text := env.get(variable, "").strip():
            told[one.name] = _number(variable, text)
    try:
        return WorkloadThresholds(**told)  # type: ignore[arg-type]  # it validates the types
    except InvalidField as e:
        raise SettingsError(f"{WORKLOAD_PREFIX}{e.field.upper()}: {e.reason}") from e


def _number(variable: str, text: str) -> float:
    try:
        return int(text) if text.lstrip("+-").isdecimal() else float(text)
    except ValueError:
        raise SettingsError(f"{variable}: expected a number, and got {text!r}") from None


def _webhook_limit(env: Mapping[str, str]) -> int:
    text = env.get(WEBHOOK_LIMIT_VARIABLE, "").strip() or str(MEGABYTE)
    if not (re.fullmatch("[0-9]{1,12}", text) and 1 <= int(text) <= LARGEST_WEBHOOK_LIMIT):
        raise SettingsError(
            f"{WEBHOOK_LIMIT_VARIABLE}: expected the largest payload of a webhook in bytes, from 1 to "
            f"{LARGEST_WEBHOOK_LIMIT}, and got {text!r}"
        )
    return int(text)


def _subscriptions(env: Mapping[str, str]) -> dict[str, ProviderSubscription]:
    found = {
        each.lower(): ProviderSubscription("subscription", SUBSCRIBED_PROVIDERS_VARIABLE)
        for each in list_variable(env, SUBSCRIBED_PROVIDERS_VARIABLE)
    }
    for variable in sorted(env):
        named, told = SUBSCRIPTION_VARIABLE.fullmatch(variable), env[variable].strip().lower()
        if named is None or not told:
            continue
        provider = (named[1] or named[2]).lower().replace("_", "-")
        if told in NO_SUBSCRIPTION_VALUES:
            found.pop(provider, None)
        else:
            found[provider] = ProviderSubscription(told, variable)
    return dict(sorted(found.items()))


def _security(env: Mapping[str, str], fronting: NetworkSettings) -> SecurityHeaders:
    names = ("content_type_options", "frame_options", "referrer_policy", "permissions_policy")
    variables = ("X_CONTENT_TYPE_OPTIONS", "X_FRAME_OPTIONS", "REFERRER_POLICY", "PERMISSIONS_POLICY")
    given: dict[str, Any] = {
        name: _header_value(f"SECURITY_HEADER_{variable}", env[f"SECURITY_HEADER_{variable}"])
        for name, variable in zip(names, variables, strict=True)
        if f"SECURITY_HEADER_{variable}" in env
    }
    wanted = fronting.is_https if fronting.hsts is None else fronting.hsts
    hsts = "; ".join([HSTS_VALUE, *fronting.hsts_directives]) if wanted else None
    return SecurityHeaders(**given, strict_transport_security=hsts, hsts_anywhere=fronting.hsts is True)


def _header_value(name: str, value: str) -> str:
    if not all(" " <= character <= "~" for character in value):
        raise SettingsError(f"{name}: a header takes printable ASCII only")
    return value.strip()
