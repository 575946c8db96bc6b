"""
Connection limits of a server: how many connections it keeps, and the deadlines of their clients.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from mission_core.lazy_attrs import frozen
from mission_http.environment import SettingsError

MAX_CONNECTIONS_VARIABLE: Final = "MC_MAX_CONNECTIONS"


@frozen(kw_only=True)
class ConnectionLimits:
    """
    The largest number of connections, and the deadlines of their clients.

    Args:
        maximum: The largest number of open connections.
        headers: Seconds in which the headers of a request must be complete.
        window: Seconds over which the rate of a request body is measured.
        rate: The least rate of a request body in each window, in bytes per second.
        unread: Seconds in which a client must read some part of a response.
        stop: Seconds that requests in progress have when the server stops.
    """

    maximum: int = 4096
    headers: float = 20.0
    window: float = 10.0
    rate: int = 1024
    unread: float = 60.0
    stop: float = 6.0

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """
        Read the limits from environment variables.

        Raises:
            SettingsError: If the number of connections is not a number.
        """
        text = environment.get(MAX_CONNECTIONS_VARIABLE, "").strip()
        if not text:
            return cls()
        if not (text.isascii() and text.isdecimal() and 0 < int(text) < 10**7):
            raise SettingsError(
                f"{MAX_CONNECTIONS_VARIABLE}: expected a number of connections, such as 4096, and got {text!r}"
            )
        return cls(maximum=int(text))


def raise_file_limit() -> int | None:
    """
    Raise the limit of open file descriptors of this process as far as the system allows.

    Returns:
        The new limit; None if there is none, or if the platform does not report it.
    """
    try:
        import resource
    except ModuleNotFoundError:  # not available on Windows
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):  # macOS reports no limit, but has one
            return int(soft)
    return None if hard == resource.RLIM_INFINITY else int(hard)
