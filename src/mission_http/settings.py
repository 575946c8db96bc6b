"""
The environment, read once into frozen classes.

A malformed value stops the start with a message naming the variable; unknown variables are ignored. What is secret
and not given is generated on first start and kept in the data directory.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from attrs import field, fields, frozen

from mission_core.errors import InvalidField
from mission_core.reports.workload import Thresholds
from mission_core.urls import url_of
from mission_http.connection_limits import ConnectionLimits
from mission_http.environment import SettingsError as SettingsError
from mission_http.environment import flag as flag
from mission_http.environment import listed
from mission_http.first_admin import FirstAdmin
from mission_http.fronting import Fronting
from mission_http.identities import AuthMode, Identities
from mission_http.limiting import Limiting
from mission_http.logs.settings import Logs
from mission_http.platform.response_headers import SecurityHeaders

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
LEAST_LOCAL_TOKEN: Final = 50
MEGABYTE: Final = 1024 * 1024
SETUP_CODE_LENGTH: Final = 16
GENERATED: Final = ".auto-generated"
NEXT_SECRET: Final = "AUTH_SECRET_NEXT"
SECRETS: Final = ("API_KEY", "AUTH_SECRET", "LOCAL_AUTH_TOKEN")
HSTS: Final = "max-age=63072000"
T = TypeVar("T")


WORKLOAD: Final = "MC_WORKLOAD_"
WEBHOOK_LIMIT: Final = "WEBHOOK_MAX_PAYLOAD_BYTES"
LARGEST_WEBHOOK_LIMIT: Final = 100 * MEGABYTE
SUBSCRIBED: Final = "MC_SUBSCRIBED_PROVIDERS"
SUBSCRIPTION: Final = re.compile(r"MC_(\w+)_SUBSCRIPTION(?:_TYPE)?|(?!MC_)(\w+)_SUBSCRIPTION_TYPE")
NO_SUBSCRIPTION: Final = frozenset({"none", "no", "false", "free", "unknown", "api_key", "apikey"})


@frozen
class Subscription:
    """
    The plan a provider is paid by, and which variable says so.
    """

    kind: str
    variable: str


@frozen(kw_only=True)
class Settings:
    """
    Everything the server is told from outside.
    """

    data_dir: Path
    database_url: str
    api_key: str = field(repr=False)
    auth_secret: str = field(repr=False)
    local_auth_token: str = field(repr=False)
    next_auth_secret: str | None = field(default=None, repr=False)
    """The secret that a rotation puts in the place of `auth_secret`, as long as it is not known to have ended."""
    coordinator: str | None = None
    soul_templates: Path | None = None
    first_admin: FirstAdmin = FirstAdmin()
    fronting: Fronting = Fronting()
    identities: Identities = Identities()
    limiting: Limiting = Limiting()
    connections: ConnectionLimits = ConnectionLimits()
    security: SecurityHeaders = SecurityHeaders()
    logs: Logs = Logs()
    workload: Thresholds = Thresholds()
    subscriptions: Mapping[str, Subscription] = field(factory=dict)
    """The plans that providers of models are paid by, by the provider's name."""
    webhook_max_payload_bytes: int = MEGABYTE
    """How much is taken in by a webhook at once."""
    given: frozenset[str] = frozenset()
    """The secrets that the environment gave; the others were generated."""
    fresh: frozenset[str] = field(default=frozenset(), eq=False)
    """The secrets that were generated just now; the next start has the same settings, and none."""

    @property
    def confidential(self) -> list[str]:
        """
        What nobody may read in the log.
        """
        urls = [self.database_url, self.limiting.redis.url if self.limiting.redis else ""]
        passwords = [password for url in urls if (password := _password_in(url))]
        kept = [self.api_key, self.auth_secret, self.local_auth_token, self.setup_code, self.first_admin.password]
        following = [self.next_auth_secret] if self.next_auth_secret else []
        return [*kept, *following, *self.identities.confidential, *passwords, *map(unquote, passwords)]

    @property
    def credentials(self) -> dict[str, str]:
        """
        What a person or a program gets in with, by name.
        """
        if self.identities.mode is not AuthMode.LOCAL:
            return {"API_KEY": self.api_key}
        return {"API_KEY": self.api_key, "LOCAL_AUTH_TOKEN": self.local_auth_token}

    def key_for(self, purpose: str) -> bytes:
        """
        A key of 32 bytes for one purpose only.
        """
        return derived_key(self.auth_secret, purpose)

    @property
    def setup_code(self) -> str:
        """
        What the first admin may be made with from anywhere. It is the same in all processes under one `AUTH_SECRET`,
        and opens nothing once there is an admin.
        """
        return self.key_for("setup")[:SETUP_CODE_LENGTH].hex()

    @property
    def setup_is_free_here(self) -> bool:
        """
        Whether the first admin may be made without the code by who seems to be at this machine: as everybody does who
        comes through a proxy on it that does not tell, so not if anything set tells of a proxy.
        """
        return self.fronting.for_this_machine and self.identities.proxy is None


