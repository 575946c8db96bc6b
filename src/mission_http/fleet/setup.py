"""
Initial setup: creation of the first admin.
"""

from __future__ import annotations

import re
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.first_admin import MakeFirstAdmin, SetupDone, SetupRaced, make_first_admin, needs_setup
from mission_core.accounts.passwords import PasswordRefused, checked_password
from mission_core.accounts.signing_in import begin_session
from mission_core.accounts.users import Provider, UsernameTaken
from mission_core.values import UNSTORABLE
from mission_http.fleet.errors import CodeNeeded, Unacceptable
from mission_http.fleet.signing_in import SignInDesk
from mission_http.fleet.user_payloads import NeedsSetupPayload, SetupBody, SetUpPayload
from mission_http.platform.bodies import loose_body_of
from mission_http.platform.clients import is_at_this_machine
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of
from mission_http.platform.json import json_of
from mission_http.platform.sessions import SessionCookies

if TYPE_CHECKING:
    from mission_http.settings import Settings

USERNAME: Final = re.compile(r"[a-z0-9._-]+")
LEAST, MOST, LONGEST_NAME = 2, 64, 500


@frozen
class SetupDesk:
    """
    Handlers of the initial setup. It needs the setup code, unless *free_here* and the request comes from this machine.
    """

    code: str = field(repr=False)
    free_here: bool
    desk: SignInDesk

    async def ask(self, request: Request) -> Response:
        """
        Check whether the first admin still has to be created.
        """
        return json_of({"needsSetup": await needs_setup(ports_of(request))})

    async def make(self, request: Request) -> Response:
        """
        Create the first admin, and sign in.

        The `code` is needed that the server printed on its terminal when it started, except from the server's own
        machine if no proxy and no public host name are configured.
        """
        ports, body = ports_of(request), await loose_body_of(request)
        if not await needs_setup(ports):
            raise SetupDone
        self._check_code(request, body.get("code"))
        made = await make_first_admin(ports, _admin_in(body))
        begun = await begin_session(ports, made.user, how=Provider.LOCAL.value)
        user = begun.user
        shown = {"id": user.number, "username": user.username, "display_name": user.display, "role": "admin"}
        return self.desk.let_in(request, begun, {"user": shown})

    def _check_code(self, request: Request, sent: object) -> None:
        if isinstance(sent, str) and compare_digest(sent.strip().encode(errors="replace"), self.code.encode()):
            return
        if sent or not (self.free_here and is_at_this_machine(request.scope)):
            raise CodeNeeded(sent=bool(sent))


def _admin_in(body: dict[str, Any]) -> MakeFirstAdmin:
    """
    Create the command from the request body.

    Raises:
        Unacceptable: If a name or the password is invalid.
    """
    username, password = body.get("username"), body.get("password")
    name = body.get("displayName", body.get("display_name"))  # the response has the second spelling
    if not isinstance(username, str) or not username:
        raise Unacceptable("Username is required")
    username = username.strip().lower()
    if not LEAST <= len(username) <= MOST:
        raise Unacceptable(f"Username must be {LEAST}-{MOST} characters")
    if not USERNAME.fullmatch(username):
        raise Unacceptable("Username can only contain lowercase letters, numbers, dots, hyphens, and underscores")
    if not isinstance(password, str) or not password:
        raise Unacceptable("Password is required")
    try:
        checked_password(password)
    except PasswordRefused as refusal:
        raise Unacceptable(str(refusal)) from None
    if name is not None and (not isinstance(name, str) or len(name) > LONGEST_NAME or UNSTORABLE.search(name)):
        raise Unacceptable("Validation failed", (f"displayName: must be text of at most {LONGEST_NAME} characters",))
    return MakeFirstAdmin(username=username, password=password, name=name)


TAGS = ("Auth",)


def setup_endpoints(settings: Settings, cookies: SessionCookies) -> list[Endpoint]:
    """
    Return the operations of the initial setup.
    """
    desk = SetupDesk(settings.setup_code, settings.setup_is_free_here, SignInDesk(cookies))
    return [
        Endpoint("GET", "/setup", desk.ask, gives=NeedsSetupPayload, operation_id="fleet_getSetup", tags=TAGS),
        Endpoint(
            "POST", "/setup", desk.make, takes=SetupBody, gives=SetUpPayload,
            refuses=(SetupDone, CodeNeeded, SetupRaced, UsernameTaken), operation_id="fleet_setUp",
            tags=TAGS,
        ),
    ]  # fmt: skip
