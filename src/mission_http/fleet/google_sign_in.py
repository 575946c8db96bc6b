"""
Google sign-in: with an ID token, or with the authorization code flow in a browser.
"""

from __future__ import annotations

import hashlib
import logging
from base64 import urlsafe_b64encode
from datetime import timedelta
from functools import cached_property
from hmac import compare_digest
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.google_sign_in import (
    NoPasswordYet,
    NotConnectedToGoogle,
    SignInStateUsed,
    disconnect_google,
    sign_in_with_google,
)
from mission_core.accounts.identity_claims import (
    ProviderIdentity,
    SigningKeysUnavailable,
    TokenFault,
    TokenRefused,
    identity_from_claims,
)
from mission_core.accounts.sign_in import AccessPending
from mission_core.accounts.users import IdentityProvider
from mission_core.lazy_attrs import frozen
from mission_core.values import micros, moment
from mission_http.fleet.access import OWN_ACCOUNT
from mission_http.fleet.errors import InvalidRequest, InvalidRequestWithHint
from mission_http.fleet.sign_in import SignInHandlers, client_of
from mission_http.fleet.user_payloads import OkPayload, SignedInPayload
from mission_http.platform.bodies import object_body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import exchange_of, ports_of, principal_of
from mission_http.platform.field_annotations import Body, Length, Query
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of

if TYPE_CHECKING:
    from itsdangerous import URLSafeSerializer

    from mission_core.accounts.identity_claims import Claims
    from mission_core.accounts.sign_in import StartedSession
    from mission_http.identity_provider_settings import GoogleSettings
    from mission_http.platform.session_cookies import SessionCookies
    from mission_http.settings import Settings

CALLBACK_PATH: Final = "/api/auth/google"
FLOW_LIFETIME: Final = timedelta(minutes=10)
"""The longest time between the redirect to Google and the browser's return."""
HTTPS_FLOW_COOKIE, PLAIN_FLOW_COOKIE = "__Host-mc-google", "mc-google"
"""Names of the cookie with the state of the flow: over https, and over plain http."""
NOT_CONFIGURED: Final = "Google sign-in is not configured"
FLOW_NOT_FOUND: Final = "Google sign-in was not started in this browser, or too long ago"
CLAIMS_MISSING: Final = "Google token missing required identity fields"
logger = logging.getLogger("mission_http")


class GoogleBody(Body):
    """
    The request body as documented. The handler validates it itself, with the original API's error texts.
    """

    credential: str


class CallbackQuery(Query):
    code: Annotated[str | None, Length(0, 4000)] = None
    state: Annotated[str | None, Length(0, 200)] = None
    error: Annotated[str | None, Length(0, 200)] = None