def settings_from(
    environment: Mapping[str, str] | None = None,
    *,
    data_dir: Path | None = None,
    database_url: str | None = None,
    in_use: bool = True,
) -> Settings:
    """
    The settings of this environment, with what the command line says instead.

    Args:
        in_use: Whether the data directory is made, and the secrets in it read and kept. No file is touched without.

    Raises:
        SettingsError: If a value is malformed or the data directory cannot be used.
    """
    env = os.environ if environment is None else environment
    directory = (data_dir or Path(env.get("MISSION_CONTROL_DATA_DIR") or ".data")).expanduser().absolute()
    url = database_url or env.get("DATABASE_URL") or ""
    if in_use:
        _make_usable(directory)
        secrets_kept, fresh = _kept_or_made(directory / GENERATED, env)
    else:
        secrets_kept, fresh = _secrets(env, {})
    fronting = Fronting.of(env)
    return Settings(
        data_dir=directory,
        database_url=_checked_url(url) if url else own_database(directory),
        api_key=secrets_kept["API_KEY"],
        auth_secret=secrets_kept["AUTH_SECRET"],
        local_auth_token=secrets_kept["LOCAL_AUTH_TOKEN"],
        next_auth_secret=secrets_kept.get(NEXT_SECRET),
        coordinator=env.get("MC_COORDINATOR_AGENT", "").strip() or None,
        soul_templates=_directory(env, "MC_SOUL_TEMPLATES_DIR"),
        fronting=fronting,
        identities=Identities.of(env),
        limiting=Limiting.of(env),
        connections=ConnectionLimits.of(env),
        security=_security(env, fronting),
        logs=Logs.of(env),
        first_admin=FirstAdmin.of(env),
        workload=_workload(env),
        subscriptions=_subscriptions(env),
        webhook_max_payload_bytes=_webhook_limit(env),
        fresh=frozenset(fresh),
        given=frozenset(name for name in SECRETS if env.get(name, "").strip() not in PLACEHOLDERS),
    )


def _password_in(url: str) -> str:
    try:
        split = urlsplit(url)
        return split.password or dict(parse_qsl(split.query)).get("password", "")
    except ValueError:  # whoever opens it will say what is wrong with it
        return ""


def own_database(directory: Path) -> str:
    """
    The database in the data directory, which is used where no other is named.
    """
    return url_of(str(directory / "mission-control.db"))


def derived_key(auth_secret: str, purpose: str) -> bytes:
    """
    A key of 32 bytes for one purpose only: HMAC-SHA256 of the purpose under `AUTH_SECRET`.
    """
    return hmac.digest(auth_secret.encode(), purpose.encode(), "sha256")


def as_far_as_readable(
    read: Callable[[Mapping[str, str]], T], environment: Mapping[str, str]
) -> tuple[T, dict[str, str]]:
    """
    What *read* makes of an environment, as if no malformed value were set, and what it says about each of these, by
    variable.
    """
    env, malformed = dict(environment), dict[str, str]()
    while True:
        try:
            return read(env), malformed
        except SettingsError as e:
            blamed = e.variable if env.get(e.variable, "").strip() else _blamed(read, env, e)
            malformed[blamed] = str(e)
            del env[blamed]


def _blamed(read: Callable[[Mapping[str, str]], object], env: Mapping[str, str], refused: SettingsError) -> str:
    """
    The variable without which it would not be refused like this, for what does not fit together may be told of one
    that is not set.

    Raises:
        SettingsError: If there is none.
    """
    for name in env:
        try:
            read({other: value for other, value in env.items() if other != name})
        except SettingsError as e:
            if str(e) == str(refused):
                continue
        return name
    raise refused


def _make_usable(directory: Path) -> None:
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


def _checked_url(url: str) -> str:
    scheme = url.partition(":")[0].partition("+")[0]
    if scheme not in ("sqlite", "postgres", "postgresql") or "://" not in url:
        # What has no scheme may begin with anything, a password too.
        got = f"one that starts with {url.partition(':')[0]!r}" if "://" in url else "something else"
        raise SettingsError(
            "DATABASE_URL (or --database-url): expected postgresql://user:password@host/database or sqlite:///path, "
            f"got {got}"
        )
    return url


