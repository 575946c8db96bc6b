"""
Operations to sign in and out, and on the caller's own account.
"""

from __future__ import annotations

import logging
from typing import Any

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.first_admin import needs_setup
from mission_core.accounts.model import AgentPrincipal, MemberPrincipal
from mission_core.accounts.own_account import UpdateAccount, WrongPassword, update_account
from mission_core.accounts.passwords import LEAST_PASSWORD, PasswordRefused
from mission_core.accounts.scopes import SELF
from mission_core.accounts.signing_in import Begun, SignIn, SignInRefused, sign_in, sign_out
from mission_core.accounts.users import User, UserNotFound
from mission_core.errors import Denied
from mission_core.values import ABSENT, UNSTORABLE
from mission_http.fleet.access import ONESELF, VIEWER
from mission_http.fleet.errors import InvalidCredentials, SetupNeeded, Unacceptable
from mission_http.fleet.user_payloads import (
    ChangedMePayload,
    LoginBody,
    MePayload,
    OkPayload,
    SignedInPayload,
    UpdateMeBody,
    caller_of,
    identity_of,
    workspace_of,
)
from mission_http.platform.bodies import loose_body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import exchange_of, ports_of, principal_of
from mission_http.platform.json import json_of
from mission_http.platform.rate_limits import hit
from mission_http.platform.sessions import SessionCookies

logger = logging.getLogger("mission_http")


class KeysHaveNoPassword(Denied):
    """
    An API key has no password to change.
    """

    def __str__(self) -> str:
        return "API key users cannot change passwords"


@frozen
class SignInDesk:
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
        body = await loose_body_of(request)
        username, password = body.get("username"), body.get("password")
        if not (isinstance(username, str) and isinstance(password, str) and username and password):
            raise Unacceptable("Username and password are required")
        ports = ports_of(request)
        try:
            begun = await sign_in(ports, SignIn(username=username, password=password))
        except SignInRefused as refusal:
            told = (refusal.username or "unknown", exchange_of(request).client, refusal.reason)
            logger.warning("sign_in_refused username=%s client=%s reason=%r", *told)
            raise (SetupNeeded() if await needs_setup(ports) else InvalidCredentials()) from None
        workspace = await workspace_of(ports, begun.principal)
        return self.let_in(
            request, begun, {"user": identity_of(begun.user, begun.principal.role.value, workspace)}
        )

    def let_in(self, request: Request, begun: Begun, answer: dict[str, Any]) -> Response:
        """
        Respond with the session cookie, and with a warning if browsers would reject the cookie.
        """
        warning = self.cookies.warning_for(request)
        if warning is not None:
            logger.warning("session_cookie_warning username=%s warning=%r", begun.principal.name, warning)
            answer["warning"] = warning
        response = json_of(answer)
        self.cookies.give(response, request, begun.token, lasts=begun.session.expires_at)
        return response

    async def log_out(self, request: Request) -> Response:
        """
        End the session of the request, and delete its cookie.
        """
        response = json_of({"ok": True})
        self.cookies.take_back(response, request)
        for member in await self.cookies.members_in(request):
            await sign_out(ports_of(request), member)
        return response

    async def change_me(self, request: Request) -> Response:
        """
        Change the caller's display name or password.

        A new password ends all sessions and starts a new one.
        """
        ports, principal = ports_of(request), principal_of(request)
        body = await loose_body_of(request)
        if isinstance(principal, AgentPrincipal):
            raise UserNotFound
        if not isinstance(principal, MemberPrincipal):
            raise KeysHaveNoPassword
        if body.get("new_password"):
            await hit(request, "password-change")
        try:
            changed = await update_account(ports, principal, _account_in(body))
        except PasswordRefused as refusal:
            raise Unacceptable(str(refusal)) from None
        user = changed if isinstance(changed, User) else changed.user
        shown = identity_of(user, principal.role.value, await workspace_of(ports, principal))
        answer: dict[str, Any] = {"success": True, "user": shown}
        return self.let_in(request, changed, answer) if isinstance(changed, Begun) else json_of(answer)


def _account_in(body: dict[str, Any]) -> UpdateAccount:
    """
    Create the command from the request body.

    Raises:
        Unacceptable: If nothing changes, or the name or the password is invalid.
    """
    name, password, current = (body.get(each) for each in ("display_name", "new_password", "current_password"))
    for field, value in (("display_name", name), ("new_password", password), ("current_password", current)):
        if value is not None and (not isinstance(value, str) or (field == "display_name" and UNSTORABLE.search(value))):
            raise Unacceptable("Validation failed", (f"{field}: Input should be a valid string",))
    if password and not current:
        raise Unacceptable("Current password is required")
    if password and len(password) < LEAST_PASSWORD:
        raise Unacceptable(f"New password must be at least {LEAST_PASSWORD} characters")
    if name is not None and not name.strip():
        raise Unacceptable("Display name cannot be empty")
    if name is None and not password:
        raise Unacceptable("No updates provided")
    return UpdateAccount(
        name=ABSENT if name is None else name.strip(), current=current or "", password=password or ABSENT
    )


async def tell_me(request: Request) -> Response:
    """
    Get the caller's account.
    """
    return json_of({"user": await caller_of(ports_of(request), principal_of(request))})


TAGS = ("Auth",)


def signing_in_endpoints(cookies: SessionCookies) -> list[Endpoint]:
    """
    Return the operations of sign-in, sign-out and the caller's account.
    """
    desk = SignInDesk(cookies)
    return [
        Endpoint(
            "POST", "/auth/login", desk.log_in, takes=LoginBody, gives=SignedInPayload,
            refuses=(InvalidCredentials, SetupNeeded), limits=("login",), operation_id="fleet_login", tags=TAGS,
        ),
        Endpoint("POST", "/auth/logout", desk.log_out, gives=OkPayload, operation_id="fleet_logout", tags=TAGS),
        Endpoint(
            "GET", "/auth/me", tell_me, gives=MePayload, who=VIEWER, scope=SELF, operation_id="fleet_getMe", tags=TAGS
        ),
        Endpoint(
            "PATCH", "/auth/me", desk.change_me, takes=UpdateMeBody, gives=ChangedMePayload, who=ONESELF,
            refuses=(KeysHaveNoPassword, WrongPassword, UserNotFound), limits_within=("password-change",),
            operation_id="fleet_updateMe", tags=TAGS,
        ),
    ]  # fmt: skip
