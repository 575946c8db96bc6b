"""
Session cookies: the secret of a session with a signature. A forged cookie is ignored before any query; the stored
session decides whether it is still valid.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Final, Self

from attrs import field
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.sign_in import token_digest
from mission_core.lazy_attrs import frozen
from mission_http.platform.client_addresses import header_entries, peer_address
from mission_http.platform.cross_site_requests import SESSION_COOKIES
from mission_http.platform.exchange import exchange_of, ports_of

if TYPE_CHECKING:
    from itsdangerous import Signer

    from mission_core.accounts.model import MemberPrincipal
    from mission_http.network_settings import NetworkSettings

HOST_COOKIE, PLAIN_COOKIE = SESSION_COOKIES
"""The cookie for https, which browsers bind to this host (`__Host-`), and the one for http."""
MAX_COOKIE_LENGTH: Final = 512


@frozen
class SessionCookies:
    """
    Sets, reads and deletes the cookies of sessions.
    """

    key: bytes = field(repr=False)
    network: NetworkSettings

    @classmethod
    def signed_with(cls, key: bytes, network: NetworkSettings) -> Self:
        """
        Build session cookies that are signed with this key.
        """
        return cls(key, network)

    @cached_property
    def signer(self) -> Signer:
        from itsdangerous import Signer  # many servers have no sessions

        return Signer(self.key, salt=b"session", key_derivation="hmac", digest_method=hashlib.sha256)

    def tokens_in(self, request: Request) -> list[str]:
        """
        The session secrets in the cookies of a request whose signature is valid, in order of preference.
        """
        found = []
        cookies = request.cookies
        for name in SESSION_COOKIES if cookies else ():
            value = cookies.get(name, "")
            if 0 < len(value) <= MAX_COOKIE_LENGTH:
                from itsdangerous import BadSignature

                try:
                    found.append(self.signer.unsign(value).decode())
                except (BadSignature, UnicodeError):
                    continue
        return found

    async def member_in(self, request: Request) -> MemberPrincipal | None:
        """
        The member of the first valid session in the request, if there is one.
        """
        if b"cookie" not in exchange_of(request).headers:
            return None
        return next(iter(await self.members_in(request)), None)

    async def members_in(self, request: Request) -> list[MemberPrincipal]:
        """
        The members of all valid sessions in the request.
        """
        tokens = self.tokens_in(request)
        if not tokens:
            return []
        ports = ports_of(request)
        now = ports.clock.now()
        found = [await ports.credentials.session_principal(token_digest(token), at=now) for token in tokens]
        return [member for member in found if member is not None]

    def set_cookie(self, response: Response, request: Request, token: str, *, lasts: datetime) -> None:
        """
        Set the session cookie, with the session's end as its expiry. A session cookie of another name is deleted.
        """
        name = self._name_for(request)
        left = int((lasts - ports_of(request).clock.now()).total_seconds())
        self._set(response, request, name, self.signer.sign(token).decode(), left)
        for other in SESSION_COOKIES:
            if other != name and other in request.cookies:
                self._set(response, request, other, "", 0)

    def clear_cookies(self, response: Response, request: Request) -> None:
        """
        Delete the session cookies that the browser sent, or would send to this URL.
        """
        own = self._name_for(request)
        for name in SESSION_COOKIES:
            if name == own or name in request.cookies:
                self._set(response, request, name, "", 0)

    def warning_for(self, request: Request) -> str | None:
        """
        The warning for a sign-in over plain http: the browser will drop the cookie, or the cookie is not secure.
        """
        if exchange_of(request).secure:
            return None
        peer = peer_address(request.scope)
        said = [each.lower() for each in header_entries(request.scope, b"x-forwarded-proto")]
        if "https" in said and not self.network.trusts(peer):
            return (
                f"{peer} says that you used https, but it is not a trusted proxy, so the session cookie is made for"
                f" http; if it is your proxy, set MC_TRUSTED_PROXIES={peer}"
            )
        if self.network.cookie_secure:
            return (
                "MC_COOKIE_SECURE is on and this request came over http: browsers drop the session cookie, and you will"
                " not stay signed in; use https, or unset MC_COOKIE_SECURE"
            )
        return None

    def _name_for(self, request: Request) -> str:
        return HOST_COOKIE if exchange_of(request).secure and self._secure_for(request) else PLAIN_COOKIE

    def _secure_for(self, request: Request) -> bool:
        told = self.network.cookie_secure
        return exchange_of(request).secure if told is None else told

    def _set(self, response: Response, request: Request, name: str, value: str, seconds: int) -> None:
        # Browsers delete a __Host- cookie only if the deleting cookie is secure, too.
        secure = self._secure_for(request) or name == HOST_COOKIE
        response.set_cookie(name, value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="strict")