def _kept_or_made(path: Path, env: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """
    The secrets, of which those that are fresh are kept; and the fresh ones alone.
    """
    kept = kept_secrets(path)
    found, fresh = _secrets(env, kept)
    if fresh:
        keep_secrets(path, kept | fresh)
    return found, fresh


def _secrets(env: Mapping[str, str], kept: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """
    The secrets: from the environment, else as they were kept, else fresh ones; and the fresh ones alone.
    """
    found, fresh = {}, {}
    for name in SECRETS:
        given = env.get(name, "").strip()
        if given not in PLACEHOLDERS:
            found[name] = given
        elif name in kept:
            found[name] = kept[name]
        else:
            found[name] = fresh[name] = secrets.token_hex(32)
    # A rotation that did not end kept the next secret beside the present one, and it may be in force already.
    pending = kept.get(NEXT_SECRET) if env.get("AUTH_SECRET", "").strip() in PLACEHOLDERS else None
    if following := pending or env.get(NEXT_SECRET, "").strip():
        found[NEXT_SECRET] = following
    if len(found["LOCAL_AUTH_TOKEN"]) < LEAST_LOCAL_TOKEN:
        raise SettingsError(
            f"LOCAL_AUTH_TOKEN: must have at least {LEAST_LOCAL_TOKEN} characters, and has "
            f"{len(found['LOCAL_AUTH_TOKEN'])}; unset it to have one generated"
        )
    return found, fresh


def kept_secrets(path: Path) -> dict[str, str]:
    """
    The secrets in a file; none if there is no such file.

    Raises:
        SettingsError: If it cannot be read.
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
    return secrets_in(text)


def secrets_in(text: str) -> dict[str, str]:
    """
    The secrets in what such a file says.
    """
    lines = text.splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def keep_secret(settings: Settings, auth_secret: str, *, following: str | None = None) -> None:
    """
    Keep another `AUTH_SECRET` among the generated secrets, and the one that a rotation shall put in its place.
    """
    path = settings.data_dir / GENERATED
    kept = {name: value for name, value in kept_secrets(path).items() if name != NEXT_SECRET}
    keep_secrets(path, kept | {"AUTH_SECRET": auth_secret} | ({NEXT_SECRET: following} if following else {}))


def keep_secrets(path: Path, values: Mapping[str, str]) -> None:
    """
    Write the secrets so that a reader sees all of them or none, and nobody else sees any.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.writelines(f"{name}={value}\n" for name, value in values.items())
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    if os.name == "posix":  # elsewhere a directory cannot be opened
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _workload(env: Mapping[str, str]) -> Thresholds:
    told: dict[str, float] = {}
    for one in fields(Thresholds):
        variable = f"{WORKLOAD}{one.name.upper()}"
        if text := env.get(variable, "").strip():
            told[one.name] = _number(variable, text)
    try:
        return Thresholds(**told)  # type: ignore[arg-type]  # it checks whether they are whole
    except InvalidField as e:
        raise SettingsError(f"{WORKLOAD}{e.field.upper()}: {e.reason}") from e


def _number(variable: str, text: str) -> float:
    try:
        return int(text) if text.lstrip("+-").isdecimal() else float(text)
    except ValueError:
        raise SettingsError(f"{variable}: expected a number, and got {text!r}") from None


def _webhook_limit(env: Mapping[str, str]) -> int:
    text = env.get(WEBHOOK_LIMIT, "").strip() or str(MEGABYTE)
    if not (re.fullmatch("[0-9]{1,12}", text) and 1 <= int(text) <= LARGEST_WEBHOOK_LIMIT):
        raise SettingsError(
            f"{WEBHOOK_LIMIT}: expected how many bytes a webhook takes at most, from 1 to {LARGEST_WEBHOOK_LIMIT}, "
            f"and got {text!r}"
        )
    return int(text)


def _subscriptions(env: Mapping[str, str]) -> dict[str, Subscription]:
    found = {each.lower(): Subscription("subscription", SUBSCRIBED) for each in listed(env, SUBSCRIBED)}
    for variable in sorted(env):
        named, told = SUBSCRIPTION.fullmatch(variable), env[variable].strip().lower()
        if named is None or not told:
            continue
        provider = (named[1] or named[2]).lower().replace("_", "-")
        if told in NO_SUBSCRIPTION:
            found.pop(provider, None)
        else:
            found[provider] = Subscription(told, variable)
    return dict(sorted(found.items()))


def _security(env: Mapping[str, str], fronting: Fronting) -> SecurityHeaders:
    names = ("content_type_options", "frame_options", "referrer_policy", "permissions_policy")
    variables = ("X_CONTENT_TYPE_OPTIONS", "X_FRAME_OPTIONS", "REFERRER_POLICY", "PERMISSIONS_POLICY")
    given: dict[str, Any] = {
        name: _header_value(f"SECURITY_HEADER_{variable}", env[f"SECURITY_HEADER_{variable}"])
        for name, variable in zip(names, variables, strict=True)
        if f"SECURITY_HEADER_{variable}" in env
    }
    wanted = fronting.over_https if fronting.hsts is None else fronting.hsts
    hsts = "; ".join([HSTS, *fronting.hsts_directives]) if wanted else None
    return SecurityHeaders(**given, strict_transport_security=hsts, hsts_anywhere=fronting.hsts is True)


def _header_value(name: str, value: str) -> str:
    if not all(" " <= character <= "~" for character in value):
        raise SettingsError(f"{name}: a header takes printable ASCII only")
    return value.strip()
