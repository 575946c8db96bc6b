"""
URLs of databases and of Redis: their parts, and their display without credentials.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, unquote

HIDDEN: Final = "..."
UNREADABLE: Final = "its URL cannot be read: in a user name or password write / as %2F, ? as %3F, # as %23 and @ as %40"
NO_DATABASE: Final = "no such database: a URL is sqlite:///path or postgresql://user:password@host/database"
PARAMETERS_WITH_AT: Final = frozenset({"user", "password"})
"""The query parameters whose values may contain an unescaped @."""
_host: Final = r"(\[[^\[\]]*\]|[^\[\]:,]*)(:[0-9]*)?"
_hosts: Final = re.compile(f"{_host}(,{_host})*")
_authority: Final = re.compile(r"[^/?#]*")


def sqlite_url(path: str) -> str:
    """
    The URL of a SQLite file.
    """
    return f"sqlite:///{path.replace('%', '%25').replace('?', '%3F')}"


def sqlite_paths(url: str) -> tuple[str, str] | None:
    """
    The path of the file that a SQLite URL names, percent-decoded and as written. None for a PostgreSQL URL. A question
    mark ends the path.

    Raises:
        ValueError: If it is neither a SQLite nor a PostgreSQL URL.
    """
    scheme, separator, rest = url.partition("://")
    match scheme.partition("+")[0] if separator else "":
        case "sqlite" if rest.startswith("/") and len(rest) > 1:
            written = rest[1:].partition("?")[0]
            return unquote(written, errors="surrogateescape"), written
        case "postgresql" | "postgres":
            return None
    raise ValueError(NO_DATABASE)


def is_sqlite(url: str) -> bool:
    """
    Whether a URL names a SQLite database, well-formed or not.
    """
    return url.partition("://")[0].partition("+")[0] == "sqlite"


def is_readable(url: str) -> bool:
    """
    Whether a server URL has the parts that its author meant. An unescaped reserved character in a password would make
    part of the password a host, a port, a path or a query.
    """
    rest = url.partition("://")[2]
    authority = _authority.match(rest)[0]  # type: ignore[index]  # it matches any text
    path, _, query = rest[len(authority) :].partition("?")
    if "@" in path or not _hosts.fullmatch(authority.rpartition("@")[2]):
        return False
    return all(
        "@" not in name + value or name in PARAMETERS_WITH_AT
        for name, value in parse_qsl(query, keep_blank_values=True)
    )


def without_credentials(url: str) -> str:
    """
    The URL without user name, password and query, for display.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return HIDDEN
    if is_sqlite(url):
        paths = sqlite_paths(url) if len(rest) > 1 else None
        return url if paths is None else f"{scheme}:///{paths[0]}"
    before, at, last = rest.rpartition("@")
    if is_readable(url):
        place = re.split("[?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    elif at and "=" not in before:  # otherwise the @ may be in a query, with part of a password after it
        place = re.split("[?#]", last, maxsplit=1)[0]
    else:
        place = HIDDEN
    return f"{scheme}://{place}"
