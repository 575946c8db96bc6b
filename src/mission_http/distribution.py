"""
The distribution that these packages are installed from: its name on the package index, its version and its extras.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Final

DISTRIBUTION: Final = "mission-control-plane"


def own_version() -> str:
    """
    The version of this distribution, or ``unknown`` where it runs from a folder that nobody installed.
    """
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"


def install(extra: str) -> str:
    """
    The command that installs this distribution with *extra*.
    """
    return f"pip install '{DISTRIBUTION}[{extra}]'"
