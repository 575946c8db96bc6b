"""
How the server is reached: under which names, through which proxies, with what cookies.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final, Self
from urllib.parse import SplitResult, unquote, urlsplit

from attrs import frozen

from mission_http.environment import SettingsError, either, flag, listed

Network = IPv4Network | IPv6Network

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
PATTERN: Final = re.compile(r"(\*\.)?[^\s/:*\[\]]+|[^\s/:*]+\.\*|[0-9a-f]*:[0-9a-f:.]*")
"""Names, `*.` and a name, the beginning of an address and `.*`, IPv6 addresses."""

IN_HEADER: Final = re.compile(r"(?:\[(?P<address>[0-9a-fA-F:.]+)\]|(?P<name>[\w.~%-]+))(?::\d*)?", re.ASCII)
ADDRESS: Final = re.compile(r"\d+(?:\.\d+){3}", re.ASCII)
SUBDOMAINS: Final = "MC_HSTS_INCLUDE_SUBDOMAINS"
PRELOAD: Final = "MC_HSTS_PRELOAD"
PORTS: Final = {"http": 80, "https": 443}


@frozen(kw_only=True)
class Fronting:
    """
    What the environment tells of the ways to the server.

    Args:
        base_url: The address that people and programs use, without a slash at its end.
        allowed_hosts: The names and patterns under which the server may be reached; if empty, any.
        any_host: Whether the names do not matter after all.
        origins: The other sites whose pages may ask the server, as browsers write them.
        trusted_proxies: From whom a forwarded address, scheme or name is believed.
        cookie_secure: Whether cookies go over https alone; None leaves it to each request.
        hsts: Whether browsers are told to come over https alone from now on: True for with every response, False for
            never, None for where people come over https and the request did.
        hsts_directives: What else they are told with it: `includeSubDomains`, `preload`.
    """

    base_url: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    any_host: bool = False
    origins: tuple[str, ...] = ()
    trusted_proxies: tuple[Network, ...] = ()
    cookie_secure: bool | None = None
    hsts: bool | None = None
    hsts_directives: tuple[str, ...] = ()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """
        Read an environment.

        Raises:
            SettingsError: If a value is malformed.
        """
        return cls(
            base_url=_base_url(environment),
            allowed_hosts=tuple(map(_pattern, listed(environment, "MC_ALLOWED_HOSTS"))),
            any_host=flag(environment, "MC_ALLOW_ANY_HOST"),
            origins=_origins(environment),
            trusted_proxies=networks(environment, either(environment, "MC_TRUSTED_PROXIES", "TRUSTED_PROXIES")),
            cookie_secure=_maybe_flag(environment, "MC_COOKIE_SECURE"),
            hsts=_hsts(environment),
            hsts_directives=_hsts_directives(environment),
        )

    @property
    def over_https(self) -> bool | None:
        """
        Whether people come over https; None if nothing tells.
        """
        return None if self.base_url is None else self.base_url.startswith("https://")

    @property
    def host(self) -> str | None:
        """
        The name that people use for the server.
        """
        return None if self.base_url is None else host_of(urlsplit(self.base_url))

    @property
    def base_path(self) -> str:
        """
        The path below which people use the server; empty if it is the root.
        """
        return "" if self.base_url is None else unquote(urlsplit(self.base_url).path)

    @property
    def for_this_machine(self) -> bool:
        """
        Whether nothing tells of a way to the server from elsewhere: no proxy that is trusted, and no name but the
        machine's own.
        """
        named = {*self.allowed_hosts, *filter(None, (self.host,))}
        return not self.trusted_proxies and named <= LOOPBACK_NAMES

    def trusts(self, address: str) -> bool:
        """
        Whether what this peer says of others is believed.
        """
        return within(address, self.trusted_proxies)

    @property
    def lets_any_host_in(self) -> bool:
        """
        Whether a request may call the server by any name.
        """
        return self.any_host or not self.allowed_hosts

    def allows(self, host: str) -> bool:
        """
        Whether a request may call the server by this name.
        """
        if self.lets_any_host_in or host in {*LOOPBACK_NAMES, socket.gethostname().lower()}:
            return True
        return any(matches(host, each) for each in self.allowed_hosts)


def base_url_from(name: str, value: str) -> str:
    """
    An absolute URL of a server.

    Raises:
        SettingsError: If it is none, with the *name* of what it was given as.
    """
    url = value.strip().rstrip("/")
    try:
        split = urlsplit(url)
        sound = split.scheme in ("http", "https") and bool(split.hostname) and split.port != 0
    except ValueError:
        sound = False
    if not sound or "@" in url:
        raise SettingsError(f"{name}: expected the address that people use, such as https://mission.example.com")
    return url


def host_of(split: SplitResult) -> str:
    """
    The host of a URL as names are compared.
    """
    return _compared(split.hostname or "")


def host_named(text: str) -> str:
    """
    The host in a header as names are compared: small letters, no port, no dot at its end, and addresses in their
    shortest spelling. Empty if there is none.
    """
    text = text.strip()
    found = IN_HEADER.fullmatch(text)
    return _compared(found["address"] or found["name"]) if found else ""


def _compared(host: str) -> str:
    host = host.lower().removesuffix(".")
    if ":" in host:
        try:
            return str(ip_address(host))
        except ValueError:
            return ""
    return host


def origin_from(text: str) -> str | None:
    """
    An origin as browsers write it: scheme, host, and the port if it is not the scheme's own. None if it is none.
    """
    try:
        split = urlsplit(text.strip().rstrip("/"))
        host, port = host_of(split), split.port
    except ValueError:
        return None
    if not split.scheme or not host or split.path or split.query or split.fragment or "@" in split.netloc:
        return None
    shown = f"[{host}]" if ":" in host else host
    return (
        f"{split.scheme}://{shown}" if port in (None, PORTS.get(split.scheme)) else f"{split.scheme}://{shown}:{port}"
    )


def can_match(pattern: str) -> bool:
    """
    Whether any host could match: it could not with a scheme, a port or a path.
    """
    return PATTERN.fullmatch(pattern) is not None


def matches(host: str, pattern: str) -> bool:
    """
    Whether a host is the one named, below `*.example.com`, or in `192.168.*`.
    """
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and host != pattern[1:]
    if pattern.endswith(".*"):
        # A name may begin like an address, and be anybody's.
        numbers = not pattern.strip("0123456789.*")
        return host.startswith(pattern[:-1]) and (not numbers or ADDRESS.fullmatch(host) is not None)
    return host == pattern


def within(address: str, trusted: tuple[Network, ...]) -> bool:
    """
    Whether an address is in one of these networks. What is no address is in none.
    """
    if not trusted:
        return False
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in trusted)


def beyond_loopback(addresses: Iterable[str]) -> bool:
    """
    Whether other machines may reach one of these addresses.
    """
    return any(not ip_address(each.partition("%")[0]).is_loopback for each in addresses)


def _base_url(environment: Mapping[str, str]) -> str | None:
    name = either(environment, "MC_BASE_URL", "BASE_URL")
    value = environment.get(name, "")
    return base_url_from(name, value) if value.strip() else None


def _pattern(given: str) -> str:
    return _compared(given) or given.lower()


def _origins(environment: Mapping[str, str]) -> tuple[str, ...]:
    name, origins = "CORS_ORIGINS", []
    for each in listed(environment, name):
        origin = origin_from(each)
        if origin is None or "*" in origin:
            told = f"{each!r} is no origin; write each as a browser does, such as https://app.example.com"
            raise SettingsError(f"{name}: {told}")
        origins.append(origin)
    return tuple(dict.fromkeys(origins))


def networks(environment: Mapping[str, str], name: str) -> tuple[Network, ...]:
    """
    The addresses and networks that a variable lists.

    Raises:
        SettingsError: If one is none.
    """
    found = []
    for each in listed(environment, name):
        try:
            found.append(ip_network(each, strict=False))
        except ValueError as e:
            told = f"{each!r} is neither an address nor a network; write 10.0.0.7 or 10.0.0.0/8, with commas between"
            raise SettingsError(f"{name}: {told}") from e
    return tuple(found)


def _hsts(environment: Mapping[str, str]) -> bool | None:
    on, off = flag(environment, "MC_ENABLE_HSTS"), flag(environment, "MC_DISABLE_HSTS")
    if on and off:
        raise SettingsError("MC_DISABLE_HSTS: cannot be set together with MC_ENABLE_HSTS; unset one of them")
    return on or (False if off else None)


def _hsts_directives(environment: Mapping[str, str]) -> tuple[str, ...]:
    below, preload = flag(environment, SUBDOMAINS), flag(environment, PRELOAD)
    if preload and not below:
        raise SettingsError(f"{PRELOAD}: browsers preload a name only with all names below it; set {SUBDOMAINS}=1, too")
    return ("includeSubDomains",) * below + ("preload",) * preload


def _maybe_flag(environment: Mapping[str, str], name: str) -> bool | None:
    return flag(environment, name) if environment.get(name, "").strip() else None
