"""
What the doctor says, to a person and to a program.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Final

from attrs import frozen

WIDTH: Final = 16


class Level(Enum):
    """
    How bad it is. A problem keeps something from working, or from being safe.
    """

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@frozen(kw_only=True)
class Finding:
    """
    What one check found.

    Args:
        check: The name of the check.
        looked_at: What was looked at.
        found: What was found there.
        advice: What to do about it; empty if all is well.
        settings: The variables and flags that the advice names.
    """

    check: str
    level: Level
    looked_at: str
    found: str
    advice: str = ""
    settings: tuple[str, ...] = ()


@frozen
class Check:
    """
    Makes the findings of one check.
    """

    name: str

    def ok(self, looked_at: str, found: str) -> Finding:
        return Finding(check=self.name, level=Level.OK, looked_at=looked_at, found=found)

    def warning(self, looked_at: str, found: str, advice: str, *settings: str) -> Finding:
        return self._bad(Level.WARNING, looked_at, found, advice, settings)

    def problem(self, looked_at: str, found: str, advice: str, *settings: str) -> Finding:
        return self._bad(Level.PROBLEM, looked_at, found, advice, settings)

    def _bad(self, level: Level, looked_at: str, found: str, advice: str, settings: tuple[str, ...]) -> Finding:
        return Finding(check=self.name, level=level, looked_at=looked_at, found=found, advice=advice, settings=settings)


def sound(findings: Iterable[Finding]) -> bool:
    """
    Whether there is no problem among them.
    """
    return all(each.level is not Level.PROBLEM for each in findings)


def as_text(findings: Sequence[Finding]) -> str:
    """
    The findings for a person, and how many there are of each level.
    """
    lines = []
    for each in findings:
        lines.append(f"{each.level.value:<8} {each.check:<{WIDTH}} {each.looked_at}: {each.found}")
        if each.advice:
            lines.append(f"{'':<8} {'':<{WIDTH}} -> {each.advice}")
    counted = Counter(each.level for each in findings)
    told = (_plural(counted[Level.PROBLEM], "problem"), _plural(counted[Level.WARNING], "warning"))
    return "\n".join([*lines, "", f"{told[0]}, {told[1]}, {counted[Level.OK]} ok"])


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def as_json(findings: Sequence[Finding]) -> str:
    """
    The findings for a program.
    """
    told = [
        {
            "check": each.check,
            "level": each.level.value,
            "looked_at": each.looked_at,
            "found": each.found,
            "advice": each.advice or None,
            "settings": each.settings,
        }
        for each in findings
    ]
    return json.dumps({"ok": sound(findings), "findings": told}, indent=2)
