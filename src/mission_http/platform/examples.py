"""
Examples of requests and responses, as a dialect has them in its `examples.json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def examples_in(package: str) -> Mapping[str, Mapping[str, Any]]:
    """
    The examples of an HTTP API (dialect), by method and path: a `request`, if it has a body, and its `response`.
    """
    examples: Mapping[str, Mapping[str, Any]] = json.loads((files(package) / "examples.json").read_text("utf-8"))
    return examples
