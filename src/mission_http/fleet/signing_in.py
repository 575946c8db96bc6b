"""
Signing in and out, and one's own account.
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
    The server's key has no password that could be changed.
    """

    def __str__(self) -> str:
        return "API key users cannot change passwords"


@frozen
class SignInDesk:
    """
    Lets people in and out, and gives browsers the cookies for it.
    """

    cookies: SessionCookies

    async def log_in(self, request: Request) -> Response:
        """
        Sign in with a user name and a password.

        The answer sets the cookie of a new session, whatever the request brought. Where a browser would not keep it, or
        it cannot be made as safe as it should be, `warning` says why.
        """
        body = await loose_body_of(request)
        username, password = body.get("username"), body.get("password")
        if not (isinstance(username, str) and isinstance(password, str) and username and password):
            raise Unacceptable("Username and password are required")
        ports = ports_of(request)
        try:
            begun = await sign_in(ports, SignIn(username=username, password=password))
        except SignInRefused as refusal:
            told = (refusal.username or "somebody unknown", exchange_of(request).client, refusal.reason)
            logger.warning("nobody was signed in as %s from %s: %s", *told)
            raise (SetupNeeded() if await needs_setup(ports) else InvalidCredentials()) from None
        workspace = await workspace_of(ports, begun.principal)
        return self.let_in(
            request, begun, {"user": identity_of(begun.user, begun.principal.role.value, workspace)}
        )

    def let_in(self, request: Request, begun: Begun, answer: dict[str, Any]) -> Response:
        """
        The answer with the cookie of a session, and what keeps a browser from keeping it.
        """
        warning = self.cookies.warning_for(request)
        if warning is not None:
            logger.warning("%s signed in: %s", begun.principal.name, warning)
            answer["warning"] = warning
        response = json_of(answer)
        self.cookies.give(response, request, begun.token, lasts=begun.session.expires_at)
        return response

    async def log_out(self, request: Request) -> Response:
        """
        End the session of the request, and let the browser forget it.
        """
        response = json_of({"ok": True})
        self.cookies.take_back(response, request)
        for member in await self.cookies.members_in(request):
            await sign_out(ports_of(request), member)
        return response

    async def change_me(self, request: Request) -> Response:
        """
        Change how one is called, or one's password, which ends all sessions and begins a new one.
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
    What is to change.

    Raises:
        Unacceptable: If it is nothing, or what nobody can be called or sign in with.
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
    Tell who calls.
    """
    return json_of({"user": await caller_of(ports_of(request), principal_of(request))})


TAGS = ("Auth",)


def signing_in_endpoints(cookies: SessionCookies) -> list[Endpoint]:
    """
    The operations by which people come in, and change what they come in with.
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
