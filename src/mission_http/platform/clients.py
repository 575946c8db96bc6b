"""
Who calls, and whether over https: the socket's peer tells, or a proxy that is trusted to tell of others.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final

from mission_http.fronting import LOOPBACK_NAMES, host_named

if TYPE_CHECKING:
    from starlette.types import Scope

    from mission_http.fronting import Fronting

UNKNOWN: Final = "unknown"
OF_PROXIES: Final = (
    b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-server",
    b"x-original-host", b"x-real-ip",
)  # fmt: skip
"""The headers by which proxies tell of whom they speak for."""
LONGEST_KEPT: Final = 64
"""How long a text may be that is remembered with its address; whoever sends more does not fill the memory."""


def client_address(scope: Scope, fronting: Fronting) -> str:
    """
    The address of who calls.

    It is the peer's. If that is a trusted proxy, it is the last address in `X-Forwarded-For` that is no trusted
    proxy's; else the one in `X-Real-IP`. Whoever wrote what stands before that address is not known, so it is not
    read; a hop that is no address hides the client, and the proxy that told of it counts instead.
    """
    peer = peer_of(scope)
    if not fronting.trusts(peer):
        return peer
    proxies, beyond = _chain(scope, fronting, peer)
    told = [beyond] if beyond else entries(scope, b"x-real-ip")[-1:]
    return (address_in(told[0]) if told else None) or proxies[-1]


def is_secure(scope: Scope, fronting: Fronting) -> bool:
    """
    Whether the client came over https: to us, or to the trusted proxy that it came to.
    """
    peer = peer_of(scope)
    schemes = entries(scope, b"x-forwarded-proto") if fronting.trusts(peer) else []
    if not schemes:
        return bool(scope.get("scheme") == "https")
    proxies, _ = _chain(scope, fronting, peer)
    # Each proxy appends its entry, or leaves the one there is.
    return schemes[-min(len(proxies), len(schemes))].lower() == "https"


def is_at_this_machine(scope: Scope) -> bool:
    """
    Whether whoever calls sits at this machine: the peer is here, speaks for nobody else, and calls the server by a name
    of the machine itself, as no page does that was loaded under another one.
    """
    if any(name in OF_PROXIES for name, _ in scope["headers"]):
        return False
    hosts = [host_named(value.decode("latin-1")) for name, value in scope["headers"] if name == b"host"]
    try:
        return ip_address(peer_of(scope)).is_loopback and len(hosts) == 1 and hosts[0] in LOOPBACK_NAMES
    except ValueError:
        return False


def address_in(text: str) -> str | None:
    """
    The address in one entry of a forwarded header, as addresses are compared: no port, no brackets, no zone.
    """
    return _address_in(text) if len(text) <= LONGEST_KEPT else _address_in.__wrapped__(text)


@lru_cache(maxsize=1024)  # few ask, and ask again
def _address_in(text: str) -> str | None:
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
def network_of(address: str) -> str:
    """
    What is counted as one client: an IPv4 address, or the /64 network of an IPv6 address, since whoever has one of its
    addresses has them all (RFC 6177).
    """
    try:
        return str(IPv6Network((address, 64), strict=False)) if ":" in address else address
    except ValueError:
        return address


def peer_of(scope: Scope) -> str:
    """
    The address at the other end of the socket.
    """
    client = scope.get("client")
    if not client or not client[0]:
        return UNKNOWN
    return address_in(client[0]) or str(client[0])


def entries(scope: Scope, name: bytes) -> list[str]:
    """
    The entries of a list header, over all its lines, in the order in which proxies appended them.
    """
    lines = (value.decode("latin-1") for header, value in scope["headers"] if header == name)
    return [entry.strip() for line in lines for entry in line.split(",") if entry.strip()]


def _chain(scope: Scope, fronting: Fronting, peer: str) -> tuple[list[str], str | None]:
    """
    The trusted proxies from our peer towards the client, and the entry beyond them, if there is one.
    """
    proxies = [peer]
    for hop in reversed(entries(scope, b"x-forwarded-for")):
        address = address_in(hop)
        if address is None or not fronting.trusts(address):
            return proxies, hop
        proxies.append(address)
    return proxies, None
