"""
Conversion of an agent runtime's JSON output to readable text.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

CONTROL_SEQUENCE: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
"""A terminal control sequence, such as a colour."""
MAX_AMOUNT: Final = 10**15
"""Amounts from here on are taken for garbage and not shown."""


def readable_output(content: str) -> str:
    """
    Extract the texts of the payloads from a runtime's JSON output, with a line about model, tokens and duration. Any
    other text is returned as it is.
    """
    printed = _parsed_output(content)
    if printed is None:
        return content
    texts = [each["text"] for each in printed["payloads"] if isinstance(each, dict) and _is_text(each.get("text"))]
    about = _usage_line(printed.get("meta"))
    return "\n\n".join(["\n".join(texts), *([f"_{about}_"] if about else [])]) if texts else content


def _parsed_output(content: str) -> dict[str, Any] | None:
    text = CONTROL_SEQUENCE.sub("", content).strip()
    if not text.startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and isinstance(value.get("payloads"), list) else None


def _usage_line(meta: Any) -> str:
    agent = _object_in(meta, "agentMeta")
    model, tokens = agent.get("model"), _object_in(agent, "usage").get("total")
    took = meta.get("durationMs") if isinstance(meta, dict) else None
    told = [str(model)] if _is_text(model) else []
    told += [f"{tokens} tokens"] if _is_amount(tokens) else []
    told += [f"{took / 1000:.1f}s"] if took is not None and _is_amount(took) else []
    return " · ".join(told)


def _object_in(whole: Any, name: str) -> dict[str, Any]:
    part = whole.get(name) if isinstance(whole, dict) else None
    return part if isinstance(part, dict) else {}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < MAX_AMOUNT
