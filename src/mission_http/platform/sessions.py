"""
Sessions as browsers carry them: a cookie with a signature over the session's secret. A forged one is refused before
anything is looked up; whether the session lives is for the row to say.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Final, Self

from attrs import frozen
from itsdangerous import BadSignature, Signer
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.signing_in import digest_of
from mission_http.platform.clients import entries, peer_of
from mission_http.platform.cross_site import SESSION_COOKIES
from mission_http.platform.exchange import exchange_of, ports_of

if TYPE_CHECKING:
    from mission_core.accounts.model import MemberPrincipal
    from mission_http.fronting import Fronting

BOUND, PLAIN = SESSION_COOKIES
"""The cookie that browsers take over https alone and from this host alone, and the one for everywhere else."""
LONGEST: Final = 512


@frozen
class SessionCookies:
    """
    Gives, reads and takes back the cookies of sessions.
    """

    signer: Signer
    fronting: Fronting

    @classmethod
    def under(cls, key: bytes, fronting: Fronting) -> Self:
        """
        Cookies signed under this key.
        """
        return cls(Signer(key, salt=b"session", key_derivation="hmac", digest_method=hashlib.sha256), fronting)

    def tokens_in(self, request: Request) -> list[str]:
        """
        The secrets in the cookies of a request, but for those that nobody here signed; the one to believe comes first.
        """
        found = []
        for name in SESSION_COOKIES:
            value = request.cookies.get(name, "")
            if 0 < len(value) <= LONGEST:
                try:
                    found.append(self.signer.unsign(value).decode())
                except (BadSignature, UnicodeError):
                    continue
        return found

    async def member_in(self, request: Request) -> MemberPrincipal | None:
        """
        Who signed in, if a session in the request lives.
        """
        return next(iter(await self.members_in(request)), None)

    async def members_in(self, request: Request) -> list[MemberPrincipal]:
        """
        Who signed in, for each session in the request that lives.
        """
        ports = ports_of(request)
        now = ports.clock.now()
        found = [await ports.credentials.signed_in(digest_of(token), at=now) for token in self.tokens_in(request)]
        return [member for member in found if member is not None]

    def give(self, response: Response, request: Request, token: str, *, lasts: datetime) -> None:
        """
        Let the browser keep a session until it is over. Any other that it keeps under another name is taken back.
        """
        name = self._name_for(request)
        left = int((lasts - ports_of(request).clock.now()).total_seconds())
        self._set(response, request, name, self.signer.sign(token).decode(), left)
        for other in SESSION_COOKIES:
            if other != name and other in request.cookies:
                self._set(response, request, other, "", 0)

    def take_back(self, response: Response, request: Request) -> None:
        """
        Let the browser forget the sessions it sent, or would send to such a request.
        """
        own = self._name_for(request)
        for name in SESSION_COOKIES:
            if name == own or name in request.cookies:
                self._set(response, request, name, "", 0)

    def warning_for(self, request: Request) -> str | None:
        """
        What keeps browsers from keeping the cookie that answers this request, or keeps it from being a safe one.
        """
        if exchange_of(request).secure:
            return None
        peer = peer_of(request.scope)
        said = [each.lower() for each in entries(request.scope, b"x-forwarded-proto")]
        if "https" in said and not self.fronting.trusts(peer):
            return (
                f"{peer} says that you came over https, and is not believed, so the session's cookie is made for http;"
                f" if it is your proxy, set MC_TRUSTED_PROXIES={peer}"
            )
        if self.fronting.cookie_secure:
            return (
                "MC_COOKIE_SECURE is on and this came over http: browsers throw the session's cookie away, and you will"
                " not stay signed in; put https in front, or unset MC_COOKIE_SECURE"
            )
        return None

    def _name_for(self, request: Request) -> str:
        return BOUND if exchange_of(request).secure and self._secure_for(request) else PLAIN

    def _secure_for(self, request: Request) -> bool:
        told = self.fronting.cookie_secure
        return exchange_of(request).secure if told is None else told

    def _set(self, response: Response, request: Request, name: str, value: str, seconds: int) -> None:
        # A browser takes back a bound cookie only by one that is secure itself.
        secure = self._secure_for(request) or name == BOUND
        response.set_cookie(
            name, value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="strict"
        )
