"""
Settings of identity providers: an OpenID Connect issuer or Clerk, Google, or an authenticating proxy.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final, Self
from urllib.parse import urlsplit

from attrs import field

from mission_core.accounts.identity_claims import ALGORITHMS
from mission_core.accounts.model import Role
from mission_core.lazy_attrs import frozen
from mission_http.environment import SettingsError, boolean_variable, comma_separated, list_variable
from mission_http.network_settings import LOOPBACK_NAMES, IpNetwork, host_of, is_in_networks, networks_variable

MAX_LEEWAY_SECONDS: Final = 300.0
ALLOW_PRIVATE_OUTBOUND: Final = "MC_ALLOW_PRIVATE_OUTBOUND"
PROXY_HEADER, PROXY_TRUSTED_IPS, PROXY_DEFAULT_ROLE = (
    "MC_PROXY_AUTH_HEADER", "MC_PROXY_AUTH_TRUSTED_IPS", "MC_PROXY_AUTH_DEFAULT_ROLE",
)  # fmt: skip
FORBIDDEN_PROXY_HEADERS: Final = frozenset({"authorization", "cookie", "host", "x-api-key", "x-agent-token"})
HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
DEFAULT_CLERK_API_URL: Final = "https://api.clerk.com"


class AuthMode(StrEnum):
    """
    The kind of bearer tokens that users of the Boards API send: the local token, or JWTs of Clerk or of an OIDC issuer.
    """

    LOCAL = "local"
    CLERK = "clerk"
    OIDC = "oidc"


@frozen(kw_only=True)
class OidcIssuerSettings:
    """
    An OpenID Connect issuer.

    Args:
        name: The issuer identifier (`iss` of its tokens). None accepts any, where the keys belong to one installation.
        audience: The accepted audiences (`aud`), separated by commas. None accepts any.
        keys_url: The URL of the signing keys (JWKS). None looks it up in the issuer's configuration document.
        secret: The bearer token for requests to *keys_url*.
        clients: Whether clients with their own tokens (client credentials) may become users.
        setting: The variable that sets *name*.
    """

    name: str | None
    audience: str | None
    keys_url: str | None
    secret: str | None = field(default=None, repr=False)
    algorithms: frozenset[str] = frozenset(ALGORITHMS)
    leeway: timedelta = timedelta(seconds=10)
    check_issued: bool = True
    clients: bool = False
    setting: str = "OIDC_ISSUER"

    @property
    def audiences(self) -> tuple[str, ...]:
        """
        The accepted audiences; empty accepts any.
        """
        return tuple(comma_separated(self.audience or ""))

    @property
    def log_name(self) -> str:
        """
        The name of the issuer in log lines and messages.
        """
        return self.name or self.keys_url or ""

    @property
    def urls(self) -> tuple[str, ...]:
        """
        The configured URLs of the issuer, which outbound requests may reach.
        """
        return tuple(filter(None, (self.name, self.keys_url)))


@frozen(kw_only=True)
class IssuerInspection:
    """
    The result of inspecting issuers over the network, by issuer.

    Args:
        keys: The number of keys that the issuer publishes, or the error when they were fetched.
        misnamed: The issuer's own identifier, with advice, if the settings have another one.
        unusable: The reason why none of the keys has an accepted algorithm, if so.
    """

    keys: dict[str, int | str] = field(factory=dict)
    misnamed: dict[str, str] = field(factory=dict)
    unusable: dict[str, str] = field(factory=dict)


@frozen(kw_only=True)
class ClerkApiSettings:
    """
    Clerk's backend API, which has the profiles of users who sign in with Clerk.

    Args:
        url: The base URL, with the version.
        secret: The secret key, which is sent to this URL only.
    """

    url: str
    secret: str = field(repr=False)


@frozen(kw_only=True)
class GoogleSettings:
    """
    Google sign-in: the OAuth client and Google's endpoints.
    """

    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    issuer: str = "https://accounts.google.com"
    keys_url: str = "https://www.googleapis.com/oauth2/v3/certs"
    authorize_url: str = "https://accounts.google.com/o/oauth2/v2/auth"
    token_url: str = "https://oauth2.googleapis.com/token"

    @property
    def issuers(self) -> tuple[str, ...]:
        """
        The issuer identifiers in Google's tokens, with and without scheme.
        """
        return self.issuer, self.issuer.partition("://")[2]

    @property
    def urls(self) -> tuple[str, ...]:
        """
        The URLs of Google, default or configured, which outbound requests may reach.
        """
        return self.keys_url, self.token_url


@frozen(kw_only=True)
class ProxyAuthSettings:
    """
    An authenticating proxy, which names the user in a header.

    Args:
        trusted: The networks from which the header is trusted; none if empty.
        default_role: The role of users who are created at their first request. None refuses unknown users.
    """

    header: str
    trusted: tuple[IpNetwork, ...] = ()
    default_role: Role | None = None

    def believes(self, peer: str) -> bool:
        """
        Whether the header is trusted from this peer.
        """
        return is_in_networks(peer, self.trusted)


@frozen(kw_only=True)
class IdentityProviderSettings:
    """
    The settings of all identity providers.

    Args:
        allow_private_outbound: Whether outbound requests may reach private networks at URLs that are not configured.
    """

    mode: AuthMode = AuthMode.LOCAL
    issuer: OidcIssuerSettings | None = None
    clerk: ClerkApiSettings | None = None
    google: GoogleSettings | None = None
    proxy: ProxyAuthSettings | None = None
    allow_private_outbound: bool = False

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """
        Read the settings from environment variables.

        Raises:
            SettingsError: If a value is malformed, or one that the mode needs is missing.
        """
        anywhere = boolean_variable(environment, ALLOW_PRIVATE_OUTBOUND)
        mode = _mode(environment)
        clerk = _clerk(environment, anywhere) if mode is AuthMode.CLERK else None
        return cls(
            mode=mode,
            issuer=None if mode is AuthMode.LOCAL else _issuer(environment, mode, clerk, anywhere),
            clerk=clerk,
            google=_google(environment, anywhere),
            proxy=_proxy(environment),
            allow_private_outbound=anywhere,
        )

    @property
    def urls(self) -> Iterator[str]:
        """
        The configured URLs of identity providers, which outbound requests may reach even in private networks.
        """
        for each in (self.issuer, self.google):
            if each is not None:
                yield from each.urls
        if self.clerk is not None:
            yield self.clerk.url

    @property
    def redacted_values(self) -> list[str]:
        """
        The secrets that are redacted in the log.
        """
        secrets = (self.clerk and self.clerk.secret, self.google and self.google.client_secret)
        return [each for each in secrets if each]


def _first_set(env: Mapping[str, str], *names: str) -> tuple[str, str]:
    """
    The name and the value of the first variable that is set.
    """
    name = next((name for name in names if env.get(name, "").strip()), names[0])
    return name, env.get(name, "").strip()


def _mode(env: Mapping[str, str]) -> AuthMode:
    name, said = _first_set(env, "AUTH_MODE")
    try:
        return AuthMode(said.lower() or "local")
    except ValueError:
        raise SettingsError(f"{name}: expected local, clerk or oidc, and got {said!r}") from None


def _url(name: str, value: str, anywhere: bool) -> str:
    """
    Check the URL of an identity provider: https, unless it is local or private networks are allowed.
    """
    try:
        split = urlsplit(value)
        sound = split.scheme in ("http", "https") and bool(split.hostname) and split.port != 0 and "@" not in value
    except ValueError:
        sound = False
    if not sound or not value.isprintable() or " " in value:
        raise SettingsError(f"{name}: expected a URL, such as https://issuer.example.com")
    if split.scheme == "http" and not anywhere and host_of(split) not in LOOPBACK_NAMES:
        told = "must be https, because others on the network could forge identities over http"
        raise SettingsError(f"{name}: {told}; set {ALLOW_PRIVATE_OUTBOUND}=1 too if it is in your own network")
    return value


def _clerk(env: Mapping[str, str], anywhere: bool) -> ClerkApiSettings | None:
    name, secret = _first_set(env, "CLERK_SECRET_KEY")
    if not secret:
        return None
    if not (secret.isascii() and secret.isprintable()) or " " in secret:
        raise SettingsError(f"{name}: expected a secret key of Clerk, such as sk_live_..., which is one word")
    name, api = _first_set(env, "CLERK_API_URL")
    api = _url(name, api or DEFAULT_CLERK_API_URL, anywhere).rstrip("/")
    return ClerkApiSettings(url=api if api.endswith("/v1") else f"{api}/v1", secret=secret)


def _issuer(
    env: Mapping[str, str], mode: AuthMode, clerk: ClerkApiSettings | None, anywhere: bool
) -> OidcIssuerSettings:
    prefixes = ("OIDC", "CLERK") if mode is AuthMode.OIDC else ("CLERK", "OIDC")

    def said(what: str) -> tuple[str, str]:
        return _first_set(env, *(f"{prefix}_{what}" for prefix in prefixes))

    name, issuer = said("ISSUER")
    (keys_name, keys), (audience_name, audience) = said("JWKS_URL"), said("AUDIENCE")
    secret = None  # sent to Clerk's own API only
    if mode is AuthMode.OIDC and not issuer:
        raise SettingsError(
            f"{name}: AUTH_MODE=oidc needs the issuer, as in iss of its tokens, such as https://issuer.example.com"
        )
    if audience and not comma_separated(audience):
        raise SettingsError(f"{audience_name}: has no audience; write one, or several such as web,cli")
    if mode is AuthMode.OIDC and not audience:
        raise SettingsError(
            "OIDC_AUDIENCE: AUTH_MODE=oidc needs the audience, as in aud of the tokens; otherwise tokens that the "
            "issuer made for other services would be accepted"
        )
    if not issuer and not keys:
        if clerk is None:
            told = "AUTH_MODE=clerk needs it, or CLERK_ISSUER, to fetch the signing keys"
            raise SettingsError(f"CLERK_SECRET_KEY: {told}")
        keys, secret = f"{clerk.url}/jwks", clerk.secret
    return OidcIssuerSettings(
        name=_url(name, issuer, anywhere) if issuer else None,
        audience=audience or None,
        keys_url=_url(keys_name, keys, anywhere) if keys else None,
        secret=secret,
        algorithms=_algorithms(env),
        leeway=_leeway(*said("LEEWAY")),
        check_issued=boolean_variable(env, said("VERIFY_IAT")[0]) if said("VERIFY_IAT")[1] else True,
        clients=boolean_variable(env, said("ALLOW_CLIENT_CREDENTIALS")[0]),
        setting=name if issuer else f"{prefixes[0]}_ISSUER",
    )


def _algorithms(env: Mapping[str, str]) -> frozenset[str]:
    name = "OIDC_ALGORITHMS"
    found = list_variable(env, name)
    for each in found:
        if each not in ALGORITHMS:
            told = f"{each!r} is not supported; the algorithms with public keys are {', '.join(ALGORITHMS)}"
            raise SettingsError(f"{name}: {told}")
    return frozenset(found or ALGORITHMS)


def _leeway(name: str, said: str) -> timedelta:
    try:
        seconds = float(said or 10)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MAX_LEEWAY_SECONDS:
        raise SettingsError(f"{name}: expected seconds from 0 to {MAX_LEEWAY_SECONDS:g}, and got {said!r}")
    return timedelta(seconds=seconds)


def _google(env: Mapping[str, str], anywhere: bool) -> GoogleSettings | None:
    _, client = _first_set(env, "GOOGLE_CLIENT_ID", "NEXT_PUBLIC_GOOGLE_CLIENT_ID")
    if not client:
        return None
    urls = {
        key: _url(name, said, anywhere)
        for key in ("issuer", "keys_url", "authorize_url", "token_url")
        for name, said in [_first_set(env, f"GOOGLE_{'JWKS_URL' if key == 'keys_url' else key.upper()}")]
        if said
    }
    return GoogleSettings(client_id=client, client_secret=_first_set(env, "GOOGLE_CLIENT_SECRET")[1] or None, **urls)


def _proxy(env: Mapping[str, str]) -> ProxyAuthSettings | None:
    header, role = env.get(PROXY_HEADER, "").strip(), env.get(PROXY_DEFAULT_ROLE, "").strip().lower()
    trusted = networks_variable(env, PROXY_TRUSTED_IPS)
    if role and role not in set(Role):
        raise SettingsError(f"{PROXY_DEFAULT_ROLE}: expected viewer, operator or admin, and got {role!r}")
    if not header:
        return None
    if not HEADER_NAME.fullmatch(header) or header.lower() in FORBIDDEN_PROXY_HEADERS:
        raise SettingsError(f"{PROXY_HEADER}: {header!r} cannot carry a user name; set a header such as X-Remote-User")
    return ProxyAuthSettings(header=header.lower(), trusted=trusted, default_role=Role(role) if role else None)
