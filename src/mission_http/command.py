"""
The console script `mission-control`, which needs the packages of the `server` extra.
"""

from __future__ import annotations

import gc
import sys

from mission_core.extras import install_command


def main() -> None:
    """
    Run the command line, or print which extra is missing.
    """
    gc.disable()  # what imports make stays; collecting in between takes a twentieth of a start
    try:
        from mission_http.main import main as run

        run()  # it imports most of the extra's packages when it needs them
    except ModuleNotFoundError as e:
        if e.name is None or e.name.startswith("mission_"):
            raise
        print(f"mission-control: serving needs the extra: {install_command('server')}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
