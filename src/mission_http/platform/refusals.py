"""
What the platform itself refuses, in neutral words; each dialect renders them in its own envelope.

    Invalid
    ├── FieldsInvalid        values of the body, query, path or headers that cannot be read
    ├── BodyMalformed        the body is not JSON
    ├── BodyMissing          there is no body, and there must be one
    ├── BodyTooLarge         it is longer than the limit
    ├── EncodingUnsupported  it is compressed
    ├── RequestMalformed     what came is no HTTP
    └── HeadersTooLarge      the headers are longer than the limit
    NotFound
    └── PathUnknown          no endpoint has this path
    Exhausted
    ├── TooManyRequests      a rate limit is used up
    └── ServerBusy           there are more connections than the server takes
    Refusal
    ├── MethodRefused        the path is known, this method is not
    └── RequestTimedOut      the rest of the request did not come in time
    Unexpected               what no one foresaw; the reason is in the server's log only
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import define, evolve, frozen

from mission_core.errors import Exhausted, Invalid, NotFound, Refusal
from mission_core.limiting import Verdict

NO_CONTEXT: Final[Mapping[str, Any]] = {}
REALM: Final = "Mission Control"
LONGEST_DESCRIPTION: Final = 500
UNFIT: Final = re.compile(r"[^ !#-\[\]-~]")
"""What RFC 6750 allows in no description of an error."""


@frozen
class FieldError:
    """
    One wrong value: where it stands, what kind of mistake it is, and how to say so.
    """

    loc: tuple[str | int, ...]
    kind: str
    message: str
    input: object = None
    ctx: Mapping[str, Any] = NO_CONTEXT

    def within(self, *outer: str | int) -> FieldError:
        """
        The same mistake, seen from further out.
        """
        return evolve(self, loc=(*outer, *self.loc))

    @property
    def dotted(self) -> str:
        """
        The place in dots, without its first element (`body`, `query`, …).
        """
        return ".".join(str(step) for step in self.loc[1:])


@define
class FieldsInvalid(Invalid):
    """
    Values that cannot be read, every one of them. A location starts with `body`, `query`, `path` or `header`.
    """

    errors: tuple[FieldError, ...]

    def __str__(self) -> str:
        return "; ".join(f"{'.'.join(map(str, error.loc))}: {error.message}" for error in self.errors)


@define
class BodyMalformed(Invalid):
    """
    The body is not JSON, or nests too deeply to be read.
    """

    offset: int
    reason: str

    def __str__(self) -> str:
        return f"the body is not JSON: {self.reason} (character {self.offset})"


@define
class BodyMissing(Invalid):
    """
    The operation needs a body, and none was sent.
    """

    def __str__(self) -> str:
        return "a body is required"


@define
class BodyTooLarge(Invalid):
    """
    The body is longer than the server reads.
    """

    limit: int

    def __str__(self) -> str:
        return f"the body is longer than {self.limit} bytes"


@define
class EncodingUnsupported(Invalid):
    """
    The body is compressed, or encoded in another way that is not read.
    """

    encoding: str

    def __str__(self) -> str:
        return f"the body is encoded as {self.encoding!r}, which is not read; send it without an encoding"


@define
class RequestMalformed(Invalid):
    """
    The bytes of a request are not HTTP, or are not framed as it wants it.
    """

    reason: str

    def __str__(self) -> str:
        return f"the request is not HTTP: {self.reason}"


@define
class HeadersTooLarge(Invalid):
    """
    The headers of a request are longer than the server reads.
    """

    limit: int

    def __str__(self) -> str:
        return f"the headers are longer than {self.limit} bytes"


class RequestTimedOut(Refusal):
    """
    The rest of a request did not come in time.
    """

    def __str__(self) -> str:
        return "the request did not come in time; send it again, and faster"


class ServerBusy(Exhausted):
    """
    There are more connections than the server takes.
    """

    retry_after: Final = 1

    def __str__(self) -> str:
        return "the server has too many connections; try again in a second"


@define
class PathUnknown(NotFound):
    """
    No endpoint has this path.
    """

    path: str

    def __str__(self) -> str:
        return "there is nothing at this path"


@define
class MethodRefused(Refusal):
    """
    The path is known, but not with this method.
    """

    method: str
    allow: tuple[str, ...]

    def __str__(self) -> str:
        return f"only {', '.join(self.allow)} can be used here"


@define
class TooManyRequests(Exhausted):
    """
    Requests came faster than a rate limit lets them.
    """

    verdict: Verdict

    def __str__(self) -> str:
        return f"too many requests; {self.when}"

    @property
    def retry_after(self) -> int:
        """
        In how many seconds a request may pass.
        """
        return self.verdict.retry_after

    @property
    def when(self) -> str:
        """
        When to come back.
        """
        seconds = self.retry_after
        return f"try again in {seconds} second{'' if seconds == 1 else 's'}"


class Unexpected(Exception):
    """
    A mistake of the server. It carries nothing: what happened is in the log, under the request's id.
    """

    def __str__(self) -> str:
        return "Internal Server Error"


def wrong(kind: str, message: str, value: object, ctx: Mapping[str, Any] = NO_CONTEXT) -> FieldsInvalid:
    """
    The refusal of a single value; whoever holds the value adds where it stands.
    """
    return FieldsInvalid((FieldError((), kind, message, value, ctx),))


def challenge(why: str | None = None) -> str:
    """
    The `WWW-Authenticate` header of a 401 as RFC 6750 has it, with *why* if a credential came. A browser asks for no
    password on seeing it, as it would for `Basic`.
    """
    if why is None:
        return f'Bearer realm="{REALM}"'
    described = UNFIT.sub("'", why)[:LONGEST_DESCRIPTION]
    return f'Bearer realm="{REALM}", error="invalid_token", error_description="{described}"'
