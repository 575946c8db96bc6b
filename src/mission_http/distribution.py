"""
The Python distribution of these packages: its name, version and extras.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Final

DISTRIBUTION: Final = "mission-control-plane"


def distribution_version() -> str:
    """
    The version of this distribution; ``unknown`` if it runs from a source folder without installation.
    """
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"


def install_command(extra: str) -> str:
    """
    The `pip` command that installs this distribution with *extra*.
    """
    return f"pip install '{DISTRIBUTION}[{extra}]'"
