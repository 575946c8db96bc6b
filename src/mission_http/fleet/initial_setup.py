"""
Initial setup: creation of the first admin.
"""

from __future__ import annotations

import re
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final

from attrs import field
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.first_admin import CreateFirstAdmin, SetupDone, SetupRaced, create_first_admin, needs_setup
from mission_core.accounts.passwords import PasswordRefused, checked_password
from mission_core.accounts.sign_in import start_session
from mission_core.accounts.users import IdentityProvider, UsernameTaken
from mission_core.lazy_attrs import frozen
from mission_core.values import UNSTORABLE
from mission_http.fleet.errors import InvalidRequest, SetupCodeRequired
from mission_http.fleet.sign_in import SignInHandlers, client_of
from mission_http.fleet.user_payloads import FirstAdminPayload, NeedsSetupPayload, SetupBody, SetUpPayload
from mission_http.platform.bodies import object_body_of
from mission_http.platform.client_addresses import is_local_client
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of
from mission_http.platform.json_responses import json_response
from mission_http.platform.session_cookies import SessionCookies

if TYPE_CHECKING:
    from mission_http.settings import Settings

USERNAME: Final = re.compile(r"[a-z0-9._-]+")
MIN_USERNAME_LENGTH, MAX_USERNAME_LENGTH, MAX_NAME_LENGTH = 2, 64, 500


@frozen
class SetupHandlers:
    """
    Handlers of the initial setup. It needs the setup code, unless *no_code_on_loopback* and the request comes from this
    machine.
    """

    code: str = field(repr=False)
    no_code_on_loopback: bool
    sign_in: SignInHandlers

    async def ask(self, request: Request) -> Response:
        """
        Check whether the first admin still has to be created.
        """
        return json_response(NeedsSetupPayload(needsSetup=await needs_setup(ports_of(request))))

    async def make(self, request: Request) -> Response:
        """
        Create the first admin, and sign in.

        The `code` is needed that the server printed on its terminal when it started, except from the server's own
        machine if no proxy and no public host name are configured.
        """
        ports, body = ports_of(request), await object_body_of(request)
        if not await needs_setup(ports):
            raise SetupDone
        self._check_code(request, body.get("code"))
        made = await create_first_admin(ports, _first_admin_command(body))
        begun = await start_session(ports, made.user, how=IdentityProvider.LOCAL.value, client=client_of(request))
        return self.sign_in.session_response(request, begun, SetUpPayload(user=FirstAdminPayload.of(begun.user)))

    def _check_code(self, request: Request, sent: object) -> None:
        if isinstance(sent, str) and compare_digest(sent.strip().encode(errors="replace"), self.code.encode()):
            return
        if sent or not (self.no_code_on_loopback and is_local_client(request.scope)):
            raise SetupCodeRequired(sent=bool(sent))


def _first_admin_command(body: dict[str, Any]) -> CreateFirstAdmin:
    """
    Create the command from the request body.

    Raises:
        InvalidRequest: If a name or the password is invalid.
    """
    username, password = body.get("username"), body.get("password")
    name = body.get("displayName", body.get("display_name"))  # the response has the second spelling
    if not isinstance(username, str) or not username:
        raise InvalidRequest("Username is required")
    username = username.strip().lower()
    if not MIN_USERNAME_LENGTH <= len(username) <= MAX_USERNAME_LENGTH:
        raise InvalidRequest(f"Username must be {MIN_USERNAME_LENGTH}-{MAX_USERNAME_LENGTH} characters")
    if not USERNAME.fullmatch(username):
        raise InvalidRequest("Username can only contain lowercase letters, numbers, dots, hyphens, and underscores")
    if not isinstance(password, str) or not password:
        raise InvalidRequest("Password is required")
    try:
        checked_password(password)
    except PasswordRefused as refusal:
        raise InvalidRequest(str(refusal)) from None
    if name is not None and (not isinstance(name, str) or len(name) > MAX_NAME_LENGTH or UNSTORABLE.search(name)):
        raise InvalidRequest(
            "Validation failed", (f"displayName: must be text of at most {MAX_NAME_LENGTH} characters",)
        )
    return CreateFirstAdmin(username=username, password=password, name=name)


def setup_endpoints(settings: Settings, cookies: SessionCookies) -> list[Endpoint]:
    """
    Return the operations of the initial setup.
    """
    desk = SetupHandlers(settings.setup_code, settings.setup_needs_no_code_locally, SignInHandlers(cookies))
    return [
        Endpoint("GET", "/setup", desk.ask, gives=NeedsSetupPayload, operation_id="fleet_getSetup"),
        Endpoint(
            "POST", "/setup", desk.make, takes=SetupBody, gives=SetUpPayload,
            refuses=(SetupDone, SetupCodeRequired, SetupRaced, UsernameTaken), operation_id="fleet_setUp",
        ),
    ]  # fmt: skip
