"""
A request on a connection, and how its response is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE, STATUS_LINE, RequestResponseCycle

Header = tuple[bytes, bytes]
FRAMING_HEADERS: Final = (b"connection", b"content-length", b"transfer-encoding")
"""The headers that decide how the body is sent."""


class HttpCycle(RequestResponseCycle):
    """
    A request and its response. Header lines that are the same in many responses are encoded and checked only once.
    """

    def __init__(self, *, constants: ConstantHeaders, **more: Any) -> None:
        super().__init__(**more)
        self.constants = constants

    async def send(self, message: Any) -> None:
        if self.disconnected or self.flow.write_paused:
            await super().send(message)
        elif not self.response_started and message["type"] == "http.response.start":
            self._start(message["status"], message.get("headers", ()))
        elif self._is_whole_body(message):
            self.transport.write(message["body"])
            self.expected_content_length = 0
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()
        else:
            await super().send(message)

    def _start(self, status: int, headers: Iterable[Header]) -> None:
        self.response_started = True
        self.waiting_for_100_continue = False
        known = self.constants.lines
        lines = [STATUS_LINE[status], self.constants.lines_of(self.default_headers)]
        closes = False
        for header in headers:
            line = known.get(header)
            if line is None:
                line = _checked_line(header)
                name, value = header[0].lower(), header[1]
                if name == b"content-length" and self.chunked_encoding is None:
                    self.expected_content_length = int(value)
                    self.chunked_encoding = False
                elif name == b"transfer-encoding" and value.lower() == b"chunked":
                    self.expected_content_length = 0
                    self.chunked_encoding = True
                elif name == b"connection" and b"close" in [each.lower().strip() for each in value.split(b",")]:
                    self.keep_alive = False
                    closes = True
            lines.append(line)
        if not self.keep_alive and not closes:
            lines.append(b"connection: close\r\n")
        if self.chunked_encoding is None and self.scope["method"] != "HEAD" and status not in (204, 304):
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"\r\n")
        self.transport.write(b"".join(lines))

    def _is_whole_body(self, message: Any) -> bool:
        return (
            message["type"] == "http.response.body"
            and self.chunked_encoding is False
            and not self.response_complete
            and not message.get("more_body", False)
            and len(message.get("body", b"")) == self.expected_content_length > 0
            and self.scope["method"] != "HEAD"
        )


def _checked_line(header: Header) -> bytes:
    """
    Encode a header of a response.

    Raises:
        RuntimeError: If it has characters that would end the line or the name.
    """
    name, value = header
    if HEADER_RE.search(name) or HEADER_VALUE_RE.search(value):
        raise RuntimeError("Invalid HTTP header.")
    return b"%b: %b\r\n" % (name.lower(), value)


class ConstantHeaders:
    """
    The encoded lines of response headers that do not change, and of uvicorn's headers, which change once a second.
    """

    def __init__(self, headers: Iterable[Header] = ()) -> None:
        self.lines: Mapping[Header, bytes] = {
            header: _checked_line(header) for header in headers if header[0] not in FRAMING_HEADERS
        }
        self._joined_of: object = None
        self._joined = b""

    def lines_of(self, headers: list[Header]) -> bytes:
        """
        The lines of a list of headers that is replaced when it changes.
        """
        if headers is not self._joined_of:
            self._joined = b"".join(map(_checked_line, headers))
            self._joined_of = headers
        return self._joined
