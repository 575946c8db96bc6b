"""
The client's address and scheme: from the socket's peer, or from the headers of a trusted proxy.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final, NamedTuple

from mission_http.network_settings import LOOPBACK_NAMES, parse_host_header

if TYPE_CHECKING:
    from starlette.types import Scope

    from mission_http.network_settings import NetworkSettings

UNKNOWN_ADDRESS: Final = "unknown"
PROXY_HEADERS: Final = (
    b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-server",
    b"x-original-host", b"x-real-ip",
)  # fmt: skip
"""The headers in which proxies describe the original request."""
MAX_CACHED_LENGTH: Final = 64
"""The longest text whose parsed address is cached; longer ones must not fill the memory."""


class RequestAddresses(NamedTuple):
    """
    The address at the other end of the socket, that of the client, and whether the client used https.
    """

    peer: str
    client: str
    secure: bool


def addresses_of(scope: Scope, network: NetworkSettings) -> RequestAddresses:
    """
    Determine where a request comes from.

    The client is the peer, unless that is a trusted proxy. Then it is the last address in `X-Forwarded-For` that does
    not belong to a trusted proxy, or else the address in `X-Real-IP`. Entries before that address may be forged, so
    they are ignored. If the entry is not an address, the proxy that added it counts as the client.

    It used https if it said so to this server, or to the first trusted proxy.
    """
    peer = peer_address(scope)
    secure = bool(scope.get("scheme") == "https")
    if not (network.trusted_proxies and network.trusts(peer)):
        return RequestAddresses(peer, peer, secure)
    proxies, beyond = _proxy_chain(scope, network, peer)
    told = [beyond] if beyond else header_entries(scope, b"x-real-ip")[-1:]
    client = (parse_address(told[0]) if told else None) or proxies[-1]
    schemes = header_entries(scope, b"x-forwarded-proto")
    if schemes:
        # Each proxy appends an entry or keeps the existing one.
        secure = schemes[-min(len(proxies), len(schemes))].lower() == "https"
    return RequestAddresses(peer, client, secure)


def is_local_client(scope: Scope) -> bool:
    """
    Whether the client runs on this machine.

    The peer must be a loopback address without any header of a proxy. The `Host` must be a loopback name, so that a web
    page of another site (DNS rebinding) does not count as local.
    """
    if any(name in PROXY_HEADERS for name, _ in scope["headers"]):
        return False
    hosts = [parse_host_header(value.decode("latin-1")) for name, value in scope["headers"] if name == b"host"]
    try:
        return ip_address(peer_address(scope)).is_loopback and len(hosts) == 1 and hosts[0] in LOOPBACK_NAMES
    except ValueError:
        return False


def parse_address(text: str) -> str | None:
    """
    Parse the address in one entry of a forwarded header; port, brackets and zone are removed. None if there is none.
    """
    return _parse_address(text) if len(text) <= MAX_CACHED_LENGTH else _parse_address.__wrapped__(text)


@lru_cache(maxsize=1024)  # a few clients send most requests
def _parse_address(text: str) -> str | None:
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        found = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)


@lru_cache(maxsize=1024)
def client_network(address: str) -> str:
    """
    The network that rate limits count as one client: an IPv4 address, or the /64 network of an IPv6 address.

    One client usually owns a whole /64 network (RFC 6177).
    """
    try:
        return str(IPv6Network((address, 64), strict=False)) if ":" in address else address
    except ValueError:
        return address


def peer_address(scope: Scope) -> str:
    """
    The address at the other end of the socket, which may be a proxy.
    """
    client = scope.get("client")
    if not client or not client[0]:
        return UNKNOWN_ADDRESS
    return parse_address(client[0]) or str(client[0])


def header_entries(scope: Scope, name: bytes) -> list[str]:
    """
    The comma-separated entries of a header over all its lines, in the order in which proxies appended them.
    """
    lines = (value.decode("latin-1") for header, value in scope["headers"] if header == name)
    return [entry.strip() for line in lines for entry in line.split(",") if entry.strip()]


def _proxy_chain(scope: Scope, network: NetworkSettings, peer: str) -> tuple[list[str], str | None]:
    """
    The trusted proxies from the peer towards the client, and the `X-Forwarded-For` entry beyond them, if any.
    """
    proxies = [peer]
    for hop in reversed(header_entries(scope, b"x-forwarded-for")):
        address = parse_address(hop)
        if address is None or not network.trusts(address):
            return proxies, hop
        proxies.append(address)
    return proxies, None
