"""
Limits of a server: the number of its connections, and the time that their clients may take.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from attrs import frozen

from mission_http.environment import SettingsError

VARIABLE: Final = "MC_MAX_CONNECTIONS"


@frozen(kw_only=True)
class ConnectionLimits:
    """
    The number of connections there may be, and the time that a client may take.

    Args:
        maximum: The number of connections at once.
        headers: Seconds until the headers of a request are complete.
        window: Seconds over which the rate of a body is measured.
        rate: Bytes of a body that a second must bring in each window.
        unread: Seconds in which a client must take something of an answer.
        stop: Seconds that requests in flight have once the server is told to stop.
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
        Read an environment.

        Raises:
            SettingsError: If the variable is no count.
        """
        text = environment.get(VARIABLE, "").strip()
        if not text:
            return cls()
        if not (text.isascii() and text.isdecimal() and 0 < int(text) < 10**7):
            raise SettingsError(f"{VARIABLE}: expected a count of connections, such as 4096, and got {text!r}")
        return cls(maximum=int(text))


def raise_file_limit() -> int | None:
    """
    Raise the number of file descriptors that this process may have to what it may raise it to.

    Returns:
        The number it may have now; None where nobody tells.
    """
    try:
        import resource
    except ModuleNotFoundError:  # there is none for Windows
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):  # macOS tells of no limit, and has one
            return int(soft)
    return None if hard == resource.RLIM_INFINITY else int(hard)
