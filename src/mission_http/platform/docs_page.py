"""
The API documentation as an HTML page: Swagger UI from this server's own files, in the folder `mission_http/swagger_ui`.
"""

from __future__ import annotations

import re
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Final

from mission_core.lazy_attrs import frozen

VERSION: Final = "5.35.0"
"""The version of the npm package `swagger-ui-dist` that the files are from."""
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The `Content-Security-Policy` of the page. Swagger UI has its icons as `data:` URLs in its style sheet."""
PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<link rel="stylesheet" href="{style}">
<link rel="icon" type="image/png" href="{icon}">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript. The API is described in <a href="openapi.json">openapi.json</a>.</noscript>
<script src="{library}"></script>
<script src="{start}"></script>
</body>
</html>
"""


@frozen
class PageFile:
    """
    A file that the page loads.
    """

    name: str
    media_type: str
    vendored: bool = True
    """Whether the file is part of Swagger UI, so that its content belongs to the version in its path."""

    @property
    def path(self) -> str:
        return f"/docs/{VERSION}/{self.name}" if self.vendored else f"/docs/{self.name}"

    @property
    def cache_control(self) -> str:
        return "public, max-age=31536000, immutable" if self.vendored else "no-cache"


STYLE: Final = PageFile("swagger-ui.css", "text/css")
ICON: Final = PageFile("favicon-32x32.png", "image/png")
LIBRARY: Final = PageFile("swagger-ui-bundle.js", "text/javascript")
START: Final = PageFile("start.js", "text/javascript", vendored=False)
FILES: Final = {file.path: file for file in (STYLE, ICON, LIBRARY, START)}


@cache
def content_of(file: PageFile) -> tuple[bytes, str]:
    """
    The content of a file of the page, and its entity tag.
    """
    content = (files("mission_http") / "swagger_ui" / file.name).read_bytes()
    return content, f'"{sha256(content).hexdigest()[:32]}"'


def render_docs_page(title: str) -> bytes:
    """
    The HTML page. Its links are relative, so that it works below any path prefix.
    """
    links = {"style": STYLE, "icon": ICON, "library": LIBRARY, "start": START}
    return PAGE.format(title=escape(title), **{name: file.path[1:] for name, file in links.items()}).encode()


def is_current(tag: str, sent: str) -> bool:
    """
    Whether an `If-None-Match` header names an entity tag.
    """
    return sent.strip() == "*" or tag in re.findall(r'"[^"]*"', sent)
