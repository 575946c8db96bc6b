"""
The ways to the server: the names it is called by, the proxies before it, and what it tells browsers.
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
UNTOLD: Final = "tell doctor by --url (or MC_BASE_URL) which address people use, to have it checked"
UNBELIEVED: Final = "all clients seem to have the proxy's address and to come over http, so they share its rate limits"


def check_host_names(fronting: Fronting, listening: Listening) -> Iterator[Finding]:
    """
    The name that people use is allowed, and a server that others can reach does not answer to any other.
    """
    for each in fronting.allowed_hosts:
        if not can_match(each):
            advice = f"{HOSTS}: write a name alone, such as mission.example.com, *.example.com or 192.168.*"
            yield NAMES.warning(each, "is not a name, so no request is ever to it", advice, HOSTS)
    if fronting.any_host:
        yield NAMES.ok("MC_ALLOW_ANY_HOST", "requests may call the server by any name")
    elif not fronting.allowed_hosts:
        yield _without_names(fronting, listening)
    elif fronting.host is None:
        yield NAMES.ok(", ".join(fronting.allowed_hosts), f"are allowed; {UNTOLD}")
    elif not fronting.allows(fronting.host):
        found = f"is not among {HOSTS}, so whoever calls the server by it is refused with 403"
        advice = f"set {HOSTS}={','.join([*filter(can_match, fronting.allowed_hosts), fronting.host])}"
        yield NAMES.problem(fronting.host, found, advice, HOSTS)
    else:
        yield NAMES.ok(fronting.host, "is allowed")


def _without_names(fronting: Fronting, listening: Listening) -> Finding:
    if listening.wide or fronting.host not in (None, *LOOPBACK_NAMES):
        found = "others can reach it, and by any name, also one that a foreign site made for this address"
        advice = f"set {HOSTS}={fronting.host or 'mission.example.com'}, or MC_ALLOW_ANY_HOST=1 if that is meant"
        return NAMES.warning(fronting.base_url or listening.place, found, advice, HOSTS, "MC_ALLOW_ANY_HOST")
    return NAMES.ok(listening.place, "only this machine can reach it")


def check_proxies(fronting: Fronting, listening: Listening) -> Iterator[Finding]:
    """
    Whoever comes over https comes through a proxy, for the server itself speaks http; so it must believe the proxy.
    """
    trusted = ", ".join(map(str, fronting.trusted_proxies))
    everybody = any(each.prefixlen == 0 for each in fronting.trusted_proxies)
    url = fronting.base_url
    if everybody and listening.wide:
        found = "everybody is believed, so anybody may claim another's address"
        yield PROXIES.problem(
            trusted, found, "name the proxies alone in MC_TRUSTED_PROXIES (or TRUSTED_PROXIES)", *TRUSTED
        )
    elif url is None:
        yield PROXIES.ok(trusted or "no proxy", f"is believed; {UNTOLD}")
    elif not fronting.over_https:
        yield PROXIES.ok(url, "is plain http, which needs no proxy")
    elif not fronting.trusted_proxies:
        advice = "set MC_TRUSTED_PROXIES (or TRUSTED_PROXIES) to the address that the proxy comes from"
        yield PROXIES.problem(url, f"needs a proxy, and none is believed: {UNBELIEVED}", advice, *TRUSTED)
    elif not listening.wide and not _trusts_loopback(fronting):
        found = f"its proxy can only be on this machine, and {trusted} is not: {UNBELIEVED}"
        yield PROXIES.problem(url, found, "add 127.0.0.1 to MC_TRUSTED_PROXIES (or TRUSTED_PROXIES)", *TRUSTED)
    else:
        yield PROXIES.ok(url, f"a proxy at {trusted} is believed")


def _trusts_loopback(fronting: Fronting) -> bool:
    return any(address in network for network in fronting.trusted_proxies for address in LOOPBACK)


def check_cookies(fronting: Fronting) -> Iterator[Finding]:
    """
    Browsers keep the cookies that they are given, a secure one over https alone; and over https they are secure.
    """
    name, url = "MC_COOKIE_SECURE", fronting.base_url
    if fronting.cookie_secure and fronting.over_https is False:
        found = f"{name}=1 over plain http: browsers throw such cookies away, and nobody stays signed in"
        advice = f"put https in front, or unset {name}"
        # Some browsers make an exception for their own machine, others do not.
        level = COOKIES.warning if fronting.host in LOOPBACK_NAMES else COOKIES.problem
        yield level(str(url), found, advice, name)
    elif fronting.cookie_secure is False and fronting.over_https:
        found = f"{name}=0 over https: cookies of sessions are not bound to https, and go over http as well"
        yield COOKIES.warning(str(url), found, f"unset {name}, or set it to 1", name)
    elif fronting.cookie_secure and url is None:
        yield COOKIES.ok(f"{name}=1", f"needs https in front; {UNTOLD}")
    elif fronting.cookie_secure is None:
        yield COOKIES.ok(url or name, "each request tells by its scheme whether its cookies are secure")
    else:
        yield COOKIES.ok(url or f"{name}=0", "browsers keep them")


def check_hsts(fronting: Fronting) -> Iterator[Finding]:
    """
    Browsers are told to come over https alone only where they can.
    """
    name, url = "MC_ENABLE_HSTS", fronting.base_url
    if fronting.hsts and fronting.over_https is False:
        found = f"{name}=1 over plain http: browsers do not heed it there, and would lock people out if they did"
        yield HSTS.warning(str(url), found, f"put https in front, or unset {name}", name)
    elif fronting.hsts:
        below = ", also to all names below" if "includeSubDomains" in fronting.hsts_directives else ""
        told = f"browsers are told to come over https alone{below}"
        yield HSTS.ok(url or f"{name}=1", told if url else f"{told}; {UNTOLD}")
    elif fronting.hsts is None and fronting.over_https:
        yield HSTS.ok(
            str(url), "browsers that come over https are told to do so from now on; MC_DISABLE_HSTS=1 ends it"
        )
    else:
        yield HSTS.ok(name, "is off")


def check_other_sites(fronting: Fronting) -> Iterator[Finding]:
    """
    Pages of other sites may ask with their visitors' sessions only if nobody on the way can change such a page.
    """
    plain = [each for each in fronting.origins if each.startswith("http://") and not _is_here(each)]
    for each in plain:
        advice = "write its https address, or leave it out of CORS_ORIGINS"
        found = "comes over plain http, so whoever carries it can change it, and may then ask whatever its reader may"
        yield SITES.warning(each, found, advice, "CORS_ORIGINS")
    if not plain:
        named = ", ".join(fronting.origins)
        yield SITES.ok(named or "no other site", "may have its pages ask the server")


def _is_here(origin: str) -> bool:
    return host_of(urlsplit(origin)) in LOOPBACK_NAMES


def warnings_of(fronting: Fronting, listening: Listening) -> Iterator[str]:
    """
    What a server warns of at its start, each in one line that names what to set.
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
