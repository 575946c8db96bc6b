"""
Checks of host names, trusted proxies, cookies, HSTS and cross-origin access.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from itertools import chain
from typing import Final
from urllib.parse import urlsplit

from mission_http.doctor.findings import Check, DoctorFinding, FindingLevel
from mission_http.doctor.listen_address import ListenAddressState
from mission_http.network_settings import LOOPBACK_NAMES, NetworkSettings, host_of, is_host_pattern

HOST_NAMES: Final = Check("host names")
PROXIES: Final = Check("proxies")
COOKIES: Final = Check("cookies")
HSTS: Final = Check("https only")
CORS: Final = Check("other sites")

HOSTS_VARIABLE: Final = "MC_ALLOWED_HOSTS"
PROXY_VARIABLES: Final = ("MC_TRUSTED_PROXIES", "TRUSTED_PROXIES")
LOOPBACK: Final = tuple(map(ip_address, ("127.0.0.1", "::1")))
URL_UNKNOWN: Final = "pass doctor the address that people use with --url (or MC_BASE_URL) to have it checked"
PROXY_NOT_TRUSTED: Final = "all clients appear with the proxy's address and plain http, so they share one rate limit"


def check_host_names(fronting: NetworkSettings, listening: ListenAddressState) -> Iterator[DoctorFinding]:
    """
    Check that the host name in use is allowed, and that a server on the network restricts its host names.
    """
    for each in fronting.allowed_hosts:
        if not is_host_pattern(each):
            advice = f"{HOSTS_VARIABLE}: write a name alone, such as mission.example.com, *.example.com or 192.168.*"
            yield HOST_NAMES.warning(each, "is not a host name, so it matches no request", advice, HOSTS_VARIABLE)
    if fronting.any_host:
        yield HOST_NAMES.ok("MC_ALLOW_ANY_HOST", "every host name is allowed")
    elif not fronting.allowed_hosts:
        yield _check_unrestricted_hosts(fronting, listening)
    elif fronting.host is None:
        yield HOST_NAMES.ok(", ".join(fronting.allowed_hosts), f"are allowed; {URL_UNKNOWN}")
    elif not fronting.allows(fronting.host):
        found = f"is not in {HOSTS_VARIABLE}, so requests to it are refused with 403"
        advice = f"set {HOSTS_VARIABLE}={','.join([*filter(is_host_pattern, fronting.allowed_hosts), fronting.host])}"
        yield HOST_NAMES.problem(fronting.host, found, advice, HOSTS_VARIABLE)
    else:
        yield HOST_NAMES.ok(fronting.host, "is allowed")


def _check_unrestricted_hosts(fronting: NetworkSettings, listening: ListenAddressState) -> DoctorFinding:
    if listening.beyond_loopback or fronting.host not in (None, *LOOPBACK_NAMES):
        found = "other machines can reach it under any host name, which allows DNS rebinding"
        advice = (
            f"set {HOSTS_VARIABLE}={fronting.host or 'mission.example.com'}, or MC_ALLOW_ANY_HOST=1 if that is intended"
        )
        return HOST_NAMES.warning(
            fronting.base_url or listening.address, found, advice, HOSTS_VARIABLE, "MC_ALLOW_ANY_HOST"
        )
    return HOST_NAMES.ok(listening.address, "only this machine can reach it")


def check_proxies(fronting: NetworkSettings, listening: ListenAddressState) -> Iterator[DoctorFinding]:
    """
    Check that the proxy that terminates https is trusted: the server itself speaks http only.
    """
    trusted = ", ".join(map(str, fronting.trusted_proxies))
    everybody = any(each.prefixlen == 0 for each in fronting.trusted_proxies)
    url = fronting.base_url
    if everybody and listening.beyond_loopback:
        found = "every address is trusted, so any client can claim another client's address"
        yield PROXIES.problem(
            trusted, found, "name only the proxies in MC_TRUSTED_PROXIES (or TRUSTED_PROXIES)", *PROXY_VARIABLES
        )
    elif url is None:
        yield PROXIES.ok(trusted or "no proxy", f"is trusted; {URL_UNKNOWN}")
    elif not fronting.is_https:
        yield PROXIES.ok(url, "is plain http, which needs no proxy")
    elif not fronting.trusted_proxies:
        advice = "set MC_TRUSTED_PROXIES (or TRUSTED_PROXIES) to the address of the proxy"
        yield PROXIES.problem(url, f"needs a proxy, and none is trusted: {PROXY_NOT_TRUSTED}", advice, *PROXY_VARIABLES)
    elif not listening.beyond_loopback and not _trusts_loopback(fronting):
        found = f"its proxy can only be on this machine, and {trusted} does not include it: {PROXY_NOT_TRUSTED}"
        yield PROXIES.problem(url, found, "add 127.0.0.1 to MC_TRUSTED_PROXIES (or TRUSTED_PROXIES)", *PROXY_VARIABLES)
    else:
        yield PROXIES.ok(url, f"a proxy at {trusted} is trusted")


def _trusts_loopback(fronting: NetworkSettings) -> bool:
    return any(address in network for network in fronting.trusted_proxies for address in LOOPBACK)


def check_cookies(fronting: NetworkSettings) -> Iterator[DoctorFinding]:
    """
    Check that cookies have the Secure attribute over https and that browsers accept them.
    """
    name, url = "MC_COOKIE_SECURE", fronting.base_url
    if fronting.cookie_secure and fronting.is_https is False:
        found = f"{name}=1 over plain http: browsers reject such cookies, so nobody stays signed in"
        advice = f"serve it over https, or unset {name}"
        # Some browsers accept secure cookies over http from their own machine, others do not.
        level = COOKIES.warning if fronting.host in LOOPBACK_NAMES else COOKIES.problem
        yield level(str(url), found, advice, name)
    elif fronting.cookie_secure is False and fronting.is_https:
        found = f"{name}=0 over https: browsers send session cookies over plain http as well"
        yield COOKIES.warning(str(url), found, f"unset {name}, or set it to 1", name)
    elif fronting.cookie_secure and url is None:
        yield COOKIES.ok(f"{name}=1", f"needs https; {URL_UNKNOWN}")
    elif fronting.cookie_secure is None:
        yield COOKIES.ok(url or name, "cookies are secure for requests over https")
    else:
        yield COOKIES.ok(url or f"{name}=0", "browsers accept them")


def check_hsts(fronting: NetworkSettings) -> Iterator[DoctorFinding]:
    """
    Check that HSTS is on only for a server that is reached over https.
    """
    name, url = "MC_ENABLE_HSTS", fronting.base_url
    if fronting.hsts and fronting.is_https is False:
        found = f"{name}=1 over plain http: browsers ignore it there"
        yield HSTS.warning(str(url), found, f"serve it over https, or unset {name}", name)
    elif fronting.hsts:
        below = " for this host and its subdomains" if "includeSubDomains" in fronting.hsts_directives else ""
        told = f"browsers are told to use https only{below}"
        yield HSTS.ok(url or f"{name}=1", told if url else f"{told}; {URL_UNKNOWN}")
    elif fronting.hsts is None and fronting.is_https:
        yield HSTS.ok(str(url), "HSTS is sent in responses over https; MC_DISABLE_HSTS=1 turns it off")
    else:
        yield HSTS.ok(name, "is off")


def check_cors_origins(fronting: NetworkSettings) -> Iterator[DoctorFinding]:
    """
    Check that every origin in `CORS_ORIGINS` uses https, as its pages may send requests with their visitors' sessions.
    """
    plain = [each for each in fronting.origins if each.startswith("http://") and not _is_loopback_origin(each)]
    for each in plain:
        advice = "write its https address, or remove it from CORS_ORIGINS"
        found = "is plain http, so an attacker on the network can change its pages and use its visitors' sessions"
        yield CORS.warning(each, found, advice, "CORS_ORIGINS")
    if not plain:
        named = ", ".join(fronting.origins)
        yield CORS.ok(named or "no other site", "may send requests to the server from its pages")


def _is_loopback_origin(origin: str) -> bool:
    return host_of(urlsplit(origin)) in LOOPBACK_NAMES


def startup_warnings(fronting: NetworkSettings, listening: ListenAddressState) -> Iterator[str]:
    """
    Yield the warnings that a server logs at its start, one line each.
    """
    checks = (
        check_host_names(fronting, listening),
        check_proxies(fronting, listening),
        check_cookies(fronting),
        check_hsts(fronting),
        check_cors_origins(fronting),
    )
    for found in chain.from_iterable(checks):
        if found.level is not FindingLevel.OK:
            yield f"{found.looked_at}: {found.found}; {found.advice}"
