"""
Network settings: base URL, allowed hosts, CORS origins, trusted proxies, secure cookies and HSTS.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final, Self
from urllib.parse import SplitResult, unquote, urlsplit

from mission_core.lazy_attrs import frozen
from mission_http.environment import SettingsError, boolean_variable, first_set_variable, list_variable

IpNetwork = IPv4Network | IPv6Network

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
HOST_PATTERN: Final = re.compile(r"(\*\.)?[^\s/:*\[\]]+|[^\s/:*]+\.\*|[0-9a-f]*:[0-9a-f:.]*")
"""A host name, `*.` before a host name, the beginning of an IPv4 address before `.*`, or an IPv6 address."""

HOST_HEADER: Final = re.compile(r"(?:\[(?P<address>[0-9a-fA-F:.]+)\]|(?P<name>[\w.~%-]+))(?::\d*)?", re.ASCII)
IPV4_ADDRESS: Final = re.compile(r"\d+(?:\.\d+){3}", re.ASCII)
HSTS_SUBDOMAINS: Final = "MC_HSTS_INCLUDE_SUBDOMAINS"
HSTS_PRELOAD: Final = "MC_HSTS_PRELOAD"
DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@frozen(kw_only=True)
class NetworkSettings:
    """
    The settings of how clients reach the server: its public URL, hosts, proxies, CORS and cookies.

    Args:
        base_url: The public URL of the server, without a trailing slash.
        allowed_hosts: The host names and patterns that requests may be addressed to; any if empty.
        any_host: Whether every host is allowed in spite of *allowed_hosts*.
        origins: The CORS origins, as browsers write them.
        trusted_proxies: The networks whose forwarded addresses, schemes and hosts are trusted.
        cookie_secure: Whether cookies are marked `Secure`; None decides it for each request by its scheme.
        hsts: Whether to send `Strict-Transport-Security`: True with every response, False never, None with responses
            over https if the base URL is https.
        hsts_directives: Further directives of that header: `includeSubDomains`, `preload`.
    """

    base_url: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    any_host: bool = False
    origins: tuple[str, ...] = ()
    trusted_proxies: tuple[IpNetwork, ...] = ()
    cookie_secure: bool | None = None
    hsts: bool | None = None
    hsts_directives: tuple[str, ...] = ()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """
        Read the settings from environment variables.

        Raises:
            SettingsError: If a value is malformed.
        """
        return cls(
            base_url=_base_url(environment),
            allowed_hosts=tuple(map(_normalized_pattern, list_variable(environment, "MC_ALLOWED_HOSTS"))),
            any_host=boolean_variable(environment, "MC_ALLOW_ANY_HOST"),
            origins=_origins(environment),
            trusted_proxies=networks_variable(
                environment, first_set_variable(environment, "MC_TRUSTED_PROXIES", "TRUSTED_PROXIES")
            ),
            cookie_secure=_optional_boolean(environment, "MC_COOKIE_SECURE"),
            hsts=_hsts(environment),
            hsts_directives=_hsts_directives(environment),
        )

    @property
    def is_https(self) -> bool | None:
        """
        Whether the base URL is https; None if there is no base URL.
        """
        return None if self.base_url is None else self.base_url.startswith("https://")

    @property
    def host(self) -> str | None:
        """
        The host of the base URL.
        """
        return None if self.base_url is None else host_of(urlsplit(self.base_url))

    @property
    def base_path(self) -> str:
        """
        The path of the base URL; empty if it is the root.
        """
        return "" if self.base_url is None else unquote(urlsplit(self.base_url).path)

    @property
    def is_local_only(self) -> bool:
        """
        Whether the server is configured for this machine only: without trusted proxies, and without host names other
        than loopback names.
        """
        named = {*self.allowed_hosts, *filter(None, (self.host,))}
        return not self.trusted_proxies and named <= LOOPBACK_NAMES

    def trusts(self, address: str) -> bool:
        """
        Whether the peer at this address is a trusted proxy.
        """
        return is_in_networks(address, self.trusted_proxies)

    @property
    def allows_any_host(self) -> bool:
        """
        Whether requests may be addressed to any host.
        """
        return self.any_host or not self.allowed_hosts

    def allows(self, host: str) -> bool:
        """
        Whether requests may be addressed to this host.
        """
        if self.allows_any_host or host in {*LOOPBACK_NAMES, socket.gethostname().lower()}:
            return True
        return any(host_matches(host, each) for each in self.allowed_hosts)


def parse_base_url(name: str, value: str) -> str:
    """
    Parse the base URL of a server.

    Raises:
        SettingsError: If it is not an absolute http or https URL; the message begins with *name*.
    """
    url = value.strip().rstrip("/")
    try:
        split = urlsplit(url)
        sound = split.scheme in ("http", "https") and bool(split.hostname) and split.port != 0
    except ValueError:
        sound = False
    if not sound or "@" in url:
        raise SettingsError(f"{name}: expected the public URL, such as https://mission.example.com")
    return url


def host_of(split: SplitResult) -> str:
    """
    The normalized host of a URL.
    """
    return _normalized_host(split.hostname or "")


def parse_host_header(text: str) -> str:
    """
    Parse the host in a `Host` header; empty if it is not valid.

    The host is normalized: lower case, without port and trailing dot, and addresses in their shortest form.
    """
    text = text.strip()
    found = HOST_HEADER.fullmatch(text)
    return _normalized_host(found["address"] or found["name"]) if found else ""


def _normalized_host(host: str) -> str:
    host = host.lower().removesuffix(".")
    if ":" in host:
        try:
            return str(ip_address(host))
        except ValueError:
            return ""
    return host


def parse_origin(text: str) -> str | None:
    """
    Parse an origin, and write it as browsers do: scheme, host, and the port unless it is the default. None if invalid.
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
        f"{split.scheme}://{shown}"
        if port in (None, DEFAULT_PORTS.get(split.scheme))
        else f"{split.scheme}://{shown}:{port}"
    )


