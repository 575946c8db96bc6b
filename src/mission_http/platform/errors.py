"""
Errors of the platform, independent of a dialect; each dialect renders them in its own payload.

    Invalid
    ├── FieldsInvalid        values of the body, query, path or headers that cannot be read
    ├── BodyMalformed        the body is not JSON
    ├── BodyMissing          there is no body, and there must be one
    ├── BodyTooLarge         the body is longer than the limit
    ├── EncodingUnsupported  the body is compressed
    ├── RequestMalformed     the request is not valid HTTP
    └── HeadersTooLarge      the headers are longer than the limit
    NotFound
    └── PathUnknown          no endpoint has this path
    Exhausted
    ├── TooManyRequests      a rate limit is used up
    ├── TooManyStreams       the caller or its address has too many open event streams
    └── ServerBusy           the server has too many connections
    Refusal
    ├── MethodRefused        the path is known, this method is not
    └── RequestTimedOut      the client sent the request too slowly
    Unexpected               a bug of the server; the reason is in the server's log only
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve

from mission_core.errors import Exhausted, Invalid, NotFound, Refusal
from mission_core.lazy_attrs import define, frozen
from mission_core.rate_limits import RateLimitDecision

NO_CONTEXT: Final[Mapping[str, Any]] = {}
REALM: Final = "Mission Control"
MAX_DESCRIPTION_LENGTH: Final = 500
FORBIDDEN_IN_DESCRIPTION: Final = re.compile(r"[^ !#-\[\]-~]")
"""Characters that RFC 6750 forbids in `error_description`."""


@frozen
class FieldError:
    """
    A validation error of one value: its location, type and message, as pydantic reports them.
    """

    loc: tuple[str | int, ...]
    kind: str
    message: str
    input: object = None
    ctx: Mapping[str, Any] = NO_CONTEXT

    def within(self, *outer: str | int) -> FieldError:
        """
        The same error with *outer* put before its location.
        """
        return evolve(self, loc=(*outer, *self.loc))

    @property
    def dotted(self) -> str:
        """
        The location in dots, without its first element (`body`, `query`, …).
        """
        return ".".join(str(step) for step in self.loc[1:])


@define(repr=False)
class FieldsInvalid(Invalid):
    """
    Values of the request are not valid. Every wrong value is listed, with a location in `body`, `query`, `path` or
    `header`.
    """

    errors: tuple[FieldError, ...]

    def __str__(self) -> str:
        return "; ".join(f"{'.'.join(map(str, error.loc))}: {error.message}" for error in self.errors)


@define(repr=False)
class BodyMalformed(Invalid):
    """
    The body is not JSON, or nests too deeply to be read.
    """

    offset: int
    reason: str

    says = "the body is not JSON: {self.reason} (character {self.offset})"


@define(repr=False)
class BodyMissing(Invalid):
    """
    The operation needs a body, and none was sent.
    """

    says = "a body is required"


@define(repr=False)
class BodyTooLarge(Invalid):
    """
    The body is longer than the limit.
    """

    limit: int

    says = "the body is longer than {self.limit} bytes"


@define(repr=False)
class EncodingUnsupported(Invalid):
    """
    The body is compressed, or has another unsupported encoding.
    """

    encoding: str
    accepted: str = "identity"

    says = "the encoding {self.encoding!r} of the body is not supported; send it without an encoding"


@define(repr=False)
class RequestMalformed(Invalid):
    """
    The request is not valid HTTP.
    """

    reason: str

    says = "the request is not HTTP: {self.reason}"


@define(repr=False)
class HeadersTooLarge(Invalid):
    """
    The headers of the request are longer than the limit.
    """

    limit: int

    says = "the headers are longer than {self.limit} bytes"


class RequestTimedOut(Refusal):
    """
    The client sent the request too slowly.
    """

    says = "the request did not arrive in time; send it again, and faster"


class ServerBusy(Exhausted):
    """
    The server has too many connections.
    """

    retry_after: Final = 1

    says = "the server has too many connections; try again in a second"


class TooManyStreams(Exhausted):
    """
    The caller, or its address, has too many open event streams.
    """

    code = "too_many_streams"
    retry_after: Final = 10

    says = "too many event streams are open; close one, or try again later"


@define(repr=False)
class PathUnknown(NotFound):
    """
    No endpoint has this path.
    """

    path: str

    says = "there is nothing at this path"


@define(repr=False)
class MethodRefused(Refusal):
    """
    The path does not support this method.
    """

    method: str
    allow: tuple[str, ...]

    def __str__(self) -> str:
        return f"only {', '.join(self.allow)} can be used here"


@define(repr=False)
class TooManyRequests(Exhausted):
    """
    A rate limit is used up.
    """

    verdict: RateLimitDecision

    says = "too many requests; {self.when}"

    @property
    def retry_after(self) -> int:
        """
        The number of seconds until a request is accepted.
        """
        return self.verdict.retry_after

    @property
    def when(self) -> str:
        """
        The advice when to try again.
        """
        seconds = self.retry_after
        return f"try again in {seconds} second{'' if seconds == 1 else 's'}"


class UnexpectedError(Exception):
    """
    A bug of the server. It has no details; they are in the log, under the id of the request.
    """

    def __str__(self) -> str:
        return "Internal Server Error"


def single_value_error(kind: str, message: str, value: object, ctx: Mapping[str, Any] = NO_CONTEXT) -> FieldsInvalid:
    """
    Make the error of a single value, still without a location; callers add it with `FieldError.within`.
    """
    return FieldsInvalid((FieldError((), kind, message, value, ctx),))


def bearer_challenge(why: str | None = None) -> str:
    """
    The `WWW-Authenticate` header of a 401 (RFC 6750), with the reason *why* a token was not accepted.

    Unlike `Basic`, it does not make browsers ask for a password.
    """
    if why is None:
        return f'Bearer realm="{REALM}"'
    described = FORBIDDEN_IN_DESCRIPTION.sub("'", why)[:MAX_DESCRIPTION_LENGTH]
    return f'Bearer realm="{REALM}", error="invalid_token", error_description="{described}"'
