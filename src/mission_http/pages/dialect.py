"""
The declaration of the page for the platform.

People sign in with the session of the Fleet API, whose operations the forms call. All else on the page has paths of its
own below `/ui`, and calls the same use cases as the APIs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import evolve
from cattrs import Converter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from mission_http.fleet.access import OPERATOR, VIEWER, authenticator
from mission_http.fleet.errors import STATUSES, OriginMismatch
from mission_http.pages.rendering import HEADERS
from mission_http.platform.cross_site_requests import foreign_origin
from mission_http.platform.endpoints import Dialect, Endpoint, EndpointGroup
from mission_http.platform.exchange import exchange_of
from mission_http.platform.session_cookies import SessionCookies

if TYPE_CHECKING:
    from mission_http.settings import Settings

PREFIX: Final = "/ui"
SIGN_IN: Final = PREFIX + "/sign-in"
READER, WRITER = (evolve(each, headers=()) for each in (VIEWER, OPERATOR))
"""The roles are those of the Fleet API."""


def pages_dialect(settings: Settings) -> Dialect:
    """
    Build the page, which stands at `/`.
    """
    cookies = SessionCookies.signed_with(settings.key_for("sessions"), settings.network)
    converter = Converter()

    def precheck(request: Request, endpoint: Endpoint | None) -> None:
        if endpoint is not None and endpoint.is_change and (origin := foreign_origin(request, settings.network)):
            raise OriginMismatch(origin)

    return Dialect(
        name="Page",
        prefix=PREFIX,
        endpoints=[
            Endpoint("GET", "/", _home, who=READER, rooted=True, listed=False),
            EndpointGroup("mission_http.pages.endpoints:page_endpoints", ("",), (settings,)),
        ],
        converter=converter,
        query_converter=converter,
        authenticate=authenticator(cookies, settings.identity_providers.proxy),
        render=_render,
        statuses=STATUSES,
        precheck=precheck,
        headers=HEADERS,
    )


async def _home(request: Request) -> Response:
    """
    Return the page.
    """
    from mission_http.pages.panels import home_page  # most servers are never asked for it

    return await home_page(request)


def _render(error: Exception, status: int, request: Request) -> Response:
    """
    Answer with the reason as text, which the page shows. A person who is not signed in is sent to the form.
    """
    form = f"{exchange_of(request).mount}{SIGN_IN}"
    if status != 401:
        return PlainTextResponse(f"{error}\n", status)
    if request.headers.get("hx-request"):
        return PlainTextResponse("Sign in again.\n", status, headers={"hx-redirect": form})
    return RedirectResponse(form, 303)
