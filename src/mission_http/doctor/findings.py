"""
Findings of the doctor's checks, and how they are printed as text and as JSON.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Final

from mission_core.lazy_attrs import frozen

CHECK_WIDTH: Final = 16


class FindingLevel(Enum):
    """
    Severity of a finding. A problem keeps the server from working or from being secure.
    """

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@frozen(kw_only=True)
class DoctorFinding:
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
    level: FindingLevel
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

    def ok(self, looked_at: str, found: str) -> DoctorFinding:
        return DoctorFinding(check=self.name, level=FindingLevel.OK, looked_at=looked_at, found=found)

    def warning(self, looked_at: str, found: str, advice: str, *settings: str) -> DoctorFinding:
        return self._bad(FindingLevel.WARNING, looked_at, found, advice, settings)

    def problem(self, looked_at: str, found: str, advice: str, *settings: str) -> DoctorFinding:
        return self._bad(FindingLevel.PROBLEM, looked_at, found, advice, settings)

    def _bad(
        self, level: FindingLevel, looked_at: str, found: str, advice: str, settings: tuple[str, ...]
    ) -> DoctorFinding:
        return DoctorFinding(
            check=self.name, level=level, looked_at=looked_at, found=found, advice=advice, settings=settings
        )


def has_no_problem(findings: Iterable[DoctorFinding]) -> bool:
    """
    Whether no finding is a problem.
    """
    return all(each.level is not FindingLevel.PROBLEM for each in findings)


def as_text(findings: Sequence[DoctorFinding]) -> str:
    """
    Format the findings as text, with their number at each level.
    """
    lines = []
    for each in findings:
        lines.append(f"{each.level.value:<8} {each.check:<{CHECK_WIDTH}} {each.looked_at}: {each.found}")
        if each.advice:
            lines.append(f"{'':<8} {'':<{CHECK_WIDTH}} -> {each.advice}")
    counted = Counter(each.level for each in findings)
    told = (_plural(counted[FindingLevel.PROBLEM], "problem"), _plural(counted[FindingLevel.WARNING], "warning"))
    return "\n".join([*lines, "", f"{told[0]}, {told[1]}, {counted[FindingLevel.OK]} ok"])


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def as_json(findings: Sequence[DoctorFinding]) -> str:
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
    return json.dumps({"ok": has_no_problem(findings), "findings": told}, indent=2)
