"""
Checks of the identity providers: OpenID Connect issuers, Google sign-in and proxy authentication.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from attrs import field

from mission_core.lazy_attrs import frozen
from mission_http.doctor.findings import Check, DoctorFinding
from mission_http.identity_provider_settings import (
    ALLOW_PRIVATE_OUTBOUND,
    PROXY_DEFAULT_ROLE,
    PROXY_HEADER,
    PROXY_TRUSTED_IPS,
    AuthMode,
    IdentityProviderSettings,
)
from mission_http.network_settings import NetworkSettings

IDENTITY: Final = Check("identity")
GOOGLE_CLIENT_VARIABLES: Final = ("GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET")
ISSUER_VARIABLES: Final = ("OIDC_ISSUER", "OIDC_JWKS_URL")
ALGORITHMS: Final = "OIDC_ALGORITHMS"


@frozen(kw_only=True)
class IdentityProvidersState:
    """
    The state of the identity providers, as the doctor inspected them.

    Args:
        keys: The number of keys that each issuer publishes, or the error that loading them met, by issuer name.
        issuer_mismatches: The mismatch, with advice, of each issuer whose own name differs from the configured one.
        algorithm_mismatches: The reason why no key of an issuer fits an allowed algorithm, by issuer name.
        client_id_missing: Whether Google's client secret is set without the client id.
    """

    identities: IdentityProviderSettings
    keys: Mapping[str, int | str]
    issuer_mismatches: Mapping[str, str] = field(factory=dict)
    algorithm_mismatches: Mapping[str, str] = field(factory=dict)
    client_id_missing: bool = False


def check_identity_providers(reached: IdentityProvidersState, fronting: NetworkSettings) -> Iterator[DoctorFinding]:
    """
    Check that issuers' signing keys can be loaded, that Google can redirect back, and that a proxy is trusted by its
    address.
    """
    identities = reached.identities
    yield from _check_mode(identities)
    for name, seen in reached.keys.items():
        yield _check_issuer(name, seen, reached.issuer_mismatches.get(name), reached.algorithm_mismatches.get(name))
    yield from _check_google(reached, fronting)
    yield from check_proxy_auth(identities)


def _check_issuer(name: str, keys: int | str, misnamed: str | None, unfit: str | None) -> DoctorFinding:
    if misnamed is not None:
        found, _, advice = misnamed.partition("; ")
        return IDENTITY.problem(name, f"{found}, so each of its tokens is refused", advice, ISSUER_VARIABLES[0])
    if isinstance(keys, str):
        told = f"its signing keys cannot be loaded ({keys}), so its tokens are refused"
        variables = f"{ISSUER_VARIABLES[0]} or {ISSUER_VARIABLES[1]} (GOOGLE_JWKS_URL, CLERK_*)"
        advice = f"allow connections to it, or correct {variables}"
        return IDENTITY.problem(name, told, advice, *ISSUER_VARIABLES)
    if unfit is not None:
        found = f"no key that it publishes fits {ALGORITHMS}, so each of its tokens is refused: {unfit}"
        return IDENTITY.problem(name, found, f"correct {ALGORITHMS}, or unset it", ALGORITHMS)
    return IDENTITY.ok(name, f"publishes {keys} key{'s' if keys > 1 else ''}")


def _check_mode(identities: IdentityProviderSettings) -> Iterator[DoctorFinding]:
    if identities.mode is AuthMode.LOCAL:
        yield IDENTITY.ok("AUTH_MODE", "users of the Boards API send LOCAL_AUTH_TOKEN")
    elif identities.issuer is not None and identities.issuer.audience is None and identities.issuer.secret is None:
        found = "every token of its issuer is accepted, also those meant for other services"
        advice = "set CLERK_AUDIENCE if the issuer serves other services too"
        yield IDENTITY.ok("AUTH_MODE", f"{found}; {advice}")
    else:
        yield IDENTITY.ok("AUTH_MODE", f"users of the Boards API send tokens of {identities.mode.value}")
    if identities.allow_private_outbound:
        found = "outgoing requests may go to servers in private networks that no variable names"
        yield IDENTITY.ok(f"{ALLOW_PRIVATE_OUTBOUND}=1", found)


def _check_google(reached: IdentityProvidersState, fronting: NetworkSettings) -> Iterator[DoctorFinding]:
    google = reached.identities.google
    if google is None and reached.client_id_missing:
        yield IDENTITY.problem(
            GOOGLE_CLIENT_VARIABLES[1],
            "is set without a client id, so Google sign-in is off",
            f"set {GOOGLE_CLIENT_VARIABLES[0]} too",
            GOOGLE_CLIENT_VARIABLES[0],
        )
    elif google is not None and google.client_secret is not None and fronting.base_url is None:
        found = "Google has no address to redirect browsers back to"
        yield IDENTITY.warning(
            GOOGLE_CLIENT_VARIABLES[1], found, "set MC_BASE_URL to the address that people use", "MC_BASE_URL"
        )
    elif google is not None and google.client_secret is None:
        yield IDENTITY.ok(
            GOOGLE_CLIENT_VARIABLES[0],
            f"Google ID tokens are accepted; set {GOOGLE_CLIENT_VARIABLES[1]} to enable the redirect from "
            "/api/auth/google",
        )
    elif google is not None:
        yield IDENTITY.ok(GOOGLE_CLIENT_VARIABLES[0], "Google sign-in is on")


def check_proxy_auth(identities: IdentityProviderSettings) -> Iterator[DoctorFinding]:
    """
    Check that the header of an authenticating proxy is trusted from that proxy's address only.
    """
    proxy = identities.proxy
    if proxy is None:
        return
    if not proxy.trusted:
        found = "names the user, but no proxy is trusted, so proxy authentication is off"
        advice = f"set {PROXY_TRUSTED_IPS} to the addresses of the proxy, or unset {PROXY_HEADER}"
        yield IDENTITY.warning(proxy.header, found, advice, PROXY_TRUSTED_IPS, PROXY_HEADER)
    elif any(each.prefixlen == 0 for each in proxy.trusted):
        found = "is trusted from every address, so any client can sign in as any user"
        yield IDENTITY.problem(
            proxy.header, found, f"set {PROXY_TRUSTED_IPS} to the addresses of the proxy only", PROXY_TRUSTED_IPS
        )
    elif proxy.default_role is None:
        told = f"is trusted from {', '.join(map(str, proxy.trusted))}; existing users only are signed in"
        yield IDENTITY.ok(proxy.header, f"{told} (see {PROXY_DEFAULT_ROLE})")
    else:
        told = f"is trusted from {', '.join(map(str, proxy.trusted))}; a new user becomes {proxy.default_role.value}"
        yield IDENTITY.ok(proxy.header, told)


def proxy_auth_warnings(identities: IdentityProviderSettings) -> list[str]:
    """
    The warnings about proxy authentication that a server logs at its start.
    """
    return [f"{each.looked_at}: {each.found}; {each.advice}" for each in check_proxy_auth(identities) if each.advice]
