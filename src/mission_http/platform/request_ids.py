"""
Request ids: the `X-Request-Id` that the client sent, if it is valid, or else a random one.
"""

from __future__ import annotations

import os
import re
from typing import Final

_fit: Final = re.compile(rb"[\x20-\x7e]{1,128}")


def sent_or_new_id(sent: bytes | None) -> bytes:
    """
    The first `X-Request-Id` if it has 1 to 128 printable ASCII characters, or else 32 random hexadecimal digits.
    """
    if sent is not None:
        trimmed = sent.strip()
        if _fit.fullmatch(trimmed):
            return trimmed
    return os.urandom(16).hex().encode("ascii")
