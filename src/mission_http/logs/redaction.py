"""
Redaction of secrets in log lines, by the shape of a token or as known values.

The code does not log secrets; this is the second line of defence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from mission_core.lazy_attrs import frozen
from mission_http.logs.line_text import EventDict

REPLACEMENT: Final = "[secret]"
MIN_SECRET_LENGTH: Final = 8
"""The least length of a known secret that is redacted: a shorter one may be part of any word."""

TOKEN_PATTERNS: Final = (
    r"mca?_[0-9A-Fa-f]{48}",  # the key of an agent
    r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*",  # a signed token
    r"[\w-]{43}",  # 32 random bytes in base64
    r"[0-9a-f]{64}",  # and in hexadecimal digits
)
SECRET_PREFIX_PATTERNS: Final = (
    r"\b(?:__Host-)?mc-session=",
    r"(?i:\b(?:x-api-key|x-agent-token|authorization|(?:set-)?cookie)\b['\"]?\s*+[:=,]\s*+(?:b?['\"])?+)"
    r"(?i:(?:bearer|basic|apikey|token) ++)?+",
    r"(?i:\b(?:bearer|basic|apikey|token) ++(?=[\w.~+/=-]{16}))",
    r"(?i:[?&](?:token|key|secret|password|code|api_key|access_token)=)",
    r"\b[a-zA-Z][\w+.-]*://[^/\s:@]*:(?=[^/\s@]+@)",  # the password in a URL
)
"""Text before a secret, which itself ends at a space, a quotation mark or another separator."""

_token_pattern: Final = re.compile(rf"(?<![\w-])(?:{'|'.join(TOKEN_PATTERNS)})(?![\w-])", re.ASCII)
_prefixed_pattern: Final = re.compile(rf"({'|'.join(SECRET_PREFIX_PATTERNS)})(?!{re.escape(REPLACEMENT)})[^\s'\"&;,@]+")


@frozen
class SecretRedactor:
    """
    Replaces secrets in log events.
    """

    known: tuple[str, ...] = ()

    @classmethod
    def of(cls, known: Iterable[str]) -> SecretRedactor:
        """
        Create a redactor that also replaces these *known* secrets.
        """
        return cls(tuple(sorted({each for each in known if len(each) >= MIN_SECRET_LENGTH}, key=len, reverse=True)))

    def redact(self, text: str) -> str:
        """
        Replace all secrets in a text.
        """
        return _prefixed_pattern.sub(rf"\1{REPLACEMENT}", self.redact_tokens(text))

    def redact_tokens(self, text: str) -> str:
        """
        Replace known secrets and texts with the shape of a token.
        """
        for secret in self.known:
            text = text.replace(secret, REPLACEMENT)
        return _token_pattern.sub(REPLACEMENT, text)

    def redact_event(self, told: EventDict) -> EventDict:
        """
        Replace secrets in all values of an event.
        """
        for name, value in told.items():
            if isinstance(value, str):
                told[name] = self.redact(value)
            elif value is not None and not isinstance(value, bool | int | float):
                told[name] = self.redact(repr(value))
        return told
