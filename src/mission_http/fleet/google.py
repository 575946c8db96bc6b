"""
Google sign-in: with an ID token, or with the authorization code flow in a browser.
"""

from __future__ import annotations

import hashlib
import logging
from base64 import urlsafe_b64encode
from datetime import timedelta
from hmac import compare_digest
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlencode

from attrs import frozen
from itsdangerous import BadData, URLSafeSerializer
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.access_requests import AccessPending
from mission_core.accounts.letting_in import (
    NoPasswordYet,
    NotConnected,
    StateUsed,
    disconnect_google,
    enter,
)
from mission_core.accounts.users import Provider
from mission_core.accounts.vouching import KeysUnavailable, TokenFault, TokenRefused, Vouched, vouched
from mission_core.values import micros, moment
from mission_http.fleet.access import ONESELF
from mission_http.fleet.errors import Explained, Unacceptable
from mission_http.fleet.signing_in import SignInDesk
from mission_http.fleet.user_payloads import OkPayload, SignedInPayload, identity_of, workspace_of
from mission_http.platform.bodies import loose_body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import exchange_of, ports_of, principal_of
from mission_http.platform.json import json_of
from mission_http.platform.queries import query_of
from mission_http.platform.shapes import Length

if TYPE_CHECKING:
    from mission_core.accounts.signing_in import Begun
    from mission_core.accounts.vouching import Claims
    from mission_http.identities import Google
    from mission_http.platform.sessions import SessionCookies
    from mission_http.settings import Settings

BACK: Final = "/api/auth/google"
UNDER_WAY: Final = timedelta(minutes=10)
"""The longest time between the redirect to Google and the browser's return."""
BOUND, PLAIN = "__Host-mc-google", "mc-google"
"""Names of the cookie with the state of the flow: over https, and over plain http."""
NOT_SET: Final = "Google sign-in is not configured"
NOT_BEGUN: Final = "Google sign-in was not started in this browser, or too long ago"
MISSING: Final = "Google token missing required identity fields"
logger = logging.getLogger("mission_http")


@frozen(kw_only=True)
class GoogleBody:
    """
    The request body as documented. The handler validates it itself, with the original API's error texts.
    """

    credential: str


@frozen(kw_only=True)
class CallbackQuery:
    code: Annotated[str | None, Length(0, 4000)] = None
    state: Annotated[str | None, Length(0, 200)] = None
    error: Annotated[str | None, Length(0, 200)] = None


@frozen
class GoogleDesk:
    """
    Handlers of Google sign-in.
    """

    settings: Settings
    desk: SignInDesk
    journeys: URLSafeSerializer

    @classmethod
    def under(cls, settings: Settings, cookies: SessionCookies) -> GoogleDesk:
        """
        Create the handlers from the settings.
        """
        serializer = URLSafeSerializer(
            settings.key_for("google"), salt="journey",
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )  # fmt: skip
        return cls(settings, SignInDesk(cookies), serializer)

    async def by_token(self, request: Request) -> Response:
        """
        Sign in with a Google ID token.

        The token is verified by this server and sent nowhere. For a person who is no user yet, an access request is
        created, and the response is 403.
        """
        credential = (await loose_body_of(request)).get("credential")
        if not isinstance(credential, str) or not credential.strip():
            raise Unacceptable("Missing Google credential")
        person = _person_in(await self._claims(request, credential.strip()))
        begun = await self._entered(request, person)
        workspace = await workspace_of(ports_of(request), begun.principal)
        shown = identity_of(begun.user, begun.principal.role.value, workspace)
        return self.desk.let_in(request, begun, {"user": shown})

    async def there_and_back(self, request: Request) -> Response:
        """
        Redirect a browser to Google, and sign in when Google redirects it back.

        Without `code`, the response redirects to Google and sets a cookie with the state of the flow. With `code` and
        `state`, it sets a session cookie. Each state is valid once, in the browser that got it. A HEAD request changes
        nothing.
        """
        query = query_of(request, CallbackQuery)
        if query.error:
            raise Explained("Google sign-in was not completed", f"error of Google: {query.error}")
        if request.method == "HEAD":  # it must not replace the flow of this browser or use up its state
            self._set_up()
            front = self.settings.fronting.base_url or exchange_of(request).mount
            return json_of({"ok": True}, 302, {"location": f"{front}/"})
        if not query.code:
            return self._sent_there(request)
        journey = self._journey_in(request)
        if journey is None or not compare_digest(journey["state"].encode(), (query.state or "").encode()):
            raise Explained(NOT_BEGUN, f"start again at {BACK}")
        codes = ports_of(request).codes
        if codes is None:
            raise Explained(NOT_SET, "set GOOGLE_CLIENT_SECRET")
        try:
            token = await codes.token_for(query.code, verifier=journey["verifier"], redirect=self._way_back())
        except TokenRefused as refusal:
            raise _told(request, refusal) from None
        claims = await self._claims(request, token)
        if not compare_digest(str(claims.get("nonce")).encode(), journey["nonce"].encode()):
            raise _told(request, TokenRefused("it was made for another sign-in"))
        begun = await self._entered(request, _person_in(claims), state=journey["state"])
        response = json_of({"ok": True}, 302, {"location": f"{self.settings.fronting.base_url}/"})
        self.desk.cookies.give(response, request, begun.token, lasts=begun.session.expires_at)
        self._set_journey(response, request, "", 0)
        return response

    def _sent_there(self, request: Request) -> Response:
        google, ports = self._set_up(), ports_of(request)
        state, nonce, verifier = (ports.secrets.token() for _ in range(3))
        asked = {
            "client_id": google.client_id, "redirect_uri": self._way_back(), "response_type": "code",
            "scope": "openid email profile", "state": state, "nonce": nonce, "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256", "prompt": "select_account",
        }  # fmt: skip
        response = json_of({"ok": True}, 302, {"location": f"{google.authorize_url}?{urlencode(asked)}"})
        until = micros(ports.clock.now() + UNDER_WAY)
        journey = self.journeys.dumps({"state": state, "nonce": nonce, "verifier": verifier, "until": until})
        self._set_journey(response, request, str(journey), int(UNDER_WAY.total_seconds()))
        return response

    def _set_up(self) -> Google:
        google = self.settings.identities.google
        if google is None or google.client_secret is None:
            raise Explained(NOT_SET, "set GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET")
        return google

    def _way_back(self) -> str:
        base = self.settings.fronting.base_url
        if base is None:
            raise Explained(NOT_SET, "set MC_BASE_URL to the address that Google redirects browsers to")
        return f"{base}{BACK}"

    def _journey_in(self, request: Request) -> dict[str, str] | None:
        """
        Read the state of the flow from the browser's cookie; None if it is missing, forged or expired.
        """
        try:
            found: Any = self.journeys.loads(request.cookies.get(_cookie_for(request), ""))
        except BadData:
            return None
        if ports_of(request).clock.now() < moment(found["until"]):
            return {key: str(value) for key, value in found.items()}
        return None

    def _set_journey(self, response: Response, request: Request, value: str, seconds: int) -> None:
        # Lax, as the browser must send it when Google redirects back.
        response.set_cookie(
            _cookie_for(request), value, max_age=seconds, path="/", secure=exchange_of(request).secure, httponly=True,
            samesite="lax",
        )  # fmt: skip

    async def _claims(self, request: Request, token: str) -> Claims:
        verifier = ports_of(request).verifiers.get(Provider.GOOGLE)
        if verifier is None:
            raise Explained(NOT_SET, "set GOOGLE_CLIENT_ID")
        try:
            return await verifier.claims_of(token)
        except TokenRefused as refusal:
            raise _told(request, refusal) from None

    async def _entered(self, request: Request, person: Vouched, *, state: str | None = None) -> Begun:
        try:
            return await enter(ports_of(request), person, state=state)
        except AccessPending:
            logger.warning("google_access_pending email=%s client=%s", person.email, exchange_of(request).client)
            raise


