"""
The command `mission-control` as it is installed, which the core alone cannot run.
"""

from __future__ import annotations

import sys


def main() -> None:
    """
    Run the command line, or tell which extra it needs.
    """
    try:
        from mission_http.main import main as run
    except ModuleNotFoundError as e:
        if e.name is None or e.name.startswith("mission_"):
            raise
        print("mission-control: serving needs the extra: pip install 'mission-control[server]'", file=sys.stderr)
        sys.exit(2)
    run()
