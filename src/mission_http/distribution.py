"""
The Python distribution of these packages: its version.
"""

from __future__ import annotations

from functools import cache

from mission_core.extras import DISTRIBUTION


@cache
def distribution_version() -> str:
    """
    The version of this distribution; ``unknown`` if it runs from a source folder without installation.
    """
    from importlib.metadata import PackageNotFoundError, version  # takes longer to import than most modules

    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"
