"""
Rendering of the page: its templates, and the files that it loads.

Every value in a template is escaped. The `Content-Security-Policy` allows scripts and styles from this server alone,
and none in the HTML itself.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from mission_core.values import moment
from mission_http.platform.docs_page import is_current
from mission_http.platform.exchange import exchange_of

if TYPE_CHECKING:
    from jinja2 import Environment

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
STATIC_FILES: Final = {
    "htmx.min.js": "text/javascript",
    "htmx-sse.min.js": "text/javascript",
    "uPlot.iife.min.js": "text/javascript",
    "uPlot.min.css": "text/css",
    "page.js": "text/javascript",
    "page.css": "text/css",
    "icon.svg": "image/svg+xml",
}
"""The files that the page loads, with their media types."""
NANO_DOLLARS: Final = 1_000_000_000


def html_response(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    """
    Render a template with these values and the path prefix of the application.
    """
    text = _environment().get_template(template).render(mount=exchange_of(request).mount, **values)
    return HTMLResponse(text, status)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # most servers are never asked for the page

    made = Environment(
        loader=PackageLoader("mission_http.pages"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {"dollars": dollars, "time": shown_time, "words": spelled_out, "indented": indented}
    made.globals["file"] = static_path
    return made


def dollars(cost: int | None) -> str:
    """
    Spell nano-dollars as dollars; an unknown cost is not zero.
    """
    return "unknown" if cost is None else f"${cost / NANO_DOLLARS:,.2f}"


def shown_time(at: datetime | int | None) -> str:
    """
    Spell a time, or microseconds since 1970, in UTC, as an HTML `time` element takes it.
    """
    if at is None:
        return ""
    return (moment(at) if isinstance(at, int) else at.astimezone(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")


def spelled_out(name: str) -> str:
    """
    Spell a name in snake case as words.
    """
    return name.replace("_", " ").capitalize()


def indented(text: str) -> str:
    """
    Spread JSON over lines.
    """
    return msgspec.json.format(text)


@cache
def _content_of(name: str) -> tuple[bytes, str]:
    """
    The content of a file, and its entity tag.
    """
    content = (files("mission_http") / "pages" / "static" / name).read_bytes()
    return content, sha256(content).hexdigest()[:16]


def static_path(name: str) -> str:
    """
    The path of a file below the path prefix of the application. It changes with the content.
    """
    return f"/ui/static/{name}?{_content_of(name)[1]}"


async def static_file(request: Request) -> Response:
    """
    Return a file that the page loads.
    """
    name = exchange_of(request).path.rpartition("/")[2]
    content, digest = _content_of(name)
    headers = {"cache-control": "public, max-age=31536000, immutable", "etag": f'"{digest}"'}
    if is_current(headers["etag"], request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=STATIC_FILES[name], headers=headers)
