"""
The optional dependencies (extras) of this distribution.
"""

from typing import Final

DISTRIBUTION: Final = "mission-control-plane"


def install_command(extra: str) -> str:
    """
    The `pip` command that installs this distribution with *extra*.
    """
    return f"pip install '{DISTRIBUTION}[{extra}]'"