def is_host_pattern(pattern: str) -> bool:
    """
    Whether the text is a valid host pattern. One with a scheme, a port or a path matches no host.
    """
    return HOST_PATTERN.fullmatch(pattern) is not None


def host_matches(host: str, pattern: str) -> bool:
    """
    Whether a host matches a pattern: the same host, `*.example.com` or `192.168.*`.
    """
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and host != pattern[1:]
    if pattern.endswith(".*"):
        # A host name such as 192.168.evil.example may begin like an address.
        numbers = not pattern.strip("0123456789.*")
        return host.startswith(pattern[:-1]) and (not numbers or IPV4_ADDRESS.fullmatch(host) is not None)
    return host == pattern


def is_in_networks(address: str, trusted: tuple[IpNetwork, ...]) -> bool:
    """
    Whether an address is in one of these networks; false for text that is not an address.
    """
    if not trusted:
        return False
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in trusted)


def any_beyond_loopback(addresses: Iterable[str]) -> bool:
    """
    Whether one of these addresses can be reached from other machines.
    """
    return any(not ip_address(each.partition("%")[0]).is_loopback for each in addresses)


def _base_url(environment: Mapping[str, str]) -> str | None:
    name = first_set_variable(environment, "MC_BASE_URL", "BASE_URL")
    value = environment.get(name, "")
    return parse_base_url(name, value) if value.strip() else None


def _normalized_pattern(given: str) -> str:
    return _normalized_host(given) or given.lower()


def _origins(environment: Mapping[str, str]) -> tuple[str, ...]:
    name, origins = "CORS_ORIGINS", []
    for each in list_variable(environment, name):
        origin = parse_origin(each)
        if origin is None or "*" in origin:
            told = f"{each!r} is not an origin; write each as a browser does, such as https://app.example.com"
            raise SettingsError(f"{name}: {told}")
        origins.append(origin)
    return tuple(dict.fromkeys(origins))


def networks_variable(environment: Mapping[str, str], name: str) -> tuple[IpNetwork, ...]:
    """
    Read a variable that lists IP addresses and networks.

    Raises:
        SettingsError: If an entry is neither an address nor a network.
    """
    found = []
    for each in list_variable(environment, name):
        try:
            found.append(ip_network(each, strict=False))
        except ValueError as e:
            told = f"{each!r} is neither an address nor a network; write 10.0.0.7 or 10.0.0.0/8, with commas between"
            raise SettingsError(f"{name}: {told}") from e
    return tuple(found)


def _hsts(environment: Mapping[str, str]) -> bool | None:
    on, off = boolean_variable(environment, "MC_ENABLE_HSTS"), boolean_variable(environment, "MC_DISABLE_HSTS")
    if on and off:
        raise SettingsError("MC_DISABLE_HSTS: cannot be set together with MC_ENABLE_HSTS; unset one of them")
    return on or (False if off else None)


def _hsts_directives(environment: Mapping[str, str]) -> tuple[str, ...]:
    below, preload = boolean_variable(environment, HSTS_SUBDOMAINS), boolean_variable(environment, HSTS_PRELOAD)
    if preload and not below:
        raise SettingsError(
            f"{HSTS_PRELOAD}: browsers preload a name only with all names below it; set {HSTS_SUBDOMAINS}=1, too"
        )
    return ("includeSubDomains",) * below + ("preload",) * preload


def _optional_boolean(environment: Mapping[str, str], name: str) -> bool | None:
    return boolean_variable(environment, name) if environment.get(name, "").strip() else None
