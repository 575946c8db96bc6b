"""
The Python distribution of these packages: its version.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from mission_core.extras import DISTRIBUTION


def distribution_version() -> str:
    """
    The version of this distribution; ``unknown`` if it runs from a source folder without installation.
    """
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"