def _cookie_for(request: Request) -> str:
    """
    Return the name of the cookie with the flow's state. Over https it has the `__Host-` prefix, so that no attacker can
    plant a cookie of their own flow and have the browser signed in as them.
    """
    return BOUND if exchange_of(request).secure else PLAIN


def _person_in(claims: Claims) -> Vouched:
    """
    Read the person from the claims of a Google token, with a verified e-mail address.
    """
    try:
        person = vouched(claims, Provider.GOOGLE)
    except TokenRefused as refusal:
        raise Explained(MISSING, refusal.why) from None
    if person.email is None:
        raise Explained(MISSING, "it has no e-mail address")
    if not person.verified:
        raise Unacceptable("Google email is not verified")
    return person


def _told(request: Request, refusal: TokenRefused) -> Explained:
    exchange = exchange_of(request)
    logger.warning("google_token_refused request=%s client=%s %s", exchange.request_id, exchange.client, refusal.logged)
    mismatch = refusal.fault is TokenFault.AUDIENCE
    return Explained("Google token audience mismatch" if mismatch else "Invalid Google token", refusal.why)


def _challenge(verifier: str) -> str:
    """
    Compute the PKCE code challenge of a verifier (RFC 7636, S256).
    """
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


async def disconnect(request: Request) -> Response:
    """
    Disconnect the caller's account from Google.

    From now on it signs in with its password.
    """
    await disconnect_google(ports_of(request), principal_of(request))
    return json_of({"ok": True})


TAGS: Final = ("Auth",)


def google_endpoints(settings: Settings, cookies: SessionCookies) -> list[Endpoint]:
    """
    Return the operations of Google sign-in.
    """
    desk = GoogleDesk.under(settings, cookies)
    return [
        Endpoint(
            "POST", "/auth/google", desk.by_token, takes=GoogleBody, gives=SignedInPayload,
            refuses=(AccessPending, KeysUnavailable), limits=("login",), operation_id="fleet_googleLogin", tags=TAGS,
        ),
        Endpoint(
            "GET", "/auth/google", desk.there_and_back, query=CallbackQuery, gives=OkPayload, status=302,
            refuses=(AccessPending, KeysUnavailable, StateUsed), limits=("login",),
            operation_id="fleet_googleOAuthCallback", tags=TAGS,
        ),
        Endpoint(
            "POST", "/auth/google/disconnect", disconnect, gives=OkPayload, who=ONESELF,
            refuses=(NotConnected, NoPasswordYet), operation_id="fleet_disconnectGoogle", tags=TAGS,
        ),
    ]  # fmt: skip
