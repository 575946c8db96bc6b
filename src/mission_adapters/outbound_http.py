"""
HTTP requests to other servers: with a short time-out, without redirects, and never into a private network unless the
operator configured the origin.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Final, TypeVar
from urllib.parse import SplitResult, urlsplit

import httpx2
from attrs import field

from mission_core.lazy_attrs import define, frozen

REQUEST_TIMEOUT: Final = 5.0
"""The time-out of a whole request, to the last byte of the answer, in seconds."""
MAX_ANSWER_BYTES: Final = 512 * 1024
NAT64, COMPATIBLE = IPv6Network("64:ff9b::/96"), IPv6Network("::/96")
Origin = tuple[str, str, int | None]
T = TypeVar("T")


@define(repr=False)
class OutboundRequestFailed(Exception):
    """
    A request to another server failed, or its answer was not the expected one. *why* contains no secret.
    """

    why: str
    status: int | None = None

    def __str__(self) -> str:
        return self.why


@frozen(eq=False)
class OutboundClient:
    """
    An HTTP client that reads JSON from other servers and deletes resources there.

    Args:
        configured_origins: The origins that the operator configured. They may be in private networks.
        allow_private: Whether other origins may be in private networks, too.
    """

    client: httpx2.AsyncClient
    configured_origins: frozenset[Origin] = frozenset()
    allow_private: bool = False
    timeout: float = REQUEST_TIMEOUT
    max_answer_bytes: int = MAX_ANSWER_BYTES
    _background: set[asyncio.Task[Any]] = field(factory=set, init=False)

    @classmethod
    @asynccontextmanager
    async def open(cls, named: Iterable[str] = (), *, anywhere: bool = False) -> AsyncIterator[OutboundClient]:
        """
        A client for as long as the context lasts. *named* are the URLs that the operator configured.
        """
        headers = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "mission-control"}
        async with httpx2.AsyncClient(headers=headers, timeout=REQUEST_TIMEOUT, follow_redirects=False) as client:
            outbound = cls(client, frozenset(origin_of(urlsplit(url)) for url in named), anywhere)
            try:
                yield outbound
            finally:
                await outbound._end()

    def in_background(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """
        Run a request in the background. It is cancelled when the client is closed.
        """
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def _end(self) -> None:
        for task in (tasks := tuple(self._background)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def get_json(
        self, url: str, *, headers: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None
    ) -> Any:
        """
        The JSON that a server answers to a GET, or to a POST if a form is given.

        Raises:
            OutboundRequestFailed: If the request fails, or the answer is not JSON.
        """
        status, body = await self._request("GET" if form is None else "POST", url, dict(headers or {}), form)
        if status != 200:
            raise OutboundRequestFailed(f"the answer has status {status}", status)
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise OutboundRequestFailed("the answer is not JSON") from None

    async def delete(self, url: str, *, headers: Mapping[str, str] | None = None) -> None:
        """
        Delete the resource at a URL.

        Raises:
            OutboundRequestFailed: If the server refused, or it is unknown whether the resource was deleted.
        """
        status, _ = await self._request("DELETE", url, dict(headers or {}))
        if not 200 <= status < 300:
            raise OutboundRequestFailed(f"the answer has status {status}", status)

    async def _request(
        self, method: str, url: str, headers: dict[str, str], form: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        try:
            async with asyncio.timeout(self.timeout):
                return await self._send(method, url, headers, form)
        except TimeoutError:
            raise OutboundRequestFailed(f"no answer within {self.timeout:g} seconds") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as e:
            raise OutboundRequestFailed(f"{type(e).__name__}: {e}" if str(e) else type(e).__name__) from e

    async def _send(
        self, method: str, url: str, headers: dict[str, str], form: Mapping[str, str] | None
    ) -> tuple[int, bytes]:
        url, extensions = await self._target(url, headers)
        async with self.client.stream(method, url, headers=headers, data=form, extensions=extensions) as answer:
            body = bytearray()
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise OutboundRequestFailed("the answer is compressed, although identity was asked for")
            async for piece in answer.aiter_raw():
                body += piece
                if len(body) > self.max_answer_bytes:
                    raise OutboundRequestFailed(f"the answer is longer than {self.max_answer_bytes} bytes")
        return answer.status_code, bytes(body)

    async def _target(self, url: str, headers: dict[str, str]) -> tuple[str, dict[str, Any]]:
        """
        The URL to connect to, and the options of the request. The host of an origin that is not configured is resolved
        once, and the connection goes to that address: another look-up could give another one.
        """
        try:
            split = urlsplit(url)
            origin = origin_of(split)
        except ValueError:
            raise OutboundRequestFailed("this is no URL of an HTTP server") from None
        if split.scheme not in ("http", "https") or not split.hostname:
            raise OutboundRequestFailed("this is no URL of an HTTP server")
        if self.allow_private or origin in self.configured_origins:
            return url, {}
        if split.scheme != "https":
            raise OutboundRequestFailed("the URL is not https, and its origin is not in the settings")
        address = await _public_address(split.hostname, origin[2])
        headers["host"] = split.netloc.rpartition("@")[2]
        host = f"[{address}]" if address.version == 6 else str(address)
        at = host if split.port is None else f"{host}:{split.port}"
        return split._replace(netloc=at).geturl(), {"sni_hostname": split.hostname}


def origin_of(split: SplitResult) -> Origin:
    """
    The scheme, host and port of a URL.
    """
    return split.scheme, (split.hostname or "").lower(), split.port or {"http": 80, "https": 443}.get(split.scheme)


async def _public_address(host: str, port: int | None) -> IPv4Address | IPv6Address:
    """
    An address of a host whose addresses are all public.

    Raises:
        OutboundRequestFailed: If one of them is private.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [ip_address(str(each[4][0]).partition("%")[0]) for each in found]
    for address in addresses:
        reached = _embedded_ipv4(address) if isinstance(address, IPv6Address) else address
        if not reached.is_global or reached.is_multicast:
            raise OutboundRequestFailed(
                f"{host} is in a private network; put its URL into the settings, or set MC_ALLOW_PRIVATE_OUTBOUND=1"
            )
    return addresses[0]


def _embedded_ipv4(address: IPv6Address) -> IPv4Address | IPv6Address:
    """
    The IPv4 address inside an IPv6 address that is mapped, compatible, 6to4 or NAT64; else the IPv6 address itself.
    """
    if address in NAT64 or (address in COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address
