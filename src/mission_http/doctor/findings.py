"""
Findings of the doctor's checks, and how they are printed as text and as JSON.
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
    Severity of a finding. A problem keeps the server from working or from being secure.
    """

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@frozen(kw_only=True)
class Finding:
    """
    A result of one check.

    Args:
        check: The name of the check.
        looked_at: The thing that was checked, such as a variable, a path or an address.
        found: The state it is in.
        advice: The step that solves the problem; empty if there is none.
        settings: The environment variables and command-line flags that the advice names.
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
    A check by name, which creates its findings.
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
    Whether no finding is a problem.
    """
    return all(each.level is not Level.PROBLEM for each in findings)


def as_text(findings: Sequence[Finding]) -> str:
    """
    Format the findings as text, with their number at each level.
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
    Format the findings as JSON.
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
