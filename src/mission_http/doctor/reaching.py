"""
Checks of host names, trusted proxies, cookies, HSTS and cross-origin access.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from itertools import chain
from typing import Final
from urllib.parse import urlsplit

from mission_http.doctor.findings import Check, Finding, Level
from mission_http.doctor.port import Listening
from mission_http.fronting import LOOPBACK_NAMES, Fronting, can_match, host_of

NAMES: Final = Check("host names")
PROXIES: Final = Check("proxies")
COOKIES: Final = Check("cookies")
HSTS: Final = Check("https only")
SITES: Final = Check("other sites")

HOSTS: Final = "MC_ALLOWED_HOSTS"
TRUSTED: Final = ("MC_TRUSTED_PROXIES", "TRUSTED_PROXIES")
LOOPBACK: Final = tuple(map(ip_address, ("127.0.0.1", "::1")))
UNTOLD: Final = "pass doctor the address that people use with --url (or MC_BASE_URL) to have it checked"
UNBELIEVED: Final = "all clients appear with the proxy's address and plain http, so they share one rate limit"


def check_host_names(fronting: Fronting, listening: Listening) -> Iterator[Finding]:
    """
    Check that the host name in use is allowed, and that a server on the network restricts its host names.
    """
    for each in fronting.allowed_hosts:
        if not can_match(each):
            advice = f"{HOSTS}: write a name alone, such as mission.example.com, *.example.com or 192.168.*"
            yield NAMES.warning(each, "is not a host name, so it matches no request", advice, HOSTS)
    if fronting.any_host:
        yield NAMES.ok("MC_ALLOW_ANY_HOST", "every host name is allowed")
    elif not fronting.allowed_hosts:
        yield _without_names(fronting, listening)
    elif fronting.host is None:
        yield NAMES.ok(", ".join(fronting.allowed_hosts), f"are allowed; {UNTOLD}")
    elif not fronting.allows(fronting.host):
        found = f"is not in {HOSTS}, so requests to it are refused with 403"
        advice = f"set {HOSTS}={','.join([*filter(can_match, fronting.allowed_hosts), fronting.host])}"
        yield NAMES.problem(fronting.host, found, advice, HOSTS)
    else:
        yield NAMES.ok(fronting.host, "is allowed")


def _without_names(fronting: Fronting, listening: Listening) -> Finding:
    if listening.wide or fronting.host not in (None, *LOOPBACK_NAMES):
        found = "other machines can reach it under any host name, which allows DNS rebinding"
        advice = f"set {HOSTS}={fronting.host or 'mission.example.com'}, or MC_ALLOW_ANY_HOST=1 if that is intended"
        return NAMES.warning(fronting.base_url or listening.place, found, advice, HOSTS, "MC_ALLOW_ANY_HOST")
    return NAMES.ok(listening.place, "only this machine can reach it")


def check_proxies(fronting: Fronting, listening: Listening) -> Iterator[Finding]:
    """
    Check that the proxy that terminates https is trusted: the server itself speaks http only.
    """
    trusted = ", ".join(map(str, fronting.trusted_proxies))
    everybody = any(each.prefixlen == 0 for each in fronting.trusted_proxies)
    url = fronting.base_url
    if everybody and listening.wide:
        found = "every address is trusted, so any client can claim another client's address"
        yield PROXIES.problem(
            trusted, found, "name only the proxies in MC_TRUSTED_PROXIES (or TRUSTED_PROXIES)", *TRUSTED
        )
    elif url is None:
        yield PROXIES.ok(trusted or "no proxy", f"is trusted; {UNTOLD}")
    elif not fronting.over_https:
        yield PROXIES.ok(url, "is plain http, which needs no proxy")
    elif not fronting.trusted_proxies:
        advice = "set MC_TRUSTED_PROXIES (or TRUSTED_PROXIES) to the address of the proxy"
        yield PROXIES.problem(url, f"needs a proxy, and none is trusted: {UNBELIEVED}", advice, *TRUSTED)
    elif not listening.wide and not _trusts_loopback(fronting):
        found = f"its proxy can only be on this machine, and {trusted} does not include it: {UNBELIEVED}"
        yield PROXIES.problem(url, found, "add 127.0.0.1 to MC_TRUSTED_PROXIES (or TRUSTED_PROXIES)", *TRUSTED)
    else:
        yield PROXIES.ok(url, f"a proxy at {trusted} is trusted")


def _trusts_loopback(fronting: Fronting) -> bool:
    return any(address in network for network in fronting.trusted_proxies for address in LOOPBACK)


def check_cookies(fronting: Fronting) -> Iterator[Finding]:
    """
    Check that cookies have the Secure attribute over https and that browsers accept them.
    """
    name, url = "MC_COOKIE_SECURE", fronting.base_url
    if fronting.cookie_secure and fronting.over_https is False:
        found = f"{name}=1 over plain http: browsers reject such cookies, so nobody stays signed in"
        advice = f"serve it over https, or unset {name}"
        # Some browsers accept secure cookies over http from their own machine, others do not.
        level = COOKIES.warning if fronting.host in LOOPBACK_NAMES else COOKIES.problem
        yield level(str(url), found, advice, name)
    elif fronting.cookie_secure is False and fronting.over_https:
        found = f"{name}=0 over https: browsers send session cookies over plain http as well"
        yield COOKIES.warning(str(url), found, f"unset {name}, or set it to 1", name)
    elif fronting.cookie_secure and url is None:
        yield COOKIES.ok(f"{name}=1", f"needs https; {UNTOLD}")
    elif fronting.cookie_secure is None:
        yield COOKIES.ok(url or name, "cookies are secure for requests over https")
    else:
        yield COOKIES.ok(url or f"{name}=0", "browsers accept them")


def check_hsts(fronting: Fronting) -> Iterator[Finding]:
    """
    Check that HSTS is on only for a server that is reached over https.
    """
    name, url = "MC_ENABLE_HSTS", fronting.base_url
    if fronting.hsts and fronting.over_https is False:
        found = f"{name}=1 over plain http: browsers ignore it there"
        yield HSTS.warning(str(url), found, f"serve it over https, or unset {name}", name)
    elif fronting.hsts:
        below = " for this host and its subdomains" if "includeSubDomains" in fronting.hsts_directives else ""
        told = f"browsers are told to use https only{below}"
        yield HSTS.ok(url or f"{name}=1", told if url else f"{told}; {UNTOLD}")
    elif fronting.hsts is None and fronting.over_https:
        yield HSTS.ok(str(url), "HSTS is sent in responses over https; MC_DISABLE_HSTS=1 turns it off")
    else:
        yield HSTS.ok(name, "is off")


def check_other_sites(fronting: Fronting) -> Iterator[Finding]:
    """
    Check that every origin in `CORS_ORIGINS` uses https, as its pages may send requests with their visitors' sessions.
    """
    plain = [each for each in fronting.origins if each.startswith("http://") and not _is_here(each)]
    for each in plain:
        advice = "write its https address, or remove it from CORS_ORIGINS"
        found = "is plain http, so an attacker on the network can change its pages and use its visitors' sessions"
        yield SITES.warning(each, found, advice, "CORS_ORIGINS")
    if not plain:
        named = ", ".join(fronting.origins)
        yield SITES.ok(named or "no other site", "may send requests to the server from its pages")


def _is_here(origin: str) -> bool:
    return host_of(urlsplit(origin)) in LOOPBACK_NAMES


def warnings_of(fronting: Fronting, listening: Listening) -> Iterator[str]:
    """
    Yield the warnings that a server logs at its start, one line each.
    """
    checks = (
        check_host_names(fronting, listening),
        check_proxies(fronting, listening),
        check_cookies(fronting),
        check_hsts(fronting),
        check_other_sites(fronting),
    )
    for found in chain.from_iterable(checks):
        if found.level is not Level.OK:
            yield f"{found.looked_at}: {found.found}; {found.advice}"
