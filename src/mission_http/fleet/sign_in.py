"""
Operations to sign in and out, and on the caller's own account.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.first_admin import needs_setup
from mission_core.accounts.key_scopes import SELF
from mission_core.accounts.model import AgentPrincipal, MemberPrincipal
from mission_core.accounts.own_account import UpdateAccount, WrongPassword, update_account
from mission_core.accounts.passwords import MIN_PASSWORD_LENGTH, PasswordRefused
from mission_core.accounts.sign_in import SignIn, SignInClient, SignInRefused, StartedSession, sign_in, sign_out
from mission_core.accounts.users import User, UserNotFound
from mission_core.errors import Denied
from mission_core.lazy_attrs import frozen
from mission_core.values import ABSENT, UNSTORABLE
from mission_http.fleet.access import OWN_ACCOUNT, VIEWER
from mission_http.fleet.errors import InvalidCredentials, InvalidRequest, SetupRequired
from mission_http.fleet.user_payloads import (
    CallerPayload,
    ChangedMePayload,
    LoginBody,
    MePayload,
    OkPayload,
    SetUpPayload,
    SignedInPayload,
    UpdateMeBody,
    caller_payload,
    workspace_number_of,
)
from mission_http.platform.bodies import object_body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import exchange_of, ports_of, principal_of
from mission_http.platform.json_responses import json_response
from mission_http.platform.rate_limits import count_request
from mission_http.platform.session_cookies import SessionCookies

MAX_USER_AGENT_LENGTH: Final = 500

logger = logging.getLogger("mission_http")


class KeysHaveNoPassword(Denied):
    """
    An API key has no password to change.
    """

    says = "API key users cannot change passwords"


def client_of(request: Request) -> SignInClient:
    """
    Describe the client of a sign-in.
    """
    exchange = exchange_of(request)
    said = exchange.headers.get(b"user-agent", b"").decode("latin-1")
    return SignInClient(exchange.client, UNSTORABLE.sub("", said)[:MAX_USER_AGENT_LENGTH] or None)


@frozen
class SignInHandlers:
    """
    Handlers of sign-in and sign-out, which set and delete the session cookie.
    """

    cookies: SessionCookies

    async def log_in(self, request: Request) -> Response:
        """
        Sign in with a user name and a password.

        The response sets the cookie of a new session, even if the request has one. `warning` says why a browser would
        reject the cookie, or why it is less secure than it should be.
        """
        body = await object_body_of(request)
        username, password = body.get("username"), body.get("password")
        if not (isinstance(username, str) and isinstance(password, str) and username and password):
            raise InvalidRequest("Username and password are required")
        ports = ports_of(request)
        try:
            begun = await sign_in(ports, SignIn(username=username, password=password, client=client_of(request)))
        except SignInRefused as refusal:
            told = (refusal.username or "unknown", exchange_of(request).client, refusal.reason)
            logger.warning("sign_in_refused username=%s client=%s reason=%r", *told)
            raise (SetupRequired() if await needs_setup(ports) else InvalidCredentials()) from None
        return await self.signed_in_response(request, begun)

    async def signed_in_response(self, request: Request, begun: StartedSession) -> Response:
        """
        Respond with the user who signed in and the session cookie.
        """
        workspace = await workspace_number_of(ports_of(request), begun.principal)
        shown = CallerPayload.of(begun.user, role=begun.principal.role.value, workspace_id=workspace)
        return self.session_response(request, begun, SignedInPayload(user=shown))

    def session_response(
        self, request: Request, begun: StartedSession, answer: SignedInPayload | ChangedMePayload | SetUpPayload
    ) -> Response:
        """
        Respond with the session cookie, and with a warning if browsers would reject the cookie.
        """
        warning = self.cookies.warning_for(request)
        if warning is not None:
            logger.warning("session_cookie_warning username=%s warning=%r", begun.principal.name, warning)
            answer.warning = warning
        response = json_response(answer)
        self.cookies.set_cookie(response, request, begun.token, lasts=begun.session.expires_at)
        return response

    async def log_out(self, request: Request) -> Response:
        """
        End the session of the request, and delete its cookie.
        """
        response = json_response(OkPayload(ok=True))
        self.cookies.clear_cookies(response, request)
        for member in await self.cookies.members_in(request):
            await sign_out(ports_of(request), member)
        return response

    async def change_me(self, request: Request) -> Response:
        """
        Change the caller's display name or password.

        A new password ends all sessions and starts a new one.
        """
        ports, principal = ports_of(request), principal_of(request)
        body = await object_body_of(request)
        if isinstance(principal, AgentPrincipal):
            raise UserNotFound
        if not isinstance(principal, MemberPrincipal):
            raise KeysHaveNoPassword
        if body.get("new_password"):
            await count_request(request, "password-change")
        try:
            changed = await update_account(ports, principal, _account_changes(body))
        except PasswordRefused as refusal:
            raise InvalidRequest(str(refusal)) from None
        user = changed if isinstance(changed, User) else changed.user
        shown = CallerPayload.of(
            user, role=principal.role.value, workspace_id=await workspace_number_of(ports, principal)
        )
        answer = ChangedMePayload(success=True, user=shown)
        if isinstance(changed, StartedSession):
            return self.session_response(request, changed, answer)
        return json_response(answer)


def _account_changes(body: dict[str, Any]) -> UpdateAccount:
    """
    Create the command from the request body.

    Raises:
        InvalidRequest: If nothing changes, or the name or the password is invalid.
    """
    name, password, current = (body.get(each) for each in ("display_name", "new_password", "current_password"))
    for field, value in (("display_name", name), ("new_password", password), ("current_password", current)):
        if value is not None and (not isinstance(value, str) or (field == "display_name" and UNSTORABLE.search(value))):
            raise InvalidRequest("Validation failed", (f"{field}: Input should be a valid string",))
    if password and not current:
        raise InvalidRequest("Current password is required")
    if password and len(password) < MIN_PASSWORD_LENGTH:
        raise InvalidRequest(f"New password must be at least {MIN_PASSWORD_LENGTH} characters")
    if name is not None and not name.strip():
        raise InvalidRequest("Display name cannot be empty")
    if name is None and not password:
        raise InvalidRequest("No updates provided")
    return UpdateAccount(
        name=ABSENT if name is None else name.strip(), current=current or "", password=password or ABSENT
    )


async def tell_me(request: Request) -> Response:
    """
    Get the caller's account.
    """
    return json_response(MePayload(user=await caller_payload(ports_of(request), principal_of(request))))


def sign_in_endpoints(cookies: SessionCookies) -> list[Endpoint]:
    """
    Return the operations of sign-in, sign-out and the caller's account.
    """
    desk = SignInHandlers(cookies)
    return [
        Endpoint(
            "POST", "/auth/login", desk.log_in, takes=LoginBody, gives=SignedInPayload,
            refuses=(InvalidCredentials, SetupRequired), limits=("login",), operation_id="fleet_login",
        ),
        Endpoint("POST", "/auth/logout", desk.log_out, gives=OkPayload, operation_id="fleet_logout"),
        Endpoint("GET", "/auth/me", tell_me, gives=MePayload, who=VIEWER, scope=SELF, operation_id="fleet_getMe"),
        Endpoint(
            "PATCH", "/auth/me", desk.change_me, takes=UpdateMeBody, gives=ChangedMePayload, who=OWN_ACCOUNT,
            refuses=(KeysHaveNoPassword, WrongPassword, UserNotFound), limits_within=("password-change",),
            operation_id="fleet_updateMe",
        ),
    ]  # fmt: skip
