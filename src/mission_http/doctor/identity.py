"""
Who else may say who somebody is: can they be asked, and are they believed only where they should be?
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from attrs import field, frozen

from mission_http.doctor.findings import Check, Finding
from mission_http.fronting import Fronting
from mission_http.identities import (
    ANYWHERE,
    PROXY_HEADER,
    PROXY_ROLE,
    PROXY_TRUSTED,
    AuthMode,
    Identities,
)

IDENTITY: Final = Check("identity")
CLIENT: Final = ("GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET")
ISSUER: Final = ("OIDC_ISSUER", "OIDC_JWKS_URL")
ALGORITHMS: Final = "OIDC_ALGORITHMS"


@frozen(kw_only=True)
class Reached:
    """
    What there is to see of those who vouch for people.

    Args:
        keys: How many keys each issuer publishes, or what keeps them from being had, by its name.
        misnamed: What an issuer calls itself, and what to set, where the settings call it otherwise.
        unfit: Why none of an issuer's keys fits an algorithm that is allowed, where that is so.
        secret_alone: Whether Google's client secret is there without the client id.
        mode_refused: Whether `AUTH_MODE` cannot be used as it is set, so that nobody knows who comes how.
    """

    identities: Identities
    keys: Mapping[str, int | str]
    misnamed: Mapping[str, str] = field(factory=dict)
    unfit: Mapping[str, str] = field(factory=dict)
    secret_alone: bool = False
    mode_refused: bool = False


def check_identities(reached: Reached, fronting: Fronting) -> Iterator[Finding]:
    """
    The keys that tokens are checked with can be had, a browser can come back from Google, and a proxy is believed by
    its address.
    """
    identities = reached.identities
    if not reached.mode_refused:
        yield from _check_mode(identities)
    for name, seen in reached.keys.items():
        yield _check_issuer(name, seen, reached.misnamed.get(name), reached.unfit.get(name))
    yield from _check_google(reached, fronting)
    yield from check_proxy_auth(identities)


def _check_issuer(name: str, keys: int | str, misnamed: str | None, unfit: str | None) -> Finding:
    if misnamed is not None:
        found, _, advice = misnamed.partition("; ")
        return IDENTITY.problem(name, f"{found}, so each of its tokens is refused", advice, ISSUER[0])
    if isinstance(keys, str):
        told = f"its keys cannot be had ({keys}), so nobody is let in by its word"
        advice = f"open the way to it, or correct {ISSUER[0]} or {ISSUER[1]} (GOOGLE_JWKS_URL, CLERK_*)"
        return IDENTITY.problem(name, told, advice, *ISSUER)
    if unfit is not None:
        found = f"no key that it publishes fits {ALGORITHMS}, so each of its tokens is refused: {unfit}"
        return IDENTITY.problem(name, found, f"correct {ALGORITHMS}, or unset it", ALGORITHMS)
    return IDENTITY.ok(name, f"publishes {keys} key{'s' if keys > 1 else ''}")


def _check_mode(identities: Identities) -> Iterator[Finding]:
    if identities.mode is AuthMode.LOCAL:
        yield IDENTITY.ok("AUTH_MODE", "people come to the Boards API with LOCAL_AUTH_TOKEN")
    elif identities.issuer is not None and identities.issuer.audience is None and identities.issuer.secret is None:
        found = "whatever its issuer signs is believed, also what is meant for other services"
        advice = "set CLERK_AUDIENCE if the issuer serves others, too"
        yield IDENTITY.ok("AUTH_MODE", f"{found}; {advice}")
    else:
        yield IDENTITY.ok("AUTH_MODE", f"people come to the Boards API with tokens of {identities.mode.value}")
    if identities.anywhere:
        found = "other servers may be asked that are in private networks and that no variable names"
        yield IDENTITY.ok(f"{ANYWHERE}=1", found)


def _check_google(reached: Reached, fronting: Fronting) -> Iterator[Finding]:
    google = reached.identities.google
    if google is None and reached.secret_alone:
        yield IDENTITY.problem(
            CLIENT[1], "is set without a client id, so nobody signs in by Google", f"set {CLIENT[0]}, too", CLIENT[0]
        )
    elif google is not None and google.client_secret is not None and fronting.base_url is None:
        found = "browsers that sign in by Google have no address to come back to"
        yield IDENTITY.warning(CLIENT[1], found, "set MC_BASE_URL to the address that people use", "MC_BASE_URL")
    elif google is not None and google.client_secret is None:
        yield IDENTITY.ok(CLIENT[0], f"ID tokens of Google are taken; set {CLIENT[1]} for the way by /api/auth/google")
    elif google is not None:
        yield IDENTITY.ok(CLIENT[0], "people sign in by Google")


def check_proxy_auth(identities: Identities) -> Iterator[Finding]:
    """
    A proxy that names people is believed by its address, and by that alone.
    """
    proxy = identities.proxy
    if proxy is None:
        return
    if not proxy.trusted:
        found = "says who somebody is, and nobody is believed, so it is off"
        advice = f"set {PROXY_TRUSTED} to the addresses that the proxy comes from, or unset {PROXY_HEADER}"
        yield IDENTITY.warning(proxy.header, found, advice, PROXY_TRUSTED, PROXY_HEADER)
    elif any(each.prefixlen == 0 for each in proxy.trusted):
        found = "is believed whoever sends it, so anybody may be anybody"
        yield IDENTITY.problem(proxy.header, found, f"name the proxy alone in {PROXY_TRUSTED}", PROXY_TRUSTED)
    elif proxy.default_role is None:
        told = f"is believed from {', '.join(map(str, proxy.trusted))}; only who is a user already is let in"
        yield IDENTITY.ok(proxy.header, f"{told} (see {PROXY_ROLE})")
    else:
        told = f"is believed from {', '.join(map(str, proxy.trusted))}; who is new becomes {proxy.default_role.value}"
        yield IDENTITY.ok(proxy.header, told)


def warnings_of(identities: Identities) -> list[str]:
    """
    What a start says about it.
    """
    return [f"{each.looked_at}: {each.found}; {each.advice}" for each in check_proxy_auth(identities) if each.advice]
