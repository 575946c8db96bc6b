"""
Entity tags: the version of an entity as `ETag: "7"` in a response and `If-Match: "7"` in a request.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import Request

from mission_http.platform.endpoints import RequestHeader
from mission_http.platform.errors import FieldError, FieldsInvalid

IF_MATCH: Final = RequestHeader(
    "If-Match",
    "Refuse the change with 412 unless this is the current version, as in `ETag`; `*` accepts any version.",
    {"type": "string", "minLength": 1, "examples": ['"7"']},
)
NO_VERSION: Final = -1
"""A version that no entity has."""

_tag: Final = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_tags: Final = re.compile(rf"{_tag.pattern}(?:\s*,\s*{_tag.pattern})*")
_version: Final = re.compile(r"0|[1-9][0-9]{0,17}")


def etag_of(version: int) -> str:
    """
    The strong entity tag of a version.
    """
    return f'"{version}"'


def expected_version_of(request: Request) -> int | None:
    """
    The version that `If-Match` requires; None if every version is accepted.

    Weak tags and tags that are not versions match no version. Of several versions the newest counts.

    Raises:
        FieldsInvalid: If the header is no list of entity tags.
    """
    sent = request.headers.getlist("if-match")
    if not sent:
        return None
    value = ", ".join(sent).strip()
    if value == "*":
        return None
    if not _tags.fullmatch(value):
        said = 'Value error, must be * or a list of quoted entity tags, such as "7"'
        raise FieldsInvalid(
            (FieldError(("header", "If-Match"), "value_error", said, value, {"error": said.partition(", ")[2]}),)
        )
    versions = [int(tag[2]) for tag in _tag.finditer(value) if not tag[1] and _version.fullmatch(tag[2])]
    return max(versions, default=NO_VERSION)