@frozen
class GoogleSignInHandlers:
    """
    Handlers of Google sign-in.
    """

    settings: Settings
    sign_in: SignInHandlers

    @classmethod
    def from_settings(cls, settings: Settings, cookies: SessionCookies) -> GoogleSignInHandlers:
        """
        Create the handlers from the settings.
        """
        return cls(settings, SignInHandlers(cookies))

    @cached_property
    def flow_serializer(self) -> URLSafeSerializer:
        from itsdangerous import URLSafeSerializer  # few servers have Google sign-in

        return URLSafeSerializer(
            self.settings.key_for("google"), salt="journey",
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )  # fmt: skip

    async def sign_in_with_token(self, request: Request) -> Response:
        """
        Sign in with a Google ID token.

        The token is verified by this server and sent nowhere. For a person who is no user yet, an access request is
        created, and the response is 403.
        """
        credential = (await object_body_of(request)).get("credential")
        if not isinstance(credential, str) or not credential.strip():
            raise InvalidRequest("Missing Google credential")
        person = _person_from_claims(await self._claims(request, credential.strip()))
        begun = await self._begin_session(request, person)
        return await self.sign_in.signed_in_response(request, begun)

    async def sign_in_with_code(self, request: Request) -> Response:
        """
        Redirect a browser to Google, and sign in when Google redirects it back.

        Without `code`, the response redirects to Google and sets a cookie with the state of the flow. With `code` and
        `state`, it sets a session cookie. Each state is valid once, in the browser that got it. A HEAD request changes
        nothing.
        """
        query = query_of(request, CallbackQuery)
        if query.error:
            raise InvalidRequestWithHint("Google sign-in was not completed", f"error of Google: {query.error}")
        if request.method == "HEAD":  # it must not replace the flow of this browser or use up its state
            self._configured_google()
            front = self.settings.network.base_url or exchange_of(request).mount
            return json_response(OkPayload(ok=True), 302, {"location": f"{front}/"})
        if not query.code:
            return self._redirect_to_google(request)
        journey = self._flow_in(request)
        if journey is None or not compare_digest(journey["state"].encode(), (query.state or "").encode()):
            raise InvalidRequestWithHint(FLOW_NOT_FOUND, f"start again at {CALLBACK_PATH}")
        codes = ports_of(request).codes
        if codes is None:
            raise InvalidRequestWithHint(NOT_CONFIGURED, "set GOOGLE_CLIENT_SECRET")
        try:
            token = await codes.token_for(query.code, verifier=journey["verifier"], redirect=self._redirect_uri())
        except TokenRefused as refusal:
            raise _invalid_token(request, refusal) from None
        claims = await self._claims(request, token)
        if not compare_digest(str(claims.get("nonce")).encode(), journey["nonce"].encode()):
            raise _invalid_token(request, TokenRefused("it was made for another sign-in"))
        begun = await self._begin_session(request, _person_from_claims(claims), state=journey["state"])
        response = json_response(OkPayload(ok=True), 302, {"location": f"{self.settings.network.base_url}/"})
        self.sign_in.cookies.set_cookie(response, request, begun.token, lasts=begun.session.expires_at)
        self._set_flow_cookie(response, request, "", 0)
        return response

    def _redirect_to_google(self, request: Request) -> Response:
        google, ports = self._configured_google(), ports_of(request)
        state, nonce, verifier = (ports.secrets.token() for _ in range(3))
        asked = {
            "client_id": google.client_id, "redirect_uri": self._redirect_uri(), "response_type": "code",
            "scope": "openid email profile", "state": state, "nonce": nonce,
            "code_challenge": _code_challenge(verifier),
            "code_challenge_method": "S256", "prompt": "select_account",
        }  # fmt: skip
        response = json_response(OkPayload(ok=True), 302, {"location": f"{google.authorize_url}?{urlencode(asked)}"})
        until = micros(ports.clock.now() + FLOW_LIFETIME)
        journey = self.flow_serializer.dumps({"state": state, "nonce": nonce, "verifier": verifier, "until": until})
        self._set_flow_cookie(response, request, str(journey), int(FLOW_LIFETIME.total_seconds()))
        return response

    def _configured_google(self) -> GoogleSettings:
        google = self.settings.identity_providers.google
        if google is None or google.client_secret is None:
            raise InvalidRequestWithHint(NOT_CONFIGURED, "set GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET")
        return google

    def _redirect_uri(self) -> str:
        base = self.settings.network.base_url
        if base is None:
            raise InvalidRequestWithHint(
                NOT_CONFIGURED, "set MC_BASE_URL to the address that Google redirects browsers to"
            )
        return f"{base}{CALLBACK_PATH}"

    def _flow_in(self, request: Request) -> dict[str, str] | None:
        """
        Read the state of the flow from the browser's cookie; None if it is missing, forged or expired.
        """
        from itsdangerous import BadData

        try:
            found: Any = self.flow_serializer.loads(request.cookies.get(_flow_cookie_name(request), ""))
        except BadData:
            return None
        if ports_of(request).clock.now() < moment(found["until"]):
            return {key: str(value) for key, value in found.items()}
        return None

    def _set_flow_cookie(self, response: Response, request: Request, value: str, seconds: int) -> None:
        # Lax, as the browser must send it when Google redirects back.
        response.set_cookie(
            _flow_cookie_name(request), value, max_age=seconds, path="/", secure=exchange_of(request).secure,
            httponly=True,
            samesite="lax",
        )  # fmt: skip

    async def _claims(self, request: Request, token: str) -> Claims:
        verifier = ports_of(request).verifiers.get(IdentityProvider.GOOGLE)
        if verifier is None:
            raise InvalidRequestWithHint(NOT_CONFIGURED, "set GOOGLE_CLIENT_ID")
        try:
            return await verifier.claims_of(token)
        except TokenRefused as refusal:
            raise _invalid_token(request, refusal) from None

    async def _begin_session(
        self, request: Request, person: ProviderIdentity, *, state: str | None = None
    ) -> StartedSession:
        try:
            return await sign_in_with_google(ports_of(request), person, client=client_of(request), state=state)
        except AccessPending:
            logger.warning("google_access_pending email=%s client=%s", person.email, exchange_of(request).client)
            raise


def _flow_cookie_name(request: Request) -> str:
    """
    Return the name of the cookie with the flow's state. Over https it has the `__Host-` prefix, so that no attacker can
    plant a cookie of their own flow and have the browser signed in as them.
    """
    return HTTPS_FLOW_COOKIE if exchange_of(request).secure else PLAIN_FLOW_COOKIE


def _person_from_claims(claims: Claims) -> ProviderIdentity:
    """
    Read the person from the claims of a Google token, with a verified e-mail address.
    """
    try:
        person = identity_from_claims(claims, IdentityProvider.GOOGLE)
    except TokenRefused as refusal:
        raise InvalidRequestWithHint(CLAIMS_MISSING, refusal.why) from None
    if person.email is None:
        raise InvalidRequestWithHint(CLAIMS_MISSING, "it has no e-mail address")
    if not person.verified:
        raise InvalidRequest("Google email is not verified")
    return person


def _invalid_token(request: Request, refusal: TokenRefused) -> InvalidRequestWithHint:
    exchange = exchange_of(request)
    logger.warning("google_token_refused request=%s client=%s %s", exchange.request_id, exchange.client, refusal.logged)
    mismatch = refusal.fault is TokenFault.AUDIENCE
    return InvalidRequestWithHint("Google token audience mismatch" if mismatch else "Invalid Google token", refusal.why)


def _code_challenge(verifier: str) -> str:
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
    return json_response(OkPayload(ok=True))


def google_endpoints(settings: Settings, cookies: SessionCookies) -> list[Endpoint]:
    """
    Return the operations of Google sign-in.
    """
    desk = GoogleSignInHandlers.from_settings(settings, cookies)
    return [
        Endpoint(
            "POST", "/auth/google", desk.sign_in_with_token, takes=GoogleBody, gives=SignedInPayload,
            refuses=(AccessPending, SigningKeysUnavailable), limits=("login",), operation_id="fleet_googleLogin",
        ),
        Endpoint(
            "GET", "/auth/google", desk.sign_in_with_code, query=CallbackQuery, gives=OkPayload, status=302,
            refuses=(AccessPending, SigningKeysUnavailable, SignInStateUsed), limits=("login",),
            operation_id="fleet_googleOAuthCallback",
        ),
        Endpoint(
            "POST", "/auth/google/disconnect", disconnect, gives=OkPayload, who=OWN_ACCOUNT,
            refuses=(NotConnectedToGoogle, NoPasswordYet), operation_id="fleet_disconnectGoogle",
        ),
    ]  # fmt: skip
