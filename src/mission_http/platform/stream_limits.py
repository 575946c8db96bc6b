"""
Limits on the number of event streams that are open at the same time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from mission_core.lazy_attrs import frozen
from mission_http.environment import SettingsError

PER_CALLER_VARIABLE: Final = "MC_MAX_STREAMS_PER_CALLER"
PER_ADDRESS_VARIABLE: Final = "MC_MAX_STREAMS_PER_ADDRESS"


@frozen(kw_only=True)
class StreamLimits:
    """
    The largest number of open streams of one caller, and of one client address, in a server process.
    """

    per_caller: int = 256
    per_address: int = 1024

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """
        Read the limits from environment variables.

        Raises:
            SettingsError: If one is not a number.
        """
        given = {}
        for name, variable in (("per_caller", PER_CALLER_VARIABLE), ("per_address", PER_ADDRESS_VARIABLE)):
            text = environment.get(variable, "").strip()
            if text and not (text.isascii() and text.isdecimal() and 0 < int(text) < 10**7):
                raise SettingsError(f"{variable}: expected a number of streams, such as 256, and got {text!r}")
            if text:
                given[name] = int(text)
        return cls(**given)
