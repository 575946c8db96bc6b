"""
An OpenID Connect issuer on this machine: it publishes keys, signs tokens and exchanges codes, over real sockets.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import parse_qs

from attrs import define, field
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from mission_adapters.oidc_tokens import REGISTRY
from tests import sockets

Key = RSAKey | ECKey | OKPKey
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
OTHER = RSAKey.generate_key(2048, {"kid": "other"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})
STANDARD = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}


@define(eq=False)
class LocalIssuer:
    """
    The issuer, and what it was asked.

    Args:
        status: What every answer has for a status, if it is not the one it should have.
        body: What every answer says, if it is not what it should be.
        silent: Whether it takes connections and never answers.
    """

    port: int = 0
    keys: list[Key] = field(factory=lambda: [RSA])
    status: int | None = None
    body: bytes | None = None
    headers: dict[str, str] = field(factory=dict)
    silent: bool = False
    configuration: dict[str, Any] = field(factory=dict)
    asked: list[str] = field(factory=list)
    shown: list[dict[str, str]] = field(factory=list)
    forms: list[dict[str, str]] = field(factory=list)
    codes: dict[str, str] = field(factory=dict)
    """ID tokens by the code that each is given out for, once."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def asked_for_keys(self) -> int:
        """
        How often.
        """
        return self.asked.count("/keys")

    def token(self, claims: dict[str, Any], *, key: Any = RSA, header: dict[str, Any] | None = None) -> str:
        """
        A token with these claims.
        """
        told = {"alg": STANDARD.get(key.key_type, "HS256"), "kid": key.get("kid"), **(header or {})}
        told = {name: value for name, value in told.items() if value is not None}
        return jwt.encode(told, claims, key, registry=REGISTRY)

    def _answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        if path == "/.well-known/openid-configuration":
            told = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.configuration}
            return 200, json.dumps(told).encode()
        if path == "/keys":
            return 200, json.dumps(KeySet(list(self.keys)).as_dict(private=False)).encode()
        if path == "/token" and method == "POST":
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            self.forms.append(form)
            token = self.codes.pop(form.get("code", ""), None)
            return (200, json.dumps({"id_token": token}).encode()) if token else (400, b'{"error": "invalid_grant"}')
        return 404, b"{}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """
        Answer what comes over one connection.
        """
        try:
            while line := await reader.readline():
                method, path, _ = line.decode().split(" ", 2)
                shown = dict[str, str]()
                while (header := await reader.readline()) not in (b"\r\n", b""):
                    name, _, value = header.decode().partition(":")
                    shown[name.lower()] = value.strip()
                body = await reader.readexactly(int(shown.get("content-length", 0)))
                self.asked.append(path)
                self.shown.append(shown)
                status, told = self._answer(method, path, body)
                if self.silent:
                    await reader.read()
                    return
                status, told = self.status or status, told if self.body is None else self.body
                head = [f"HTTP/1.1 {status} x", f"content-length: {len(told)}", "content-type: application/json"]
                head += [f"{name}: {value}" for name, value in self.headers.items()]
                writer.write("\r\n".join([*head, "", ""]).encode() + told)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass


Local = TypeVar("Local", bound=LocalIssuer)


@asynccontextmanager
async def local_issuer(**settings: Any) -> AsyncIterator[LocalIssuer]:
    """
    An issuer for as long as the context lasts.
    """
    async with serve_issuer(LocalIssuer(**settings)) as issuer:
        yield issuer


@asynccontextmanager
async def serve_issuer(issuer: Local) -> AsyncIterator[Local]:
    """
    One that answers at a port for as long as the context lasts.
    """
    async with sockets.listening(issuer.serve, issuer.port) as issuer.port:
        yield issuer
