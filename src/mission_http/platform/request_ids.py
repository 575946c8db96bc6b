"""
Request ids: the `X-Request-Id` that the client sent, if it is valid, or else a random one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Final

_fit: Final = re.compile(rb"[\x20-\x7e]{1,128}")


def sent_or_new_id(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """
    The first `X-Request-Id` if it has 1 to 128 printable ASCII characters, or else 32 random hexadecimal digits.
    """
    for name, value in headers:
        if name == b"x-request-id":
            trimmed = value.strip()
            if _fit.fullmatch(trimmed):
                return trimmed
            break
    return os.urandom(16).hex().encode("ascii")
