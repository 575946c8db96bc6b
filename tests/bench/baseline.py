"""
The baseline file: what each operation cost when it was last kept, for comparison with a new run.
"""

import json
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_suffix(".json")
DEARER: Final = 1.15
"""An operation whose cost has grown by more than this factor is marked."""


def read() -> dict[str, Any]:
    """
    The parts of the file: `statements` and `ratios`, each by kind of database and operation.
    """
    kept: dict[str, Any] = json.loads(FILE.read_text())
    return kept


def keep(part: str, kind: str, figures: dict[str, Any]) -> None:
    """
    Replace the figures of a part for a kind of database.
    """
    kept = read()
    kept[part][kind] = figures
    FILE.write_text(json.dumps(kept, indent=2) + "\n")
